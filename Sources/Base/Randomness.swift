// Randomness: the one source of chance, passed along as an argument; seeded in tests and in the simulator, so that a run can be run
// again. Knows numbers and UUIDs (RFC 9562); key material is drawn by Crypto, by the same rules.
//
// Cost: a number is a load and a store; every 32nd asks the kernel.
internal import Glibc

/// A source of random numbers: the kernel's, or one that repeats itself from a seed.
///
/// A copy draws from the same stream as its original, so that no two holders ever draw the same number.
public struct Randomness: RandomNumberGenerator {
    private final class Stream {
        enum Source {
            case system
            case seeded(UInt64)
        }

        static let wordCount = 32

        var source: Source
        /// 256 bytes of the kernel's, as many as getentropy(3) gives at once.
        var pool: [UInt64] = []
        var used = Stream.wordCount

        init(_ source: Source) { self.source = source }

        func next() -> UInt64 {
            switch source {
            case .system:
                if used == Stream.wordCount { refill() }
                let word = pool[used]
                // What was drawn may become a secret: it does not stay behind.
                pool[used] = 0
                used += 1
                return word
            case .seeded(let state):
                // SplitMix64 (Steele, Lea, Flood 2014).
                let advanced = state &+ 0x9e37_79b9_7f4a_7c15
                source = .seeded(advanced)
                var word = advanced
                word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
                word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
                return word ^ word >> 31
            }
        }

        func refill() {
            if pool.isEmpty { pool = [UInt64](repeating: 0, count: Stream.wordCount) }
            let answer = unsafe pool.withUnsafeMutableBytes { unsafe getentropy($0.baseAddress, $0.count) }
            precondition(answer == 0, "the kernel gives no random bytes: errno \(errno)")
            used = 0
        }
    }

    private let stream: Stream

    private init(_ source: Stream.Source) { stream = Stream(source) }

    /// The kernel's random numbers, fit for identities that nobody may guess.
    public static func system() -> Randomness { Randomness(.system) }

    /// The same numbers for the same seed. For tests and simulation only: who sees one can tell the next.
    public init(seed: UInt64) { self.init(.seeded(seed)) }

    public mutating func next() -> UInt64 { stream.next() }

    /// A random UUID of version 4 (RFC 9562 §5.4), first and last eight bytes in network order.
    public mutating func nextUUID() -> (high: UInt64, low: UInt64) {
        let high = next() & 0xffff_ffff_ffff_0fff | 0x4000
        let low = next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
        return (high, low)
    }

    /// A UUID of version 7 (RFC 9562 §5.7): the time in milliseconds, then 74 random bits. Names of later milliseconds are greater, so
    /// that an index over them grows at its end.
    public mutating func nextUUID(at now: WallTime) -> (high: UInt64, low: UInt64) {
        // 48 bits reach the year 10889.
        let milliseconds = UInt64(min(max(now.milliseconds, 0), 0xffff_ffff_ffff))
        let high = milliseconds << 16 | 0x7000 | next() >> 52
        let low = next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
        return (high, low)
    }

    /// A part of `span`, chosen evenly: at least zero, less than all of it; zero for a span that is not positive.
    public mutating func jitter(of span: TimeSpan) -> TimeSpan {
        guard span > .zero else { return .zero }
        return TimeSpan(nanoseconds: Int64.random(in: 0..<span.nanoseconds, using: &self))
    }
}
