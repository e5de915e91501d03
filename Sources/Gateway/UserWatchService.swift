// UserWatchService: document N on open sockets: one user, all of the user's tasks. Greets with the tasks that have not ended, hears the
// little that the client says. The events themselves come by Fanout.
internal import Base
internal import Dialects
internal import Domain
internal import JSON

/// One socket that watches one user's tasks.
final class UserWatcher {
    let user: SharedBytes
    /// Its place in the hub; nil while it has none.
    var subscriber: SubscriberID?

    init(user: SharedBytes) { self.user = user }
}

final class UserWatchService {
    private let context: Context
    private let sender: WebSocketSender

    /// Tasks that the greeting lists, the newest; `GET /api/task/tasks` has them all.
    static let activeTasksMax = 1_000

    init(_ context: Context, sender: WebSocketSender) {
        self.context = context
        self.sender = sender
    }

    // MARK: The beginning

    /// Greets a watcher: the tasks and what follows are one step, so that nothing is missed and nothing comes twice.
    func opened(_ conversation: WebSocketConversation, _ watcher: UserWatcher, at now: Instant) {
        let hub = context.broker.hub
        guard let subscriber = hub.enter(.user, target: conversation.id.raw) else { return sender.close(conversation, .overloaded) }
        watcher.subscriber = subscriber
        do throws(SubscriptionRefusal) {
            try hub.subscribe(subscriber, to: .user(watcher.user))
        } catch {
            return sender.close(conversation, .overloaded)
        }
        let wall = context.moment(now).wall
        let connection = context.random.nextUUID()
        sender.tell(conversation) { UserDialect.writeConnected(connection, at: wall, to: &$0) }
        let newest = context.broker.activeTasks(of: watcher.user).reversed().page(UserWatchService.activeTasksMax)
        sender.tell(conversation) { UserDialect.writeActiveTasks(newest.reversed().lazy.map { TaskDetails(of: $0) }, to: &$0) }
    }

    // MARK: What it says

    func hear(_ text: Span<UInt8>, from watcher: UserWatcher, _ conversation: WebSocketConversation, at now: Instant) {
        do throws(JSONError) {
            try context.index.build(from: text)
        } catch {
            return refuse(conversation, RequestProblem.malformed(error).sentence, at: now)
        }
        do throws(RequestProblem) {
            switch try UserDialect.read(text, context.index, scratch: &context.scratch) {
            case .ping:
                let wall = context.moment(now).wall
                sender.tell(conversation) { UserDialect.writePong(at: wall, to: &$0) }
            case .subscribe(let id): subscribe(conversation, watcher, to: id, at: now)
            case .unsubscribe(let id): unsubscribe(conversation, watcher, from: id, at: now)
            case .refresh(let token): refresh(conversation, watcher, token, at: now)
            }
        } catch {
            refuse(conversation, error.sentence, at: now)
        }
    }

    /// Lets the watcher hear of a task: of somebody else's, or again of one of its own. What it may not see is answered as what does not
    /// exist.
    private func subscribe(_ conversation: WebSocketConversation, _ watcher: UserWatcher, to id: TaskID, at now: Instant) {
        guard let subscriber = watcher.subscriber else { return }
        guard let task = context.broker.task(id), conversation.principal.maySee(taskOwner: task.user, taskID: id) else {
            return refuse(conversation, "Task not found", about: id, at: now)
        }
        if task.user == watcher.user {
            context.broker.hub.unmute(subscriber, id)
        } else {
            do throws(SubscriptionRefusal) {
                try context.broker.hub.subscribe(subscriber, to: .task(id), from: task.sequence)
            } catch {
                context.metrics.bounds.count(.subscriptions)
                return refuse(
                    conversation, "Too many subscriptions: at most \(context.limits.subscriptionsMax)", about: id, at: now)
            }
        }
        sender.tell(conversation) { UserDialect.writeSubscribed(id, to: &$0) }
        sender.tell(conversation) { UserDialect.writeStatus(of: TaskDetails(of: task), to: &$0) }
    }

    /// Whatever the name is, nothing is heard of it afterwards; so the answer says nothing about whether there is such a task.
    private func unsubscribe(_ conversation: WebSocketConversation, _ watcher: UserWatcher, from id: TaskID, at now: Instant) {
        guard let subscriber = watcher.subscriber else { return }
        let hub = context.broker.hub
        switch context.broker.task(id) {
        case let task? where task.user == watcher.user:
            do throws(SubscriptionRefusal) {
                try hub.mute(subscriber, id)
            } catch {
                context.metrics.bounds.count(.subscriptions)
                return refuse(conversation, "Too many muted tasks: at most \(context.limits.subscriptionsMax)", about: id, at: now)
            }
        case .some: hub.unsubscribe(subscriber, from: .task(id))
        // It may yet be one of this user's. Where too many are muted already, that is not told apart from somebody else's task.
        case nil: try? hub.mute(subscriber, id)
        }
        sender.tell(conversation) { UserDialect.writeUnsubscribed(id, to: &$0) }
    }

    /// Goes on with another token; what that one may not see is heard no more.
    private func refresh(_ conversation: WebSocketConversation, _ watcher: UserWatcher, _ token: SharedBytes, at now: Instant) {
        guard context.renew(conversation, with: token, at: now) else {
            return refuse(conversation, "Invalid or expired token", at: now)
        }
        guard conversation.principal.mayActFor(watcher.user) else { return sender.close(conversation, .unauthenticated) }
        let wall = context.moment(now).wall
        sender.tell(conversation) { UserDialect.writeRefreshed(at: wall, to: &$0) }
        guard let subscriber = watcher.subscriber else { return }
        for id in context.broker.hub.positions(of: subscriber).map(\.task) {
            if let task = context.broker.task(id), conversation.principal.maySee(taskOwner: task.user, taskID: id) { continue }
            context.broker.hub.unsubscribe(subscriber, from: .task(id))
            sender.tell(conversation) { UserDialect.writeUnsubscribed(id, to: &$0) }
        }
    }

    func refuse(_ conversation: WebSocketConversation, _ words: String, about id: TaskID? = nil, at now: Instant) {
        let wall = context.moment(now).wall
        sender.tell(conversation) { UserDialect.writeProblem(words, about: id, at: wall, to: &$0) }
    }

    // MARK: The end

    func closed(_ watcher: UserWatcher) {
        guard let subscriber = watcher.subscriber else { return }
        context.broker.hub.leave(subscriber)
        watcher.subscriber = nil
    }
}
