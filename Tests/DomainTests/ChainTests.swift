// ChainTests: the order of last use, over random appends, moves and removals.
import Testing
import TestSupport

@testable import Domain

struct ChainTests {
    @Test("random uses agree with an array", arguments: 1...10)
    func chance(_ seed: Int) {
        var random = Seeded(seed: UInt64(seed))
        var chain = Chain<Int>()
        var expected: [(slot: Int, value: Int)] = []
        for step in 0..<3_000 {
            switch Int.random(in: 0..<(step < 2_000 ? 6 : 4), using: &random) {
            case 0, 1:
                guard let index = expected.indices.randomElement(using: &random) else { continue }
                let used = expected.remove(at: index)
                expected.append(used)
                chain.moveToEnd(used.slot)
            case 2, 3:
                guard let index = expected.indices.randomElement(using: &random) else { continue }
                let gone = expected.remove(at: index)
                #expect(chain.remove(gone.slot) == gone.value)
                #expect(chain.remove(gone.slot) == nil && chain[gone.slot] == nil)
            default:
                let slot = chain.append(step)
                #expect(!expected.contains { $0.slot == slot })
                expected.append((slot, step))
            }
            #expect(chain.count == expected.count && chain.isEmpty == expected.isEmpty)
            #expect(chain.first == expected.first?.slot ?? Chain<Int>.none)
            #expect(chain.last == expected.last?.slot ?? Chain<Int>.none)
            if let any = expected.randomElement(using: &random) { #expect(chain[any.slot] == any.value) }
        }
        for (before, after) in zip(expected, expected.dropFirst()) {
            #expect(chain.slot(after: before.slot) == after.slot && chain.slot(before: after.slot) == before.slot)
        }
        if let first = expected.first, let last = expected.last {
            #expect(chain.slot(before: first.slot) == Chain<Int>.none && chain.slot(after: last.slot) == Chain<Int>.none)
        }
        var order: [Int] = []
        while let value = chain.remove(chain.first) { order.append(value) }
        #expect(order == expected.map(\.value))
    }

    @Test("a slot that never was holds nothing")
    func foreign() {
        var chain = Chain<Int>()
        #expect(chain[0] == nil && chain[-1] == nil && chain.with(3) { $0 } == nil && chain.remove(Chain<Int>.none) == nil)
        let slot = chain.append(4)
        #expect(
            chain.with(slot) {
                $0 += 1; return $0
            } == 5 && chain[slot] == 5)
    }
}
