// Instant and TimeSpan: arithmetic that a peer's number cannot overflow.
import Base
import Testing

@Suite struct InstantTests {
    @Test("units are what they say, and saturate")
    func units() {
        #expect(TimeSpan.microseconds(3).nanoseconds == 3_000)
        #expect(TimeSpan.milliseconds(3).nanoseconds == 3_000_000)
        #expect(TimeSpan.seconds(3) == .milliseconds(3_000))
        #expect(TimeSpan.seconds(.max).nanoseconds == .max)
        #expect(TimeSpan.milliseconds(.min).nanoseconds == .min)
        #expect(TimeSpan(nanoseconds: 1_999_999).milliseconds == 1)
    }

    @Test("sums and differences saturate at the ends of time")
    func saturation() {
        let late = Instant(nanoseconds: .max - 1)
        let early = Instant(nanoseconds: .min + 1)
        #expect(late + .seconds(1) == Instant(nanoseconds: .max))
        #expect(early + .seconds(-1) == Instant(nanoseconds: .min))
        #expect(late - early == TimeSpan(nanoseconds: .max))
        #expect(early - late == TimeSpan(nanoseconds: .min))
        #expect(TimeSpan(nanoseconds: .max) + .seconds(1) == TimeSpan(nanoseconds: .max))
        #expect(TimeSpan(nanoseconds: .min) + .seconds(-1) == TimeSpan(nanoseconds: .min))
    }

    @Test("ordinary sums are exact, in both directions")
    func exact() {
        let point = Instant(nanoseconds: 5_000_000_000)
        #expect(point + .seconds(2) - point == .seconds(2))
        #expect(point + .seconds(-7) == Instant(nanoseconds: -2_000_000_000))
        #expect(Instant(nanoseconds: -2_000_000_000) - point == .seconds(-7))
        #expect(point < point + TimeSpan(nanoseconds: 1))
        #expect(TimeSpan.seconds(-1) < .zero)
    }
}
