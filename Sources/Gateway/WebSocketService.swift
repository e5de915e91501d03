// WebSocketService: messages in, messages out, on every WebSocket whatever its role. Drives the connection's machine, answers pings and
// closing handshakes, compresses where that was agreed, keeps order where the worker pool helps. What a message means is its role's.
//
// Cost: an echo of a whole frame is its copy into the turn's arena; nothing is allocated. Unmasking and that copy dominate.
internal import Base
internal import Dialects
internal import Domain
internal import WebSockets

final class WebSocketService {
    /// What became of the bytes.
    enum Outcome {
        case taken
        /// A worker was heard: what it caused goes out before its next message is looked at.
        case heard
    }

    private let context: Context
    private let workers: WorkerService

    init(_ context: Context, workers: WorkerService) {
        self.context = context
        self.workers = workers
    }

    /// Private answers above this size get a block of their own instead of growing the turn's arena.
    private static let arenaBytesMax = 256 << 10

    // MARK: Bytes

    func opened(_ conversation: WebSocketConversation, at now: Instant) {
        switch conversation.role {
        case .echo: break
        case .worker(let worker):
            // A worker may be busy sending a result while a task waits for it: it is read all the same.
            context.outbox.setAnswersItself(conversation.id, false)
            context.text.removeAll()
            WorkerDialect.writeConnected(worker.id, to: &context.text)
            context.text.withSpan { send(.text, $0, to: conversation) }
            context.log.info("worker connected", ("worker", worker.id), ("group", worker.group.name), ("peer", conversation.peer))
        }
        conversation.timer = context.arm(conversation.id, at: now + context.limits.pingInterval)
    }

    /// Takes what came on the connection from `position` on; to be called again with the rest until all of it is taken.
    func received(
        _ conversation: WebSocketConversation, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, at now: Instant
    ) -> Outcome {
        conversation.lastReceived = now
        switch process(conversation, &bytes, &position, at: now) {
        case .heard: return .heard
        case .taken: break
        }
        if position < bytes.count { conversation.leftover.append(bytes.span.extracting(position..<bytes.count)) }
        return .taken
    }

    /// Hands out what was left over while a message was with the pool.
    func resume(_ conversation: WebSocketConversation) -> ByteQueue {
        guard !conversation.isReviewing else { return ByteQueue() }
        context.outbox.resumeReading(conversation.id)
        defer { conversation.leftover = ByteQueue() }
        return conversation.leftover
    }

    private func process(
        _ conversation: WebSocketConversation, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, at now: Instant
    ) -> Outcome {
        let limits = context.webSocketLimits
        while !conversation.isReviewing {
            let event = conversation.socket.next(&bytes, &position, limits, context.workspace)
            switch event {
            case .needMore:
                return .taken
            case .text(let payload):
                context.metrics.messagesIn += 1
                switch conversation.role {
                case .echo: conversation.socket.withPayload(payload, bytes) { send(.text, $0, to: conversation) }
                case .worker(let worker):
                    conversation.socket.withPayload(payload, bytes) { hear($0, from: worker, conversation, at: now) }
                    return .heard
                }
            case .binary(let payload):
                context.metrics.messagesIn += 1
                switch conversation.role {
                case .echo: conversation.socket.withPayload(payload, bytes) { send(.binary, $0, to: conversation) }
                case .worker: tell(conversation) { WorkerDialect.writeProblem("Text messages are expected", to: &$0) }
                }
            case .ping(let payload):
                // §5.5.2: asked for until the close frame; nothing follows ours.
                guard conversation.socket.closing == .open else { break }
                conversation.socket.withPayload(payload, bytes) { ping in
                    context.outbox.write(to: conversation.id) { FrameWriter.appendPong(ping, to: &$0) }
                }
                limitQueue(of: conversation)
            case .pong:
                break
            case .close(let code, _):
                // §5.5.1: the answer echoes the code.
                guard conversation.socket.startClose() else { break }
                endFrames(of: conversation) { FrameWriter.appendClose(code, reason: Span(), to: &$0) }
            case .failed(let error):
                context.metrics.webSocketsFailed += 1
                close(conversation, .failed(error))
            }
        }
        return .taken
    }

    // MARK: Workers

    private func hear(_ text: Span<UInt8>, from worker: Worker, _ conversation: WebSocketConversation, at now: Instant) {
        guard text.count <= context.limits.inlineWorkBytes else {
            conversation.isReviewing = true
            context.outbox.pauseReading(conversation.id)
            context.jobs.append(Job(ticket: .message(conversation.id), work: .readWorkerMessage(SharedBytes(copying: text))))
            return
        }
        answer(conversation, workers.hear(text, from: worker, at: context.moment(now)))
    }

    /// The pool has read a worker's message.
    func reviewed(_ conversation: WebSocketConversation, _ message: Result<WorkerMessage, RequestProblem>, at now: Instant) {
        guard conversation.isReviewing, case .worker(let worker) = conversation.role else { return }
        conversation.isReviewing = false
        switch message {
        case .success(let message): answer(conversation, workers.act(upon: message, from: worker, at: context.moment(now)))
        case .failure(let problem): tell(conversation) { WorkerDialect.write(problem, to: &$0) }
        }
        context.resumable.append(conversation.id)
    }

    private func answer(_ conversation: WebSocketConversation, _ reply: WorkerService.Reply) {
        switch reply {
        case .none: break
        case .pong: tell(conversation) { WorkerDialect.writePong(to: &$0) }
        case .problem(let problem): tell(conversation) { WorkerDialect.write(problem, to: &$0) }
        case .refusal(let refusal, let id): tell(conversation) { WorkerDialect.write(refusal, of: id, to: &$0) }
        }
    }

    /// Sends a text that `body` writes.
    func tell(_ conversation: WebSocketConversation, _ body: (inout ByteWriter) -> Splice?) {
        context.text.removeAll()
        let splice = body(&context.text)
        context.text.withSpan { send(.text, $0, splice, to: conversation) }
    }

    func tell(_ conversation: WebSocketConversation, _ body: (inout ByteWriter) -> Void) {
        context.text.removeAll()
        body(&context.text)
        context.text.withSpan { send(.text, $0, to: conversation) }
    }

    // MARK: Messages out

    /// Sends a message behind everything that was sent before.
    func send(_ kind: MessageKind, _ text: Span<UInt8>, _ splice: Splice? = nil, to conversation: WebSocketConversation) {
        guard conversation.socket.closing == .open else { return }
        context.metrics.messagesOut += 1
        let length = text.count + (splice?.value.count ?? 0)
        if let deflate = conversation.socket.deflateParameters {
            sendCompressed(kind, text, splice, length, deflate, to: conversation)
        } else if conversation.lane == nil {
            sendPlain(kind, text, splice, length, to: conversation)
        }
        limitQueue(of: conversation)
    }

    private func sendPlain(
        _ kind: MessageKind, _ text: Span<UInt8>, _ splice: Splice?, _ length: Int, to conversation: WebSocketConversation
    ) {
        guard let splice else {
            guard length <= WebSocketService.arenaBytesMax else {
                context.outbox.write(to: conversation.id) { FrameWriter.appendHeader(kind.opcode, length: length, to: &$0) }
                return context.outbox.append(SharedBytes(copying: text), to: conversation.id)
            }
            return context.outbox.write(to: conversation.id) { FrameWriter.append(kind, text, to: &$0) }
        }
        context.outbox.write(to: conversation.id) { FrameWriter.appendHeader(kind.opcode, length: length, to: &$0) }
        context.outbox.write(text, splice, to: conversation.id, spliceBytesMin: context.limits.spliceBytesMin)
    }

    /// Compresses here what is small, and lets the pool compress what is not; a lane keeps the order.
    private func sendCompressed(
        _ kind: MessageKind, _ text: Span<UInt8>, _ splice: Splice?, _ length: Int, _ deflate: DeflateParameters,
        to conversation: WebSocketConversation
    ) {
        context.scratch.removeAll()
        guard let splice else { return sendCompressed(kind, text, deflate, to: conversation) }
        context.scratch.append(text.extracting(0..<splice.offset))
        context.scratch.append(splice.value)
        context.scratch.append(text.extracting(splice.offset..<text.count))
        context.scratch.withSpan { sendCompressed(kind, $0, deflate, to: conversation) }
        context.scratch.removeAll(retaining: WebSocketService.arenaBytesMax)
    }

    private func sendCompressed(
        _ kind: MessageKind, _ text: Span<UInt8>, _ deflate: DeflateParameters, to conversation: WebSocketConversation
    ) {
        if text.count > context.limits.inlineWorkBytes {
            var lane = conversation.lane ?? Lane()
            let number = lane.reserve(bytes: text.count)
            conversation.lane = lane
            context.jobs.append(Job(
                ticket: .lane(conversation.id, number: number), work: .compress(kind, SharedBytes(copying: text), deflate)))
            // The pool's compressor knows nothing of earlier messages, and ours must know nothing of this one.
            conversation.socket.resetDeflateContext()
        } else if conversation.lane != nil {
            var frame = ByteWriter(capacity: text.count + FrameWriter.headerBytesMax)
            conversation.socket.append(kind, text, context.workspace, to: &frame)
            conversation.lane?.append(.frame(frame.seal()))
        } else {
            context.outbox.write(to: conversation.id) { conversation.socket.append(kind, text, context.workspace, to: &$0) }
        }
    }

    /// The pool has compressed a message.
    func compressed(_ conversation: WebSocketConversation, number: UInt32, _ frame: SharedBytes) {
        guard let leaving = conversation.lane?.fill(number, with: frame) else { return }
        for departure in leaving {
            switch departure {
            case .frame(let frame): context.outbox.append(frame, to: conversation.id)
            case .end: context.outbox.closeAfterFlush(conversation.id)
            }
        }
        if conversation.lane?.isEmpty == true { conversation.lane = nil }
        limitQueue(of: conversation)
    }

    /// A connection that reads too slowly ends; it may come back.
    private func limitQueue(of conversation: WebSocketConversation) {
        let queued = context.outbox.queuedBytes(conversation.id) + (conversation.lane?.byteCount ?? 0)
        guard queued > context.limits.queuedBytesMax, conversation.socket.closing == .open else { return }
        context.metrics.slowConsumers += 1
        close(conversation, .slowConsumer)
    }

    // MARK: The end

    /// Sends a close frame behind everything sent so far, and ends the connection behind it.
    func close(_ conversation: WebSocketConversation, _ reason: CloseReason) {
        // One that is closing ends behind its close frame, which may still wait in its lane.
        guard conversation.socket.startClose() else { return }
        context.log.debug("socket closed", ("connection", conversation.id), ("reason", reason.words))
        endFrames(of: conversation) { FrameWriter.appendClose(reason.code, reason: reason.words, to: &$0) }
    }

    private func endFrames(of conversation: WebSocketConversation, _ closeFrame: (inout ByteWriter) -> Void) {
        guard conversation.lane != nil else {
            context.outbox.write(to: conversation.id, closeFrame)
            return context.outbox.closeAfterFlush(conversation.id)
        }
        var frame = ByteWriter()
        closeFrame(&frame)
        conversation.lane?.append(.frame(frame.seal()))
        conversation.lane?.append(.end)
    }

    func closed(_ conversation: WebSocketConversation, at now: Instant) {
        context.disarm(conversation.timer)
        switch conversation.role {
        case .echo: break
        case .worker(let worker):
            context.broker.workerGone(worker, at: context.moment(now))
            context.log.info("worker gone", ("worker", worker.id), ("group", worker.group.name))
        }
    }

    // MARK: Time

    /// A silent connection is pinged, and closed when it stays silent.
    func timerDue(_ conversation: WebSocketConversation, at now: Instant) {
        let silence = now - conversation.lastReceived
        let interval = context.limits.pingInterval
        if silence >= interval + interval {
            conversation.timer = nil
            context.metrics.silentSockets += 1
            return close(conversation, .silent)
        }
        guard silence >= interval else {
            conversation.timer = context.arm(conversation.id, at: conversation.lastReceived + interval)
            return
        }
        if conversation.socket.closing == .open {
            context.outbox.write(to: conversation.id) { FrameWriter.appendPing(Span(), to: &$0) }
        }
        conversation.timer = context.arm(conversation.id, at: now + interval)
    }
}
