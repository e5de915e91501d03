// Broker+Records: which tasks outlive the process, and as what. A task is written down when it is promised to somebody, or when it first
// has something to say; its events are written down from its first report on. A task that neither was promised nor says anything is
// written nowhere.
public import Base

extension Broker {
    /// Writes the task down as it stands.
    ///
    /// - Parameter letter: the dead letter that it takes the place of.
    func record(_ task: TaskRecord, replaying letter: TaskID? = nil) {
        task.keeping = .recorded
        var image = image(of: task)
        image.replayOf = letter
        effects.append(.record(.submitted(image)))
        guard let ending = task.ending, let endedAt = task.endedAt else { return }
        let failure: FailureKind? = if case .failed(let reason) = task.outcome { FailureKind(reason) } else { nil }
        effects.append(.record(.ended(TaskEnding(id: task.id, event: ending, failure: failure, endedAt: endedAt, sequence: task.sequence))))
    }

    /// From now on the task's events are written down: now those that are remembered, and each that comes.
    func archive(_ task: TaskRecord) {
        switch task.keeping {
        case .archived, .refused: return
        case .recorded: break
        case .inMemory: record(task)
        }
        task.keeping = .archived
        for publication in hub.last(.max, of: task.stream) { effects.append(.archive(publication)) }
    }

    /// Writes down, and lets it be told, that somebody began with the task.
    ///
    /// - Parameters:
    ///   - isNew: whether the task came in this moment: where it is promised to somebody, one record tells both.
    ///   - letter: the dead letter that a new task takes the place of.
    func begin(_ task: TaskRecord, isNew: Bool = false, replaying letter: TaskID? = nil, at now: Moment) {
        let publication = number(.started(TaskEvent.Start(startedAt: now.wall, attempt: task.attempts)), of: task, at: now)
        task.lease = publication.sequence
        if task.isRecorded {
            recordStart(task, at: now)
        } else if isNew, task.isPromised {
            record(task, replaying: letter)
        }
        announce(publication, of: task)
    }

    /// Writes down that somebody began with the task.
    func recordStart(_ task: TaskRecord, at now: Moment) {
        let start = TaskAssignment(
            id: task.id, worker: workerName(of: task), startedAt: now.wall, attempts: task.attempts, sequence: task.sequence)
        effects.append(.record(.assigned(start)))
    }

    /// The disk did not take the task. Whoever it was promised to is told so, and it is withdrawn; a task that somebody waits for goes on
    /// without being written down.
    ///
    /// - Parameter image: what was to be written: the name may be another task's by now.
    public func recordFailed(of image: TaskImage, at now: Moment) {
        if let letter = image.replayOf { letters.reopen(letter, from: image.id) }
        guard let task = tasks[image.id], task.isRecorded, task.createdAt == image.createdAt else { return }
        task.keeping = .refused
        // It may have failed meanwhile. Its letter is on its way to the disk, and would be there after a restart.
        if task.origin == .dispatched { forgetLetter(of: task.id) }
        guard task.isDetached else { return }
        if !task.state.isTerminal { withdraw(task, .cancelled, at: now) }
        tasks.releaseKey(of: task)
        // The key names what it named before the replay, as it would after a restart.
        if let former = image.replayOf.flatMap({ tasks[$0] }) { tasks.reclaimKey(of: former) }
    }

    /// The task as plain values. One that has ended is shown as it was before: its end is a record of its own.
    private func image(of task: TaskRecord) -> TaskImage {
        TaskImage(
            id: task.id, userID: task.user, projectID: task.project, group: task.group?.name ?? .empty, model: task.model, type: task.type,
            priority: task.priority, provider: task.provider, origin: task.origin, isDetached: task.isDetached, metadata: task.metadata,
            payload: task.payload, timeout: task.timeout, retries: task.retries, retriesLeft: task.retriesLeft, attempts: task.attempts,
            lease: task.lease, retryAt: task.pause?.until, idempotencyKey: task.idempotencyKey, createdAt: task.createdAt,
            enqueuedAt: task.enqueuedAt, deadline: deadline(of: task),
            state: task.state.isTerminal ? .executing : task.state, sequence: task.sequence, worker: workerName(of: task),
            startedAt: task.startedAt)
    }

    /// Whoever has it in hand has its name as text.
    private func workerName(of task: TaskRecord) -> SharedBytes? { task.worker?.name ?? task.lastWorker?.text }

    private func deadline(of task: TaskRecord) -> WallTime? {
        switch task.origin {
        case .dispatched: WallTime(milliseconds: task.enqueuedAt.milliseconds &+ task.timeout.milliseconds)
        // What ends it is silence, and it speaks on.
        case .reported: nil
        }
    }
}
