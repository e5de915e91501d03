// The clock: that it goes forward, and that wall time is wall time.
import Base
import Testing

@testable import Reactor

struct SystemClockTests {
    @Test("monotonic time does not go back")
    func monotonic() {
        var last = SystemClock.now()
        for _ in 0..<1_000 {
            let next = SystemClock.now()
            #expect(next >= last)
            last = next
        }
    }

    @Test("wall time counts milliseconds since 1970")
    func wall() {
        // 2020-01-01 and 2200-01-01.
        #expect((1_577_836_800_000..<7_258_118_400_000).contains(SystemClock.wallMilliseconds()))
    }
}
