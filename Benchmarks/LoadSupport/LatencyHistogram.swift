// LatencyHistogram: how often which latency was seen, in steps that grow with the value (128 to a power of two, so a figure is at
// most 0.8 % too high). Not a store of samples: memory is fixed, whatever the number of messages.
//
// Cost: a record is a count of leading zeros and one increment, about 2 ns; 58 KiB in all.

/// A log-linear histogram of nanoseconds.
public struct LatencyHistogram: Sendable {
    private static let stepBits = 7
    private static let stepCount = 1 << stepBits

    private var counts = [UInt64](repeating: 0, count: (64 - stepBits + 1) << stepBits)

    /// Values recorded.
    public private(set) var count: UInt64 = 0

    /// The largest value recorded, exactly; 0 when there is none.
    public private(set) var largest: UInt64 = 0

    public init() {}

    public mutating func record(_ nanoseconds: UInt64) {
        counts[Self.step(of: nanoseconds)] &+= 1
        count &+= 1
        if nanoseconds > largest { largest = nanoseconds }
    }

    /// The value that the fraction `share` (0 to 1) of all records do not exceed, rounded up to the end of its step; 0 when empty.
    public func quantile(_ share: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let wanted = min(max(UInt64((share * Double(count)).rounded(.up)), 1), count)
        var seen: UInt64 = 0
        for step in counts.indices {
            seen += counts[step]
            if seen >= wanted { return min(Self.end(of: step), largest) }
        }
        return largest
    }

    private static func step(of value: UInt64) -> Int {
        guard value >= UInt64(stepCount) else { return Int(value) }
        let shift = 63 - value.leadingZeroBitCount - stepBits
        return (shift + 1) << stepBits + Int(truncatingIfNeeded: value >> UInt64(shift)) & (stepCount - 1)
    }

    private static func end(of step: Int) -> UInt64 {
        guard step >= stepCount else { return UInt64(step) }
        let shift = UInt64(step >> stepBits - 1)
        let begin = UInt64(stepCount + step & (stepCount - 1)) << shift
        return begin + (1 << shift - 1)
    }
}
