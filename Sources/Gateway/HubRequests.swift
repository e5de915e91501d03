// HubRequests: document P over HTTP: a task's progress and history, counts, and subscriptions of a client of the hub. What the asker may
// not see is answered as what does not exist.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1

final class HubRequests {
    private let context: Context
    private let responses: Responses
    private let clients: HubService

    init(_ context: Context, responses: Responses, clients: HubService) {
        self.context = context
        self.responses = responses
        self.clients = clients
    }

    // MARK: A task

    func answerProgress(_ conversation: HTTPConversation, _ id: TaskID, to principal: Principal, at now: Instant) {
        guard let task = task(id, for: principal) else { return refuseTask(conversation, at: now) }
        context.text.removeAll()
        ProgressAPI.writeProgress(of: TaskDetails(of: task), to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    func answerHistory(_ conversation: HTTPConversation, _ id: TaskID, _ query: QueryText, to principal: Principal, at now: Instant) {
        guard let limit = limit(conversation, query, from: .memory, at: now) else { return }
        guard let task = task(id, for: principal) else { return refuseTask(conversation, at: now) }
        let held = context.broker.hub.last(context.limits.historyLengthMax, of: task.stream)
        context.text.removeAll()
        ProgressAPI.writeHistory(of: id, held, last: limit, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    /// Asks the journal. Whose a task is that only the journal remembers is not known: such a task is for those alone who may see all.
    func answerStoredHistory(
        _ conversation: HTTPConversation, _ id: TaskID, _ query: QueryText, to principal: Principal, at now: Instant
    ) {
        guard let limit = limit(conversation, query, from: .database, at: now) else { return }
        guard task(id, for: principal) != nil || context.broker.task(id) == nil && principal.maySeeAll else {
            return refuseTask(conversation, at: now)
        }
        context.inquiries.append(Inquiry(
            question: .progress(id, limit: limit), ticket: .request(conversation.id, number: conversation.number)))
        conversation.request = .inquiring(.storedHistory(id))
    }

    /// The journal has answered.
    func answerStoredHistory(_ conversation: HTTPConversation, _ id: TaskID, _ content: Finding.Content, at now: Instant) {
        guard case .progress(var rows) = content else {
            return responses.fail(conversation, .serviceUnavailable, "History could not be read", at: now)
        }
        if let task = context.broker.task(id) {
            // Rows of an earlier task of the name may be another user's.
            rows.removeAll { $0.createdAt < task.createdAt }
        } else if rows.isEmpty {
            return refuseTask(conversation, at: now)
        }
        context.text.removeAll()
        ProgressAPI.writeHistory(of: id, rows, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    func clearHistory(_ conversation: HTTPConversation, _ id: TaskID, for principal: Principal, at now: Instant) {
        let mayClear = context.broker.task(id).map { principal.mayActFor($0.user) } ?? principal.maySeeAll
        guard mayClear else { return refuseTask(conversation, at: now) }
        context.broker.clearHistory(of: id)
        context.text.removeAll()
        ProgressAPI.writeCleared(id, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    private func task(_ id: TaskID, for principal: Principal) -> TaskRecord? {
        guard let task = context.broker.task(id), principal.maySee(taskOwner: task.user, taskID: id) else { return nil }
        return task
    }

    /// - Returns: nil where the request was refused.
    private func limit(_ conversation: HTTPConversation, _ query: QueryText, from source: ProgressAPI.Source, at now: Instant) -> Int? {
        let text: SharedBytes?
        do throws(HTTPError) {
            text = try query.value(of: "limit")
        } catch {
            responses.fail(conversation, error.status, error.sentence, at: now)
            return nil
        }
        do throws(RequestProblem) {
            return try ProgressAPI.readLimit(text, from: source)
        } catch {
            responses.fail(conversation, .badRequest, error, at: now)
            return nil
        }
    }

    // MARK: Subscriptions of a client

    func subscribe(_ conversation: HTTPConversation, _ id: TaskID, _ query: QueryText, for principal: Principal, at now: Instant) {
        guard let client = client(conversation, query, at: now) else { return }
        guard clients.subscribe(client, to: id, for: principal, at: now) else { return refuseClient(conversation, at: now) }
        context.text.removeAll()
        ProgressAPI.writeSubscribed(id, client, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    func unsubscribe(_ conversation: HTTPConversation, _ id: TaskID, _ query: QueryText, for principal: Principal, at now: Instant) {
        guard let client = client(conversation, query, at: now) else { return }
        guard clients.unsubscribe(client, from: id, for: principal) else { return refuseClient(conversation, at: now) }
        context.text.removeAll()
        ProgressAPI.writeUnsubscribed(id, client, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    /// - Returns: nil where the request was refused.
    private func client(_ conversation: HTTPConversation, _ query: QueryText, at now: Instant) -> ClientID? {
        do throws(HTTPError) {
            guard let text = try query.value(of: "client_id"), !text.isEmpty else {
                responses.fail(conversation, .badRequest, .missing(member: "client_id"), at: now)
                return nil
            }
            // A name of another form is no client's either.
            if let client = ClientID(text.span) { return client }
            refuseClient(conversation, at: now)
        } catch {
            responses.fail(conversation, error.status, error.sentence, at: now)
        }
        return nil
    }

    // MARK: Counts

    /// Tasks since the server started, and those that it took up again.
    func answerStatistics(_ conversation: HTTPConversation, at now: Instant) {
        let broker = context.broker
        let active = broker.queuedCount + broker.executingCount
        let statistics = broker.statistics
        let (completed, failed) = (Int(clamping: statistics.completed), Int(clamping: statistics.failed))
        context.text.removeAll()
        ProgressAPI.writeStatistics(
            total: active + completed + failed + Int(clamping: statistics.cancelled), active: active, completed: completed, failed: failed,
            to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    func answerActive(_ conversation: HTTPConversation, to principal: Principal, at now: Instant) {
        context.text.removeAll()
        let counts = clients.counts(for: principal)
        ProgressAPI.writeActive(clients: counts.total, byUser: counts.byUser, byProject: counts.byProject, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    func answerSockets(_ conversation: HTTPConversation, to principal: Principal, at now: Instant) {
        context.text.removeAll()
        let counts = clients.counts(for: principal)
        ProgressAPI.writeWebSockets(clients: counts.total, byUser: counts.byUser, byProject: counts.byProject, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    // MARK: Refusals

    func refuseTask(_ conversation: HTTPConversation, at now: Instant) {
        context.text.removeAll()
        let status = ProgressAPI.writeUnknownTask(to: &context.text)
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .notFound, at: now)
    }

    private func refuseClient(_ conversation: HTTPConversation, at now: Instant) {
        context.text.removeAll()
        let status = ProgressAPI.writeUnknownClient(to: &context.text)
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .notFound, at: now)
    }
}

extension Principal {
    /// Whether the one may see every task, whosever it is.
    fileprivate var maySeeAll: Bool { isAdmin || self == .trusted }
}

extension HubService {
    /// Connected clients, by user and by project.
    struct Counts {
        let total: Int
        let byUser: ProgressAPI.Counts
        let byProject: ProgressAPI.Counts
    }

    /// Who has a token sees his own clients; an admin, and where nobody is asked everybody, sees all.
    func counts(for principal: Principal) -> Counts {
        guard let user = principal.user, !principal.isAdmin else {
            return Counts(total: sessions.count, byUser: sessions.byUser.forEach, byProject: sessions.byProject.forEach)
        }
        var total = 0
        var projects: [SharedBytes: Int] = [:]
        sessions.forEach { session in
            guard session.user == user else { return }
            total += 1
            if let project = session.project { projects[project, default: 0] += 1 }
        }
        let (count, byProject) = (total, projects)
        return Counts(
            total: count, byUser: { tell in if count > 0 { tell(user, count) } },
            byProject: { tell in for (project, count) in byProject { tell(project, count) } })
    }
}
