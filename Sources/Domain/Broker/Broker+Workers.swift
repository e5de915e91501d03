// Broker+Workers: who comes, goes and has room, who gets the next task, and what workers say of the tasks that they have in hand.
public import Base

extension Broker {
    // MARK: Workers

    /// A worker connected.
    ///
    /// - Parameters:
    ///   - isExplicit: whether only its own `ready` makes it ready.
    ///   - resuming: the name that it had before this server started again. It has it again, and what it had in hand, if tasks of this
    ///     group still wait for it and nobody else has the name.
    public func workerConnected(
        group name: SharedBytes, connection: ConnectionID, isExplicit: Bool, resuming: WorkerID? = nil, at now: Moment
    ) -> Worker {
        let group = group(named: name)
        let hands = resuming.map { returned(to: $0, in: group) } ?? []
        let id = resuming.flatMap { hands.isEmpty ? nil : $0 } ?? nextWorkerID()
        let worker = Worker(id: id, group: group, connection: connection, at: now)
        worker.hands = hands
        for task in hands {
            task.worker = worker
            worker.unconfirmed.insert(task.id)
        }
        group.workers[worker.id] = worker
        group.staffCount += 1
        workerCount += 1
        if !isExplicit { worker.readyTimer = alarms.insert(now.instant + limits.readyDelay, .workerReady(worker)) }
        return worker
    }

    private func nextWorkerID() -> WorkerID {
        workerNumber &+= 1
        return WorkerID(number: workerNumber, suffix: UInt32(truncatingIfNeeded: random.next()))
    }

    /// The group, made where there is none.
    func group(named name: SharedBytes) -> Group {
        if let group = groups[name] { return group }
        let group = Group(name: name)
        groups[name] = group
        return group
    }

    /// The worker takes tasks from now on. What it leaves unsaid stays as it was.
    ///
    /// - Parameter held: what it has in hand, from a worker that came back: what it got by its name and does not list is taken from it.
    /// - Precondition: `concurrency` and `models` lie within the limits.
    public func workerReady(
        _ worker: Worker, concurrency: Int?, models: [SharedBytes]?, rate: Rate? = nil, held: [TaskID]? = nil, at now: Moment
    ) {
        guard worker.phase != .gone else { return }
        if let timer = worker.readyTimer { _ = alarms.cancel(timer) }
        worker.readyTimer = nil
        if let rate { worker.rate = rate }
        let wasRelieved = held.map { reconcile(worker, with: $0, at: now) } ?? false
        if worker.phase == .draining { worker.group.staffCount += 1 }
        if let models {
            if worker.phase != .draining { worker.group.declare(worker.models, by: -1) }
            worker.models = models
            worker.group.declare(models, by: 1)
        } else if worker.phase == .draining {
            worker.group.declare(worker.models, by: 1)
        }
        if let concurrency { worker.concurrency = concurrency }
        worker.phase = .ready
        // A worker that says it is ready, with nothing else in hand, is not busy with what ended without it.
        if worker.hands.isEmpty {
            for timer in worker.abandoned.values { _ = alarms.cancel(timer) }
            worker.abandoned = [:]
        }
        worker.group.relist(worker)
        if models == nil, !wasRelieved { fill(worker, at: now) } else { fill(worker.group, at: now) }
    }

    /// The worker takes no new tasks; it is told when its hands are empty.
    public func workerDraining(_ worker: Worker, at now: Moment) {
        guard worker.phase == .settling || worker.phase == .ready else { return }
        if let timer = worker.readyTimer { _ = alarms.cancel(timer) }
        worker.readyTimer = nil
        worker.phase = .draining
        retire(worker)
        dismissIfDone(worker)
        fill(worker.group, at: now)
    }

    /// The worker's connection is gone: what it had in hand runs again or fails.
    public func workerGone(_ worker: Worker, at now: Moment) {
        guard worker.phase != .gone else { return }
        let wasDraining = worker.phase == .draining
        worker.phase = .gone
        if !wasDraining { retire(worker) }
        if let timer = worker.readyTimer { _ = alarms.cancel(timer) }
        for timer in worker.abandoned.values { _ = alarms.cancel(timer) }
        worker.abandoned = [:]
        let group = worker.group
        group.workers[worker.id] = nil
        workerCount -= 1
        let left = worker.hands
        worker.hands = []
        giveUp(admission == .open ? left : left.filter { !leave($0) }, at: now)
        fill(group, at: now)
        forgetIfEmpty(group)
    }

    /// A group lives as long as a worker or a task is in it: workers name groups freely.
    func forgetIfEmpty(_ group: Group) {
        guard group.workers.isEmpty, group.line.isEmpty, group.orphanCount == 0, group.pausedCount == 0 else { return }
        groups[group.name] = nil
    }

    /// Takes the worker out of what counts for new tasks.
    private func retire(_ worker: Worker) {
        worker.group.staffCount -= 1
        worker.group.declare(worker.models, by: -1)
        worker.group.relist(worker)
    }

    func dismissIfDone(_ worker: Worker) {
        guard worker.phase == .draining || admission == .dismissing, worker.hands.isEmpty else { return }
        effects.append(.dismiss(worker))
    }

    // MARK: Who gets what

    func assign(_ task: TaskRecord, to worker: Worker, isNew: Bool = false, replaying letter: TaskID? = nil, at now: Moment) {
        task.move(to: .executing)
        task.advance(to: TaskRecord.Stage.workerPicked)
        task.attempts += 1
        task.worker = worker
        task.lastWorker = worker.id
        task.startedAt = now.wall
        task.assignedInstant = now.instant
        worker.hands.append(task)
        worker.group.relist(worker)
        queuedCount -= 1
        executingCount += 1
        statistics.waiting.record(now.instant - task.submittedInstant)
        task.advance(to: TaskRecord.Stage.sent)
        effects.append(.assign(task, worker))
        // Picked and sent within one turn: one event.
        begin(task, isNew: isNew, replaying: letter, at: now)
    }

    /// Gives the worker what waits, as far as it has room.
    func fill(_ worker: Worker, at now: Moment) {
        let group = worker.group
        while worker.room > 0, let task = group.line.takeFirst(awaitedOnly: admission != .open, where: { group.mayServe(worker, $0) }) {
            assign(task, to: worker, at: now)
        }
    }

    /// Gives the group's workers what waits, each task as if it had just come: after a change in who may serve what.
    func fill(_ group: Group, at now: Moment) {
        while let task = group.line.takeFirst(awaitedOnly: admission != .open, where: { group.choose(for: $0) != nil }),
            let worker = group.choose(for: task.model)
        {
            assign(task, to: worker, at: now)
        }
    }

    // MARK: What workers say

    public func complete(
        _ id: TaskID, by worker: Worker, lease: UInt64? = nil, _ completion: TaskEvent.Completion, at now: Moment
    ) throws(ReportRefusal) {
        let task = try inHand(id, of: worker, lease, isFinal: true, at: now)
        let timed = completion.timed(task.elapsed(at: now.instant), rate: worker.rate)
        conclude(task, worker, .completed(result: completion.result), .completed(timed), at: now)
    }

    public func fail(
        _ id: TaskID, by worker: Worker, lease: UInt64? = nil, _ fault: TaskEvent.Fault, at now: Moment
    ) throws(ReportRefusal) {
        let task = try inHand(id, of: worker, lease, isFinal: true, at: now)
        let timed = fault.timed(task.elapsed(at: now.instant), step: task.report?.step, rate: worker.rate)
        conclude(task, worker, .failed(.reported(fault.error)), .failed(timed), at: now)
    }

    public func progress(
        _ id: TaskID, by worker: Worker, lease: UInt64? = nil, _ report: TaskEvent.Progress, at now: Moment
    ) throws(ReportRefusal) {
        let task = try inHand(id, of: worker, lease, isFinal: false, at: now)
        archive(task)
        publish(.progress(task.record(report)), of: task, at: now)
    }

    /// The worker wrote lines to the task's log.
    public func logged(
        _ id: TaskID, by worker: Worker, lease: UInt64? = nil, _ log: TaskEvent.Log, at now: Moment
    ) throws(ReportRefusal) {
        let task = try inHand(id, of: worker, lease, isFinal: false, at: now)
        statistics.logLines += 1
        archive(task)
        publish(.log(log), of: task, at: now)
    }

    /// The worker sent a piece of the task's result.
    public func chunk(
        _ id: TaskID, by worker: Worker, lease: UInt64? = nil, _ piece: SharedBytes, at now: Moment
    ) throws(ReportRefusal) {
        let task = try inHand(id, of: worker, lease, isFinal: false, at: now)
        statistics.chunks += 1
        publish(.chunk(piece), of: task, at: now)
    }

    /// The task, where the worker has it in hand. A final word about a task that ended without the worker frees the room it kept.
    ///
    /// - Parameter lease: the assignment that the worker speaks of; nil where it does not say, and its connection must do.
    private func inHand(
        _ id: TaskID, of worker: Worker, _ lease: UInt64?, isFinal: Bool, at now: Moment
    ) throws(ReportRefusal) -> TaskRecord {
        guard let task = tasks[id] else {
            if isFinal { release(id, of: worker, at: now) }
            statistics.reportsRefused += 1
            throw .unknownTask
        }
        let isPresent = lease.map { $0 == task.lease } ?? true
        guard task.worker === worker, !task.state.isTerminal, isPresent else {
            if isFinal { release(id, of: worker, at: now) }
            statistics.reportsRefused += 1
            if task.state.isTerminal { throw .ended(task.state) }
            throw isPresent ? .notYours : .leaseOver
        }
        task.advance(to: TaskRecord.Stage.acknowledged)
        return task
    }

    private func conclude(_ task: TaskRecord, _ worker: Worker, _ outcome: Outcome, _ event: TaskEvent, at now: Moment) {
        if worker.hands.last === task {
            worker.hands.removeLast()
        } else {
            worker.hands.removeAll { $0 === task }
        }
        end(task, outcome, event, thanking: worker, at: now)
        task.worker = nil
        worker.group.relist(worker)
        fill(worker, at: now)
        dismissIfDone(worker)
    }

    private func release(_ id: TaskID, of worker: Worker, at now: Moment) {
        guard let timer = worker.abandoned.removeValue(forKey: id) else { return }
        _ = alarms.cancel(timer)
        worker.group.relist(worker)
        fill(worker, at: now)
    }
}
