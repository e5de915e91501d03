// Record: everything that is to be remembered, as plain values: what the domain decided, ready to cross to another thread and to be
// written down there. Knows no database and no format; what users gave stays opaque bytes.
public import Base

/// A record and its number: numbers ascend, and what is written up to one is written up to all before it.
public struct RecordEntry: Sendable {
    public let number: UInt64
    public let record: Record
    /// Whether somebody is told something once it is written, whatever it is.
    public var isAwaited = false

    public init(number: UInt64, record: Record) {
        self.number = number
        self.record = record
    }
}

/// One thing to be remembered: a reference, so that moving one on its way to the disk costs the same whatever it says.
public indirect enum Record: Sendable {
    /// A task was taken in.
    case submitted(TaskImage)
    /// A worker got it, or its outside program began with it.
    case assigned(TaskAssignment)
    /// Its worker vanished, and it waits again.
    case requeued(TaskRequeue)
    /// A process that begins took it up again: its events are numbered from behind this one on.
    case resumed(TaskID, sequence: UInt64)
    case progressed(ProgressRow)
    case logged(LogRow)
    /// An event of a task, to be replayed from the database.
    case happened(EventRow)
    case ended(TaskEnding)
    /// A task that failed may be tried again by somebody who looks after such.
    case letterKept(DeadLetter)
    /// Nobody wants it tried again, or it made room.
    case letterRemoved(TaskID)
    /// The task is forgotten, with everything that was remembered about it.
    case removed(TaskID)
    /// The task's progress rows are forgotten; the task stays.
    case progressCleared(TaskID)
    /// A client connected, or came back under the same name.
    case sessionOpened(SessionRow)
    case sessionTouched(SessionTouch)
    case sessionClosed(SessionTouch)
    case activityNoted(Activity)
    /// An alert was raised, or has changed: the newest stands.
    case alertChanged(Alert)
    /// A deployment was registered, or has changed: the newest stands.
    case deploymentChanged(Deployment)
    case deploymentRemoved(SharedBytes)
    /// A user's tokens up to a moment are refused: the newest word about the user stands.
    case revoked(Revocation)
    /// The user's tokens are taken again.
    case revocationRemoved(SharedBytes)

    /// Whether somebody is told only once this is safe on the disk. The others may be lost with the last moments before a power failure.
    public var isPromise: Bool {
        switch self {
        case .submitted, .ended, .removed, .letterKept, .letterRemoved: true
        // The numbers behind it may be told before anything else is written of the task.
        case .resumed: true
        case .assigned, .requeued, .progressed, .logged, .happened, .progressCleared: false
        case .sessionOpened, .sessionTouched, .sessionClosed: false
        case .activityNoted, .alertChanged: false
        case .deploymentChanged, .deploymentRemoved, .revoked, .revocationRemoved: true
        }
    }

    /// Bytes of memory that the record holds while it waits to be written.
    public var heldBytes: Int {
        let bytes =
            switch self {
            case .submitted(let image): image.ownedBytes
            case .assigned(let assignment): assignment.worker?.count ?? 0
            case .progressed(let row): row.ownedBytes
            case .logged(let row): row.text.count
            case .happened(let row): row.bytes.count
            case .ended(let ending): ending.ownedBytes
            case .letterKept(let letter): letter.ownedBytes
            case .requeued, .resumed, .removed, .letterRemoved, .progressCleared, .sessionTouched, .sessionClosed: 0
            case .sessionOpened(let row): row.userAgent.count
            case .activityNoted(let activity): activity.message.count + activity.extra.count
            case .alertChanged(let alert): alert.message.count
            case .deploymentChanged, .deploymentRemoved, .revoked, .revocationRemoved: 0
            }
        return Record.ownBytes + bytes
    }

    /// What a record costs besides the bytes that users gave: its place in a batch, a box, a few names.
    static let ownBytes = 384
}

/// Somebody began with a task.
public struct TaskAssignment: Sendable, Equatable {
    public var id: TaskID
    /// The worker's name; nil for a task that an outside program runs.
    public var worker: SharedBytes?
    public var startedAt: WallTime
    public var attempts: Int
    /// The number of the event by which it is told, which is the assignment's own.
    public var sequence: UInt64

    public init(id: TaskID, worker: SharedBytes?, startedAt: WallTime, attempts: Int, sequence: UInt64) {
        self.id = id
        self.worker = worker
        self.startedAt = startedAt
        self.attempts = attempts
        self.sequence = sequence
    }
}

/// A task waits again.
public struct TaskRequeue: Sendable, Equatable {
    public var id: TaskID
    public var retriesLeft: Int
    /// Before this it is not tried; nil where it may be at once.
    public var retryAt: WallTime?
    public var sequence: UInt64

    public init(id: TaskID, retriesLeft: Int, retryAt: WallTime? = nil, sequence: UInt64) {
        self.id = id
        self.retriesLeft = retriesLeft
        self.retryAt = retryAt
        self.sequence = sequence
    }
}

/// A row of the document's `progress_histories`, and the number of its event.
public struct ProgressRow: Sendable, Equatable {
    public var taskID: TaskID
    /// 0 to 100.
    public var progress: Int
    public var currentStep: SharedBytes
    public var totalSteps: Int
    public var completedSteps: Int
    public var message: SharedBytes
    /// The document's word: pending, running, completed, failed, cancelled.
    public var status: SharedBytes
    /// What else the report said, in the caller's format.
    public var metadata: SharedBytes
    public var createdAt: WallTime
    public var sequence: UInt64

    public init(
        taskID: TaskID, progress: Int, currentStep: SharedBytes = .empty, totalSteps: Int = 0, completedSteps: Int = 0,
        message: SharedBytes = .empty, status: SharedBytes, metadata: SharedBytes = .empty, createdAt: WallTime, sequence: UInt64
    ) {
        self.taskID = taskID
        self.progress = progress
        self.currentStep = currentStep
        self.totalSteps = totalSteps
        self.completedSteps = completedSteps
        self.message = message
        self.status = status
        self.metadata = metadata
        self.createdAt = createdAt
        self.sequence = sequence
    }

    /// The row as the report that it was made from, as far as it tells. The figure of a dispatched task is the whole task's and not its
    /// worker's.
    func report(origin: TaskOrigin) -> TaskEvent.Progress {
        TaskEvent.Progress(
            reported: origin == .reported ? Double(progress) : nil, message: message.isEmpty ? nil : message,
            currentStep: currentStep.isEmpty ? nil : currentStep, totalSteps: totalSteps > 0 ? totalSteps : nil,
            completedSteps: totalSteps > 0 || completedSteps > 0 ? completedSteps : nil)
    }

    /// Bytes that the row holds besides itself.
    public var ownedBytes: Int { currentStep.count + message.count + status.count + metadata.count }
}

/// Lines of a task's log.
public struct LogRow: Sendable, Equatable {
    public var taskID: TaskID
    public var sequence: UInt64
    public var level: SharedBytes
    public var source: SharedBytes
    public var text: SharedBytes
    public var createdAt: WallTime

    public init(taskID: TaskID, sequence: UInt64, level: SharedBytes, source: SharedBytes, text: SharedBytes, createdAt: WallTime) {
        self.taskID = taskID
        self.sequence = sequence
        self.level = level
        self.source = source
        self.text = text
        self.createdAt = createdAt
    }
}

/// An event of a task, whichever it is.
public struct EventRow: Sendable, Equatable {
    public var taskID: TaskID
    public var sequence: UInt64
    /// A small number that only the caller understands; two events of one sequence number differ in it.
    public var kind: UInt8
    public var at: WallTime
    /// The event's own values, in the caller's format.
    public var bytes: SharedBytes

    public init(taskID: TaskID, sequence: UInt64, kind: UInt8, at: WallTime, bytes: SharedBytes) {
        self.taskID = taskID
        self.sequence = sequence
        self.kind = kind
        self.at = at
        self.bytes = bytes
    }
}
