// Broker+WorkersTests: workers come, say what they can, get tasks, leave and vanish; what that does to tasks.
import Base
import Testing

@testable import Domain

struct BrokerWorkersTests {
    // MARK: Ready

    @Test("a worker that says nothing counts as ready one second after connecting; until then tasks wait for it")
    func automaticReady() throws {
        let rig = Rig()
        _ = rig.connect()
        let task = try rig.submit()
        rig.pass(TimeSpan(nanoseconds: 999_999_999))
        #expect(task.state == .queued && rig.heard() == [])
        rig.pass(TimeSpan(nanoseconds: 1))
        #expect(rig.heard() == ["w1 gets t1"])
    }

    @Test("a worker that says ready does not wait for the second, and the second changes nothing any more")
    func earlyReady() throws {
        let rig = Rig()
        let worker = rig.connect()
        try rig.submit()
        try rig.submit()
        rig.broker.workerReady(worker, concurrency: nil, models: nil, at: rig.now)
        #expect(rig.heard() == ["w1 gets t1"])
        rig.pass(.seconds(2))
        #expect(rig.heard() == [] && worker.room == 0)
    }

    @Test("an explicit worker is ready when it says so, and not before")
    func explicitReady() throws {
        let rig = Rig()
        let worker = rig.connect(isExplicit: true)
        let task = try rig.submit()
        rig.pass(.seconds(50))
        #expect(task.state == .queued)
        rig.broker.workerReady(worker, concurrency: nil, models: nil, at: rig.now)
        #expect(rig.heard() == ["w1 gets t1"])
    }

    @Test("a worker that vanishes before its second is no worker afterwards")
    func goneBeforeReady() throws {
        let rig = Rig()
        rig.gone(rig.connect())
        rig.pass(.seconds(2))
        #expect(rig.broker.workerCount == 0 && rig.broker.groupCount == 0)
        #expect(throws: SubmissionRefusal.noWorker) { try rig.submit() }
    }

    // MARK: Concurrency and choice

    @Test("a worker holds one task, and as many as it says it may")
    func concurrency() throws {
        let rig = Rig()
        let worker = rig.ready()
        for _ in 0..<6 { try rig.submit() }
        #expect(rig.hands(of: worker) == ["t1"])
        rig.broker.workerReady(worker, concurrency: 4, models: nil, at: rig.now)
        #expect(rig.hands(of: worker) == ["t1", "t2", "t3", "t4"] && worker.room == 0)
        // What a later `ready` leaves unsaid stays.
        rig.broker.workerReady(worker, concurrency: nil, models: nil, at: rig.now)
        #expect(rig.hands(of: worker).count == 4 && worker.concurrency == 4)
    }

    @Test("a worker that lowers its number gets nothing before it is below it")
    func lowerConcurrency() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 3)
        for _ in 0..<5 { try rig.submit() }
        rig.broker.workerReady(worker, concurrency: 1, models: nil, at: rig.now)
        for _ in 0..<2 { try rig.complete(try #require(worker.hands.first), by: worker) }
        #expect(rig.hands(of: worker) == ["t3"])
        try rig.complete(try #require(worker.hands.first), by: worker)
        #expect(rig.hands(of: worker) == ["t4"])
    }

    @Test("the one with the most free room goes first, then the one idle longest")
    func choice() throws {
        let rig = Rig()
        _ = rig.ready(concurrency: 1)
        _ = rig.ready(concurrency: 3)
        _ = rig.ready(concurrency: 2)
        for _ in 0..<6 { try rig.submit() }
        #expect(
            rig.heard() == ["w2 gets t1", "w3 gets t2", "w2 gets t3", "w1 gets t4", "w3 gets t5", "w2 gets t6"])
    }

    @Test("a model that a worker of the group declared is for such workers alone; in another group it is not")
    func models() throws {
        let rig = Rig()
        let able = rig.ready(models: ["m"])
        let plain = rig.ready(concurrency: 4)
        try rig.submit(model: "m")
        let waiting = try rig.submit(model: "m")
        try rig.submit(model: "n")
        #expect(rig.hands(of: able) == ["t1"] && rig.hands(of: plain) == ["t3"] && waiting.state == .queued)
        _ = rig.ready("other")
        #expect(try rig.submit(group: "other", model: "m").state == .executing)
    }

    @Test("a task that only others may take does not hold up those behind it")
    func noHeadOfLineBlocking() throws {
        let rig = Rig()
        let able = rig.ready(models: ["m"])
        let plain = rig.ready()
        let first = try rig.submit(model: "m")
        let second = try rig.submit()
        try rig.submit(model: "m", priority: .high)
        try rig.submit()
        try rig.complete(second, by: plain)
        #expect(rig.hands(of: plain) == ["t4"])
        try rig.complete(first, by: able)
        #expect(rig.hands(of: able) == ["t3"])
    }

    @Test("a model that nobody declares any more is everybody's again", arguments: ["gone", "drains", "declares another", "declares none"])
    func undeclared(_ how: String) throws {
        let rig = Rig()
        let able = rig.ready(models: ["m"])
        let plain = rig.ready()
        let running = try rig.submit(model: "m")
        let waiting = try rig.submit(model: "m")
        #expect(running.worker === able && waiting.state == .queued)
        switch how {
        case "gone": rig.gone(able)
        case "drains": rig.drain(able)
        case "declares another": rig.broker.workerReady(able, concurrency: nil, models: [SharedBytes("n")], at: rig.now)
        default: rig.broker.workerReady(able, concurrency: nil, models: [], at: rig.now)
        }
        #expect(rig.hands(of: plain) == ["t2"])
    }

    @Test("tasks that come free for several workers at once are spread as if they came one by one")
    func spread() throws {
        let rig = Rig()
        let able = rig.ready(concurrency: 4, models: ["m"])
        let others = (0..<2).map { _ in rig.ready(concurrency: 4) }
        for _ in 0..<4 { try rig.submit(model: "m", retries: 1) }
        _ = rig.heard()
        rig.gone(able)
        #expect(others.map { rig.hands(of: $0) } == [["t1", "t3"], ["t2", "t4"]])
    }

    // MARK: Draining

    @Test("a draining worker gets nothing new and may leave when its hands are empty; other words do not repeat it")
    func draining() throws {
        let rig = Rig()
        let leaving = rig.ready(concurrency: 4)
        let staying = rig.ready()
        let tasks = try [rig.submit(), rig.submit()]
        _ = rig.heard()
        rig.drain(leaving)
        rig.drain(leaving)
        #expect(leaving.isDraining && rig.heard() == [])
        #expect(try rig.submit().worker === staying)
        let waiting = try rig.submit()
        #expect(waiting.state == .queued)
        _ = rig.heard()
        try rig.complete(tasks[0], by: leaving)
        #expect(rig.heard() == ["w1 is thanked for t1"])
        try rig.fail(tasks[1], by: leaving)
        #expect(rig.heard() == ["w1 is thanked for t2", "w1 may leave"])
        rig.drain(leaving)
        #expect(rig.heard() == [])
        rig.gone(leaving)
        #expect(rig.heard() == [] && rig.broker.workerCount == 1)
    }

    @Test("a worker with empty hands may leave at once, also before it was ready", arguments: [true, false])
    func idleDrains(_ isReady: Bool) throws {
        let rig = Rig()
        let worker = isReady ? rig.ready() : rig.connect()
        rig.drain(worker)
        #expect(rig.heard() == ["w1 may leave"])
        rig.pass(.seconds(2))
        #expect(worker.room == 0)
        #expect(throws: SubmissionRefusal.noWorker) { try rig.submit() }
    }

    @Test("a draining worker whose last task ends without it may leave", arguments: ["cancelled", "timed out", "abandoned"])
    func drainingWithoutItsTask(_ how: String) throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(timeout: .seconds(5), request: 1)
        rig.drain(worker)
        _ = rig.heard()
        switch how {
        case "cancelled": _ = rig.cancel(task)
        case "timed out": rig.pass(.seconds(5))
        default: rig.abandon(task, 1)
        }
        let lines = rig.heard()
        #expect(lines.first == "w1 drops t1" && lines.last == "w1 may leave")
        // Told once: neither its late word nor the end of its grace repeats it.
        #expect(verdict { () throws(ReportRefusal) in try rig.complete(task, by: worker) }.hasPrefix("already"))
        rig.pass(.seconds(60))
        #expect(rig.heard() == [])
    }

    @Test("a draining worker that says ready stays, with its models")
    func drainingTakenBack() throws {
        let rig = Rig()
        let worker = rig.ready(models: ["m"])
        let plain = rig.ready()
        rig.drain(worker)
        #expect(try rig.submit(model: "m").worker === plain)
        rig.broker.workerReady(worker, concurrency: nil, models: nil, at: rig.now)
        #expect(try rig.submit(model: "m").worker === worker)
        #expect(worker.group.staffCount == 2)
        rig.gone(worker)
        #expect(worker.group.staffCount == 1 && worker.group.models.isEmpty)
    }

    @Test("the counts of a group survive every order of ready, drain and gone")
    func staff() throws {
        let rig = Rig()
        let keeper = rig.ready()
        for steps in ["rdg", "dg", "g", "rg", "rdrg", "rdrdg", "drdg", "rrg", "ddg"] {
            let worker = rig.connect(isExplicit: true)
            for step in steps {
                switch step {
                case "r": rig.broker.workerReady(worker, concurrency: nil, models: [SharedBytes("m")], at: rig.now)
                case "d": rig.drain(worker)
                default:
                    rig.gone(worker)
                    rig.gone(worker)
                    rig.drain(worker)
                    rig.broker.workerReady(worker, concurrency: 3, models: [SharedBytes("x")], at: rig.now)
                }
            }
            #expect(keeper.group.staffCount == 1 && rig.broker.workerCount == 1 && keeper.group.workerCount == 1, "\(steps)")
            #expect(keeper.group.models.isEmpty && worker.room == 0, "\(steps)")
        }
    }

    // MARK: Gone

    @Test("a worker that vanishes fails what it had in hand")
    func gone() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 2)
        let task = try rig.submit(request: 1)
        _ = rig.heard()
        rig.gone(worker)
        #expect(rig.heard() == ["request 1: t1 lost its worker"])
        #expect(task.state == .failed && task.worker == nil && rig.broker.executingCount == 0 && rig.broker.groupCount == 0)
    }

    @Test("a task with retries goes back to the front of its line, in the order in which it was given out")
    func retries() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 3)
        let first = try rig.submit(retries: 1)
        let second = try rig.submit(request: 2)
        let third = try rig.submit(retries: 2)
        let waiting = try rig.submit()
        let urgent = try rig.submit(priority: .high)
        _ = rig.heard()
        rig.gone(worker)
        #expect(rig.heard() == ["request 2: t2 lost its worker"])
        #expect(second.state == .failed && [first, third].allSatisfy { $0.state == .queued && $0.worker == nil })
        #expect([urgent, first, third, waiting].map { rig.broker.position(of: $0) } == [1, 2, 3, 4])
        #expect(rig.broker.queuedCount == 4 && rig.broker.executingCount == 0 && rig.broker.groupCount == 1)
        let heir = rig.ready(concurrency: 4)
        #expect(rig.hands(of: heir) == ["t5", "t1", "t3", "t4"])
        #expect(first.attempts == 2 && waiting.attempts == 1)
    }

    @Test("retries run out")
    func retriesRunOut() throws {
        let rig = Rig()
        let workers = (0..<3).map { _ in rig.ready() }
        let task = try rig.submit(retries: 2, request: 1)
        for worker in workers {
            rig.gone(worker)
            // The second retry does not come at once.
            rig.pass(.seconds(1))
        }
        #expect(rig.heard() == ["w1 gets t1", "w2 gets t1", "w3 gets t1", "request 1: t1 lost its worker"])
        #expect(task.attempts == 3 && rig.broker.statistics.retried == 2)
    }

    @Test("who retries more often than the limit retries as often as the limit", arguments: [(-1, 1), (0, 1), (3, 4), (9, 4), (.max, 4)])
    func retriesLimit(_ asked: Int, _ attempts: Int) throws {
        let rig = Rig { $0.retriesMax = 3 }
        var worker = rig.ready()
        let task = try rig.submit(retries: asked)
        while !task.state.isTerminal {
            let next = rig.ready()
            rig.gone(worker)
            rig.pass(.seconds(4))
            worker = next
        }
        #expect(task.attempts == attempts)
    }

    @Test("tasks that wait outlive their group's last worker and go to the next one")
    func groupWithoutWorkers() throws {
        let rig = Rig()
        let worker = rig.ready("g")
        try rig.submit(group: "g")
        let waiting = try rig.submit(group: "g", request: 2)
        rig.gone(worker)
        #expect(waiting.state == .queued && rig.broker.groupCount == 1)
        #expect(throws: SubmissionRefusal.noWorker) { try rig.submit(group: "g") }
        let next = rig.ready("g")
        #expect(waiting.worker === next)
    }

    @Test("a group that nobody is in is forgotten", arguments: ["cancelled", "timed out"])
    func emptyGroup(_ how: String) throws {
        let rig = Rig()
        let worker = rig.ready("g")
        try rig.submit(group: "g")
        let waiting = try rig.submit(group: "g", timeout: .seconds(5))
        rig.gone(worker)
        #expect(rig.broker.groupCount == 1)
        if how == "cancelled" { _ = rig.cancel(waiting) } else { rig.pass(.seconds(5)) }
        #expect(rig.broker.groupCount == 0 && rig.broker.allGroups.isEmpty)
    }

    @Test("worker names are numbered from 1 and carry chance")
    func names() throws {
        let rig = Rig()
        let ids = (0..<3).map { _ in rig.connect().id }
        #expect(ids.map(\.number) == [1, 2, 3] && Set(ids.map(\.suffix)).count == 3)
    }
}
