// Monitor: the fleet's vital signs and what is told of them: figures, alerts, activities, deployments, workers. Makes its parts work
// together and puts what they decide into one order; it reads no machine, asks no deployment and tells nobody itself (the gateway does).
//
// Cost: what the server's tasks bring is ActivityFeed's; the rest happens a few times a second.
public import Base

/// Watches over the server and its fleet; answers with effects.
public final class Monitor {
    private var alerts: AlertBook
    private var feed: ActivityFeed
    private var workers = Fleet()
    private var table: DeploymentTable
    private var effects: [MonitorEffect] = []
    private var changes: [DeploymentChange] = []
    private var changedAlerts: [Alert] = []

    /// The last sample, what the fleet had told by then, and when that was; nil before the first.
    public private(set) var latestResources: (report: ResourceReport, at: WallTime)?

    public init(limits: Limits, thresholds: AlertThresholds, random: Randomness) {
        alerts = AlertBook(limits: limits, thresholds: thresholds, random: random)
        feed = ActivityFeed(limits: limits, random: random)
        table = DeploymentTable(limits: limits, random: random)
    }

    /// Goes on where an earlier process ended: to be called once, before anything else.
    ///
    /// - Parameter alerts: those that had no end; they last under their names until their cause is gone.
    public func restore(deployments: [Deployment], alerts unresolved: [Alert], at now: Moment) {
        alerts.restore(unresolved, at: now.wall, into: &changedAlerts)
        tell(at: now)
        table.restore(deployments, at: now)
        drain(at: now)
        for id in alerts.failingModels { settle(id, at: now) }
    }

    /// Whether anything was decided since `takeEffects` was called last.
    public var hasEffects: Bool { !effects.isEmpty }

    /// Moves what was decided since the last call to `list`; to be performed before the monitor hears of a later moment.
    public func takeEffects(into list: inout [MonitorEffect]) {
        list.removeAll(keepingCapacity: true)
        swap(&list, &effects)
    }

    /// When ``advance(to:)`` has something to do.
    public var nextDeadline: Instant? {
        guard let first = table.nextDeadline else { return feed.nextDeadline }
        return feed.nextDeadline.map { min($0, first) } ?? first
    }

    public func advance(to now: Moment) {
        table.advance(to: now)
        drain(at: now)
        feed.advance(to: now, into: &effects)
    }

    // MARK: Figures and alerts

    /// A look at the machine: it is told, and it may raise alerts or end them.
    public func sampled(_ sample: ResourceSample, at now: Moment) {
        let report = ResourceReport(sample: sample, fleet: fleet)
        latestResources = (report, now.wall)
        effects.append(.announce(.resources(report)))
        alerts.judge(sample, at: now.wall, into: &changedAlerts)
        tell(at: now)
    }

    /// Tells how all deployments do.
    public func announceModels(at now: Moment) {
        effects.append(.announce(.models(table.all)))
    }

    /// The alerts that last, oldest first.
    public var activeAlerts: [Alert] { alerts.active }

    // MARK: Activities

    /// Notes what somebody says has happened. What is kept of it is copied: it may be a small part of a large request.
    @discardableResult
    public func note(_ draft: ActivityDraft, at now: Moment) -> Activity {
        feed.note(draft.owned, at: now, into: &effects)
    }

    /// A task's event, whatever it is; those that are no activity cost next to nothing.
    ///
    /// - Parameter task: the event's task, where it is still remembered; looked up only for an event that is told.
    public func heard(_ publication: Publication, of task: @autoclosure () -> TaskRecord?, at now: Moment) {
        feed.heard(publication, of: task, at: now, into: &effects)
    }

    // MARK: Workers

    public func workerConnected(_ worker: WorkerID, in group: SharedBytes, at now: Moment) {
        workers.connected(worker, in: group)
        feed.heard(worker, in: group, .workerJoined, at: now, into: &effects)
    }

    /// A worker's connection is gone, and with it its figures and what it declared. One that is not known is ignored.
    public func workerGone(_ worker: WorkerID, at now: Moment) {
        guard let group = workers.gone(worker) else { return }
        feed.heard(worker, in: group, .workerLeft, at: now, into: &effects)
        table.withdraw(worker, at: now)
        drain(at: now)
    }

    /// A worker says which models it has; this replaces what it said before. One that is not known is ignored.
    public func workerDeclared(_ models: [SharedBytes], by worker: WorkerID, in group: SharedBytes, at now: Moment) {
        guard workers.has(worker) else { return }
        table.declare(models, by: worker, in: group, at: now)
        drain(at: now)
    }

    /// A worker says how it does. One that is not known is ignored.
    public func workerReported(_ status: WorkerStatus) { workers.reported(status) }

    /// The workers that told how they do, in the order of their names.
    public var fleet: [WorkerStatus] { workers.statuses }

    /// What a worker told last; nil for one that told nothing.
    public func status(of worker: WorkerID) -> WorkerStatus? { workers.status(of: worker) }

    // MARK: Deployments

    /// All deployments, in the order of their coming.
    public var deployments: [Deployment] { table.all }

    public func deployment(_ id: SharedBytes) -> Deployment? { table[id] }

    /// Takes a deployment into the registry.
    ///
    /// - Parameters:
    ///   - id: its name; nil for one that is made up.
    ///   - starts: whether it begins to start at once.
    ///   - user: who asks; nil where nobody said. As with the others.
    @discardableResult
    public func register(
        _ form: Deployment.Form, id: SharedBytes?, starts: Bool, by user: SharedBytes?, at now: Moment
    ) throws(DeploymentRefusal) -> Deployment {
        let deployment = try table.register(form, id: id, starts: starts, at: now)
        note(.register, deployment, by: user, at: now)
        return deployment
    }

    /// Changes what somebody told of a deployment.
    @discardableResult
    public func update(
        _ id: SharedBytes, _ form: Deployment.Form, by user: SharedBytes?, at now: Moment
    ) throws(DeploymentRefusal) -> Deployment {
        let deployment = try table.update(id, form, at: now)
        note(.update, deployment, by: user, at: now)
        return deployment
    }

    @discardableResult
    public func start(_ id: SharedBytes, by user: SharedBytes?, at now: Moment) throws(DeploymentRefusal) -> Deployment {
        let deployment = try table.start(id, at: now)
        note(.start, deployment, by: user, at: now)
        return deployment
    }

    @discardableResult
    public func stop(_ id: SharedBytes, by user: SharedBytes?, at now: Moment) throws(DeploymentRefusal) -> Deployment {
        let deployment = try table.stop(id, at: now)
        note(.stop, deployment, by: user, at: now)
        return deployment
    }

    @discardableResult
    public func restart(_ id: SharedBytes, by user: SharedBytes?, at now: Moment) throws(DeploymentRefusal) -> Deployment {
        let deployment = try table.restart(id, at: now)
        note(.restart, deployment, by: user, at: now)
        return deployment
    }

    /// Takes a deployment out of the registry.
    public func remove(_ id: SharedBytes, by user: SharedBytes?, at now: Moment) throws(DeploymentRefusal) {
        guard let deployment = table[id] else { throw .unknown }
        try table.remove(id, at: now)
        note(.remove, deployment, by: user, at: now)
    }

    /// What came of a probe.
    public func probed(_ probe: HealthProbe, _ outcome: HealthProbe.Outcome, at now: Moment) {
        table.probed(probe, outcome, at: now)
        drain(at: now)
        settle(probe.deployment, at: now)
    }

    private enum Operation {
        case register, update, start, stop, restart, remove

        /// What it is called beside the activity, and in its sentence.
        var words: (name: StaticString, past: StaticString) {
            switch self {
            case .register: ("register", "registered")
            case .update: ("update", "updated")
            case .start: ("start", "started")
            case .stop: ("stop", "stopped")
            case .restart: ("restart", "restarted")
            case .remove: ("remove", "removed")
            }
        }
    }

    /// Notes what somebody did by hand, and what came of it. That a deployment changed is everybody's business, who changed it is not.
    private func note(_ operation: Operation, _ deployment: Deployment, by user: SharedBytes?, at now: Moment) {
        let words = operation.words
        var extra = ActivityExtra()
        extra.add("operation", text: SharedBytes("\(words.name)"))
        extra.add("model_id", text: deployment.form.modelID)
        extra.add("user", text: user)
        let draft = ActivityDraft(
            kind: .userOperation, message: SharedBytes("Deployment \(deployment.form.name) \(words.past)"),
            resourceType: ActivityFeed.deploymentWord, resourceID: deployment.id, extra: extra.seal(), owner: user)
        _ = feed.note(draft, at: now, into: &effects)
        drain(at: now)
        settle(deployment.id, at: now)
    }

    // MARK: What the registry decided

    private func drain(at now: Moment) {
        table.takeChanges(into: &changes)
        for change in changes {
            switch change {
            case .happened(let event): happened(event, at: now)
            case .saved(let deployment): effects.append(.record(.deploymentChanged(deployment)))
            case .removed(let deployment):
                // What workers declare was never written down.
                if deployment.source == .registered { effects.append(.record(.deploymentRemoved(deployment.id))) }
                end(deployment.id, deployment.form.name, .removed, at: now)
            case .probe(let probe): effects.append(.probe(probe))
            case .turnedUnhealthy(let deployment, let failures, let reason):
                alerts.modelFailed(deployment, failures: failures, reason: reason, at: now.wall, into: &changedAlerts)
                tell(at: now)
            case .turnedHealthy(let deployment): end(deployment.id, deployment.form.name, .recovered, at: now)
            }
        }
        changes.removeAll(keepingCapacity: true)
    }

    private func happened(_ event: DeploymentEvent, at now: Moment) {
        if isTold(event, at: now) {
            effects.append(.announce(.deployment(event)))
            noteChange(event, at: now)
        }
        let deployment = event.deployment
        switch event.kind {
        case .failed:
            alerts.modelFailed(deployment, failures: nil, reason: deployment.note, at: now.wall, into: &changedAlerts)
            tell(at: now)
        case .stopped: end(deployment.id, deployment.form.name, .stopped, at: now)
        case .started, .completed, .restarted: break
        }
    }

    /// Whether a change is told one by one. A fleet that comes and goes can name any number of models: of its changes so many a second
    /// are, the others are told in a sum.
    private func isTold(_ event: DeploymentEvent, at now: Moment) -> Bool {
        switch event.deployment.source {
        case .registered: true
        case .declared: feed.admits(.declared, at: now, into: &effects)
        }
    }

    private func noteChange(_ event: DeploymentEvent, at now: Moment) {
        let deployment = event.deployment
        let words =
            switch event.kind {
            case .started: "deployment started"
            case .completed: "deployment completed"
            case .failed: deployment.note.isEmpty ? "deployment failed" : "deployment failed: \(deployment.note)"
            case .stopped: "deployment stopped"
            case .restarted: "deployment restarted"
            }
        var extra = ActivityExtra()
        extra.add("model_id", text: deployment.form.modelID)
        extra.add("port", number: deployment.form.port.map(Int.init))
        let draft = ActivityDraft(
            kind: .modelDeployment, message: SharedBytes("Model \(deployment.form.name) \(words)"),
            severity: event.kind == .failed ? .error : .info, resourceType: ActivityFeed.deploymentWord, resourceID: deployment.id,
            extra: extra.seal())
        _ = feed.note(draft, at: now, into: &effects)
    }

    /// Ends the alert about a deployment that is well, stopped or gone by now, or that nobody can ask any more.
    private func settle(_ id: SharedBytes, at now: Moment) {
        guard alerts.hasFailed(id) else { return }
        guard let deployment = table[id] else {
            end(id, nil, .removed, at: now)
            return
        }
        if deployment.health == .healthy {
            end(id, deployment.form.name, .recovered, at: now)
        } else if deployment.status == .stopped {
            end(id, deployment.form.name, .stopped, at: now)
        } else if deployment.status == .running, deployment.form.port == nil {
            end(id, deployment.form.name, .unasked, at: now)
        }
    }

    private func end(_ id: SharedBytes, _ name: SharedBytes?, _ end: AlertBook.ModelEnd, at now: Moment) {
        alerts.modelEnded(id, name, end, at: now.wall, into: &changedAlerts)
        tell(at: now)
    }

    /// Tells what became of alerts, and writes it down.
    private func tell(at now: Moment) {
        for alert in changedAlerts {
            effects.append(.announce(.alert(alert)))
            effects.append(.record(.alertChanged(alert)))
            var extra = ActivityExtra()
            extra.add("alert_id", text: alert.id)
            let draft = ActivityDraft(
                kind: Monitor.activityKind(of: alert.kind), message: alert.message,
                severity: alert.resolvedAt == nil ? alert.severity : .info,
                resourceType: alert.kind == .modelHealthCheckFailed ? ActivityFeed.deploymentWord : alert.resource.type,
                resourceID: alert.resource.id, extra: extra.seal())
            _ = feed.note(draft, at: now, into: &effects)
        }
        changedAlerts.removeAll(keepingCapacity: true)
    }

    private static func activityKind(of kind: Alert.Kind) -> Activity.Kind {
        switch kind {
        case .memoryThreshold, .diskThreshold, .gpuThreshold: .systemResourceThreshold
        case .modelHealthCheckFailed: .modelHealthCheck
        }
    }
}
