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
