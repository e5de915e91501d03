// WaitingLineTests: who goes first. Small cases by hand, then random ones against arrays that do it the long way.
import Base
import Testing
import TestSupport

@testable import Domain

struct WaitingLineTests {
    private static let now = Moment(instant: Instant(nanoseconds: 0), wall: WallTime(milliseconds: 0))

    private static func task(_ number: Int, _ priority: Priority = .normal, model: String? = nil) -> TaskRecord {
        TaskRecord(
            id: TaskID(high: 0, low: UInt64(number)),
            submission: Submission(payload: .empty, model: model.map { SharedBytes($0) }, priority: priority),
            group: Group(name: SharedBytes("g")), timeout: .zero, isDetached: true,
            stream: TaskStream(task: TaskID(high: 0, low: UInt64(number)), user: nil, project: nil, epoch: 1, sequence: 0), at: now)
    }

    private static func number(_ task: TaskRecord?) -> Int? { task.map { Int($0.id.low) } }

    private static func takeAll(_ line: inout WaitingLine) -> [Int] {
        var numbers: [Int] = []
        while let task = line.takeFirst(where: { _ in true }) { numbers.append(Int(task.id.low)) }
        return numbers
    }

    @Test("within a priority the first come goes first, and a higher priority before all of a lower one")
    func priorities() {
        var line = WaitingLine()
        for (number, priority) in [(1, Priority.low), (2, .normal), (3, .high), (4, .low), (5, .high), (6, .normal)] {
            line.append(Self.task(number, priority))
        }
        #expect(line.count == 6)
        #expect(Self.takeAll(&line) == [3, 5, 2, 6, 1, 4])
        #expect(line.isEmpty && line.count == 0)
    }

    @Test("lanes of several models share one order")
    func lanesShareAnOrder() {
        var line = WaitingLine()
        for number in 1...9 { line.append(Self.task(number, model: ["a", "b", nil][number % 3])) }
        #expect(Self.takeAll(&line) == Array(1...9))
    }

    @Test("whoever may not take a model is given the first of the others")
    func eligibility() {
        var line = WaitingLine()
        line.append(Self.task(1, .high, model: "a"))
        line.append(Self.task(2, model: "b"))
        line.append(Self.task(3, model: "a"))
        #expect(Self.number(line.takeFirst { $0 == SharedBytes("b") }) == 2)
        #expect(line.takeFirst { $0 == SharedBytes("b") } == nil)
        #expect(line.takeFirst { $0 == nil } == nil)
        #expect(line.count == 2)
        #expect(Self.takeAll(&line) == [1, 3])
    }

    @Test("who joins at the front goes before its priority, not before a higher one; the last to do so is first")
    func prepend() {
        var line = WaitingLine()
        line.append(Self.task(1, .high))
        line.append(Self.task(2))
        line.append(Self.task(3, model: "a"))
        line.prepend(Self.task(4))
        line.prepend(Self.task(5, model: "a"))
        line.prepend(Self.task(6, .low))
        #expect(Self.takeAll(&line) == [1, 5, 4, 2, 3, 6])
    }

    @Test("the place freed at the front is used again by who joins there")
    func prependAfterTaking() {
        var line = WaitingLine()
        let tasks = (1...4).map { Self.task($0) }
        for task in tasks { line.append(task) }
        #expect(Self.number(line.takeFirst { _ in true }) == 1)
        #expect(Self.number(line.takeFirst { _ in true }) == 2)
        line.prepend(tasks[1])
        line.prepend(tasks[0])
        #expect(Self.takeAll(&line) == [1, 2, 3, 4])
    }

    @Test("leaving from the middle keeps the order of the rest, and positions count who goes before", arguments: 1...5)
    func removal(_ leaver: Int) {
        var line = WaitingLine()
        let tasks = (1...5).map { Self.task($0, model: $0 % 2 == 0 ? "a" : nil) }
        for task in tasks { line.append(task) }
        #expect(tasks.map { line.position(of: $0) } == [1, 2, 3, 4, 5])
        line.remove(tasks[leaver - 1])
        let rest = (1...5).filter { $0 != leaver }
        #expect(rest.map { line.position(of: tasks[$0 - 1]) } == [1, 2, 3, 4])
        #expect(Self.takeAll(&line) == rest)
    }

    @Test("a position counts all of a higher priority, whatever their models")
    func positions() {
        var line = WaitingLine()
        let low = Self.task(1, .low, model: "a")
        let normal = Self.task(2, model: "b")
        line.append(low)
        line.append(normal)
        for number in 3...5 { line.append(Self.task(number, .high, model: "c\(number)")) }
        line.append(Self.task(6))
        #expect(line.position(of: normal) == 4)
        #expect(line.position(of: low) == 6)
    }

    @Test("a long line gives the room at its front back and keeps its order")
    func compaction() {
        var line = WaitingLine()
        var expected = 1
        for number in 1...2_000 {
            line.append(Self.task(number))
            if number % 3 != 0 {
                #expect(Self.number(line.takeFirst { _ in true }) == expected)
                expected += 1
            }
        }
        #expect(Self.takeAll(&line) == Array(expected...2_000))
    }

    /// The same line as arrays: no lanes, no numbers.
    private struct Oracle {
        var rows: [[TaskRecord]] = [[], [], []]

        var all: [TaskRecord] { rows.flatMap { $0 } }

        mutating func takeFirst(where isEligible: (SharedBytes?) -> Bool) -> TaskRecord? {
            guard let task = all.first(where: { isEligible($0.model) }) else { return nil }
            remove(task)
            return task
        }

        mutating func remove(_ task: TaskRecord) { rows[Int(task.priority.rawValue)].removeAll { $0 === task } }
    }

    @Test("random joins, leaves, turns and returns agree with arrays", arguments: 1...100)
    func chance(_ seed: Int) throws {
        var random = Seeded(seed: UInt64(seed))
        let models: [String?] = [nil, "a", "b", "c"]
        var line = WaitingLine()
        var oracle = Oracle()
        var taken: [TaskRecord] = []
        var count = 0
        for _ in 0..<120 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0...3:
                count += 1
                let task = Self.task(
                    count, try #require(Priority.allCases.randomElement(using: &random)),
                    model: try #require(models.randomElement(using: &random)))
                line.append(task)
                oracle.rows[Int(task.priority.rawValue)].append(task)
            case 4...6:
                let admitted = models.filter { _ in Bool.random(using: &random) }.map { $0.map { SharedBytes($0) } }
                let task = line.takeFirst { admitted.contains($0) }
                #expect(task === oracle.takeFirst { admitted.contains($0) })
                if let task { taken.append(task) }
            case 7:
                guard let task = oracle.all.randomElement(using: &random) else { continue }
                line.remove(task)
                oracle.remove(task)
            default:
                guard let index = taken.indices.randomElement(using: &random) else { continue }
                let task = taken.remove(at: index)
                line.prepend(task)
                oracle.rows[Int(task.priority.rawValue)].insert(task, at: 0)
            }
            #expect(line.count == oracle.all.count && line.isEmpty == oracle.all.isEmpty)
            for (index, task) in oracle.all.enumerated() { #expect(line.position(of: task) == index + 1) }
        }
        #expect(Self.takeAll(&line) == oracle.all.map { Int($0.id.low) })
    }
}
