// FleetTests: that the fleet is those who are connected, each with its last word, in the order of their names.
import Base
import Testing

@testable import Domain

struct FleetTests {
    private static func worker(_ number: UInt32, _ suffix: UInt32 = 1) -> WorkerID { WorkerID(number: number, suffix: suffix) }

    private static func status(_ worker: WorkerID, load: String = "1") -> WorkerStatus {
        WorkerStatus(
            worker: worker, group: SharedBytes("claimed"), gpus: [], memory: nil, load: SharedBytes(load),
            reportedAt: WallTime(milliseconds: 0))
    }

    @Test("only those who are connected and said something are shown, with their last word and their true group")
    func members() {
        var fleet = Fleet()
        fleet.connected(Self.worker(1), in: SharedBytes("g"))
        fleet.reported(Self.status(Self.worker(2)))
        #expect(fleet.statuses.isEmpty)
        fleet.reported(Self.status(Self.worker(1)))
        fleet.reported(Self.status(Self.worker(1), load: "2"))
        #expect(fleet.statuses.map(\.load) == [SharedBytes("2")] && fleet.statuses.map(\.group) == [SharedBytes("g")])
        #expect(fleet.gone(Self.worker(1)) == SharedBytes("g") && fleet.gone(Self.worker(1)) == nil)
        #expect(fleet.statuses.isEmpty)
        fleet.connected(Self.worker(1), in: SharedBytes("g"))
        #expect(fleet.statuses.isEmpty, "the word of an earlier connection")
    }

    @Test("their order is that of their names' text")
    func order() {
        var random = Randomness(seed: 5)
        var ids: Set<WorkerID> = [Self.worker(0), Self.worker(.max), Self.worker(1), Self.worker(10), Self.worker(1, 2), Self.worker(100)]
        for _ in 0..<500 {
            let number = UInt32(truncatingIfNeeded: random.next()) >> UInt32(truncatingIfNeeded: random.next() % 32)
            ids.insert(Self.worker(number, UInt32(truncatingIfNeeded: random.next())))
        }
        var fleet = Fleet()
        for id in ids {
            fleet.connected(id, in: .empty)
            fleet.reported(Self.status(id))
        }
        let names = fleet.statuses.map(\.worker.description)
        #expect(names == ids.map(\.description).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    }
}
