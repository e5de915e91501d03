// Publication: an event on its way: numbered, timed, addressed. A value that may cross to the worker pool; whoever has it can write any
// format's message without asking anybody.
//
// Cost: 64 bytes, two reference counts to copy.
public import Base

/// One event of one stream.
public struct Publication: Sendable {
    /// Its number among all publications of this server's life.
    public let number: UInt64
    /// Whose stream it belongs to, and whom it addresses.
    public let origin: StreamOrigin
    /// Its number in its stream. A transient event has the number of the last lasting one before it.
    public let sequence: UInt64
    public let at: WallTime
    public let event: TaskEvent
    /// The task's state after the event.
    public let state: TaskState
    /// The task's progress after the event, 0 to 100.
    public let progress: Double

    public init(
        number: UInt64, origin: StreamOrigin, sequence: UInt64, at: WallTime, event: TaskEvent, state: TaskState, progress: Double
    ) {
        self.number = number
        self.origin = origin
        self.sequence = sequence
        self.at = at
        self.event = event
        self.state = state
        self.progress = progress
    }

    public var task: TaskID { origin.task }
    public var user: SharedBytes? { origin.user }
    public var project: SharedBytes? { origin.project }
    public var epoch: UInt64 { origin.epoch }

    /// What may become of a publication that waits for a slow reader.
    public enum Conflation: Sendable, Equatable {
        /// It is sent, or its reader is given up.
        case never
        /// A later one with the same key may take its place.
        case replaceable(key: UInt64)
        /// It may be left out, but then the reader is told that there is a gap.
        case droppable
    }

    public var conflation: Conflation {
        switch event {
        case .progress: .replaceable(key: origin.epoch)
        case .log: .droppable
        case .queued, .started, .chunk, .failed, .completed, .cancelled: .never
        }
    }

    /// Bytes that keeping it costs.
    public var byteCount: Int { MemoryLayout<Publication>.stride + event.byteCount }
}
