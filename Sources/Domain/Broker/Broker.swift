// Broker: who works. Takes tasks in, hands them to workers, hears what workers say, ends tasks; answers with effects. Knows no message
// format, no socket and no clock. Obeys the state table in TaskState: every move of a task is made here and in the files beside this one:
// Broker+Workers, Broker+Reports (what outside programs run), Broker+Records (what outlives the process), Broker+Recovery.
//
// Cost: a task's whole life is a few table operations and two timer operations, and allocates its record. What nobody was promised is
// written down nowhere.
public import Base

/// Every task and every worker, and what is decided about them.
public final class Broker {
    enum Alarm {
        case taskDeadline(TaskRecord)
        case workerReady(Worker)
        case abandonedGrace(Worker, TaskID)
        /// An outside program has said nothing for long, perhaps.
        case silence(TaskRecord)
        /// The workers of the process before this one have had time enough to come back.
        case recoveryGrace
        /// A task that waits for its next try has waited enough.
        case pauseOver(TaskRecord)
    }

    public let limits: Limits
    public internal(set) var statistics = Statistics()
    /// Who hears; the broker publishes what it decides, the gateway delivers it.
    public let hub: Hub
    var streams: StreamSource
    var tasks = TaskTable()
    var users = UserTasks()
    var groups: [SharedBytes: Group] = [:]
    /// Tasks that failed and may be tried again.
    var letters: DeadLetters
    /// Tasks that were in the hands of a worker of the process before this one, by its name; nil for a name that says nothing.
    var orphans: [WorkerID?: [TaskRecord]] = [:]
    var alarms = TimerWheel<Alarm>()
    private var rung: [Alarm] = []
    var random: Randomness
    var effects: [Effect] = []
    var workerNumber: UInt32 = 0
    /// Whether tasks come in, and who of those that wait still gets a worker.
    var admission = Admission.open

    /// Bytes that users gave with the tasks that have not ended.
    public internal(set) var payloadBytes = 0
    public internal(set) var workerCount = 0
    /// Tasks of this server that wait, and that workers have in hand.
    public internal(set) var queuedCount = 0
    public internal(set) var executingCount = 0
    /// Those of the queued that wait for the time of their next try.
    public internal(set) var pausedCount = 0
    /// Tasks of outside programs that have not ended.
    public internal(set) var reportedCount = 0

    public static let defaultGroup = SharedBytes("default")

    public init(limits: Limits, random: Randomness) {
        self.limits = limits
        self.random = random
        streams = StreamSource(epoch: self.random.next())
        letters = DeadLetters(countMax: limits.deadLettersMax, bytesMax: limits.deadLetterBytesMax)
        hub = Hub(
            subscribersMax: limits.connectionsMax, subscriptionsMax: limits.subscriptionsMax, historyLengthMax: limits.historyLengthMax,
            historyBytesMax: limits.historyBytesMax)
    }

    // MARK: Tasks

    /// Takes a task in: gives it to a worker, or lets it wait.
    ///
    /// - Returns: the task; one that is remembered under the same idempotency key is returned as it is, and may have ended: then nobody
    ///   who waits for its end is answered.
    public func submit(_ submission: Submission, for requester: Requester, at now: Moment) throws(SubmissionRefusal) -> TaskRecord {
        if let key = submission.idempotencyKey, let known = tasks.task(withKey: key) {
            join(known, requester)
            return known
        }
        return try admit(submission, for: requester, at: now)
    }

    /// Takes a task in whose key names no other.
    ///
    /// - Parameter letter: the dead letter that it takes the place of.
    func admit(
        _ submission: Submission, for requester: Requester, replaying letter: TaskID? = nil, at now: Moment
    ) throws(SubmissionRefusal) -> TaskRecord {
        guard admission == .open else { throw .closing }
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
        let name = random.nextUUID(at: now.wall)
        let id = TaskID(high: name.high, low: name.low)
        let stream = streams.open(task: id, user: submission.user, project: submission.project)
        let task = TaskRecord(
            id: id, submission: submission, group: group, timeout: timeout, isDetached: requester.isDetached, stream: stream, at: now)
        task.retries = min(max(submission.retries, 0), limits.retriesMax)
        task.retriesLeft = task.retries
        task.deadline = alarms.insert(now.instant + timeout, .taskDeadline(task))
        insert(task)
        users.insert(task)
        statistics.submitted += 1
        statistics.trend.submitted(at: now.instant)
        if let worker {
            assign(task, to: worker, isNew: true, replaying: letter, at: now)
        } else {
            if task.isPromised { record(task, replaying: letter) }
            task.advance(to: TaskRecord.Stage.queued)
            group.line.append(task)
            publish(.queued, of: task, at: now)
        }
        switch requester {
        case .nobody: break
        case .accepted(let exchange): effects.append(.accept(exchange, task))
        case .ended(let exchange): task.waiters.append(exchange)
        }
        return task
    }

    /// Takes a task into the table, and counts it among those that have not ended.
    func insert(_ task: TaskRecord) {
        tasks.insert(task)
        payloadBytes += task.heldBytes
        count(task, by: 1)
    }

    /// Counts a task that has not ended, or no longer, as its state is.
    func count(_ task: TaskRecord, by change: Int) {
        switch task.origin {
        case .reported: reportedCount += change
        case .dispatched: if task.state == .executing { executingCount += change } else { queuedCount += change }
        }
    }

    private func join(_ task: TaskRecord, _ requester: Requester) {
        if requester.isDetached {
            if !task.state.isTerminal { task.isDetached = true }
            if !task.isRecorded { record(task) }
        }
        switch requester {
        case .nobody: break
        case .accepted(let exchange): effects.append(.accept(exchange, task))
        case .ended(let exchange): if !task.state.isTerminal { task.waiters.append(exchange) }
        }
    }

    public func task(_ id: TaskID) -> TaskRecord? { tasks[id] }

    /// The user's tasks that have not ended, oldest first.
    public func activeTasks(of user: SharedBytes) -> [TaskRecord] { users.active(of: user) }

    /// Some of the user's tasks, newest first; those of one millisecond in the order of their names.
    ///
    /// - Parameters:
    ///   - state: only tasks in this state; nil for all.
    ///   - place: the last task that was shown; nil for a first page.
    public func tasks(
        of user: SharedBytes, in state: TaskState?, after place: (createdAt: WallTime, id: TaskID)?, limit: Int
    ) -> (tasks: [TaskRecord], hasMore: Bool) {
        users.page(of: user, in: state, after: place, limit: limit)
    }

    /// How many waiting tasks go before this one, plus one; 0 for a task that waits for no worker.
    public func position(of task: TaskRecord) -> Int {
        // It goes before all others once its time has come.
        if task.pause != nil { return 1 }
        return task.group?.line.position(of: task) ?? 0
    }

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

    /// Ends a task without whoever works on it. A worker is told, and may still be busy with it.
    func withdraw(_ task: TaskRecord, _ outcome: Outcome, at now: Moment) {
        guard let group = task.group else { return end(task, outcome, at: now) }
        guard let worker = task.worker else {
            if task.state == .executing {
                adopt(task)
            } else if task.pause != nil {
                endPause(of: task)
            } else {
                group.line.remove(task)
            }
            end(task, outcome, at: now)
            forgetIfEmpty(group)
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

    /// - Parameters:
    ///   - event: how watchers are told; nil where the outcome says it all.
    ///   - worker: who is thanked for it.
    func end(_ task: TaskRecord, _ outcome: Outcome, _ event: TaskEvent? = nil, thanking worker: Worker? = nil, at now: Moment) {
        count(task, by: -1)
        var failure: FailureKind?
        switch outcome {
        case .completed:
            task.move(to: .completed)
            task.advance(to: TaskRecord.Stage.final)
            statistics.completed += 1
        case .failed(let reason):
            task.move(to: .failed)
            failure = FailureKind(reason)
            statistics.failed += 1
        case .cancelled:
            task.move(to: .cancelled)
            statistics.cancelled += 1
        }
        task.outcome = outcome
        task.endedAt = now.wall
        let ending = event ?? outcome.event(step: task.report?.step, executionTime: task.elapsed(at: now.instant))
        task.ending = ending
        let publication = number(ending, of: task, at: now)
        // Written before anybody hears of it.
        if task.isRecorded {
            let end = TaskEnding(id: task.id, event: ending, failure: failure, endedAt: now.wall, sequence: publication.sequence)
            effects.append(.record(.ended(end)))
            if let failure { keepLetter(of: task, failure, at: now) }
        }
        announce(publication, of: task)
        payloadBytes -= task.heldBytes
        task.payload = .empty
        if let deadline = task.deadline { _ = alarms.cancel(deadline) }
        task.deadline = nil
        if task.origin == .dispatched {
            statistics.total.record(now.instant - task.submittedInstant)
            statistics.trend.ended(task.state, after: now.instant - task.submittedInstant, at: now.instant)
        }
        for exchange in task.waiters { effects.append(.answer(exchange, task)) }
        task.waiters = []
        // Last, so that what the worker is given next can stand right behind it, and both go out in one piece.
        if let worker { effects.append(.acknowledge(task.id, worker)) }
        tasks.ended(task, expiry: now.instant + limits.resultTTL)
        users.ended(task)
        expire(at: now.instant)
    }

    /// Forgets ended tasks, and what their streams remember.
    func expire(at now: Instant) {
        tasks.expire(at: now, bytesMax: limits.endedBytesMax) { task in
            hub.forget(&task.stream)
            users.forget(task)
        }
    }

    // MARK: Events

    /// Numbers an event of the task, remembers it, and lets it be told.
    func publish(_ event: TaskEvent, of task: TaskRecord, at now: Moment) {
        announce(number(event, of: task, at: now), of: task)
    }

    /// Numbers an event of the task and remembers it; what is returned is to be announced.
    func number(_ event: TaskEvent, of task: TaskRecord, at now: Moment) -> Publication {
        task.updatedAt = now.wall
        return hub.publish(event, state: task.state, progress: task.progress, on: &task.stream, at: now.wall)
    }

    /// Lets an event be told, and written down where the task's events are.
    func announce(_ publication: Publication, of task: TaskRecord) {
        effects.append(.publish(publication))
        if task.keeping == .archived, !publication.event.isTransient { effects.append(.archive(publication)) }
    }

    // MARK: Time

    /// When something is due next.
    public var nextDeadline: Instant? {
        var next = alarms.nextDeadline
        if let expiry = tasks.nextExpiry { next = min(next ?? expiry, expiry) }
        if let expiry = letters.nextExpiry { next = min(next ?? expiry, expiry) }
        return next
    }

    /// Does what is due: deadlines, workers that count as ready, tasks to be forgotten.
    public func advance(to now: Moment) {
        expire(at: now.instant)
        expireLetters(at: now.instant)
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
        case .silence(let task): silenceOver(task, at: now)
        // What is left to the next process has its grace there.
        case .recoveryGrace: if admission == .open { graceOver(at: now) }
        case .pauseOver(let task): pauseOver(of: task, at: now)
        }
    }

    // MARK: The whole

    public var groupCount: Int { groups.count }
    public var allGroups: [Group] { Array(groups.values) }
    public var endedCount: Int { tasks.endedCount }
    public var endedBytes: Int { tasks.endedBytes }

    /// Whether anything was decided since `takeEffects` was called last.
    public var hasEffects: Bool { !effects.isEmpty }

    /// Moves what was decided since the last call to `list`; to be performed before the broker hears of a later moment.
    public func takeEffects(into list: inout [Effect]) {
        list.removeAll(keepingCapacity: true)
        swap(&list, &effects)
    }
}
