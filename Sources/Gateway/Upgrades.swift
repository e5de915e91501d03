// Upgrades: from a request to a WebSocket: the handshake, what was agreed on compression, whose role the socket takes. Says what a request
// is refused with, and writes the 101. RFC 6455 §4.2, RFC 9110 §7.8.
internal import Base
internal import Domain
internal import HTTP1
internal import WebSockets

/// What is known of a WebSocket before its request is whole.
struct Opening {
    enum Role {
        case echo
        case worker(group: SharedBytes, isExplicit: Bool)
    }

    let accept: AcceptKey
    let deflate: DeflateParameters?
    let role: Role
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
        _ conversation: HTTPConversation, _ route: Route, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Instant
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
            let accept = try Handshake.accept(
                upgrade: bytes.extracting(head.value(.upgrade) ?? 0..<0),
                connection: bytes.extracting(head.value(.connection) ?? 0..<0),
                version: bytes.extracting(head.value(.secWebSocketVersion) ?? 0..<0),
                key: bytes.extracting(head.value(.secWebSocketKey) ?? 0..<0))
            guard let role = readRole(conversation, route, head, bytes, at: now) else { return nil }
            let offer = head.value(.secWebSocketExtensions)
            let deflate = offer.flatMap { DeflateNegotiation.accept(bytes.extracting($0), context.settings.deflate) }
            return Opening(accept: accept, deflate: deflate, role: role)
        } catch {
            let status = HTTPStatus(rawValue: UInt16(truncatingIfNeeded: error.status)) ?? .badRequest
            let extra = status == .upgradeRequired ? upgradeFields : ""
            responses.fail(conversation, status, "Invalid WebSocket handshake", extra: extra, at: now)
            return nil
        }
    }

    /// RFC 9110 §15.5.22 asks for Upgrade in a 426, RFC 6455 §4.4 for the version.
    private var upgradeFields: StaticString { "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" }

    private func readRole(
        _ conversation: HTTPConversation, _ route: Route, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Instant
    ) -> Opening.Role? {
        guard case .workerSocket = route else { return .echo }
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
            guard let ready = try target.parameter("ready", in: bytes, into: &context.scratch) else {
                return .worker(group: group, isExplicit: false)
            }
            guard context.scratch.withSpan({ $0.equals("explicit", at: ready) }) else {
                responses.fail(conversation, .badRequest, "Invalid request: ready must be explicit, or left out", at: now)
                return nil
            }
            return .worker(group: group, isExplicit: true)
        } catch {
            responses.fail(conversation, error.status, error.sentence, at: now)
            return nil
        }
    }

    /// Writes the 101; from here on the connection speaks WebSocket.
    func finish(_ conversation: HTTPConversation, _ opening: Opening, at now: Instant) -> WebSocketConversation {
        context.outbox.write(to: conversation.id) { writer in
            do throws(HandshakeError) {
                try Handshake.writeResponse(opening.accept, subprotocol: Span(), deflate: opening.deflate, to: &writer)
            } catch {
                preconditionFailure("a response without a subprotocol has none to refuse: \(error)")
            }
        }
        conversation.exchange.upgraded()
        context.disarm(conversation.timer)
        let role: WebSocketConversation.Role
        switch opening.role {
        case .echo:
            role = .echo
        case .worker(let group, let isExplicit):
            role = .worker(context.broker.workerConnected(
                group: group, connection: conversation.id, isExplicit: isExplicit, at: context.moment(now)))
        }
        return WebSocketConversation(
            id: conversation.id, peer: conversation.peer, role: role, deflate: opening.deflate, at: now)
    }
}
