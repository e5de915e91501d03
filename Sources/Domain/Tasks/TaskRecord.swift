// TaskRecord: one task, from submission until it is forgotten. Only the broker changes it; dialects read it. What users gave (payload,
// result, a worker's words) stays opaque bytes.
public import Base

/// What a client asks to be done.
public struct Submission: Sendable {
    /// What the worker gets, as one piece of its format.
    public var payload: SharedBytes
    /// The group's name; nil for the default group.
    public var group: SharedBytes?
    /// The model's name; nil for the default model, which no worker declares.
    public var model: SharedBytes?
    public var priority: Priority
    /// From submission to the end; clamped by the broker.
    public var timeout: TimeSpan?
    /// How often the task may start anew when its worker vanishes.
    public var retries: Int
    /// The same key names the same task as long as that is remembered.
    public var idempotencyKey: SharedBytes?
    /// Whose task it is; nil where nobody said.
    public var user: SharedBytes?
    public var project: SharedBytes?
    /// On whose machines it runs, and what kind of task it is: told to watchers, and nothing else.
    public var provider: SharedBytes?
    public var type: SharedBytes?

    public init(
        payload: SharedBytes, group: SharedBytes? = nil, model: SharedBytes? = nil, priority: Priority = .normal,
        timeout: TimeSpan? = nil, retries: Int = 0, idempotencyKey: SharedBytes? = nil
    ) {
        self.payload = payload
        self.group = group
        self.model = model
        self.priority = priority
        self.timeout = timeout
        self.retries = retries
        self.idempotencyKey = idempotencyKey
    }
}

/// One task.
public final class TaskRecord {
    public let id: TaskID
    public let group: Group
    public let model: SharedBytes?
    public let priority: Priority
    public let timeout: TimeSpan
    let idempotencyKey: SharedBytes?
    public let provider: SharedBytes?
    public let type: SharedBytes?

    /// Its events: their numbers, whom they are for, and where they are remembered.
    public var stream: TaskStream

    /// What the worker gets; given back once the task has ended.
    public internal(set) var payload: SharedBytes
    public private(set) var state = TaskState.queued
    public internal(set) var outcome: Outcome?
    /// The worker that has it in hand.
    public internal(set) var worker: Worker?
    /// Requests that wait for its end.
    var waiters: [ExchangeID] = []
    /// Whether somebody asked for it without waiting: then it outlives every waiter.
    var isDetached: Bool

    /// 0 to 100 on the scale of the whole task; never goes back.
    public private(set) var progress = Stage.created
    /// What its worker said last on the way: what a report leaves out stays as it was.
    public private(set) var report: TaskEvent.Progress?
    /// The event that ended it.
    public internal(set) var ending: TaskEvent?
    /// How often it was given to a worker.
    public internal(set) var attempts = 0
    var retriesLeft: Int
    /// Events of this task so far.
    public var sequence: UInt64 { stream.sequence }
    public var user: SharedBytes? { stream.origin.user }
    public var project: SharedBytes? { stream.origin.project }

    public let enqueuedAt: WallTime
    public internal(set) var startedAt: WallTime?
    public internal(set) var endedAt: WallTime?
    /// When it was submitted and given to its worker, for durations.
    let submittedInstant: Instant
    var assignedInstant: Instant?

    /// Its place in the line: smaller goes first within a priority.
    var lineNumber: Int64 = 0
    var deadline: TimerTicket?

    init(
        id: TaskID, submission: Submission, group: Group, timeout: TimeSpan, isDetached: Bool, stream: consuming TaskStream, at now: Moment
    ) {
        self.id = id
        self.stream = stream
        provider = submission.provider
        type = submission.type
        self.group = group
        model = submission.model
        priority = submission.priority
        self.timeout = timeout
        idempotencyKey = submission.idempotencyKey
        payload = submission.payload
        self.isDetached = isDetached
        retriesLeft = submission.retries
        enqueuedAt = now.wall
        submittedInstant = now.instant
    }

    /// The task's progress at each step of a dispatch, out of 100.
    enum Stage {
        static let created = 0.0
        static let queued = 5.0
        static let workerPicked = 10.0
        static let sent = 20.0
        static let acknowledged = 30.0
        /// The worker's own 0 to 100 is laid over this range.
        static let working = 40.0...80.0
        static let stored = 95.0
        static let final = 100.0
    }

    func move(to next: TaskState) {
        precondition(state.mayBecome(next), "task \(id) may not go from \(state) to \(next)")
        state = next
    }

    /// Raises the progress to `figure`; a smaller one changes nothing.
    func advance(to figure: Double) {
        progress = max(progress, figure)
    }

    /// Takes over what a report says.
    func record(_ news: TaskEvent.Progress) -> TaskEvent.Progress {
        if let percent = news.reported {
            let share = min(max(percent, 0), 100) / 100
            advance(to: Stage.working.lowerBound + share * (Stage.working.upperBound - Stage.working.lowerBound))
        }
        let merged = report.map { news.merged(with: $0) } ?? news
        report = merged
        return merged
    }

    /// How long it has been in its worker's hands, or, before that, how long it has waited.
    public func elapsed(at now: Instant) -> TimeSpan { now - (assignedInstant ?? submittedInstant) }

    /// Bytes that the record keeps once it has ended.
    var retainedBytes: Int {
        let result =
            switch outcome {
            case .completed(let result): result.count
            case .failed(.reported(let words)): words.count
            case .failed(.timeout), .failed(.workerDisconnected), .cancelled, nil: 0
            }
        let names = (idempotencyKey?.count ?? 0) + (model?.count ?? 0) + (provider?.count ?? 0) + (type?.count ?? 0)
        return TaskRecord.ownBytes + result + names + (report?.byteCount ?? 0)
    }

    /// What a record costs besides the bytes that users gave: itself, its two table entries, its place in the queue of the ended.
    static let ownBytes = 512
}
