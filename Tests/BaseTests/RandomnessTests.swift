// Randomness: a seed repeats itself, the system does not, and a copy never draws what its original draws.
import Base
import Testing

@Suite struct RandomnessTests {
    @Test("the same seed gives the same numbers, known ones")
    func seeded() {
        var one = Randomness(seed: 0)
        // The first values of SplitMix64 from 0.
        #expect(one.next() == 0xe220_a839_7b1d_cdaf)
        #expect(one.next() == 0x6e78_9e6a_a1b9_65f4)
        var left = Randomness(seed: 7)
        var right = Randomness(seed: 7)
        for _ in 0..<100 { #expect(left.next() == right.next()) }
    }

    @Test("the system's numbers do not come again, past many refills of the pool and from copies")
    func system() {
        var random = Randomness.system()
        var copy = random
        var other = Randomness.system()
        var seen: Set<UInt64> = []
        for _ in 0..<1_000 {
            seen.insert(random.next())
            seen.insert(copy.next())
            seen.insert(other.next())
        }
        // Three thousand of 2⁶⁴: a pair that is equal by chance has odds of one in 4 × 10¹².
        #expect(seen.count == 3_000)
        #expect(!seen.contains(0), "the pool was read past its end")
    }

    @Test("a copy goes on in the same stream")
    func copies() {
        var random = Randomness(seed: 3)
        var copy = random
        let first = random.next()
        #expect(copy.next() != first)
    }

    @Test("RFC 9562 §5.4: a UUID says version 4 and variant 2, and the rest is free")
    func uuid() {
        var random = Randomness(seed: 1)
        var (highOr, highAnd, lowOr, lowAnd) = (UInt64.min, UInt64.max, UInt64.min, UInt64.max)
        for _ in 0..<1_000 {
            let (high, low) = random.nextUUID()
            #expect(high >> 12 & 15 == 4)
            #expect(low >> 62 == 2)
            highOr |= high
            highAnd &= high
            lowOr |= low
            lowAnd &= low
        }
        #expect(highOr == 0xffff_ffff_ffff_4fff && highAnd == 0x4000)
        #expect(lowOr == 0xbfff_ffff_ffff_ffff && lowAnd == 0x8000_0000_0000_0000)
    }

    @Test("RFC 9562 §5.7: a UUID of a moment says the moment, version 7 and variant 2, and the other 74 bits are free")
    func timedUUID() {
        var random = Randomness(seed: 1)
        var (highOr, highAnd, lowOr, lowAnd) = (UInt64.min, UInt64.max, UInt64.min, UInt64.max)
        for _ in 0..<1_000 {
            // The example of the RFC's appendix: 0x017F22E279B0.
            let (high, low) = random.nextUUID(at: WallTime(milliseconds: 1_645_557_742_000))
            highOr |= high
            highAnd &= high
            lowOr |= low
            lowAnd &= low
        }
        #expect(highOr == 0x017f_22e2_79b0_7fff && highAnd == 0x017f_22e2_79b0_7000)
        #expect(lowOr == 0xbfff_ffff_ffff_ffff && lowAnd == 0x8000_0000_0000_0000)
    }

    @Test("names of later milliseconds are greater, and a time before 1970 or after the year 10889 is the nearest that can be said")
    func timedOrder() {
        var random = Randomness(seed: 2)
        var last: UInt64 = 0
        for milliseconds in stride(from: Int64(1_700_000_000_000), to: 1_700_000_001_000, by: 1) {
            let name = random.nextUUID(at: WallTime(milliseconds: milliseconds)).high
            #expect(name > last)
            last = name
        }
        #expect(random.nextUUID(at: WallTime(milliseconds: .min)).high >> 12 == 7)
        #expect(random.nextUUID(at: WallTime(milliseconds: .max)).high >> 12 == 0xffff_ffff_ffff_7)
    }

    @Test("jitter lies within its span and reaches both halves of it")
    func jitter() {
        var random = Randomness(seed: 5)
        let span = TimeSpan.seconds(10)
        var early = 0
        for _ in 0..<1_000 {
            let part = random.jitter(of: span)
            #expect(part >= .zero && part < span)
            if part < .seconds(5) { early += 1 }
        }
        #expect((400...600).contains(early))
        #expect(random.jitter(of: .zero) == .zero)
        #expect(random.jitter(of: .seconds(-1)) == .zero)
        #expect(random.jitter(of: TimeSpan(nanoseconds: 1)) == .zero)
    }
}
