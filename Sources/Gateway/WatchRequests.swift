// WatchRequests: document G over HTTP: how a task stands, and who watches. What the asker may not see is answered as what does not exist.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1

final class WatchRequests {
    /// Tasks that one answer lists: a page of statistics is for people.
    private static let tasksListedMax = 1_000

    private let context: Context
    private let responses: Responses

    init(_ context: Context, responses: Responses) {
        self.context = context
        self.responses = responses
    }

    func answerTask(_ conversation: HTTPConversation, _ id: TaskID, to principal: Principal, at now: Instant) {
        guard let task = task(id, for: principal) else { return refuse(conversation, at: now) }
        context.text.removeAll()
        let splice = GPUTaskAPI.writeTask(TaskDetails(of: task), at: context.moment(now).wall, to: &context.text)
        responses.respond(conversation, .ok, splice: splice, at: now)
    }

    func answerConnections(_ conversation: HTTPConversation, of id: TaskID, to principal: Principal, at now: Instant) {
        guard task(id, for: principal) != nil else { return refuse(conversation, at: now) }
        let watchers = watchers(of: id)
        context.text.removeAll()
        GPUTaskAPI.writeConnections(of: id, count: watchers.count, at: context.moment(now).wall, to: &context.text) { tell in
            for (user, watcher) in watchers.prefix(WatchRequests.tasksListedMax) {
                tell(TaskConnection(user: user, connectedAt: watcher.connectedAt, lastPing: watcher.lastPing))
            }
        }
        responses.respond(conversation, .ok, at: now)
    }

    func answerStatistics(_ conversation: HTTPConversation, to principal: Principal, at now: Instant) {
        var total = 0
        var counts: [(id: TaskID, count: Int)] = []
        context.broker.hub.forEachTopic { topic, _ in
            guard case .task(let id) = topic, let task = context.broker.task(id), principal.maySee(taskOwner: task.user, taskID: id)
            else { return }
            counts.append((id, 0))
        }
        for index in counts.indices {
            counts[index].count = watchers(of: counts[index].id).count
            total += counts[index].count
        }
        counts.removeAll { $0.count == 0 }
        context.text.removeAll()
        GPUTaskAPI.writeStatistics(
            totalConnections: total, activeTasks: counts.count, at: context.moment(now).wall, to: &context.text
        ) { tell in
            for (id, count) in counts.prefix(WatchRequests.tasksListedMax) { tell(id, count) }
        }
        responses.respond(conversation, .ok, at: now)
    }

    /// The open sockets on a task, each with its user.
    private func watchers(of id: TaskID) -> [(user: SharedBytes?, watcher: TaskWatcher)] {
        context.broker.hub.targets(of: .task(id)).compactMap { target in
            guard case .webSocket(let conversation) = context.conversation(ConnectionID(raw: target)),
                case .taskWatcher(let watcher) = conversation.role
            else { return nil }
            return (conversation.principal.user, watcher)
        }
    }

    private func task(_ id: TaskID, for principal: Principal) -> TaskRecord? {
        guard let task = context.broker.task(id), principal.maySee(taskOwner: task.user, taskID: id) else { return nil }
        return task
    }

    private func refuse(_ conversation: HTTPConversation, at now: Instant) {
        responses.fail(conversation, .notFound, DispatchAPI.unknownTask, at: now)
    }
}

extension TaskDetails {
    /// Everything that is known of the task now.
    init(of task: TaskRecord) {
        self.init(
            TaskSnapshot(of: task), user: task.user, project: task.project, group: task.group?.name, model: task.model, type: task.type,
            metadata: task.metadata, worker: task.lastWorker, attempts: task.attempts,
            // What an outside program runs stands in no line, and nobody ordered it to be done in time.
            timeout: task.origin == .dispatched ? task.timeout : nil, enqueuedAt: task.origin == .dispatched ? task.enqueuedAt : nil,
            endedAt: task.endedAt, updatedAt: task.updatedAt, report: task.report, ending: task.ending)
    }
}
