// Broker+EndingsTests: tasks that end without their worker, and what the worker may still say and hold afterwards.
import Base
import Testing

@testable import Domain

struct BrokerEndingsTests {
    // MARK: Cancellation

    @Test("a waiting task is cancelled quietly")
    func cancelWaiting() throws {
        let rig = Rig()
        _ = rig.ready()
        try rig.submit()
        let task = try rig.submit("12345", request: 2)
        _ = rig.heard()
        #expect(rig.cancel(task) == "cancelled")
        #expect(rig.heard() == ["request 2: t2 cancelled"])
        #expect(task.state == .cancelled && rig.broker.queuedCount == 0 && rig.broker.payloadBytes == 2)
        #expect(rig.cancel(task) == "already cancelled")
        #expect(rig.heard() == [])
    }

    @Test("a running task is cancelled, and its worker told")
    func cancelExecuting() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(request: 1)
        _ = rig.heard()
        #expect(rig.cancel(task) == "cancelled")
        #expect(rig.heard() == ["w1 drops t1", "request 1: t1 cancelled"])
        #expect(task.worker == nil && worker.hands.isEmpty && rig.broker.executingCount == 0)
    }

    @Test("a cancellation of what has ended or never was changes nothing")
    func cancelEnded() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        try rig.complete(task, by: worker)
        _ = rig.heard()
        #expect(rig.cancel(task) == "already completed" && rig.heard() == [])
        guard case .unknownTask = rig.broker.cancel(TaskID(high: 1, low: 2), at: rig.now) else {
            Issue.record("a task that never was is known")
            return
        }
    }

    @Test("a task that is taken back before its worker heard of it is never sent, and the worker serves the next one")
    func takenBackUnsent() throws {
        let rig = Rig()
        let worker = rig.ready()
        let first = try rig.submit(request: 1)
        let second = try rig.submit()
        #expect(rig.cancel(first) == "cancelled")
        #expect(rig.heard() == ["request 1: t1 cancelled", "w1 gets t2"])
        #expect(second.worker === worker && worker.room == 0)
        // The next one is sent: its worker must be told.
        #expect(rig.cancel(second) == "cancelled")
        #expect(rig.heard() == ["w1 drops t2"])
    }

    @Test("a task whose time is up in the very turn in which a worker comes free for it is never sent")
    func dueWhenAssigned() throws {
        let rig = Rig { $0.abandonedGrace = .seconds(5) }
        let worker = rig.ready()
        try rig.submit(timeout: .seconds(5), request: 1)
        #expect(rig.heard() == ["w1 gets t1"])
        rig.pass(.seconds(2))
        try rig.submit(timeout: .seconds(8), request: 2)
        rig.pass(.seconds(3))
        #expect(rig.heard() == ["w1 drops t1", "request 1: t1 timed out"])
        rig.pass(.seconds(5))
        #expect(rig.heard() == ["request 2: t2 timed out"])
        #expect(worker.room == 1)
    }

    // MARK: Requests that go away

    @Test("a task whose only request goes away is cancelled: waiting or running")
    func abandoned() throws {
        let rig = Rig()
        let worker = rig.ready()
        let running = try rig.submit(request: 1)
        let waiting = try rig.submit(request: 2)
        _ = rig.heard()
        rig.abandon(waiting, 2)
        #expect(waiting.state == .cancelled && rig.heard() == [])
        rig.abandon(running, 1)
        #expect(running.state == .cancelled && worker.hands.isEmpty)
        #expect(rig.heard() == ["w1 drops t1"])
    }

    @Test("with two requests for one task the last one to go cancels it", arguments: [[1, 2], [2, 1]] as [[UInt32]])
    func twoRequests(_ order: [UInt32]) throws {
        let rig = Rig()
        _ = rig.ready()
        let task = try rig.submit(key: "k", request: 1)
        #expect(try rig.submit(key: "k", request: 2) === task)
        rig.abandon(task, order[0])
        #expect(task.state == .executing)
        // One that does not wait, or no longer waits, is nobody.
        rig.abandon(task, order[0])
        rig.abandon(task, 9)
        #expect(task.state == .executing)
        rig.abandon(task, order[1])
        #expect(task.state == .cancelled)
    }

    @Test("a key whose task was given up names a new task for whoever comes back; one whose task was cancelled on purpose does not")
    func keyOfGivenUpTask() throws {
        let rig = Rig()
        _ = rig.ready()
        let givenUp = try rig.submit(key: "k", request: 1)
        rig.abandon(givenUp, 1)
        let again = try rig.submit(key: "k", request: 2)
        #expect(givenUp.state == .cancelled && again !== givenUp && !again.state.isTerminal)
        // The first one is forgotten later without taking the key from the second.
        rig.pass(rig.broker.limits.resultTTL)
        #expect(try rig.submit(key: "k", request: 3) !== givenUp)
        let purpose = try rig.submit(key: "j", request: 4)
        _ = rig.cancel(purpose)
        #expect(try rig.submit(key: "j", request: 5) === purpose)
    }

    @Test("of two requests the one that stays is answered, once")
    func oneStays() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(key: "k", request: 1)
        try rig.submit(key: "k", request: 2)
        rig.abandon(task, 1)
        _ = rig.heard()
        try rig.complete(task, by: worker)
        #expect(rig.heard() == ["request 2: t1 completed 42", "w1 is thanked for t1"])
    }

    @Test("a task that somebody asked for without waiting outlives every request", arguments: [true, false])
    func detachedLivesOn(_ isFirst: Bool) throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(key: "k", request: isFirst ? nil : 1)
        try rig.submit(key: "k", request: isFirst ? 1 : nil)
        rig.abandon(task, 1)
        #expect(task.state == .executing)
        try rig.complete(task, by: worker)
        #expect(task.state == .completed)
    }

    @Test("a request that goes away after the end changes nothing")
    func abandonedAfterTheEnd() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(request: 1)
        try rig.complete(task, by: worker)
        _ = rig.heard()
        rig.abandon(task, 1)
        #expect(task.state == .completed && rig.heard() == [])
    }

    // MARK: Reports that are not taken

    @Test("late, foreign, second and unknown reports are refused and change nothing")
    func refusals() throws {
        let rig = Rig()
        let owner = rig.ready()
        let stranger = rig.ready()
        let done = try rig.submit(request: 1)
        try rig.complete(done, by: owner, "1")
        let other = try rig.submit()
        let running = try rig.submit()
        let waiting = try rig.submit()
        #expect(other.worker === stranger && running.worker === owner && waiting.state == .queued)
        _ = rig.heard()
        let before = rig.broker.statistics
        let sequences = [done, running, waiting].map(\.sequence)
        let progress = [done, running, waiting].map(\.progress)
        let reports: [(TaskRecord, Worker, String)] = [
            (done, owner, "already completed"), (done, stranger, "already completed"), (running, stranger, "not yours"),
            (waiting, owner, "not yours"), (waiting, stranger, "not yours"),
        ]
        for (task, worker, expected) in reports {
            #expect(verdict { () throws(ReportRefusal) in try rig.complete(task, by: worker, "2") } == expected)
            #expect(verdict { () throws(ReportRefusal) in try rig.fail(task, by: worker) } == expected)
            #expect(verdict { () throws(ReportRefusal) in try rig.progress(task, by: worker, 50) } == expected)
            #expect(verdict { () throws(ReportRefusal) in try rig.broker.logged(task.id, by: worker, Rig.log, at: rig.now) } == expected)
            #expect(verdict { () throws(ReportRefusal) in try rig.broker.chunk(task.id, by: worker, Rig.piece, at: rig.now) } == expected)
        }
        let nobody = TaskID(high: 1, low: 2)
        #expect(
            verdict { () throws(ReportRefusal) in
                try rig.broker.complete(nobody, by: owner, TaskEvent.Completion(result: SharedBytes("1")), at: rig.now)
            } == "unknown task")
        #expect(rig.broker.statistics.reportsRefused == before.reportsRefused + 26)
        #expect(rig.heard() == [] && Rig.end(of: done) == "completed 1")
        #expect([done, running, waiting].map(\.sequence) == sequences && [done, running, waiting].map(\.progress) == progress)
        #expect(rig.hands(of: owner) == ["t3"] && rig.hands(of: stranger) == ["t2"])
        #expect(rig.broker.statistics.logLines == 0 && rig.broker.statistics.chunks == 0)
    }

    @Test("a worker that vanished says nothing more about the task that another one has")
    func lateAfterRetry() throws {
        let rig = Rig()
        let first = rig.ready()
        let second = rig.ready()
        let task = try rig.submit(retries: 1)
        rig.gone(first)
        #expect(task.worker === second)
        #expect(verdict { () throws(ReportRefusal) in try rig.complete(task, by: first) } == "not yours")
        #expect(task.state == .executing)
        try rig.complete(task, by: second)
        #expect(task.state == .completed)
    }

    @Test("a report on a forgotten task is one on an unknown task")
    func forgotten() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        try rig.complete(task, by: worker)
        rig.pass(.seconds(300))
        #expect(verdict { () throws(ReportRefusal) in try rig.complete(task, by: worker) } == "unknown task")
    }

    // MARK: Room that a worker keeps

    /// A worker of one place whose task was cancelled, and the task that waits for the place.
    private func keptRoom(_ rig: Rig) throws -> (worker: Worker, cancelled: TaskRecord, waiting: TaskRecord) {
        let worker = rig.ready()
        let cancelled = try rig.submit()
        let waiting = try rig.submit()
        _ = rig.heard()
        #expect(rig.cancel(cancelled) == "cancelled")
        #expect(rig.heard() == ["w1 drops t1"])
        #expect(waiting.state == .queued && worker.room == 0)
        return (worker, cancelled, waiting)
    }

    @Test("a worker keeps its room for a task that ended without it until it speaks of its end", arguments: [true, false])
    func keptUntilSpoken(_ isCompletion: Bool) throws {
        let rig = Rig()
        let (worker, cancelled, waiting) = try keptRoom(rig)
        #expect(verdict { () throws(ReportRefusal) in try rig.progress(cancelled, by: worker, 50) } == "already cancelled")
        #expect(waiting.state == .queued)
        #expect(
            verdict { () throws(ReportRefusal) in
                if isCompletion { try rig.complete(cancelled, by: worker) } else { try rig.fail(cancelled, by: worker) }
            } == "already cancelled")
        #expect(waiting.worker === worker && rig.heard() == ["w1 gets t2"])
        rig.pass(.seconds(31))
        #expect(worker.room == 0 && rig.heard() == [])
    }

    @Test("a worker that says ready gets its room back only when it has nothing else in hand")
    func readyWhileBusy() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 2)
        let kept = try rig.submit()
        let dropped = try rig.submit()
        _ = rig.heard()
        _ = rig.cancel(dropped)
        rig.broker.workerReady(worker, concurrency: nil, models: nil, at: rig.now)
        #expect(worker.room == 0)
        try rig.complete(kept, by: worker)
        #expect(worker.room == 1)
        rig.broker.workerReady(worker, concurrency: nil, models: nil, at: rig.now)
        #expect(worker.room == 2)
    }

    @Test("a worker keeps its room no longer than its grace")
    func keptForGrace() throws {
        let rig = Rig()
        let (worker, _, waiting) = try keptRoom(rig)
        rig.pass(TimeSpan(nanoseconds: 29_999_999_999))
        #expect(waiting.state == .queued)
        rig.pass(TimeSpan(nanoseconds: 1))
        #expect(waiting.worker === worker)
    }

    @Test("a worker that says ready is free of what ended without it")
    func keptUntilReady() throws {
        let rig = Rig()
        let (worker, _, waiting) = try keptRoom(rig)
        rig.broker.workerReady(worker, concurrency: nil, models: nil, at: rig.now)
        #expect(waiting.worker === worker)
        try rig.complete(waiting, by: worker)
        rig.pass(.seconds(60))
        #expect(worker.room == 1)
    }

    @Test("a word of another worker does not free the room")
    func keptAgainstStrangers() throws {
        let rig = Rig()
        let stranger = rig.ready(models: ["m"])
        try rig.submit(model: "m")
        let worker = rig.ready()
        let cancelled = try rig.submit()
        let waiting = try rig.submit()
        #expect(rig.heard().last == "w2 gets t2")
        _ = rig.cancel(cancelled)
        #expect(verdict { () throws(ReportRefusal) in try rig.complete(cancelled, by: stranger) } == "already cancelled")
        #expect(waiting.state == .queued && worker.room == 0)
    }

    @Test("a late word frees the room even where the task is forgotten already")
    func keptBeyondMemory() throws {
        let rig = Rig { $0.endedBytesMax = 0 }
        let (worker, cancelled, waiting) = try keptRoom(rig)
        #expect(rig.broker.task(cancelled.id) == nil)
        #expect(verdict { () throws(ReportRefusal) in try rig.complete(cancelled, by: worker) } == "unknown task")
        #expect(waiting.worker === worker)
    }

    @Test("kept room goes with its worker")
    func keptByTheGone() throws {
        let rig = Rig()
        let (worker, _, waiting) = try keptRoom(rig)
        rig.gone(worker)
        rig.pass(.seconds(31))
        #expect(waiting.state == .queued && rig.heard() == [])
    }
}
