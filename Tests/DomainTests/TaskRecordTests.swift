// TaskRecordTests: a task's progress on the scale of a whole dispatch, its events, and what it keeps in memory.
import Base
import Testing

@testable import Domain

struct TaskRecordTests {
    @Test("the stages of a dispatch: queued 5, sent 20, first sign of life 30, the worker's 0-100 over 40-80, 100 at the end")
    func stages() throws {
        let rig = Rig()
        let worker = rig.ready()
        let first = try rig.submit()
        let task = try rig.submit()
        #expect(task.progress == 5)
        try rig.complete(first, by: worker)
        #expect(first.progress == 100 && task.progress == 20)
        try rig.broker.logged(task.id, by: worker, TaskEvent.Log(logs: SharedBytes("l")), at: rig.now)
        #expect(task.progress == 30)
        for (percent, figure) in [(0, 40), (25, 50), (50, 60), (100, 80)] as [(Double, Double)] {
            try rig.progress(task, by: worker, percent)
            #expect(task.progress == figure)
        }
        try rig.complete(task, by: worker)
        #expect(task.progress == 100)
    }

    @Test("a chunk, like a log, is a sign of life")
    func chunkIsLife() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        try rig.broker.chunk(task.id, by: worker, SharedBytes("1"), at: rig.now)
        #expect(task.progress == 30)
    }

    @Test("progress never goes back: not by a smaller report, not by a worker that vanishes, not by the next one's first words")
    func neverBackwards() throws {
        let rig = Rig()
        let first = rig.ready()
        let task = try rig.submit(retries: 1)
        try rig.progress(task, by: first, 75)
        try rig.progress(task, by: first, 10)
        #expect(task.progress == 70 && task.report?.reported == 10)
        rig.gone(first)
        #expect(task.state == .queued && task.progress == 70)
        let second = rig.ready()
        try rig.progress(task, by: second, 0)
        #expect(task.progress == 70)
        try rig.fail(task, by: second)
        #expect(task.progress == 70)
    }

    @Test(
        "a worker's figure outside 0-100 is clamped",
        arguments: [
            (-5, 40), (101, 80), (.infinity, 80), (-.infinity, 40),
        ] as [(Double, Double)])
    func clamped(_ percent: Double, _ figure: Double) throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        try rig.progress(task, by: worker, percent)
        #expect(task.progress == figure)
    }

    @Test("every move and every word of the worker is one event; a piece of the result is none of its own")
    func sequence() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        let start = task.sequence
        try rig.progress(task, by: worker, 1)
        try rig.broker.logged(task.id, by: worker, TaskEvent.Log(logs: SharedBytes("l")), at: rig.now)
        try rig.broker.chunk(task.id, by: worker, SharedBytes("1"), at: rig.now)
        try rig.complete(task, by: worker)
        #expect(task.sequence == start + 3)
        _ = rig.cancel(task)
        #expect(task.sequence == start + 3)
    }

    @Test("what watchers are told: each event with its number and the task's progress behind it")
    func told() throws {
        let rig = Rig()
        let worker = rig.ready()
        let first = try rig.submit()
        let second = try rig.submit(retries: 1)
        try rig.progress(first, by: worker, 50)
        try rig.broker.chunk(first.id, by: worker, SharedBytes("1"), at: rig.now)
        try rig.complete(first, by: worker)
        rig.gone(worker)
        _ = rig.cancel(second)
        #expect(
            rig.published() == [
                "t1 #1 started 20", "t2 #1 queued 5", "t1 #2 progress 60", "t1 #2 chunk 60", "t1 #3 completed 100",
                "t2 #2 started 20", "t2 #3 queued 20", "t2 #4 cancelled 20",
            ])
    }

    @Test("what a report leaves out stays as it was")
    func merged() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        let first = TaskEvent.Progress(reported: 25, message: SharedBytes("m"), step: SharedBytes("s"), totalSteps: 4)
        try rig.broker.progress(task.id, by: worker, first, at: rig.now)
        try rig.broker.progress(task.id, by: worker, TaskEvent.Progress(step: SharedBytes("t"), completedSteps: 1), at: rig.now)
        let report = task.report
        #expect(report?.reported == 25 && report?.message == SharedBytes("m") && report?.step == SharedBytes("t"))
        #expect(report?.totalSteps == 4 && report?.completedSteps == 1 && task.progress == 50)
    }

    @Test("what has ended changed last when it ended, also for a later process, and where the clock was set back meanwhile")
    func endOfLife() throws {
        let rig = Rig()
        let shelf = Shelf()
        let worker = rig.ready()
        let task = try rig.submit(key: "k")
        #expect(worker.hands.map(\.id) == [task.id])
        rig.setBack(.seconds(5))
        try rig.complete(task, by: worker)
        shelf.take(rig.taken())
        let next = Rig()
        next.broker.restore(live: shelf.live, ended: shelf.ended, at: rig.now)
        #expect(next.broker.task(task.id)?.updatedAt == task.updatedAt && task.updatedAt == rig.now.wall)
    }

    @Test("an ended task keeps its outcome's bytes and its last report's, not its payload")
    func retained() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 3)
        let tasks = try (0..<3).map { _ in try rig.submit(String(repeating: "x", count: 999)) }
        let report = TaskEvent.Progress(reported: 1, message: SharedBytes("four"), step: SharedBytes("six666"))
        try rig.broker.progress(tasks[0].id, by: worker, report, at: rig.now)
        try rig.complete(tasks[0], by: worker, "12345678")
        try rig.fail(tasks[1], by: worker, "\"x\"")
        _ = rig.cancel(tasks[2])
        let wanted = [18 + 2 * TaskEvent.blockBytes + TaskEvent.Completion.ownBytes, 3 + TaskEvent.Fault.ownBytes, 0]
        #expect(tasks.map { $0.retainedBytes - TaskRecord.ownBytes } == wanted)
        #expect(rig.broker.endedBytes == 3 * TaskRecord.ownBytes + wanted.reduce(0, +))
    }
}
