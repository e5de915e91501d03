// BrokerTests: a task's way through the broker: taken in or refused, given out, ended, timed out, remembered and forgotten.
import Base
import Testing

@testable import Domain

struct BrokerTests {
    // MARK: A task's life

    @Test("a task goes to the worker, its result to the request, and the worker is thanked")
    func completion() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit("{\"a\":1}", request: 7)
        #expect(task.state == .executing && task.worker === worker && task.attempts == 1 && task.payload == SharedBytes("{\"a\":1}"))
        #expect(rig.heard() == ["w1 gets t1"])
        try rig.complete(task, by: worker, "[1]")
        #expect(task.state == .completed && task.worker == nil && worker.hands.isEmpty)
        #expect(rig.heard() == ["request 7: t1 completed [1]", "w1 is thanked for t1"])
        #expect(rig.heard() == [])
    }

    @Test("a worker's error fails the task with its words")
    func failure() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(request: 7)
        try rig.fail(task, by: worker, "{\"code\":5}")
        #expect(task.state == .failed)
        #expect(rig.heard() == ["w1 gets t1", "request 7: t1 failed {\"code\":5}", "w1 is thanked for t1"])
    }

    @Test("a task that nobody waits for ends without an answer and can be asked for")
    func detached() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        try rig.complete(task, by: worker)
        #expect(rig.heard() == ["w1 gets t1", "w1 is thanked for t1"])
        #expect(rig.broker.task(task.id) === task)
    }

    @Test("whoever is free next takes the first of the line: by priority, then by arrival")
    func order() throws {
        let rig = Rig()
        let worker = rig.ready()
        let running = try rig.submit()
        let low = try rig.submit(priority: .low)
        let normal = try rig.submit()
        let high = try rig.submit(priority: .high)
        let later = try rig.submit()
        #expect([high, normal, later, low].map { rig.broker.position(of: $0) } == [1, 2, 3, 4])
        #expect(rig.broker.queuedCount == 4 && rig.broker.executingCount == 1)
        var order: [TaskRecord] = []
        var next: TaskRecord? = running
        while let task = next {
            try rig.complete(task, by: worker)
            next = worker.hands.first
            if let next { order.append(next) }
        }
        #expect(order.map(\.id) == [high, normal, later, low].map(\.id))
        #expect(rig.broker.queuedCount == 0 && rig.broker.executingCount == 0)
    }

    @Test("the times of a task are the wall's, its waiting and its whole are the clock's")
    func times() throws {
        let rig = Rig()
        let worker = rig.ready()
        let first = try rig.submit()
        let second = try rig.submit()
        let start = rig.now.wall.milliseconds
        rig.pass(.seconds(2))
        try rig.complete(first, by: worker)
        rig.pass(.seconds(1))
        try rig.complete(second, by: worker)
        #expect(second.enqueuedAt.milliseconds == start)
        #expect(second.startedAt?.milliseconds == start + 2_000)
        #expect(second.endedAt?.milliseconds == start + 3_000)
        #expect(rig.broker.statistics.waiting.count == 2)
        #expect(rig.broker.statistics.waiting.sumNanoseconds == 2_000_000_000)
        #expect(rig.broker.statistics.total.sumNanoseconds == 5_000_000_000)
    }

    // MARK: Refusals

    @Test("a group without a worker refuses; a worker of another group does not help")
    func noWorker() throws {
        let rig = Rig()
        #expect(throws: SubmissionRefusal.noWorker) { try rig.submit() }
        _ = rig.ready("gpu")
        #expect(throws: SubmissionRefusal.noWorker) { try rig.submit() }
        #expect(throws: SubmissionRefusal.noWorker) { try rig.submit(group: "cpu") }
        let task = try rig.submit(group: "gpu")
        #expect(task.state == .executing)
        #expect(rig.broker.statistics.refusedNoWorker == 3 && rig.broker.statistics.submitted == 1)
    }

    @Test("a task without a group and one of the group default are of the same group")
    func defaultGroup() throws {
        let rig = Rig()
        _ = rig.ready()
        #expect(try rig.submit().group === rig.submit(group: "default").group)
    }

    @Test("a draining worker is none; its group still has those who wait")
    func drainingIsNone() throws {
        let rig = Rig()
        let worker = rig.ready()
        let running = try rig.submit()
        rig.drain(worker)
        #expect(throws: SubmissionRefusal.noWorker) { try rig.submit() }
        try rig.complete(running, by: worker)
        #expect(rig.heard() == ["w1 gets t1", "w1 is thanked for t1", "w1 may leave"])
    }

    @Test("the line of a group has its limit; other groups and a worker with room do not mind it")
    func queueFull() throws {
        let rig = Rig { $0.queueLengthMax = 2 }
        let worker = rig.ready(models: ["m"])
        let running = try rig.submit(model: "m")
        try rig.submit(model: "m")
        let last = try rig.submit(model: "m")
        #expect(throws: SubmissionRefusal.queueFull) { try rig.submit(model: "m") }
        #expect(rig.broker.statistics.refusedQueueFull == 1 && rig.broker.queuedCount == 2)
        // Another worker has room for tasks that name no declared model: they need not wait.
        _ = rig.ready()
        #expect(try rig.submit().state == .executing)
        _ = rig.ready("other")
        #expect(try rig.submit(group: "other").state == .executing)
        // Whoever leaves the line makes room, in whatever way.
        #expect(rig.cancel(last) == "cancelled")
        try rig.submit(model: "m")
        #expect(throws: SubmissionRefusal.queueFull) { try rig.submit(model: "m") }
        try rig.complete(running, by: worker)
        try rig.submit(model: "m")
        #expect(throws: SubmissionRefusal.queueFull) { try rig.submit(model: "m") }
    }

    @Test("a line of no length refuses whoever cannot be served at once")
    func noLine() throws {
        let rig = Rig { $0.queueLengthMax = 0 }
        _ = rig.ready()
        try rig.submit()
        #expect(throws: SubmissionRefusal.queueFull) { try rig.submit() }
    }

    @Test("payloads have a limit together, and an ended task gives its share back")
    func payloads() throws {
        let rig = Rig { $0.payloadBytesMax = 10 }
        let worker = rig.ready(concurrency: 8)
        let first = try rig.submit("123456")
        try rig.submit("1234")
        #expect(rig.broker.payloadBytes == 10)
        #expect(throws: SubmissionRefusal.queueFull) { try rig.submit("1") }
        #expect(throws: SubmissionRefusal.queueFull) { try rig.submit("12345678901") }
        try rig.submit("")
        try rig.complete(first, by: worker)
        #expect(rig.broker.payloadBytes == 4 && first.payload.isEmpty)
        try rig.submit("123456")
        #expect(rig.broker.payloadBytes == 10)
    }

    @Test("a server that is about to stop takes nothing in, but what is under way ends in its way")
    func closing() throws {
        let rig = Rig()
        let worker = rig.ready()
        let running = try rig.submit(key: "k", request: 1)
        try rig.submit(request: 2)
        rig.broker.close()
        #expect(throws: SubmissionRefusal.closing) { try rig.submit() }
        #expect(throws: SubmissionRefusal.closing) { try rig.submit(group: "nobody's") }
        // Who asks for a task that there is already is not refused.
        #expect(try rig.submit(key: "k", request: 3) === running)
        try rig.complete(running, by: worker)
        #expect(
            rig.heard() == [
                "w1 gets t1", "request 1: t1 completed 42", "request 3: t1 completed 42", "w1 is thanked for t1", "w1 gets t2",
            ])
        #expect(rig.broker.statistics.submitted == 2)
    }

    @Test("a task with a retry left finds another worker although the server is about to stop")
    func closingRetries() throws {
        let rig = Rig()
        let first = rig.ready()
        let task = try rig.submit(retries: 1, request: 1)
        let second = rig.ready()
        rig.broker.close()
        rig.gone(first)
        #expect(task.worker === second)
    }

    @Test("what a server that stops leaves to the next one is not given up by the grace of its own start")
    func closingGrace() throws {
        let rig = Rig()
        let shelf = Shelf()
        let worker = rig.ready()
        let (left, coming) = (try rig.submit(), try rig.submit())
        shelf.take(rig.taken())
        let next = Rig(seed: 2)
        next.begin(after: rig, pause: .seconds(1))
        next.broker.restore(live: shelf.live, ended: [], at: next.now)
        let other = next.ready()
        next.broker.close()
        next.gone(other)
        next.pass(.seconds(30))
        let tasks = [left, coming].compactMap { next.broker.task($0.id)?.state }
        #expect(tasks == [.executing, .executing] && next.broker.letterCount == 0)
        _ = (next.taken(), worker)
    }

    // MARK: Timeouts

    @Test(
        "a timeout is clamped to its range, and has a default",
        arguments: [
            (nil, 60_000), (0, 5_000), (-1, 5_000), (4_999, 5_000), (5_000, 5_000), (7_000, 7_000), (600_000, 600_000), (600_001, 600_000),
            (.max, 600_000), (.min, 5_000),
        ] as [(Int64?, Int64)])
    func clamping(_ asked: Int64?, _ given: Int64) throws {
        let rig = Rig()
        _ = rig.ready()
        let task = try rig.submit(timeout: asked.map { .milliseconds($0) })
        #expect(task.timeout == .milliseconds(given))
        rig.pass(TimeSpan(nanoseconds: given * 1_000_000 - 1))
        #expect(task.state == .executing)
        rig.pass(TimeSpan(nanoseconds: 1))
        #expect(task.state == .failed)
    }

    @Test("a task that waits too long times out and leaves the line")
    func timeoutWhileWaiting() throws {
        let rig = Rig()
        let worker = rig.ready()
        let running = try rig.submit()
        let waiting = try rig.submit(timeout: .seconds(5), request: 2)
        let behind = try rig.submit(timeout: .seconds(50), request: 3)
        _ = rig.heard()
        rig.pass(.seconds(5))
        #expect(rig.heard() == ["request 2: t2 timed out"])
        #expect(waiting.state == .failed && rig.broker.position(of: behind) == 1 && rig.broker.queuedCount == 1)
        try rig.complete(running, by: worker)
        #expect(rig.hands(of: worker) == ["t3"])
    }

    @Test("a task that runs too long times out, and its worker is told")
    func timeoutWhileExecuting() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(timeout: .seconds(5), request: 1)
        _ = rig.heard()
        rig.pass(.seconds(5))
        #expect(rig.heard() == ["w1 drops t1", "request 1: t1 timed out"])
        #expect(task.state == .failed && worker.hands.isEmpty && rig.broker.executingCount == 0 && rig.broker.payloadBytes == 0)
    }

    @Test("a timeout counts from submission, through waiting and through lost workers")
    func timeoutCountsFromSubmission() throws {
        let rig = Rig()
        let first = rig.ready()
        let task = try rig.submit(timeout: .seconds(10), retries: 3, request: 1)
        rig.pass(.seconds(4))
        rig.gone(first)
        rig.pass(.seconds(4))
        _ = rig.ready()
        #expect(task.state == .executing && task.attempts == 2)
        _ = rig.heard()
        rig.pass(.seconds(2))
        #expect(rig.heard() == ["w2 drops t1", "request 1: t1 timed out"])
    }

    @Test("an ended task's deadline does nothing")
    func noDeadlineAfterTheEnd() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(timeout: .seconds(5))
        try rig.complete(task, by: worker)
        _ = rig.heard()
        rig.pass(.seconds(6))
        #expect(rig.heard() == [] && task.state == .completed)
    }

    @Test("the broker says when something is due next")
    func nextDeadline() throws {
        let rig = Rig()
        #expect(rig.broker.nextDeadline == nil)
        let worker = rig.ready()
        #expect(rig.broker.nextDeadline == nil)
        let task = try rig.submit(timeout: .seconds(5))
        #expect(try #require(rig.broker.nextDeadline) <= rig.now.instant + .seconds(5))
        try rig.complete(task, by: worker)
        #expect(rig.broker.nextDeadline == rig.now.instant + .seconds(300))
        rig.pass(.seconds(300))
        #expect(rig.broker.nextDeadline == nil && rig.broker.task(task.id) == nil)
    }

    // MARK: What is remembered

    @Test("a result is kept for its time and not longer")
    func resultTTL() throws {
        let rig = Rig()
        let worker = rig.ready()
        let first = try rig.submit()
        try rig.complete(first, by: worker)
        rig.pass(.seconds(100))
        let second = try rig.submit()
        try rig.complete(second, by: worker)
        rig.pass(TimeSpan(nanoseconds: 199_999_999_999))
        #expect(rig.broker.task(first.id) === first && rig.broker.endedCount == 2)
        rig.pass(TimeSpan(nanoseconds: 1))
        #expect(rig.broker.task(first.id) == nil && rig.broker.task(second.id) === second && rig.broker.endedCount == 1)
        rig.pass(.seconds(100))
        #expect(rig.broker.task(second.id) == nil && rig.broker.endedCount == 0 && rig.broker.endedBytes == 0)
    }

    /// What a task with a result of ten bytes keeps.
    private static let keptBytes = TaskRecord.ownBytes + TaskEvent.Completion.ownBytes + 10

    @Test("ended tasks have a share of memory: beyond it the oldest is forgotten first")
    func resultMemory() throws {
        let rig = Rig { $0.endedBytesMax = 3 * BrokerTests.keptBytes }
        let worker = rig.ready()
        let tasks = try (0..<4).map { _ in
            let task = try rig.submit()
            try rig.complete(task, by: worker, "0123456789")
            return task
        }
        #expect(tasks.map { rig.broker.task($0.id) != nil } == [false, true, true, true])
        #expect(rig.broker.endedBytes == 3 * BrokerTests.keptBytes)
        // One too large for the whole share still reaches who waits for it.
        let large = try rig.submit(request: 9)
        _ = rig.heard()
        try rig.complete(large, by: worker, String(repeating: "1", count: 2_000))
        #expect(rig.heard().first == "request 9: t5 completed " + String(repeating: "1", count: 2_000))
        #expect(rig.broker.endedCount == 0 && rig.broker.endedBytes == 0 && rig.broker.task(large.id) == nil)
    }

    @Test("a task that has not ended is never forgotten")
    func livingIsRemembered() throws {
        let rig = Rig { $0.endedBytesMax = 0 }
        _ = rig.ready()
        let task = try rig.submit(timeout: .seconds(600))
        rig.pass(.seconds(599))
        #expect(rig.broker.task(task.id) === task)
        rig.pass(.seconds(1))
        #expect(rig.broker.task(task.id) == nil)
    }

    // MARK: Idempotency keys

    @Test("the same key is the same task: waiting, running and ended")
    func idempotency() throws {
        let rig = Rig()
        let worker = rig.ready()
        let running = try rig.submit(key: "a", request: 1)
        let waiting = try rig.submit(key: "b", request: 2)
        #expect(try rig.submit("other", key: "a", request: 3) === running)
        #expect(try rig.submit(key: "b") === waiting)
        #expect(rig.broker.statistics.submitted == 2 && rig.broker.queuedCount == 1)
        _ = rig.heard()
        try rig.complete(running, by: worker)
        #expect(
            rig.heard() == [
                "request 1: t1 completed 42", "request 3: t1 completed 42", "w1 is thanked for t1", "w1 gets t2",
            ])
        #expect(try rig.submit(key: "a", request: 4) === running)
        #expect(rig.heard() == [])
    }

    @Test("a key is found even where a new task would be refused")
    func idempotencyBeforeRefusals() throws {
        let rig = Rig { $0.payloadBytesMax = 4 }
        let worker = rig.ready()
        let task = try rig.submit("1234", key: "k", request: 1)
        #expect(try rig.submit("12345", key: "k", request: 2) === task)
        rig.gone(worker)
        #expect(try rig.submit(group: "nobody's", key: "k") === task)
    }

    @Test("a key lives as long as its task")
    func keyLife() throws {
        let rig = Rig()
        let worker = rig.ready()
        let first = try rig.submit(key: "k")
        try rig.complete(first, by: worker)
        rig.pass(TimeSpan(nanoseconds: 299_999_999_999))
        #expect(try rig.submit(key: "k") === first)
        rig.pass(TimeSpan(nanoseconds: 1))
        let second = try rig.submit(key: "k")
        #expect(second !== first && second.state == .executing)
    }

    @Test("a refused submission leaves its key free")
    func refusedKey() throws {
        let rig = Rig()
        #expect(throws: SubmissionRefusal.noWorker) { try rig.submit(key: "k") }
        _ = rig.ready()
        #expect(try rig.submit(key: "k").state == .executing)
    }

    // MARK: Figures

    @Test("statistics count every way in and every way out")
    func statistics() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 8)
        let tasks = try (0..<5).map { number in try rig.submit(timeout: number == 4 ? .seconds(5) : nil, retries: number == 3 ? 1 : 0) }
        try rig.complete(tasks[0], by: worker)
        try rig.fail(tasks[1], by: worker)
        #expect(rig.cancel(tasks[2]) == "cancelled")
        try rig.broker.logged(tasks[3].id, by: worker, TaskEvent.Log(logs: SharedBytes("l")), at: rig.now)
        try rig.broker.chunk(tasks[3].id, by: worker, SharedBytes("1"), at: rig.now)
        try rig.broker.chunk(tasks[3].id, by: worker, SharedBytes("1"), at: rig.now)
        rig.pass(.seconds(5))
        rig.gone(worker)
        let statistics = rig.broker.statistics
        #expect(statistics.submitted == 5 && statistics.completed == 1 && statistics.failed == 2 && statistics.cancelled == 1)
        #expect(statistics.retried == 1 && statistics.logLines == 1 && statistics.chunks == 2 && statistics.reportsRefused == 0)
        #expect(statistics.waiting.count == 5 && statistics.total.count == 4)
        #expect(rig.broker.queuedCount == 1 && rig.broker.endedCount == 4)
    }
}
