// DeploymentTable: the registry of deployments: what runs where, as somebody registered it or workers declare it, and whether it lives.
// Deploys nothing and opens no socket: it hands out probes, hears outcomes, and says what changed. Words are document E's.
//
// Cost: a call or an outcome is a few table operations; time costs only what is due, never a walk over all of them.
public import Base

public struct DeploymentTable {
    struct Entry {
        var deployment: Deployment
        /// While it is deploying.
        var start: Start?
        /// Failed probes in a row.
        var failures = 0
        /// Why the last probe failed.
        var reason = SharedBytes.empty
        /// Whether it was told to be unhealthy, and not that it is well again.
        var isAccused = false
        /// Its place among those that may give way.
        var stoppedPlace = Chain<Int>.none
    }

    /// How far a start is.
    enum Start {
        /// Its first probe waits for a place.
        case unasked
        /// Since its first probe its start time runs.
        case asked(since: Instant, deadline: TimerTicket)
    }

    var slots: [SharedBytes: Int] = [:]
    /// By their coming.
    var entries = Chain<Entry>()
    /// The declared ones that stopped, longest first: they give way.
    var stopped = Chain<Int>()
    /// How many are declared, those that stopped among them.
    private var declaredCount = 0
    /// What each worker declares.
    var declarations: [WorkerID: Set<Int>] = [:]
    /// When those that start must have answered.
    var starts = TimerWheel<Int>()
    var schedule: ProbeSchedule
    var random: Randomness
    var changes: [DeploymentChange] = []
    let limits: Limits

    public init(limits: Limits, random: Randomness) {
        self.limits = limits
        self.random = random
        // A second for the way of an answer that came in time.
        schedule = ProbeSchedule(flightsMax: limits.probesMax, lossTime: limits.probeTimeout + .seconds(1))
    }

    /// Whether a deployment may be registered under this name: the rule for tasks' names, and none that workers declare.
    public static func isName(_ text: Span<UInt8>) -> Bool { TaskID(text) != nil && !isDeclared(text) }

    public var count: Int { slots.count }

    public subscript(id: SharedBytes) -> Deployment? { slots[id].flatMap { entries[$0]?.deployment } }

    /// All of them, by their coming. O(n).
    public var all: [Deployment] {
        var all: [Deployment] = []
        all.reserveCapacity(count)
        var slot = entries.first
        while let entry = entries[slot] {
            all.append(entry.deployment)
            slot = entries.slot(after: slot)
        }
        return all
    }

    /// Appends what came of the calls since the last time, in order.
    public mutating func takeChanges(into changes: inout [DeploymentChange]) {
        changes.append(contentsOf: self.changes)
        self.changes.removeAll(keepingCapacity: true)
    }

    // MARK: By hand

    /// Takes in what an earlier life of the server wrote down, however many there are: none is lost because a limit was lowered.
    /// What started is asked at once and has its whole start time again, what ran is asked next; nobody is told.
    public mutating func restore(_ deployments: [Deployment], at now: Moment) {
        for deployment in deployments where deployment.source == .registered && slots[deployment.id] == nil {
            var entry = Entry(deployment: deployment)
            let slot = add(entry)
            switch deployment.status {
            case .pending, .stopped, .failed:
                continue
            case .deploying:
                entry.deployment.health = .unknown
                expect(&entry, slot, at: now)
            case .running:
                // Behind a change of its place it may have been unhealthy without that being written down.
                entry.isAccused = deployment.health != .healthy && deployment.form.port != nil
                entry.deployment.health = .unknown
                if deployment.form.port != nil { schedule.plan(slot, for: now.instant, at: now.instant) }
            }
            _ = entries.with(slot) { $0 = entry }
        }
        sendProbes(at: now)
    }

    /// Takes in a new one.
    ///
    /// - Parameters:
    ///   - id: its name; nil for one that is made.
    ///   - starts: whether it starts at once, as by ``start(_:at:)``.
    /// - Throws: `exists`, `tooMany`; `declared` for a name that only workers give, `unknown` for one that is none (``isName(_:)``).
    public mutating func register(
        _ form: Deployment.Form, id: SharedBytes?, starts: Bool, at now: Moment
    ) throws(DeploymentRefusal) -> Deployment {
        if let id {
            if DeploymentTable.isDeclared(id.span) { throw .declared }
            if !DeploymentTable.isName(id.span) { throw .unknown }
            if slots[id] != nil { throw .exists }
        }
        guard makeRoom(isDeclared: false) else { throw .tooMany }
        // A copy: the name may be a part of a large request.
        let name = id.map { SharedBytes(copying: $0.span) } ?? drawName()
        var entry = Entry(deployment: Deployment(id: name, form: form, createdAt: now.wall))
        let slot = add(entry)
        if starts { begin(&entry, slot, .started, at: now) } else { changes.append(.saved(entry.deployment)) }
        return settle(entry, slot, at: now)
    }

    /// Changes what was told of it. Where another place is to be asked, that begins anew: its health is unknown until then, its status
    /// stays, and one that starts has its whole start time there. One that starts and can be asked no more runs.
    ///
    /// - Throws: `unknown`, `declared`.
    public mutating func update(
        _ id: SharedBytes, _ form: Deployment.Form, at now: Moment
    ) throws(DeploymentRefusal) -> Deployment {
        var (slot, entry) = try registered(id)
        let old = entry.deployment.form
        let isMoved = old.host != form.host || old.port != form.port || old.healthPath != form.healthPath
        entry.deployment.form = form
        switch entry.deployment.status {
        case .pending, .stopped, .failed:
            break
        case .deploying:
            if isMoved {
                leavePlace(&entry, slot)
                guard expect(&entry, slot, at: now) else { return settle(entry, slot, at: now) }
            } else if case .asked(let since, let deadline) = entry.start, old.startTimeout != form.startTimeout {
                starts.cancel(deadline)
                entry.start = .asked(since: since, deadline: starts.insert(since + form.startTimeout, slot))
            }
        case .running:
            guard isMoved else { break }
            leavePlace(&entry, slot)
            if form.port != nil { schedule.plan(slot, for: now.instant, at: now.instant) }
        }
        changes.append(.saved(entry.deployment))
        return settle(entry, slot, at: now)
    }

    /// Begins to deploy one that does not run: it must answer a probe well within its start time. Without a port it runs at once.
    ///
    /// - Throws: `unknown`, `declared`; `notStartable` while it starts or runs.
    public mutating func start(_ id: SharedBytes, at now: Moment) throws(DeploymentRefusal) -> Deployment {
        var (slot, entry) = try registered(id)
        switch entry.deployment.status {
        case .pending, .stopped, .failed: begin(&entry, slot, .started, at: now)
        case .deploying, .running: throw .notStartable(entry.deployment.status)
        }
        return settle(entry, slot, at: now)
    }

    /// It runs no more.
    ///
    /// - Throws: `unknown`, `declared`; `notStartable` with the status of one that has ended already.
    public mutating func stop(_ id: SharedBytes, at now: Moment) throws(DeploymentRefusal) -> Deployment {
        var (slot, entry) = try registered(id)
        switch entry.deployment.status {
        case .pending, .deploying, .running: end(&entry, slot)
        case .stopped, .failed: throw .notStartable(entry.deployment.status)
        }
        changes.append(.saved(entry.deployment))
        return settle(entry, slot, at: now)
    }

    /// Begins to deploy it anew, whatever it does.
    ///
    /// - Throws: `unknown`, `declared`.
    public mutating func restart(_ id: SharedBytes, at now: Moment) throws(DeploymentRefusal) -> Deployment {
        var (slot, entry) = try registered(id)
        begin(&entry, slot, .restarted, at: now)
        return settle(entry, slot, at: now)
    }

    /// Forgets it; one that runs or starts is stopped first.
    ///
    /// - Throws: `unknown`; `declared` while workers declare it.
    public mutating func remove(_ id: SharedBytes, at now: Moment) throws(DeploymentRefusal) {
        guard let slot = slots[id], var entry = entries[slot] else { throw .unknown }
        switch (entry.deployment.source, entry.deployment.status) {
        case (.declared, .stopped):
            break
        case (.declared, .pending), (.declared, .deploying), (.declared, .running), (.declared, .failed):
            throw .declared
        case (.registered, .deploying), (.registered, .running):
            end(&entry, slot)
            _ = settle(entry, slot, at: now)
        case (.registered, .pending), (.registered, .stopped), (.registered, .failed):
            break
        }
        forget(slot)
    }

    // MARK: Leaves

    /// The registered one of that name.
    private func registered(_ id: SharedBytes) throws(DeploymentRefusal) -> (Int, Entry) {
        guard let slot = slots[id], let entry = entries[slot] else { throw .unknown }
        guard entry.deployment.source == .registered else { throw .declared }
        return (slot, entry)
    }

    mutating func add(_ entry: Entry) -> Int {
        let slot = entries.append(entry)
        slots[entry.deployment.id] = slot
        if entry.deployment.source != .registered { declaredCount += 1 }
        return slot
    }

    /// Puts the entry back and asks whose turn it is.
    mutating func settle(_ entry: Entry, _ slot: Int, at now: Moment) -> Deployment {
        _ = entries.with(slot) { $0 = entry }
        sendProbes(at: now)
        return entry.deployment
    }

    /// Whether one more may come; the declared one that stopped first gives way. Declared ones take half of the registry at most: what
    /// workers say leaves no less room than that for what is registered.
    mutating func makeRoom(isDeclared: Bool) -> Bool {
        while count >= limits.deploymentsMax || isDeclared && declaredCount >= limits.deploymentsMax / 2 {
            guard let slot = stopped[stopped.first] else { return false }
            forget(slot)
        }
        return true
    }

    /// - Precondition: it neither starts nor runs.
    private mutating func forget(_ slot: Int) {
        guard let entry = entries.remove(slot) else { return }
        stopped.remove(entry.stoppedPlace)
        slots[entry.deployment.id] = nil
        if entry.deployment.source != .registered { declaredCount -= 1 }
        changes.append(.removed(entry.deployment))
    }

    private mutating func drawName() -> SharedBytes {
        while true {
            let (high, low) = random.nextUUID()
            var writer = ByteWriter(capacity: 40)
            writer.append("dep-")
            TaskID(high: high, low: low).write(to: &writer)
            let name = writer.seal()
            if slots[name] == nil { return name }
        }
    }
}
