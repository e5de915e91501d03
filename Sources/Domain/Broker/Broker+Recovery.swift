// Broker+Recovery: what an earlier process left, taken up again. Waiting tasks wait again, in their order; what a worker had in hand
// stays its own for a while, in which it may come back; what has ended is remembered for the rest of its time. Obeys "A task that was
// executing when the server died".
public import Base

extension Broker {
    /// Takes up again what an earlier process wrote down. The effects are only records, and events that nobody listens to yet.
    ///
    /// - Parameters:
    ///   - live: in the order of their submission.
    ///   - ended: in the order of their ends.
    /// - Precondition: nothing has happened yet.
    public func restore(live: [TaskImage], ended: [TaskImage], at now: Moment) {
        precondition(tasks.count == 0 && workerCount == 0, "a broker with \(tasks.count) tasks cannot begin again")
        var rooms: [SharedBytes: Group] = [:]
        let over = ended.compactMap { image in
            image.ending.flatMap { remember(image, $0, in: &rooms, at: now) }
        }
        let living = live.filter { !$0.state.isTerminal }.map { image in
            let task = revive(image, in: &rooms, at: now)
            insert(task)
            statistics.restored += 1
            return (task: task, image: image)
        }
        // A user's tasks stand in the order of their coming. Sorting leaves those of one moment as they are.
        for task in (over + living.map(\.task)).sorted(by: { $0.createdAt < $1.createdAt }) { users.insert(task) }
        for (task, image) in living { resume(task, image, at: now) }
        if !orphans.isEmpty { _ = alarms.insert(now.instant + limits.recoveryGrace, .recoveryGrace) }
        expire(at: now.instant)
    }

    /// Remembers a task that has ended, for the rest of its time.
    private func remember(
        _ image: TaskImage, _ ending: TaskEnding, in rooms: inout [SharedBytes: Group], at now: Moment
    ) -> TaskRecord? {
        // A clock that was set back must not keep a task for longer.
        let expiry = min(now.instant(of: ending.endedAt), now.instant) + limits.resultTTL
        guard expiry > now.instant else { return nil }
        let task = revive(image, in: &rooms, at: now)
        tasks.insert(task)
        tasks.ended(task, expiry: max(expiry, tasks.lastExpiry ?? expiry))
        return task
    }

    /// The group of a task: one for each name, listed only if somebody waits in it.
    private func room(_ name: SharedBytes, in rooms: inout [SharedBytes: Group]) -> Group {
        if let group = rooms[name] { return group }
        let group = Group(name: name)
        rooms[name] = group
        return group
    }

    private func revive(_ image: TaskImage, in rooms: inout [SharedBytes: Group], at now: Moment) -> TaskRecord {
        let sequence = image.state.isTerminal ? image.sequence : image.sequence &+ StreamSource.stride
        let stream = streams.open(task: image.id, user: image.userID, project: image.projectID, after: sequence)
        let group: Group? =
            switch image.origin {
            case .dispatched: room(image.group, in: &rooms)
            case .reported: nil
            }
        let task = TaskRecord(image: image, group: group, stream: stream, at: now)
        // The names of workers to come are others.
        if let worker = task.lastWorker { workerNumber = max(workerNumber, worker.number) }
        return task
    }

    /// Puts a task that has not ended where it belongs.
    private func resume(_ task: TaskRecord, _ image: TaskImage, at now: Moment) {
        guard let group = task.group else {
            recordResumption(of: task)
            return listenForSilence(of: task)
        }
        groups[group.name] = group
        switch task.state {
        case .queued: if !resumePause(of: task, until: image.retryAt, at: now) { group.line.append(task) }
        case .executing:
            orphans[task.lastWorker, default: []].append(task)
            group.orphanCount += 1
        case .completed, .failed, .cancelled: preconditionFailure("task \(task.id) has ended as \(task.state)")
        }
        // Whoever waited for it went with the earlier process, and has no name for it.
        guard task.isDetached || task.idempotencyKey != nil else { return withdraw(task, .cancelled, at: now) }
        recordResumption(of: task)
        let end = image.deadline.map { now.instant(of: $0) } ?? task.submittedInstant + task.timeout
        task.deadline = alarms.insert(max(end, now.instant), .taskDeadline(task))
    }

    /// Should this process end before it has written anything else of the task, the next one must not begin with the same numbers.
    private func recordResumption(of task: TaskRecord) {
        effects.append(.record(.resumed(task.id, sequence: task.sequence)))
    }

    // MARK: Workers that come back

    /// The tasks that a worker of this name had in hand, which has connected again: they wait for nobody else any more.
    func returned(to worker: WorkerID, in group: Group) -> [TaskRecord] {
        guard let waiting = orphans[worker], !groups.values.contains(where: { $0.workers[worker] != nil }) else { return [] }
        let hands = waiting.filter { $0.group === group }
        let others = waiting.filter { $0.group !== group }
        orphans[worker] = others.isEmpty ? nil : others
        group.orphanCount -= hands.count
        return hands
    }

    /// Takes a task that waits for its worker to come back out of those that do.
    func adopt(_ task: TaskRecord) {
        guard let waiting = orphans[task.lastWorker], let index = waiting.firstIndex(where: { $0 === task }) else {
            preconditionFailure("task \(task.id) is in nobody's hands")
        }
        orphans[task.lastWorker]?.remove(at: index)
        if waiting.count == 1 { orphans[task.lastWorker] = nil }
        task.group?.orphanCount -= 1
    }

    /// Workers that have not come back do not come any more: what they had in hand runs again or fails.
    func graceOver(at now: Moment) {
        let left = orphans.values.joined().sorted { ($0.startedAt ?? $0.enqueuedAt, $0.id) < ($1.startedAt ?? $1.enqueuedAt, $1.id) }
        orphans = [:]
        for task in left { task.group?.orphanCount -= 1 }
        giveUp(left, at: now)
        for group in allGroups {
            fill(group, at: now)
            forgetIfEmpty(group)
        }
    }
}

extension Moment {
    /// The instant of a time of the wall, as far as the wall's clock can be believed.
    func instant(of time: WallTime) -> Instant {
        let (distance, isTooFar) = time.milliseconds.subtractingReportingOverflow(wall.milliseconds)
        return instant + .milliseconds(isTooFar ? (time < wall ? .min : .max) : distance)
    }
}
