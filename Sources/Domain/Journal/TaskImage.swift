// TaskImage: a task as plain values, the way it is written down when it is taken in and read back when the server starts again. Not the
// living task (TaskRecord): it points to no worker, no group and no timer, and its times are the wall's, because they outlive the process.
public import Base

/// Who runs a task.
public enum TaskOrigin: UInt8, Sendable, CaseIterable {
    /// This server gives it to a worker.
    case dispatched
    /// An outside program runs it and only reports.
    case reported
}

/// Everything that is remembered of one task.
public struct TaskImage: Sendable, Equatable {
    public var id: TaskID
    public var userID: SharedBytes?
    public var projectID: SharedBytes?
    /// The group's name; empty for a task that an outside program runs.
    public var group: SharedBytes
    public var model: SharedBytes?
    public var type: SharedBytes?
    public var priority: Priority
    public var provider: SharedBytes?
    public var origin: TaskOrigin
    /// Whether somebody asked for it without waiting.
    public var isDetached: Bool
    /// The user's JSON, as given.
    public var metadata: SharedBytes?
    /// What the worker gets; empty once the task has ended.
    public var payload: SharedBytes
    public var timeout: TimeSpan
    /// How often it may start anew at most, and how often it still may.
    public var retries: Int
    public var retriesLeft: Int
    public var attempts: Int
    /// The number of its last assignment; 0 where there was none.
    public var lease: UInt64
    /// Before this it is not tried again; nil where it may be at once.
    public var retryAt: WallTime?
    public var idempotencyKey: SharedBytes?
    public var createdAt: WallTime
    public var enqueuedAt: WallTime
    /// When its time is up; nil where nothing ends it.
    public var deadline: WallTime?
    public var state: TaskState
    /// The number of its last event that is remembered.
    public var sequence: UInt64
    /// The name of the worker that has it in hand, or had it last.
    public var worker: SharedBytes?
    public var startedAt: WallTime?
    /// How it ended; nil while it has not.
    public var ending: TaskEnding?
    /// Its last remembered progress; only read back, never written with the image.
    public var progress: ProgressRow?
    /// The dead letter that the task takes the place of, which is forgotten as this is written; never read back.
    public var replayOf: TaskID?

    public init(
        id: TaskID, userID: SharedBytes? = nil, projectID: SharedBytes? = nil, group: SharedBytes, model: SharedBytes? = nil,
        type: SharedBytes? = nil, priority: Priority = .normal, provider: SharedBytes? = nil, origin: TaskOrigin = .dispatched,
        isDetached: Bool, metadata: SharedBytes? = nil, payload: SharedBytes, timeout: TimeSpan, retries: Int = 0,
        retriesLeft: Int = 0, attempts: Int = 0, lease: UInt64 = 0, retryAt: WallTime? = nil, idempotencyKey: SharedBytes? = nil,
        createdAt: WallTime, enqueuedAt: WallTime, deadline: WallTime? = nil, state: TaskState = .queued, sequence: UInt64 = 0,
        worker: SharedBytes? = nil, startedAt: WallTime? = nil, ending: TaskEnding? = nil, progress: ProgressRow? = nil,
        replayOf: TaskID? = nil
    ) {
        self.id = id
        self.userID = userID
        self.projectID = projectID
        self.group = group
        self.model = model
        self.type = type
        self.priority = priority
        self.provider = provider
        self.origin = origin
        self.isDetached = isDetached
        self.metadata = metadata
        self.payload = payload
        self.timeout = timeout
        self.retries = retries
        self.retriesLeft = retriesLeft
        self.attempts = attempts
        self.lease = lease
        self.retryAt = retryAt
        self.idempotencyKey = idempotencyKey
        self.createdAt = createdAt
        self.enqueuedAt = enqueuedAt
        self.deadline = deadline
        self.state = state
        self.sequence = sequence
        self.worker = worker
        self.startedAt = startedAt
        self.ending = ending
        self.progress = progress
        self.replayOf = replayOf
    }

    /// Bytes that the image holds besides itself.
    public var ownedBytes: Int {
        // Asked for every record by the loop: sums, and no list.
        let owners = (id.name?.count ?? 0) + (userID?.count ?? 0) + (projectID?.count ?? 0) + (worker?.count ?? 0)
        let kinds = group.count + (model?.count ?? 0) + (type?.count ?? 0) + (provider?.count ?? 0) + (idempotencyKey?.count ?? 0)
        let bodies = payload.count + (metadata?.count ?? 0) + (ending?.ownedBytes ?? 0) + (progress?.ownedBytes ?? 0)
        return owners + kinds + bodies
    }
}
