// SampleWatchTests: a look that takes too long is spoken of once, and once more when it came back.
import Base
import Testing

@testable import signalbox

struct SampleWatchTests {
    private func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    @Test("a look in time is not spoken of")
    func inTime() {
        var watch = SampleWatch(patience: .seconds(10))
        #expect(watch.nextDeadline == nil && !watch.isNewlyOverdue(at: at(100)))
        watch.began(at: at(100))
        #expect(watch.nextDeadline == at(110) && !watch.isNewlyOverdue(at: at(109)))
        #expect(watch.ended(at: at(109)) == nil && watch.nextDeadline == nil && !watch.isNewlyOverdue(at: at(200)))
    }

    @Test("a look that takes too long is spoken of once, and its end is, as is the next that does")
    func overdue() {
        var watch = SampleWatch(patience: .seconds(10))
        for start in [Int64(0), 1_000] {
            watch.began(at: at(start))
            #expect(watch.isNewlyOverdue(at: at(start + 10)) && !watch.isNewlyOverdue(at: at(start + 11)) && watch.nextDeadline == nil)
            #expect(watch.ended(at: at(start + 75)) == .seconds(75) && watch.ended(at: at(start + 76)) == nil)
        }
    }
}
