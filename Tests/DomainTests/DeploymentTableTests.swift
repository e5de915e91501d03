// DeploymentTableTests: what starts must answer in time, what runs is asked again and again, what workers declare lives by their
// connections; each step is told and written down once.
import Base
import Testing

@testable import Domain

/// A registry at a desk: milliseconds in, words out.
struct DeploymentDesk {
    var table: DeploymentTable
    var now = Moment(instant: Instant(nanoseconds: 0), wall: WallTime(milliseconds: 1_000_000))
    /// Probes handed out and not answered, oldest first.
    var open: [HealthProbe] = []
    var events: [DeploymentEvent] = []

    init(_ limits: Limits = Limits(), seed: UInt64 = 1) { table = DeploymentTable(limits: limits, random: Randomness(seed: seed)) }

    static func form(port: UInt16? = 8_000, host: String? = "gpu1", path: String = "/health", timeout: Int64 = 30) -> Deployment.Form {
        Deployment.Form(
            modelID: SharedBytes("llama"), name: SharedBytes("Llama"), host: host.map { SharedBytes($0) }, port: port,
            healthPath: SharedBytes(path), startTimeout: .seconds(timeout))
    }

    mutating func pass(_ milliseconds: Int64) {
        now = Moment(
            instant: now.instant + .milliseconds(milliseconds), wall: WallTime(milliseconds: now.wall.milliseconds + milliseconds))
        table.advance(to: now)
    }

    /// Passes from deadline to deadline until `milliseconds` are over.
    mutating func wait(_ milliseconds: Int64) -> [String] {
        let end = now.instant + .milliseconds(milliseconds)
        var told: [String] = []
        while let next = table.nextDeadline, next <= end {
            pass(max((next - now.instant).milliseconds, 0))
            told += news()
        }
        pass((end - now.instant).milliseconds)
        return told + news()
    }

    mutating func register(_ id: String, _ form: Deployment.Form = form(), starts: Bool = true) throws -> Deployment {
        try table.register(form, id: SharedBytes(id), starts: starts, at: now)
    }

    mutating func answer(_ outcome: HealthProbe.Outcome) -> [String] {
        guard !open.isEmpty else { return ["nothing was asked"] }
        table.probed(open.removeFirst(), outcome, at: now)
        return news()
    }

    static func words(_ deployment: Deployment) -> String { "\(deployment.id) \(deployment.status)/\(deployment.health)" }

    static func words(_ change: DeploymentChange) -> String {
        switch change {
        case .happened(let event): "\(event.kind) \(words(event.deployment))"
        case .saved(let deployment): "saved \(words(deployment))"
        case .removed(let deployment): "removed \(words(deployment))"
        case .probe(let probe): "probe \(probe.deployment) \(probe.host):\(probe.port)\(probe.path)"
        case .turnedUnhealthy(let deployment, let failures, let reason): "unhealthy \(words(deployment)) \(failures) \(reason)"
        case .turnedHealthy(let deployment): "healthy \(words(deployment))"
        }
    }

    /// What came of the calls since the last time.
    mutating func news() -> [String] {
        var changes: [DeploymentChange] = []
        table.takeChanges(into: &changes)
        for change in changes {
            if case .probe(let probe) = change { open.append(probe) }
            if case .happened(let event) = change { events.append(event) }
        }
        return changes.map(DeploymentDesk.words)
    }

    /// What a verb was answered with.
    static func refusal(_ verb: () throws -> Void) -> DeploymentRefusal? {
        do {
            try verb()
            return nil
        } catch { return error as? DeploymentRefusal }
    }
}

struct DeploymentTableTests {
    private static let bad = HealthProbe.Outcome.unhealthy(SharedBytes("503"))

    private static func running(_ limits: Limits = Limits()) throws -> DeploymentDesk {
        var desk = DeploymentDesk(limits)
        _ = try desk.register("d")
        _ = desk.news()
        _ = desk.answer(.healthy)
        return desk
    }

    @Test("what starts is asked every second, and runs with the first good answer")
    func starts() throws {
        var desk = DeploymentDesk()
        let started = try desk.register("d")
        #expect(started.status == .deploying && started.createdAt == desk.now.wall && started.deployedAt == nil)
        #expect(desk.news() == ["started d deploying/unknown", "saved d deploying/unknown", "probe d gpu1:8000/health"])
        #expect(desk.events[0].message == SharedBytes("Starting deployment for llama"))
        #expect(desk.events[0].estimatedCompletion == WallTime(milliseconds: 1_030_000))
        #expect(desk.answer(Self.bad) == [])
        #expect(desk.wait(999) == [])
        #expect(desk.wait(1) == ["probe d gpu1:8000/health"])
        // An answer that takes longer than a second is followed by the next question at once.
        #expect(desk.wait(2_500) == [])
        #expect(desk.answer(Self.bad) == ["probe d gpu1:8000/health"])
        #expect(desk.answer(.healthy) == ["completed d running/healthy", "saved d running/healthy"])
        #expect(desk.table[SharedBytes("d")]?.deployedAt == WallTime(milliseconds: 1_003_500))
        #expect(desk.events[1].message == SharedBytes("Deployment of llama completed") && desk.events[1].estimatedCompletion == nil)
    }

    @Test("what gives no good answer in its start time has failed, and the last reason is told", arguments: [true, false])
    func startFails(_ answers: Bool) throws {
        var desk = DeploymentDesk()
        _ = try desk.register("d", DeploymentDesk.form(timeout: 6))
        _ = desk.news()
        if answers { _ = desk.answer(Self.bad) }
        var told = desk.wait(5_999)
        told.removeAll { $0.hasPrefix("probe") }
        #expect(told == [])
        #expect(desk.wait(1) == ["failed d failed/unhealthy", "saved d failed/unhealthy"])
        let reason = "the probe was not answered"
        #expect(desk.events[1].message == SharedBytes("Deployment of llama failed: \(answers ? "503" : reason)"))
        #expect(desk.table[SharedBytes("d")]?.note == SharedBytes(answers ? "503" : reason))
        #expect(desk.answer(.healthy) == [] && desk.wait(100_000) == [] && desk.table.nextDeadline == nil)
        _ = try desk.table.start(SharedBytes("d"), at: desk.now)
        #expect(desk.news().first == "started d deploying/unknown" && desk.table[SharedBytes("d")]?.note == .empty)
    }

    @Test("what has no port runs at once, and is never asked")
    func portless() throws {
        var desk = DeploymentDesk()
        _ = try desk.register("d", DeploymentDesk.form(port: nil))
        #expect(desk.news() == ["started d deploying/unknown", "completed d running/unknown", "saved d running/unknown"])
        #expect(desk.events[0].estimatedCompletion == desk.now.wall && desk.table.nextDeadline == nil)
        _ = try desk.table.restart(SharedBytes("d"), at: desk.now)
        #expect(desk.news() == ["restarted d deploying/unknown", "completed d running/unknown", "saved d running/unknown"])
    }

    @Test("three failures in a row make a running one unhealthy, once, and a good answer makes it well again")
    func health() throws {
        var desk = try Self.running()
        for _ in 0..<2 {
            #expect(desk.wait(11_000) == ["probe d gpu1:8000/health"])
            #expect(desk.answer(Self.bad) == [])
        }
        // One good answer between them begins the row anew.
        #expect(desk.wait(11_000).count == 1 && desk.answer(.healthy) == [])
        for _ in 0..<2 { #expect(desk.wait(11_000).count == 1 && desk.answer(Self.bad) == []) }
        #expect(desk.wait(11_000).count == 1)
        #expect(desk.answer(Self.bad) == ["unhealthy d running/unhealthy 3 503", "saved d running/unhealthy"])
        #expect(desk.table[SharedBytes("d")]?.note == SharedBytes("503"))
        #expect(desk.wait(11_000).count == 1 && desk.answer(Self.bad) == [])
        #expect(desk.wait(11_000).count == 1)
        #expect(desk.answer(.healthy) == ["healthy d running/healthy", "saved d running/healthy"])
        #expect(desk.table[SharedBytes("d")]?.note == .empty && desk.events.count == 2)
    }

    @Test("a lost answer counts as a failure a second behind the probe's time, and the late answer says nothing")
    func lost() throws {
        var limits = Limits()
        limits.probeFailuresMax = 1
        var desk = try Self.running(limits)
        #expect(desk.wait(11_000).count == 1)
        let asked = desk.open[0]
        var told = desk.wait(6_000)
        #expect(told == ["unhealthy d running/unhealthy 1 the probe was not answered", "saved d running/unhealthy"])
        #expect(desk.answer(.healthy) == [])
        told = desk.wait(5_000)
        #expect(told == ["probe d gpu1:8000/health"])
        var forged = desk.open[0]
        forged.deployment = SharedBytes("e")
        desk.table.probed(forged, .healthy, at: desk.now)
        desk.table.probed(asked, .healthy, at: desk.now)
        #expect(desk.news() == [])
        #expect(desk.answer(.healthy).first == "healthy d running/healthy")
    }

    @Test("what is stopped, started again, moved or removed hears no answer to an earlier probe")
    func stale() throws {
        let d = SharedBytes("d")
        var desk = try Self.running()
        #expect(desk.wait(11_000).count == 1)
        _ = try desk.table.stop(d, at: desk.now)
        #expect(desk.news() == ["stopped d stopped/unknown", "saved d stopped/unknown"])
        #expect(desk.table[d]?.deployedAt == nil && desk.answer(Self.bad) == [])
        _ = try desk.table.start(d, at: desk.now)
        _ = desk.news()
        _ = try desk.table.restart(d, at: desk.now)
        #expect(desk.news() == ["restarted d deploying/unknown", "saved d deploying/unknown", "probe d gpu1:8000/health"])
        #expect(desk.events[desk.events.count - 1].message == SharedBytes("Restarting deployment for llama"))
        #expect(desk.answer(.healthy) == [])
        _ = try desk.table.update(d, DeploymentDesk.form(path: "/up"), at: desk.now)
        #expect(desk.news() == ["saved d deploying/unknown", "probe d gpu1:8000/up"])
        #expect(desk.answer(.healthy) == [])
        try desk.table.remove(d, at: desk.now)
        #expect(desk.news() == ["stopped d stopped/unknown", "removed d stopped/unknown"])
        _ = try desk.register("d", DeploymentDesk.form(path: "/new"))
        #expect(desk.answer(.healthy).last == "probe d gpu1:8000/new")
        #expect(desk.answer(.healthy).first == "completed d running/healthy")
        #expect(desk.table.schedule.underWay == 0 && desk.table.starts.isEmpty)
    }

    @Test("a change of its place makes its health unknown, no other change does")
    func update() throws {
        let d = SharedBytes("d")
        var desk = try Self.running()
        var form = DeploymentDesk.form()
        form.name = SharedBytes("Other")
        _ = try desk.table.update(d, form, at: desk.now)
        #expect(desk.news() == ["saved d running/healthy"])
        form.host = nil
        _ = try desk.table.update(d, form, at: desk.now)
        #expect(desk.news() == ["saved d running/unknown", "probe d 127.0.0.1:8000/health"])
        #expect(desk.answer(.healthy) == ["saved d running/healthy"])
        form.port = nil
        _ = try desk.table.update(d, form, at: desk.now)
        #expect(desk.news() == ["saved d running/unknown"] && desk.table.nextDeadline == nil)
        _ = try desk.table.restart(d, at: desk.now)
        _ = try desk.table.stop(d, at: desk.now)
        _ = desk.news()
        form.port = 1
        _ = try desk.table.update(d, form, at: desk.now)
        #expect(desk.news() == ["saved d stopped/unknown"])
        _ = try desk.table.start(d, at: desk.now)
        _ = desk.wait(2_000)
        // The start time counts from the start, whatever it is changed to.
        form.startTimeout = .seconds(3)
        _ = try desk.table.update(d, form, at: desk.now)
        #expect(desk.news() == ["saved d deploying/unknown"])
        #expect(!desk.wait(999).contains("failed d failed/unhealthy") && desk.wait(1).contains("failed d failed/unhealthy"))
        _ = try desk.table.start(d, at: desk.now)
        _ = desk.news()
        _ = try desk.table.update(d, DeploymentDesk.form(port: nil), at: desk.now)
        #expect(desk.news() == ["completed d running/unknown", "saved d running/unknown"])
    }

    @Test("what was told to be unhealthy is told to be well also behind a change of its place")
    func accused() throws {
        var limits = Limits()
        limits.probeFailuresMax = 1
        var desk = try Self.running(limits)
        #expect(desk.wait(11_000).count == 1 && desk.answer(Self.bad).count == 2)
        _ = try desk.table.update(SharedBytes("d"), DeploymentDesk.form(path: "/up"), at: desk.now)
        #expect(desk.news() == ["saved d running/unknown", "probe d gpu1:8000/up"])
        #expect(desk.answer(.healthy) == ["healthy d running/healthy", "saved d running/healthy"])
    }

    @Test("each status has the step that is refused", arguments: [
        (Deployment.Status.pending, ""), (.deploying, "start"), (.running, "start"), (.stopped, "stop"), (.failed, "stop"),
    ])
    func refusals(_ status: Deployment.Status, _ refused: String) throws {
        let d = SharedBytes("d")
        var desk = DeploymentDesk()
        desk.table.restore([Deployment(id: d, form: DeploymentDesk.form(), status: status, createdAt: desk.now.wall)], at: desk.now)
        let now = desk.now
        var table = desk.table
        #expect(DeploymentDesk.refusal { _ = try table.start(d, at: now) } == (refused == "start" ? .notStartable(status) : nil))
        table = desk.table
        #expect(DeploymentDesk.refusal { _ = try table.stop(d, at: now) } == (refused == "stop" ? .notStartable(status) : nil))
        table = desk.table
        #expect(DeploymentDesk.refusal { _ = try table.restart(d, at: now) } == nil)
        table = desk.table
        #expect(DeploymentDesk.refusal { try table.remove(d, at: now) } == nil && table.count == 0 && table.starts.isEmpty)
        let e = SharedBytes("e")
        #expect(DeploymentDesk.refusal { _ = try table.start(e, at: now) } == .unknown)
        #expect(DeploymentDesk.refusal { _ = try table.stop(e, at: now) } == .unknown)
        #expect(DeploymentDesk.refusal { _ = try table.restart(e, at: now) } == .unknown)
        #expect(DeploymentDesk.refusal { _ = try table.update(e, DeploymentDesk.form(), at: now) } == .unknown)
        #expect(DeploymentDesk.refusal { try table.remove(e, at: now) } == .unknown)
    }

    @Test("names are given once, made where none is given, and those of workers are theirs")
    func names() throws {
        var limits = Limits()
        limits.deploymentsMax = 4
        var desk = DeploymentDesk(limits)
        #expect(DeploymentDesk.refusal { _ = try desk.register("", starts: false) } == .unknown)
        #expect(DeploymentDesk.refusal { _ = try desk.register("a\nb", starts: false) } == .unknown)
        #expect(DeploymentDesk.refusal { _ = try desk.register(String(repeating: "x", count: 201), starts: false) } == .unknown)
        #expect(DeploymentDesk.refusal { _ = try desk.register("worker:g:m", starts: false) } == .declared)
        #expect(try desk.register(String(repeating: "x", count: 200), starts: false).status == .pending)
        #expect(try desk.register("d", starts: false).id == SharedBytes("d"))
        #expect(DeploymentDesk.refusal { _ = try desk.register("d", starts: false) } == .exists)
        let made = try desk.table.register(DeploymentDesk.form(), id: nil, starts: false, at: desk.now).id
        let other = try desk.table.register(DeploymentDesk.form(), id: nil, starts: false, at: desk.now).id
        #expect(made != other && made.count == 40 && "\(made)".hasPrefix("dep-"))
        #expect(DeploymentDesk.refusal { _ = try desk.register("e") } == .tooMany)
        #expect(desk.table.all.map(\.id)[1...] == [SharedBytes("d"), made, other])
        #expect(desk.news().map { $0.prefix(5) } == Array(repeating: "saved", count: 4))
    }

    @Test("what workers declare runs while one of them is there")
    func declared() throws {
        let (first, second) = (WorkerID(number: 1, suffix: 1), WorkerID(number: 2, suffix: 2))
        let (group, m, n) = (SharedBytes("g"), SharedBytes("m"), SharedBytes("n"))
        var desk = DeploymentDesk()
        let torn = SharedBytes("\u{e9}")[1..<2]
        let none = ["", "a\nb", "\u{85}", String(repeating: "x", count: 201)].map { SharedBytes($0) } + [torn]
        desk.table.declare([m, n, m] + none, by: first, in: group, at: desk.now)
        for name in none { desk.table.declare([m], by: second, in: name, at: desk.now) }
        #expect(desk.news() == [
            "started worker:g:m deploying/unknown", "completed worker:g:m running/healthy",
            "started worker:g:n deploying/unknown", "completed worker:g:n running/healthy",
        ])
        desk.table.declare([m], by: second, in: group, at: desk.now)
        let id = SharedBytes("worker:g:m")
        #expect(desk.table[id]?.source == .declared(group: group, workers: 2) && desk.table[id]?.deployedAt == desk.now.wall)
        desk.table.declare([m], by: first, in: group, at: desk.now)
        #expect(desk.news() == ["stopped worker:g:n stopped/unknown"])
        desk.table.withdraw(first, at: desk.now)
        desk.table.withdraw(first, at: desk.now)
        #expect(desk.news() == [] && desk.table[id]?.source == .declared(group: group, workers: 1))
        let now = desk.now
        #expect(DeploymentDesk.refusal { _ = try desk.table.stop(id, at: now) } == .declared)
        #expect(DeploymentDesk.refusal { _ = try desk.table.update(id, DeploymentDesk.form(), at: now) } == .declared)
        #expect(DeploymentDesk.refusal { try desk.table.remove(id, at: now) } == .declared)
        desk.table.declare([], by: second, in: group, at: now)
        #expect(desk.news() == ["stopped worker:g:m stopped/unknown"] && desk.table[id]?.deployedAt == nil)
        #expect(DeploymentDesk.refusal { _ = try desk.table.start(id, at: now) } == .declared)
        desk.pass(5_000)
        desk.table.declare([m], by: second, in: group, at: desk.now)
        #expect(desk.news() == ["restarted worker:g:m running/healthy"] && desk.table[id]?.deployedAt == desk.now.wall)
        // Another group is another deployment, and colons make no difference between them.
        desk.table.declare([SharedBytes("b:c")], by: second, in: SharedBytes("a"), at: desk.now)
        desk.table.declare([SharedBytes("c")], by: first, in: SharedBytes("a:b"), at: desk.now)
        #expect(desk.table[SharedBytes("worker:a:b:c")] != nil && desk.table[SharedBytes("worker:a%3Ab:c")] != nil)
        #expect(desk.table[id]?.status == .stopped)
        _ = desk.news()
        try desk.table.remove(id, at: desk.now)
        #expect(desk.news() == ["removed worker:g:m stopped/unknown"] && desk.table[id] == nil && desk.table.nextDeadline == nil)
    }

    @Test("where there are too many, the declared one that stopped first gives way, and no other")
    func makeRoom() throws {
        var limits = Limits()
        limits.deploymentsMax = 6
        var desk = DeploymentDesk(limits)
        for index in 0..<3 { _ = try desk.register("r\(index)", starts: false) }
        let workers = (0..<3).map { WorkerID(number: $0, suffix: 1) }
        let group = SharedBytes("g")
        for (index, worker) in workers.enumerated() {
            desk.table.declare([SharedBytes("m\(index)")], by: worker, in: group, at: desk.now)
        }
        #expect(DeploymentDesk.refusal { _ = try desk.register("d") } == .tooMany)
        // What there is no room for is not shown, and its going does no harm.
        let late = WorkerID(number: 9, suffix: 1)
        desk.table.declare([SharedBytes("m9"), SharedBytes("m0")], by: late, in: group, at: desk.now)
        #expect(desk.table.count == 6 && desk.table[SharedBytes("worker:g:m0")]?.source == .declared(group: group, workers: 2))
        desk.table.withdraw(late, at: desk.now)
        desk.table.withdraw(workers[1], at: desk.now)
        desk.table.withdraw(workers[0], at: desk.now)
        _ = desk.news()
        _ = try desk.register("d", starts: false)
        #expect(desk.news() == ["removed worker:g:m1 stopped/unknown", "saved d pending/unknown"])
        desk.table.declare([SharedBytes("m0")], by: workers[1], in: group, at: desk.now)
        #expect(DeploymentDesk.refusal { _ = try desk.register("e") } == .tooMany)
        #expect(desk.table.declarations.count == 2)
    }

    @Test("what workers declare takes half of the registry, and what stopped gives way to what comes")
    func half() throws {
        var limits = Limits()
        limits.deploymentsMax = 6
        var desk = DeploymentDesk(limits)
        let (group, worker) = (SharedBytes("g"), WorkerID(number: 1, suffix: 1))
        func declare(_ models: [String]) { desk.table.declare(models.map { SharedBytes($0) }, by: worker, in: group, at: desk.now) }
        declare(["a", "b", "c", "d"])
        #expect(desk.table.all.map { "\($0.form.name)" } == ["a", "b", "c"])
        for index in 0..<3 { _ = try desk.register("r\(index)", starts: false) }
        #expect(DeploymentDesk.refusal { _ = try desk.register("r3", starts: false) } == .tooMany)
        declare(["b", "c", "d"])
        #expect(desk.table.all.map { "\($0.form.name)" } == ["b", "c", "Llama", "Llama", "Llama", "d"])
        // A place that becomes free is no declared one's beyond the half.
        try desk.table.remove(SharedBytes("r0"), at: desk.now)
        declare(["b", "c", "d", "e"])
        #expect(desk.table.count == 5)
        declare(["b", "c"])
        declare(["b", "c", "e"])
        #expect(desk.table[SharedBytes("worker:g:e")]?.status == .running && desk.table[SharedBytes("worker:g:d")] == nil)
    }

    @Test("what an earlier life wrote down goes on, and nobody is told")
    func restore() throws {
        var desk = DeploymentDesk()
        let since = WallTime(milliseconds: 5)
        func old(_ id: String, _ status: Deployment.Status, _ health: Deployment.Health, port: UInt16? = 8_000) -> Deployment {
            Deployment(
                id: SharedBytes(id), form: DeploymentDesk.form(port: port), status: status, health: health, createdAt: since,
                deployedAt: status == .running ? since : nil)
        }
        var foreign = old("f", .running, .healthy)
        foreign.source = .declared(group: SharedBytes("g"), workers: 1)
        desk.table.restore([
            old("r", .running, .healthy), old("u", .running, .unhealthy), old("n", .running, .unknown, port: nil),
            old("d", .deploying, .unknown), old("s", .stopped, .unknown), old("x", .failed, .unhealthy), old("r", .stopped, .unknown),
            foreign,
        ], at: desk.now)
        #expect(desk.news() == ["probe d gpu1:8000/health", "probe r gpu1:8000/health", "probe u gpu1:8000/health"])
        desk.open.removeFirst()
        #expect(desk.table.all.map(DeploymentDesk.words) == [
            "r running/unknown", "u running/unknown", "n running/unknown", "d deploying/unknown", "s stopped/unknown", "x failed/unhealthy",
        ])
        #expect(desk.table[SharedBytes("r")]?.deployedAt == since)
        #expect(desk.answer(.healthy) == ["saved r running/healthy"])
        #expect(desk.answer(.healthy) == ["healthy u running/healthy", "saved u running/healthy"])
        var told = desk.wait(29_999)
        #expect(!told.contains("failed d failed/unhealthy"))
        told = desk.wait(1)
        #expect(told.contains("failed d failed/unhealthy"))
    }

    @Test("times without end, without length or before now are borne", arguments: [Int64.max, 0, -1, Int64.min])
    func extremes(_ nanoseconds: Int64) throws {
        var limits = Limits()
        limits.probeInterval = TimeSpan(nanoseconds: nanoseconds)
        limits.startProbeInterval = TimeSpan(nanoseconds: nanoseconds)
        limits.probeTimeout = TimeSpan(nanoseconds: nanoseconds)
        limits.probesMax = 1
        limits.probeFailuresMax = 0
        var desk = DeploymentDesk(limits)
        var form = DeploymentDesk.form()
        for wall in [Int64.min, 0, Int64.max] {
            form.startTimeout = TimeSpan(nanoseconds: nanoseconds)
            desk.now = Moment(instant: Instant(nanoseconds: wall), wall: WallTime(milliseconds: wall))
            let id = try desk.table.register(form, id: nil, starts: true, at: desk.now).id
            _ = desk.news()
            _ = desk.answer(Self.bad)
            desk.table.advance(to: desk.now)
            _ = desk.news()
            _ = desk.answer(.healthy)
            _ = try desk.table.update(id, DeploymentDesk.form(path: "/up"), at: desk.now)
            desk.table.advance(to: Moment(instant: Instant(nanoseconds: .min), wall: desk.now.wall))
            _ = try desk.table.restart(id, at: desk.now)
            #expect(desk.table.schedule.underWay <= 1)
        }
        for id in desk.table.all.map(\.id) { try desk.table.remove(id, at: desk.now) }
        #expect(desk.table.count == 0 && desk.table.starts.isEmpty)
    }

    @Test("of a thousand that run, so many are asked at once, each in time, and not all in one instant")
    func thousand() {
        var limits = Limits()
        limits.probesMax = 64
        var desk = DeploymentDesk(limits)
        desk.table.restore((0..<1_000).map { number in
            Deployment(
                id: SharedBytes("d\(number)"), form: DeploymentDesk.form(), status: .running, createdAt: desk.now.wall)
        }, at: desk.now)
        #expect(desk.news().count == 64)
        var asked: [String] = desk.open.map { "\($0.deployment)" }
        while !desk.open.isEmpty {
            asked += desk.answer(.healthy).filter { $0.hasPrefix("probe") }.map { String($0.split(separator: " ")[1]) }
            #expect(desk.table.schedule.underWay <= 64)
        }
        #expect(asked == (0..<1_000).map { "d\($0)" })
        // Everybody's next probe lies between nine and eleven seconds behind: none before, and all until then.
        #expect(desk.wait(8_999) == [])
        var most = 0
        var probes = 0
        for _ in 0..<2_002 {
            desk.pass(1)
            let count = desk.news().count
            most = max(most, count)
            probes += count
            while !desk.open.isEmpty { _ = desk.answer(.healthy) }
        }
        #expect(probes == 1_000 && most < 10)
    }
}
