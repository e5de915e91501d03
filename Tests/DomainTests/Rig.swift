// Rig: a broker with a clock that is turned by hand, and names for people: tasks t1, t2 … in the order of submission, workers w1, w2 …
// in the order of connecting, requests by their number. What the broker asks for becomes lines that a test can read.
import Base

@testable import Domain

final class Rig {
    let broker: Broker
    private(set) var now = Moment(instant: Instant(nanoseconds: 5_000_000_000), wall: WallTime(milliseconds: 1_700_000_000_000))
    private var names: [TaskID: String] = [:]
    private var effects: [Effect] = []

    init(seed: UInt64 = 1, _ change: (inout Limits) -> Void = { _ in }) {
        var limits = Limits()
        change(&limits)
        broker = Broker(limits: limits, random: Randomness(seed: seed))
    }

    /// A worker that has said `ready`.
    func ready(_ group: String = "default", concurrency: Int? = nil, models: [String]? = nil) -> Worker {
        let worker = connect(group, isExplicit: true)
        broker.workerReady(worker, concurrency: concurrency, models: models?.map { SharedBytes($0) }, at: now)
        return worker
    }

    func connect(_ group: String = "default", isExplicit: Bool = false, resuming: WorkerID? = nil) -> Worker {
        let slot = UInt32(broker.workerCount)
        return broker.workerConnected(
            group: SharedBytes(group), connection: ConnectionID(slot: slot, generation: 1), isExplicit: isExplicit, resuming: resuming,
            at: now)
    }

    @discardableResult
    func submit(
        _ payload: String = "{}", group: String? = nil, model: String? = nil, priority: Priority = .normal, timeout: TimeSpan? = nil,
        retries: Int = 0, key: String? = nil, user: String? = nil, request: UInt32? = nil, accepted: UInt32? = nil
    ) throws(SubmissionRefusal) -> TaskRecord {
        var submission = Submission(
            payload: SharedBytes(payload), group: group.map { SharedBytes($0) }, model: model.map { SharedBytes($0) }, priority: priority,
            timeout: timeout, retries: retries, idempotencyKey: key.map { SharedBytes($0) })
        submission.user = user.map { SharedBytes($0) }
        let requester: Requester =
            if let request { .ended(Rig.exchange(request)) } else if let accepted { .accepted(Rig.exchange(accepted)) } else { .nobody }
        let task = try broker.submit(submission, for: requester, at: now)
        note(task.id)
        return task
    }

    private func note(_ id: TaskID) { if names[id] == nil { names[id] = "t\(names.count + 1)" } }

    /// A task that an outside program runs; it has the name that it chose.
    @discardableResult
    func register(_ name: String, user: String = "u", metadata: String? = nil) throws(RegistrationRefusal) -> TaskRecord {
        let registration = TaskRegistration(
            id: Rig.id(name), user: SharedBytes(user), metadata: metadata.map { SharedBytes($0) })
        let task = try broker.register(registration, at: now)
        names[task.id] = name
        return task
    }

    /// The name that an outside program chose.
    static func id(_ name: String) -> TaskID { TaskID(SharedBytes(name).span) ?? TaskID(high: 0, low: 0) }

    /// What an outside program's word is answered: "taken", or why not.
    func report(_ task: TaskRecord, _ report: OutsideReport) -> String {
        do throws(OutsideRefusal) {
            _ = try broker.report(report, of: task.id, at: now)
            return "taken"
        } catch {
            switch error {
            case .unknownTask: return "unknown task"
            case .dispatched: return "dispatched"
            case .ended(let state): return "already \(state)"
            }
        }
    }

    /// What would have been written of the task, as far as its failure is told by it.
    func image(_ task: TaskRecord, named id: TaskID? = nil) -> TaskImage {
        TaskImage(
            id: id ?? task.id, group: .empty, isDetached: true, payload: .empty, timeout: .zero, createdAt: task.createdAt,
            enqueuedAt: task.createdAt)
    }

    func remove(_ id: TaskID) -> String {
        switch broker.remove(id, at: now) {
        case .removed: "removed"
        case .active: "active"
        case .unknownTask: "unknown"
        }
    }

    static let log = TaskEvent.Log(logs: SharedBytes("l"))
    static let piece = SharedBytes("1")

    static func exchange(_ number: UInt32) -> ExchangeID {
        ExchangeID(connection: ConnectionID(slot: number, generation: 1), number: number)
    }

    /// Begins `pause` after another rig, with that one's names, on a machine whose clock counts from elsewhere.
    func begin(after other: Rig, pause: TimeSpan) {
        let wall = WallTime(milliseconds: other.now.wall.milliseconds + pause.milliseconds)
        now = Moment(instant: Instant(nanoseconds: 1_000_000), wall: wall)
        names = other.names
    }

    /// The wall's clock is set back.
    func setBack(_ span: TimeSpan) {
        now = Moment(instant: now.instant, wall: WallTime(milliseconds: now.wall.milliseconds - span.milliseconds))
    }

    func pass(_ span: TimeSpan) {
        let wall = WallTime(milliseconds: now.wall.milliseconds + span.milliseconds)
        now = Moment(instant: now.instant + span, wall: wall)
        broker.advance(to: now)
    }

    func complete(
        _ task: TaskRecord, by worker: Worker, _ result: String = "42", lease: UInt64? = nil
    ) throws(ReportRefusal) {
        try broker.complete(task.id, by: worker, lease: lease, TaskEvent.Completion(result: SharedBytes(result)), at: now)
    }

    func fail(_ task: TaskRecord, by worker: Worker, _ words: String = "\"oops\"") throws(ReportRefusal) {
        try broker.fail(task.id, by: worker, TaskEvent.Fault(error: .raw(SharedBytes(words))), at: now)
    }

    func progress(_ task: TaskRecord, by worker: Worker, _ percent: Double) throws(ReportRefusal) {
        try broker.progress(task.id, by: worker, TaskEvent.Progress(reported: percent), at: now)
    }

    func cancel(_ task: TaskRecord) -> String {
        switch broker.cancel(task.id, at: now) {
        case .cancelled: "cancelled"
        case .alreadyEnded(let task): "already \(task.state)"
        case .unknownTask: "unknown"
        }
    }

    func abandon(_ task: TaskRecord, _ request: UInt32) { broker.abandon(task, by: Rig.exchange(request), at: now) }
    func drain(_ worker: Worker) { broker.workerDraining(worker, at: now) }
    func gone(_ worker: Worker) { broker.workerGone(worker, at: now) }

    /// What the broker asked for since the last call.
    func heard() -> [String] { taken().compactMap(line) }

    /// What watchers would be told since the last call, each with its number: for tests that ask for nothing else.
    func published() -> [String] {
        taken().compactMap { effect in
            guard case .publish(let publication) = effect else { return nil }
            return "\(name(publication.task)) #\(publication.sequence) \(Rig.word(publication.event)) \(Int(publication.progress))"
        }
    }

    static func word(_ event: TaskEvent) -> String {
        switch event {
        case .queued: "queued"
        case .started: "started"
        case .progress: "progress"
        case .log: "log"
        case .chunk: "chunk"
        case .failed: "failed"
        case .completed: "completed"
        case .cancelled: "cancelled"
        }
    }

    /// Everything in its order since the last call, without the tasks' names: what is written, promised and told.
    func order() -> [String] {
        taken().map { effect in
            switch effect {
            case .assign: "assign"
            case .recall: "recall"
            case .acknowledge: "acknowledge"
            case .dismiss: "dismiss"
            case .publish(let publication): "publish \(Rig.word(publication.event))"
            case .accept: "accept"
            case .answer: "answer"
            case .archive(let publication): "archive \(Rig.word(publication.event)) \(publication.sequence)"
            case .record(let record): "record \(Rig.word(record))"
            }
        }
    }

    private static func word(_ record: Record) -> String {
        switch record {
        case .submitted(let image): "submitted \(image.state) \(image.sequence)"
        case .assigned(let start): "assigned \(start.sequence)"
        case .requeued(let requeue): "requeued \(requeue.sequence)"
        case .resumed: "resumed"
        case .ended(let ending): "ended \(ending.state) \(ending.sequence)"
        case .removed: "removed"
        case .progressCleared: "cleared"
        case .letterKept(let letter): "letter \(letter.number)"
        case .letterRemoved: "letter gone"
        case .progressed, .logged, .happened, .sessionOpened, .sessionTouched, .sessionClosed, .activityNoted, .alertChanged,
            .deploymentChanged, .deploymentRemoved, .revoked, .revocationRemoved:
            "what is not the broker's"
        }
    }

    /// As `heard`, for machines.
    func taken() -> [Effect] {
        broker.takeEffects(into: &effects)
        defer { effects.removeAll() }
        return effects
    }

    /// What is told to one; what everybody hears is `published`.
    private func line(_ effect: Effect) -> String? {
        switch effect {
        case .publish, .record, .archive: nil
        case .assign(let task, let worker): "\(name(worker)) gets \(name(task.id))"
        case .recall(let id, let worker): "\(name(worker)) drops \(name(id))"
        case .acknowledge(let id, let worker): "\(name(worker)) is thanked for \(name(id))"
        case .dismiss(let worker): "\(name(worker)) may leave"
        case .accept(let exchange, let task): "request \(exchange.number): \(name(task.id)) is taken in"
        case .answer(let exchange, let task): "request \(exchange.number): \(name(task.id)) \(Rig.end(of: task))"
        }
    }

    private func name(_ id: TaskID) -> String { names[id] ?? "an unnamed task" }
    private func name(_ worker: Worker) -> String { "w\(worker.id.number)" }

    static func end(of task: TaskRecord) -> String {
        switch task.outcome {
        case .completed(let result): "completed \(result)"
        case .failed(.reported(let words)): "failed \(words.bytes)"
        case .failed(.timeout): "timed out"
        case .failed(.workerDisconnected): "lost its worker"
        case .cancelled: "cancelled"
        case nil: "goes on"
        }
    }

    /// The names of the tasks that a worker has in hand.
    func hands(of worker: Worker) -> [String] { worker.hands.map { name($0.id) } }
}

/// What a report was answered: "taken", or why not.
func verdict(_ report: () throws(ReportRefusal) -> Void) -> String {
    do throws(ReportRefusal) {
        try report()
        return "taken"
    } catch {
        switch error {
        case .unknownTask: return "unknown task"
        case .notYours: return "not yours"
        case .leaseOver: return "lease over"
        case .ended(let state): return "already \(state)"
        }
    }
}
