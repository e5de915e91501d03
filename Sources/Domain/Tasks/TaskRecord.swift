// TaskRecord: one task, from submission until it is forgotten. Only the broker changes it; dialects read it. What users gave (payload,
// result, a worker's words) stays opaque bytes.
public import Base

/// What a client asks to be done.
public struct Submission: Sendable, Equatable {
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
    /// What is known of it beyond this process.
    enum Keeping {
        /// Nothing: nobody was promised it, and it had nothing to say.
        case inMemory
        /// It is written down, or on its way there: how it came, began and ended.
        case recorded
        /// So are its events.
        case archived
        /// It could not be written down.
        case refused
    }

    public let id: TaskID
    public let origin: TaskOrigin
    /// Whose workers may have it; nil for a task that an outside program runs.
    public let group: Group?
    public let model: SharedBytes?
    public let priority: Priority
    public let timeout: TimeSpan
    let idempotencyKey: SharedBytes?
    public let provider: SharedBytes?
    public let type: SharedBytes?
    /// What an outside program said of it at its coming: a JSON object, byte for byte.
    public let metadata: SharedBytes?

    /// The time before a retry: while it runs the task is queued, and stands in no line.
    struct Pause {
        let timer: TimerTicket
        let until: WallTime
    }

    /// Its events: their numbers, whom they are for, and where they are remembered.
    public var stream: TaskStream

    /// What the worker gets; given back once the task has ended.
    public internal(set) var payload: SharedBytes
    public private(set) var state = TaskState.queued
    public internal(set) var outcome: Outcome?
    /// The worker that has it in hand.
    public internal(set) var worker: Worker?
    /// The worker that has it in hand or had it last.
    public internal(set) var lastWorker: WorkerID?
    var keeping = Keeping.inMemory
    /// Requests that wait for its end.
    var waiters: [ExchangeID] = []
    /// Whether somebody asked for it without waiting: then it outlives every waiter.
    var isDetached: Bool

    /// 0 to 100 on the scale of the whole task. Never goes back, unless an outside program says so of its own task.
    public private(set) var progress = Stage.created
    /// What its worker said last on the way: what a report leaves out stays as it was.
    public private(set) var report: TaskEvent.Progress?
    /// The event that ended it.
    public internal(set) var ending: TaskEvent?
    /// How often it was given to a worker.
    public internal(set) var attempts = 0
    /// The number of its present assignment, or its last: that of the event by which it was told, which grows with each one and is never
    /// given twice, also after a restart. 0 before the first.
    public internal(set) var lease: UInt64 = 0
    /// How often it was to start anew at most, and how often it still may.
    var retries: Int
    var retriesLeft: Int
    /// Until when it waits to be tried again; nil where it does not.
    var pause: Pause?
    /// Events of this task so far.
    public var sequence: UInt64 { stream.sequence }
    public var user: SharedBytes? { stream.origin.user }
    public var project: SharedBytes? { stream.origin.project }

    public let createdAt: WallTime
    public let enqueuedAt: WallTime
    public internal(set) var startedAt: WallTime?
    public internal(set) var endedAt: WallTime?
    /// The time of its last event.
    public internal(set) var updatedAt: WallTime
    /// When it was submitted and given to its worker, for durations.
    let submittedInstant: Instant
    var assignedInstant: Instant?
    /// When its outside program spoke last.
    var heardInstant: Instant

    /// Its place in the line: smaller goes first within a priority.
    var lineNumber: Int64 = 0
    /// Its places among the ended tasks, among its user's tasks, and among those of them that have not ended.
    var endedPlace = -1
    var userPlace = -1
    var activePlace = -1
    var deadline: TimerTicket?

    /// A task for the workers of a group.
    init(
        id: TaskID, submission: Submission, group: Group, timeout: TimeSpan, isDetached: Bool, stream: consuming TaskStream, at now: Moment
    ) {
        self.id = id
        self.stream = stream
        origin = .dispatched
        provider = submission.provider
        type = submission.type
        metadata = nil
        self.group = group
        model = submission.model
        priority = submission.priority
        self.timeout = timeout
        idempotencyKey = submission.idempotencyKey
        payload = submission.payload
        self.isDetached = isDetached
        retries = submission.retries
        retriesLeft = submission.retries
        createdAt = now.wall
        enqueuedAt = now.wall
        updatedAt = now.wall
        submittedInstant = now.instant
        heardInstant = now.instant
    }

    /// A task that an outside program runs; `timeout` is how long it may say nothing.
    init(registration: TaskRegistration, timeout: TimeSpan, stream: consuming TaskStream, at now: Moment) {
        id = registration.id
        self.stream = stream
        origin = .reported
        provider = nil
        type = registration.type
        metadata = registration.metadata
        group = nil
        model = nil
        priority = .normal
        self.timeout = timeout
        idempotencyKey = nil
        payload = .empty
        isDetached = true
        retries = 0
        retriesLeft = 0
        createdAt = now.wall
        enqueuedAt = now.wall
        updatedAt = now.wall
        submittedInstant = now.instant
        heardInstant = now.instant
        progress = 0
    }

    /// A task that an earlier process wrote down.
    init(image: TaskImage, group: Group?, stream: consuming TaskStream, at now: Moment) {
        id = image.id
        self.stream = stream
        origin = image.origin
        provider = image.provider
        type = image.type
        metadata = image.metadata
        self.group = group
        model = image.model
        priority = image.priority
        timeout = image.timeout
        // A task that was given up with all who waited for it gave its key up too.
        idempotencyKey = image.state == .cancelled && !image.isDetached ? nil : image.idempotencyKey
        payload = image.state.isTerminal ? .empty : image.payload
        isDetached = image.isDetached
        retries = image.retries
        retriesLeft = image.retriesLeft
        attempts = image.attempts
        lease = image.lease
        createdAt = image.createdAt
        enqueuedAt = image.enqueuedAt
        startedAt = image.startedAt
        endedAt = image.ending?.endedAt
        submittedInstant = min(now.instant(of: image.enqueuedAt), now.instant)
        assignedInstant = image.startedAt.map { min(now.instant(of: $0), now.instant) }
        state = image.state
        lastWorker = image.worker.flatMap { WorkerID($0.span) }
        outcome = image.ending?.outcome
        ending = image.ending?.event
        keeping = .archived
        heardInstant = now.instant
        // The end is the last event, also where the clock was set back before it.
        let heard = [image.startedAt, image.progress?.createdAt].compactMap { $0 }
        updatedAt = image.ending?.endedAt ?? heard.reduce(image.createdAt, max)
        report = image.progress.map { $0.report(origin: image.origin) }
        progress = TaskRecord.figure(of: image)
    }

    /// How far a task was that an earlier process wrote down: as its last remembered event said, or as its state tells.
    private static func figure(of image: TaskImage) -> Double {
        if image.state == .completed { return Stage.final }
        if let row = image.progress { return min(max(Double(row.progress), 0), 100) }
        switch image.origin {
        case .reported: return 0
        case .dispatched: return image.attempts > 0 ? Stage.sent : Stage.queued
        }
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
            let figure = min(max(percent, 0), 100)
            switch origin {
            case .dispatched: advance(to: Stage.working.lowerBound + figure / 100 * (Stage.working.upperBound - Stage.working.lowerBound))
            case .reported: progress = figure
            }
        }
        let merged = report.map { news.merged(with: $0) } ?? news
        report = merged
        return merged
    }

    /// Whether it outlives the process: it is written down, or on its way there and not refused yet. To be asked once everything that was
    /// to be written before is safe.
    public var isRecorded: Bool {
        switch keeping {
        case .recorded, .archived: true
        case .inMemory, .refused: false
        }
    }

    /// Whether somebody was told that it would be done, or may ask for it by its key: then it is written down as it comes.
    var isPromised: Bool { isDetached || idempotencyKey != nil }

    /// Bytes that users gave and that a task holds until it has ended.
    var heldBytes: Int { payload.count + (metadata?.count ?? 0) }

    /// How long it has been in its worker's hands, or, before that, how long it has waited.
    public func elapsed(at now: Instant) -> TimeSpan { now - (assignedInstant ?? submittedInstant) }

    /// Bytes that the record keeps once it has ended.
    var retainedBytes: Int {
        let names = (idempotencyKey?.count ?? 0) + (model?.count ?? 0) + (provider?.count ?? 0) + (type?.count ?? 0)
        let texts = names + (user?.count ?? 0) + (project?.count ?? 0) + (id.name?.count ?? 0) + (metadata?.count ?? 0)
        return TaskRecord.ownBytes + texts + (report?.byteCount ?? 0) + (ending?.byteCount ?? 0)
    }

    /// What a record costs besides the bytes that users gave: itself, its three table entries, its place in the row of the ended.
    static let ownBytes = 640
}
