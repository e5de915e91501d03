// Statistics: what the broker counts, for whoever asks. Counters only rise; gauges are read from the tables themselves.
public import Base

/// A histogram of durations with fixed bounds, as Prometheus reads them: each bucket counts what is at most its bound.
public struct DurationHistogram: Sendable {
    /// Upper bounds in microseconds.
    public static let boundsMicroseconds: [Int64] = [
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000, 300_000_000, 600_000_000,
    ]

    /// Counts per bound, and at the end of what is above all of them; not cumulative.
    public private(set) var counts = [UInt64](repeating: 0, count: boundsMicroseconds.count + 1)
    public private(set) var count: UInt64 = 0
    public private(set) var sumNanoseconds: Int64 = 0

    public init() {}

    /// Which of the counts a duration belongs to.
    static func bucket(of span: TimeSpan) -> Int {
        let microseconds = span.nanoseconds / 1_000
        var low = 0
        var high = boundsMicroseconds.count
        while low < high {
            let middle = (low + high) / 2
            if boundsMicroseconds[middle] < microseconds { low = middle + 1 } else { high = middle }
        }
        return low
    }

    public mutating func record(_ span: TimeSpan) {
        counts[DurationHistogram.bucket(of: span)] += 1
        count += 1
        // Ten thousand open tasks fill 63 bits of nanoseconds in eleven days: the sum then stays where it is.
        let (sum, overflow) = sumNanoseconds.addingReportingOverflow(max(span.nanoseconds, 0))
        sumNanoseconds = overflow ? .max : sum
    }
}

/// The broker's counters.
public struct Statistics: Sendable {
    public internal(set) var submitted: UInt64 = 0
    /// Tasks of outside programs.
    public internal(set) var registered: UInt64 = 0
    /// Tasks of an earlier process that had not ended, and were taken up again.
    public internal(set) var restored: UInt64 = 0
    public internal(set) var completed: UInt64 = 0
    public internal(set) var failed: UInt64 = 0
    public internal(set) var cancelled: UInt64 = 0
    public internal(set) var retried: UInt64 = 0
    /// Tasks that became dead letters; those of them that somebody had tried again; and those that made room, found none, or whose time
    /// was up.
    public internal(set) var lettersKept: UInt64 = 0
    public internal(set) var lettersReplayed: UInt64 = 0
    public internal(set) var lettersDropped: UInt64 = 0
    public internal(set) var refusedNoWorker: UInt64 = 0
    public internal(set) var refusedQueueFull: UInt64 = 0
    /// Words of workers and outside programs that were not taken: late, foreign, unknown.
    public internal(set) var reportsRefused: UInt64 = 0
    public internal(set) var logLines: UInt64 = 0
    public internal(set) var chunks: UInt64 = 0
    /// From submission to the hand of a worker.
    public internal(set) var waiting = DurationHistogram()
    /// From submission to the end.
    public internal(set) var total = DurationHistogram()
    /// The last hour, in steps.
    public internal(set) var trend = HourTrend()

    public init() {}
}
