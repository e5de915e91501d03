// Broker+Reports: tasks that outside programs run themselves and only report. They have no worker, no group, no payload and no deadline:
// what ends them is their program's word, their user's, or a long silence. Obeys document N's producer API.
public import Base

extension Broker {
    /// Takes in a task that an outside program is going to report. An ended one of the same name makes room for it: the numbers of its
    /// events go on, and so does whoever listens to its name.
    public func register(_ registration: TaskRegistration, at now: Moment) throws(RegistrationRefusal) -> TaskRecord {
        guard admission == .open else { throw .closing }
        let known = tasks[registration.id]
        if let known, known.origin == .dispatched || !known.state.isTerminal { throw .alreadyRegistered }
        guard reportedCount < limits.reportedTasksMax, payloadBytes <= limits.payloadBytesMax - (registration.metadata?.count ?? 0) else {
            throw .full
        }
        if let known {
            hub.clearHistory(of: &known.stream)
            forget(known)
        }
        let stream = streams.open(
            task: registration.id, user: registration.user, project: registration.project, after: known?.sequence ?? 0)
        let task = TaskRecord(registration: registration, timeout: limits.reportedSilenceMax, stream: stream, at: now)
        listenForSilence(of: task)
        insert(task)
        users.insert(task)
        statistics.registered += 1
        record(task)
        publish(.queued, of: task, at: now)
        return task
    }

    /// Takes over what an outside program says of its task. The first word begins the task, whatever it is.
    public func report(_ report: OutsideReport, of id: TaskID, at now: Moment) throws(OutsideRefusal) -> TaskRecord {
        let refusal: OutsideRefusal
        switch tasks[id] {
        case nil: refusal = .unknownTask
        case let task? where task.origin == .dispatched: refusal = .dispatched
        case let task? where task.state.isTerminal: refusal = .ended(task.state)
        case let task?:
            task.heardInstant = now.instant
            take(report, of: task, at: now)
            return task
        }
        statistics.reportsRefused += 1
        throw refusal
    }

    private func take(_ report: OutsideReport, of task: TaskRecord, at now: Moment) {
        if task.state == .queued {
            task.move(to: .executing)
            task.attempts = 1
            task.startedAt = now.wall
            task.assignedInstant = now.instant
            if case .started = report { return begin(task, at: now) }
            if task.isRecorded { recordStart(task, at: now) }
        }
        let elapsed = task.elapsed(at: now.instant)
        switch report {
        case .started: break
        case .progress(let progress):
            archive(task)
            publish(.progress(task.record(progress)), of: task, at: now)
        case .log(let log):
            statistics.logLines += 1
            archive(task)
            publish(.log(log), of: task, at: now)
        case .completed(let result):
            let completion = TaskEvent.Completion(result: result, executionTime: elapsed)
            end(task, .completed(result: result), .completed(completion), at: now)
        case .failed(let fault):
            end(task, .failed(.reported(fault.error)), .failed(fault.timed(elapsed, step: task.report?.step)), at: now)
        case .cancelled(let reason): end(task, .cancelled, .cancelled(reason: reason), at: now)
        }
    }

    // MARK: Silence

    /// Sets the alarm that ends the task if nothing is heard of it until then.
    func listenForSilence(of task: TaskRecord) {
        task.deadline = alarms.insert(task.heardInstant + limits.reportedSilenceMax, .silence(task))
    }

    /// The alarm was set when the task last was silent; what was heard since moves it.
    func silenceOver(_ task: TaskRecord, at now: Moment) {
        guard !task.state.isTerminal else { return }
        task.deadline = nil
        if now.instant < task.heardInstant + limits.reportedSilenceMax {
            listenForSilence(of: task)
        } else {
            end(task, .failed(.timeout), at: now)
        }
    }

    // MARK: Forgetting

    /// Forgets a task that has ended, whoever ran it.
    public func remove(_ id: TaskID, at now: Moment) -> Removal {
        expire(at: now.instant)
        guard let task = tasks[id] else { return .unknownTask }
        guard task.state.isTerminal else { return .active(task) }
        hub.forget(&task.stream)
        forget(task)
        // Programs choose the names of their tasks: that of a letter whose task is forgotten is not theirs to remove.
        if task.origin == .dispatched { forgetLetter(of: id) }
        return .removed
    }

    /// Takes an ended task out of the tables, before its time.
    private func forget(_ task: TaskRecord) {
        tasks.forget(task)
        users.forget(task)
        if task.isRecorded { effects.append(.record(.removed(task.id))) }
    }

    /// Forgets what the task said on its way; the task stays. What is written down of it goes too, also where the task is remembered only
    /// there.
    public func clearHistory(of id: TaskID) {
        if let task = tasks[id] { hub.clearHistory(of: &task.stream) }
        effects.append(.record(.progressCleared(id)))
    }
}
