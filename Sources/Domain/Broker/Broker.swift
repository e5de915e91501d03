// Broker: who works. Takes tasks in, hands them to workers, hears what workers say, ends tasks; answers with effects. Knows no message
// format, no socket and no clock. Obeys the state table in TaskState: every move of a task is made here.
//
// Cost: a task's whole life is a few table operations and two timer operations, and allocates its record.
public import Base

/// Every task and every worker, and what is decided about them.
public final class Broker {
    private enum Alarm {
        case taskDeadline(TaskRecord)
        case workerReady(Worker)
        case abandonedGrace(Worker, TaskID)
    }

    public let limits: Limits
    public private(set) var statistics = Statistics()
    /// Who hears; the broker publishes what it decides, the gateway delivers it.
    public let hub: Hub
    private var streams: StreamSource
    private var tasks = TaskTable()
    private var groups: [SharedBytes: Group] = [:]
    private var alarms = TimerWheel<Alarm>()
    private var rung: [Alarm] = []
    private var random: Randomness
    private var effects: [Effect] = []
    private var workerNumber: UInt32 = 0
    private var isClosing = false

    /// Bytes of the payloads of tasks that have not ended.
    public private(set) var payloadBytes = 0
    public private(set) var workerCount = 0
    public private(set) var queuedCount = 0
    public private(set) var executingCount = 0

    public static let defaultGroup = SharedBytes("default")

    public init(limits: Limits, random: Randomness) {
        self.limits = limits
        self.random = random
        streams = StreamSource(epoch: self.random.next())
        hub = Hub(
            subscribersMax: limits.connectionsMax, subscriptionsMax: limits.subscriptionsMax, historyLengthMax: limits.historyLengthMax,
            historyBytesMax: limits.historyBytesMax)
    }

    // MARK: Tasks

    /// Takes a task in: gives it to a worker, or lets it wait.
    ///
    /// - Parameter exchange: the request that waits for the task's end; nil where nobody does.
    /// - Returns: the task; one that is remembered under the same idempotency key is returned as it is, and may have ended.
    public func submit(_ submission: Submission, for exchange: ExchangeID?, at now: Moment) throws(SubmissionRefusal) -> TaskRecord {
        if let key = submission.idempotencyKey, let known = tasks.task(withKey: key) {
            join(known, exchange)
            return known
        }
        guard !isClosing else { throw .closing }
        guard let group = groups[submission.group ?? Broker.defaultGroup], group.staffCount > 0 else {
            statistics.refusedNoWorker += 1
            throw .noWorker
        }
        let worker = group.choose(for: submission.model)
        guard worker != nil || group.line.count < limits.queueLengthMax, payloadBytes <= limits.payloadBytesMax - submission.payload.count
        else {
            statistics.refusedQueueFull += 1
            throw .queueFull
        }
        let timeout = min(max(submission.timeout ?? limits.taskTimeoutDefault, limits.taskTimeoutMin), limits.taskTimeoutMax)
        let name = random.nextUUID()
        let id = TaskID(high: name.high, low: name.low)
        let stream = streams.open(task: id, user: submission.user, project: submission.project)
        let task = TaskRecord(
            id: id, submission: submission, group: group, timeout: timeout, isDetached: exchange == nil, stream: stream, at: now)
        task.retriesLeft = min(max(submission.retries, 0), limits.retriesMax)
        if let exchange { task.waiters.append(exchange) }
        task.deadline = alarms.insert(now.instant + timeout, .taskDeadline(task))
        tasks.insert(task)
        statistics.submitted += 1
        payloadBytes += submission.payload.count
        queuedCount += 1
        if let worker {
            assign(task, to: worker, at: now)
        } else {
            task.advance(to: TaskRecord.Stage.queued)
            group.line.append(task)
            publish(.queued, of: task, at: now)
        }
        return task
    }

    /// Numbers an event of the task, remembers it, and lets it be told.
    private func publish(_ event: TaskEvent, of task: TaskRecord, at now: Moment) {
        effects.append(.publish(hub.publish(event, state: task.state, progress: task.progress, on: &task.stream, at: now.wall)))
    }

    private func join(_ task: TaskRecord, _ exchange: ExchangeID?) {
        guard !task.state.isTerminal else { return }
        if let exchange { task.waiters.append(exchange) } else { task.isDetached = true }
    }

    public func task(_ id: TaskID) -> TaskRecord? { tasks[id] }

    /// How many waiting tasks go before this one, plus one.
    public func position(of task: TaskRecord) -> Int { task.group.line.position(of: task) }

    public func cancel(_ id: TaskID, at now: Moment) -> Cancellation {
        guard let task = tasks[id] else { return .unknownTask }
        guard !task.state.isTerminal else { return .alreadyEnded(task) }
        withdraw(task, .cancelled, at: now)
        return .cancelled(task)
    }

    /// A request no longer waits for the task; a task that nobody else wants is cancelled. Its idempotency key is free again: whoever
    /// comes back with it wants the work done, not the news that it was given up.
    public func abandon(_ task: TaskRecord, by exchange: ExchangeID, at now: Moment) {
        task.waiters.removeAll { $0 == exchange }
        guard task.waiters.isEmpty, !task.isDetached, !task.state.isTerminal else { return }
        withdraw(task, .cancelled, at: now)
        tasks.releaseKey(of: task)
    }

    /// Ends a task without its worker, who is told and may still be busy with it.
    private func withdraw(_ task: TaskRecord, _ outcome: Outcome, at now: Moment) {
        guard let worker = task.worker else {
            task.group.line.remove(task)
            end(task, outcome, at: now)
            forgetIfEmpty(task.group)
            return
        }
        worker.hands.removeAll { $0 === task }
        task.worker = nil
        if !takeBack(task, at: now) {
            worker.abandoned[task.id] = alarms.insert(now.instant + limits.abandonedGrace, .abandonedGrace(worker, task.id))
            effects.append(.recall(task.id, worker))
        }
        end(task, outcome, at: now)
        worker.group.relist(worker)
        fill(worker, at: now)
        dismissIfDone(worker)
    }

    /// Unsays an assignment that nobody has performed yet: the task's payload goes with its end, so there would be nothing to send.
    ///
    /// - Returns: whether there was one. Effects are taken before the clock moves on: only an assignment of this moment can be among them.
    private func takeBack(_ task: TaskRecord, at now: Moment) -> Bool {
        guard task.assignedInstant == now.instant else { return false }
        let unsent = effects.lastIndex { effect in
            if case .assign(let assigned, _) = effect { assigned === task } else { false }
        }
        guard let unsent else { return false }
        effects.remove(at: unsent)
        return true
    }

    private func assign(_ task: TaskRecord, to worker: Worker, at now: Moment) {
        task.move(to: .executing)
        task.advance(to: TaskRecord.Stage.workerPicked)
        task.attempts += 1
        task.worker = worker
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
        publish(.started(TaskEvent.Start(startedAt: now.wall, attempt: task.attempts)), of: task, at: now)
    }

    /// - Parameter event: how watchers are told; nil where the outcome says it all.
    private func end(_ task: TaskRecord, _ outcome: Outcome, _ event: TaskEvent? = nil, at now: Moment) {
        if task.state == .executing { executingCount -= 1 } else { queuedCount -= 1 }
        switch outcome {
        case .completed:
            task.move(to: .completed)
            task.advance(to: TaskRecord.Stage.final)
            statistics.completed += 1
        case .failed:
            task.move(to: .failed)
            statistics.failed += 1
        case .cancelled:
            task.move(to: .cancelled)
            statistics.cancelled += 1
        }
        task.outcome = outcome
        task.endedAt = now.wall
        let ending = event ?? outcome.event(step: task.report?.step, executionTime: task.elapsed(at: now.instant))
        task.ending = ending
        publish(ending, of: task, at: now)
        payloadBytes -= task.payload.count
        task.payload = .empty
        if let deadline = task.deadline { _ = alarms.cancel(deadline) }
        task.deadline = nil
        statistics.total.record(now.instant - task.submittedInstant)
        for exchange in task.waiters { effects.append(.answer(exchange, task)) }
        task.waiters = []
        tasks.ended(task, expiry: now.instant + limits.resultTTL)
        expire(at: now.instant)
    }

    /// Forgets ended tasks, and what their streams remember.
    private func expire(at now: Instant) {
        tasks.expire(at: now, bytesMax: limits.endedBytesMax) { hub.forget(&$0.stream) }
    }

    // MARK: Workers

    /// A worker connected.
    ///
    /// - Parameter isExplicit: whether only its own `ready` makes it ready.
    public func workerConnected(
        group name: SharedBytes, connection: ConnectionID, isExplicit: Bool, at now: Moment
    ) -> Worker {
        let group = groups[name] ?? Group(name: name)
        groups[name] = group
        workerNumber &+= 1
        let id = WorkerID(number: workerNumber, suffix: UInt32(truncatingIfNeeded: random.next()))
        let worker = Worker(id: id, group: group, connection: connection, at: now)
        group.workers[id] = worker
        group.staffCount += 1
        workerCount += 1
        if !isExplicit { worker.readyTimer = alarms.insert(now.instant + limits.readyDelay, .workerReady(worker)) }
        return worker
    }

    /// The worker takes tasks from now on. What it leaves unsaid stays as it was.
    ///
    /// - Precondition: `concurrency` and `models` lie within the limits.
    public func workerReady(_ worker: Worker, concurrency: Int?, models: [SharedBytes]?, at now: Moment) {
        guard worker.phase != .gone else { return }
        if let timer = worker.readyTimer { _ = alarms.cancel(timer) }
        worker.readyTimer = nil
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
        if models == nil { fill(worker, at: now) } else { fill(worker.group, at: now) }
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
        let orphans = worker.hands
        worker.hands = []
        // Backwards, so that the one that started first stands first in the line again.
        for task in orphans.reversed() {
            task.worker = nil
            if task.retriesLeft > 0 {
                task.retriesLeft -= 1
                statistics.retried += 1
                task.move(to: .queued)
                executingCount -= 1
                queuedCount += 1
                group.line.prepend(task)
                publish(.queued, of: task, at: now)
            } else {
                end(task, .failed(.workerDisconnected), at: now)
            }
        }
        fill(group, at: now)
        forgetIfEmpty(group)
    }

    /// A group lives as long as a worker or a waiting task is in it: workers name groups freely.
    private func forgetIfEmpty(_ group: Group) {
        guard group.workers.isEmpty, group.line.isEmpty else { return }
        groups[group.name] = nil
    }

    /// Takes the worker out of what counts for new tasks.
    private func retire(_ worker: Worker) {
        worker.group.staffCount -= 1
        worker.group.declare(worker.models, by: -1)
        worker.group.relist(worker)
    }

    private func dismissIfDone(_ worker: Worker) {
        guard worker.phase == .draining, worker.hands.isEmpty else { return }
        effects.append(.dismiss(worker))
    }

    /// Gives the worker what waits, as far as it has room.
    private func fill(_ worker: Worker, at now: Moment) {
        let group = worker.group
        while worker.room > 0, let task = group.line.takeFirst(where: { group.mayServe(worker, $0) }) {
            assign(task, to: worker, at: now)
        }
    }

    /// Gives the group's workers what waits, each task as if it had just come: after a change in who may serve what.
    private func fill(_ group: Group, at now: Moment) {
        while let task = group.line.takeFirst(where: { group.choose(for: $0) != nil }), let worker = group.choose(for: task.model) {
            assign(task, to: worker, at: now)
        }
    }

    // MARK: What workers say

    public func complete(
        _ id: TaskID, by worker: Worker, _ completion: TaskEvent.Completion, at now: Moment
    ) throws(ReportRefusal) {
        let task = try inHand(id, of: worker, isFinal: true, at: now)
        let timed = completion.timed(task.elapsed(at: now.instant))
        conclude(task, worker, .completed(result: completion.result), .completed(timed), at: now)
    }

    public func fail(_ id: TaskID, by worker: Worker, _ fault: TaskEvent.Fault, at now: Moment) throws(ReportRefusal) {
        let task = try inHand(id, of: worker, isFinal: true, at: now)
        let timed = fault.timed(task.elapsed(at: now.instant), step: task.report?.step)
        conclude(task, worker, .failed(.reported(fault.error.bytes)), .failed(timed), at: now)
    }

    public func progress(_ id: TaskID, by worker: Worker, _ report: TaskEvent.Progress, at now: Moment) throws(ReportRefusal) {
        let task = try inHand(id, of: worker, isFinal: false, at: now)
        publish(.progress(task.record(report)), of: task, at: now)
    }

    /// The worker wrote lines to the task's log.
    public func logged(_ id: TaskID, by worker: Worker, _ log: TaskEvent.Log, at now: Moment) throws(ReportRefusal) {
        let task = try inHand(id, of: worker, isFinal: false, at: now)
        statistics.logLines += 1
        publish(.log(log), of: task, at: now)
    }

    /// The worker sent a piece of the task's result.
    public func chunk(_ id: TaskID, by worker: Worker, _ piece: SharedBytes, at now: Moment) throws(ReportRefusal) {
        let task = try inHand(id, of: worker, isFinal: false, at: now)
        statistics.chunks += 1
        publish(.chunk(piece), of: task, at: now)
    }

    /// The task, where the worker has it in hand. A final word about a task that ended without the worker frees the room it kept.
    private func inHand(_ id: TaskID, of worker: Worker, isFinal: Bool, at now: Moment) throws(ReportRefusal) -> TaskRecord {
        guard let task = tasks[id] else {
            if isFinal { release(id, of: worker, at: now) }
            statistics.reportsRefused += 1
            throw .unknownTask
        }
        guard task.worker === worker, !task.state.isTerminal else {
            if isFinal { release(id, of: worker, at: now) }
            statistics.reportsRefused += 1
            throw task.state.isTerminal ? .ended(task.state) : .notYours
        }
        task.advance(to: TaskRecord.Stage.acknowledged)
        return task
    }

    private func conclude(_ task: TaskRecord, _ worker: Worker, _ outcome: Outcome, _ event: TaskEvent, at now: Moment) {
        if let index = worker.hands.firstIndex(where: { $0 === task }) { worker.hands.remove(at: index) }
        effects.append(.acknowledge(task.id, worker))
        end(task, outcome, event, at: now)
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

    // MARK: Time

    /// When something is due next.
    public var nextDeadline: Instant? {
        guard let alarm = alarms.nextDeadline else { return tasks.nextExpiry }
        guard let expiry = tasks.nextExpiry else { return alarm }
        return min(alarm, expiry)
    }

    /// Does what is due: deadlines, workers that count as ready, tasks to be forgotten.
    public func advance(to now: Moment) {
        expire(at: now.instant)
        rung.removeAll(keepingCapacity: true)
        alarms.advance(to: now.instant, into: &rung)
        for alarm in rung { ring(alarm, at: now) }
    }

    private func ring(_ alarm: Alarm, at now: Moment) {
        switch alarm {
        case .taskDeadline(let task):
            guard !task.state.isTerminal else { return }
            task.deadline = nil
            withdraw(task, .failed(.timeout), at: now)
        case .workerReady(let worker):
            worker.readyTimer = nil
            guard worker.phase == .settling else { return }
            workerReady(worker, concurrency: nil, models: nil, at: now)
        case .abandonedGrace(let worker, let id):
            guard worker.abandoned.removeValue(forKey: id) != nil else { return }
            worker.group.relist(worker)
            fill(worker, at: now)
        }
    }

    // MARK: The whole

    /// Takes no new tasks from now on: the server is about to stop. What is under way goes on.
    public func close() { isClosing = true }

    public var groupCount: Int { groups.count }
    public var allGroups: [Group] { Array(groups.values) }
    public var endedCount: Int { tasks.endedCount }
    public var endedBytes: Int { tasks.endedBytes }

    /// Moves what was decided since the last call to `list`; to be performed before the broker hears of a later moment.
    public func takeEffects(into list: inout [Effect]) {
        list.removeAll(keepingCapacity: true)
        swap(&list, &effects)
    }
}
