// LatencyHistogramTests: quantiles are never too low and at most one step of 0.8 % too high.

import LoadSupport
import Testing

@Suite struct LatencyHistogramTests {
    @Test("a histogram without records answers 0")
    func empty() {
        #expect(LatencyHistogram().quantile(0.5) == 0)
        #expect(LatencyHistogram().largest == 0)
    }

    @Test("a single value is every quantile, exactly", arguments: [0, 1, 127, 128, 129, 255, 256, 1_000_003, UInt64(1) << 40, .max])
    func single(_ value: UInt64) {
        var histogram = LatencyHistogram()
        histogram.record(value)
        for share in [0.0, 0.5, 0.999, 1.0] { #expect(histogram.quantile(share) == value) }
    }

    @Test("quantiles of 1…100,000 are the true ones within a step", arguments: [0.01, 0.5, 0.9, 0.99, 0.999])
    func uniform(_ share: Double) {
        var histogram = LatencyHistogram()
        for value in 1...100_000 { histogram.record(UInt64(value)) }
        let truth = share * 100_000
        let found = Double(histogram.quantile(share))
        #expect(histogram.count == 100_000)
        #expect(found >= truth)
        #expect(found <= truth * (1 + 1.0 / 128) + 1)
    }

    @Test("every value lies in a step whose end is not below it, nor more than 1/128 above", arguments: 0..<63)
    func steps(_ power: Int) {
        for value in [UInt64(1) << UInt64(power), (UInt64(1) << UInt64(power)) + 1, (UInt64(2) << UInt64(power)) - 1] {
            var histogram = LatencyHistogram()
            histogram.record(value)
            histogram.record(.max)
            let found = histogram.quantile(0.5)
            #expect(found >= value)
            #expect(found - value <= value / 128)
        }
    }
}
