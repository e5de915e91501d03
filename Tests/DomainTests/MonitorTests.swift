// MonitorTests: that the parts work together: what is told, written down and asked, in which order, and what an earlier process left.
import Base
import Testing

@testable import Domain

struct MonitorTests {
    private final class Desk {
        let monitor: Monitor
        var now = Moment(instant: Instant(nanoseconds: 5_000_000_000), wall: WallTime(milliseconds: 1_700_000_000_000))
        private var effects: [MonitorEffect] = []

        init(_ change: (inout Limits) -> Void = { _ in }) {
            var limits = Limits()
            limits.probeFailuresMax = 2
            change(&limits)
            monitor = Monitor(limits: limits, thresholds: AlertThresholds(), random: Randomness(seed: 1))
        }

        func pass(_ span: TimeSpan) {
            now = Moment(instant: now.instant + span, wall: WallTime(milliseconds: now.wall.milliseconds + span.milliseconds))
            monitor.advance(to: now)
        }

        func taken() -> [MonitorEffect] {
            monitor.takeEffects(into: &effects)
            return effects
        }

        /// Everything since the last call, but that activities are written down.
        func lines() -> [String] { taken().compactMap(MonitorTests.line) }

        func register(_ name: String = "dep-1", port: UInt16? = 80, by user: String? = nil) throws(DeploymentRefusal) {
            try monitor.register(
                MonitorTests.form(port: port), id: SharedBytes(name), starts: true, by: user.map { SharedBytes($0) }, at: now)
        }

        /// Answers the probe that was asked for last.
        func answer(_ outcome: HealthProbe.Outcome) -> [String] {
            pass(.seconds(20))
            let probes = taken().compactMap { effect -> HealthProbe? in if case .probe(let probe) = effect { probe } else { nil } }
            #expect(probes.count == 1)
            for probe in probes { monitor.probed(probe, outcome, at: now) }
            return lines()
        }
    }

    private static let bad = HealthProbe.Outcome.unhealthy(SharedBytes("refused"))

    private static func form(port: UInt16? = 80) -> Deployment.Form {
        Deployment.Form(
            modelID: SharedBytes("llama"), name: SharedBytes("Chat"), host: SharedBytes("h"), port: port, startTimeout: .seconds(30))
    }

    private static func address(_ bytes: SharedBytes) -> UInt {
        unsafe bytes.span.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
    }

    private static func line(_ effect: MonitorEffect) -> String? {
        switch effect {
        case .announce(.resources(let report)): "resources \(report.fleet.count)"
        case .announce(.models(let models)): "models \(models.count)"
        case .announce(.activity(let activity)): "activity \(activity.kind) \(activity.severity) \(activity.message)"
        case .announce(.alert(let alert)): "alert \(alert.resolvedAt == nil ? "\(alert.severity)" : "resolved") \(alert.message)"
        case .announce(.deployment(let event)): "deployment \(event.kind)"
        case .record(.activityNoted): nil
        case .record(.alertChanged(let alert)): "write alert \(alert.resolvedAt == nil ? "\(alert.severity)" : "resolved")"
        case .record(.deploymentChanged(let deployment)): "write \(deployment.id) \(deployment.status)"
        case .record(.deploymentRemoved(let id)): "write \(id) removed"
        case .record: "write something else"
        case .probe(let probe): "probe \(probe.deployment)"
        }
    }

    @Test("a sample is told with what the fleet said, and judged")
    func sample() {
        let desk = Desk()
        #expect(desk.monitor.latestResources == nil)
        let worker = WorkerID(number: 1, suffix: 2)
        desk.monitor.workerConnected(worker, in: SharedBytes("g"), at: desk.now)
        desk.monitor.workerReported(
            WorkerStatus(worker: worker, group: SharedBytes("g"), gpus: [], memory: nil, load: nil, reportedAt: desk.now.wall))
        _ = desk.taken()
        desk.monitor.sampled(AlertBookTests.sample(memory: 85.2), at: desk.now)
        #expect(
            desk.lines() == [
                "resources 1", "alert warning Memory usage reached 85.2%", "write alert warning",
                "activity systemResourceThreshold warning Memory usage reached 85.2%",
            ])
        #expect(desk.monitor.latestResources?.at == desk.now.wall && desk.monitor.latestResources?.report.fleet.count == 1)
        #expect(desk.monitor.activeAlerts.count == 1)
        desk.monitor.sampled(AlertBookTests.sample(memory: 85.2), at: desk.now)
        #expect(desk.lines() == ["resources 1"])
        desk.monitor.sampled(AlertBookTests.sample(memory: 10), at: desk.now)
        #expect(
            desk.lines() == [
                "resources 1", "alert resolved Memory usage fell to 10.0%", "write alert resolved",
                "activity systemResourceThreshold info Memory usage fell to 10.0%",
            ])
        #expect(desk.monitor.activeAlerts.isEmpty)
    }

    @Test("an alert's activity names the alert and what it is about")
    func alertActivity() throws {
        let desk = Desk()
        desk.monitor.sampled(AlertBookTests.sample(gpus: [(2, 95)]), at: desk.now)
        let alert = try #require(desk.monitor.activeAlerts.first)
        let activities = desk.taken().compactMap { effect -> Activity? in
            if case .announce(.activity(let activity)) = effect { activity } else { nil }
        }
        #expect(activities.map(\.resourceType) == [SharedBytes("gpu")] && activities.map(\.resourceID) == [SharedBytes("2")])
        #expect(activities.map(\.extra) == [SharedBytes("{\"alert_id\":\"\(alert.id)\"}")])
    }

    @Test("an operation is noted for whoever did it, what comes of it for everybody")
    func operation() throws {
        let desk = Desk()
        try desk.register(by: "42")
        let activities = desk.taken().compactMap { effect -> Activity? in
            if case .announce(.activity(let activity)) = effect { activity } else { nil }
        }
        #expect(activities.map(\.message.description) == ["Deployment Chat registered", "Model Chat deployment started"])
        #expect(activities.map(\.owner) == [SharedBytes("42"), nil])
        #expect(activities.allSatisfy { $0.resourceType == SharedBytes("deployment") && $0.resourceID == SharedBytes("dep-1") })
        #expect(activities.map(\.extra.description) == [
            #"{"operation":"register","model_id":"llama","user":"42"}"#, #"{"model_id":"llama","port":80}"#,
        ])
        #expect(desk.monitor.deployment(SharedBytes("dep-1"))?.status == .deploying && desk.monitor.deployments.count == 1)
    }

    @Test("what is refused is noted nowhere")
    func refused() throws {
        let desk = Desk()
        try desk.register()
        _ = desk.taken()
        let id = SharedBytes("dep-1")
        let other = SharedBytes("dep-2")
        #expect(throws: DeploymentRefusal.exists) { try desk.register() }
        #expect(throws: DeploymentRefusal.notStartable(.deploying)) { try desk.monitor.start(id, by: nil, at: desk.now) }
        #expect(throws: DeploymentRefusal.unknown) { try desk.monitor.stop(other, by: nil, at: desk.now) }
        #expect(throws: DeploymentRefusal.unknown) { try desk.monitor.restart(other, by: nil, at: desk.now) }
        #expect(throws: DeploymentRefusal.unknown) { try desk.monitor.update(other, Self.form(), by: nil, at: desk.now) }
        #expect(throws: DeploymentRefusal.unknown) { try desk.monitor.remove(other, by: nil, at: desk.now) }
        #expect(desk.lines().isEmpty)
    }

    @Test("each operation by hand has its words")
    func words() throws {
        let desk = Desk()
        let id = SharedBytes("dep-1")
        try desk.register(port: nil)
        try desk.monitor.update(id, Self.form(port: nil), by: nil, at: desk.now)
        try desk.monitor.stop(id, by: nil, at: desk.now)
        try desk.monitor.start(id, by: nil, at: desk.now)
        try desk.monitor.restart(id, by: nil, at: desk.now)
        try desk.monitor.remove(id, by: nil, at: desk.now)
        let operations = desk.lines().filter { $0.hasPrefix("activity userOperation") }
        #expect(
            operations
                == ["registered", "updated", "stopped", "started", "restarted", "removed"].map {
                    "activity userOperation info Deployment Chat \($0)"
                })
    }

    @Test("a deployment that is well, fails its probes, and is well again")
    func health() throws {
        let desk = Desk()
        try desk.register()
        desk.monitor.announceModels(at: desk.now)
        let first = desk.taken()
        #expect(first.compactMap(Self.line).suffix(1) == ["models 1"])
        for case .probe(let probe) in first { desk.monitor.probed(probe, .healthy, at: desk.now) }
        #expect(
            desk.lines() == [
                "deployment completed", "activity modelDeployment info Model Chat deployment completed", "write dep-1 running",
            ])
        #expect(desk.answer(Self.bad) == [])
        #expect(
            desk.answer(Self.bad) == [
                "alert error Chat failed 2 health checks: refused", "write alert error",
                "activity modelHealthCheck error Chat failed 2 health checks: refused", "write dep-1 running",
            ])
        #expect(desk.answer(Self.bad) == [] && desk.monitor.activeAlerts.count == 1)
        #expect(
            desk.answer(.healthy) == [
                "alert resolved Chat is healthy again", "write alert resolved", "activity modelHealthCheck info Chat is healthy again",
                "write dep-1 running",
            ])
        #expect(desk.monitor.activeAlerts.isEmpty)
    }

    /// A desk with a deployment whose start came to nothing.
    private static func failed() throws -> Desk {
        let desk = Desk()
        try desk.register()
        for case .probe(let probe) in desk.taken() { desk.monitor.probed(probe, bad, at: desk.now) }
        desk.pass(.seconds(31))
        return desk
    }

    @Test("a start that comes to nothing raises an alert, which lasts until a restarted one is well")
    func startFailed() throws {
        let desk = try Self.failed()
        let effects = desk.taken()
        for case .announce(.activity(let activity)) in effects {
            #expect(activity.resourceType == SharedBytes("deployment") && activity.resourceID == SharedBytes("dep-1"))
        }
        let lines = effects.compactMap(Self.line)
        let expected = [
            "deployment failed", "activity modelDeployment error Model Chat deployment failed: refused",
            "alert error Chat failed to start: refused", "write alert error",
            "activity modelHealthCheck error Chat failed to start: refused", "write dep-1 failed",
        ]
        #expect(lines.filter { !$0.hasPrefix("probe") } == expected)
        try desk.monitor.restart(SharedBytes("dep-1"), by: nil, at: desk.now)
        #expect(desk.monitor.activeAlerts.count == 1)
        for case .probe(let probe) in desk.taken() { desk.monitor.probed(probe, .healthy, at: desk.now) }
        #expect(desk.lines().contains("alert resolved Chat is healthy again") && desk.monitor.activeAlerts.isEmpty)
    }

    @Test("the alert of a deployment ends with it, when it is stopped, and when nobody can ask it any more")
    func endings() throws {
        var desk = try Self.failed()
        try desk.monitor.remove(SharedBytes("dep-1"), by: nil, at: desk.now)
        #expect(desk.monitor.activeAlerts.isEmpty)
        #expect(desk.lines().filter { $0.hasPrefix("write dep-1 removed") || $0.hasPrefix("alert resolved") } == [
            "write dep-1 removed", "alert resolved Chat was removed",
        ])

        desk = try Self.failed()
        try desk.monitor.restart(SharedBytes("dep-1"), by: nil, at: desk.now)
        try desk.monitor.stop(SharedBytes("dep-1"), by: nil, at: desk.now)
        #expect(desk.monitor.activeAlerts.isEmpty && desk.lines().contains("alert resolved Chat was stopped"))

        desk = try Self.failed()
        try desk.monitor.update(SharedBytes("dep-1"), Self.form(port: nil), by: nil, at: desk.now)
        #expect(desk.monitor.activeAlerts.count == 1)
        try desk.monitor.restart(SharedBytes("dep-1"), by: nil, at: desk.now)
        #expect(desk.monitor.activeAlerts.isEmpty && desk.lines().contains("alert resolved Chat is not asked any more"))
    }

    @Test("what workers declare comes and goes with them, and is written down nowhere")
    func declared() {
        let desk = Desk()
        let worker = WorkerID(number: 1, suffix: 2)
        desk.monitor.workerDeclared([SharedBytes("m")], by: worker, in: SharedBytes("g"), at: desk.now)
        #expect(desk.lines().isEmpty && desk.monitor.deployments.isEmpty, "a worker that is not connected")
        desk.monitor.workerConnected(worker, in: SharedBytes("g"), at: desk.now)
        desk.monitor.workerDeclared([SharedBytes("m")], by: worker, in: SharedBytes("g"), at: desk.now)
        desk.monitor.workerGone(worker, at: desk.now)
        desk.monitor.workerGone(worker, at: desk.now)
        #expect(
            desk.lines() == [
                "activity userOperation info Worker W1-00000002 connected", "deployment started",
                "activity modelDeployment info Model m deployment started", "deployment completed",
                "activity modelDeployment info Model m deployment completed",
                "activity userOperation warning Worker W1-00000002 disconnected", "deployment stopped",
                "activity modelDeployment info Model m deployment stopped",
            ])
    }

    @Test("what workers declared gives way without being taken out of the database, where it never was")
    func evicted() throws {
        let desk = Desk { $0.deploymentsMax = 2 }
        let worker = WorkerID(number: 1, suffix: 2)
        desk.monitor.workerConnected(worker, in: SharedBytes("g"), at: desk.now)
        desk.monitor.workerDeclared([SharedBytes("m")], by: worker, in: SharedBytes("g"), at: desk.now)
        desk.monitor.workerGone(worker, at: desk.now)
        _ = desk.taken()
        try desk.register()
        try desk.register("dep-2")
        #expect(desk.monitor.deployments.map(\.id) == [SharedBytes("dep-1"), SharedBytes("dep-2")])
        #expect(desk.lines().filter { $0.hasPrefix("write") } == ["write dep-1 deploying", "write dep-2 deploying"])
    }

    @Test("a fleet that comes and goes does not drown who watches: beyond the bound, sums")
    func flood() {
        let desk = Desk { $0.taskActivitiesPerSecondMax = 4 }
        for number in 1...10 {
            let worker = WorkerID(number: UInt32(number), suffix: 2)
            desk.monitor.workerConnected(worker, in: SharedBytes("g"), at: desk.now)
            desk.monitor.workerDeclared([SharedBytes("m\(number)")], by: worker, in: SharedBytes("g"), at: desk.now)
        }
        #expect(desk.lines().filter { $0.hasPrefix("activity") }.count == 4)
        #expect(desk.monitor.nextDeadline == desk.now.instant + .seconds(1))
        desk.pass(.seconds(1))
        #expect(
            desk.lines() == [
                "activity userOperation info 8 more workers connected", "activity modelDeployment info 18 more deployments changed",
            ])
        #expect(desk.monitor.nextDeadline == nil)
    }

    @Test("what one worker declares and takes back a thousand times is told a few times, and the rest in a sum; what is registered always")
    func alternation() throws {
        let desk = Desk { $0.taskActivitiesPerSecondMax = 5 }
        let worker = WorkerID(number: 1, suffix: 2)
        desk.monitor.workerConnected(worker, in: SharedBytes("g"), at: desk.now)
        for number in 0..<1_000 {
            desk.monitor.workerDeclared(number % 2 == 0 ? [SharedBytes("m")] : [], by: worker, in: SharedBytes("g"), at: desk.now)
        }
        let told = desk.lines()
        #expect(told.filter { $0.hasPrefix("deployment") } == ["started", "completed", "stopped", "restarted"].map { "deployment \($0)" })
        #expect(told.count == 9)
        try desk.register(port: nil)
        #expect(desk.lines().filter { $0.hasPrefix("deployment") } == ["deployment started", "deployment completed"])
        desk.pass(.seconds(1))
        #expect(desk.lines() == ["activity modelDeployment info 997 more deployments changed"])
    }

    @Test("what somebody notes is told as it is and kept in bytes of its own")
    func noted() {
        let desk = Desk()
        let request = SharedBytes("a large request")
        let draft = ActivityDraft(
            kind: .downloadTask, message: request[2..<7], severity: .critical, resourceType: SharedBytes("t"),
            resourceID: SharedBytes("i"), extra: SharedBytes("{\"a\":1}"), owner: SharedBytes("42"))
        let activity = desk.monitor.note(draft, at: desk.now)
        #expect(Self.address(activity.message) != Self.address(draft.message))
        #expect(desk.lines() == ["activity downloadTask critical large"])
        #expect(activity.owner == SharedBytes("42") && activity.extra == SharedBytes("{\"a\":1}") && activity.createdAt == desk.now.wall)
    }

    @Test("an alert that was restored is not raised again while its cause lasts, and ends with it")
    func restored() throws {
        let before = Desk()
        before.monitor.sampled(AlertBookTests.sample(memory: 85), at: before.now)
        let alerts = before.monitor.activeAlerts
        let desk = Desk()
        desk.monitor.restore(deployments: [], alerts: alerts, at: desk.now)
        #expect(desk.lines().isEmpty && desk.monitor.activeAlerts == alerts)
        desk.monitor.sampled(AlertBookTests.sample(memory: 86), at: desk.now)
        #expect(desk.lines() == ["resources 0"])
        desk.monitor.sampled(AlertBookTests.sample(memory: 10), at: desk.now)
        #expect(desk.lines().contains("alert resolved Memory usage fell to 10.0%") && desk.monitor.activeAlerts.isEmpty)
    }

    @Test("of the restored alerts about deployments those go on whose deployment is there and not well")
    func restoredModels() throws {
        let before = try Self.failed()
        let alerts = before.monitor.activeAlerts
        let deployments = before.monitor.deployments
        var desk = Desk()
        desk.monitor.restore(deployments: deployments, alerts: alerts, at: desk.now)
        #expect(desk.monitor.activeAlerts == alerts && desk.monitor.deployments == deployments && desk.lines().isEmpty)
        desk = Desk()
        desk.monitor.restore(deployments: [], alerts: alerts, at: desk.now)
        #expect(desk.monitor.activeAlerts.isEmpty && desk.lines().first == "alert resolved dep-1 was removed")
    }

    @Test("a restored deployment that ran unwell ends its alert when it is well")
    func restoredRunning() throws {
        let before = try Self.failed()
        var deployment = try #require(before.monitor.deployments.first)
        deployment.status = .running
        let desk = Desk()
        desk.monitor.restore(deployments: [deployment], alerts: before.monitor.activeAlerts, at: desk.now)
        #expect(desk.monitor.activeAlerts.count == 1)
        for case .probe(let probe) in desk.taken() { desk.monitor.probed(probe, .healthy, at: desk.now) }
        #expect(desk.monitor.activeAlerts.isEmpty && desk.lines().contains("alert resolved Chat is healthy again"))
    }

    @Test("the deadline is the earliest of all")
    func deadline() throws {
        let desk = Desk { $0.taskActivitiesPerSecondMax = 0 }
        #expect(desk.monitor.nextDeadline == nil)
        desk.monitor.workerConnected(WorkerID(number: 1, suffix: 2), in: .empty, at: desk.now)
        #expect(desk.monitor.nextDeadline == desk.now.instant + .seconds(1))
        try desk.register()
        let deadline = try #require(desk.monitor.nextDeadline)
        #expect(deadline > desk.now.instant && deadline <= desk.now.instant + .seconds(1))
    }
}
