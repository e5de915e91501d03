// WebSocketSender: messages out, on every WebSocket: framed, compressed where that was agreed, in order where the worker pool helps, and
// bounded where the other end reads too slowly. Says goodbye as well. What a message means is nobody's business here.
//
// Cost: a private message is its copy into the turn's arena, a shared one a reference; nothing is allocated.
internal import Base
internal import Dialects
internal import Domain
internal import WebSockets

final class WebSocketSender {
    private let context: Context

    init(_ context: Context) { self.context = context }

    /// Private answers above this size get a block of their own instead of growing the turn's arena.
    private static let arenaBytesMax = 256 << 10

    // MARK: Messages

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

    /// Sends a message that many get, by reference where the connection takes it as it is.
    func send(_ frame: SharedBytes, headerSize: Int, to conversation: WebSocketConversation) {
        guard conversation.socket.deflateParameters == nil else {
            return send(.text, frame.span.extracting(headerSize..<frame.count), to: conversation)
        }
        guard conversation.socket.closing == .open else { return }
        context.metrics.messagesOut += 1
        context.outbox.append(frame, to: conversation.id)
        limitQueue(of: conversation)
    }

    private func sendPlain(
        _ kind: MessageKind, _ text: Span<UInt8>, _ splice: Splice?, _ length: Int, to conversation: WebSocketConversation
    ) {
        guard let splice else {
            guard length <= WebSocketSender.arenaBytesMax else {
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
        context.scratch.removeAll(retaining: WebSocketSender.arenaBytesMax)
    }

    private func sendCompressed(
        _ kind: MessageKind, _ text: Span<UInt8>, _ deflate: DeflateParameters, to conversation: WebSocketConversation
    ) {
        if text.count > context.limits.inlineWorkBytes {
            var lane = conversation.lane ?? Lane()
            let number = lane.reserve(bytes: text.count)
            conversation.lane = lane
            if lane.byteCount > context.limits.pauseReadingBytes { context.outbox.pauseReading(conversation.id) }
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
        // What had to wait for the pool goes on once little is left there.
        if conversation.lane?.byteCount ?? 0 <= context.limits.pauseReadingBytes { context.resumable.append(conversation.id) }
        limitQueue(of: conversation)
    }

    /// A connection that reads too slowly ends; it may come back.
    func limitQueue(of conversation: WebSocketConversation) {
        let queued = context.outbox.queuedBytes(conversation.id) + (conversation.lane?.byteCount ?? 0)
        guard queued > context.limits.queuedBytesMax, conversation.socket.closing == .open else { return }
        // The payloads of the tasks it has in hand have a limit of their own: a worker is not given up for what it was given.
        if case .worker(let worker) = conversation.role {
            guard queued - worker.hands.reduce(0, { $0 + $1.payload.count }) > context.limits.queuedBytesMax else { return }
        }
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

    /// Sends what `closeFrame` writes behind everything sent so far, and ends the connection behind it.
    func endFrames(of conversation: WebSocketConversation, _ closeFrame: (inout ByteWriter) -> Void) {
        // A worker that is leaving gets no task that it would never see.
        if case .worker(let worker) = conversation.role { context.broker.workerGone(worker, at: context.moment(context.present)) }
        guard conversation.lane != nil else {
            context.outbox.write(to: conversation.id, closeFrame)
            return context.outbox.closeAfterFlush(conversation.id)
        }
        var frame = ByteWriter()
        closeFrame(&frame)
        conversation.lane?.append(.frame(frame.seal()))
        conversation.lane?.append(.end)
    }
}
