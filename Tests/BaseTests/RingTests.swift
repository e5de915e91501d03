// Ring: first in, first out, never more than its capacity, never more memory than it needs.
@testable import Base
import TestSupport
import Testing

@Suite struct RingTests {
    @Test("agrees with an array through random use", arguments: [1, 2, 3, 7, 100])
    func oracle(_ capacity: Int) {
        var random = Seeded(seed: UInt64(capacity))
        var ring = Ring<UInt64>(capacity: capacity)
        var oracle: [UInt64] = []
        for _ in 0..<5_000 {
            if ring.isFull || Int.random(in: 0..<5, using: &random) < 2 {
                let expected = oracle.isEmpty ? nil : oracle.removeFirst()
                #expect(ring.popFirst() == expected)
            } else {
                let value = random.next()
                ring.append(value)
                oracle.append(value)
            }
            #expect(ring.count == oracle.count && ring.isEmpty == oracle.isEmpty && ring.isFull == (oracle.count == capacity))
            #expect(ring.first == oracle.first && ring.last == oracle.last)
            if let index = oracle.indices.randomElement(using: &random) { #expect(ring[index] == oracle[index]) }
        }
        ring.removeAll()
        #expect(ring.isEmpty && ring.first == nil && ring.popFirst() == nil)
        ring.append(1)
        #expect(ring.first == 1 && ring.last == 1)
    }

    @Test("what was taken out is let go at once")
    func release() {
        final class Thing {}
        var ring = Ring<Thing>(capacity: 2)
        weak var thing: Thing?
        do {
            let new = Thing()
            thing = new
            ring.append(new)
        }
        #expect(thing != nil)
        ring.popFirst()
        #expect(thing == nil)
    }

    @Test("memory comes with the elements, not with the capacity")
    func lazy() {
        var ring = Ring<Int>(capacity: 1_000_000)
        ring.append(1)
        #expect(ring.places.capacity < 100)
    }

    @Test("what is expected has its memory at once, but none beyond the capacity")
    func expecting() {
        var ring = Ring<Int>(capacity: 100, expecting: 10)
        let memory = ring.places.capacity
        #expect(memory >= 10)
        for number in 0..<10 { ring.append(number) }
        #expect(ring.places.capacity == memory)
        #expect(Ring<Int>(capacity: 2, expecting: 1_000_000).places.capacity < 100)
    }

    @Test("a full ring traps")
    func full() async {
        await #expect(processExitsWith: .failure) {
            var ring = Ring<Int>(capacity: 1)
            ring.append(1)
            ring.append(2)
        }
    }
}
