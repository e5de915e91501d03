// TaskStream: the ordered source that a task is: its numbering, its epoch, its audience, and where its history lies. The record owns it;
// there is one, and no copy, so that no sequence number is given twice.
public import Base

/// Whose stream it is; shared by all publications of the stream.
public final class StreamOrigin: Sendable {
    public let task: TaskID
    public let user: SharedBytes?
    public let project: SharedBytes?
    /// No other stream has the same, in this life of the server or another: a position of another stream names nothing here.
    public let epoch: UInt64

    public init(task: TaskID, user: SharedBytes?, project: SharedBytes?, epoch: UInt64) {
        self.task = task
        self.user = user
        self.project = project
        self.epoch = epoch
    }
}

/// One task's stream of events.
public struct TaskStream: ~Copyable {
    public let origin: StreamOrigin
    /// The number of the last event: 1 for the first; 0 where there was none yet.
    public private(set) var sequence: UInt64
    /// The first event, where it was nothing but the task's coming: a task that only waits has no history of its own.
    var birth: Birth?
    /// Where the history keeps it; worth something only to the history.
    var place = 0

    /// What is remembered of a task's coming.
    struct Birth {
        let number: UInt64
        let at: WallTime
        let progress: Double
    }

    /// A stream that continues where an earlier life of the server left it.
    public init(task: TaskID, user: SharedBytes?, project: SharedBytes?, epoch: UInt64, sequence: UInt64) {
        origin = StreamOrigin(task: task, user: user, project: project, epoch: epoch)
        self.sequence = sequence
    }

    mutating func advance() -> UInt64 {
        sequence += 1
        return sequence
    }
}

/// Where streams come from: gives each an epoch of its own.
public struct StreamSource {
    private var epoch: UInt64

    /// - Parameter epoch: 64 random bits, drawn once in the life of a server.
    public init(epoch: UInt64) { self.epoch = epoch }

    /// A new stream, without an event.
    ///
    /// - Parameters: the names are kept: bytes of their own, rather than slices of a message.
    ///   - sequence: the last number that an earlier stream of the same name gave: none is given twice.
    public mutating func open(task: TaskID, user: SharedBytes?, project: SharedBytes?, after sequence: UInt64 = 0) -> TaskStream {
        epoch &+= 1
        return TaskStream(task: task, user: user, project: project, epoch: epoch, sequence: sequence)
    }

    /// How far behind its last recorded number the stream of a living task goes on after a restart. Events were told in the last moments
    /// before the end that nobody had time to write down, at most as many as fit in the journal's backlog, and no number may be given
    /// twice.
    static let stride: UInt64 = 1_000_000
}
