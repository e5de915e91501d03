// SocketService+Transports: how sessions are reached: requests by polling, and WebSockets, which begin a session or take one over from
// polling. Obeys the Engine.IO protocol, revision 4, "Transports" and "Upgrade"; refuses with the official server's codes.
internal import Base
internal import Domain
internal import HTTP1
internal import SocketIO
internal import WebSockets

extension SocketService {
    /// What becomes of a request's head.
    enum Reception {
        /// It was answered, or waits for its content.
        case taken
        /// It is a WebSocket's handshake, for a session that is there or one that begins.
        case webSocket(SocketEntry)
    }

    // MARK: Requests

    /// Acts upon a head.
    ///
    /// - Parameter origin: of the page that asks, if a page does; `isForeign` where the operator does not allow it.
    func begin(
        _ conversation: HTTPConversation, _ door: SocketDoor, _ query: QueryText, _ head: borrowing RequestHead, _ bytes: Span<UInt8>,
        at now: Instant
    ) -> Reception {
        var fields = SharedBytes.empty
        if let origin = head.value(.origin) {
            let authority = bytes.extracting(head.authority ?? 0..<0)
            let isAllowed = Origin.isAllowed(bytes.extracting(origin), authority: authority, allowed: context.settings.origins)
            guard isAllowed || settings.isTestMode else { return refuse(conversation, .forbidden, at: now) }
            fields = settings.isTestMode ? SocketService.anyOrigin : SocketService.allow(bytes.extracting(origin))
        } else if settings.isTestMode {
            fields = SocketService.anyOrigin
        }
        if head.method == .options { return answerPreflight(conversation, fields, at: now) }
        let asked: SocketQuery
        switch SocketQuery.read(query, offering: settings.transports) {
        case .query(let query): asked = query
        case .refused(let refusal): return refuse(conversation, refusal, fields, at: now)
        }
        if asked.session == nil {
            guard head.method == .get else { return refuse(conversation, .badMethod, fields, at: now) }
            guard asked.isOurRevision else { return refuse(conversation, .unsupportedVersion, fields, at: now) }
        }
        let identity = context.settings.authentication.identify(
            head, bytes, at: context.moment(now).wall, scratch: &context.scratch)
        var client: SocketClient?
        if let name = asked.session {
            guard let found = self.client(named: name, behind: door) else {
                return refuse(conversation, .unknownSession, fields, at: now)
            }
            client = found
        }
        switch asked.transport {
        case .webSocket:
            guard conversation.exchange.offersUpgrade else { return refuse(conversation, .badRequest, fields, at: now) }
            return .webSocket(SocketEntry(
                door: door, client: client?.id, identity: identity, namesTransportFirst: asked.namesTransportFirst))
        case .polling:
            guard head.first(.upgrade) == nil else { return refuse(conversation, .badRequest, fields, at: now) }
            let verb: SocketRequest.Verb
            switch (head.method, client) {
            case (.get, nil): verb = .handshake(namesTransportFirst: asked.namesTransportFirst)
            case (.get, let client?): verb = .poll(client.id)
            case (.post, let client?): verb = .post(client.id)
            case (_, _): return refuse(conversation, .badRequest, fields, at: now)
            }
            let length = head.value(.contentLength).map { bytes.decimal(at: $0) ?? .max } ?? 0
            if case .post = verb, length > context.limits.socketPayloadMax {
                return refuseTooLarge(conversation, client, fields, at: now)
            }
            conversation.request = .engaging(SocketRequest(door: door, verb: verb, identity: identity, fields: fields))
            return .taken
        }
    }

    /// Acts upon a request that is whole.
    func finish(_ conversation: HTTPConversation, _ request: SocketRequest, _ body: Span<UInt8>, at now: Instant) {
        switch request.verb {
        case .handshake(let namesTransportFirst):
            guard !context.isDraining,
                let client = enter(
                    request.door, .polling, request.identity, omitsOffset: namesTransportFirst, from: conversation.peer, at: now)
            else { return answer(conversation, .tooMany, request.fields, at: now) }
            open(conversation, request, client)
            perform(client, at: now)
        case .poll(let id):
            guard let client = client(id) else { return answer(conversation, .unknownSession, request.fields, at: now) }
            do throws(EngineError) {
                try client.session.polled(at: now, workspace)
                open(conversation, request, client)
                perform(client, at: now)
            } catch {
                // The poll before, where this one is one too many, is answered now.
                perform(client, at: now)
                answer(conversation, .badRequest, request.fields, at: now)
            }
        case .post(let id):
            guard let client = client(id) else { return answer(conversation, .unknownSession, request.fields, at: now) }
            guard body.count <= context.limits.socketPayloadMax else {
                _ = refuseTooLarge(conversation, client, request.fields, at: now)
                return
            }
            post(conversation, request, client, body, at: now)
        }
    }

    private func post(
        _ conversation: HTTPConversation, _ request: SocketRequest, _ client: SocketClient, _ body: Span<UInt8>, at now: Instant
    ) {
        let isTaken: Bool
        do throws(EngineError) {
            try client.session.posted(body, at: now, workspace)
            isTaken = true
        } catch {
            isTaken = false
        }
        perform(client, body, at: now)
        guard isTaken else { return answer(conversation, .badRequest, request.fields, at: now) }
        context.text.removeAll()
        context.text.append("ok")
        responses.respond(conversation, .ok, contentType: "text/html", fields: request.fields, at: now)
    }

    /// The request waits for what the session says next.
    private func open(_ conversation: HTTPConversation, _ request: SocketRequest, _ client: SocketClient) {
        conversation.request = .polling(client.id, fields: request.fields)
        client.poll = conversation.exchangeID
    }

    /// Answers the open poll.
    func answerPoll(_ client: SocketClient, _ text: SharedBytes, at now: Instant) {
        guard let poll = client.poll else { return }
        client.poll = nil
        guard case .http(let conversation) = context.conversation(poll.connection), conversation.number == poll.number,
            case .polling(_, let fields) = conversation.request
        else { return }
        context.metrics.pollsAnswered += 1
        context.text.removeAll()
        context.text.append(text)
        responses.respond(conversation, .ok, contentType: "text/plain; charset=UTF-8", fields: fields, at: now)
        context.resumable.append(conversation.id)
    }

    /// The connection of a poll is gone.
    func pollLost(_ id: EngineID, by conversation: HTTPConversation, at now: Instant) {
        guard let client = client(id), client.poll == conversation.exchangeID else { return }
        client.poll = nil
        client.session.pollLost(workspace)
        perform(client, at: now)
    }

    // MARK: Refusals, and what pages of other origins may read

    private func refuse(
        _ conversation: HTTPConversation, _ refusal: SocketRefusal, _ fields: SharedBytes = .empty, at now: Instant
    ) -> Reception {
        answer(conversation, refusal, fields, at: now)
        return .taken
    }

    /// A body that no session takes ends its session, as one does that breaks the protocol.
    private func refuseTooLarge(
        _ conversation: HTTPConversation, _ client: SocketClient?, _ fields: SharedBytes, at now: Instant
    ) -> Reception {
        answer(conversation, .tooLarge, fields, at: now)
        if let client { close(client, at: now) }
        return .taken
    }

    private func answer(_ conversation: HTTPConversation, _ refusal: SocketRefusal, _ fields: SharedBytes, at now: Instant) {
        context.text.removeAll()
        context.text.append(refusal.text)
        responses.respond(conversation, refusal.status, fields: fields, at: now)
    }

    /// What a browser asks before a request that its page makes unusual (the Fetch standard, "CORS protocol").
    private func answerPreflight(_ conversation: HTTPConversation, _ fields: SharedBytes, at now: Instant) -> Reception {
        context.text.removeAll()
        responses.respond(conversation, .noContent, allow: "GET, POST, OPTIONS", extra: SocketService.preflight, fields: fields, at: now)
        return .taken
    }

    private static var preflight: StaticString {
        """
        Access-Control-Allow-Methods: GET, POST\r
        Access-Control-Allow-Headers: Content-Type, Authorization\r
        Access-Control-Max-Age: 600\r

        """
    }

    private static let anyOrigin = SharedBytes("Access-Control-Allow-Origin: *\r\n")

    /// - Parameter origin: one that was allowed: a field's value, without line feeds.
    private static func allow(_ origin: Span<UInt8>) -> SharedBytes {
        var fields = ByteWriter(capacity: 128)
        fields.append("Access-Control-Allow-Origin: ")
        fields.append(origin)
        fields.append("\r\nAccess-Control-Allow-Credentials: true\r\nVary: Origin\r\n")
        return fields.take()
    }

    // MARK: WebSockets

    /// A WebSocket is open for a session.
    ///
    /// - Returns: the session that it belongs to; nil where it has none, and is closed.
    func opened(
        _ conversation: WebSocketConversation, _ entry: SocketEntry, from peer: PeerAddress, at now: Instant
    ) -> SocketClient? {
        guard let id = entry.client else {
            guard let client = enter(
                entry.door, .webSocket, entry.identity, omitsOffset: entry.namesTransportFirst, from: peer, at: now)
            else {
                sender.close(conversation, .overloaded)
                return nil
            }
            client.webSocket = conversation.id
            perform(client, at: now)
            return client
        }
        guard let client = client(id) else {
            sender.close(conversation, .sessionOver)
            return nil
        }
        do throws(EngineError) {
            try client.session.webSocketAttached(at: now, workspace)
        } catch {
            sender.close(conversation, .sessionOver)
            return nil
        }
        client.webSocket = conversation.id
        perform(client, at: now)
        return client
    }

    /// A message came over a WebSocket.
    func received(
        _ kind: MessageKind, _ bytes: Span<UInt8>, from client: SocketClient, _ conversation: WebSocketConversation, at now: Instant
    ) {
        guard client.webSocket == conversation.id else { return }
        // What is no message is answered, or passed over, without being heard.
        let isMessage = kind == .binary || bytes.count > 0 && bytes[0] == EnginePacket.Kind.message.rawValue
        guard isMessage || admits(client, bytes: bytes.count, at: now) else { return }
        switch kind {
        case .text: client.session.received(text: bytes, at: now, workspace)
        case .binary: client.session.received(binary: bytes, workspace)
        }
        perform(client, bytes, at: now)
        noticeUpgrade(of: client, at: now)
    }

    /// A session that has moved to its WebSocket is reached there from now on.
    private func noticeUpgrade(of client: SocketClient, at now: Instant) {
        guard client.transport == .polling, client.session.transport == .webSocket, let id = client.webSocket else { return }
        client.transport = .webSocket
        countPoller(client, -1)
        context.metrics.socketUpgrades += 1
        guard let watcher = client.watcher else { return }
        monitor.move(watcher, client.format, target: id.raw, at: now)
    }

    /// A session's WebSocket is gone.
    func closed(_ conversation: WebSocketConversation, of client: SocketClient, at now: Instant) {
        guard client.webSocket == conversation.id else { return }
        client.webSocket = nil
        client.session.webSocketLost(workspace)
        perform(client, at: now)
    }
}

/// What a WebSocket's handshake asks for.
struct SocketEntry {
    let door: SocketDoor
    /// The session that is to move to it; nil for one that begins with it.
    let client: EngineID?
    let identity: Authentication.Identity
    let namesTransportFirst: Bool
}

extension SocketClient {
    /// In which form it gets what many get.
    var format: Format {
        switch transport {
        case .polling: .monitorPolled
        case .webSocket: omitsOffset ? .monitorBare : .monitor
        }
    }

    /// Where the hub sends what is for it.
    var target: UInt64 {
        switch transport {
        case .polling: id.raw
        case .webSocket: webSocket?.raw ?? 0
        }
    }
}
