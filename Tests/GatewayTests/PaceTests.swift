// Goal: a pace lets through what a bucket that is filled all the time would, to the nanosecond, and no figure traps.
import Base
import TestSupport
import Testing

@testable import Gateway

@Suite("Pace")
struct PaceTests {
    /// How many of so many are admitted at once; what is admitted was open before.
    private func admitted(_ pace: inout Pace, of count: Int, _ limit: PaceLimit, at nanoseconds: Int64) -> Int {
        var admitted = 0
        for _ in 0..<count {
            let isOpen = pace.isOpen(limit, at: Instant(nanoseconds: nanoseconds))
            let isAdmitted = pace.admits(limit, at: Instant(nanoseconds: nanoseconds))
            #expect(isOpen == isAdmitted)
            if isAdmitted { admitted += 1 }
        }
        return admitted
    }

    @Test("so many at once, then one by one in even steps, to the nanosecond")
    func steps() {
        var pace = Pace()
        let table: [(Int64, Int)] = [
            (5, 4), (250_000_004, 0), (250_000_005, 1), (250_000_005, 0), (3_600_000_000_000, 4), (3_600_249_999_999, 0),
            (3_600_250_000_000, 1), (3_600_750_000_000, 2),
        ]
        for (time, expected) in table {
            let count = admitted(&pace, of: 10, PaceLimit(perSecond: 4, burst: 4), at: time)
            #expect(count == expected, "at \(time)")
        }
    }

    @Test("a burst that is larger than a second's, or smaller", arguments: [1, 3, 7, 1_000])
    func burst(_ burst: Int) {
        var pace = Pace()
        let limit = PaceLimit(perSecond: 100, burst: burst)
        for (time, expected) in [(10, burst), (1_000_000_010, min(burst, 100)), (1_000_000_000_000, burst)] as [(Int64, Int)] {
            let count = admitted(&pace, of: 2_000, limit, at: time)
            #expect(count == expected, "at \(time)")
        }
    }

    @Test("a bucket that is filled all the time, asked by chance, and never more than its second", arguments: 0..<20)
    func oracle(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        let rate = Int.random(in: 1...50, using: &random)
        let limit = PaceLimit(perSecond: rate, burst: rate)
        let gap = 1_000_000_000 / Int64(rate)
        var now = Int64(0)
        var pace = Pace()
        // What is left, in nanoseconds of waiting.
        var filled = Int64(rate) * gap
        for _ in 0..<2_000 {
            let step = Int64.random(in: 0...(gap * 2), using: &random) * (Int.random(in: 0..<20, using: &random) == 0 ? 40 : 1)
            now += step
            filled = min(filled + step, Int64(rate) * gap)
            let weight = Int.random(in: 1...rate, using: &random)
            let expected = filled >= gap * Int64(weight)
            if expected { filled -= gap * Int64(weight) }
            let isAdmitted = pace.admits(limit, count: weight, at: Instant(nanoseconds: now))
            #expect(isAdmitted == expected)
        }
    }

    @Test("no bound admits everything, and no figure traps")
    func edges() {
        var pace = Pace()
        for time in [0, 1, Int64.max] {
            let count = admitted(&pace, of: 3, .none, at: time)
            #expect(count == 3)
        }
        for (rate, burst) in [(1, Int.max), (Int.max, Int.max), (Int.max, 1), (1, 1)] {
            var pace = Pace()
            let limit = PaceLimit(perSecond: rate, burst: burst)
            let verdicts = [
                pace.admits(limit, at: Instant(nanoseconds: 0)), pace.admits(limit, at: Instant(nanoseconds: 1 << 62)),
                pace.admits(limit, count: .max, at: Instant(nanoseconds: .max)),
            ]
            #expect(verdicts == [true, true, false])
        }
    }
}
