// Chance: the seed's dice. Everything in a run that could be otherwise is thrown here, so that one seed is one run.
import Base
import TestSupport

struct Chance: RandomNumberGenerator {
    private var random: Seeded

    init(seed: UInt64) { random = Seeded(seed: seed &* 0x9e37_79b9_7f4a_7c15 &+ 0x5bd1_e995) }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    /// True once in so many throws, on average.
    mutating func once(in count: Int) -> Bool { number(1...max(count, 1)) == 1 }

    mutating func pick<Element>(_ list: [Element]) -> Element { list[number(0...list.count - 1)] }

    mutating func span(_ milliseconds: ClosedRange<Int>) -> TimeSpan {
        .microseconds(Int64(number(milliseconds.lowerBound * 1_000...milliseconds.upperBound * 1_000)))
    }

    mutating func shuffle<Element>(_ list: inout [Element]) {
        if list.count > 1 { list.shuffle(using: &random) }
    }

    mutating func next() -> UInt64 { random.next() }
}
