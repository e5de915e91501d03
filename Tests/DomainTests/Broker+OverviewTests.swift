// Broker+OverviewTests: the first few of each list, in their order, and no more of them than were asked for.
import Base
import Testing

@testable import Domain

@Suite("The broker, looked at")
struct BrokerOverviewTests {
    @Test("waiting tasks stand in the order of their places, across groups and priorities")
    func waiting() throws {
        let rig = Rig()
        _ = rig.ready("a")
        _ = rig.ready("b")
        for group in ["a", "b"] { try rig.submit(group: group) }
        let low = try rig.submit(group: "a", priority: .low)
        let high = try rig.submit(group: "a", model: "m", priority: .high)
        rig.pass(.milliseconds(1))
        let other = try rig.submit(group: "b")
        let all = rig.broker.waiting(max: 10)
        #expect(all.map(\.task.id) == [high.id, other.id, low.id])
        #expect(all.map(\.position) == [1, 1, 2])
        #expect(all.allSatisfy { rig.broker.position(of: $0.task) == $0.position })
        #expect(rig.broker.waiting(max: 2).map(\.task.id) == [high.id, other.id])
        #expect(rig.broker.groups(max: 1).map(\.name) == [SharedBytes("a")])
    }

    @Test("a long line is shown from its front")
    func longLine() throws {
        let rig = Rig { $0.queueLengthMax = 5_000 }
        _ = rig.ready()
        for _ in 0..<3_000 { try rig.submit() }
        let first = rig.broker.waiting(max: 100)
        #expect(first.map(\.position) == Array(1...100))
    }

    @Test("the first of all are the same as if every line had been looked at whole", arguments: 1...20)
    func anyLines(_ seed: UInt64) throws {
        let rig = Rig { $0.queueLengthMax = 500 }
        var random = Randomness(seed: seed)
        let groups = (0..<Int.random(in: 1...30, using: &random)).map { "g\($0)" }
        for group in groups {
            _ = rig.ready(group)
            for _ in 0...[0, 1, 3, 90].randomElement(using: &random)! {
                try rig.submit(group: group, priority: Priority.allCases.randomElement(using: &random)!)
            }
            rig.pass(.milliseconds(1))
        }
        let all = rig.broker.waiting(max: .max)
        #expect(all.count == rig.broker.queuedCount)
        for max in [1, 2, 7, 50, 400] {
            let first = rig.broker.waiting(max: max)
            #expect(first.map(\.task.id) == all.prefix(max).map(\.task.id), "\(max)")
            #expect(first.map(\.position) == all.prefix(max).map(\.position), "\(max)")
        }
    }

    @Test("what workers may hold counts without those that leave")
    func concurrency() {
        let rig = Rig()
        let worker = rig.ready("a", concurrency: 3)
        _ = rig.ready("b", concurrency: 2)
        #expect(rig.broker.concurrency == 5)
        rig.broker.workerDraining(worker, at: rig.now)
        #expect(rig.broker.concurrency == 2)
    }

    @Test("executing tasks stand in the order of their beginning, ended ones the other way round")
    func executing() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 4)
        var tasks: [TaskRecord] = []
        for _ in 0..<4 {
            tasks.append(try rig.submit())
            rig.pass(.seconds(1))
        }
        #expect(rig.broker.executing(max: 3).map(\.id) == tasks.prefix(3).map(\.id))
        for task in tasks { try rig.complete(task, by: worker) }
        #expect(rig.broker.executing(max: 3).isEmpty)
        #expect(rig.broker.ended(max: 3).map(\.id) == tasks.reversed().prefix(3).map(\.id))
        #expect(rig.broker.ended(max: 9).count == 4)
    }

    @Test("workers stand in the order of their coming, and are found by name")
    func workers() {
        let rig = Rig()
        let all = ["b", "a", "b"].map { rig.ready($0) }
        #expect(rig.broker.workers(max: 2).map(\.id) == all.prefix(2).map(\.id))
        #expect(all.allSatisfy { rig.broker.worker($0.id) === $0 })
        rig.gone(all[1])
        #expect(rig.broker.worker(all[1].id) == nil)
    }
}
