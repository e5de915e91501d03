// The store, through its journal: what each record leaves in the tables, and what reading it back gives.
import Base
import Domain
import Testing

@testable import Storage

struct StoreTests {
    private static let full = TaskImage(
        id: TaskID(SharedBytes("a task / of mine").span) ?? name(0), userID: SharedBytes("u"), projectID: SharedBytes("p"),
        group: SharedBytes("gpu"), model: SharedBytes("m1"), type: SharedBytes("image"), priority: .high, provider: SharedBytes("modal"),
        origin: .reported, isDetached: true, metadata: SharedBytes(#"{"a": 1.50}"#), payload: SharedBytes([0, 255, 39, 0, 34]),
        timeout: .milliseconds(61_500), retriesLeft: 3, attempts: 1, idempotencyKey: SharedBytes("k'); DROP TABLE tasks; --"),
        createdAt: time(1_001), enqueuedAt: time(1_002), deadline: time(62_502), state: .executing, sequence: 4,
        worker: SharedBytes("W1-00000001"), startedAt: time(1_003))

    private static let bare = TaskImage(
        id: name(7), group: .empty, isDetached: false, payload: .empty, timeout: .zero, createdAt: time(0), enqueuedAt: time(0))

    @Test("a task comes back as it was taken in, byte for byte", arguments: [full, bare, image(3, payload: 200_000)])
    func roundTrip(_ task: TaskImage) throws {
        var rig = try Rig()
        try rig.write(.submitted(task))
        #expect(try rig.recover().live == [task])
    }

    @Test("assigned, queued again, assigned: the task stands where the last record put it")
    func moves() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)))
        let worker = SharedBytes("W1")
        try rig.write(.assigned(TaskAssignment(id: name(1), worker: worker, startedAt: time(1_100), attempts: 1, sequence: 2)))
        var wanted = image(1)
        (wanted.state, wanted.worker, wanted.startedAt, wanted.attempts, wanted.sequence) = (.executing, worker, time(1_100), 1, 2)
        wanted.lease = 2
        #expect(try rig.recover().live == [wanted])
        try rig.write(.requeued(TaskRequeue(id: name(1), retriesLeft: 0, retryAt: time(5_000), sequence: 3)))
        (wanted.state, wanted.retriesLeft, wanted.retryAt, wanted.sequence) = (.queued, 0, time(5_000), 3)
        #expect(try rig.recover().live == [wanted])
        // Its next try may be at once.
        try rig.write(.requeued(TaskRequeue(id: name(1), retriesLeft: 0, sequence: 4)))
        (wanted.retryAt, wanted.sequence) = (nil, 4)
        #expect(try rig.recover().live == [wanted])
    }

    @Test(
        "an end comes back with its outcome, and the payload is gone",
        arguments: [
            TaskEnding(
                id: name(1),
                event: .completed(
                    .init(result: SharedBytes("[1]"), executionTime: TimeSpan(nanoseconds: 7), cost: .raw(SharedBytes("0.10")))),
                endedAt: time(5), sequence: 9),
            TaskEnding(
                id: name(1),
                event: .completed(
                    .init(
                        result: .empty, executionTime: .seconds(3),
                        cost: .metered(Rate(perHour: 0.1, currency: SharedBytes("EUR")), .seconds(3)))), endedAt: time(5), sequence: 9),
            TaskEnding(
                id: name(1),
                event: .failed(
                    .init(
                        error: .raw(SharedBytes("\"no\"")), code: SharedBytes("c'"), type: SharedBytes("t"), details: SharedBytes("{}"),
                        step: SharedBytes("s"), executionTime: .zero, cost: .raw(.empty))), endedAt: time(5), sequence: 9),
            TaskEnding(id: name(1), event: .failed(.init(error: .plain(SharedBytes("no")))), endedAt: time(5), sequence: 9),
            TaskEnding(
                id: name(1), event: .failed(.init(error: .plain(SharedBytes("Task timeout")), step: SharedBytes("s"))), failure: .timeout,
                endedAt: time(5), sequence: 9),
            TaskEnding(
                id: name(1), event: .failed(.init(error: .plain(.empty))), failure: .workerDisconnected, endedAt: time(5), sequence: 9),
            TaskEnding(id: name(1), event: .cancelled(reason: nil), endedAt: time(5), sequence: 9),
            TaskEnding(id: name(1), event: .cancelled(reason: SharedBytes("why")), endedAt: time(5), sequence: 9),
            TaskEnding(id: name(1), event: .completed(.init(result: .empty)), endedAt: time(5), sequence: 9),
        ])
    func ends(_ ending: TaskEnding) throws {
        var rig = try Rig()
        var task = image(1)
        task.metadata = SharedBytes("{}")
        try rig.write(.submitted(task), .ended(ending))
        (task.payload, task.state, task.sequence, task.ending) = (.empty, ending.state, 9, ending)
        let found = try rig.recover()
        #expect(found.ended == [task])
        #expect(found.live == [])
    }

    @Test("a terminal state is final: what comes late changes nothing")
    func final() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)), .ended(ending(1)))
        try rig.write(
            .ended(ending(1, .cancelled, at: 9_000)),
            .assigned(TaskAssignment(id: name(1), worker: .empty, startedAt: time(1), attempts: 1, sequence: 10)),
            .requeued(TaskRequeue(id: name(1), retriesLeft: 1, sequence: 11)))
        #expect(try rig.recover().ended.map(\.ending) == [ending(1)])
        #expect(try rig.counts() == TaskCounts(completed: 1))
    }

    @Test("what is said of a task that is not stored leaves no trace, except its progress")
    func unknown() throws {
        var rig = try Rig()
        try rig.write(.ended(ending(1)), .happened(event(1, 1)), .logged(log(1, 2)), .progressed(progress(1, 3)), .removed(name(2)))
        #expect(try rig.counts() == TaskCounts())
        #expect(try rig.events(name(1)).rows == [])
        #expect(try rig.progress(name(1)).rows == [progress(1, 3)])
    }

    @Test("the sequence goes on after the last event of any sort")
    func sequence() throws {
        let later: [Record] = [.resumed(name(1), sequence: 20), .happened(event(1, 20)), .logged(log(1, 20)), .progressed(progress(1, 20))]
        for record in later {
            var rig = try Rig()
            try rig.write(.submitted(image(1)), record, .happened(event(1, 15)))
            #expect(try rig.recover().live.map(\.sequence) == [20])
        }
    }

    @Test("a removed task takes everything with it, and only that")
    func removed() throws {
        var rig = try Rig()
        for number in 1...2 {
            try rig.write(
                .submitted(image(number)), .happened(event(number, 1)), .logged(log(number, 2)), .progressed(progress(number, 3)),
                .ended(ending(number)))
        }
        try rig.write(.removed(name(1)))
        #expect(try rig.events(name(1)).rows == [] && rig.logs(name(1)).rows == [] && rig.progress(name(1)).rows == [])
        #expect(try rig.events(name(2)).rows.count == 1 && rig.logs(name(2)).rows.count == 1 && rig.progress(name(2)).rows.count == 1)
        #expect(try rig.counts() == TaskCounts(completed: 1))
        #expect(try rig.recover().ended.map(\.id) == [name(2)])
        // Its number may be given again: nothing of it may come back with the next task.
        try rig.write(.submitted(image(3)))
        #expect(try rig.recover().live == [image(3)])
    }

    @Test("a name that is taken in again begins a new life")
    func again() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)), .happened(event(1, 30)), .ended(ending(1)))
        try rig.write(.submitted(image(1, at: 7_000)))
        let found = try rig.recover()
        #expect(found.live == [image(1, at: 7_000)] && found.ended == [])
        #expect(try rig.events(name(1)).rows == [])
        #expect(try rig.counts() == TaskCounts(active: 1))
    }

    @Test("tasks are counted as they stand, also after the file was closed and opened")
    func counts() throws {
        let scratch = try Scratch()
        let wanted = TaskCounts(active: 2, completed: 1, failed: 2, cancelled: 1)
        do {
            var rig = try Rig(scratch.location)
            for number in 1...6 { try rig.write(.submitted(image(number))) }
            try rig.write(
                .ended(ending(1)), .ended(ending(2, .failed(.timeout))), .ended(ending(3, .failed(.reported(.raw(.empty))))),
                .ended(ending(4, .cancelled)))
            #expect(try rig.counts() == wanted)
            #expect(wanted.total == 6)
            try rig.journal.close()
        }
        #expect(try Rig(scratch.location).counts() == wanted)
    }

    @Test("cleared progress is gone, and the task and its events stay")
    func cleared() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)), .happened(event(1, 1)), .progressed(progress(1, 2)), .progressed(progress(2, 2)))
        try rig.write(.progressCleared(name(1)))
        #expect(try rig.progress(name(1)).rows == [])
        #expect(try rig.progress(name(2)).rows.count == 1)
        #expect(try rig.events(name(1)).rows.count == 1 && rig.counts().total == 1)
    }

    @Test("a session is a row from its opening on; touched and closed it stays the same row")
    func sessions() throws {
        var rig = try Rig()
        let client = SharedBytes("c")
        var row = session("c")
        try rig.write(.sessionOpened(row))
        func found() throws -> SessionRow? { try Rig.ask { try rig.journal.session(client, $0) } }
        #expect(try found() == row)
        try rig.write(.sessionTouched(SessionTouch(clientID: client, at: time(1_500), messageCount: 3)))
        (row.lastActiveAt, row.updatedAt, row.messageCount) = (time(1_500), time(1_500), 3)
        #expect(try found() == row)
        try rig.write(.sessionClosed(SessionTouch(clientID: client, at: time(1_700), messageCount: 4)))
        (row.lastActiveAt, row.updatedAt, row.disconnectedAt, row.messageCount) = (time(1_700), time(1_700), time(1_700), 4)
        #expect(try found() == row)
        var reopened = session("c", user: "v", at: 9_000)
        try rig.write(.sessionOpened(reopened))
        reopened.createdAt = row.createdAt
        #expect(try found() == reopened)
        #expect(try Rig.ask { try rig.journal.session(SharedBytes("nobody"), $0) } == nil)
    }
}

extension TaskCounts {
    init(active: Int = 0, completed: Int = 0, failed: Int = 0, cancelled: Int = 0) {
        self.init()
        add(active, to: .queued)
        add(completed, to: .completed)
        add(failed, to: .failed)
        add(cancelled, to: .cancelled)
    }

    @Test("the write-ahead log is moved home when it is long enough, and begins anew: it does not grow with what is written")
    func shortLog() throws {
        let scratch = try Scratch()
        var settings = StorageSettings()
        settings.checkpointPages = 64
        let store = try Store(scratch.location, settings)
        var longest = 0
        for number in 1...400 {
            try store.commit([[RecordEntry(number: UInt64(number), record: .submitted(image(number, payload: 4_096)))]])
            try store.tidy()
            longest = max(longest, try #require(Scratch.size(of: scratch.file + "-wal")))
        }
        // Some 64 pages, and what the last commit before that added.
        #expect(longest > 64 * 4_096 && longest < 100 * 4_096)
        #expect(try #require(Scratch.size(of: scratch.file)) > 300 * 4_096)
        try store.close()
    }
}
