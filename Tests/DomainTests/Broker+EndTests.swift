// Goal: a broker that is about to stop finishes what is waited for, leaves the rest to the next process, and can be opened again.
import Base
import Testing

@testable import Domain

struct BrokerEndTests {
    @Test("what nobody waits for stays in its line, and does not hold up what somebody waits for behind it")
    func awaitedOnly() throws {
        let rig = Rig()
        let worker = rig.ready()
        let running = try rig.submit(request: 1)
        let left = try rig.submit(priority: .high)
        let awaited = try rig.submit(request: 2)
        let low = try rig.submit(priority: .low, request: 3)
        rig.broker.close()
        try rig.complete(running, by: worker)
        #expect(awaited.worker === worker && left.state == .queued)
        try rig.complete(awaited, by: worker)
        try rig.complete(low, by: worker)
        #expect(worker.hands.isEmpty && left.state == .queued && rig.broker.position(of: left) == 1)
        let late = rig.ready()
        #expect(late.hands.isEmpty)
        rig.broker.reopen(at: rig.now)
        #expect(left.state == .executing)
        #expect(try rig.submit().state == .executing)
    }

    @Test("workers hear that there will be nothing more once their hands are empty")
    func dismissal() throws {
        let rig = Rig()
        let idle = rig.ready("a"), busy = rig.ready("b"), settling = rig.connect("c")
        let task = try rig.submit(group: "b", request: 1)
        _ = rig.heard()
        rig.broker.close()
        #expect(rig.heard() == [])
        rig.broker.dismissWorkers()
        #expect(rig.heard() == ["w1 may leave", "w3 may leave"])
        try rig.complete(task, by: busy)
        #expect(rig.heard() == ["request 1: t1 completed 42", "w2 is thanked for t1", "w2 may leave"])
        #expect(idle.phase == .ready && settling.phase == .settling, "they may still be needed")
    }

    @Test("who gives up waiting leaves a promised task to the next process, and takes the other one back")
    func parting() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 3)
        let keyed = try rig.submit(key: "k", request: 1)
        let plain = try rig.submit(request: 2)
        let shared = try rig.submit(request: 3)
        _ = try rig.submit(key: "k", request: 4)
        rig.broker.close()
        rig.broker.part(keyed, from: Rig.exchange(1), at: rig.now)
        rig.broker.part(keyed, from: Rig.exchange(4), at: rig.now)
        rig.broker.part(plain, from: Rig.exchange(2), at: rig.now)
        #expect(keyed.state == .executing && keyed.waiters.isEmpty && plain.state == .cancelled)
        #expect(rig.broker.inHandCount == 2)
        rig.gone(worker)
        #expect(keyed.state == .executing && shared.state == .failed)
        #expect(rig.broker.inHandCount == 0 && rig.broker.executingCount == 1)
        // Its worker may come back to this process as well, if that goes on after all, but not for ever.
        rig.broker.reopen(at: rig.now)
        rig.pass(.seconds(31))
        #expect(keyed.state == .failed)
    }
}
