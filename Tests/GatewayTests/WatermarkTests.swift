// Goal: memory is short from the mark on and until well below it; who reads too slowly is given up only where that was not enough, and not
// again before what was freed can show.
import Base
import Testing

@testable import Gateway

@Suite("Watermark")
struct WatermarkTests {
    private typealias Step = (milliseconds: Int64, inUse: Int, expected: Watermark.Verdict)

    private func check(_ steps: [Step], high: Int = 1_000, _ place: SourceLocation = #_sourceLocation) {
        var mark = Watermark(highBytes: high, patience: .milliseconds(500))
        for step in steps {
            let verdict = mark.observe(step.inUse, at: Instant(nanoseconds: step.milliseconds * 1_000_000))
            #expect(verdict == step.expected, "at \(step.milliseconds) ms", sourceLocation: place)
            #expect(mark.inUse == step.inUse, sourceLocation: place)
        }
    }

    @Test("short from the mark on, and no longer only at nine tenths of it")
    func hysteresis() {
        check([
            (0, 999, .none), (100, 1_000, .becameShort), (200, 999, .none), (300, 1_001, .none), (400, 901, .none), (900, 950, .none),
            (1_000, 900, .recovered), (1_100, 950, .none), (1_200, 1_000, .becameShort),
        ])
    }

    @Test("what turning newcomers away did not free in its time, slow readers give, down to the low mark; and that has its time each time")
    func relief() {
        check([
            (0, 1_010, .becameShort), (499, 1_020, .none), (500, 1_020, .relieve(120)), (999, 1_020, .none), (1_000, 990, .relieve(90)),
            (1_100, 1_000, .none), (1_500, 901, .relieve(1)), (1_600, 899, .recovered),
        ])
    }

    @Test("a server that stays below the mark lets newcomers in again, although nothing more can be freed")
    func easing() {
        check([
            (0, 1_000, .becameShort), (5_000, 1_000, .relieve(100)), (14_000, 950, .relieve(50)), (14_999, 950, .relieve(50)),
            (15_000, 950, .recovered), (15_100, 999, .none),
        ])
    }

    @Test("far above the mark nobody waits")
    func urgency() {
        check([(0, 5_000, .becameShort), (1, 1_061, .none), (2, 1_062, .relieve(162)), (3, 1_062, .relieve(162))])
    }

    @Test("without a mark nothing is short")
    func off() { check([(0, .max, .none), (10_000, .max, .none)], high: 0) }
}
