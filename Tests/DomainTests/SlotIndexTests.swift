// SlotIndexTests: slots are found among others of the same hash, and what stood behind one that goes is found still.
import Testing
import TestSupport

@testable import Domain

struct SlotIndexTests {
    @Test("rows whose hashes meet are kept apart, whoever of them goes", arguments: [1, 3, 17, 1_000])
    func collisions(_ hashes: Int) {
        var random = Seeded(seed: UInt64(hashes))
        var index = SlotIndex()
        var there: Set<Int> = []
        // Homes at the end of the places, so that chains go round.
        func hash(_ slot: Int) -> Int { slot % hashes - 1 }
        for _ in 0..<2_000 {
            let slot = Int.random(in: 0..<100, using: &random)
            if there.remove(slot) != nil {
                index.remove(slot, by: hash)
            } else {
                index.insert(slot, by: hash)
                there.insert(slot)
            }
            #expect(index.count == there.count)
            #expect((0..<100).allSatisfy { slot in (index.slot(hash(slot)) { $0 == slot } == slot) == there.contains(slot) })
        }
    }

    @Test("a row that moves is found where it is")
    func moved() {
        var index = SlotIndex()
        for slot in 0..<10 { index.insert(slot) { _ in 5 } }
        index.move(9, to: 20, hash: 5)
        #expect(index.slot(5) { $0 == 20 } == 20 && index.slot(5) { $0 == 9 } == nil && index.slot(5) { $0 == 8 } == 8)
    }

    @Test("an index that nobody is in takes no memory, and one that was full gives it back")
    func memory() {
        var index = SlotIndex()
        #expect(index.byteCount == 0)
        for slot in 0..<10_000 { index.insert(slot) { $0 } }
        #expect(index.byteCount < 10_000 * 11)
        for slot in 100..<10_000 { index.remove(slot) { $0 } }
        #expect(index.byteCount <= 1_000 * 4)
        for slot in 0..<100 { index.remove(slot) { $0 } }
        #expect(index.byteCount == 0 && index.slot(0) { _ in true } == nil)
    }
}
