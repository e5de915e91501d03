// Broker+LeasesTests: each assignment has its number, late words of earlier ones are refused, and who comes back may say what it has.
import Base
import Testing

@testable import Domain

struct BrokerLeasesTests {
    private func verdict(_ rig: Rig, _ task: TaskRecord, _ worker: Worker, _ lease: UInt64?) -> String {
        DomainTests.verdict { () throws(ReportRefusal) in try rig.complete(task, by: worker, lease: lease) }
    }

    @Test("each assignment of a task has a number above all before, and it is that of the event that tells it")
    func numbers() throws {
        let rig = Rig()
        let first = rig.ready()
        let task = try rig.submit(retries: 2)
        #expect(task.lease == 1 && task.attempts == 1)
        rig.gone(first)
        let second = rig.ready()
        #expect(task.lease == 3 && task.worker === second)
        #expect(rig.published().filter { $0.contains("started") } == ["t1 #1 started 20", "t1 #3 started 20"])
    }

    @Test("a report that names another assignment than the present one is refused and changes nothing")
    func refused() throws {
        let rig = Rig()
        let first = rig.ready()
        let task = try rig.submit(retries: 1)
        rig.gone(first)
        let second = rig.ready()
        let sequence = task.sequence
        for lease in [1, 2, 4, UInt64.max] { #expect(verdict(rig, task, second, lease) == "lease over", "\(lease)") }
        let (broker, now, id) = (rig.broker, rig.now, task.id)
        let fault = TaskEvent.Fault(error: .raw(Rig.piece))
        let words = [
            DomainTests.verdict { () throws(ReportRefusal) in try broker.fail(id, by: second, lease: 1, fault, at: now) },
            DomainTests.verdict { () throws(ReportRefusal) in
                try broker.progress(id, by: second, lease: 1, TaskEvent.Progress(reported: 9), at: now)
            },
            DomainTests.verdict { () throws(ReportRefusal) in try broker.logged(id, by: second, lease: 1, Rig.log, at: now) },
            DomainTests.verdict { () throws(ReportRefusal) in try broker.chunk(id, by: second, lease: 1, Rig.piece, at: now) },
        ]
        #expect(words == Array(repeating: "lease over", count: 4))
        #expect(task.state == .executing && task.sequence == sequence && task.progress == 20 && rig.broker.statistics.reportsRefused == 8)
        // The former holder, under whatever name it is connected, and whatever it says.
        let third = rig.ready()
        #expect(verdict(rig, task, third, 1) == "lease over" && verdict(rig, task, third, nil) == "not yours")
        #expect(verdict(rig, task, third, 3) == "not yours" && verdict(rig, task, second, 3) == "taken")
        #expect(verdict(rig, task, second, 3) == "already completed" && verdict(rig, task, second, 1) == "already completed")
    }

    @Test("without a number the connection speaks for the worker")
    func unnumbered() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        #expect(verdict(rig, task, worker, nil) == "taken")
    }

    private func restarted(_ rig: Rig, _ shelf: Shelf) -> Rig {
        shelf.take(rig.taken())
        let next = Rig(seed: 5)
        next.begin(after: rig, pause: .seconds(1))
        next.broker.restore(live: shelf.live, ended: shelf.ended, at: next.now)
        return next
    }

    @Test("the number survives a restart, and none is given twice, also where the last assignment was not written")
    func restart() throws {
        let rig = Rig()
        let shelf = Shelf()
        let worker = rig.ready()
        let task = try rig.submit(retries: 3)
        var next = restarted(rig, shelf)
        let back = next.connect(resuming: worker.id)
        var again = try #require(next.broker.task(task.id))
        #expect(again.lease == task.lease && verdict(next, again, back, task.lease + 1) == "lease over")
        next.gone(back)
        _ = next.ready()
        let lost = again.lease
        #expect(lost > task.lease)
        // That process ends before any of it is written.
        _ = next.taken()
        next = restarted(rig, shelf)
        next.pass(.seconds(30))
        let other = next.ready()
        again = try #require(next.broker.task(task.id))
        #expect(again.worker === other && again.lease > task.lease)
        _ = next.taken()
    }

    // MARK: What a worker that came back has in hand

    @Test("what a worker got by its name and does not list is taken from it at once, and runs again or fails")
    func notListed() throws {
        let rig = Rig()
        let shelf = Shelf()
        let worker = rig.ready("g", concurrency: 3)
        let kept = try rig.submit(group: "g")
        let retried = try rig.submit(group: "g", retries: 1)
        let lost = try rig.submit(group: "g")
        let next = restarted(rig, shelf)
        let back = next.connect("g", isExplicit: true, resuming: worker.id)
        let other = next.ready("g")
        #expect(next.hands(of: back) == ["t1", "t2", "t3"])
        _ = next.heard()
        next.broker.workerReady(back, concurrency: 1, models: nil, held: [kept.id], at: next.now)
        #expect(next.hands(of: back) == ["t1"] && next.hands(of: other) == ["t2"])
        #expect(next.heard() == ["w2 gets t2"])
        #expect(try Rig.end(of: #require(next.broker.task(lost.id))) == "lost its worker")
        #expect(try #require(next.broker.task(retried.id)).retriesLeft == 0)
        // It has said so once: a later list does not take from it what came since.
        try next.complete(try #require(next.broker.task(retried.id)), by: other)
        next.broker.workerReady(back, concurrency: 2, models: nil, held: [], at: next.now)
        #expect(next.hands(of: back) == ["t1"])
    }

    @Test("what was sent over this connection is on its way, listed or not; without a list nothing changes")
    func onItsWay() throws {
        let rig = Rig()
        let worker = rig.ready()
        try rig.submit()
        rig.broker.workerReady(worker, concurrency: nil, models: nil, held: [], at: rig.now)
        #expect(rig.hands(of: worker) == ["t1"])
        let shelf = Shelf()
        let next = restarted(rig, shelf)
        let back = next.connect(resuming: worker.id)
        next.broker.workerReady(back, concurrency: 2, models: nil, at: next.now)
        let fresh = try next.submit()
        #expect(back.hands.count == 2)
        next.broker.workerReady(back, concurrency: 2, models: nil, held: [], at: next.now)
        #expect(back.hands.map(\.id) == [fresh.id])
    }

    @Test("what a worker lists and does not hold, it is told to drop")
    func unwanted() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 2)
        let ended = try rig.submit()
        try rig.complete(ended, by: worker)
        try rig.submit()
        _ = rig.heard()
        rig.broker.workerReady(worker, concurrency: nil, models: nil, held: [ended.id, rig.broker.activeID], at: rig.now)
        #expect(rig.heard() == ["w1 drops t1"] && rig.hands(of: worker) == ["t2"])
    }
}

extension Broker {
    /// The task of the only worker.
    fileprivate var activeID: TaskID { allGroups[0].allWorkers[0].hands[0].id }
}
