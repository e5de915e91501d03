// Requests: what each route does. A head is judged before its content comes; a whole request is answered, given to the pool to be read, or
// kept until its task ends. Knows the status of every answer, and no byte of HTTP's syntax.
//
// Cost: a submission whose head and body came in one read is neither copied nor allocated for, but for what the domain keeps of it.
internal import Base
internal import Clients
internal import Dialects
internal import Domain
internal import HTTP1
internal import JSON

final class Requests {
    private let context: Context
    private let responses: Responses
    private let upgrades: Upgrades
    private let watching: WatchRequests
    private var hasWarnedOfEndlessTokens = false

    init(_ context: Context, responses: Responses, upgrades: Upgrades) {
        self.context = context
        self.responses = responses
        self.upgrades = upgrades
        watching = WatchRequests(context, responses: responses)
    }

    // MARK: Heads

    /// Acts upon a head: what is refused is refused now, before its body comes.
    func begin(
        _ conversation: HTTPConversation, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Instant
    ) -> Opening? {
        context.metrics.requests += 1
        let route = Routes.find(head, bytes, echoPath: context.settings.echoPath, scratch: &context.scratch)
        conversation.request = .none
        if let origin = head.value(.origin), head.method != .get && head.method != .head || head.first(.upgrade) != nil {
            let authority = bytes.extracting(head.authority ?? 0..<0)
            guard Origin.isAllowed(bytes.extracting(origin), authority: authority, allowed: context.settings.origins) else {
                responses.fail(conversation, .forbidden, "Origin not allowed", at: now)
                return nil
            }
        }
        let principal: Principal
        switch admission(to: route.surface, head, bytes, at: now) {
        case .admitted(let admitted): principal = admitted
        case .refused(let refusal):
            context.log.debug("request refused", ("reason", refusal.reason), ("peer", conversation.peer))
            // A browser can read a close code, but not the status of a refused handshake: documents G and N ask for 4003.
            if case .taskSocket = route { return upgrades.refuse(conversation, .unauthenticated, head, bytes, at: now) }
            responses.fail(conversation, refusal.status, refusal.words, extra: refusal.fields, at: now)
            return nil
        }
        switch route {
        case .notFound:
            responses.fail(conversation, .notFound, "Not found", at: now)
        case .unknownTask:
            responses.fail(conversation, .notFound, DispatchAPI.unknownTask, at: now)
        case .methodNotAllowed(let allow):
            responses.fail(conversation, .methodNotAllowed, "Method not allowed", allow: allow, at: now)
        case .options(let allow):
            responses.respond(conversation, .noContent, allow: allow, at: now)
        case .workerSocket, .echoSocket, .taskSocket:
            return upgrades.begin(conversation, route, principal, head, bytes, at: now)
        case .submit(_) where !isJSON(head, bytes):
            responses.fail(conversation, .unsupportedMediaType, "Content-Type must be application/json", at: now)
        case .submit, .task, .cancel, .gpuTask, .gpuConnections, .gpuStatistics, .health, .readiness, .metrics, .asset:
            let key = head.value(.idempotencyKey).map { SharedBytes(copying: bytes.extracting($0)) }
            conversation.request = .reading(route, key: key, principal)
            askForBody(conversation)
        }
        return nil
    }

    /// Who speaks, where the one may.
    private func admission(
        to surface: Surface?, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Instant
    ) -> Authentication.Admission {
        guard let surface else { return .admitted(.anonymous) }
        let authentication = context.settings.authentication
        let identity = authentication.identify(head, bytes, at: context.moment(now).wall, scratch: &context.scratch)
        let admission = authentication.admit(identity, to: surface)
        if case .admitted(let principal) = admission, principal.neverExpires, !hasWarnedOfEndlessTokens {
            hasWarnedOfEndlessTokens = true
            context.log.warning("a token without an end is used", ("user", principal.user))
        }
        return admission
    }

    /// A client that waits to be asked for its body is asked (RFC 9110 §10.1.1).
    private func askForBody(_ conversation: HTTPConversation) {
        guard conversation.exchange.expectsContinue else { return }
        context.outbox.write(to: conversation.id) { ResponseWriter.continued(into: &$0) }
        conversation.exchange.continued()
    }

    /// Whether the content may be read as JSON. One without a type is taken as it is: only browsers are bound by types, and they always
    /// tell their origin as well.
    private func isJSON(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
        guard let type = head.value(.contentType) else { return true }
        var end = type.lowerBound
        while end < type.upperBound, bytes[end] != UInt8(ascii: ";"), bytes[end] > UInt8(ascii: " ") { end += 1 }
        return bytes.equals("application/json", ignoringASCIICaseAt: type.lowerBound..<end)
    }

    // MARK: Whole requests

    func finish(_ conversation: HTTPConversation, whole body: inout ByteWriter, at now: Instant) {
        guard body.count > context.limits.inlineWorkBytes else { return finish(conversation, body.span, at: now) }
        guard case .reading(.submit(let form), let key, let principal) = conversation.request else {
            return finish(conversation, body.span, at: now)
        }
        review(conversation, body.take(), form, key: key, of: principal)
    }

    func finish(_ conversation: HTTPConversation, _ body: Span<UInt8>, at now: Instant) {
        guard case .reading(let route, let key, let principal) = conversation.request else { return }
        conversation.request = .none
        switch route {
        case .submit(let form):
            guard body.count <= context.limits.inlineWorkBytes else {
                return review(conversation, SharedBytes(copying: body), form, key: key, of: principal)
            }
            submit(conversation, read(body, form, key: key), form, of: principal, at: now)
        case .gpuTask(let id): watching.answerTask(conversation, id, to: principal, at: now)
        case .gpuConnections(let id): watching.answerConnections(conversation, of: id, to: principal, at: now)
        case .gpuStatistics: watching.answerStatistics(conversation, to: principal, at: now)
        case .task(let id): answerTask(conversation, id, to: principal, at: now)
        case .cancel(let id): cancel(conversation, id, for: principal, at: now)
        case .health: responses.respond(conversation, .ok, text: "{\"status\":\"ok\"}", at: now)
        case .readiness:
            if context.isDraining {
                responses.respond(conversation, .serviceUnavailable, text: "{\"status\":\"draining\"}", at: now)
            } else {
                responses.respond(conversation, .ok, text: "{\"status\":\"ready\"}", at: now)
            }
        case .metrics: answerMetrics(conversation, at: now)
        case .asset(let asset): answer(conversation, asset, at: now)
        case .workerSocket, .echoSocket, .taskSocket, .options, .methodNotAllowed, .notFound, .unknownTask:
            preconditionFailure("a request of this route was answered by its head")
        }
    }

    /// Lets the pool read a large body.
    private func review(
        _ conversation: HTTPConversation, _ body: SharedBytes, _ form: OrderForm, key: SharedBytes?, of principal: Principal
    ) {
        conversation.request = .reviewing(form, principal)
        context.jobs.append(Job(
            ticket: .request(conversation.id, number: conversation.number), work: .readOrder(body, form, key: key)))
    }

    private func read(_ body: Span<UInt8>, _ form: OrderForm, key: SharedBytes?) -> Result<Order, RequestProblem> {
        guard !body.isEmpty else { return .failure(.nothingToDo) }
        do throws(JSONError) {
            try context.index.build(from: body)
        } catch {
            return .failure(.malformed(error))
        }
        do throws(RequestProblem) {
            return .success(
                try form.read(body, context.index, key: key, limits: context.limits, scratch: &context.scratch))
        } catch {
            return .failure(error)
        }
    }

    /// The pool has read a body.
    func reviewed(_ conversation: HTTPConversation, number: UInt32, _ order: Result<Order, RequestProblem>, at now: Instant) {
        guard conversation.number == number, case .reviewing(let form, let principal) = conversation.request else { return }
        conversation.request = .none
        submit(conversation, order, form, of: principal, at: now)
    }

    private func submit(
        _ conversation: HTTPConversation, _ order: Result<Order, RequestProblem>, _ form: OrderForm, of principal: Principal,
        at now: Instant
    ) {
        switch order {
        case .failure(let problem):
            responses.fail(conversation, .badRequest, problem, at: now)
        case .success(let order) where order.submission.idempotencyKey?.count ?? 0 > context.limits.idempotencyKeyBytesMax:
            responses.fail(conversation, .badRequest, .outOfRange(
                member: "Idempotency-Key", expected: "at most \(context.limits.idempotencyKeyBytesMax) bytes long"), at: now)
        case .success(var order):
            order.submission.idempotencyKey = order.submission.idempotencyKey.map { principal.own($0) }
            order.submission.user = principal.user
            submit(conversation, order, form, at: now)
        }
    }

    private func submit(_ conversation: HTTPConversation, _ order: Order, _ form: OrderForm, at now: Instant) {
        context.text.removeAll()
        do throws(SubmissionRefusal) {
            let exchange = order.isAsync ? nil : conversation.exchangeID
            let task = try context.broker.submit(order.submission, for: exchange, at: context.moment(now))
            if task.outcome != nil, !order.isAsync {
                answerOutcome(conversation, task, at: now)
            } else if order.isAsync {
                form.writeAccepted(task, to: &context.text)
                responses.respond(conversation, .ok, at: now)
            } else {
                conversation.request = .waiting(task)
            }
        } catch {
            let status = DispatchAPI.write(error, to: &context.text)
            responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .serviceUnavailable, at: now)
        }
    }

    /// A task has ended that a request waited for.
    func taskEnded(_ conversation: HTTPConversation, number: UInt32, _ task: TaskRecord, at now: Instant) {
        guard conversation.number == number, case .waiting(let awaited) = conversation.request, awaited === task else { return }
        answerOutcome(conversation, task, at: now)
        context.resumable.append(conversation.id)
    }

    private func answerOutcome(_ conversation: HTTPConversation, _ task: TaskRecord, at now: Instant) {
        context.text.removeAll()
        let (status, splice) = DispatchAPI.writeOutcome(of: task, to: &context.text)
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .internalServerError, splice: splice, at: now)
    }

    private func answerTask(_ conversation: HTTPConversation, _ id: TaskID, to principal: Principal, at now: Instant) {
        context.text.removeAll()
        // What the one may not see is answered as what does not exist.
        guard let task = context.broker.task(id), principal.maySee(taskOwner: task.user, taskID: id) else {
            writeError(DispatchAPI.unknownTask, to: &context.text)
            return responses.respond(conversation, .notFound, at: now)
        }
        let splice = DispatchAPI.writeTask(task, position: context.broker.position(of: task), to: &context.text)
        responses.respond(conversation, .ok, splice: splice, at: now)
    }

    private func cancel(_ conversation: HTTPConversation, _ id: TaskID, for principal: Principal, at now: Instant) {
        context.text.removeAll()
        let isTheirs = context.broker.task(id).map { principal.mayActFor($0.user) } ?? false
        let cancellation = isTheirs ? context.broker.cancel(id, at: context.moment(now)) : .unknownTask
        let status = DispatchAPI.writeCancellation(cancellation, to: &context.text)
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .ok, at: now)
    }

    private func answerMetrics(_ conversation: HTTPConversation, at now: Instant) {
        context.text.removeAll()
        context.metrics.write(context.broker, queuedBytes: context.outbox.queuedBytes, version: context.settings.version, to: &context.text)
        responses.respond(conversation, .ok, contentType: "text/plain; version=0.0.4; charset=utf-8", at: now)
    }

    private func answer(_ conversation: HTTPConversation, _ asset: ClientAsset, at now: Instant) {
        context.text.removeAll()
        context.text.append(asset.content)
        responses.respond(conversation, .ok, contentType: asset.contentType, at: now)
    }
}

extension Principal {
    /// Between a user and a key: users' ids have no control characters, so that two pairs never make one text.
    private static let unitSeparator: UInt8 = 0x1f

    /// An idempotency key as it is remembered: it belongs to its user, and to everybody alike where nobody said who he is.
    func own(_ key: SharedBytes) -> SharedBytes {
        var text = ByteWriter(capacity: (user?.count ?? 0) + 1 + key.count)
        if let user { text.append(user) }
        text.append(Principal.unitSeparator)
        text.append(key)
        return text.take()
    }
}
