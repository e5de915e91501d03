// WorkerPoolTests: who gets the next task: the widest, then the one whose room has been as it is for longest, among those that may.
import Base
import Testing
import TestSupport

@testable import Domain

struct WorkerPoolTests {
    private static let now = Moment(instant: Instant(nanoseconds: 0), wall: WallTime(milliseconds: 0))
    private let group = Group(name: SharedBytes("g"))

    private func worker(_ number: UInt32, room: Int, models: [String] = []) -> Worker {
        let worker = Worker(
            id: WorkerID(number: number, suffix: 0), group: group, connection: ConnectionID(slot: number, generation: 1), at: Self.now)
        worker.phase = .ready
        worker.concurrency = room
        worker.models = models.map { SharedBytes($0) }
        group.declare(worker.models, by: 1)
        group.relist(worker)
        return worker
    }

    private func resize(_ worker: Worker, to room: Int) {
        worker.concurrency = room
        group.relist(worker)
    }

    private func chosen(_ model: String? = nil) -> UInt32? { group.choose(for: model.map { SharedBytes($0) })?.id.number }

    @Test("a group without room chooses nobody")
    func nobody() {
        #expect(chosen() == nil)
        let only = worker(1, room: 1)
        resize(only, to: 0)
        #expect(chosen() == nil)
        resize(only, to: 1)
        #expect(chosen() == 1)
    }

    @Test("the one with the most free room goes first")
    func widest() {
        _ = worker(1, room: 1)
        let second = worker(2, room: 4)
        _ = worker(3, room: 3)
        #expect(chosen() == 2)
        resize(second, to: 2)
        #expect(chosen() == 3)
        resize(second, to: 1_000)
        #expect(chosen() == 2)
    }

    @Test("among equals the one whose room changed first goes first")
    func longestUnchanged() {
        let first = worker(1, room: 1)
        let second = worker(2, room: 1)
        _ = worker(3, room: 1)
        #expect(chosen() == 1)
        resize(first, to: 0)
        #expect(chosen() == 2)
        resize(first, to: 1)
        #expect(chosen() == 2)
        resize(second, to: 0)
        #expect(chosen() == 3)
        resize(second, to: 1)
        #expect(chosen() == 3)
    }

    @Test("listing a worker again without a change of room keeps its turn")
    func relistingWithoutChange() {
        let first = worker(1, room: 2)
        _ = worker(2, room: 2)
        group.relist(first)
        #expect(chosen() == 1)
    }

    @Test("only who is ready is listed")
    func phases() {
        let only = worker(1, room: 1)
        for phase in [Worker.Phase.settling, .draining, .gone] {
            only.phase = phase
            group.relist(only)
            #expect(only.room == 0 && chosen() == nil)
        }
    }

    @Test("a model that somebody declared is for those who did, whatever room others have; any other model is for everybody")
    func models() {
        _ = worker(1, room: 9)
        let second = worker(2, room: 1, models: ["m", "n"])
        let third = worker(3, room: 2, models: ["m"])
        #expect(chosen() == 1 && chosen("unheard of") == 1)
        #expect(chosen("m") == 3 && chosen("n") == 2)
        resize(second, to: 0)
        #expect(chosen("n") == nil)
        group.declare(second.models, by: -1)
        #expect(chosen("n") == 1)
        resize(third, to: 0)
        #expect(chosen("m") == nil)
        #expect(group.models == [SharedBytes("m")])
    }

    @Test("who may serve what agrees with whom is chosen")
    func mayServe() {
        let plain = worker(1, room: 1)
        let declared = worker(2, room: 1, models: ["m"])
        for (model, plainMay, declaredMay) in [(nil, true, true), ("m", false, true), ("x", true, true)] as [(String?, Bool, Bool)] {
            #expect(group.mayServe(plain, model.map { SharedBytes($0) }) == plainMay)
            #expect(group.mayServe(declared, model.map { SharedBytes($0) }) == declaredMay)
        }
    }

    @Test("random changes of room agree with a search of all workers", arguments: 1...50)
    func chance(_ seed: Int) throws {
        var random = Seeded(seed: UInt64(seed))
        let models = ["m", "n"]
        /// The workers in the order of their last change of room.
        var order = (1...6).map { number in worker(UInt32(number), room: 1, models: models.filter { _ in Bool.random(using: &random) }) }
        for _ in 0..<200 {
            let index = Int.random(in: order.indices, using: &random)
            let room = Int.random(in: 0...4, using: &random)
            if order[index].room != room {
                let worker = order.remove(at: index)
                resize(worker, to: room)
                order.append(worker)
            }
            for model in [nil, "m", "n", "x"] {
                let name = model.map { SharedBytes($0) }
                let isDeclared = order.contains { worker in name.map { worker.models.contains($0) } ?? false }
                let able = order.filter { worker in !isDeclared || name.map { worker.models.contains($0) } ?? true }
                let widest = able.map(\.room).max() ?? 0
                let expected = widest == 0 ? nil : able.first { $0.room == widest }
                #expect(group.choose(for: name) === expected)
            }
        }
    }
}
