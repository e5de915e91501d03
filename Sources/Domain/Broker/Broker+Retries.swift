// Broker+Retries: what becomes of tasks whose worker is gone: they run again, the first time at once and then after a pause that grows, or
// they fail. And what a worker that came back does not have in hand after all.
internal import Base

extension Broker {
    /// What a worker had in hand that will not come back waits again, or fails.
    ///
    /// - Parameter left: in the order in which they started.
    func giveUp(_ left: [TaskRecord], at now: Moment) {
        // Backwards, so that the one that started first stands first in the line again.
        for task in left.reversed() {
            task.worker = nil
            guard let group = task.group, task.retriesLeft > 0 else {
                end(task, .failed(.workerDisconnected), at: now)
                continue
            }
            task.retriesLeft -= 1
            statistics.retried += 1
            count(task, by: -1)
            task.move(to: .queued)
            count(task, by: 1)
            let length = pauseLength(of: task)
            if length > .zero { pause(task, for: length, at: now) } else { group.line.prepend(task) }
            let publication = number(.queued, of: task, at: now)
            if task.isRecorded {
                let requeue = TaskRequeue(
                    id: task.id, retriesLeft: task.retriesLeft, retryAt: task.pause?.until, sequence: publication.sequence)
                effects.append(.record(.requeued(requeue)))
            }
            announce(publication, of: task)
        }
    }

    // MARK: Pauses

    /// How long the task waits before it is tried again: not at all the first time, then a part of a span that doubles, chosen by chance,
    /// so that those who failed together do not come again together.
    private func pauseLength(of task: TaskRecord) -> TimeSpan {
        guard task.attempts > 1 else { return .zero }
        var most = limits.retryDelay
        for _ in 2..<task.attempts where most < limits.retryDelayMax { most = most + most }
        return random.jitter(of: min(most, limits.retryDelayMax))
    }

    private func pause(_ task: TaskRecord, for length: TimeSpan, at now: Moment) {
        let milliseconds = length.milliseconds + (length.nanoseconds % 1_000_000 == 0 ? 0 : 1)
        task.pause = TaskRecord.Pause(
            timer: alarms.insert(now.instant + .milliseconds(milliseconds), .pauseOver(task)),
            until: WallTime(milliseconds: now.wall.milliseconds &+ milliseconds))
        task.group?.pausedCount += 1
        pausedCount += 1
    }

    /// After a restart: the task goes on waiting for its next try.
    ///
    /// - Returns: whether it has to.
    func resumePause(of task: TaskRecord, until time: WallTime?, at now: Moment) -> Bool {
        guard let time, time > now.wall else { return false }
        // A clock that was set back must not keep a task for longer.
        pause(task, for: min(now.instant(of: time) - now.instant, limits.retryDelayMax), at: now)
        return true
    }

    /// The task waits for its time no more, for whatever reason.
    func endPause(of task: TaskRecord) {
        guard let pause = task.pause else { return }
        _ = alarms.cancel(pause.timer)
        task.pause = nil
        task.group?.pausedCount -= 1
        pausedCount -= 1
    }

    /// The task is tried again as soon as somebody can, before all others.
    func pauseOver(of task: TaskRecord, at now: Moment) {
        guard task.pause != nil, let group = task.group else { return }
        endPause(of: task)
        group.line.prepend(task)
        fill(group, at: now)
    }

    // MARK: Workers that come back

    /// A worker that came back says what it has in hand. What it got by its name and does not list never reached it, or was lost with its
    /// memory, and goes the way of a vanished worker's. What was sent to it since is on its way, whatever it says. What it lists and does
    /// not hold, nobody wants of it.
    ///
    /// - Returns: whether anything was taken from it.
    func reconcile(_ worker: Worker, with held: [TaskID], at now: Moment) -> Bool {
        let listed = Set(held)
        let hands = Set(worker.hands.map(\.id))
        for id in held where !hands.contains(id) { effects.append(.recall(id, worker)) }
        let lost = worker.hands.filter { worker.unconfirmed.contains($0.id) && !listed.contains($0.id) }
        worker.unconfirmed = []
        guard !lost.isEmpty else { return false }
        worker.hands.removeAll { task in lost.contains { $0 === task } }
        giveUp(lost, at: now)
        return true
    }
}
