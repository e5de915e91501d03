// StatisticsTests: which bucket a duration falls into.
import Base
import Testing

@testable import Domain

struct StatisticsTests {
    @Test(
        "a duration counts in the first bucket whose bound it does not exceed, to the microsecond",
        arguments: [
            (-1, 0), (0, 0), (50_000, 0), (51_000, 1), (100_000, 1), (1_000_000, 4), (1_001_000, 5), (600_000_000_000, 20),
            (600_000_001_000, 21), (.max, 21),
        ] as [(Int64, Int)])
    func buckets(_ nanoseconds: Int64, _ bucket: Int) {
        var histogram = DurationHistogram()
        histogram.record(TimeSpan(nanoseconds: nanoseconds))
        #expect(histogram.counts.firstIndex(of: 1) == bucket && histogram.count == 1)
        #expect(histogram.sumNanoseconds == max(nanoseconds, 0))
    }

    @Test("a sum that is full stays full: it never turns around")
    func fullSum() {
        var histogram = DurationHistogram()
        histogram.record(TimeSpan(nanoseconds: .max))
        histogram.record(TimeSpan(nanoseconds: 1))
        #expect(histogram.sumNanoseconds == .max && histogram.count == 2)
    }

    @Test("bounds rise, and one bucket more is for what is above them all")
    func bounds() {
        let bounds = DurationHistogram.boundsMicroseconds
        #expect(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 })
        #expect(DurationHistogram().counts.count == bounds.count + 1)
    }
}
