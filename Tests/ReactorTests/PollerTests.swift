// The poller's rounding, and its events.
import Base
import Testing

@testable import Reactor

struct PollerTests {
    @Test(
        "a sleep ends at the deadline or after it, never before",
        arguments: [
            (0, 0), (-5_000_000, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (1_500_000, 2), (60_000_000_000, 60_000),
            (Int64.max, Int32.max),
        ] as [(Int64, Int32)])
    func rounding(_ left: Int64, _ milliseconds: Int32) {
        let now = Instant(nanoseconds: 0)
        #expect(Poller.timeout(from: now, until: Instant(nanoseconds: left)) == milliseconds)
    }

    @Test("without a deadline the sleep has no end")
    func forever() {
        #expect(Poller.timeout(from: Instant(nanoseconds: 0), until: nil) == -1)
    }

    @Test("an event brings back the 64 bits that it was given, for as long as it holds and is watched for")
    func events() throws {
        let poller = try Poller(eventsMax: 4)
        let bell = try Doorbell()
        try poller.add(bell.descriptor.raw, .input, userData: 0xfedc_ba98_7654_3210)
        #expect(try poller.wait(milliseconds: 0) == 0)
        bell.ring()
        for _ in 0..<2 {
            #expect(try poller.wait(milliseconds: -1) == 1)
            #expect(poller.event(0).userData == 0xfedc_ba98_7654_3210)
            #expect(poller.event(0).ready == .input)
        }
        try poller.change(bell.descriptor.raw, [], userData: 1)
        #expect(try poller.wait(milliseconds: 0) == 0)
        #expect(throws: Errno(17, in: "epoll_ctl")) { try poller.add(bell.descriptor.raw, .input, userData: 2) }
    }
}
