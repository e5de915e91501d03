// HubService+Return: clients of the hub that come back. A session without a socket is parked with how far it was told of each task; who
// comes back in time gets all its subscriptions and everything that it missed, in order, or the word that it is lost and how the task
// stands. One step, so that nothing is missed and nothing comes twice.
internal import Base
internal import Dialects
internal import Domain

extension HubService {
    // MARK: Parking

    /// Keeps the session for as long as its client may come back.
    func park(_ conversation: WebSocketConversation, _ client: HubClient, at now: Instant) {
        guard case .leaving(let departure) = client.phase else { return }
        let unsent = firstUnsent(conversation, upTo: departure.number)
        let positions = departure.heard.map { reached($0.position, $0.picture, firstUnsent: unsent) }
        let silent = client.deaf.map { StreamPosition(task: $0, epoch: 0, sequence: 0) }
        // Whose token was revoked is not waited for.
        if !context.revocations.covers(conversation.principal) {
            resumable.park(
                departure.session, positions + silent, after: client.predecessor, of: conversation.principal.credential, at: now)
        }
        end(departure.session, conversation, client, at: now)
    }

    /// The first number of which not all has surely gone out, also once the connection is closed; nil where all has that was told before
    /// the hub's publication of that number.
    private func firstUnsent(_ conversation: WebSocketConversation, upTo number: UInt64) -> UInt64? {
        let unsent = context.outbox.firstNumberUnsent(conversation.id)
        guard conversation.heldSince > 0, conversation.heldSince <= number else { return unsent }
        return min(unsent ?? .max, conversation.heldSince)
    }

    /// Where the client surely is, where not all that it was told may have gone out: at what went out before.
    private func reached(_ position: StreamPosition, _ picture: HubClient.Picture, firstUnsent: UInt64?) -> StreamPosition {
        guard let first = firstUnsent, let task = context.broker.task(position.task),
            task.stream.origin.epoch == position.epoch
        else { return position }
        func at(_ sequence: UInt64) -> StreamPosition {
            StreamPosition(
                task: position.task, epoch: position.epoch, sequence: sequence, isOver: position.isOver && sequence == position.sequence)
        }
        if first <= picture.number { return at(picture.before ?? .unknown) }
        let held = context.broker.hub.last(context.limits.historyLengthMax, of: task.stream)
        if let last = held.last(where: { $0.number < first }) { return at(min(last.sequence, position.sequence)) }
        // Memory does not reach back to what went out; where nothing is between, it was what the client began with.
        let firstHeld = held.first?.sequence ?? position.sequence + 1
        return at(firstHeld <= picture.sequence + 1 ? picture.sequence : .unknown)
    }

    /// When the next session is given up.
    var nextExpiry: Instant? { resumable.nextExpiry }

    func expire(at now: Instant) { resumable.expire(at: now) }

    /// Gives up the sessions of clients whose tokens were revoked.
    ///
    /// - Returns: how many there were.
    func dropRevoked() -> Int { resumable.drop { context.revocations.covers($0.credential) } }

    /// Its client is known by a newer name.
    func drop(_ id: ClientID, of user: SharedBytes, at now: Instant) { _ = resumable.take(id, for: user, at: now) }

    // MARK: Coming back

    /// The session that a client says it was; nil where there is none, or not for this user.
    ///
    /// A socket that still bears the name is a dead one that nobody has noticed: the client has a new one. What came out of the session
    /// before, a socket or another session, was a way that led nowhere: else the client would come with that one's name.
    func surrender(_ former: ClientID, to user: SharedBytes, at now: Instant) -> ParkedSession? {
        if let session = sessions[former], session.user == user, let (conversation, client) = socket(of: former) {
            client.leave(context.broker)
            park(conversation, client, at: now)
            abandon(conversation)
        }
        guard let parked = resumable.session(former, for: user, at: now) else {
            context.metrics.hubReturnsRefused += 1
            return nil
        }
        if let heir = parked.heir {
            if let (conversation, client) = socket(of: heir) {
                client.leave(context.broker)
                if case .leaving(let departure) = client.phase { end(departure.session, conversation, client, at: now) }
                abandon(conversation)
            }
            drop(heir, of: user, at: now)
        }
        return parked
    }

    /// Ends a socket that another one has taken the place of. Where something waits for it already, a close frame would wait behind it.
    private func abandon(_ conversation: WebSocketConversation) {
        if context.outbox.queuedBytes(conversation.id) > 0 {
            context.outbox.abort(conversation.id)
        } else {
            sender.close(conversation, .replaced)
        }
    }

    /// Where the client says it is goes before where the server believes it to be; nobody is further than the stream.
    func position(claimed parked: StreamPosition, _ request: HubRequest) -> StreamPosition {
        var position = parked
        if let seen = request.seen[parked.task], parked.epoch != 0 {
            // The end that it was told it may not have got.
            let isOver = parked.isOver && seen >= parked.sequence
            position = StreamPosition(
                task: parked.task, epoch: parked.epoch, sequence: isOver ? parked.sequence : seen, isOver: isOver)
        }
        guard let task = context.broker.task(parked.task) else { return position }
        let epoch = task.stream.origin.epoch
        // Before everything is a place in every stream.
        guard parked.epoch != 0 else { return StreamPosition(task: parked.task, epoch: epoch, sequence: 0) }
        guard parked.epoch == epoch else {
            // What it knew to its end is over, and this is another: all of it is new.
            return position.isOver ? beginning(of: task, after: position.sequence) : position
        }
        guard request.seen[parked.task] != nil else { return position }
        return StreamPosition(task: parked.task, epoch: epoch, sequence: min(position.sequence, task.sequence))
    }

    /// The place before all events of a stream: its numbers may go on where those of an earlier task of the name ended.
    private func beginning(of task: TaskRecord, after sequence: UInt64) -> StreamPosition {
        let epoch = task.stream.origin.epoch
        let first = context.broker.hub.last(context.limits.historyLengthMax, of: task.stream).first?.sequence
        return StreamPosition(task: task.id, epoch: epoch, sequence: first == sequence + 1 ? sequence : 0)
    }

    /// The journal has answered.
    func found(_ conversation: WebSocketConversation, _ client: HubClient, number: UInt32, _ content: Finding.Content, at now: Instant) {
        guard replayer.found(conversation.id, number: number, content) else { return }
        context.release(conversation)
        guard let former = client.arrival?.request.formerly else { return }
        resume(conversation, client, former, at: now)
        replayer.end(conversation.id)
    }

    /// What becomes of one subscription.
    private struct Return {
        let task: TaskID
        /// Nil where it is lost, and the task's state is told.
        let missed: [Publication]?
    }

    /// Greets a client as who it was, and tells it what it missed.
    func resume(_ conversation: WebSocketConversation, _ client: HubClient, _ former: ClientID, at now: Instant) {
        // While the journal was read the session may have ended, or another socket may have come with its name.
        guard let request = client.arrival?.request else { return }
        guard let parked = surrender(former, to: request.owner, at: now) else { return greet(conversation, client, at: now) }
        guard let session = enter(conversation, client, at: now) else { return }
        if let predecessor = parked.predecessor { drop(predecessor, of: session.user, at: now) }
        resumable.succeed(parked.id, by: session.id)
        client.cameBack(as: parked.id)
        context.metrics.hubReturns += 1
        let returns = parked.positions.sorted { $0.task < $1.task }.map { restore($0, request, conversation, client, session) }
        let wall = context.moment(now).wall
        let resumptions = returns.map { HubDialect.Resumption($0.task, isRecovered: $0.missed != nil) }
        sender.tell(conversation) { HubDialect.writeReconnected(session.id, formerly: former, resumptions, at: wall, to: &$0) }
        for item in returns {
            guard let missed = item.missed else {
                context.metrics.hubTasksLost += 1
                tellState(of: item.task, conversation, client, at: now)
                continue
            }
            context.metrics.eventsReplayed += UInt64(missed.count)
            for publication in missed where !tell(publication, conversation, client) {
                // Given up in the midst of it: the rest is told when it comes back.
                client.rewind(item.task, to: publication.sequence - 1)
                break
            }
        }
    }

    /// Listens to a task again, from where the client is.
    private func restore(
        _ parked: StreamPosition, _ request: HubRequest, _ conversation: WebSocketConversation, _ client: HubClient, _ session: Session
    ) -> Return {
        let position = position(claimed: parked, request)
        guard context.broker.task(parked.task) != nil else {
            listen(conversation, client, session, to: parked.task)
            // Where there never was such a task, or its end was told, there was nothing to miss.
            return Return(task: parked.task, missed: position.epoch == 0 || position.isOver ? [] : nil)
        }
        guard maySee(parked.task, conversation) else {
            listen(conversation, client, session, to: parked.task)
            return Return(task: parked.task, missed: [])
        }
        let missed = replayer.missed(position, by: conversation.id)
        listen(conversation, client, session, to: parked.task, before: missed == nil ? nil : position.sequence)
        return Return(task: parked.task, missed: missed)
    }

    /// - Returns: false where it could not be told all of it, because its socket is closing.
    private func tell(_ publication: Publication, _ conversation: WebSocketConversation, _ client: HubClient) -> Bool {
        let count = HubDialect.messageCount(of: publication.event)
        if client.isBatched {
            guard count > 0 else { return true }
            guard client.isListening else { return false }
            sender.tell(conversation) { (writer: inout ByteWriter) -> Void in HubDialect.writeLines(publication, to: &writer) }
            return true
        }
        for part in 0..<count {
            guard client.isListening else { return false }
            sender.tell(conversation) { (writer: inout ByteWriter) -> Void in HubDialect.write(publication, part: part, to: &writer) }
        }
        return true
    }
}

extension UInt64 {
    /// A position that nobody knows: no stream has that many events.
    static var unknown: UInt64 { .max }
}
