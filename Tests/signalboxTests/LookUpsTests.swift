// LookUpsTests: a name is given up when its time is over, whether its turn had come or not, and a late answer is nobody's.
import Base
import Domain
import Testing

@testable import signalbox

struct LookUpsTests {
    private func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    private func probe(_ number: UInt64) -> HealthProbe {
        HealthProbe(deployment: SharedBytes("d"), number: number, host: SharedBytes("gpu-7"), port: 80, path: SharedBytes("/"))
    }

    @Test("an answer in time is waited for, once")
    func inTime() {
        var lookUps = LookUps(patience: .seconds(5))
        #expect(lookUps.nextDeadline == nil && lookUps.giveUp(at: at(9)) == nil && !lookUps.ended(probe(1)))
        #expect(lookUps.began(probe(1), at: at(10)) == at(15))
        #expect(lookUps.began(probe(2), at: at(11)) == at(16))
        #expect(lookUps.nextDeadline == at(15) && lookUps.giveUp(at: at(14)) == nil)
        #expect(lookUps.ended(probe(1)) && !lookUps.ended(probe(1)) && lookUps.nextDeadline == at(16))
        #expect(lookUps.ended(probe(2)) && lookUps.nextDeadline == nil)
    }

    @Test("what takes too long is given up in the order of asking, and a late answer is waited for no more")
    func tooLong() {
        var lookUps = LookUps(patience: .seconds(5))
        for number in 1...3 { _ = lookUps.began(probe(UInt64(number)), at: at(Int64(number))) }
        #expect(lookUps.giveUp(at: at(7)) == probe(1) && lookUps.giveUp(at: at(7)) == probe(2) && lookUps.giveUp(at: at(7)) == nil)
        #expect(!lookUps.ended(probe(1)) && !lookUps.ended(probe(2)) && lookUps.nextDeadline == at(8))
        #expect(lookUps.ended(probe(3)) && lookUps.giveUp(at: at(100)) == nil)
    }
}
