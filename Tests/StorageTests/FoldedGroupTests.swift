// FoldedGroup: what records of one task are drawn together to, and that the tables look as if each record had been written by itself.
import Base
import Domain
import TestSupport
import Testing

@testable import Storage

struct FoldedGroupTests {
    private static func fold(_ records: Record...) -> FoldedGroup {
        FoldedGroup([records.enumerated().map { RecordEntry(number: UInt64($0.offset) + 1, record: $0.element) }])
    }

    private static func place(_ entry: Int) -> FoldedGroup.Place { FoldedGroup.Place(batch: 0, entry: entry) }

    private static let begin = TaskAssignment(id: name(1), worker: SharedBytes("W1"), startedAt: time(1_100), attempts: 1, sequence: 2)
    private static let again = TaskRequeue(id: name(1), retriesLeft: 4, retryAt: time(1_900), sequence: 3)

    @Test("a task that begins and ends within the group is written once, as it ended, without its payload")
    func whole() {
        let group = FoldedGroupTests.fold(.submitted(image(1)), .assigned(FoldedGroupTests.begin), .ended(ending(1)))
        var wanted = image(1)
        (wanted.state, wanted.worker, wanted.startedAt, wanted.attempts) = (.completed, SharedBytes("W1"), time(1_100), 1)
        (wanted.sequence, wanted.payload, wanted.ending, wanted.lease) = (9, .empty, ending(1), 2)
        #expect(group.steps == [.insert(life: 0)] && group.image(of: 0) == wanted)
    }

    @Test("what comes after a task's end moves its sequence and nothing else")
    func afterEnd() {
        let group = FoldedGroupTests.fold(
            .submitted(image(1)), .ended(ending(1)), .assigned(FoldedGroupTests.begin), .requeued(FoldedGroupTests.again),
            .ended(ending(1, .cancelled)), .resumed(name(1), sequence: 40))
        var wanted = image(1)
        (wanted.state, wanted.sequence, wanted.payload, wanted.ending) = (.completed, 40, .empty, ending(1))
        #expect(group.steps == [.insert(life: 0)] && group.image(of: 0) == wanted)
    }

    @Test("a task that waits again keeps the worker it had")
    func requeued() {
        let group = FoldedGroupTests.fold(.submitted(image(1)), .assigned(FoldedGroupTests.begin), .requeued(FoldedGroupTests.again))
        var wanted = image(1)
        (wanted.state, wanted.worker, wanted.startedAt, wanted.attempts) = (.queued, SharedBytes("W1"), time(1_100), 1)
        (wanted.sequence, wanted.retriesLeft, wanted.lease, wanted.retryAt) = (3, 4, 2, time(1_900))
        #expect(group.steps == [.insert(life: 0)] && group.image(of: 0) == wanted)
    }

    @Test("rows stay in their order, and a new task's sequence is as high as they tell")
    func rows() {
        let place = FoldedGroupTests.place
        let group = FoldedGroupTests.fold(
            .submitted(image(1)), .happened(event(1, 7)), .progressed(progress(2, 5)), .logged(log(1, 6)), .progressCleared(name(1)))
        let steps: [FoldedGroup.Step] = [
            .insert(life: 0), .row(place(1), life: 0), .row(place(2), life: 1), .row(place(3), life: 0), .other(place(4)),
        ]
        #expect(group.steps == steps && group.image(of: 0)?.sequence == 7 && group.lives.map(\.sequence) == [7, 5])
    }

    @Test("a stored task that begins and ends within the group changes once, and its sequence goes on once")
    func stored() {
        let place = FoldedGroupTests.place
        let group = FoldedGroupTests.fold(
            .assigned(FoldedGroupTests.begin), .happened(event(1, 7)), .resumed(name(1), sequence: 12), .ended(ending(1)),
            .ended(ending(1)))
        let steps: [FoldedGroup.Step] = [
            .nothing, .row(place(1), life: 0), .end(place(3), assignment: place(0), life: 0), .end(place(4), assignment: nil, life: 0),
        ]
        #expect(group.steps == steps && group.lives.map(\.sequence) == [12])
    }

    @Test("a task that is removed within the group, or makes way for another of its name, is not written")
    func removed() {
        let group = FoldedGroupTests.fold(
            .submitted(image(1)), .happened(event(1, 7)), .submitted(image(1, at: 5)), .removed(name(1)), .submitted(image(1, at: 6)))
        #expect(group.lives.map(\.fate) == [.replaced, .removed, .stands])
        #expect((0..<3).map { group.image(of: $0)?.sequence } == [7, 0, 0])
        #expect(group.steps.last == .insert(life: 2))
    }

    @Test("a group in which nothing belongs together is a step for each record")
    func nothing() {
        let touch = SessionTouch(clientID: SharedBytes("c"), at: time(1), messageCount: 1)
        let group = FoldedGroupTests.fold(.submitted(image(1)), .sessionTouched(touch), .ended(ending(2)), .removed(name(3)))
        let place = FoldedGroupTests.place
        #expect(
            group.steps == [
                .insert(life: 0), .other(place(1)), .end(place(2), assignment: nil, life: 1), .other(place(3)),
            ])
    }
}

// MARK: Against records one by one

extension FoldedGroupTests {
    /// Records of a few tasks, in whatever order: also what no broker would say.
    private struct Chance {
        var seeded: Seeded
        private var clock = 1_000

        init(seed: UInt64) { seeded = Seeded(seed: seed) }

        private mutating func below(_ bound: UInt64) -> UInt64 { seeded.next() % bound }

        private mutating func text() -> SharedBytes? { below(2) == 0 ? nil : SharedBytes("\(below(100))") }

        mutating func record() -> Record {
            clock += Int(below(3))
            let number = Int(below(3)) + 1
            let sequence = below(60)
            switch below(18) {
            case 0, 1, 2: return .submitted(task(number, sequence))
            case 3, 4:
                return .assigned(
                    TaskAssignment(
                        id: name(number), worker: text(), startedAt: time(clock), attempts: Int(below(5)), sequence: sequence))
            case 5:
                let retryAt = below(2) == 0 ? nil : time(clock + 50)
                return .requeued(TaskRequeue(id: name(number), retriesLeft: Int(below(5)), retryAt: retryAt, sequence: sequence))
            case 6, 7, 8: return .ended(end(number, sequence))
            case 9: return .resumed(name(number), sequence: sequence)
            case 10, 11: return .happened(event(number, sequence, kind: UInt8(below(2)), bytes: text() ?? .empty, at: clock))
            case 12: return .logged(log(number, sequence, "\(clock)", at: clock))
            case 13: return .progressed(progress(number, Int(sequence), at: clock))
            case 14: return .removed(name(number))
            case 15: return .progressCleared(name(number))
            case 16: return .letterKept(letter(number, place: clock))
            default: return .letterRemoved(name(number))
            }
        }

        private mutating func task(_ number: Int, _ sequence: UInt64) -> TaskImage {
            var task = image(number, payload: Int(below(4)) * 10, at: clock)
            task.sequence = sequence
            task.metadata = text()
            task.worker = text()
            if below(2) == 0 { task.state = .executing }
            if below(3) == 0 { task.replayOf = name(Int(below(3)) + 1) }
            (task.retries, task.lease) = (Int(below(4)), sequence)
            return task
        }

        private mutating func end(_ number: Int, _ sequence: UInt64) -> TaskEnding {
            let states: [TaskState] = [.completed, .failed, .cancelled]
            let state = states[Int(below(3))]
            return TaskEnding(
                id: name(number), state: state, failure: state == .failed ? FailureKind(rawValue: UInt8(below(4))) : nil,
                content: text(), code: text(), reason: text(), executionTime: below(2) == 0 ? nil : .milliseconds(3),
                cost: text().map { .raw($0) }, endedAt: time(clock), sequence: sequence)
        }
    }

    /// All that the tables say, without the numbers of the rows: they tell the order alone.
    private static func tables(_ store: Store) throws -> [[String]] {
        let task = "(SELECT id FROM tasks t WHERE t.number = task)"
        // Wherever it stands: small ones stay in the row of a task that has ended.
        let payloads =
            "SELECT id task, coalesce(payload, bytes, x'') bytes FROM submitted_tasks LEFT JOIN task_payloads ON task = number"
            + " WHERE number NOT IN (SELECT task FROM ended_tasks)"
        let questions: [(columns: [String], rest: String)] = [
            (
                [
                    "id", "user_id", "project_id", "task_group", "model", "type", "priority", "provider", "origin", "is_detached",
                    "timeout_ms", "retries_left", "attempts", "idempotency_key", "created_at", "enqueued_at", "deadline_at", "state",
                    "sequence", "worker", "started_at", "ended_at", "failure", "retries", "lease", "retry_at",
                ], "tasks ORDER BY number"
            ),
            (["task", "bytes"], "(\(payloads)) ORDER BY task"),
            ([task, "bytes"], "task_metadata ORDER BY task"),
            (["number", "id", "words", "payload"], "dead_letters ORDER BY number"),
            (
                [
                    task, "content", "error_code", "error_type", "details", "step", "reason", "execution_time", "cost", "cost_per_hour",
                    "cost_currency", "cost_time",
                ], "ended_tasks ORDER BY ended_tasks.task"
            ),
            ([task], "task_payloads ORDER BY task_payloads.task"),
            ([task, "sequence", "kind", "at", "bytes"], "task_events ORDER BY \(task), number"),
            ([task, "sequence", "level", "source", "text", "created_at"], "task_logs ORDER BY \(task), number"),
            (
                [
                    "task_id", "progress", "current_step", "total_steps", "completed_steps", "message", "status", "metadata", "created_at",
                    "seq",
                ], "progress_histories ORDER BY task_id, id"
            ),
        ]
        return try questions.map { columns, rest in
            let line = columns.map { "quote(\($0))" }.joined(separator: " || ' ' || ")
            return try store.database.texts("SELECT \(line) FROM \(rest)")
        }
    }

    @Test("groups leave in the tables what their records leave one by one", arguments: 1...UInt64(300))
    func oracle(_ seed: UInt64) throws {
        var chance = Chance(seed: seed)
        var settings = StorageSettings()
        (settings.payloadInRowMax, settings.unmarkedTasksMax) = (15, 5)
        let folded = try Store(.memory, settings)
        let plain = try Store(.memory, settings)
        var number: UInt64 = 0
        for _ in 0..<4 {
            let group = (0..<3).map { _ in
                (0..<8).map { _ in
                    number += 1
                    return RecordEntry(number: number, record: chance.record())
                }
            }
            try folded.commit(group)
            for entry in group.joined() { try plain.commit([[entry]]) }
            let (left, right) = (try FoldedGroupTests.tables(folded), try FoldedGroupTests.tables(plain))
            try #require(left == right, "\(group.joined().map(\.record))")
            #expect(folded.counts == plain.counts)
        }
        let left = try folded.recover(endedSince: time(0), endedBytesMax: .max)
        let right = try plain.recover(endedSince: time(0), endedBytesMax: .max)
        #expect(left.live == right.live && left.ended == right.ended && left.letters == right.letters)
    }
}
