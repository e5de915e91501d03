// Broker+RecoveryTests: what one process wrote down, taken up by the next: the tasks that wait, that somebody has in hand, that have ended.
import Base
import Testing

@testable import Domain

struct BrokerRecoveryTests {
    /// A rig that begins with what is on the shelf, `pause` later.
    private static func next(
        _ rig: Rig, _ shelf: Shelf, pause: TimeSpan = .seconds(1), _ change: (inout Limits) -> Void = { _ in }
    ) -> Rig {
        shelf.take(rig.taken())
        let next = Rig(seed: 99, change)
        next.begin(after: rig, pause: pause)
        next.broker.restore(live: shelf.live, ended: shelf.ended, at: next.now)
        return next
    }

    private static func task(_ rig: Rig, _ old: TaskRecord) throws -> TaskRecord { try #require(rig.broker.task(old.id)) }

    // MARK: Waiting

    @Test("waiting tasks wait again, in their order, with what was given; nothing is written again")
    func waiting() throws {
        let rig = Rig()
        let shelf = Shelf()
        _ = rig.ready("g", models: ["m"])
        let running = try rig.submit(group: "g")
        let low = try rig.submit("low", group: "g", priority: .low)
        let first = try rig.submit("one", group: "g", model: "m", timeout: .seconds(50), retries: 2, key: "k", user: "u")
        let second = try rig.submit("two", group: "g", accepted: 1)
        let next = Self.next(rig, shelf)
        #expect(next.order() == ["resumed", "resumed", "resumed", "resumed"].map { "record \($0)" })
        #expect(next.broker.queuedCount == 3 && next.broker.executingCount == 1 && next.broker.payloadBytes == 11)
        #expect(next.broker.statistics.restored == 4 && next.broker.statistics.submitted == 0)
        #expect(try [first, second, low].map { next.broker.position(of: try Self.task(next, $0)) } == [1, 2, 3])
        #expect(throws: SubmissionRefusal.noWorker) { try next.submit(group: "g") }
        let task = try Self.task(next, first)
        #expect(try next.submit(group: "g", key: "k") === task)
        #expect(task.payload == SharedBytes("one") && task.model == SharedBytes("m") && task.timeout == .seconds(50))
        #expect(task.retriesLeft == 2 && task.user == SharedBytes("u") && task.enqueuedAt == first.enqueuedAt && task.progress == 5)
        #expect(task.sequence > first.sequence && next.broker.activeTasks(of: SharedBytes("u")).map(\.id) == [first.id])
        _ = next.taken()
        let worker = next.ready("g", concurrency: 9, models: ["m"])
        #expect(worker.hands.map(\.id) == [first.id, second.id, low.id] && worker.group === task.group)
        #expect(try Self.task(next, running).worker == nil)
    }

    @Test("no number is given twice, however soon one process follows another")
    func numbers() throws {
        var rig = Rig()
        let shelf = Shelf()
        let task = try rig.register("a")
        var last = task.sequence
        for _ in 0..<3 {
            rig = Self.next(rig, shelf)
            shelf.take(rig.taken())
            // Told, and lost with the process before it was written.
            let again = try Self.task(rig, task)
            #expect(again.sequence > last)
            #expect(rig.report(again, .progress(TaskEvent.Progress(reported: 5))) == "taken")
            last = again.sequence
            _ = rig.taken()
        }
    }

    @Test("its time runs on while nobody is there; one whose time is up ends at the next look")
    func deadlines() throws {
        let rig = Rig()
        let shelf = Shelf()
        _ = rig.ready()
        try rig.submit()
        let short = try rig.submit(timeout: .seconds(10))
        let long = try rig.submit(timeout: .seconds(100))
        rig.pass(.seconds(4))
        let next = Self.next(rig, shelf, pause: .seconds(60))
        let (shorter, longer) = (try Self.task(next, short), try Self.task(next, long))
        #expect(shorter.state == .queued)
        next.pass(.milliseconds(1))
        #expect(Rig.end(of: shorter) == "timed out" && longer.state == .queued)
        next.pass(.milliseconds(35_998))
        #expect(longer.state == .queued)
        next.pass(.milliseconds(1))
        #expect(Rig.end(of: longer) == "timed out")
        #expect(longer.elapsed(at: next.now.instant) == .seconds(100))
    }

    @Test("whom nobody can answer any more and nobody can ask for is cancelled; a key keeps a task")
    func nobodyWaits() throws {
        let rig = Rig()
        let shelf = Shelf()
        let worker = rig.ready(concurrency: 2)
        let lost = try rig.submit(request: 1)
        let kept = try rig.submit(key: "k", request: 2)
        for task in [lost, kept] { try rig.progress(task, by: worker, 50) }
        let silent = try rig.submit(request: 3)
        let next = Self.next(rig, shelf)
        let sequence = lost.sequence + StreamSource.stride + 1
        #expect(
            next.order() == ["record resumed", "record ended cancelled \(sequence)", "publish cancelled", "archive cancelled \(sequence)"])
        #expect(try Self.task(next, lost).state == .cancelled && Self.task(next, kept).state == .executing)
        #expect(next.broker.task(silent.id) == nil && next.broker.executingCount == 1 && next.broker.endedCount == 1)
        // It was taken up, and ended here.
        #expect(next.broker.statistics.restored == 2 && next.broker.statistics.cancelled == 1)
    }

    // MARK: In a worker's hands

    @Test("a worker that comes back within its time has its name and its tasks again, and delivers")
    func workerBack() throws {
        let rig = Rig()
        let shelf = Shelf()
        let worker = rig.ready("g", concurrency: 2)
        let tasks = try (0..<2).map { _ in try rig.submit(group: "g") }
        try rig.progress(tasks[0], by: worker, 50)
        let next = Self.next(rig, shelf)
        #expect(try Self.task(next, tasks[0]).progress == 60 && Self.task(next, tasks[1]).progress == 20)
        next.pass(.seconds(29))
        let back = next.connect("g", isExplicit: true, resuming: worker.id)
        #expect(back.id == worker.id && back.hands.map(\.id) == tasks.map(\.id) && back.room == 0)
        // The name is somebody's now: nobody else gets it.
        let other = next.connect("g", isExplicit: true, resuming: worker.id)
        #expect(other.id != worker.id && other.hands.isEmpty)
        next.pass(.seconds(10))
        next.broker.workerReady(back, concurrency: 2, models: nil, at: next.now)
        #expect(back.room == 0 && next.broker.executingCount == 2)
        _ = next.order()
        try next.complete(try Self.task(next, tasks[0]), by: back)
        let sequence = tasks[0].sequence + StreamSource.stride + 1
        #expect(
            next.order() == [
                "record ended completed \(sequence)", "publish completed", "archive completed \(sequence)", "acknowledge",
            ])
        #expect(back.room == 1 && next.broker.payloadBytes == 2)
        next.gone(back)
        #expect(try Rig.end(of: Self.task(next, tasks[1])) == "lost its worker")
    }

    @Test("after its time what it had runs again at the front where a try is left, and fails where none is")
    func workerGone() throws {
        let rig = Rig()
        let shelf = Shelf()
        let worker = rig.ready(concurrency: 3)
        let first = try rig.submit(retries: 1)
        let lost = try rig.submit()
        rig.pass(.seconds(1))
        let second = try rig.submit(retries: 2)
        let waiting = try rig.submit(retries: 1)
        let next = Self.next(rig, shelf)
        next.pass(.milliseconds(29_999))
        #expect(next.broker.executingCount == 3 && next.heard() == [])
        next.pass(.milliseconds(1))
        #expect(try Rig.end(of: Self.task(next, lost)) == "lost its worker")
        #expect(try [first, second, waiting].map { next.broker.position(of: try Self.task(next, $0)) } == [1, 2, 3])
        #expect(next.broker.queuedCount == 3 && next.broker.executingCount == 0 && next.broker.statistics.retried == 2)
        #expect(try Self.task(next, first).retriesLeft == 0 && Self.task(next, second).retriesLeft == 1)
        // Its name is worth nothing any more.
        let late = next.connect(resuming: worker.id)
        #expect(late.id != worker.id && late.hands.isEmpty)
    }

    @Test("a name that nobody had, or one of another group, or none, gives a new name and nothing in hand")
    func strangers() throws {
        let rig = Rig()
        let shelf = Shelf()
        let worker = rig.ready("g")
        let idle = rig.ready("h")
        try rig.submit(group: "g")
        let next = Self.next(rig, shelf)
        let names = [
            next.connect("h", resuming: worker.id), next.connect("g", resuming: idle.id), next.connect("g"),
            next.connect("g", resuming: WorkerID(number: worker.id.number, suffix: worker.id.suffix &+ 1)),
        ]
        #expect(names.allSatisfy(\.hands.isEmpty) && Set(names.map(\.id) + [worker.id, idle.id]).count == 6)
        #expect(names.allSatisfy { $0.id.number > worker.id.number }, "a number is given twice")
        #expect(next.connect("g", resuming: worker.id).hands.count == 1)
    }

    @Test("should records say that a worker had tasks in two groups, its name is still given once")
    func twoGroups() throws {
        let rig = Rig()
        let worker = WorkerID(number: 1, suffix: 1)
        let at = rig.now.wall
        let images = ["g", "h"].enumerated().map { index, group in
            TaskImage(
                id: TaskID(high: 1, low: UInt64(index)), group: SharedBytes(group), isDetached: true, payload: .empty,
                timeout: .seconds(60),
                createdAt: at, enqueuedAt: at, state: .executing, worker: worker.text, startedAt: at)
        }
        rig.broker.restore(live: images, ended: [], at: rig.now)
        let first = rig.connect("g", resuming: worker)
        let second = rig.connect("h", resuming: worker)
        #expect(first.id == worker && first.hands.count == 1 && second.id != worker && second.hands.isEmpty)
        rig.gone(first)
        #expect(rig.connect("h", resuming: worker).hands.count == 1)
    }

    @Test("while its worker is away a task can be cancelled, and can run out of time")
    func withdrawn() throws {
        let rig = Rig()
        let shelf = Shelf()
        let worker = rig.ready("g", concurrency: 3)
        let tasks = try [60, 60, 5].map { try rig.submit(group: "g", timeout: .seconds($0)) }
        let next = Self.next(rig, shelf)
        #expect(next.cancel(try Self.task(next, tasks[0])) == "cancelled" && next.heard() == [])
        next.pass(.seconds(4))
        #expect(try Rig.end(of: Self.task(next, tasks[2])) == "timed out")
        let back = next.connect("g", resuming: worker.id)
        #expect(back.hands.map(\.id) == [tasks[1].id] && next.broker.executingCount == 1)
        let dropped = try Self.task(next, tasks[0])
        #expect(verdict { () throws(ReportRefusal) in try next.complete(dropped, by: back) } == "already cancelled")
    }

    @Test("a group lives while a task of it waits for its worker, and no longer")
    func groups() throws {
        let rig = Rig()
        let shelf = Shelf()
        _ = rig.ready("g")
        _ = rig.ready("h")
        try rig.submit(group: "g")
        let task = try rig.submit(group: "h")
        try rig.submit(group: "h")
        let next = Self.next(rig, shelf)
        #expect(Set(next.broker.allGroups.map(\.name)) == [SharedBytes("g"), SharedBytes("h")])
        let worker = next.ready("h")
        #expect(worker.group === (try Self.task(next, task)).group)
        next.gone(worker)
        next.pass(.seconds(30))
        #expect(next.broker.groupCount == 0)
    }

    // MARK: Ended

    @Test("what has ended is remembered for the rest of its time, with its end, its last words and its key")
    func ended() throws {
        let rig = Rig()
        let shelf = Shelf()
        let worker = rig.ready(concurrency: 9)
        let done = try rig.submit(key: "k", user: "u")
        let report = TaskEvent.Progress(reported: 50, message: SharedBytes("half"), totalSteps: 4, completedSteps: 2)
        try rig.broker.progress(done.id, by: worker, report, at: rig.now)
        try rig.complete(done, by: worker, "[1]")
        rig.pass(.seconds(100))
        let failed = try rig.submit()
        try rig.fail(failed, by: worker)
        let next = Self.next(rig, shelf, pause: .seconds(150))
        let task = try Self.task(next, done)
        #expect(Rig.end(of: task) == "completed [1]" && TaskEndingTests.spelled(task.ending) == TaskEndingTests.spelled(done.ending))
        #expect(task.progress == 100 && task.sequence == done.sequence && task.lastWorker == worker.id && task.endedAt == done.endedAt)
        #expect(task.report?.message == SharedBytes("half") && task.report?.totalSteps == 4 && task.report?.completedSteps == 2)
        #expect(task.updatedAt == done.updatedAt && task.isRecorded && task.group?.name == SharedBytes("default"))
        #expect(try next.submit(key: "k", request: 1) === task && next.broker.groupCount == 0)
        #expect(next.broker.tasks(of: SharedBytes("u"), in: .completed, after: nil, limit: 1).tasks.map(\.id) == [done.id])
        next.pass(.milliseconds(49_999))
        #expect(next.broker.endedCount == 2)
        next.pass(.milliseconds(1))
        #expect(next.broker.task(done.id) == nil && next.broker.task(failed.id) != nil)
        #expect(next.remove(failed.id) == "removed" && next.order() == ["record removed"])
    }

    @Test("what ended too long ago is left out, and a clock that was set back keeps nothing for longer")
    func endedLongAgo() throws {
        let rig = Rig()
        let shelf = Shelf()
        let worker = rig.ready()
        let task = try rig.submit()
        try rig.complete(task, by: worker)
        #expect(Self.next(rig, shelf, pause: .seconds(300)).broker.endedCount == 0)
        let next = Self.next(rig, shelf, pause: .seconds(-5_000))
        #expect(next.broker.endedCount == 1)
        next.pass(.seconds(300))
        #expect(next.broker.endedCount == 0)
    }

    @Test("a task that was given up with all who waited for it gave up its key for good")
    func givenUpKey() throws {
        let rig = Rig()
        let shelf = Shelf()
        _ = rig.ready()
        let task = try rig.submit(key: "k", request: 1)
        rig.abandon(task, 1)
        let next = Self.next(rig, shelf)
        _ = next.ready()
        #expect(try next.submit(key: "k") !== Self.task(next, task))
    }

    // MARK: Reported

    @Test("an outside program's task goes on as it was, with a whole time of silence before it")
    func reported() throws {
        let rig = Rig()
        let shelf = Shelf()
        let fresh = try rig.register("a", metadata: "{}")
        let begun = try rig.register("b")
        #expect(rig.report(begun, .progress(TaskEvent.Progress(reported: 33))) == "taken")
        let over = try rig.register("c")
        #expect(rig.report(over, .failed(TaskEvent.Fault(error: .plain(SharedBytes("Unknown error"))))) == "taken")
        rig.pass(.seconds(80))
        let next = Self.next(rig, shelf, pause: .seconds(50)) { $0.reportedSilenceMax = .seconds(100) }
        let (first, second, third) = (try Self.task(next, fresh), try Self.task(next, begun), try Self.task(next, over))
        #expect(first.state == .queued && first.metadata == SharedBytes("{}") && first.group == nil && first.progress == 0)
        #expect(second.state == .executing && second.progress == 33 && second.report?.reported == 33 && second.startedAt == begun.startedAt)
        #expect(Rig.end(of: third) == "failed Unknown error" && next.broker.groupCount == 0)
        #expect(next.broker.reportedCount == 2 && next.broker.payloadBytes == 2)
        next.pass(.seconds(40))
        #expect(next.report(second, .completed(result: .empty)) == "taken")
        #expect(TaskEndingTests.spelled(second.ending) == " 170000000000 -")
        #expect(try next.register("c").sequence > over.sequence)
        next.pass(.seconds(60))
        #expect(Rig.end(of: first) == "timed out")
    }
}
