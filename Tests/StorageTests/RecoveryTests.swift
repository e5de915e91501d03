// Recovery: which tasks come back, in which order, and with what.
import Base
import Testing

@testable import Domain
@testable import Storage

struct RecoveryTests {
    @Test("live tasks come in the order of submission, ended ones in the order of their ends")
    func order() throws {
        var rig = try Rig()
        for number in [5, 2, 9, 1, 7] { try rig.write(.submitted(image(number))) }
        try rig.write(.assigned(TaskAssignment(id: name(9), worker: .empty, startedAt: time(1), attempts: 1, sequence: 2)))
        try rig.write(.ended(ending(7, at: 3_000)), .ended(ending(2, at: 4_000)), .ended(ending(1, at: 3_000)))
        try rig.write(.requeued(TaskRequeue(id: name(9), retriesLeft: 0, sequence: 3)))
        let found = try rig.recover()
        #expect(found.live.map(\.id) == [5, 9].map(name))
        #expect(found.ended.map(\.id) == [1, 7, 2].map(name))
    }

    @Test("of the ended tasks those within the time come back, and of these the newest that have room")
    func bounds() throws {
        var rig = try Rig()
        for number in 1...4 { try rig.write(.submitted(image(number)), .ended(ending(number, at: number * 1_000))) }
        #expect(try rig.recover(since: 2_000).ended.map(\.id) == [2, 3, 4].map(name))
        #expect(try rig.recover(since: 4_001).ended.isEmpty)
        #expect(try rig.recover(bytesMax: 1_200).ended.map(\.id) == [3, 4].map(name))
        #expect(try rig.recover(bytesMax: 0).ended.isEmpty)
    }

    @Test("a task comes back with its last progress")
    func lastProgress() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)), .submitted(image(2)), .progressed(progress(1, 10)), .progressed(progress(1, 30)))
        #expect(try rig.recover().live.map(\.progress) == [progress(1, 30), nil])
    }

    @Test("a task shows nothing that was reported of an earlier one of its name")
    func earlierProgress() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)), .progressed(progress(1, 42)))
        try rig.write(.submitted(image(1, at: 2_000)))
        #expect(try rig.recover().live.map(\.progress) == [nil])
        try rig.write(.progressed(progress(1, 7, at: 2_000)))
        #expect(try rig.recover().live.map(\.progress?.progress) == [7])
    }

    @Test("after the file was closed and opened everything is there, and sessions that were open count as closed")
    func reopened() throws {
        let scratch = try Scratch()
        do {
            var rig = try Rig(scratch.location)
            try rig.write(.submitted(image(1, payload: 100_000)), .submitted(image(2)), .ended(ending(2)), .happened(event(1, 2)))
            try rig.write(.sessionOpened(session("a")), .sessionOpened(session("b")))
            try rig.write(.sessionClosed(SessionTouch(clientID: SharedBytes("b"), at: time(5_000), messageCount: 1)))
            try rig.journal.close()
        }
        let rig = try Rig(scratch.location)
        let found = try rig.recover()
        #expect(found.live.map(\.id) == [name(1)] && found.live.first?.payload.count == 100_000)
        #expect(found.ended.map(\.ending) == [ending(2)])
        #expect(try rig.events(name(1)).rows == [event(1, 2)])
        let sessions = try Rig.ask { try rig.journal.sessions(of: nil, limit: 9, $0) }
        #expect(sessions.rows.map(\.disconnectedAt) == [time(1_000), time(5_000)])
    }
}

// MARK: What nobody wrote

extension RecoveryTests {
    private func isCorrupt(_ error: any Error) -> Bool {
        if case StorageError.corrupt = error { true } else { false }
    }

    @Test(
        "a value that no server wrote is told as damage, and is nobody's to begin with",
        arguments: [
            "UPDATE submitted_tasks SET attempts = 9223372036854775807 WHERE number = 1",
            "UPDATE submitted_tasks SET retries = -1 WHERE number = 1",
            "UPDATE submitted_tasks SET retries_left = 4294967296 WHERE number = 1",
            "UPDATE submitted_tasks SET sequence = 9223372036854775807",
            "UPDATE submitted_tasks SET lease = -5", "UPDATE dead_letters SET attempts = -1",
            "UPDATE dead_letters SET retries = 9223372036854775807",
            "UPDATE dead_letters SET number = 0 WHERE number = 1", "UPDATE dead_letters SET number = 9223372036854775807 WHERE number = 2",
            // The index of unique names holds a text and a blob for two.
            "UPDATE submitted_tasks SET id = CAST((SELECT id FROM submitted_tasks WHERE number = 1) AS BLOB) WHERE number = 2",
            "UPDATE submitted_tasks SET id = CAST((SELECT id FROM submitted_tasks WHERE number = 1) AS BLOB) WHERE number = 3",
            "UPDATE dead_letters SET id = CAST((SELECT id FROM dead_letters WHERE number = 1) AS BLOB) WHERE number = 2",
        ])
    func unwritten(_ words: String) throws {
        let scratch = try Scratch()
        do {
            var rig = try Rig(scratch.location)
            try rig.write(
                .submitted(image(1)), .submitted(image(2)), .submitted(image(3)), .ended(ending(3)), .letterKept(letter(8, place: 1)),
                .letterKept(letter(9, place: 2)))
            #expect(try rig.recover().letters.count == 2)
            try rig.journal.close()
        }
        do {
            var database = try Database(scratch.file)
            try database.execute(words)
        }
        let rig = try Rig(scratch.location)
        #expect { _ = try rig.recover() } throws: { isCorrupt($0) }
    }
}

// MARK: The full circle

extension RecoveryTests {
    /// A broker, its clock, and a journal that writes what it decides.
    private final class Life {
        let broker: Broker
        var now: Moment
        private var last: UInt64 = 0

        init(at wall: Int64) {
            broker = Broker(limits: Limits(), random: Randomness(seed: UInt64(wall)))
            now = Moment(instant: Instant(nanoseconds: 1_000_000_000), wall: WallTime(milliseconds: wall))
        }

        func write(to rig: inout Rig) throws {
            var effects: [Effect] = []
            broker.takeEffects(into: &effects)
            let records = effects.compactMap { effect -> Record? in if case .record(let record) = effect { record } else { nil } }
            if !records.isEmpty { rig.listener.wait(for: try rig.append(records)) }
        }

        func worker(resuming id: WorkerID? = nil) -> Worker {
            let worker = broker.workerConnected(
                group: SharedBytes("default"), connection: ConnectionID(slot: 1, generation: 1), isExplicit: true, resuming: id, at: now)
            let rate = Rate(perHour: 0.1, currency: SharedBytes("EUR"))
            broker.workerReady(worker, concurrency: 4, models: nil, rate: rate, at: now)
            return worker
        }

        func submit(_ payload: String, key: String? = nil) throws -> TaskRecord {
            var submission = Submission(payload: SharedBytes(payload), retries: 1, idempotencyKey: key.map { SharedBytes($0) })
            submission.user = SharedBytes("u")
            return try broker.submit(submission, for: .nobody, at: now)
        }

        func ending(_ id: TaskID) -> TaskEnding? {
            guard let task = broker.task(id), let event = task.ending, let at = task.endedAt else { return nil }
            let failure: FailureKind? = if case .failed(let reason) = task.outcome { FailureKind(reason) } else { nil }
            return TaskEnding(id: id, event: event, failure: failure, endedAt: at, sequence: task.sequence)
        }
    }

    @Test("what a broker decided, written, closed, opened and read back, is what the next broker has")
    func circle() throws {
        let scratch = try Scratch()
        let life = Life(at: 1_700_000_000_000)
        var ends: [TaskEnding?] = []
        var running: TaskRecord?
        var waiting: TaskRecord?
        var reported: TaskRecord?
        let chosen = TaskID(SharedBytes("interview_123").span)
        let outside = try #require(chosen)
        do {
            var rig = try Rig(scratch.location)
            let worker = life.worker()
            let done = try life.submit("1", key: "k")
            let failed = try life.submit("2")
            running = try life.submit("3")
            let cancelled = try life.submit("4")
            waiting = try life.submit("55")
            try life.broker.complete(done.id, by: worker, TaskEvent.Completion(result: SharedBytes("[1]")), at: life.now)
            try life.broker.fail(
                failed.id, by: worker,
                TaskEvent.Fault(error: .raw(SharedBytes("{}")), code: SharedBytes("E"), cost: .raw(SharedBytes("1.50"))), at: life.now)
            _ = life.broker.cancel(cancelled.id, at: life.now)
            let registration = TaskRegistration(id: outside, user: SharedBytes("u"), metadata: SharedBytes("{\"a\":1}"))
            reported = try life.broker.register(registration, at: life.now)
            _ = try life.broker.report(.started, of: outside, at: life.now)
            ends = [done.id, failed.id, cancelled.id].map(life.ending)
            try life.write(to: &rig)
            try rig.journal.close()
        }
        var rig = try Rig(scratch.location)
        let found = try rig.recover()
        let next = Life(at: 1_700_000_010_000)
        next.broker.restore(live: found.live, ended: found.ended, at: next.now)
        try next.write(to: &rig)
        #expect(ends.allSatisfy { $0 != nil } && ends.map { $0.flatMap { next.ending($0.id) } } == ends)
        #expect(next.broker.executingCount + next.broker.queuedCount == 2 && next.broker.reportedCount == 1)
        #expect(next.broker.payloadBytes == 3 + 7)
        let task = try #require(next.broker.task(outside))
        #expect(task.state == .executing && task.metadata == reported?.metadata && task.startedAt == reported?.startedAt)
        #expect(task.lastWorker == nil && task.origin == .reported)
        let old = try #require(running?.lastWorker)
        let back = next.worker(resuming: old)
        #expect(back.id == old && Set(back.hands.map(\.id)) == Set([running, waiting].compactMap { $0?.id }))
        // And once more: what was taken up has left its mark.
        let again = try rig.recover()
        #expect(again.live.map(\.id) == found.live.map(\.id))
        for (before, after) in zip(found.live, again.live) { #expect(after.sequence > before.sequence) }
    }
}
