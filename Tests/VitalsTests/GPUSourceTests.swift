// GPUSourceTests: when the library is tried, and when it is tried again.
import Base
import Testing

@testable import Vitals

@Suite("GPUSource")
struct GPUSourceTests {
    private func second(_ count: Int64) -> Instant { Instant(nanoseconds: 0) + .seconds(count) }

    @Test("A library that fails is tried again once a minute, and found when it is there")
    func retry() throws {
        let standIn = try StandIn("init 9\n")
        _ = try standIn.calls()
        var source = GPUSource.closed(retry: nil)
        for (now, starts) in [(0, 1), (2, 1), (59, 1), (60, 2), (61, 2), (119, 2), (120, 3)] as [(Int64, Int32)] {
            #expect(source.gpus(by: standIn.path, at: second(now)) == nil)
            #expect(try standIn.calls() == (starts, 0), "second \(now)")
        }
        try standIn.set("gpu 1 1 2 3 none 0 A\n")
        #expect(source.gpus(by: standIn.path, at: second(179)) == nil)
        #expect(source.gpus(by: standIn.path, at: second(180))?.count == 1)
        #expect(source.gpus(by: standIn.path, at: second(181))?.count == 1)
        #expect(try standIn.calls() == (4, 0))
    }

    @Test("A library that stops answering is shut down, and started again a minute later")
    func stops() throws {
        let standIn = try StandIn(nil as String?)
        _ = try standIn.calls()
        var source = GPUSource.closed(retry: nil)
        #expect(source.gpus(by: standIn.path, at: second(0))?.count == 2)
        try standIn.set("count 999\n")
        #expect(source.gpus(by: standIn.path, at: second(2)) == nil)
        #expect(try standIn.calls() == (1, 1))
        try standIn.set("gpu 1 1 2 3 none 0 A\n")
        #expect(source.gpus(by: standIn.path, at: second(61)) == nil)
        #expect(source.gpus(by: standIn.path, at: second(62))?.count == 1)
        #expect(try standIn.calls() == (2, 1))
    }

    @Test("Without a device that can be asked there are no GPUs, and the next sample asks again")
    func noDevice() throws {
        let standIn = try StandIn("gpu 1 1 2 3 handle 15 A\n")
        _ = try standIn.calls()
        var source = GPUSource.closed(retry: nil)
        #expect(source.gpus(by: standIn.path, at: second(0)) == nil)
        try standIn.set("gpu 1 1 2 3 none 0 A\n")
        #expect(source.gpus(by: standIn.path, at: second(2))?.count == 1)
        #expect(try standIn.calls() == (1, 0))
    }
}
