// DeploymentTable+ChanceTests: random calls, answers and times, against a registry in the simplest words: what is told, what is written
// down and who is asked when are the same, and what was written down is enough to go on from.
import Base
import Testing
import TestSupport

@testable import Domain

/// The registry as rows that are walked over. Times are milliseconds.
private struct DeploymentOracle {
    struct Row {
        let id: SharedBytes
        /// Nil for a registered one.
        var workers: Set<WorkerID>?
        var form: Deployment.Form
        var status = Deployment.Status.pending
        var health = Deployment.Health.unknown
        var written = Deployment.Health.unknown
        var deployedAt: Int64?
        /// When the first probe of its start was sent; nil while it waits for a place.
        var askedAt: Int64?
        var deadline: Int64?
        /// Between which times its next probe becomes due.
        var due: ClosedRange<Int64>?
        var flight: UInt64?
        var failures = 0
        var isAccused = false
        var stops = 0
    }

    struct Flight {
        let id: SharedBytes
        let begunAt: Int64
    }

    let limits: Limits
    var rows: [Row] = []
    var flights: [UInt64: Flight] = [:]
    var stops = 0
    /// What is told, by deployment.
    var told: [SharedBytes: [String]] = [:]

    func index(_ id: SharedBytes) -> Int? { rows.firstIndex { $0.id == id } }

    func words(_ row: Row) -> String { "\(row.id) \(row.status)/\(row.health)" }

    mutating func tell(_ verb: String, _ row: Row, _ tail: String = "") {
        told[row.id, default: []].append("\(verb) \(words(row))\(tail)")
        if verb == "saved", let index = index(row.id) { rows[index].written = row.health }
    }

    mutating func makeRoom(isDeclared: Bool = false) -> Bool {
        let isFull = isDeclared && rows.count(where: { $0.workers != nil }) >= limits.deploymentsMax / 2
        if rows.count < limits.deploymentsMax, !isFull { return true }
        let free = rows.indices.filter { rows[$0].workers?.isEmpty == true }.min { rows[$0].stops < rows[$1].stops }
        guard let free else { return false }
        tell("removed", rows.remove(at: free))
        return true
    }

    private mutating func halt(_ index: Int) {
        rows[index].askedAt = nil
        rows[index].deadline = nil
        rows[index].due = nil
        rows[index].flight = nil
        rows[index].failures = 0
        rows[index].isAccused = false
    }

    private mutating func enter(_ index: Int, _ status: Deployment.Status, _ health: Deployment.Health, deployedAt: Int64? = nil) {
        rows[index].status = status
        rows[index].health = health
        rows[index].deployedAt = deployedAt
    }

    mutating func begin(_ index: Int, _ verb: String, at now: Int64) {
        halt(index)
        enter(index, .deploying, .unknown)
        tell(verb, rows[index])
        if rows[index].form.port == nil {
            complete(index, .unknown, at: now)
        } else {
            rows[index].due = now...now
            tell("saved", rows[index])
        }
    }

    private mutating func complete(_ index: Int, _ health: Deployment.Health, at now: Int64) {
        rows[index].askedAt = nil
        rows[index].deadline = nil
        rows[index].failures = 0
        enter(index, .running, health, deployedAt: now)
        tell("completed", rows[index])
        tell("saved", rows[index])
    }

    private mutating func end(_ index: Int) {
        halt(index)
        enter(index, .stopped, .unknown)
        tell("stopped", rows[index])
    }

    mutating func register(_ form: Deployment.Form, _ id: SharedBytes, starts: Bool, at now: Int64) -> DeploymentRefusal? {
        if index(id) != nil { return .exists }
        guard makeRoom() else { return .tooMany }
        rows.append(Row(id: id, form: form))
        if starts { begin(rows.count - 1, "started", at: now) } else { tell("saved", rows[rows.count - 1]) }
        return nil
    }

    mutating func update(_ id: SharedBytes, _ form: Deployment.Form, at now: Int64) -> DeploymentRefusal? {
        guard let index = index(id) else { return .unknown }
        if rows[index].workers != nil { return .declared }
        let old = rows[index].form
        rows[index].form = form
        rows[index].deadline = rows[index].askedAt.map { $0 + form.startTimeout.milliseconds }
        let isAlive = rows[index].status == .deploying || rows[index].status == .running
        if isAlive, old.host != form.host || old.port != form.port || old.healthPath != form.healthPath {
            rows[index].health = .unknown
            rows[index].failures = 0
            rows[index].flight = nil
            rows[index].askedAt = nil
            rows[index].deadline = nil
            rows[index].due = form.port == nil ? nil : now...now
            if form.port == nil, rows[index].status == .deploying {
                complete(index, .unknown, at: now)
                return nil
            }
        }
        tell("saved", rows[index])
        return nil
    }

    mutating func step(_ verb: Int, _ id: SharedBytes, at now: Int64) -> DeploymentRefusal? {
        guard let index = index(id) else { return .unknown }
        let status = rows[index].status
        if verb != 3, rows[index].workers != nil { return .declared }
        switch verb {
        case 0:
            if status == .deploying || status == .running { return .notStartable(status) }
            begin(index, "started", at: now)
        case 1:
            if status == .stopped || status == .failed { return .notStartable(status) }
            end(index)
            tell("saved", rows[index])
        case 2:
            begin(index, "restarted", at: now)
        default:
            if let workers = rows[index].workers, !workers.isEmpty { return .declared }
            if status == .deploying || status == .running { end(index) }
            tell("removed", rows.remove(at: index))
        }
        return nil
    }

    mutating func declare(_ models: [SharedBytes], _ worker: WorkerID, _ group: SharedBytes, at now: Int64) {
        let ids = models.map { SharedBytes("worker:\(group):\($0)") }
        let left = rows.filter { $0.workers?.contains(worker) == true && !ids.contains($0.id) }.map(\.id)
        // Those that one call stops give way in any order: the order is the registry's own.
        for id in left { leave(id, worker) }
        for (id, model) in zip(ids, models) {
            if index(id) == nil, makeRoom(isDeclared: true) {
                rows.append(Row(
                    id: id, workers: [], form: Deployment.Form(modelID: model, name: model, startTimeout: limits.deploymentStartTimeout),
                    status: .deploying))
                tell("started", rows[rows.count - 1])
                enter(rows.count - 1, .running, .healthy, deployedAt: now)
                tell("completed", rows[rows.count - 1])
            }
            guard let index = index(id), let workers = rows[index].workers else { continue }
            if workers.isEmpty, rows[index].status == .stopped {
                enter(index, .running, .healthy, deployedAt: now)
                tell("restarted", rows[index])
            }
            rows[index].workers = workers.union([worker])
        }
    }

    mutating func leave(_ id: SharedBytes, _ worker: WorkerID) {
        guard let index = index(id) else { return }
        rows[index].workers?.remove(worker)
        if rows[index].workers?.isEmpty == true {
            end(index)
            stops += 1
            rows[index].stops = stops
        }
    }

    mutating func hear(_ number: UInt64, isHealthy: Bool, at now: Int64) {
        guard let flight = flights.removeValue(forKey: number), let index = rows.firstIndex(where: { $0.flight == number }) else { return }
        rows[index].flight = nil
        let second = max(flight.begunAt + limits.startProbeInterval.milliseconds, now)
        let interval = limits.probeInterval.milliseconds
        let later = max(flight.begunAt + interval * 9 / 10, now)...max(flight.begunAt + interval * 11 / 10, now)
        if rows[index].status == .deploying {
            if isHealthy { complete(index, .healthy, at: now) }
            rows[index].due = isHealthy ? later : second...second
            return
        }
        rows[index].due = later
        rows[index].failures = isHealthy ? 0 : rows[index].failures + 1
        if isHealthy, rows[index].health != .healthy {
            rows[index].health = .healthy
            if rows[index].isAccused { tell("healthy", rows[index]) }
            rows[index].isAccused = false
            tell("saved", rows[index])
        } else if rows[index].failures >= limits.probeFailuresMax, rows[index].health != .unhealthy {
            rows[index].health = .unhealthy
            rows[index].isAccused = true
            tell("unhealthy", rows[index], " \(rows[index].failures)")
            tell("saved", rows[index])
        }
    }

    /// It is asked.
    ///
    /// - Returns: whether it had never been asked in this start.
    mutating func ask(_ index: Int, _ number: UInt64, at now: Int64) -> Bool {
        rows[index].due = nil
        rows[index].flight = number
        flights[number] = Flight(id: rows[index].id, begunAt: now)
        guard isNew(rows[index]) else { return false }
        rows[index].askedAt = now
        rows[index].deadline = now + rows[index].form.startTimeout.milliseconds
        return true
    }

    func isNew(_ row: Row) -> Bool { row.status == .deploying && row.askedAt == nil }

    var lossTime: Int64 { limits.probeTimeout.milliseconds + 1_000 }

    mutating func pass(to now: Int64) {
        for (number, _) in flights.filter({ $0.value.begunAt + lossTime <= now }).sorted(by: { $0.key < $1.key }) {
            hear(number, isHealthy: false, at: now)
        }
        for index in rows.indices {
            guard let deadline = rows[index].deadline, deadline <= now else { continue }
            halt(index)
            enter(index, .failed, .unhealthy)
            tell("failed", rows[index])
            tell("saved", rows[index])
        }
    }

    /// A new life, which has only what is registered.
    mutating func restore(at now: Int64) {
        flights = [:]
        rows.removeAll { $0.workers != nil }
        for index in rows.indices {
            let (health, isProbed) = (rows[index].written, rows[index].form.port != nil)
            halt(index)
            guard rows[index].status == .deploying || rows[index].status == .running else { continue }
            rows[index].isAccused = rows[index].status == .running && isProbed && health != .healthy
            rows[index].health = .unknown
            rows[index].due = isProbed ? now...now : nil
        }
    }

    /// The first thing that is sure to be due by its time.
    var nextDeadline: Int64? {
        let losses = flights.values.map { $0.begunAt + lossTime }
        let waits = flights.count < limits.probesMax ? rows.compactMap { $0.flight == nil ? $0.due?.upperBound : nil } : []
        return (losses + waits + rows.compactMap(\.deadline)).min()
    }
}

struct DeploymentTableChanceTests {
    private static let limits = {
        var limits = Limits()
        limits.deploymentsMax = 9
        limits.probesMax = 3
        return limits
    }()

    private static func form(_ random: inout Seeded) -> Deployment.Form {
        Deployment.Form(
            modelID: SharedBytes("m"), name: SharedBytes("n"), host: Bool.random(using: &random) ? SharedBytes("h") : nil,
            port: Int.random(in: 0..<4, using: &random) == 0 ? nil : UInt16.random(in: 1...2, using: &random),
            healthPath: SharedBytes(Bool.random(using: &random) ? "/a" : "/b"),
            startTimeout: .seconds(Int64.random(in: 0...20, using: &random)))
    }

    @Test("random calls, answers and times give what a walk over all rows gives", arguments: 1...16)
    func chance(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        var oracle = DeploymentOracle(limits: Self.limits)
        var table = DeploymentTable(limits: Self.limits, random: Randomness(seed: seed))
        var database: [SharedBytes: Deployment] = [:]
        var order: [SharedBytes] = []
        var open: [HealthProbe] = []
        var clock: Int64 = 0
        var lastNumber: UInt64 = 0
        var now: Moment { Moment(instant: Instant(nanoseconds: clock * 1_000_000), wall: WallTime(milliseconds: clock)) }
        let workers = (0..<3).map { WorkerID(number: $0, suffix: 7) }

        for step in 0..<1_500 {
            var refused: DeploymentRefusal?
            var expected: DeploymentRefusal?
            let isDeclared = Int.random(in: 0..<6, using: &random) == 0
            let id = SharedBytes("\(isDeclared ? "worker:g0:m" : "d")\(Int.random(in: 0..<(isDeclared ? 4 : 7), using: &random))")
            let at = now
            switch Int.random(in: 0..<24, using: &random) {
            case 0...1:
                let (form, starts) = (Self.form(&random), Bool.random(using: &random))
                guard !isDeclared else { continue }
                refused = DeploymentDesk.refusal { _ = try table.register(form, id: id, starts: starts, at: at) }
                expected = oracle.register(form, id, starts: starts, at: clock)
            case 2:
                let form = Self.form(&random)
                refused = DeploymentDesk.refusal { _ = try table.update(id, form, at: at) }
                expected = oracle.update(id, form, at: clock)
            case 3...4:
                refused = DeploymentDesk.refusal { _ = try table.start(id, at: at) }
                expected = oracle.step(0, id, at: clock)
            case 5:
                let verb = Int.random(in: 1...3, using: &random)
                refused = DeploymentDesk.refusal {
                    switch verb {
                    case 1: _ = try table.stop(id, at: at)
                    case 2: _ = try table.restart(id, at: at)
                    default: try table.remove(id, at: at)
                    }
                }
                expected = oracle.step(verb, id, at: clock)
            case 6:
                let worker = workers[Int.random(in: 0..<3, using: &random)]
                let group = SharedBytes("g\(Int.random(in: 0..<2, using: &random))")
                // One model at most goes in a call: then it is plain which stopped first.
                let model = Int.random(in: 0..<5, using: &random)
                let models = model == 4 ? [] : [SharedBytes("m\(model)")]
                table.declare(models, by: worker, in: group, at: at)
                oracle.declare(models, worker, group, at: clock)
            case 7:
                guard Int.random(in: 0..<12, using: &random) == 0 else { continue }
                table = DeploymentTable(limits: Self.limits, random: Randomness(seed: seed + UInt64(step)))
                table.restore(order.compactMap { database[$0] }, at: at)
                oracle.restore(at: clock)
                open = []
                lastNumber = 0
            case 8...16:
                guard let probe = open.randomElement(using: &random) else { continue }
                // Some answers come twice, and some never.
                if Int.random(in: 0..<4, using: &random) > 0 { open.removeAll { $0 == probe } }
                let isHealthy = Int.random(in: 0..<3, using: &random) == 0
                table.probed(probe, isHealthy ? .healthy : .unhealthy(SharedBytes("no")), at: at)
                oracle.hear(probe.number, isHealthy: isHealthy, at: clock)
            default:
                switch Int.random(in: 0..<8, using: &random) {
                case 0: clock += Int64.random(in: 0...20_000, using: &random)
                case 1...4:
                    guard let next = table.nextDeadline else { continue }
                    clock = max(clock, next.nanoseconds / 1_000_000)
                default: clock += Int64.random(in: 0...1_500, using: &random)
                }
                table.advance(to: now)
                oracle.pass(to: clock)
            }
            #expect(refused == expected)

            var changes: [DeploymentChange] = []
            table.takeChanges(into: &changes)
            var told: [SharedBytes: [String]] = [:]
            var asked: [Int64] = []
            var askedNew: [Int64] = []
            for change in changes {
                var words = DeploymentDesk.words(change)
                switch change {
                case .happened(let event):
                    told[event.deployment.id, default: []].append(words)
                case .saved(let deployment):
                    told[deployment.id, default: []].append(words)
                    if database.updateValue(deployment, forKey: deployment.id) == nil { order.append(deployment.id) }
                case .removed(let deployment):
                    told[deployment.id, default: []].append(words)
                    database[deployment.id] = nil
                    order.removeAll { $0 == deployment.id }
                case .turnedUnhealthy(let deployment, let failures, let reason):
                    words.removeLast("\(failures) \(reason)".count)
                    told[deployment.id, default: []].append(words + "\(failures)")
                case .turnedHealthy(let deployment):
                    told[deployment.id, default: []].append(words)
                case .probe(let probe):
                    #expect(probe.number > lastNumber)
                    lastNumber = probe.number
                    open.append(probe)
                    guard let index = oracle.index(probe.deployment), let due = oracle.rows[index].due else {
                        Issue.record("step \(step): \(probe.deployment) is asked, and should not be")
                        return
                    }
                    let form = oracle.rows[index].form
                    #expect(due.lowerBound <= clock && oracle.rows[index].flight == nil && probe.port == form.port)
                    #expect(probe.host == form.host ?? SharedBytes("127.0.0.1") && probe.path == form.healthPath)
                    if oracle.ask(index, probe.number, at: clock) {
                        askedNew.append(due.lowerBound)
                    } else {
                        asked.append(due.lowerBound)
                    }
                }
            }
            guard told == oracle.told else {
                Issue.record("step \(step): told \(told), not \(oracle.told)")
                return
            }
            oracle.told = [:]

            // Who is due is asked while there are places: who was never asked before all others, and who was due first before the rest.
            #expect(oracle.flights.count <= Self.limits.probesMax)
            let waiting = oracle.rows.compactMap(\.due?.upperBound)
            if oracle.flights.count < Self.limits.probesMax { #expect(!waiting.contains { $0 <= clock }) }
            for row in oracle.rows {
                guard let due = row.due?.upperBound, due <= clock else { continue }
                let isPassed = oracle.isNew(row) ? !asked.isEmpty || askedNew.contains { due < $0 } : asked.contains { due < $0 }
                #expect(!isPassed, "step \(step): \(row.id)")
            }

            let all = table.all
            #expect(all.map(DeploymentDesk.words) == oracle.rows.map(oracle.words), "step \(step)")
            #expect(all.map { $0.deployedAt?.milliseconds } == oracle.rows.map(\.deployedAt))
            #expect(all.map(\.form) == oracle.rows.map(\.form))
            for deployment in all {
                #expect(table[deployment.id] == deployment)
                if case .declared(_, let count) = deployment.source {
                    #expect(oracle.index(deployment.id).map { oracle.rows[$0].workers?.count } == count)
                    continue
                }
                // Only a new life knows less than what was written down, until it has asked.
                var written = database[deployment.id]
                if deployment.health == .unknown, deployment.status == .running {
                    written?.health = .unknown
                    written?.note = deployment.note
                }
                #expect(written == deployment)
            }
            switch (table.nextDeadline, oracle.nextDeadline) {
            case (nil, nil), (.some, nil): break
            case (let told, let sure?): #expect(told.map { $0.nanoseconds / 1_000_000 <= max(sure, clock) } == true, "step \(step)")
            }
        }
    }
}
