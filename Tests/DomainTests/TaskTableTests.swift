// TaskTableTests: what is remembered and what is forgotten, over more tasks than the table keeps the empty front of.
import Base
import Testing
import TestSupport

@testable import Domain

struct TaskTableTests {
    /// Keys of one length: each counts among what a record keeps.
    private static func key(_ number: Int) -> String { "k\(100_000 + number)" }
    private static let recordBytes = TaskRecord.ownBytes + 7

    private static func task(_ number: Int) -> TaskRecord {
        TaskRecord(
            id: TaskID(high: 0, low: UInt64(number)),
            submission: Submission(payload: .empty, idempotencyKey: SharedBytes(Self.key(number))), group: Group(name: SharedBytes("g")),
            timeout: .zero, isDetached: true,
            stream: TaskStream(task: TaskID(high: 0, low: UInt64(number)), user: nil, project: nil, epoch: 1, sequence: 0),
            at: Moment(instant: Instant(nanoseconds: 0), wall: WallTime(milliseconds: 0)))
    }

    @Test("a task is found by name and by key until its time is up")
    func remembered() {
        var table = TaskTable()
        let task = Self.task(1)
        table.insert(task)
        #expect(table[task.id] === task && table.task(withKey: SharedBytes(Self.key(1))) === task && table.nextExpiry == nil)
        table.ended(task, expiry: Instant(nanoseconds: 10))
        #expect(table.nextExpiry == Instant(nanoseconds: 10) && table.endedCount == 1)
        table.expire(at: Instant(nanoseconds: 9), bytesMax: .max) { _ in }
        #expect(table.count == 1)
        table.expire(at: Instant(nanoseconds: 10), bytesMax: .max) { _ in }
        #expect(table.count == 0 && table[task.id] == nil && table.task(withKey: SharedBytes(Self.key(1))) == nil)
        #expect(table.endedCount == 0 && table.endedBytes == 0 && table.nextExpiry == nil)
    }

    @Test("a forgotten task's name and key are free, and another task that has them keeps them")
    func forgotten() {
        var table = TaskTable()
        let task = Self.task(1)
        table.insert(task)
        table.ended(task, expiry: Instant(nanoseconds: 10))
        table.forget(task)
        #expect(table[task.id] == nil && table.task(withKey: SharedBytes(Self.key(1))) == nil && table.endedBytes == 0)
        let next = Self.task(1)
        table.insert(next)
        table.expire(at: Instant(nanoseconds: 10), bytesMax: .max) { _ in Issue.record("nothing has ended") }
        #expect(table[task.id] === next && table.task(withKey: SharedBytes(Self.key(1))) === next)
    }

    @Test("random ends and expiries agree with an array", arguments: 1...5)
    func chance(_ seed: Int) {
        var random = Seeded(seed: UInt64(seed))
        var table = TaskTable()
        var expected: [(task: TaskRecord, expiry: Int64)] = []
        var now: Int64 = 0
        var number = 0
        for _ in 0..<400 {
            for _ in 0..<Int.random(in: 0...20, using: &random) {
                number += 1
                let task = Self.task(number)
                table.insert(task)
                table.ended(task, expiry: Instant(nanoseconds: now + 500))
                expected.append((task, now + 500))
            }
            // Some are forgotten before their time, from anywhere among them.
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                guard let index = expected.indices.randomElement(using: &random) else { break }
                table.forget(expected.remove(at: index).task)
            }
            now += Int64.random(in: 0...20, using: &random)
            let kept = Int.random(in: 0..<20, using: &random) == 0 ? Int.random(in: 0...expected.count, using: &random) : expected.count
            var farewells: [TaskID] = []
            table.expire(at: Instant(nanoseconds: now), bytesMax: kept * Self.recordBytes) { farewells.append($0.id) }
            let left = Array(expected.suffix(kept)).filter { $0.expiry > now }
            #expect(farewells == expected.dropLast(left.count).map(\.task.id), "each is said farewell once, unless it was forgotten before")
            expected = left
            #expect(table.endedCount == expected.count && table.count == expected.count)
            #expect(table.endedBytes == expected.count * Self.recordBytes)
            #expect(table.nextExpiry?.nanoseconds == expected.first?.expiry && table.lastExpiry?.nanoseconds == expected.last?.expiry)
        }
        #expect(expected.allSatisfy { table[$0.task.id] === $0.task })
    }
}
