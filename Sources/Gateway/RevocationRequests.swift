// RevocationRequests: tokens that are refused before their end: revoked by an admin, or by the user whose they are, who leaves; listed, and
// forgotten again. A revocation holds at once, and whatever such a token opened is closed in the same step; it is answered once it is
// written down.
//
// Cost: a revocation looks at every connection and session once, 0.1 µs each; where nobody's tokens are revoked nobody else pays anything.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1
internal import JSON
internal import WebSockets

final class RevocationRequests {
    private let context: Context
    private let responses: Responses
    private let eventStreams: EventStreamService
    private let completions: CompletionService
    private let hubClients: HubService
    private let sockets: SocketService

    /// Bytes of a body that is read: more than any user's name has, every letter escaped.
    private static let bodyBytesMax = 4 << 10

    init(
        _ context: Context, responses: Responses, eventStreams: EventStreamService, completions: CompletionService,
        hubClients: HubService, sockets: SocketService
    ) {
        self.context = context
        self.responses = responses
        self.eventStreams = eventStreams
        self.completions = completions
        self.hubClients = hubClients
        self.sockets = sockets
    }

    func answer(
        _ conversation: HTTPConversation, _ route: Route.OfRevocations, _ body: Span<UInt8>, to principal: Principal, at now: Instant
    ) {
        switch route {
        case .list(let query): answerList(conversation, query, at: now)
        case .revoke: revoke(conversation, body, for: principal, at: now)
        case .logOut: logOut(conversation, principal, at: now)
        case .forget(let user): forget(conversation, user, for: principal, at: now)
        }
    }

    private func answerList(_ conversation: HTTPConversation, _ query: QueryText, at now: Instant) {
        do throws(HTTPError) {
            let (limit, cursor) = (try query.value(of: "limit"), try query.value(of: "cursor"))
            do throws(RequestProblem) {
                let question = try RevocationAPI.readQuestion(limit: limit, cursor: cursor)
                let page = context.revocations.page(before: question.before, limit: question.limit)
                context.text.removeAll()
                RevocationAPI.write(page.revocations, hasMore: page.hasMore, to: &context.text)
                responses.respond(conversation, .ok, at: now)
            } catch {
                responses.fail(conversation, .badRequest, error, at: now)
            }
        } catch {
            responses.fail(conversation, error.status, error.sentence, at: now)
        }
    }

    // MARK: Revoked

    private func revoke(_ conversation: HTTPConversation, _ body: Span<UInt8>, for principal: Principal, at now: Instant) {
        guard body.count <= RevocationRequests.bodyBytesMax else {
            return responses.fail(conversation, .contentTooLarge, "The body is too large", at: now)
        }
        let wall = context.moment(now).wall
        do throws(RequestProblem) {
            do throws(JSONError) {
                try context.index.build(from: body)
            } catch {
                throw .malformed(error)
            }
            let order = try RevocationAPI.readOrder(body, context.index, at: wall, scratch: &context.scratch)
            revoke(conversation, order.user, before: order.before ?? wall.seconds, by: principal.user, at: now)
        } catch {
            responses.fail(conversation, .badRequest, error, at: now)
        }
    }

    /// The user is done with all the tokens that there are, the one that says so among them, however far its issuer's clock is ahead.
    private func logOut(_ conversation: HTTPConversation, _ principal: Principal, at now: Instant) {
        guard let user = principal.user else {
            return responses.fail(conversation, .badRequest, "Nobody is logged in where no token is asked for", at: now)
        }
        let present = context.moment(now).wall.seconds
        revoke(conversation, user, before: max(present, principal.issuedAt?.seconds ?? present), by: user, at: now)
    }

    private func revoke(
        _ conversation: HTTPConversation, _ user: SharedBytes, before: Int64, by revoker: SharedBytes?, at now: Instant
    ) {
        guard hasRoom(conversation, at: now) else { return }
        do throws(RevocationRefusal) {
            let revocation = try context.revocations.revoke(user, before: before, by: revoker, at: context.moment(now).wall)
            context.metrics.revocations = context.revocations.count
            context.recorder.append(.revoked(revocation))
            let closed = closeRevoked(at: now)
            context.metrics.revokedConnections += UInt64(closed)
            context.log.info(
                "tokens revoked", ("user", user), ("before", Int(revocation.before)), ("by", revoker), ("closed", closed))
            conversation.request = .storing(.revoked(revocation, closed: closed))
            context.recorder.request(.receipt(conversation.exchangeID))
        } catch {
            refuse(conversation, error, at: now)
        }
    }

    /// Closes what was opened with tokens that are refused now.
    ///
    /// - Returns: how many sockets, streams, waiting requests and sessions there were.
    private func closeRevoked(at now: Instant) -> Int {
        var count = 0
        for conversation in context.allConversations {
            switch conversation {
            case .webSocket(let conversation):
                guard context.revocations.covers(conversation.principal), conversation.socket.closing == .open else { continue }
                hubClients.sender.close(conversation, .revoked)
                count += 1
            case .http(let conversation):
                if breakOff(conversation, at: now) { count += 1 }
            case .probe: break
            }
        }
        return count + hubClients.dropRevoked() + sockets.dismissRevoked(at: now)
    }

    /// Ends the request of a token that is refused now: a stream, and one that waits for the end of its task, which is cancelled as if
    /// the client had gone away.
    ///
    /// - Returns: whether there was one.
    private func breakOff(_ conversation: HTTPConversation, at now: Instant) -> Bool {
        switch conversation.request {
        case .streaming(let watcher):
            guard context.revocations.covers(watcher.principal) else { return false }
            eventStreams.breakOff(conversation, watcher)
        case .completing(let exchange):
            guard context.revocations.covers(exchange.principal) else { return false }
            completions.breakOff(conversation, exchange, at: now)
        case .waiting(let task, let principal):
            guard context.revocations.covers(principal) else { return false }
            context.broker.abandon(task, by: conversation.exchangeID, at: context.moment(now))
            responses.refuseRevoked(conversation, at: now)
        // What is being read is looked at once more when it is whole; what was promised is kept, and told.
        case .none, .reading, .reviewing, .hearing, .storing, .inquiring, .engaging: return false
        // Its session ends with the others.
        case .polling: return false
        }
        return true
    }

    // MARK: Forgotten

    private func forget(_ conversation: HTTPConversation, _ user: SharedBytes?, for principal: Principal, at now: Instant) {
        guard let user else { return refuse(conversation, .unknown, at: now) }
        guard hasRoom(conversation, at: now) else { return }
        do throws(RevocationRefusal) {
            try context.revocations.forget(user)
            context.metrics.revocations = context.revocations.count
            context.recorder.append(.revocationRemoved(user))
            context.log.info("revocation forgotten", ("user", user), ("by", principal.user))
            conversation.request = .storing(.revocationRemoved(user))
            context.recorder.request(.receipt(conversation.exchangeID))
        } catch {
            refuse(conversation, error, at: now)
        }
    }

    // MARK: What was waited for

    /// The revocation is written down.
    func answerRevoked(_ conversation: HTTPConversation, _ revocation: Revocation, closed: Int, at now: Instant) {
        context.text.removeAll()
        RevocationAPI.write(revocation, closed: closed, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    /// The revocation's end is written down.
    func answerRemoved(_ conversation: HTTPConversation, _ user: SharedBytes, at now: Instant) {
        context.text.removeAll()
        RevocationAPI.writeRemoved(user, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    /// Whether there is room for what would have to be written; where there is none, the request is refused.
    private func hasRoom(_ conversation: HTTPConversation, at now: Instant) -> Bool {
        guard context.isDiskOverfull else { return true }
        responses.fail(conversation, .serviceUnavailable, "Revocation could not be stored", at: now)
        return false
    }

    private func refuse(_ conversation: HTTPConversation, _ refusal: RevocationRefusal, at now: Instant) {
        context.text.removeAll()
        let status = RevocationAPI.write(refusal, to: &context.text)
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .internalServerError, at: now)
    }
}

extension Context {
    /// Who somebody is, unless his token was revoked.
    func screen(_ identity: Authentication.Identity) -> Authentication.Identity {
        guard case .principal(let principal) = identity, revocations.covers(principal) else { return identity }
        metrics.revokedTokens += 1
        return .refused(.revoked)
    }
}
