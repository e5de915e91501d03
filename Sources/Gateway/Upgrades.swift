// Upgrades: from a request to a WebSocket: the handshake, what was agreed on compression, whose role the socket takes. Says what a request
// is refused with, and writes the 101. RFC 6455 §4.2, RFC 9110 §7.8.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1
internal import WebSockets

/// What is known of a WebSocket before its request is whole.
struct Opening {
    enum Role {
        case echo
        case worker(group: SharedBytes, isExplicit: Bool, resuming: WorkerID?)
        case taskWatcher(TaskID, after: UInt64?)
        case userWatcher(SharedBytes)
        case hubClient(HubRequest)
        case producer
        case dashboard
        case socket(SocketEntry)
        case refused(CloseReason)
    }

    let accept: AcceptKey
    let deflate: DeflateParameters?
    let role: Role
    let principal: Principal
    /// One that the client offered.
    let subprotocol: SharedBytes?
}

final class Upgrades {
    private let context: Context
    private let responses: Responses

    init(_ context: Context, responses: Responses) {
        self.context = context
        self.responses = responses
    }

    /// Reads a handshake; one that is refused is answered.
    func begin(
        _ conversation: HTTPConversation, _ route: Route, _ principal: Principal, _ head: borrowing RequestHead, _ bytes: Span<UInt8>,
        at now: Instant
    ) -> Opening? {
        begin(conversation, principal, head, bytes, at: now) { readRole(conversation, route, principal, head, bytes, at: now) }
    }

    /// Opens a WebSocket only to say why it is closed.
    func refuse(
        _ conversation: HTTPConversation, _ reason: CloseReason, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Instant
    ) -> Opening? {
        begin(conversation, .anonymous, head, bytes, at: now) { .refused(reason) }
    }

    /// Reads the handshake of a session of Engine.IO.
    func begin(
        _ conversation: HTTPConversation, _ entry: SocketEntry, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Instant
    ) -> Opening? {
        begin(conversation, .anonymous, head, bytes, at: now) { .socket(entry) }
    }

    private func begin(
        _ conversation: HTTPConversation, _ principal: Principal, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Instant,
        _ readRole: () -> Opening.Role?
    ) -> Opening? {
        guard conversation.exchange.offersUpgrade, head.method == .get else {
            responses.fail(conversation, .upgradeRequired, "A WebSocket handshake is expected", extra: upgradeFields, at: now)
            return nil
        }
        guard !context.isDraining else {
            responses.fail(conversation, .serviceUnavailable, "Server is shutting down", at: now)
            return nil
        }
        do throws(HandshakeError) {
            // §4.2.1 asks for one key; two would be two handshakes.
            guard !head.repeats(.secWebSocketKey) else { throw .badKey }
            let accept = try Handshake.accept(
                upgrade: bytes.extracting(line(of: .upgrade, naming: "websocket", head, bytes)),
                connection: bytes.extracting(line(of: .connection, naming: "upgrade", head, bytes)),
                version: bytes.extracting(head.value(.secWebSocketVersion) ?? 0..<0),
                key: bytes.extracting(head.value(.secWebSocketKey) ?? 0..<0))
            guard let role = readRole() else { return nil }
            let offer = head.value(.secWebSocketExtensions)
            let deflate = offer.flatMap { DeflateNegotiation.accept(bytes.extracting($0), context.settings.deflate) }
            // Also where no token is asked for: a page that sends one would not get its socket without the name.
            let subprotocol = BearerSubprotocol(head, bytes).map { _ in BearerSubprotocol.name }
            return Opening(accept: accept, deflate: deflate, role: role, principal: role.speaker(principal), subprotocol: subprotocol)
        } catch {
            let status = HTTPStatus(rawValue: UInt16(truncatingIfNeeded: error.status)) ?? .badRequest
            let extra = status == .upgradeRequired ? upgradeFields : ""
            responses.fail(conversation, status, "Invalid WebSocket handshake", extra: extra, at: now)
            return nil
        }
    }

    /// The line of a field that lists `member`, else its first: a list may stand on several lines (RFC 9110 §5.3).
    private func line(
        of name: FieldName, naming member: StaticString, _ head: borrowing RequestHead, _ bytes: Span<UInt8>
    ) -> Range<Int> {
        var index = head.first(name)
        while let at = index {
            if Handshake.names(member, bytes.extracting(head[at].value)) { return head[at].value }
            index = head.next(at)
        }
        return head.value(name) ?? 0..<0
    }

    /// RFC 9110 §15.5.22 asks for Upgrade in a 426, RFC 6455 §4.4 for the version.
    private var upgradeFields: StaticString { "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" }

    private func readRole(
        _ conversation: HTTPConversation, _ route: Route, _ principal: Principal, _ head: borrowing RequestHead, _ bytes: Span<UInt8>,
        at now: Instant
    ) -> Opening.Role? {
        switch route {
        case .workerSocket: return readWorker(conversation, principal, head, bytes, at: now)
        case .taskSocket(let id): return readWatcher(conversation, of: id, principal, head, bytes, at: now)
        case .userSocket(let user): return readUser(user, principal)
        case .producerSocket: return .producer
        case .hubSocket: return readHub(conversation, principal, head, bytes, at: now)
        case .echoSocket: return .echo
        case .dashboard(.socket): return .dashboard
        case .submit, .task, .cancel, .letters, .letter, .removeLetter, .replayLetter, .replayLetters, .gpuTask, .gpuConnections,
            .gpuStatistics, .userTask, .userTasks, .removeTask, .report, .reports, .progress, .history, .storedHistory, .clearHistory,
            .subscribe, .unsubscribe, .progressStatistics, .activeClients, .hubStatistics, .eventStream, .engine, .deployments,
            .createDeployment, .deployment, .updateDeployment, .removeDeployment, .actOnDeployment, .activities, .postActivity, .alerts,
            .fleet, .dashboard(.drain), .revocations, .health, .readiness, .metrics, .asset, .options, .methodNotAllowed, .notFound,
            .unknownTask, .models, .model:
            preconditionFailure("only a socket's route is upgraded")
        }
    }

    /// Document N: another user's socket is refused like a wrong token.
    private func readUser(_ user: SharedBytes?, _ principal: Principal) -> Opening.Role {
        guard let user, principal.mayActFor(user) else { return .refused(.unauthenticated) }
        return .userWatcher(user)
    }

    /// Document P: who the client is, what it was called before, and how it wants its messages.
    private func readHub(
        _ conversation: HTTPConversation, _ principal: Principal, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Instant
    ) -> Opening.Role? {
        do throws(HTTPError) {
            let query = QueryText(of: head.target, in: bytes)
            let batch = try query.value(of: "batch")
            guard batch == nil || batch == HubRequest.batchedWord else {
                responses.fail(conversation, .badRequest, "Invalid request: batch must be ndjson, or left out", at: now)
                return nil
            }
            let user = try query.value(of: "user_id").flatMap { $0.isEmpty ? nil : $0 }
            let project = try query.value(of: "project_id").flatMap { $0.isEmpty ? nil : $0 }
            for name in [user, project] where name.map({ TaskID($0.span) == nil }) ?? false {
                responses.fail(
                    conversation, .badRequest, "Invalid request: user_id and project_id are 1 to 200 bytes of printable text", at: now)
                return nil
            }
            // Who has a token is who it says; without one, on an open surface, the client's word is all there is.
            if let user, !principal.isAnonymous, !principal.mayActFor(user) { return .refused(.unauthenticated) }
            guard let seen = try query.value(of: "last_seq").map({ HubRequest.positions($0.span) }) ?? [:] else {
                responses.fail(conversation, .badRequest, "Invalid request: last_seq must be TASK:NUMBER,TASK:NUMBER,...", at: now)
                return nil
            }
            let agent = head.value(.userAgent).map { SharedBytes(copying: bytes.extracting($0)) } ?? .empty
            return .hubClient(HubRequest(
                // Where both are the same, one name in memory is enough.
                user: user == principal.user ? principal.user : user ?? principal.user, project: project,
                formerly: try query.value(of: "old_client_id").flatMap { ClientID($0.span) }, seen: seen, isBatched: batch != nil,
                agent: agent))
        } catch {
            responses.fail(conversation, error.status, error.sentence, at: now)
            return nil
        }
    }

    /// What the one may not see is answered as what does not exist.
    private func readWatcher(
        _ conversation: HTTPConversation, of id: TaskID?, _ principal: Principal, _ head: borrowing RequestHead, _ bytes: Span<UInt8>,
        at now: Instant
    ) -> Opening.Role? {
        guard let id, let task = context.broker.task(id), principal.maySee(taskOwner: task.user, taskID: id) else {
            return .refused(.unknownTask)
        }
        do throws(HTTPError) {
            guard let last = try head.target.parameter("last_seq", in: bytes) else { return .taskWatcher(id, after: nil) }
            guard let after = EventStreamDialect.position(bytes.extracting(last)) else {
                responses.fail(conversation, .badRequest, "Invalid request: last_seq must be a whole number", at: now)
                return nil
            }
            return .taskWatcher(id, after: after)
        } catch {
            responses.fail(conversation, error.status, error.sentence, at: now)
            return nil
        }
    }

    private func readWorker(
        _ conversation: HTTPConversation, _ principal: Principal, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Instant
    ) -> Opening.Role? {
        let target = head.target
        let scratch = context.scratch.count
        defer { context.scratch.truncate(to: scratch) }
        do throws(HTTPError) {
            var group = Broker.defaultGroup
            if let range = try target.parameter("group", in: bytes, into: &context.scratch), !range.isEmpty {
                guard range.count <= context.limits.nameBytesMax else {
                    responses.fail(conversation, .badRequest, "Invalid request: group is too long", at: now)
                    return nil
                }
                group = context.scratch.withSpan { SharedBytes(copying: $0.extracting(range)) }
            }
            guard principal.mayWork(in: group) else {
                let refusal = Refusal.group
                responses.fail(conversation, refusal.status, refusal.words, extra: refusal.fields, at: now)
                return nil
            }
            let former = try target.parameter("worker_id", in: bytes).flatMap { WorkerID(bytes.extracting($0)) }
            guard let ready = try target.parameter("ready", in: bytes, into: &context.scratch) else {
                return .worker(group: group, isExplicit: false, resuming: former)
            }
            guard context.scratch.withSpan({ $0.equals("explicit", at: ready) }) else {
                responses.fail(conversation, .badRequest, "Invalid request: ready must be explicit, or left out", at: now)
                return nil
            }
            return .worker(group: group, isExplicit: true, resuming: former)
        } catch {
            responses.fail(conversation, error.status, error.sentence, at: now)
            return nil
        }
    }

    /// Writes the 101; from here on the connection speaks WebSocket.
    func finish(_ conversation: HTTPConversation, _ opening: Opening, at now: Instant) -> WebSocketConversation {
        let subprotocol = opening.subprotocol ?? .empty
        context.outbox.write(to: conversation.id) { writer in
            do throws(HandshakeError) {
                try Handshake.writeResponse(opening.accept, subprotocol: subprotocol.span, deflate: opening.deflate, to: &writer)
            } catch {
                preconditionFailure("a subprotocol of ours is a token: \(error)")
            }
        }
        conversation.exchange.upgraded()
        if let note = conversation.note.take() { context.exchanges.end(note, .switchingProtocols, Span(), nil, at: now) }
        context.disarm(conversation.timer)
        let role: WebSocketConversation.Role
        switch opening.role {
        case .echo:
            role = .echo
        case .worker(let group, let isExplicit, let former):
            role = .worker(context.broker.workerConnected(
                group: group, connection: conversation.id, isExplicit: isExplicit, resuming: former, at: context.moment(now)))
        case .taskWatcher(let id, let after):
            role = .taskWatcher(TaskWatcher(task: id, after: after, at: context.moment(now)))
        case .userWatcher(let user):
            role = .userWatcher(UserWatcher(user: user))
        case .hubClient(let request):
            role = .hubClient(HubClient(request, from: conversation.peer))
        case .producer:
            role = .producer(Producer())
        case .dashboard:
            role = .dashboard(DashboardWatcher())
        case .socket(let entry):
            role = .socketClient(SocketSeat(entry))
        case .refused(let reason):
            role = .refused(reason)
        }
        return WebSocketConversation(
            id: conversation.id, role: role, principal: opening.principal, deflate: opening.deflate, at: now)
    }
}

extension Opening.Role {
    /// Who speaks on the socket: on an open surface a hub's client is whoever it says.
    fileprivate func speaker(_ principal: Principal) -> Principal {
        guard case .hubClient(let request) = self, principal == .anonymous, let user = request.user else { return principal }
        return .named(user)
    }
}
