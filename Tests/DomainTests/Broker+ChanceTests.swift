// Broker+ChanceTests: random lives of tasks and workers, and what must hold after every step of them: each task is in exactly one place,
// counts agree with a count by hand, nobody waits who could be served, every request is answered once, an end is final.
import Base
import Testing
import TestSupport

@testable import Domain

/// A broker that is led through chance, and a witness that keeps its own books.
private final class Witness {
    /// What the witness remembers of a task, beyond what the task says.
    private final class Entry {
        let task: TaskRecord
        let bytes: Int
        let retries: Int
        let number: Int
        var requests: Set<UInt32> = []
        var state = TaskState.queued
        var end: String?
        var progress = 0.0
        var sequence: UInt64 = 0
        var lease: UInt64 = 0
        var attempts = 0

        init(_ task: TaskRecord, bytes: Int, retries: Int, number: Int) {
            self.task = task
            self.bytes = bytes
            self.retries = retries
            self.number = number
        }
    }

    private let rig: Rig
    private var random: Seeded
    private var entries: [TaskID: Entry] = [:]
    private var living: [Entry] = []
    private var ended: [Entry] = []
    private var workers: [Worker] = []
    /// How many tasks each worker may hold: what it said, or what it held when it said less.
    private var handsMax: [WorkerID: Int] = [:]
    /// The draining workers that were told that they may leave.
    private var dismissed: Set<WorkerID> = []
    private var answered: Set<UInt32> = []
    private var lastRequest: UInt32 = 0
    private var submitted = 0
    private var keys: [String: TaskRecord] = [:]
    private let groups = ["g", "h"]
    private let models: [String?] = [nil, "m", "n"]

    init(seed: UInt64) {
        random = Seeded(seed: seed)
        rig = Rig(seed: seed) {
            $0.queueLengthMax = 6
            $0.payloadBytesMax = 120
            $0.endedBytesMax = 20 * TaskRecord.ownBytes
            $0.resultTTL = .seconds(20)
            $0.abandonedGrace = .seconds(3)
            $0.deadLetterTime = .seconds(15)
            $0.deadLettersMax = 5
            $0.retryDelay = .milliseconds(700)
            $0.retryDelayMax = .seconds(2)
            $0.taskTimeoutDefault = .seconds(9)
            $0.taskTimeoutMin = .seconds(2)
        }
    }

    private func chance(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

    /// One random event; then everything that must hold.
    func step() {
        switch chance(20) {
        case 0, 1: connect()
        case 2...7: submit()
        case 8...11: report(isFinal: true)
        case 12: report(isFinal: false)
        case 13: nonsense()
        case 14: cancelOrAbandon()
        case 15: if chance(2) == 0, let worker = workers.randomElement(using: &random) { rig.drain(worker) }
        case 16: if let worker = workers.randomElement(using: &random) { ready(worker) }
        case 17: vanish()
        default:
            // Effects are performed before the clock moves on.
            settle()
            rig.pass(.milliseconds(Int64(chance(1_500))))
        }
        // Several events of one moment may come before their effects are performed.
        if chance(3) != 0 { settle() }
    }

    /// Lets everything end.
    func finish() {
        settle()
        for _ in 0..<40 {
            rig.pass(.seconds(1))
            settle()
        }
        #expect(living.isEmpty && rig.broker.queuedCount == 0 && rig.broker.executingCount == 0 && rig.broker.payloadBytes == 0)
        for worker in workers { rig.gone(worker) }
        workers = []
        settle()
        #expect(rig.broker.workerCount == 0 && rig.broker.groupCount == 0)
        rig.pass(.seconds(20))
        #expect(rig.broker.endedCount == 0 && rig.broker.endedBytes == 0 && rig.broker.nextDeadline == nil)
    }

    // MARK: Events

    private func connect() {
        guard workers.count < 6, let group = groups.randomElement(using: &random) else { return }
        let worker = rig.connect(group, isExplicit: chance(2) == 0)
        workers.append(worker)
        handsMax[worker.id] = 1
        if chance(2) == 0 { ready(worker) }
    }

    private func ready(_ worker: Worker) {
        settle()
        dismissed.remove(worker.id)
        let concurrency = chance(2) == 0 ? nil : 1 + chance(4)
        let names = models.compactMap { $0 }.filter { _ in chance(3) == 0 }.map { SharedBytes($0) }
        let declared = chance(2) == 0 ? nil : names
        if let concurrency { handsMax[worker.id] = max(concurrency, worker.hands.count) }
        rig.broker.workerReady(worker, concurrency: concurrency, models: declared, at: rig.now)
    }

    private func submit() {
        lastRequest += 1
        let request = chance(3) == 0 ? nil : lastRequest
        let key = chance(6) == 0 ? "k\(chance(4))" : nil
        let bytes = chance(12)
        let retries = chance(3)
        let known = key.flatMap { keys[$0] }.flatMap { rig.broker.task($0.id) }
        guard let group = groups.randomElement(using: &random), let model = models.randomElement(using: &random),
            let priority = Priority.allCases.randomElement(using: &random)
        else { return }
        do throws(SubmissionRefusal) {
            let task = try rig.submit(
                String(repeating: "x", count: bytes), group: group, model: model, priority: priority,
                timeout: .milliseconds(Int64(chance(12_000))), retries: retries, key: key, request: request)
            if let known { #expect(task === known) }
            if entries[task.id] == nil {
                submitted += 1
                let entry = Entry(task, bytes: bytes, retries: retries, number: submitted)
                entries[task.id] = entry
                living.append(entry)
                if let key { keys[key] = task }
            }
            if let request, !task.state.isTerminal { entries[task.id]?.requests.insert(request) }
        } catch {
            #expect(known == nil)
        }
    }

    private func report(isFinal: Bool) {
        guard let worker = workers.filter({ !$0.hands.isEmpty }).randomElement(using: &random),
            let task = worker.hands.randomElement(using: &random)
        else { return }
        // A worker cannot speak of what it has not been sent.
        settle()
        let verdict = verdict { () throws(ReportRefusal) in
            switch (isFinal, chance(3)) {
            case (true, 0): try rig.fail(task, by: worker)
            case (true, 1): try rig.complete(task, by: worker, lease: task.lease)
            case (true, _): try rig.complete(task, by: worker, "\(chance(100))")
            case (false, 0): try rig.broker.logged(task.id, by: worker, TaskEvent.Log(logs: SharedBytes("l")), at: rig.now)
            case (false, 1): try rig.broker.chunk(task.id, by: worker, SharedBytes("1"), at: rig.now)
            case (false, _): try rig.progress(task, by: worker, Double(chance(120)) - 10)
            }
        }
        #expect(verdict == "taken")
    }

    /// A word about a task that the worker does not have in hand, or about an assignment that is not its present one.
    private func nonsense() {
        if let task = workers.randomElement(using: &random)?.hands.randomElement(using: &random), let worker = task.worker, chance(2) == 0 {
            settle()
            let lease = task.lease &+ (chance(2) == 0 ? 1 : .max)
            #expect(verdict { () throws(ReportRefusal) in try rig.complete(task, by: worker, lease: lease) } == "lease over")
            return
        }
        guard let worker = workers.randomElement(using: &random), let entry = (living + ended).randomElement(using: &random),
            entry.task.worker !== worker
        else { return }
        settle()
        let before = (entry.task.state, entry.task.sequence, entry.task.progress)
        let verdict = verdict { () throws(ReportRefusal) in
            if chance(2) == 0 { try rig.complete(entry.task, by: worker) } else { try rig.progress(entry.task, by: worker, 99) }
        }
        #expect(verdict != "taken")
        #expect(entry.task.sequence == before.1 && entry.task.progress == before.2 && entry.task.state == before.0)
    }

    private func cancelOrAbandon() {
        guard let entry = living.randomElement(using: &random) else { return }
        if chance(2) == 0 {
            _ = rig.cancel(entry.task)
        } else if let request = entry.requests.randomElement(using: &random) {
            // Answered in this very moment, it may be gone all the same.
            let wasLiving = !entry.task.state.isTerminal
            if wasLiving { entry.requests.remove(request) }
            rig.abandon(entry.task, request)
            // Given up by all who waited, it gives its key up too.
            if wasLiving, entry.task.state.isTerminal { keys = keys.filter { $0.value !== entry.task } }
        }
    }

    private func vanish() {
        guard !workers.isEmpty else { return }
        // A worker's end comes in its own turn.
        settle()
        rig.gone(workers.remove(at: chance(workers.count)))
    }

    // MARK: What must hold

    private func settle() {
        hear()
        for entry in living { follow(entry) }
        for entry in ended { #expect(entry.state == entry.task.state && entry.end == Rig.end(of: entry.task)) }
        let over = living.filter { $0.task.state.isTerminal }
        living.removeAll { $0.task.state.isTerminal }
        ended.append(contentsOf: over)
        for entry in over { #expect(entry.requests.isEmpty, "a request of an ended task was not answered") }
        places()
        counts()
        workConserved()
    }

    private func hear() {
        for effect in rig.taken() {
            switch effect {
            case .publish, .record, .archive, .accept: break
            case .assign(let task, let worker):
                #expect(!task.state.isTerminal, "an ended task is sent")
                #expect(task.worker === worker && task.payload.count == entries[task.id]?.bytes)
            case .recall(let id, _):
                #expect(entries[id]?.task.state.isTerminal == true)
            case .acknowledge(let id, _):
                #expect(entries[id]?.task.state.isTerminal == true)
            case .dismiss(let worker):
                #expect(worker.isDraining && worker.hands.isEmpty && dismissed.insert(worker.id).inserted)
            case .answer(let exchange, let task):
                #expect(answered.insert(exchange.number).inserted, "a request is answered twice")
                #expect(entries[task.id]?.requests.remove(exchange.number) != nil, "a request is answered that does not wait")
                #expect(task.state.isTerminal && task.outcome != nil)
            }
        }
    }

    private func follow(_ entry: Entry) {
        let task = entry.task
        #expect(task.progress >= entry.progress && task.sequence >= entry.sequence && task.attempts <= entry.retries + 1)
        #expect((task.progress == 100) == (task.state == .completed))
        // Each assignment has a number of its own, above all before.
        #expect(task.attempts == entry.attempts ? task.lease == entry.lease : task.lease > entry.lease)
        (entry.lease, entry.attempts) = (task.lease, task.attempts)
        entry.progress = task.progress
        entry.sequence = task.sequence
        entry.state = task.state
        if task.state.isTerminal {
            entry.end = Rig.end(of: task)
            #expect(task.worker == nil && task.payload.isEmpty && task.endedAt != nil && task.deadline == nil)
        }
    }

    /// Every living task is in a line or in one worker's hands, as its state says; no ended one is anywhere.
    private func places() {
        var holders: [TaskID: Int] = [:]
        for worker in workers {
            for task in worker.hands {
                holders[task.id, default: 0] += 1
                #expect(task.state == .executing && task.worker === worker)
            }
            #expect(worker.hands.count <= handsMax[worker.id] ?? 0)
            #expect(dismissed.contains(worker.id) == (worker.isDraining && worker.hands.isEmpty))
            if worker.hands.count <= worker.concurrency { handsMax[worker.id] = worker.concurrency }
        }
        for entry in living { #expect(holders[entry.task.id, default: 0] == (entry.task.state == .executing ? 1 : 0)) }
        for entry in ended { #expect(holders[entry.task.id] == nil) }
        for group in rig.broker.allGroups {
            let queued = living.filter { $0.task.state == .queued && $0.task.group === group }
            let waiting = queued.filter { $0.task.pause == nil }
            #expect(group.waitingCount == waiting.count && group.pausedCount == queued.count - waiting.count)
            #expect(waiting.map { rig.broker.position(of: $0.task) }.sorted() == Array(1..<waiting.count + 1))
        }
    }

    private func counts() {
        let broker = rig.broker
        #expect(broker.queuedCount == living.count { $0.task.state == .queued })
        #expect(broker.executingCount == living.count { $0.task.state == .executing })
        #expect(broker.payloadBytes == living.reduce(0) { $0 + $1.bytes } && broker.payloadBytes <= 120)
        #expect(broker.workerCount == workers.count)
        for group in broker.allGroups {
            let members = workers.filter { $0.group === group }
            #expect(group.workerCount == members.count && group.staffCount == members.count { !$0.isDraining })
            #expect(group.waitingCount > 0 || group.pausedCount > 0 || !members.isEmpty, "a group that nobody is in is kept")
            let declared = Set(members.filter { !$0.isDraining }.flatMap(\.models))
            #expect(Set(group.models) == declared)
        }
        #expect(broker.pausedCount == living.count { $0.task.pause != nil })
        #expect(living.allSatisfy { $0.task.pause == nil || $0.task.attempts > 1 })
        #expect(broker.letterCount <= 5 && broker.letterBytes == broker.letters.entries.reduce(0) { $0 + $1.bytes })
        let statistics = broker.statistics
        let endedCount = statistics.completed + statistics.failed + statistics.cancelled
        #expect(statistics.submitted == UInt64(submitted) && endedCount == UInt64(ended.count))
        #expect(broker.endedBytes <= 20 * TaskRecord.ownBytes)
    }

    /// No task waits that a worker with room may serve, and of like tasks none waits behind a later one.
    private func workConserved() {
        let waiting = living.filter { $0.task.state == .queued && $0.task.pause == nil }
        for entry in waiting {
            let able = workers.first { $0.group === entry.task.group && $0.room > 0 && $0.group.mayServe($0, entry.task.model) }
            #expect(able == nil, "a task waits while a worker has room for it")
        }
        for entry in waiting where entry.task.attempts == 0 {
            let overtaker = living.first { other in
                other.task.state == .executing && other.number > entry.number && other.task.group === entry.task.group
                    && other.task.model == entry.task.model && other.task.priority == entry.task.priority
            }
            #expect(overtaker == nil, "a task was overtaken by a later one of its kind")
        }
    }
}

struct BrokerChanceTests {
    @Test("whatever happens in whatever order, the books agree", arguments: 1...300)
    func chance(_ seed: Int) {
        let witness = Witness(seed: UInt64(seed))
        for _ in 0..<150 { witness.step() }
        witness.finish()
    }
}
