// HubService: document P on open sockets: clients that listen to tasks by name. Greets, takes subscriptions, tells how a task stands, and
// sees to it that nobody hears of a task that is not for him. Who comes back stands in HubService+Return.swift; the events themselves come
// by Fanout.
internal import Base
internal import Dialects
internal import Domain
internal import JSON

final class HubService {
    let context: Context
    let sender: WebSocketSender
    let replayer: Replayer
    private let eventStreams: EventStreamService
    var sessions: SessionTable
    var resumable: ResumeTable
    /// Who named a task that is not for him: the next task of that name may be.
    private var deaf: [TaskID: Set<ConnectionID>] = [:]

    /// How often a session's signs of life are written down at most.
    private static let touchInterval = TimeSpan.seconds(60)

    init(
        _ context: Context, sender: WebSocketSender, eventStreams: EventStreamService, replayer: Replayer, random: Randomness
    ) {
        self.context = context
        self.sender = sender
        self.eventStreams = eventStreams
        self.replayer = replayer
        sessions = SessionTable(sessionsMax: context.limits.connectionsMax, random: random)
        resumable = ResumeTable(
            waitMax: context.limits.sessionResumeTime, sessionsMax: context.limits.parkedSessionsMax,
            bytesMax: context.limits.parkedBytesMax)
    }

    // MARK: The beginning

    /// Greets a client, as a new one or as who it was.
    func opened(_ conversation: WebSocketConversation, _ client: HubClient, at now: Instant) {
        guard let request = client.arrival?.request else { return }
        guard let former = request.formerly, let parked = surrender(former, to: request.owner, at: now) else {
            return greet(conversation, client, at: now)
        }
        // What memory does not hold any more is read back first; until then the client is nobody yet.
        let positions = parked.positions.map { position(claimed: $0, request) }.filter { maySee($0.task, conversation) }
        if replayer.begin(conversation.id, positions) { return context.hold(conversation) }
        resume(conversation, client, former, at: now)
    }

    func greet(_ conversation: WebSocketConversation, _ client: HubClient, at now: Instant) {
        guard let session = enter(conversation, client, at: now) else { return }
        let wall = context.moment(now).wall
        sender.tell(conversation) { HubDialect.writeConnected(session.id, at: wall, to: &$0) }
    }

    /// The socket of a session.
    func socket(of id: ClientID) -> (WebSocketConversation, HubClient)? {
        guard let session = sessions[id], case .webSocket(let conversation) = context.conversation(ConnectionID(raw: session.target)),
            case .hubClient(let client) = conversation.role
        else { return nil }
        return (conversation, client)
    }

    /// Makes the client a session of its own.
    ///
    /// - Returns: nil where there are as many as may be; then it is told, and its socket closes.
    func enter(_ conversation: WebSocketConversation, _ client: HubClient, at now: Instant) -> Session? {
        let hub = context.broker.hub
        let wall = context.moment(now).wall
        guard let arrival = client.arrival else { return nil }
        let request = arrival.request
        guard let subscriber = hub.enter(request.isBatched ? .hubBatched : .hub, target: conversation.id.raw) else {
            sender.close(conversation, .overloaded)
            return nil
        }
        let session = sessions.open(
            user: request.owner, project: request.project, subscriber: subscriber, target: conversation.id.raw, at: now)
        guard let session else {
            hub.leave(subscriber)
            sender.close(conversation, .overloaded)
            return nil
        }
        client.phase = .listening(session)
        context.metrics.hubClients = sessions.count
        context.recorder.append(.sessionOpened(SessionRow(
            opening: session.id.text, userID: session.user, projectID: session.project ?? .empty, ipAddress: arrival.peer.host,
            userAgent: request.agent, at: wall)))
        // Not its name, which is a secret: who knows it speaks for the client.
        context.log.debug("hub client connected", ("connection", conversation.id), ("peer", arrival.peer))
        return session
    }

    // MARK: What it says

    func hear(_ text: Span<UInt8>, from client: HubClient, _ conversation: WebSocketConversation, at now: Instant) {
        guard case .listening(let session) = client.phase else { return }
        noteLife(of: session, at: now)
        do throws(JSONError) {
            try context.index.build(from: text)
        } catch {
            return refuse(conversation, RequestProblem.malformed(error).sentence, at: now)
        }
        let wall = context.moment(now).wall
        do throws(RequestProblem) {
            switch try HubDialect.read(text, context.index, scratch: &context.scratch) {
            case .subscribe(let id): subscribe(conversation, client, session, to: id, at: now)
            case .unsubscribe(let id): unsubscribe(conversation, client, session, from: id)
            case .ping: sender.tell(conversation) { HubDialect.writePong(at: wall, to: &$0) }
            case .refresh(let token): refresh(conversation, client, session, token, at: now)
            }
        } catch {
            refuse(conversation, error.sentence, at: now)
        }
    }

    /// It speaks, so it is alive. That it has heard its name is not said by that: clients speak before they listen.
    private func noteLife(of session: Session, at now: Instant) {
        session.countMessage()
        guard session.isToBeNoted(at: now, every: HubService.touchInterval) else { return }
        let wall = context.moment(now).wall
        context.recorder.append(.sessionTouched(SessionTouch(clientID: session.id.text, at: wall, messageCount: session.messageCount)))
    }

    func refuse(_ conversation: WebSocketConversation, _ words: String, about id: TaskID? = nil, at now: Instant) {
        let wall = context.moment(now).wall
        sender.tell(conversation) { HubDialect.writeProblem(words, about: id, at: wall, to: &$0) }
    }

    private func refresh(
        _ conversation: WebSocketConversation, _ client: HubClient, _ session: Session, _ token: SharedBytes, at now: Instant
    ) {
        guard context.renew(conversation, with: token, at: now) else {
            return refuse(conversation, "Invalid or expired token", at: now)
        }
        let wall = context.moment(now).wall
        sender.tell(conversation) { HubDialect.writeRefreshed(at: wall, to: &$0) }
        // Another token may open and close other tasks.
        for id in topics(of: client, session) where maySee(id, conversation) == client.deaf.contains(id) {
            listen(conversation, client, session, to: id)
            if !client.deaf.contains(id) { tellState(of: id, conversation, client, at: now) }
        }
    }

    // MARK: Subscriptions

    /// Everything that the client listens to, in the order of the names: an order in which what it does not hear does not show.
    func topics(of client: HubClient, _ session: Session) -> [TaskID] {
        let heard = context.broker.hub.topics(of: session.subscriber).compactMap { topic -> TaskID? in
            if case .task(let id) = topic { id } else { nil }
        }
        return (heard + client.deaf).sorted()
    }

    /// Whether there is such a task and it is for the one at the other end.
    func maySee(_ id: TaskID, _ conversation: WebSocketConversation) -> Bool {
        guard let task = context.broker.task(id) else { return false }
        return conversation.principal.maySee(taskOwner: task.user, taskID: id)
    }

    /// Subscribes a client for somebody who knows its name.
    ///
    /// - Returns: false where there is no such client, or not for the one who asks.
    func subscribe(_ client: ClientID, to id: TaskID, for principal: Principal, at now: Instant) -> Bool {
        guard let (conversation, client, session) = find(client, for: principal) else { return false }
        subscribe(conversation, client, session, to: id, at: now)
        return true
    }

    func unsubscribe(_ client: ClientID, from id: TaskID, for principal: Principal) -> Bool {
        guard let (conversation, client, session) = find(client, for: principal) else { return false }
        unsubscribe(conversation, client, session, from: id)
        return true
    }

    /// The client's name is a secret: who knows it and says nothing of himself speaks for the client; who says who he is, only for his own.
    private func find(_ id: ClientID, for principal: Principal) -> (WebSocketConversation, HubClient, Session)? {
        guard let (conversation, client) = socket(of: id), case .listening(let session) = client.phase,
            principal.isAnonymous || conversation.principal.isAnonymous || principal.mayActFor(session.user)
        else { return nil }
        return (conversation, client, session)
    }

    private func subscribe(
        _ conversation: WebSocketConversation, _ client: HubClient, _ session: Session, to id: TaskID, at now: Instant
    ) {
        let names = topics(of: client, session)
        guard names.count < context.limits.subscriptionsMax || names.contains(id) else {
            context.metrics.bounds.count(.subscriptions)
            return refuse(conversation, "Too many subscriptions: at most \(context.limits.subscriptionsMax)", about: id, at: now)
        }
        listen(conversation, client, session, to: id)
        let topics = topics(of: client, session)
        sender.tell(conversation) { HubDialect.writeSubscribed(topics, to: &$0) }
        tellState(of: id, conversation, client, at: now)
    }

    /// Lets the client hear what happens to the task from now on; or seem to, where it is not for it.
    func listen(_ conversation: WebSocketConversation, _ client: HubClient, _ session: Session, to id: TaskID, before: UInt64? = nil) {
        let hub = context.broker.hub
        let task = context.broker.task(id)
        guard task == nil || maySee(id, conversation) else {
            hub.unsubscribe(session.subscriber, from: .task(id))
            return deafen(client, conversation.id, to: id)
        }
        if client.hear(of: id) { forget(conversation.id, deafTo: id) }
        // There is room: names are counted before one is added.
        _ = try? hub.subscribe(session.subscriber, to: .task(id), from: task?.sequence ?? 0)
        client.began(id, after: before)
        context.outbox.note(hub.number + 1, for: conversation.id)
    }

    private func unsubscribe(_ conversation: WebSocketConversation, _ client: HubClient, _ session: Session, from id: TaskID) {
        context.broker.hub.unsubscribe(session.subscriber, from: .task(id))
        client.began(id, after: nil)
        if client.hear(of: id) { forget(conversation.id, deafTo: id) }
        let topics = topics(of: client, session)
        sender.tell(conversation) { HubDialect.writeUnsubscribed(topics, to: &$0) }
    }

    /// Tells the client how a task stands; of one that is not there, or not for it, nothing.
    func tellState(of id: TaskID, _ conversation: WebSocketConversation, _ client: HubClient, at now: Instant) {
        guard maySee(id, conversation), let task = context.broker.task(id) else { return }
        let details = TaskDetails(of: task)
        tell(conversation, client) { HubDialect.writeProgress(of: details, to: &$0) }
        for part in 0..<HubDialect.endingCount(of: details) {
            tell(conversation, client) { HubDialect.writeEnding(of: details, part: part, to: &$0) }
        }
        // Given up in the midst of it: it is told anew when it comes back.
        if !client.isListening { client.rewind(id, to: .unknown) }
    }

    /// Sends a message about a task, on one line where the client reads lines.
    func tell(_ conversation: WebSocketConversation, _ client: HubClient, _ write: (inout ByteWriter) -> Void) {
        sender.tell(conversation) { (writer: inout ByteWriter) -> Void in
            write(&writer)
            if client.isBatched { HubDialect.removeLineFeeds(from: 0, in: &writer) }
        }
    }

    // MARK: Who may not hear

    private func deafen(_ client: HubClient, _ id: ConnectionID, to task: TaskID) {
        client.began(task, after: nil)
        client.deafen(to: task)
        deaf[task, default: []].insert(id)
    }

    private func forget(_ id: ConnectionID, deafTo task: TaskID) {
        deaf[task]?.remove(id)
        if deaf[task]?.isEmpty == true { deaf[task] = nil }
    }

    /// Whoever listens to a name before there is such a task may hear of another's task, once there is: so at the beginning of a stream it
    /// is looked at who listens. To be called before the event is delivered.
    func screen(_ publication: Publication, at now: Instant) {
        switch publication.event {
        // A stream begins with one of these.
        case .queued, .started: break
        case .progress, .log, .chunk, .failed, .completed, .cancelled: return
        }
        let hub = context.broker.hub
        if hub.topicCount > 0, hub.listenerCount(of: .task(publication.task)) > 0 { dismissStrangers(to: publication) }
        guard !deaf.isEmpty, let ids = deaf[publication.task] else { return }
        for id in ids {
            guard case .webSocket(let conversation) = context.conversation(id), case .hubClient(let client) = conversation.role,
                case .listening(let session) = client.phase, maySee(publication.task, conversation)
            else { continue }
            listen(conversation, client, session, to: publication.task)
            tellState(of: publication.task, conversation, client, at: now)
        }
    }

    private func dismissStrangers(to publication: Publication) {
        let hub = context.broker.hub
        let topic = Topic.task(publication.task)
        for (subscriber, target) in zip(hub.listeners(of: topic), hub.targets(of: topic)) {
            switch context.conversation(ConnectionID(raw: target)) {
            case .http(let conversation):
                guard case .streaming(let watcher) = conversation.request,
                    !watcher.principal.maySee(taskOwner: publication.user, taskID: publication.task)
                else { continue }
                eventStreams.end(conversation, watcher)
            case .webSocket(let conversation):
                if conversation.principal.maySee(taskOwner: publication.user, taskID: publication.task) { continue }
                hub.unsubscribe(subscriber, from: topic)
                dismiss(conversation, from: publication.task)
            case .probe, nil: continue
            }
        }
    }

    private func dismiss(_ conversation: WebSocketConversation, from task: TaskID) {
        switch conversation.role {
        case .hubClient(let client): deafen(client, conversation.id, to: task)
        // The task that it watched is gone.
        case .taskWatcher: sender.close(conversation, .unknownTask)
        case .userWatcher, .echo, .worker, .producer, .dashboard, .socketClient, .refused: break
        }
    }

    // MARK: The end

    func closed(_ conversation: WebSocketConversation, _ client: HubClient, at now: Instant) {
        replayer.end(conversation.id)
        client.leave(context.broker)
        park(conversation, client, at: now)
    }

    /// The client has no socket any more: it is no session, or one that may come back.
    func end(_ session: Session, _ conversation: WebSocketConversation, _ client: HubClient, at now: Instant) {
        for id in client.deaf { forget(conversation.id, deafTo: id) }
        client.phase = .gone
        sessions.close(session.id)
        context.metrics.hubClients = sessions.count
        let wall = context.moment(now).wall
        context.recorder.append(.sessionClosed(SessionTouch(clientID: session.id.text, at: wall, messageCount: session.messageCount)))
    }
}

extension ClientID {
    /// The name as text, in bytes of its own.
    var text: SharedBytes {
        var writer = ByteWriter(capacity: ClientID.bytes)
        write(to: &writer)
        return writer.seal()
    }
}

extension PeerAddress {
    /// The address as text, without the port.
    var host: SharedBytes {
        if isUnix { return SharedBytes("unix") }
        if let v4 { return SharedBytes("\(v4 >> 24).\(v4 >> 16 & 255).\(v4 >> 8 & 255).\(v4 & 255)") }
        return SharedBytes(PeerAddress.v6Text(high, low))
    }
}
