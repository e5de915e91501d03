// CompletionService: requests of OpenAI's clients, from the order to the last byte: finds the group that has the model, waits for the
// task, and answers with its result or, where it is wanted in pieces, with a stream of them (HTML, "Server-sent events"). A stream's head
// goes out with its first piece or heartbeat: until then an error still has its status. Words are CompletionAPI's and CompletionStream's.
//
// Cost: a piece is written once by Fanout, and appended by reference; a stream holds nothing of its own. What its client does not read
// waits in the outbox, up to `queuedBytesMax`, and none of it can be left out: beyond that the stream ends with an error.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1

/// One request in OpenAI's words whose task is under way.
final class CompletionExchange {
    fileprivate enum Phase {
        /// It is answered at the end, with all of the result.
        case waiting
        /// It is a stream of which nothing has gone out.
        case silent
        /// Its head has gone out, in this form.
        case streaming(ResponseShape, hasPieces: Bool)
    }

    let task: TaskRecord
    /// Who asked.
    let principal: Principal
    fileprivate let endpoint: CompletionEndpoint
    fileprivate var phase: Phase
    /// Where it hears of pieces; nil where it does not.
    fileprivate var subscriber: SubscriberID?
    /// When a stream is to be looked at next.
    fileprivate(set) var deadline: Instant?
    /// What waited for it when it was looked at last, and how often in a row that was as much.
    fileprivate var standstill = (bytes: 0, beats: 0)

    fileprivate init(_ task: TaskRecord, of principal: Principal, _ endpoint: CompletionEndpoint, _ phase: Phase) {
        self.task = task
        self.principal = principal
        self.endpoint = endpoint
        self.phase = phase
    }
}

final class CompletionService {
    private let context: Context
    private let responses: Responses

    init(_ context: Context, responses: Responses) {
        self.context = context
        self.responses = responses
    }

    // MARK: Orders

    /// Takes an order in, and answers it once its task has ended, or as its pieces come.
    func submit(
        _ conversation: HTTPConversation, _ order: Order, _ endpoint: CompletionEndpoint, of principal: Principal, at now: Instant
    ) {
        var submission = order.submission
        let known = submission.idempotencyKey.flatMap { context.broker.task(underKey: $0) }
        if known == nil, submission.group == nil, let model = submission.model {
            switch context.broker.place(for: model) {
            case .group(let name): submission.group = name
            case .nowhere where !isDeployed(model):
                context.text.removeAll()
                CompletionAPI.writeUnknownModel(model, to: &context.text)
                return responses.respond(conversation, .notFound, at: now)
            case .nowhere, .deserted: return refuse(conversation, .noWorker, at: now)
            }
        }
        do throws(SubmissionRefusal) {
            let task = try context.broker.submit(submission, for: .ended(conversation.exchangeID), at: context.moment(now))
            let exchange = CompletionExchange(task, of: principal, endpoint, order.isStreamed ? .silent : .waiting)
            conversation.request = .completing(exchange)
            guard task.outcome == nil else { return conclude(conversation, exchange, at: now) }
            guard order.isStreamed else { return }
            exchange.deadline = now + context.limits.pingInterval
            // Who comes to a task that another began cannot have its first pieces, and gets the whole at the end.
            if known == nil { listen(exchange, conversation) }
        } catch {
            refuse(conversation, error, at: now)
        }
    }

    private func listen(_ exchange: CompletionExchange, _ conversation: HTTPConversation) {
        let hub = context.broker.hub
        guard let subscriber = hub.enter(.completion, target: conversation.id.raw) else { return }
        exchange.subscriber = subscriber
        // It listens to one topic, and is there: neither refusal can be.
        _ = try? hub.subscribe(subscriber, to: .task(exchange.task.id), from: exchange.task.sequence)
    }

    /// Whether somebody registered the model, and it is only its worker that is missing.
    private func isDeployed(_ model: SharedBytes) -> Bool { context.monitor.deployments.contains { $0.form.modelID == model } }

    private func refuse(_ conversation: HTTPConversation, _ refusal: SubmissionRefusal, at now: Instant) {
        context.text.removeAll()
        let status = CompletionAPI.write(refusal, to: &context.text)
        // Stock clients try again by themselves, after as many seconds.
        let extra: StaticString = context.isDraining ? "" : "Retry-After: 1\r\n"
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .serviceUnavailable, extra: extra, at: now)
    }

    // MARK: Pieces

    /// Sends a piece behind those before it.
    func send(_ delivery: Delivery, _ exchange: CompletionExchange, to conversation: HTTPConversation) {
        let shape: ResponseShape
        switch exchange.phase {
        case .waiting: return
        case .silent: shape = begin(conversation, exchange, at: context.present)
        case .streaming(let begun, _): shape = begun
        }
        let waiting = context.outbox.queuedBytes(conversation.id)
        guard waiting <= context.limits.queuedBytesMax - delivery.bytes.count else { return giveUp(conversation, exchange, shape) }
        switch shape.version {
        case .http11:
            context.outbox.append(delivery.bytes, to: conversation.id)
            context.outbox.setShares(conversation.id, true)
        case .http10: context.outbox.append(delivery.bytes[delivery.first], to: conversation.id)
        }
        exchange.phase = .streaming(shape, hasPieces: true)
        context.metrics.messagesOut &+= 1
    }

    /// Writes the head.
    private func begin(_ conversation: HTTPConversation, _ exchange: CompletionExchange, at now: Instant) -> ResponseShape {
        let shape = responses.beginStream(conversation, fields: CompletionService.requestID(exchange.task.id), at: now)
        exchange.phase = .streaming(shape, hasPieces: false)
        return shape
    }

    /// OpenAI's clients show it as the request's name; here it is the task's.
    private static func requestID(_ id: TaskID) -> SharedBytes {
        guard id.name == nil else { return .empty }
        var field = ByteWriter(capacity: 64)
        field.append("X-Request-ID: ")
        id.write(to: &field)
        field.append("\r\n")
        return field.take()
    }

    // MARK: The end

    func taskEnded(_ conversation: HTTPConversation, _ exchange: CompletionExchange, _ task: TaskRecord, at now: Instant) {
        guard exchange.task === task else { return }
        conclude(conversation, exchange, at: now)
        context.resumable.append(conversation.id)
    }

    private func conclude(_ conversation: HTTPConversation, _ exchange: CompletionExchange, at now: Instant) {
        leave(exchange)
        context.text.removeAll()
        guard case .completed(let result) = exchange.task.outcome else {
            let status = CompletionAPI.writeFailure(of: exchange.task, &context.index, to: &context.text)
            return fail(conversation, exchange, HTTPStatus(rawValue: UInt16(status)) ?? .internalServerError, at: now)
        }
        switch exchange.phase {
        case .waiting:
            let value = result.isEmpty ? CompletionService.null : result
            responses.respond(
                conversation, .ok, fields: CompletionService.requestID(exchange.task.id), splice: Splice(offset: 0, value: value), at: now)
        case .silent: finish(conversation, exchange, begin(conversation, exchange, at: now), whole: result)
        case .streaming(let shape, let hasPieces): finish(conversation, exchange, shape, whole: hasPieces ? nil : result)
        }
    }

    private static let null = SharedBytes("null")

    /// - Parameter whole: the result, where none of it has gone out.
    private func finish(_ conversation: HTTPConversation, _ exchange: CompletionExchange, _ shape: ResponseShape, whole: SharedBytes?) {
        context.text.removeAll()
        if let whole { CompletionStream.writeWhole(whole, of: exchange.endpoint, &context.index, to: &context.text) }
        CompletionStream.writeDone(to: &context.text)
        responses.sendPiece(conversation, shape)
        responses.endStream(conversation, shape)
    }

    /// Answers with the error that stands in `context.text`: as an answer, or as a stream's last event.
    private func fail(_ conversation: HTTPConversation, _ exchange: CompletionExchange, _ status: HTTPStatus, at now: Instant) {
        guard case .streaming(let shape, _) = exchange.phase else { return responses.respond(conversation, status, at: now) }
        let error = context.text.seal()
        context.text.removeAll()
        CompletionStream.writeError(to: &context.text) { $0.append(error) }
        responses.sendPiece(conversation, shape)
        responses.endStream(conversation, shape)
    }

    /// Ends a stream that is read too slowly, and its task with it.
    private func giveUp(_ conversation: HTTPConversation, _ exchange: CompletionExchange, _ shape: ResponseShape) {
        context.metrics.bounds.count(.queuedBytes)
        context.log.debug("stream closed", ("connection", conversation.id), ("reason", "pieces are read too slowly" as StaticString))
        var last = shape
        last.keepsAlive = false
        exchange.phase = .streaming(last, hasPieces: true)
        closed(conversation, exchange, at: context.present)
        context.text.removeAll()
        CompletionAPI.writeError(503, "The stream is read too slowly", code: "slow_reader", to: &context.text)
        fail(conversation, exchange, .serviceUnavailable, at: context.present)
    }

    /// The server's time to stop has run out.
    func end(_ conversation: HTTPConversation, _ exchange: CompletionExchange, at now: Instant) {
        leave(exchange)
        context.broker.part(exchange.task, from: conversation.exchangeID, at: context.moment(now))
        context.text.removeAll()
        CompletionAPI.writeError(503, context.endWords, code: "shutting_down", to: &context.text)
        fail(conversation, exchange, .serviceUnavailable, at: now)
    }

    /// Its token was revoked: it ends, and its task as if its client had gone away.
    func breakOff(_ conversation: HTTPConversation, _ exchange: CompletionExchange, at now: Instant) {
        closed(conversation, exchange, at: now)
        guard case .streaming(var shape, _) = exchange.phase else { return responses.refuseRevoked(conversation, at: now) }
        shape.keepsAlive = false
        exchange.phase = .streaming(shape, hasPieces: true)
        context.text.removeAll()
        CompletionAPI.writeError(401, TokenProblem.revoked.words, code: "invalid_api_key", to: &context.text)
        fail(conversation, exchange, .unauthorized, at: now)
    }

    /// Nobody waits any more: a task that nobody else wants is cancelled, and its worker told.
    func closed(_ conversation: HTTPConversation, _ exchange: CompletionExchange, at now: Instant) {
        leave(exchange)
        context.broker.abandon(exchange.task, by: conversation.exchangeID, at: context.moment(now))
    }

    private func leave(_ exchange: CompletionExchange) {
        if let subscriber = exchange.subscriber { context.broker.hub.leave(subscriber) }
        exchange.subscriber = nil
    }

    /// The heartbeat of a stream: proxies and clients give up what is silent for long.
    func tick(_ conversation: HTTPConversation, _ exchange: CompletionExchange, at now: Instant) {
        exchange.deadline = now + context.limits.pingInterval
        let shape: ResponseShape
        switch exchange.phase {
        case .waiting: return
        case .silent: shape = begin(conversation, exchange, at: now)
        case .streaming(let begun, _): shape = begun
        }
        // Where something waits, a comment keeps nobody alive; a client that takes nothing of it is gone.
        let waiting = context.outbox.queuedBytes(conversation.id)
        if waiting > 0, case .streaming(_, true) = exchange.phase {
            exchange.standstill = (waiting, waiting == exchange.standstill.bytes ? exchange.standstill.beats + 1 : 0)
            if exchange.standstill.beats >= 2 { giveUp(conversation, exchange, shape) }
            return
        }
        context.text.removeAll()
        CompletionStream.writeHeartbeat(to: &context.text)
        responses.sendPiece(conversation, shape)
    }

    // MARK: Models

    func answerModels(_ conversation: HTTPConversation, at now: Instant) {
        context.text.removeAll()
        CompletionAPI.write(models, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    func answerModel(_ conversation: HTTPConversation, _ name: SharedBytes, at now: Instant) {
        context.text.removeAll()
        if let model = models.first(where: { $0.name == name }) {
            CompletionAPI.write(model, to: &context.text)
            responses.respond(conversation, .ok, at: now)
        } else {
            CompletionAPI.writeUnknownModel(name, to: &context.text)
            responses.respond(conversation, .notFound, at: now)
        }
    }

    /// What connected workers declare, and what is registered and runs.
    private var models: [ListedModel] {
        var models = context.broker.declaredModels.map { ListedModel(name: $0.name, createdAt: $0.since, owner: $0.group) }
        for deployment in context.monitor.deployments where deployment.source == .registered && deployment.status == .running {
            let name = deployment.form.modelID
            guard !models.contains(where: { $0.name == name }) else { continue }
            models.append(ListedModel(name: name, createdAt: deployment.createdAt, owner: CompletionService.registryOwner))
        }
        return models.sorted { $0.name.precedes($1.name) }
    }

    private static let registryOwner = SharedBytes("signalbox")
}
