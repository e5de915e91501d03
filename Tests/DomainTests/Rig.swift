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

    func connect(_ group: String = "default", isExplicit: Bool = false) -> Worker {
        let slot = UInt32(broker.workerCount)
        return broker.workerConnected(
            group: SharedBytes(group), connection: ConnectionID(slot: slot, generation: 1), isExplicit: isExplicit, at: now)
    }

    @discardableResult
    func submit(
        _ payload: String = "{}", group: String? = nil, model: String? = nil, priority: Priority = .normal, timeout: TimeSpan? = nil,
        retries: Int = 0, key: String? = nil, request: UInt32? = nil
    ) throws(SubmissionRefusal) -> TaskRecord {
        let submission = Submission(
            payload: SharedBytes(payload), group: group.map { SharedBytes($0) }, model: model.map { SharedBytes($0) }, priority: priority,
            timeout: timeout, retries: retries, idempotencyKey: key.map { SharedBytes($0) })
        let task = try broker.submit(submission, for: request.map(Rig.exchange), at: now)
        if names[task.id] == nil { names[task.id] = "t\(names.count + 1)" }
        return task
    }

    static let log = TaskEvent.Log(logs: SharedBytes("l"))
    static let piece = SharedBytes("1")

    static func exchange(_ number: UInt32) -> ExchangeID {
        ExchangeID(connection: ConnectionID(slot: number, generation: 1), number: number)
    }

    func pass(_ span: TimeSpan) {
        let wall = WallTime(milliseconds: now.wall.milliseconds + span.milliseconds)
        now = Moment(instant: now.instant + span, wall: wall)
        broker.advance(to: now)
    }

    func complete(_ task: TaskRecord, by worker: Worker, _ result: String = "42") throws(ReportRefusal) {
        try broker.complete(task.id, by: worker, TaskEvent.Completion(result: SharedBytes(result)), at: now)
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
            let word =
                switch publication.event {
                case .queued: "queued"
                case .started: "started"
                case .progress: "progress"
                case .log: "log"
                case .chunk: "chunk"
                case .failed: "failed"
                case .completed: "completed"
                case .cancelled: "cancelled"
                }
            return "\(name(publication.task)) #\(publication.sequence) \(word) \(Int(publication.progress))"
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
        case .publish: nil
        case .assign(let task, let worker): "\(name(worker)) gets \(name(task.id))"
        case .recall(let id, let worker): "\(name(worker)) drops \(name(id))"
        case .acknowledge(let id, let worker): "\(name(worker)) is thanked for \(name(id))"
        case .dismiss(let worker): "\(name(worker)) may leave"
        case .answer(let exchange, let task): "request \(exchange.number): \(name(task.id)) \(Rig.end(of: task))"
        }
    }

    private func name(_ id: TaskID) -> String { names[id] ?? "an unnamed task" }
    private func name(_ worker: Worker) -> String { "w\(worker.id.number)" }

    static func end(of task: TaskRecord) -> String {
        switch task.outcome {
        case .completed(let result): "completed \(result)"
        case .failed(.reported(let words)): "failed \(words)"
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
        case .ended(let state): return "already \(state)"
        }
    }
}
