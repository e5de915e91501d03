// HourTrend: how many tasks came and ended in each ten seconds of the last hour, and how long those took that ended. A row of fixed
// size, with no timer: a place is cleared when its time comes round again and something happens in it.
//
// Cost: a division, a comparison and two additions an event; 36 KiB in all.
public import Base

public struct HourTrend: Sendable {
    public static let stepSeconds = 10
    public static let stepCount = 360

    /// One of the steps in which something happened.
    public struct Step: Sendable, Equatable {
        /// Which step since the clock's beginning: ten seconds later it is one more.
        public var number: Int64
        public var submitted = 0
        public var completed = 0
        public var failed = 0
        public var cancelled = 0
        /// How long half, and nineteen of twenty, of those took at most that ended; 0 where none did.
        public var median = TimeSpan(nanoseconds: 0)
        public var slowest = TimeSpan(nanoseconds: 0)
    }

    private enum Count: Int { case submitted, completed, failed, cancelled }

    private static let plainCounts = 4
    private static let width = plainCounts + DurationHistogram.boundsMicroseconds.count + 2

    private var numbers = [Int64](repeating: -1, count: stepCount)
    private var counts = [UInt32](repeating: 0, count: stepCount * width)

    public init() {}

    mutating func submitted(at now: Instant) { counts[place(at: now) + Count.submitted.rawValue] &+= 1 }

    mutating func ended(_ state: TaskState, after span: TimeSpan, at now: Instant) {
        let count: Count
        switch state {
        case .completed: count = .completed
        case .failed: count = .failed
        case .cancelled: count = .cancelled
        case .queued, .executing: return
        }
        let place = place(at: now)
        counts[place + count.rawValue] &+= 1
        counts[place + HourTrend.plainCounts + DurationHistogram.bucket(of: span)] &+= 1
        let last = place + HourTrend.width - 1
        counts[last] = max(counts[last], UInt32(clamping: span.nanoseconds / 1_000))
    }

    /// The number of the step that goes on now.
    public static func number(at now: Instant) -> Int64 { now.nanoseconds / (Int64(stepSeconds) * 1_000_000_000) }

    /// Where the counts of the present step begin.
    private mutating func place(at now: Instant) -> Int {
        let number = HourTrend.number(at: now)
        let index = Int(number % Int64(HourTrend.stepCount))
        let place = index * HourTrend.width
        if numbers[index] != number {
            numbers[index] = number
            for offset in 0..<HourTrend.width { counts[place + offset] = 0 }
        }
        return place
    }

    /// The steps of the last hour in which something happened, oldest first.
    ///
    /// - Parameter last: only of so many steps.
    public func steps(last: Int = stepCount, at now: Instant) -> [Step] {
        let newest = HourTrend.number(at: now)
        return (max(newest - Int64(min(last, HourTrend.stepCount)) + 1, 0)...newest).compactMap(step)
    }

    private func step(_ number: Int64) -> Step? {
        let index = Int(number % Int64(HourTrend.stepCount))
        guard numbers[index] == number else { return nil }
        let place = index * HourTrend.width
        func count(_ what: Count) -> Int { Int(counts[place + what.rawValue]) }
        return Step(
            number: number, submitted: count(.submitted), completed: count(.completed), failed: count(.failed),
            cancelled: count(.cancelled), median: quantile(0.5, from: place), slowest: quantile(0.95, from: place))
    }

    /// The duration that so large a part did not exceed: within its bucket as if all there were spread evenly up to the longest.
    private func quantile(_ part: Double, from place: Int) -> TimeSpan {
        let longest = Double(counts[place + HourTrend.width - 1])
        let buckets = counts[place + HourTrend.plainCounts..<place + HourTrend.width - 1]
        let wanted = Double(buckets.reduce(0) { $0 + UInt64($1) }) * part
        guard wanted > 0 else { return TimeSpan(nanoseconds: 0) }
        let bounds = DurationHistogram.boundsMicroseconds
        var before = 0.0
        for (index, count) in buckets.enumerated() where count > 0 {
            if before + Double(count) >= wanted {
                let lower = index > 0 ? Double(bounds[index - 1]) : 0
                let upper = index < bounds.count ? min(Double(bounds[index]), longest) : longest
                return TimeSpan(nanoseconds: Int64((lower + max(upper - lower, 0) * (wanted - before) / Double(count)) * 1_000))
            }
            before += Double(count)
        }
        return TimeSpan(nanoseconds: Int64(longest) * 1_000)
    }
}
