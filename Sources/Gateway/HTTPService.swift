// HTTPService: bytes in, requests out: drives one exchange after the other of each HTTP conversation, keeps what came too early, runs the
// clocks of the phases. What a request asks for is Requests', what it is answered with is Responses'.
//
// Cost: a request that came in one read is looked at where it lies; only what a later read completes is copied.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1

final class HTTPService {
    /// What became of the bytes.
    enum Outcome {
        case taken
        /// The conversation goes on as a WebSocket; its bytes begin at the position.
        case upgraded(WebSocketConversation, at: Int)
    }

    private let context: Context
    private let responses: Responses
    private let upgrades: Upgrades
    private let requests: Requests
    private let sockets: SocketService
    let eventStreams: EventStreamService
    let completions: CompletionService
    private var head = RequestHead()

    init(
        _ context: Context, responses: Responses, producers: ProducerService, hubClients: HubService, eventStreams: EventStreamService,
        sockets: SocketService
    ) {
        self.context = context
        self.responses = responses
        self.sockets = sockets
        upgrades = Upgrades(context, responses: responses)
        self.eventStreams = eventStreams
        completions = CompletionService(context, responses: responses)
        requests = Requests(
            context, responses: responses, upgrades: upgrades, producers: producers, hubClients: hubClients, eventStreams: eventStreams,
            completions: completions, sockets: sockets)
    }

    // MARK: Bytes

    /// Takes what came on the connection.
    func received(_ conversation: HTTPConversation, _ bytes: Span<UInt8>, at now: Instant) -> Outcome {
        guard conversation.leftover.isEmpty else {
            conversation.leftover.append(bytes)
            return resume(conversation, at: now)
        }
        // Reading is paused; what was read before that waits.
        guard !conversation.isPaced else {
            conversation.leftover.append(bytes)
            return .taken
        }
        var position = 0
        let upgraded = process(conversation, bytes, &position, at: now)
        if let upgraded { return .upgraded(upgraded, at: position) }
        if position < bytes.count { conversation.leftover.append(bytes.extracting(position..<bytes.count)) }
        settle(conversation, at: now)
        return .taken
    }

    /// Takes what was left over, once nothing is in its way.
    func resume(_ conversation: HTTPConversation, at now: Instant) -> Outcome {
        guard !conversation.isPaced else { return .taken }
        var position = 0
        let upgraded = conversation.leftover.withSpan { process(conversation, $0, &position, at: now) }
        if let upgraded { return .upgraded(upgraded, at: position) }
        conversation.leftover.consume(position)
        settle(conversation, at: now)
        return .taken
    }

    /// One that sent requests too fast is heard again.
    func rested(_ conversation: HTTPConversation) {
        conversation.isPaced = false
        context.resumable.append(conversation.id)
    }

    /// Whether the connection has sent requests too fast and is not to be heard for a moment.
    private func hasToRest(_ conversation: HTTPConversation, at now: Instant) -> Bool {
        guard !conversation.pace.isOpen(context.requestPace, at: now) else { return false }
        context.metrics.bounds.count(.requestsPerSecond)
        conversation.isPaced = true
        context.pause(conversation.id, context.requestPace, at: now)
        return true
    }

    /// A request that asks for more memory where there is too much unfinished already is refused.
    private func countInput(_ conversation: HTTPConversation, at now: Instant) {
        let held = conversation.leftover.count + (conversation.body?.count ?? 0)
        guard held != Int(conversation.inputCounted), !context.countInput(held, &conversation.inputCounted) else { return }
        switch conversation.exchange.phase {
        case .readingHead, .readingBody: break
        // What came behind a request that is being answered has a bound of its own.
        case .idle, .awaitingResponse, .upgraded, .closed: return
        }
        context.metrics.bounds.count(.inputMemory)
        conversation.exchange.stopReading()
        conversation.leftover = ByteQueue()
        responses.turnAway(conversation, HTTPService.inputOverfull, at: now)
        _ = context.countInput(0, &conversation.inputCounted)
    }

    private static let inputOverfull: StaticString = "Too much unfinished input on this server"

    /// Reads on only as far as later requests may wait, and starts the clock of the phase.
    private func settle(_ conversation: HTTPConversation, at now: Instant) {
        countInput(conversation, at: now)
        let phase = conversation.exchange.phase
        switch phase {
        case .awaitingResponse:
            if conversation.leftover.count > context.limits.pipelinedBytesMax { context.outbox.pauseReading(conversation.id) }
        case .idle, .readingHead, .readingBody, .upgraded, .closed:
            if !conversation.isPaced { context.outbox.resumeReading(conversation.id) }
        }
        // One read may end a request and begin the next one: the same phase, and another clock.
        if phase != conversation.timedPhase || conversation.number != conversation.timedNumber || phase == .idle {
            conversation.timedPhase = phase
            conversation.timedNumber = conversation.number
            conversation.phaseStarted = now
            conversation.bodyNoted = 0
        }
        guard let deadline = deadline(of: conversation), deadline < conversation.armedUntil else { return }
        arm(conversation, at: deadline)
    }

    private func process(
        _ conversation: HTTPConversation, _ bytes: Span<UInt8>, _ position: inout Int, at now: Instant
    ) -> WebSocketConversation? {
        var piece: Range<Int>?
        var opening: Opening?
        while true {
            if context.requestPace.isBounded, position < bytes.count, conversation.exchange.phase == .idle,
                hasToRest(conversation, at: now) {
                return nil
            }
            let event: ServerExchange.Event
            do throws(HTTPError) {
                event = try conversation.exchange.next(bytes, &position, head: &head, limits: context.httpLimits)
            } catch {
                context.metrics.requestsMalformed += 1
                responses.refuse(conversation, error, at: now)
                return nil
            }
            switch event {
            case .needMore:
                if let piece { collect(conversation, bytes.extracting(piece)) }
                return nil
            case .head:
                _ = conversation.pace.admits(context.requestPace, at: now)
                guard context.stage != .handedOver else {
                    responses.fail(conversation, .serviceUnavailable, context.endWords, at: now)
                    break
                }
                opening = requests.begin(conversation, head, bytes, at: now)
            case .body(let range):
                // The first piece stays where it is as long as no second one comes: mostly it is the whole.
                guard conversation.takesBody else { break }
                if conversation.body == nil, piece == nil {
                    piece = range
                } else {
                    if let first = piece { collect(conversation, bytes.extracting(first)) }
                    piece = nil
                    collect(conversation, bytes.extracting(range))
                }
            case .end:
                if let opening { return upgrades.finish(conversation, opening, at: now) }
                if var collected = conversation.body.take() {
                    if let piece { collected.append(bytes.extracting(piece)) }
                    conversation.note?.took(collected.span)
                    requests.finish(conversation, whole: &collected, at: now)
                } else {
                    conversation.note?.took(bytes.extracting(piece ?? 0..<0))
                    requests.finish(conversation, bytes.extracting(piece ?? 0..<0), at: now)
                }
                piece = nil
            case .paused, .upgraded, .closed:
                return nil
            }
        }
    }

    private func collect(_ conversation: HTTPConversation, _ piece: Span<UInt8>) {
        if conversation.body == nil { conversation.body = ByteWriter(capacity: piece.count * 2) }
        conversation.body?.append(piece)
    }

    // MARK: What comes home

    /// The pool has read a body.
    func reviewed(_ conversation: HTTPConversation, number: UInt32, _ order: Result<Order, RequestProblem>, at now: Instant) {
        requests.reviewed(conversation, number: number, order, at: now)
    }

    func reviewed(_ conversation: HTTPConversation, number: UInt32, _ event: Result<ProducerEvent, RequestProblem>, at now: Instant) {
        requests.reviewed(conversation, number: number, event, at: now)
    }

    func reviewed(_ conversation: HTTPConversation, number: UInt32, _ words: Result<[ProducerWord], RequestProblem>, at now: Instant) {
        requests.reviewed(conversation, number: number, words, at: now)
    }

    /// What a request asked for is written down, or never will be.
    func stored(_ conversation: HTTPConversation, number: UInt32, at now: Instant) {
        requests.stored(conversation, number: number, at: now)
    }

    /// The journal has answered what a request asked it for.
    func found(_ conversation: HTTPConversation, number: UInt32, _ content: Finding.Content, at now: Instant) {
        requests.found(conversation, number: number, content, at: now)
    }

    /// A task has ended that a request waited for.
    func taskEnded(_ conversation: HTTPConversation, number: UInt32, _ task: TaskRecord, at now: Instant) {
        requests.taskEnded(conversation, number: number, task, at: now)
    }

    // MARK: Time

    func opened(_ conversation: HTTPConversation, at now: Instant) {
        context.outbox.setAnswersItself(conversation.id, true)
        arm(conversation, at: now + context.limits.headTimeout)
    }

    private func arm(_ conversation: HTTPConversation, at deadline: Instant) {
        context.disarm(conversation.timer)
        conversation.timer = context.arm(conversation.id, at: deadline)
        conversation.armedUntil = deadline
    }

    /// When the phase must be over, or a stream is to be looked at; nil where the server itself is awaited.
    private func deadline(of conversation: HTTPConversation) -> Instant? {
        let limits = context.limits
        if case .streaming(let watcher) = conversation.request { return watcher.deadline }
        if case .completing(let exchange) = conversation.request { return exchange.deadline }
        switch conversation.exchange.phase {
        case .idle: return conversation.phaseStarted + (conversation.number == 0 ? limits.headTimeout : limits.keepAliveTimeout)
        case .readingHead: return conversation.phaseStarted + limits.headTimeout
        case .readingBody: return conversation.phaseStarted + limits.headTimeout
        case .awaitingResponse, .upgraded, .closed: return nil
        }
    }

    /// What a body's bytes since the last look are worth in time, and no more than a grace: whoever sent much may not stop behind it.
    private func earned(_ conversation: HTTPConversation) -> TimeSpan? {
        let body = conversation.body?.count ?? 0
        let seconds = (body - conversation.bodyNoted) / max(context.limits.bodyBytesPerSecondMin, 1)
        conversation.bodyNoted = body
        return seconds > 0 ? min(.seconds(Int64(seconds)), context.limits.headTimeout) : nil
    }

    /// The conversation's timer has run out: for a phase that is over it is set anew.
    func timerDue(_ conversation: HTTPConversation, at now: Instant) {
        conversation.timer = nil
        if let look = nextLook(at: conversation, at: now) { return arm(conversation, at: look) }
        guard let deadline = deadline(of: conversation) else {
            return arm(conversation, at: now + context.limits.keepAliveTimeout)
        }
        guard deadline <= now else { return arm(conversation, at: deadline) }
        if case .readingBody = conversation.exchange.phase, let more = earned(conversation) {
            conversation.phaseStarted = now + TimeSpan(nanoseconds: more.nanoseconds - context.limits.headTimeout.nanoseconds)
            return arm(conversation, at: now + more)
        }
        if case .streaming(let watcher) = conversation.request {
            eventStreams.tick(conversation, watcher, at: now)
            settle(conversation, at: now)
            return arm(conversation, at: self.deadline(of: conversation) ?? now + context.limits.keepAliveTimeout)
        }
        if case .completing(let exchange) = conversation.request {
            completions.tick(conversation, exchange, at: now)
            settle(conversation, at: now)
            return arm(conversation, at: self.deadline(of: conversation) ?? now + context.limits.keepAliveTimeout)
        }
        context.metrics.requestsTimedOut += conversation.exchange.phase == .idle ? 0 : 1
        guard conversation.exchange.phase != .idle else {
            if conversation.number == 0 { context.metrics.bounds.count(.requestTime) }
            return responses.close(conversation)
        }
        conversation.exchange.stopReading()
        responses.refuse(conversation, .requestTimeout, at: now)
    }

    /// Where answers wait although nothing is awaited: gives the connection up if they are not read at the least pace of a body.
    ///
    /// - Returns: when to look again; nil where nobody has to.
    private func nextLook(at conversation: HTTPConversation, at now: Instant) -> Instant? {
        let limits = context.limits
        switch conversation.exchange.phase {
        case .idle: guard let deadline = deadline(of: conversation), deadline <= now else { return nil }
        case .closed: break
        case .readingHead, .readingBody, .awaitingResponse, .upgraded: return nil
        }
        let waiting = context.outbox.queuedBytes(conversation.id)
        defer { conversation.unsent = waiting > 0 ? (waiting, now) : nil }
        guard waiting > 0 else { return nil }
        if let before = conversation.unsent {
            let seconds = Double((now - before.at).nanoseconds) / 1e9
            if Double(before.bytes - waiting) < seconds * Double(limits.bodyBytesPerSecondMin) {
                context.metrics.answersUnread += 1
                context.outbox.abort(conversation.id)
            }
        }
        return now + limits.headTimeout
    }

    // MARK: The end

    /// The connection is gone; whoever waited on it no longer does.
    func closed(_ conversation: HTTPConversation, at now: Instant) {
        context.disarm(conversation.timer)
        conversation.timer = nil
        switch conversation.request {
        case .none, .reading, .reviewing, .hearing, .storing, .inquiring, .engaging: break
        case .polling(let client, _): sockets.pollLost(client, by: conversation, at: now)
        case .waiting(let task, _): context.broker.abandon(task, by: conversation.exchangeID, at: context.moment(now))
        case .completing(let exchange): completions.closed(conversation, exchange, at: now)
        case .streaming(let watcher): eventStreams.closed(watcher)
        }
        eventStreams.closed(conversation.id)
    }

    /// The server stops: a connection that owes nothing ends.
    func drain(_ conversation: HTTPConversation) {
        switch conversation.exchange.phase {
        case .idle: responses.close(conversation)
        case .readingHead, .readingBody, .awaitingResponse, .upgraded, .closed: break
        }
    }

    /// Whether the connection ends in its turn, when the server closes what it has: nobody waits for its answer, but somebody listens.
    ///
    /// - Parameter hearsIdle: whether one that owes nothing counts as well, because a request may be on its way.
    func isPaced(_ conversation: HTTPConversation, hearsIdle: Bool) -> Bool {
        switch conversation.request {
        case .streaming, .polling: return true
        case .none, .reading, .reviewing, .hearing, .storing, .waiting, .completing, .inquiring, .engaging: break
        }
        switch conversation.exchange.phase {
        case .idle, .readingHead: return hearsIdle
        case .readingBody, .awaitingResponse, .upgraded, .closed: return false
        }
    }

    /// Whether a request is still waited for.
    func isWaiting(_ conversation: HTTPConversation) -> Bool {
        switch conversation.request {
        // A session's client asks again elsewhere.
        case .streaming, .polling, .engaging: return false
        case .none, .reading, .reviewing, .hearing, .storing, .waiting, .completing, .inquiring: break
        }
        return conversation.exchange.phase == .awaitingResponse || conversation.exchange.phase == .readingBody
    }

    /// The server's time to stop has run out: who still waits is told.
    func end(_ conversation: HTTPConversation, at now: Instant) {
        switch conversation.request {
        case .streaming(let watcher): return eventStreams.end(conversation, watcher)
        case .polling(let client, _): if let client = sockets.client(client) { return sockets.close(client, at: now) }
        case .completing(let exchange): return completions.end(conversation, exchange, at: now)
        case .waiting(let task, _): context.broker.part(task, from: conversation.exchangeID, at: context.moment(now))
        case .none, .reading, .reviewing, .hearing, .storing, .inquiring, .engaging: break
        }
        if conversation.exchange.owesResponse {
            responses.fail(conversation, .serviceUnavailable, context.endWords, at: now)
        } else {
            responses.close(conversation)
        }
    }
}
