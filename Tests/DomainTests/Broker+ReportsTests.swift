// Broker+ReportsTests: tasks that outside programs run: their coming, what is said of them, their ends, and being forgotten.
import Base
import Testing

@testable import Domain

struct BrokerReportsTests {
    private static func progress(_ figure: Double?, step: String? = nil) -> OutsideReport {
        .progress(TaskEvent.Progress(reported: figure, step: step.map { SharedBytes($0) }))
    }

    private static func refusal(_ body: () throws(RegistrationRefusal) -> TaskRecord) -> RegistrationRefusal? {
        do throws(RegistrationRefusal) {
            _ = try body()
            return nil
        } catch {
            return error
        }
    }

    // MARK: Coming

    @Test("a registered task waits for its program: it has what was said of it, and is written down before it is told")
    func registered() throws {
        let rig = Rig()
        let task = try rig.register("a", user: "42", metadata: #"{"n":1.0}"#)
        #expect(rig.order() == ["record submitted queued 0", "publish queued"])
        #expect(task.origin == .reported && task.group == nil && task.state == .queued && task.progress == 0 && task.isRecorded)
        #expect(task.user == SharedBytes("42") && task.metadata == SharedBytes(#"{"n":1.0}"#) && task.isDetached)
        #expect(rig.broker.task(task.id) === task && rig.broker.reportedCount == 1 && rig.broker.queuedCount == 0)
        #expect(rig.broker.activeTasks(of: SharedBytes("42")).map(\.id) == [task.id] && rig.broker.position(of: task) == 0)
        #expect(rig.broker.payloadBytes == 9 && rig.broker.statistics.registered == 1 && rig.broker.statistics.submitted == 0)
    }

    @Test("a name that has not ended, or that this server dispatched, is not given again")
    func taken() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.register("a")
        let dispatched = try rig.submit()
        try rig.complete(dispatched, by: worker)
        _ = rig.order()
        #expect(Self.refusal { () throws(RegistrationRefusal) in try rig.register("a") } == .alreadyRegistered)
        #expect(rig.report(task, .started) == "taken")
        #expect(Self.refusal { () throws(RegistrationRefusal) in try rig.register("a") } == .alreadyRegistered)
        #expect(
            Self.refusal { () throws(RegistrationRefusal) in
                try rig.broker.register(TaskRegistration(id: dispatched.id, user: .empty), at: rig.now)
            } == .alreadyRegistered)
        #expect(rig.broker.task(dispatched.id) === dispatched && rig.broker.reportedCount == 1)
    }

    @Test("no more live tasks than may be, nor more bytes of them; ended ones make room")
    func full() throws {
        let rig = Rig {
            $0.reportedTasksMax = 2
            $0.payloadBytesMax = 10
        }
        let task = try rig.register("a", metadata: "12345678")
        #expect(Self.refusal { () throws(RegistrationRefusal) in try rig.register("b", metadata: "123") } == .full)
        try rig.register("b", metadata: "12")
        #expect(Self.refusal { () throws(RegistrationRefusal) in try rig.register("c") } == .full)
        _ = rig.ready()
        #expect(throws: SubmissionRefusal.queueFull) { try rig.submit("1") }
        #expect(rig.report(task, .completed(result: .empty)) == "taken")
        #expect(rig.broker.payloadBytes == 2 && rig.broker.reportedCount == 1)
        try rig.register("c", metadata: "12345678")
        rig.broker.close()
        #expect(Self.refusal { () throws(RegistrationRefusal) in try rig.register("d") } == .closing)
    }

    // MARK: What is said

    @Test("the whole of a task's life: its own figures, one start, one end")
    func life() throws {
        let rig = Rig()
        let task = try rig.register("a")
        #expect(rig.report(task, .started) == "taken")
        #expect(task.state == .executing && task.startedAt == rig.now.wall && task.attempts == 1)
        #expect(rig.report(task, .started) == "taken")
        for figure in [50.0, 20, 140, -3, 70] { #expect(rig.report(task, Self.progress(figure)) == "taken") }
        #expect(rig.report(task, Self.progress(nil)) == "taken")
        #expect(rig.report(task, .log(Rig.log)) == "taken")
        rig.pass(.seconds(2))
        #expect(rig.report(task, .completed(result: SharedBytes("7"))) == "taken")
        #expect(
            rig.published() == [
                "a #1 queued 0", "a #2 started 0", "a #3 progress 50", "a #4 progress 20", "a #5 progress 100", "a #6 progress 0",
                "a #7 progress 70", "a #8 progress 70", "a #9 log 70", "a #10 completed 100",
            ])
        #expect(TaskEndingTests.spelled(task.ending) == "7 2000000000 -" && task.endedAt == rig.now.wall)
        #expect(task.state == .completed && task.lastWorker == nil && rig.broker.reportedCount == 0)
        #expect(rig.broker.statistics.completed == 1 && rig.broker.statistics.total.count == 0)
    }

    @Test("a start is written down, and a first report begins the events' record")
    func written() throws {
        let rig = Rig()
        let task = try rig.register("a")
        _ = rig.report(task, .started)
        _ = rig.report(task, .started)
        _ = rig.report(task, Self.progress(1))
        _ = rig.report(task, .cancelled(reason: SharedBytes("why")))
        #expect(
            rig.order() == [
                "record submitted queued 0", "publish queued", "record assigned 2", "publish started", "archive queued 1",
                "archive started 2", "publish progress", "archive progress 3", "record ended cancelled 4", "publish cancelled",
                "archive cancelled 4",
            ])
        #expect(TaskEndingTests.spelled(task.ending) == "cancelled why")
    }

    @Test(
        "a word on a task that was not begun begins it, quietly",
        arguments: [
            (progress(10), ["progress 10"]), (.log(Rig.log), ["log 0"]), (.completed(result: .empty), ["completed 100"]),
            (.failed(TaskEvent.Fault(error: .plain(.empty))), ["failed 0"]), (.cancelled(reason: nil), ["cancelled 0"]),
            (.started, ["started 0"]),
        ] as [(OutsideReport, [String])])
    func begunQuietly(_ report: OutsideReport, _ told: [String]) throws {
        let rig = Rig()
        let task = try rig.register("a")
        rig.pass(.seconds(1))
        _ = rig.taken()
        #expect(rig.report(task, report) == "taken")
        #expect(task.startedAt == rig.now.wall && task.attempts == 1)
        let effects = rig.taken()
        let starts = effects.compactMap { effect -> WallTime? in
            if case .record(.assigned(let start)) = effect, start.worker == nil { start.startedAt } else { nil }
        }
        #expect(starts == [rig.now.wall])
        let published = effects.compactMap { effect -> Publication? in if case .publish(let one) = effect { one } else { nil } }
        #expect(published.map(\.sequence) == [2])
        #expect(published.count == told.count && published.first?.state == task.state)
        #expect(published.first.map { "\(Rig.word($0.event)) \(Int($0.progress))" } == told.first)
    }

    @Test("a failure keeps the reporter's words, and gets its time from the start and the last step")
    func failed() throws {
        let rig = Rig()
        let task = try rig.register("a")
        rig.pass(.seconds(5))
        _ = rig.report(task, Self.progress(40, step: "cook"))
        rig.pass(.seconds(3))
        #expect(rig.report(task, .failed(TaskEvent.Fault(error: .raw(SharedBytes("\"x\"")), code: SharedBytes("E1")))) == "taken")
        #expect(TaskEndingTests.spelled(task.ending) == "raw(\"x\") E1 - - cook 3000000000 -")
        #expect(Rig.end(of: task) == "failed \"x\"" && task.progress == 40)
    }

    @Test("what is not an outside program's to say is refused and changes nothing")
    func refused() throws {
        let rig = Rig()
        let worker = rig.ready()
        let dispatched = try rig.submit()
        let task = try rig.register("a")
        _ = rig.report(task, .cancelled(reason: nil))
        _ = rig.order()
        #expect(rig.report(dispatched, Self.progress(3)) == "dispatched")
        #expect(rig.report(task, .completed(result: .empty)) == "already cancelled")
        rig.pass(.seconds(300))
        #expect(rig.report(task, .started) == "unknown task")
        #expect(rig.broker.statistics.reportsRefused == 3)
        // And the other way round: a worker has nothing to say of a program's task.
        let other = try rig.register("b")
        #expect(verdict { () throws(ReportRefusal) in try rig.complete(other, by: worker) } == "not yours")
        #expect(other.state == .queued && other.progress == 0)
    }

    @Test("its user cancels it, and its program hears so at its next word")
    func cancelledByUser() throws {
        let rig = Rig()
        let task = try rig.register("a")
        _ = rig.report(task, Self.progress(30))
        _ = rig.order()
        #expect(rig.cancel(task) == "cancelled")
        #expect(rig.order() == ["record ended cancelled 3", "publish cancelled", "archive cancelled 3"])
        #expect(task.progress == 30 && rig.broker.reportedCount == 0)
        #expect(rig.report(task, Self.progress(31)) == "already cancelled")
    }

    @Test("a registration that the disk refused is withdrawn")
    func recordFailed() throws {
        let rig = Rig()
        let task = try rig.register("a")
        rig.broker.recordFailed(of: rig.image(task), at: rig.now)
        #expect(task.state == .cancelled && !task.isRecorded)
        #expect(rig.report(task, .started) == "already cancelled")
        #expect(try rig.register("a").isRecorded)
    }

    // MARK: Silence

    @Test("a program that says nothing for too long has failed; each word gives it the whole time again, at no cost")
    func silence() throws {
        let rig = Rig { $0.reportedSilenceMax = .seconds(100) }
        let task = try rig.register("a")
        for _ in 0..<5 {
            rig.pass(.seconds(99))
            #expect(rig.report(task, .log(Rig.log)) == "taken")
        }
        rig.pass(.milliseconds(99_999))
        #expect(task.state == .executing)
        rig.pass(.milliseconds(1))
        #expect(task.state == .failed && Rig.end(of: task) == "timed out" && rig.broker.reportedCount == 0)
        let quiet = try rig.register("b")
        rig.pass(.seconds(100))
        #expect(quiet.state == .failed && quiet.startedAt == nil)
        rig.pass(.seconds(300))
        #expect(rig.broker.nextDeadline == nil, "an ended task left its alarm behind")
    }

    // MARK: Again

    @Test("an ended task of the same name is registered anew: the numbers go on, the old record goes, and its listeners stay")
    func again() throws {
        let rig = Rig()
        let old = try rig.register("a", metadata: "1")
        let listener = try #require(rig.broker.hub.enter(.task, target: 7))
        try rig.broker.hub.subscribe(listener, to: .task(old.id), from: old.sequence)
        _ = rig.report(old, Self.progress(1))
        _ = rig.report(old, .completed(result: .empty))
        _ = rig.order()
        let new = try rig.register("a", user: "v", metadata: "22")
        #expect(rig.order() == ["record removed", "record submitted queued 3", "publish queued"])
        #expect(new !== old && new.sequence == 4 && new.stream.origin.epoch != old.stream.origin.epoch)
        #expect(rig.broker.task(old.id) === new && rig.broker.endedCount == 0 && rig.broker.endedBytes == 0)
        #expect(rig.broker.tasks(of: SharedBytes("u"), in: nil, after: nil, limit: 9).tasks.isEmpty)
        #expect(rig.broker.activeTasks(of: SharedBytes("v")).map(\.id) == [new.id])
        #expect(rig.report(new, .started) == "taken")
        var heard: [UInt64] = []
        for effect in rig.taken() {
            guard case .publish(let publication) = effect else { continue }
            rig.broker.hub.deliver(publication) { _, recipients in if recipients.count == 1 { heard.append(publication.sequence) } }
        }
        #expect(heard == [5])
        // Nobody is shown the old task's events as the new one's.
        #expect(rig.broker.hub.last(99, of: new.stream).map(\.sequence) == [4, 5])
        #expect(rig.broker.hub.historyFigures.streams == 1, "the old task's events are kept")
        rig.pass(.seconds(300))
        #expect(rig.broker.task(new.id) === new, "the old task's time ended the new one")
    }

    @Test("where the old record was not written, nothing is unwritten")
    func againUnwritten() throws {
        let rig = Rig()
        let old = try rig.register("a")
        rig.broker.recordFailed(of: rig.image(old), at: rig.now)
        _ = rig.order()
        try rig.register("a")
        #expect(rig.order() == ["record submitted queued 2", "publish queued"])
    }

    // MARK: Forgetting

    @Test("an ended task is removed at once, with its key, its bytes and its history; the others keep their time")
    func removed() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 9)
        let tasks = try ["k", "l", "m"].map { key in
            let task = try rig.submit(key: key, user: "u")
            try rig.progress(task, by: worker, 1)
            try rig.complete(task, by: worker)
            rig.pass(.seconds(1))
            return task
        }
        _ = rig.order()
        let bytes = rig.broker.endedBytes
        #expect(rig.remove(tasks[1].id) == "removed")
        #expect(rig.order() == ["record removed"])
        #expect(rig.broker.task(tasks[1].id) == nil && rig.broker.endedCount == 2 && rig.broker.endedBytes == bytes / 3 * 2)
        #expect(rig.broker.hub.last(9, of: tasks[1].stream).isEmpty && rig.broker.hub.historyFigures.streams == 2)
        let again = try rig.submit(key: "l")
        #expect(again !== tasks[1])
        #expect(rig.remove(tasks[1].id) == "unknown")
        rig.pass(.milliseconds(297_000))
        #expect(tasks.map { rig.broker.task($0.id) != nil } == [false, false, true])
        #expect(rig.remove(tasks[2].id) == "removed")
        #expect(rig.broker.endedCount == 1 && rig.broker.endedBytes == again.retainedBytes)
    }

    @Test("what has not ended stays, what was not written is not unwritten, what is unknown is unknown")
    func notRemoved() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(request: 1)
        #expect(rig.remove(task.id) == "active" && rig.remove(TaskID(high: 1, low: 1)) == "unknown")
        #expect(rig.broker.task(task.id) === task)
        try rig.complete(task, by: worker)
        _ = rig.order()
        #expect(rig.remove(task.id) == "removed")
        #expect(rig.order() == [])
    }

    @Test("a task whose time is up is not there to be removed")
    func removedLate() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        try rig.complete(task, by: worker)
        let later = Moment(instant: rig.now.instant + .seconds(300), wall: rig.now.wall)
        guard case .unknownTask = rig.broker.remove(task.id, at: later) else {
            Issue.record("it was still there")
            return
        }
    }

    @Test("a cleared history is gone, in memory and where it is written; the task and its numbers go on")
    func cleared() throws {
        let rig = Rig()
        let task = try rig.register("a")
        _ = rig.report(task, Self.progress(10))
        _ = rig.order()
        rig.broker.clearHistory(of: task.id)
        #expect(rig.order() == ["record cleared"])
        #expect(rig.broker.hub.last(9, of: task.stream).isEmpty && task.progress == 10)
        _ = rig.report(task, Self.progress(20))
        #expect(rig.order() == ["publish progress", "archive progress 3"])
        #expect(rig.broker.hub.last(9, of: task.stream).map(\.sequence) == [3])
        // What memory has forgotten the disk may still know.
        rig.broker.clearHistory(of: Rig.id("b"))
        #expect(rig.order() == ["record cleared"])
    }
}
