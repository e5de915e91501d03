// TaskWatchService: document G on open sockets: one task, one watcher. Greets with the present state, replays what a watcher missed, hears
// the little that it says, keeps the heartbeat. The events themselves come by Fanout.
internal import Base
internal import Dialects
internal import Domain
internal import JSON

/// One socket that watches one task.
final class TaskWatcher {
    let task: TaskID
    /// The last event that it has; nil for one that wants only what comes.
    let after: UInt64?
    let connectedAt: WallTime
    var lastPing: WallTime
    /// When it last said anything.
    var lastHeard: Instant
    /// Its place in the hub; nil while it has none.
    var subscriber: SubscriberID?

    init(task: TaskID, after: UInt64?, at now: Moment) {
        self.task = task
        self.after = after
        connectedAt = now.wall
        lastPing = now.wall
        lastHeard = now.instant
    }
}

final class TaskWatchService {
    private let context: Context
    private let sender: WebSocketSender
    private let replayer: Replayer
    private var connectionNumber: UInt64 = 0

    init(_ context: Context, sender: WebSocketSender, replayer: Replayer) {
        self.context = context
        self.sender = sender
        self.replayer = replayer
    }

    // MARK: The beginning

    /// Greets a watcher, once what it missed is at hand.
    func opened(_ conversation: WebSocketConversation, _ watcher: TaskWatcher, at now: Instant) {
        if let position = position(of: watcher), replayer.begin(conversation.id, [position]) { return context.hold(conversation) }
        greet(conversation, watcher, at: now)
    }

    /// The journal has answered.
    func found(
        _ conversation: WebSocketConversation, _ watcher: TaskWatcher, number: UInt32, _ content: Finding.Content, at now: Instant
    ) {
        guard replayer.found(conversation.id, number: number, content) else { return }
        context.release(conversation)
        greet(conversation, watcher, at: now)
        replayer.end(conversation.id)
    }

    private func position(of watcher: TaskWatcher) -> StreamPosition? {
        guard let after = watcher.after, let task = context.broker.task(watcher.task) else { return nil }
        return StreamPosition(task: task.id, epoch: task.stream.origin.epoch, sequence: after)
    }

    /// Greets a watcher: the state and what follows it are one step, so that nothing is missed and nothing comes twice.
    private func greet(_ conversation: WebSocketConversation, _ watcher: TaskWatcher, at now: Instant) {
        let hub = context.broker.hub
        // While the journal was read the name may have become another's task.
        guard let task = context.broker.task(watcher.task), conversation.principal.maySee(taskOwner: task.user, taskID: task.id) else {
            return sender.close(conversation, .unknownTask)
        }
        guard let subscriber = hub.enter(.task, target: conversation.id.raw) else { return sender.close(conversation, .overloaded) }
        watcher.subscriber = subscriber
        let wall = context.moment(now).wall
        connectionNumber += 1
        let number = connectionNumber
        sender.tell(conversation) { TaskDialect.writeConnected(number: number, to: task.id, at: wall, to: &$0) }
        do throws(SubscriptionRefusal) {
            _ = try hub.subscribe(subscriber, to: .task(task.id), from: task.sequence)
        } catch {
            return sender.close(conversation, .overloaded)
        }
        let snapshot = TaskSnapshot(of: task)
        sender.tell(conversation) { TaskDialect.writeCurrentStatus(snapshot, at: wall, to: &$0) }
        let hasSeenEnd = replay(to: conversation, watcher)
        guard let ending = task.ending, !hasSeenEnd else { return }
        // A late watcher must not wait for ever.
        for part in 0..<TaskDialect.messageCount(of: ending) {
            sender.tell(conversation) { TaskDialect.writeEnding(ending, of: snapshot, part: part, at: task.endedAt ?? wall, to: &$0) }
        }
    }

    /// Sends what came after the event that the watcher has, as far as it is still to be had.
    ///
    /// - Returns: whether the task's end was among it.
    private func replay(to conversation: WebSocketConversation, _ watcher: TaskWatcher) -> Bool {
        guard let position = position(of: watcher), let missed = replayer.missed(position, by: conversation.id) else { return false }
        context.metrics.eventsReplayed += UInt64(missed.count)
        for publication in missed {
            for part in 0..<TaskDialect.messageCount(of: publication) {
                sender.tell(conversation) { TaskDialect.write(publication, part: part, to: &$0) }
            }
        }
        return missed.last?.event.isTerminal ?? false
    }

    // MARK: What it says

    func hear(_ text: Span<UInt8>, from watcher: TaskWatcher, _ conversation: WebSocketConversation, at now: Instant) {
        let wall = context.moment(now).wall
        watcher.lastHeard = now
        do throws(JSONError) {
            try context.index.build(from: text)
        } catch {
            return refuse(conversation, "Invalid JSON format", at: now)
        }
        do throws(RequestProblem) {
            switch try TaskDialect.read(text, context.index, scratch: &context.scratch) {
            case .ping:
                watcher.lastPing = wall
                sender.tell(conversation) { TaskDialect.writePong(at: wall, to: &$0) }
            case .getStatus:
                guard let task = context.broker.task(watcher.task) else { return sender.close(conversation, .unknownTask) }
                sender.tell(conversation) { TaskDialect.writeStatusResponse(TaskSnapshot(of: task), at: wall, to: &$0) }
            case .refresh(let token):
                refresh(conversation, watcher, token, at: now)
            }
        } catch {
            sender.tell(conversation) { TaskDialect.writeError(error, at: wall, to: &$0) }
        }
    }

    private func refresh(_ conversation: WebSocketConversation, _ watcher: TaskWatcher, _ token: SharedBytes, at now: Instant) {
        guard context.renew(conversation, with: token, at: now) else {
            return refuse(conversation, "Invalid or expired token", at: now)
        }
        // The newer token may list less than the older one did.
        guard let task = context.broker.task(watcher.task), conversation.principal.maySee(taskOwner: task.user, taskID: task.id) else {
            return sender.close(conversation, .unknownTask)
        }
        let wall = context.moment(now).wall
        sender.tell(conversation) { TaskDialect.writeRefreshed(at: wall, to: &$0) }
    }

    func refuse(_ conversation: WebSocketConversation, _ words: String, at now: Instant) {
        let wall = context.moment(now).wall
        sender.tell(conversation) { TaskDialect.writeError(words, at: wall, to: &$0) }
    }

    // MARK: Time and the end

    /// The heartbeat, and the end of one that said nothing for too long.
    func tick(_ conversation: WebSocketConversation, _ watcher: TaskWatcher, at now: Instant) {
        guard now - watcher.lastHeard < context.limits.watcherIdleTimeout else { return sender.close(conversation, .idle) }
        // Before the greeting nothing is told.
        guard watcher.subscriber != nil else { return }
        let wall = context.moment(now).wall
        sender.tell(conversation) { TaskDialect.writeHeartbeat(watcher.task, at: wall, to: &$0) }
    }

    func closed(_ conversation: WebSocketConversation, _ watcher: TaskWatcher) {
        replayer.end(conversation.id)
        guard let subscriber = watcher.subscriber else { return }
        context.broker.hub.leave(subscriber)
        watcher.subscriber = nil
    }
}

extension TaskSnapshot {
    /// How the task stands now.
    init(of task: TaskRecord) {
        self.init(
            id: task.id, state: task.state, progress: task.progress, sequence: task.sequence, priority: task.priority,
            provider: task.provider, createdAt: task.enqueuedAt, startedAt: task.startedAt)
    }
}
