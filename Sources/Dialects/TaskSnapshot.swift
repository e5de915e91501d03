// TaskSnapshot: how a task stands at one moment, as plain values, for those who watch it. Not the living task (TaskRecord) and not its
// journal's image (TaskImage): it is made for one answer and forgotten.
public import Base
public import Domain

/// What a watcher is told of a task's present state.
public struct TaskSnapshot: Sendable {
    public var id: TaskID
    public var state: TaskState
    /// 0 to 100.
    public var progress: Double
    /// The number of the task's last event; 0 where there was none yet.
    public var sequence: UInt64
    public var priority: Priority
    /// Plain text: on whose machines it runs.
    public var provider: SharedBytes?
    public var createdAt: WallTime
    public var startedAt: WallTime?

    public init(
        id: TaskID, state: TaskState, progress: Double, sequence: UInt64, priority: Priority = .normal, provider: SharedBytes? = nil,
        createdAt: WallTime, startedAt: WallTime? = nil
    ) {
        self.id = id
        self.state = state
        self.progress = progress
        self.sequence = sequence
        self.priority = priority
        self.provider = provider
        self.createdAt = createdAt
        self.startedAt = startedAt
    }
}

/// Everything that a reader is told of a task.
public struct TaskDetails: Sendable {
    public var snapshot: TaskSnapshot
    /// Plain text, as all names here.
    public var user: SharedBytes?
    public var project: SharedBytes?
    public var group: SharedBytes?
    public var model: SharedBytes?
    public var type: SharedBytes?
    /// The user's JSON, byte for byte.
    public var metadata: SharedBytes?
    /// Who has it in hand.
    public var worker: WorkerID?
    /// How often it was given to a worker.
    public var attempts: Int
    public var timeout: TimeSpan?
    public var enqueuedAt: WallTime?
    public var endedAt: WallTime?
    /// When its last event was; nil where that is not known apart.
    public var updatedAt: WallTime?
    /// What was reported last on the way.
    public var report: TaskEvent.Progress?
    /// The event that ended it; nil while it has not.
    public var ending: TaskEvent?

    public init(
        _ snapshot: TaskSnapshot, user: SharedBytes? = nil, project: SharedBytes? = nil, group: SharedBytes? = nil,
        model: SharedBytes? = nil, type: SharedBytes? = nil, metadata: SharedBytes? = nil, worker: WorkerID? = nil, attempts: Int = 0,
        timeout: TimeSpan? = nil, enqueuedAt: WallTime? = nil, endedAt: WallTime? = nil, updatedAt: WallTime? = nil,
        report: TaskEvent.Progress? = nil, ending: TaskEvent? = nil
    ) {
        self.snapshot = snapshot
        self.user = user
        self.project = project
        self.group = group
        self.model = model
        self.type = type
        self.metadata = metadata
        self.worker = worker
        self.attempts = attempts
        self.timeout = timeout
        self.enqueuedAt = enqueuedAt
        self.endedAt = endedAt
        self.updatedAt = updatedAt
        self.report = report
        self.ending = ending
    }
}
