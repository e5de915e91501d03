// WebSocketSender: messages out, on every WebSocket: framed, compressed where that was agreed, in order where the worker pool helps, held
// back and bounded where the other end reads too slowly. Says goodbye as well. What a message means is nobody's business here.
//
// Cost: a private message is its copy into the turn's arena, a shared one a reference; nothing is allocated. Sockets that take shared
// frames as they are do not even come here: Fanout gives them to the outbox.
internal import Base
internal import Dialects
internal import Domain
internal import WebSockets

final class WebSocketSender {
    /// A publication compressed by itself, for all who agreed on the same.
    private struct Pressed {
        let number: UInt64
        let source: SharedBytes
        let parameters: DeflateParameters
        let frames: SharedBytes
    }

    private let context: Context
    /// Whose lines wait for the end of the turn.
    private var batching: [ConnectionID] = []
    private var pressed: Pressed?

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
        if let backlog = conversation.backlog {
            backlog.append(kind, SharedBytes(text, with: splice))
            // Whoever asks and does not read is not heard until it does.
            if backlog.byteCount > context.limits.pauseReadingBytes { context.outbox.pauseReading(conversation.id) }
        } else {
            put(kind, text, splice, to: conversation)
        }
        limitQueue(of: conversation)
    }

    /// Sends whole messages back that came in one read: one piece of output for all of them. Stops where something else comes, and does
    /// nothing where messages to the connection do not leave as they are, at once.
    func sendBack(
        _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, _ limits: WebSocketLimits, to conversation: WebSocketConversation
    ) {
        guard conversation.socket.closing == .open, conversation.socket.deflateParameters == nil, !conversation.isHolding else { return }
        var count: UInt64 = 0
        context.outbox.write(to: conversation.id) { writer in
            while let message = conversation.socket.nextWhole(&bytes, &position, limits) {
                FrameWriter.append(message.kind, bytes.span.extracting(message.range), to: &writer)
                count += 1
            }
        }
        guard count > 0 else { return }
        context.metrics.messagesIn += count
        context.metrics.messagesOut += count
        conversation.burden?.messageNotedAt = 0
        limitQueue(of: conversation)
    }

    @inline(__always)
    private func put(_ kind: MessageKind, _ text: Span<UInt8>, _ splice: Splice? = nil, to conversation: WebSocketConversation) {
        flushLines(of: conversation)
        context.metrics.messagesOut += 1
        let length = text.count + (splice?.value.count ?? 0)
        if let deflate = conversation.socket.deflateParameters {
            sendCompressed(kind, text, splice, length, deflate, to: conversation)
        } else if !conversation.hasLane {
            sendPlain(kind, text, splice, length, to: conversation)
        }
    }

    private func sendPlain(
        _ kind: MessageKind, _ text: Span<UInt8>, _ splice: Splice?, _ length: Int, to conversation: WebSocketConversation
    ) {
        guard let splice else {
            guard length <= WebSocketSender.arenaBytesMax else {
                context.outbox.write(to: conversation.id) { FrameWriter.appendHeader(kind.opcode, length: length, to: &$0) }
                return context.outbox.append(SharedBytes(copying: text), to: conversation.id, continues: true)
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
            let number = conversation.carry().reserve(bytes: text.count)
            if conversation.laneBytes > context.limits.pauseReadingBytes { context.outbox.pauseReading(conversation.id) }
            context.jobs.append(Job(
                ticket: .lane(conversation.id, number: number), work: .compress(kind, SharedBytes(copying: text), deflate)))
            // The pool's compressor knows nothing of earlier messages, and ours must know nothing of this one.
            conversation.socket.resetDeflateContext()
        } else if conversation.hasLane {
            var frame = ByteWriter(capacity: text.count + FrameWriter.headerBytesMax)
            conversation.socket.append(kind, text, context.workspace, to: &frame)
            conversation.burden?.lane?.append(.frame(frame.seal()))
        } else {
            context.outbox.write(to: conversation.id) { conversation.socket.append(kind, text, context.workspace, to: &$0) }
        }
    }

    /// The pool has compressed a message.
    func compressed(_ conversation: WebSocketConversation, number: UInt32, _ frame: SharedBytes) {
        guard let leaving = conversation.burden?.lane?.fill(number, with: frame) else { return }
        for departure in leaving {
            switch departure {
            case .frame(let frame): context.outbox.append(frame, to: conversation.id)
            case .end: context.outbox.closeAfterFlush(conversation.id)
            }
        }
        if conversation.burden?.lane?.isEmpty == true { conversation.burden?.lane = nil }
        // What had to wait for the pool goes on once little is left there.
        if conversation.laneBytes <= context.limits.pauseReadingBytes { context.resumable.append(conversation.id) }
        refill(conversation)
        limitQueue(of: conversation)
    }

    // MARK: What many get

    /// Sends a publication in its turn: at once, or behind what the other end has not read yet.
    func send(_ delivery: Delivery, of occasion: Occasion, to conversation: WebSocketConversation) {
        guard conversation.socket.closing == .open else { return }
        if conversation.heldSince == 0 { conversation.heldSince = occasion.number }
        if conversation.backlog != nil || waiting(for: conversation) >= context.outbox.room(conversation.id) {
            hold(delivery, of: occasion, for: conversation)
        } else {
            put(delivery, occasion.number, to: conversation)
            if delivery.form == .frames, conversation.socket.deflateParameters == nil { context.outbox.setShares(conversation.id, true) }
        }
        conversation.settleHolding()
        limitQueue(of: conversation)
    }

    private func put(_ delivery: Delivery, _ number: UInt64, to conversation: WebSocketConversation) {
        switch delivery.form {
        case .lines: gather(delivery, to: conversation)
        case .frames:
            context.outbox.note(number, for: conversation.id)
            guard let deflate = conversation.socket.deflateParameters else {
                context.metrics.messagesOut &+= UInt64(delivery.messageCount)
                return context.outbox.append(delivery.bytes, to: conversation.id)
            }
            press(delivery, number, deflate, to: conversation)
        case .chunk: preconditionFailure("a chunk of HTTP is for a WebSocket")
        }
    }

    /// Compresses a publication: once for all, where no connection's earlier messages help.
    private func press(_ delivery: Delivery, _ number: UInt64, _ deflate: DeflateParameters, to conversation: WebSocketConversation) {
        let isAlone = deflate.keepsServerContext || conversation.hasLane || delivery.bytes.count > context.limits.inlineWorkBytes
        guard !isAlone else {
            for text in [delivery.first, delivery.second] where !text.isEmpty {
                put(.text, delivery.bytes.span.extracting(text), to: conversation)
            }
            return
        }
        context.metrics.messagesOut &+= UInt64(delivery.messageCount)
        if let pressed, pressed.number == number, pressed.source == delivery.bytes, pressed.parameters == deflate {
            return context.outbox.append(pressed.frames, to: conversation.id)
        }
        var frames = ByteWriter(capacity: delivery.bytes.count + 2 * FrameWriter.headerBytesMax)
        for text in [delivery.first, delivery.second] where !text.isEmpty {
            conversation.socket.append(.text, delivery.bytes.span.extracting(text), context.workspace, to: &frames)
        }
        let made = Pressed(number: number, source: delivery.bytes, parameters: deflate, frames: frames.seal())
        pressed = made
        context.outbox.append(made.frames, to: conversation.id)
    }

    // MARK: Several messages in a frame

    /// Keeps a publication's lines until the turn ends, or a frame is full.
    private func gather(_ delivery: Delivery, to conversation: WebSocketConversation) {
        let length = delivery.first.count + 1
        if conversation.lineBytes + length > context.limits.batchBytesMax { flushLines(of: conversation) }
        let burden = conversation.carry()
        if burden.lines.isEmpty {
            batching.append(conversation.id)
            // The turn may have ended, but for its flush: then another one must come.
            context.outbox.touch(conversation.id)
        }
        context.metrics.messagesOut &+= UInt64(delivery.messageCount)
        burden.lines.append(delivery.bytes)
        burden.lineBytes += length
    }

    /// Sends the lines of the turn that ends.
    func flushBatches() {
        for id in batching {
            guard case .webSocket(let conversation) = context.conversation(id), conversation.socket.closing == .open else { continue }
            flushLines(of: conversation)
            conversation.settleHolding()
        }
        batching.empty()
    }

    private func flushLines(of conversation: WebSocketConversation) {
        guard let burden = conversation.burden, let last = burden.lines.last else { return }
        context.outbox.note(conversation.heldSince, for: conversation.id)
        if let deflate = conversation.socket.deflateParameters {
            context.scratch.removeAll()
            for frame in burden.lines { context.scratch.append(frame.span.extracting(FrameWriter.textStart(frame)..<frame.count)) }
            context.scratch.truncate(to: context.scratch.count - 1)
            context.scratch.withSpan { sendCompressed(.text, $0, deflate, to: conversation) }
            context.scratch.removeAll(retaining: WebSocketSender.arenaBytesMax)
        } else if burden.lines.count == 1 {
            context.outbox.append(last[0..<last.count - 1], to: conversation.id)
        } else {
            context.outbox.write(to: conversation.id) { FrameWriter.appendHeader(.text, length: burden.lineBytes - 1, to: &$0) }
            for frame in burden.lines.dropLast() {
                context.outbox.append(frame[FrameWriter.textStart(frame)..<frame.count], to: conversation.id, continues: true)
            }
            context.outbox.append(last[FrameWriter.textStart(last)..<last.count - 1], to: conversation.id, continues: true)
        }
        burden.lines.removeAll(keepingCapacity: burden.lines.count <= 64)
        burden.lineBytes = 0
    }

    // MARK: Slow readers

    /// Bytes that wait for the connection in order.
    private func waiting(for conversation: WebSocketConversation) -> Int {
        guard let burden = conversation.burden else { return context.outbox.queuedBytes(conversation.id) }
        return context.outbox.queuedBytes(conversation.id) + (burden.lane?.byteCount ?? 0) + burden.lineBytes
    }

    private func hold(_ delivery: Delivery, of occasion: Occasion, for conversation: WebSocketConversation) {
        if conversation.backlog == nil {
            context.metrics.backlogs += 1
            conversation.carry().backlog = Backlog(logBytesMax: context.limits.waitingLogBytesMax)
            context.outbox.setShares(conversation.id, false)
            awaitRoom(for: conversation)
        }
        let kept = context.keepsakes.keepsake(of: delivery, number: occasion.number)
        guard let toll = conversation.backlog?.append(kept, of: occasion) else { return }
        context.metrics.conflated &+= UInt64(toll.conflated)
        context.metrics.logsLeftOut &+= UInt64(toll.logsLeftOut)
    }

    /// The outbox tells when it has room; what is with the pool tells by coming home.
    private func awaitRoom(for conversation: WebSocketConversation) {
        if context.outbox.queuedBytes(conversation.id) >= context.limits.conflatedBytesMin { context.outbox.awaitRoom(conversation.id) }
    }

    /// Sends what was held back, as far as there is room.
    func refill(_ conversation: WebSocketConversation) {
        guard conversation.socket.closing == .open else { return }
        let wasMuch = conversation.backlog?.byteCount ?? 0 > context.limits.pauseReadingBytes
        release(conversation, below: context.limits.conflatedBytesMin)
        if conversation.backlog != nil { awaitRoom(for: conversation) }
        if wasMuch, conversation.backlog?.byteCount ?? 0 <= context.limits.pauseReadingBytes {
            context.resumable.append(conversation.id)
        }
        conversation.settleHolding()
    }

    /// Moves what was held back into the queue until that is as long as told.
    private func release(_ conversation: WebSocketConversation, below bytesMax: Int) {
        while waiting(for: conversation) < bytesMax, let piece = conversation.backlog?.popFirst() {
            switch piece {
            case .delivery(let delivery, let number): put(delivery, number, to: conversation)
            case .message(let kind, let text): put(kind, text.span, to: conversation)
            case .gap(let gap):
                context.text.removeAll()
                TaskDialect.writeGap(of: gap.task, from: gap.first, through: gap.last, at: gap.at, to: &context.text)
                context.text.withSpan { put(.text, $0, to: conversation) }
            }
        }
        // The turn's lines have left already.
        flushLines(of: conversation)
        if conversation.backlog?.isEmpty == true { conversation.burden?.backlog = nil }
    }

    /// The number of the last publication before which everything that was for the connection has gone out whole, also once it is closed:
    /// who comes back is told what came after.
    func safeNumber(of conversation: WebSocketConversation) -> UInt64 {
        var safe = context.broker.hub.number
        if let first = context.outbox.firstNumberUnsent(conversation.id) { safe = min(safe, first - 1) }
        if conversation.heldSince > 0 { safe = min(safe, conversation.heldSince - 1) }
        return safe
    }

    /// All that waits for the connection.
    func held(for conversation: WebSocketConversation) -> Int { waiting(for: conversation) + (conversation.backlog?.byteCount ?? 0) }

    /// A connection that reads too slowly ends; it may come back.
    func limitQueue(of conversation: WebSocketConversation) {
        let queued = held(for: conversation)
        guard queued > context.limits.queuedBytesMax, conversation.socket.closing == .open else { return }
        // The payloads of the tasks it has in hand have a limit of their own: a worker is not given up for what it was given.
        if case .worker(let worker) = conversation.role {
            guard queued - worker.hands.reduce(0, { $0 + $1.payload.count }) > context.limits.queuedBytesMax else { return }
        }
        context.metrics.slowConsumers += 1
        context.metrics.bounds.count(.queuedBytes)
        close(conversation, .slowConsumer)
    }

    // MARK: The end

    /// Sends a close frame behind everything sent so far, and ends the connection behind it.
    func close(_ conversation: WebSocketConversation, _ reason: CloseReason) {
        // One that is closing ends behind its close frame, which may still wait in its lane.
        guard conversation.socket.startClose() else { return }
        context.log.debug("socket closed", ("connection", conversation.id), ("reason", reason.words))
        switch reason {
        // Nor is anything more for whose token was revoked.
        case .slowConsumer, .silent, .overloaded, .replaced, .inputOverfull, .revoked: break
        case .shortOfMemory:
            // What waits is what is to be freed; only a message that has begun to go out is finished.
            conversation.burden?.lane = nil
            conversation.burden?.lines.removeAll()
            conversation.burden?.lineBytes = 0
            context.outbox.cut(conversation.id)
        // What it was to be told, it is told before the end.
        case .goingAway, .restarting, .unknownTask, .unauthenticated, .idle, .sessionOver, .tooFast, .unfinished, .failed:
            release(conversation, below: .max)
        }
        endFrames(of: conversation) { FrameWriter.appendClose(reason.code, reason: reason.words, to: &$0) }
    }

    /// Sends what `closeFrame` writes behind everything sent so far, and ends the connection behind it.
    func endFrames(of conversation: WebSocketConversation, _ closeFrame: (inout ByteWriter) -> Void) {
        // What was held back and does not go out, and what is published from now on, it was not told.
        if conversation.heldSince == 0 { conversation.heldSince = context.broker.hub.number + 1 }
        conversation.burden?.backlog = nil
        flushLines(of: conversation)
        switch conversation.role {
        // A worker that is leaving gets no task that it would never see.
        case .worker(let worker): context.broker.workerGone(worker, at: context.moment(context.present))
        // What a client is told no more it has to be told when it comes back.
        case .hubClient(let client): client.leave(context.broker)
        // A client of Socket.IO tells by itself what it has when it comes back.
        case .echo, .taskWatcher, .userWatcher, .producer, .dashboard, .socketClient, .refused: break
        }
        guard conversation.hasLane else {
            context.outbox.write(to: conversation.id, closeFrame)
            return context.outbox.closeAfterFlush(conversation.id)
        }
        var frame = ByteWriter()
        closeFrame(&frame)
        conversation.burden?.lane?.append(.frame(frame.seal()))
        conversation.burden?.lane?.append(.end)
    }
}

extension WebSocketConversation {
    /// Whether something waits for it elsewhere than in the outbox.
    fileprivate var isHolding: Bool {
        guard let burden else { return false }
        return burden.backlog != nil || burden.lane != nil || !burden.lines.isEmpty
    }

    /// Notes that nothing does, where that is so.
    fileprivate func settleHolding() {
        if !isHolding { heldSince = 0 }
    }
}

extension FrameWriter {
    /// Where the text of a frame of a server begins.
    fileprivate static func textStart(_ frame: SharedBytes) -> Int {
        switch frame.span[1] {
        case 126: 4
        case 127: 10
        default: 2
        }
    }
}

extension SharedBytes {
    /// A text with a user's value in it.
    fileprivate init(_ text: Span<UInt8>, with splice: Splice?) {
        guard let splice else {
            self.init(copying: text)
            return
        }
        var whole = ByteWriter(capacity: text.count + splice.value.count)
        whole.append(text.extracting(0..<splice.offset))
        whole.append(splice.value)
        whole.append(text.extracting(splice.offset..<text.count))
        self = whole.take()
    }
}
