// Broker+End: the server is about to stop, or to give way to another process. Nothing new comes in; what somebody waits for is still worked
// on; what the next process takes up again is left to it. Obeys "SIGTERM" of the specification.
public import Base

extension Broker {
    /// Whether tasks come in, and who of those that wait still gets a worker.
    enum Admission {
        case open
        /// Nothing new. Of the tasks that wait only those get a worker that somebody waits for.
        case closed
        /// The same, and workers whose hands are empty are told that they may leave.
        case dismissing
    }

    /// Takes no new tasks from now on: the server is about to stop, or another process is about to take over. What workers have in hand
    /// goes on, and so do tasks that somebody waits for; the others wait for the next process.
    public func close() {
        if admission == .open { admission = .closed }
    }

    /// Tells workers that have nothing in hand that there will be nothing more, and the others once they have not.
    ///
    /// - Precondition: `close` was called.
    public func dismissWorkers() {
        precondition(admission != .open, "workers are dismissed by a broker that takes tasks")
        admission = .dismissing
        // In the order of their names, which is the order of their coming.
        for worker in allGroups.flatMap(\.allWorkers).sorted(by: { $0.id.number < $1.id.number }) where worker.phase != .draining {
            dismissIfDone(worker)
        }
    }

    /// Goes on after `close`, which was not followed by an end.
    public func reopen(at now: Moment) {
        admission = .open
        if !orphans.isEmpty { _ = alarms.insert(now.instant + limits.recoveryGrace, .recoveryGrace) }
        for group in allGroups { fill(group, at: now) }
    }

    /// Tasks that connected workers have in hand.
    public var inHandCount: Int { executingCount - orphans.values.reduce(0) { $0 + $1.count } }

    /// A request gives up waiting for the task, because the server ends. What was promised to somebody else, or may be asked for again by
    /// its key, is left to the next process.
    public func part(_ task: TaskRecord, from exchange: ExchangeID, at now: Moment) {
        guard outlives(task) else { return abandon(task, by: exchange, at: now) }
        task.waiters.removeAll { $0 == exchange }
    }

    /// Whether the next process takes the task up again.
    private func outlives(_ task: TaskRecord) -> Bool { task.isPromised && task.isRecorded }

    /// The server stops: what the next process takes up again, and nobody waits for in this one, stays its worker's, who may come back.
    ///
    /// - Returns: whether the task is such a one.
    func leave(_ task: TaskRecord) -> Bool {
        guard outlives(task), task.waiters.isEmpty, let group = task.group else { return false }
        task.worker = nil
        orphans[task.lastWorker, default: []].append(task)
        group.orphanCount += 1
        return true
    }
}
