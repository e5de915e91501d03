// Broker+RecoveryChanceTests: random lives of tasks, workers and outside programs, cut off in the middle and taken up by a next broker
// from their records: nothing that was promised is lost, nothing that is over comes back, and the books agree.
import Base
import Testing
import TestSupport

@testable import Domain

struct BrokerRecoveryChanceTests {
    @Test("a random life that is cut off goes on where its records say", arguments: 1...150)
    func chance(_ seed: Int) throws {
        var random = Seeded(seed: UInt64(seed))
        let life = Life(seed: UInt64(seed))
        for _ in 0..<Int.random(in: 1...120, using: &random) { try life.step() }
        try life.restart()
        for _ in 0..<60 { try life.step() }
        try life.restart()
        life.finish()
    }
}

/// A broker that is led through chance, and begun again from its records.
private final class Life {
    private var rig: Rig
    private let shelf = Shelf()
    private var random: Seeded
    private var tasks: [TaskRecord] = []
    private var workers: [Worker] = []
    private var removed: Set<TaskID> = []
    private var request: UInt32 = 0
    private let change: (inout Limits) -> Void = {
        $0.resultTTL = .seconds(40)
        $0.recoveryGrace = .seconds(5)
        $0.reportedSilenceMax = .seconds(30)
        $0.taskTimeoutMin = .seconds(2)
        $0.taskTimeoutDefault = .seconds(20)
        $0.abandonedGrace = .seconds(2)
        $0.deadLetterTime = .seconds(30)
        $0.deadLettersMax = 6
        $0.retryDelay = .milliseconds(700)
        $0.retryDelayMax = .seconds(2)
    }

    init(seed: UInt64) {
        random = Seeded(seed: seed &* 977)
        rig = Rig(seed: seed, change)
    }

    private func chance(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

    func step() throws {
        let worker = workers.randomElement(using: &random)
        let held = worker?.hands.randomElement(using: &random)
        let reported = tasks.filter { $0.origin == .reported }.randomElement(using: &random)
        switch chance(14) {
        case 0: workers.append(rig.ready(["g", "h"][chance(2)], concurrency: 1 + chance(3)))
        case 1...3: submit()
        case 4: if let worker, let held { try rig.complete(held, by: worker) }
        case 5: if let worker, let held { try rig.fail(held, by: worker) }
        case 6: if let worker, let held { try rig.progress(held, by: worker, Double(chance(101))) }
        case 7: if let worker, let held { try rig.broker.logged(held.id, by: worker, Rig.log, at: rig.now) }
        case 8:
            if let worker, chance(3) == 0 {
                rig.gone(worker)
                workers.removeAll { $0 === worker }
            }
        case 9:
            if let task = try? rig.register("n\(chance(12))", user: "u", metadata: "mm") {
                removed.remove(task.id)
                tasks.removeAll { $0.id == task.id }
                tasks.append(task)
            }
        case 10, 11:
            if let reported {
                let reports: [OutsideReport] = [
                    .started, .progress(TaskEvent.Progress(reported: Double(chance(101)))), .log(Rig.log),
                    .completed(result: SharedBytes("1")),
                    .failed(TaskEvent.Fault(error: .plain(SharedBytes("w")), details: SharedBytes("{}"))), .cancelled(reason: nil),
                ]
                _ = rig.report(reported, reports[chance(6)])
            }
        case 12 where chance(2) == 0:
            // Failed tasks are tried again, and so are those that fail in turn.
            if let letter = rig.broker.letters.entries.randomElement(using: &random)?.letter {
                if let task = try? rig.broker.replay(letter.id, at: rig.now) {
                    #expect(task.payload == letter.submission.payload && task.user == letter.submission.user)
                    tasks.append(task)
                    shelf.take(rig.taken())
                    rig.broker.replaySettled(of: letter.id, by: task.id)
                    #expect(rig.broker.letter(letter.id) == nil)
                }
            }
        case 12:
            if let task = tasks.randomElement(using: &random) {
                if chance(2) == 0 { _ = rig.cancel(task) } else if rig.remove(task.id) == "removed" { removed.insert(task.id) }
            }
        default: break
        }
        shelf.take(rig.taken())
        if chance(3) == 0 { pass(.milliseconds(Int64(chance(1_500)))) }
    }

    private func pass(_ span: TimeSpan) {
        rig.pass(span)
        shelf.take(rig.taken())
    }

    private func submit() {
        request += 1
        let kind = chance(3)
        let task = try? rig.submit(
            String(repeating: "x", count: chance(9)), group: ["g", "h"][chance(2)], retries: chance(3),
            key: chance(4) == 0 ? "k\(request)" : nil, user: ["u", "v", nil][chance(3)], request: kind == 0 ? request : nil,
            accepted: kind == 1 ? request : nil)
        if let task { tasks.append(task) }
    }

    /// The process ends, and another one begins with what is written.
    func restart() throws {
        let old = rig
        rig = Rig(seed: random.next(), change)
        rig.begin(after: old, pause: .milliseconds(Int64(chance(4_000))))
        let letters = shelf.letters
        rig.broker.restore(letters: letters, at: rig.now)
        rig.broker.restore(live: shelf.live, ended: shelf.ended, at: rig.now)
        shelf.take(rig.taken())
        #expect(rig.broker.letters.entries.map(\.letter) == letters.suffix(rig.broker.letterCount))
        var fresh: [TaskRecord] = []
        for task in tasks {
            guard old.broker.task(task.id) === task, task.isRecorded else {
                // What was not promised is gone with its process; what was forgotten stays so.
                if !task.isRecorded { #expect(rig.broker.task(task.id) == nil) }
                if removed.contains(task.id) { #expect(rig.broker.task(task.id) == nil, "what was removed came back") }
                continue
            }
            guard let next = rig.broker.task(task.id) else {
                let age = task.endedAt.map { rig.now.wall.milliseconds - $0.milliseconds }
                #expect(try #require(age) >= 40_000, "\(task.state) task is lost")
                continue
            }
            compare(next, with: task)
            fresh.append(next)
        }
        for name in ["u", "v"] {
            let mine = fresh.filter { $0.user == SharedBytes(name) }
            let page = rig.broker.tasks(of: SharedBytes(name), in: nil, after: nil, limit: 1_000)
            #expect(Set(page.tasks.map(\.id)) == Set(mine.map(\.id)) && page.tasks.count == mine.count)
        }
        tasks = fresh
        let live = fresh.filter { !$0.state.isTerminal }
        let broker = rig.broker
        #expect(broker.queuedCount == live.count { $0.state == .queued && $0.origin == .dispatched })
        #expect(broker.executingCount == live.count { $0.state == .executing && $0.origin == .dispatched })
        #expect(broker.reportedCount == live.count { $0.origin == .reported })
        #expect(broker.payloadBytes == live.reduce(0) { $0 + $1.heldBytes })
        for group in ["g", "h"] {
            let wanted = tasks.filter { $0.group?.name == SharedBytes(group) && $0.state == .queued && $0.pause == nil }
            #expect(wanted.map { broker.position(of: $0) }.sorted() == Array(1..<wanted.count + 1))
        }
        let before = workers
        workers = before.compactMap { old in
            guard chance(2) == 0 else { return nil }
            let back = rig.connect(old.group.name.description, isExplicit: true, resuming: old.id)
            let wanted = tasks.filter { $0.state == .executing && $0.lastWorker == old.id }
            #expect(Set(back.hands.map(\.id)) == Set(wanted.map(\.id)) && (back.id == old.id) == !wanted.isEmpty)
            rig.broker.workerReady(back, concurrency: max(back.hands.count, 1), models: nil, at: rig.now)
            return back
        }
        shelf.take(rig.taken())
    }

    private func compare(_ next: TaskRecord, with old: TaskRecord) {
        let isLost = !old.state.isTerminal && !old.isDetached && old.idempotencyKey == nil
        #expect(next.state == (isLost ? .cancelled : old.state))
        if old.state.isTerminal {
            #expect(TaskEndingTests.spelled(next.ending) == TaskEndingTests.spelled(old.ending) && next.sequence == old.sequence)
            #expect(Rig.end(of: next) == Rig.end(of: old) && next.endedAt == old.endedAt)
        } else {
            #expect(next.sequence > old.sequence && next.stream.origin.epoch != old.stream.origin.epoch)
            if !isLost { #expect(next.payload == old.payload) }
            // Not tried again before its time, and not much later either.
            if let pause = next.pause { #expect(pause.until == old.pause?.until) }
            if let until = old.pause?.until, until > rig.now.wall, !isLost { #expect(next.pause != nil) }
        }
        #expect(next.origin == old.origin && next.user == old.user && next.metadata == old.metadata && next.attempts == old.attempts)
        #expect(next.startedAt == old.startedAt && next.createdAt == old.createdAt && next.lastWorker == old.lastWorker)
        #expect(next.retries == old.retries && (next.lease == old.lease || next.origin == .reported))
        #expect(next.retriesLeft == old.retriesLeft && next.group?.name == old.group?.name && next.timeout == old.timeout)
    }

    /// Lets everything end and be forgotten.
    func finish() {
        for _ in 0..<120 { pass(.seconds(1)) }
        for worker in workers { rig.gone(worker) }
        shelf.take(rig.taken())
        let broker = rig.broker
        #expect(broker.queuedCount == 0 && broker.executingCount == 0 && broker.reportedCount == 0 && broker.payloadBytes == 0)
        rig.pass(.seconds(40))
        #expect(broker.endedCount == 0 && broker.groupCount == 0 && broker.users.count == 0 && broker.nextDeadline == nil)
        #expect(broker.orphans.isEmpty && shelf.live.isEmpty && shelf.letters.isEmpty)
        #expect(broker.letterBytes == 0 && broker.pausedCount == 0)
    }
}
