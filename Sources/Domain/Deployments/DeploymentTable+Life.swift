// A deployment's life: it starts, is asked, answers or does not, and ends. What is asked when is ProbeSchedule's; what an answer means is
// told here.
public import Base

extension DeploymentTable {
    // MARK: Time and answers

    /// When to call ``advance(to:)`` next; nil while nothing is awaited.
    public var nextDeadline: Instant? {
        switch (schedule.nextDeadline, starts.nextDeadline) {
        case (let probe?, let start?): min(probe, start)
        case (let deadline, nil), (nil, let deadline): deadline
        }
    }

    /// Does what is due.
    public mutating func advance(to now: Moment) {
        var lost: [ProbeSchedule.Flight] = []
        schedule.advance(to: now.instant, lost: &lost)
        for flight in lost { judge(flight, .unhealthy(SharedBytes("the probe was not answered")), at: now) }
        var late: [Int] = []
        starts.advance(to: now.instant, into: &late)
        for slot in late { fail(slot, at: now) }
        sendProbes(at: now)
    }

    /// Hears what came of a probe. An answer that nobody waits for says nothing: to another probe than the last, or to one whose
    /// deployment has been stopped, moved or removed since.
    public mutating func probed(_ probe: HealthProbe, _ outcome: HealthProbe.Outcome, at now: Moment) {
        guard let flight = schedule.end(probe.number, of: probe.deployment) else { return }
        judge(flight, outcome, at: now)
        sendProbes(at: now)
    }

    private mutating func judge(_ flight: ProbeSchedule.Flight, _ outcome: HealthProbe.Outcome, at now: Moment) {
        guard let slot = flight.subject, var entry = entries[slot] else { return }
        switch (entry.deployment.status, outcome) {
        case (.pending, _), (.stopped, _), (.failed, _):
            return
        case (.deploying, .healthy):
            complete(&entry, health: .healthy, at: now)
            planNext(slot, behind: flight.begunAt, at: now)
        case (.deploying, .unhealthy(let reason)):
            entry.reason = reason
            schedule.plan(slot, for: flight.begunAt + limits.startProbeInterval, at: now.instant)
        case (.running, .healthy):
            entry.failures = 0
            if entry.deployment.health != .healthy {
                entry.deployment.health = .healthy
                entry.deployment.note = .empty
                if entry.isAccused { changes.append(.turnedHealthy(entry.deployment)) }
                entry.isAccused = false
                changes.append(.saved(entry.deployment))
            }
            planNext(slot, behind: flight.begunAt, at: now)
        case (.running, .unhealthy(let reason)):
            entry.failures = min(entry.failures, Int(Int32.max)) + 1
            if entry.failures >= limits.probeFailuresMax, entry.deployment.health != .unhealthy {
                entry.deployment.health = .unhealthy
                entry.deployment.note = reason
                entry.isAccused = true
                changes.append(.turnedUnhealthy(entry.deployment, failures: entry.failures, reason: reason))
                changes.append(.saved(entry.deployment))
            }
            planNext(slot, behind: flight.begunAt, at: now)
        }
        _ = entries.with(slot) { $0 = entry }
    }

    /// Sets the next probe of one that runs: an interval behind the last, a tenth more or less, so that those that came together do not
    /// stay together.
    private mutating func planNext(_ slot: Int, behind begunAt: Instant, at now: Moment) {
        let interval = limits.probeInterval.nanoseconds
        let tenth = interval / 10
        let due = begunAt + TimeSpan(nanoseconds: interval - tenth) + random.jitter(of: TimeSpan(nanoseconds: 2 * tenth))
        schedule.plan(slot, for: due, at: now.instant)
    }

    /// Hands out probes while there are places for them. With the first one to a deployment that starts its start time begins: that it
    /// waited for a place behind others is no fault of its own.
    mutating func sendProbes(at now: Moment) {
        while let slot = schedule.nextSubject() {
            guard var entry = entries[slot], let port = entry.deployment.form.port else { continue }
            let deployment = entry.deployment
            let number = schedule.begin(slot, of: deployment.id, at: now.instant)
            if case .unasked = entry.start {
                let deadline = starts.insert(now.instant + deployment.form.startTimeout, slot)
                entry.start = .asked(since: now.instant, deadline: deadline)
                _ = entries.with(slot) { $0 = entry }
            }
            changes.append(.probe(HealthProbe(
                deployment: deployment.id, number: number, host: deployment.form.host ?? DeploymentTable.ownHost, port: port,
                path: deployment.form.healthPath)))
        }
    }

    /// Where a deployment is that names a port alone.
    private static let ownHost = SharedBytes("127.0.0.1")

    // MARK: From one status to another

    /// It starts, for the first time or again.
    mutating func begin(_ entry: inout Entry, _ slot: Int, _ kind: DeploymentEvent.Kind, at now: Moment) {
        halt(&entry, slot)
        entry.deployment.status = .deploying
        entry.deployment.health = .unknown
        entry.deployment.note = .empty
        entry.deployment.deployedAt = nil
        let form = entry.deployment.form
        tell(kind, entry.deployment, until: now.wall.later(by: form.port == nil ? .zero : form.startTimeout))
        if expect(&entry, slot, at: now) { changes.append(.saved(entry.deployment)) }
    }

    /// Waits for the first good answer of one that starts; where nobody can be asked, it runs.
    ///
    /// - Returns: whether it still starts.
    @discardableResult
    mutating func expect(_ entry: inout Entry, _ slot: Int, at now: Moment) -> Bool {
        guard entry.deployment.form.port != nil else {
            complete(&entry, health: .unknown, at: now)
            return false
        }
        entry.start = .unasked
        schedule.planFirst(slot)
        return true
    }

    /// It runs.
    mutating func complete(_ entry: inout Entry, health: Deployment.Health, at now: Moment) {
        endStart(&entry)
        entry.failures = 0
        entry.deployment.status = .running
        entry.deployment.health = health
        entry.deployment.note = .empty
        entry.deployment.deployedAt = now.wall
        tell(.completed, entry.deployment)
        changes.append(.saved(entry.deployment))
    }

    /// Its start time is over.
    private mutating func fail(_ slot: Int, at now: Moment) {
        guard var entry = entries[slot], entry.deployment.status == .deploying else { return }
        let reason = entry.reason.isEmpty ? SharedBytes("no probe was answered in its start time") : entry.reason
        halt(&entry, slot)
        entry.deployment.status = .failed
        entry.deployment.health = .unhealthy
        entry.deployment.note = reason
        tell(.failed, entry.deployment)
        changes.append(.saved(entry.deployment))
        _ = entries.with(slot) { $0 = entry }
    }

    /// It is stopped.
    mutating func end(_ entry: inout Entry, _ slot: Int) {
        halt(&entry, slot)
        entry.deployment.status = .stopped
        entry.deployment.health = .unknown
        entry.deployment.note = .empty
        entry.deployment.deployedAt = nil
        tell(.stopped, entry.deployment)
    }

    /// Its place has changed: what was found out at the old one counts no more, and nothing is awaited there.
    mutating func leavePlace(_ entry: inout Entry, _ slot: Int) {
        endStart(&entry)
        schedule.forget(slot)
        entry.failures = 0
        entry.reason = .empty
        entry.deployment.health = .unknown
        entry.deployment.note = .empty
    }

    /// No good answer is waited for any more.
    private mutating func endStart(_ entry: inout Entry) {
        if case .asked(_, let deadline) = entry.start.take() { starts.cancel(deadline) }
    }

    /// Nothing is awaited of it any more.
    private mutating func halt(_ entry: inout Entry, _ slot: Int) {
        endStart(&entry)
        schedule.forget(slot)
        entry.failures = 0
        entry.reason = .empty
        entry.isAccused = false
    }

    /// Tells those who watch.
    mutating func tell(_ kind: DeploymentEvent.Kind, _ deployment: Deployment, until: WallTime? = nil) {
        var writer = ByteWriter(capacity: 128)
        let model = deployment.form.modelID
        switch kind {
        case .started:
            writer.append("Starting deployment for ")
            writer.append(model)
        case .restarted:
            writer.append("Restarting deployment for ")
            writer.append(model)
        case .completed, .stopped, .failed:
            writer.append("Deployment of ")
            writer.append(model)
            writer.append(kind == .completed ? " completed" : kind == .stopped ? " stopped" : " failed: ")
            if kind == .failed { writer.append(deployment.note) }
        }
        changes.append(.happened(DeploymentEvent(
            kind: kind, deployment: deployment, message: writer.seal(), estimatedCompletion: until)))
    }
}

extension WallTime {
    /// So much later; the ends of time stay where they are.
    fileprivate func later(by span: TimeSpan) -> WallTime {
        let (sum, overflow) = milliseconds.addingReportingOverflow(span.milliseconds)
        return WallTime(milliseconds: !overflow ? sum : span < .zero ? .min : .max)
    }
}
