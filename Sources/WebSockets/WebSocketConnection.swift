// WebSocketConnection: one WebSocket as the server sees it: bytes in, events out, frames for what goes the other way. Joins the frame
// parser, the assembler, permessage-deflate and the closing handshake; reads no socket, keeps no queue and answers nothing by itself.
// Obeys RFC 6455 §5 to §8 and RFC 7692.
//
// Cost: a whole unfragmented frame is ~10 ns and a pass over its bytes (unmasking, ASCII check), no copy and no allocation; 19 bytes
// inline and nothing on the heap while no message is in progress, but for zlib streams whose context was negotiated to stay.
internal import Base

/// One WebSocket connection in the server's role.
///
/// It moves and is not copied: two copies would share the message in progress.
public struct WebSocketConnection: ~Copyable {
    public enum Event: Equatable, Sendable {
        /// All bytes are taken.
        case needMore
        case text(Payload)
        case binary(Payload)
        /// Wants a pong with the same payload (RFC 6455 §5.5.3).
        case ping(Payload)
        case pong(Payload)
        /// The peer's close frame: echo its code where ``startClose()`` allows, then end the connection. What comes after it is dropped.
        case close(CloseCode?, reason: Payload)
        /// The peer broke a rule: send a close frame with the error's code where ``startClose()`` allows, then end the connection.
        case failed(FrameError)
    }

    /// The closing handshake (RFC 6455 §7.1).
    public enum Closing: UInt8, Sendable {
        case open
        /// Our close frame is out; the peer's is awaited.
        case closeSent
        /// The peer's came; ours is owed.
        case closeReceived
        case done
    }

    /// Where in the byte stream the next byte stands.
    private enum Step: UInt8 {
        /// Between frames, with nothing kept: no message in progress, no assembler, no bytes of a header.
        case idle
        /// Between frames or inside a header.
        case header
        case dataPayload
        case controlPayload
        /// Nothing more is read.
        case over
    }

    /// The data message in progress.
    private enum Message {
        case none
        case plain(MessageKind)
        case compressed(MessageKind)
    }

    /// Nil while nothing is in pieces.
    private(set) var progress: MessageProgress?
    /// What was agreed on compression.
    public let deflateParameters: DeflateParameters?
    private var step = Step.idle
    public internal(set) var closing = Closing.open
    private var message = Message.none

    public init(deflate: DeflateParameters? = nil) { deflateParameters = deflate }

    /// Bytes of unfinished messages that are held here: for a limit over all connections.
    public var pendingBytes: Int { progress?.assembler?.count ?? 0 }

    /// Forgets what came in part, and takes nothing more.
    public mutating func giveUp() { stop() }

    // MARK: Reading

    /// Takes the next frames' bytes from `position` on, up to the next event.
    ///
    /// Call it until it answers `needMore`; then all of `bytes` are taken and the buffer may be used again.
    public mutating func next(
        _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, _ limits: WebSocketLimits, _ workspace: WebSocketWorkspace
    ) -> Event {
        if let whole = nextWhole(&bytes, &position, limits) {
            let payload = Payload(.received, whole.range)
            switch whole.kind {
            case .text: return .text(payload)
            case .binary: return .binary(payload)
            }
        }
        do throws(FrameError) {
            while true {
                if let event = try advance(&bytes, &position, limits, workspace) { return event }
            }
        } catch {
            position = bytes.count
            stop()
            return .failed(error)
        }
    }

    /// Takes the common case: an uncompressed text or binary message in one frame, all of it in `bytes`, with no other in progress. For
    /// whoever answers many of them in one go; ``next(_:_:_:_:)`` is for everything, this included.
    ///
    /// - Returns: the message, or nil where something else comes: then nothing has changed, and `next` is to judge it.
    public mutating func nextWhole(
        _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, _ limits: WebSocketLimits
    ) -> WholeMessage? {
        let available = bytes.count &- position
        switch step {
        case .idle: guard available >= 6 else { return nil }
        case .header, .dataPayload, .controlPayload, .over: return nil
        }
        let first = bytes[position]
        let second = bytes[position &+ 1]
        guard first == 0x81 || first == 0x82, second >= 0x80 else { return nil }
        var length = Int(second & 0x7f)
        var maskStart = position &+ 2
        if length == 126 {
            length = Int(bytes[position &+ 2]) << 8 | Int(bytes[position &+ 3])
            maskStart = position &+ 4
            guard length > 125, available >= 8 else { return nil }
        } else if length == 127 {
            return nil
        }
        let start = maskStart &+ 4
        let end = start &+ length
        guard end <= bytes.count, length <= limits.messageBytesMax else { return nil }
        let mask = Masking.key(in: bytes.span, at: maskStart)
        let isASCII = Masking.apply(mask, to: &bytes, start..<end)
        if first == 0x81, !isASCII, !UTF8Validator.isValid(bytes.span.extracting(start..<end)) {
            // §8.1 ends the connection, as `next` will find; it expects the mask.
            _ = Masking.apply(mask, to: &bytes, start..<end)
            return nil
        }
        position = end
        return WholeMessage(kind: first == 0x81 ? .text : .binary, range: start..<end)
    }

    /// One step of the careful path; nil where it made progress without an event.
    private mutating func advance(
        _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, _ limits: WebSocketLimits, _ workspace: WebSocketWorkspace
    ) throws(FrameError) -> Event? {
        switch step {
        case .idle, .header:
            settle(workspace)
            guard position < bytes.count else { return .needMore }
            let rules = HeaderRules(allowsCompression: deflateParameters != nil, expectsContinuation: isInMessage)
            guard let header = try hold(workspace).parser.header(bytes.span, &position, rules) else {
                step = .header
                return .needMore
            }
            step = .header
            if header.opcode.isControl { return try beginControl(header, &bytes, &position, workspace) }
            return try beginData(header, &bytes, &position, limits, workspace)
        case .dataPayload: return try readData(&bytes, &position, limits, workspace)
        case .controlPayload: return try readControl(&bytes, &position)
        case .over:
            // §5.5.1: after a close frame nothing that comes counts.
            position = bytes.count
            if let assembler = progress?.assembler { workspace.giveBack(assembler) }
            progress = nil
            return .needMore
        }
    }

    private var isInMessage: Bool {
        switch message {
        case .none: false
        case .plain, .compressed: true
        }
    }

    /// Gives back what the last event's payload stood in, and finds out whether anything is kept at all.
    private mutating func settle(_ workspace: WebSocketWorkspace) {
        guard !isInMessage else { return }
        if let progress, let assembler = progress.assembler {
            workspace.giveBack(assembler)
            progress.assembler = nil
        }
        if progress?.parser.spilledCount ?? 0 == 0 { rest(workspace) }
    }

    /// Between messages, with nothing of a next one: gives back what only pieces need.
    private mutating func rest(_ workspace: WebSocketWorkspace) {
        step = .idle
        guard let progress, progress.isOver else { return }
        workspace.giveBack(progress)
        self.progress = nil
    }

    /// Lets go of everything that reading needs.
    private mutating func stop() {
        step = .over
        message = .none
        progress = nil
    }

    mutating func hold(_ workspace: WebSocketWorkspace) -> MessageProgress {
        if let progress { return progress }
        let taken = workspace.takeProgress()
        progress = taken
        return taken
    }

    private mutating func holdAssembler(_ workspace: WebSocketWorkspace) -> MessageAssembler {
        let progress = hold(workspace)
        if let assembler = progress.assembler { return assembler }
        let taken = workspace.takeAssembler()
        progress.assembler = taken
        return taken
    }

    private mutating func beginPayload(_ header: FrameHeader, _ step: Step, _ workspace: WebSocketWorkspace) -> MessageProgress {
        let progress = hold(workspace)
        progress.opcode = header.opcode
        progress.isFinal = header.isFinal
        progress.mask = header.mask
        progress.remaining = header.payloadLength
        self.step = step
        return progress
    }

    /// Unmasks and takes what is here of the frame's payload.
    private static func takePayload(
        _ progress: MessageProgress, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int
    ) -> (range: Range<Int>, isASCII: Bool) {
        let count = min(progress.remaining, bytes.count - position)
        let range = position..<(position + count)
        let isASCII = Masking.apply(progress.mask, to: &bytes, range)
        progress.mask = Masking.advance(progress.mask, by: count)
        progress.remaining -= count
        position += count
        return (range, isASCII)
    }

    // MARK: Data frames

    private mutating func beginData(
        _ header: FrameHeader, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int,
        _ limits: WebSocketLimits, _ workspace: WebSocketWorkspace
    ) throws(FrameError) -> Event? {
        let progress = beginPayload(header, .dataPayload, workspace)
        if let kind = MessageKind(rawValue: header.opcode.rawValue) {
            if header.isFinal, !header.isCompressed, header.payloadLength <= bytes.count - position {
                return try readWhole(kind, progress, &bytes, &position, limits, workspace)
            }
            message = header.isCompressed ? .compressed(kind) : .plain(kind)
        }
        var isCompressed = false
        if case .compressed = message {
            isCompressed = true
            try holdInflater(progress, workspace)
        }
        try holdAssembler(workspace).beginFrame(header.payloadLength, isCompressed: isCompressed, limits)
        return nil
    }

    /// A message in one frame that is all here.
    private mutating func readWhole(
        _ kind: MessageKind, _ progress: MessageProgress, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int,
        _ limits: WebSocketLimits, _ workspace: WebSocketWorkspace
    ) throws(FrameError) -> Event? {
        guard progress.remaining <= limits.messageBytesMax else { throw .messageTooBig }
        let piece = WebSocketConnection.takePayload(progress, &bytes, &position)
        rest(workspace)
        switch kind {
        case .text:
            if !piece.isASCII {
                // §8.1
                guard UTF8Validator.isValid(bytes.span.extracting(piece.range)) else { throw .invalidUTF8 }
            }
            return .text(Payload(.received, piece.range))
        case .binary: return .binary(Payload(.received, piece.range))
        }
    }

    private mutating func readData(
        _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, _ limits: WebSocketLimits, _ workspace: WebSocketWorkspace
    ) throws(FrameError) -> Event? {
        let progress = hold(workspace)
        let piece = WebSocketConnection.takePayload(progress, &bytes, &position)
        let assembler = holdAssembler(workspace)
        let part = bytes.span.extracting(piece.range)
        let kind: MessageKind
        switch message {
        case .none: preconditionFailure("a data frame outside of a message")
        case .plain(let plain):
            kind = plain
            try assembler.append(part, kind, isASCII: piece.isASCII)
        case .compressed(let compressed):
            kind = compressed
            guard let inflater = progress.inflater else { throw .outOfMemory }
            try assembler.inflate(part, kind, inflater, workspace.chunk, limits)
            if progress.remaining == 0, progress.isFinal { try assembler.finishInflating(kind, inflater, workspace.chunk, limits) }
        }
        guard progress.remaining == 0 else { return .needMore }
        step = .header
        guard progress.isFinal else { return nil }
        let payload = Payload(.message, 0..<(try assembler.finish()))
        message = .none
        releaseInflater(progress, workspace)
        switch kind {
        case .text: return .text(payload)
        case .binary: return .binary(payload)
        }
    }

    private func holdInflater(_ progress: MessageProgress, _ workspace: WebSocketWorkspace) throws(FrameError) {
        guard progress.inflater == nil, let deflateParameters else { return }
        progress.inflater =
            deflateParameters.keepsClientContext
            ? InflateContext(windowBits: Int(deflateParameters.clientWindowBits)) : workspace.takeInflater()
        if progress.inflater == nil { throw .outOfMemory }
    }

    /// RFC 7692 §7.1.1.2: without context takeover a message needs no stream once it is read.
    private func releaseInflater(_ progress: MessageProgress, _ workspace: WebSocketWorkspace) {
        guard let inflater = progress.inflater, let deflateParameters, !deflateParameters.keepsClientContext else { return }
        workspace.giveBack(inflater)
        progress.inflater = nil
    }

    // MARK: Control frames

    private mutating func beginControl(
        _ header: FrameHeader, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, _ workspace: WebSocketWorkspace
    ) throws(FrameError) -> Event? {
        let progress = beginPayload(header, .controlPayload, workspace)
        guard header.payloadLength <= bytes.count - position else {
            holdAssembler(workspace).beginControl()
            return nil
        }
        let range = WebSocketConnection.takePayload(progress, &bytes, &position).range
        if isInMessage { step = .header } else { rest(workspace) }
        return try controlEvent(header.opcode, Payload(.received, range), bytes.span)
    }

    private mutating func readControl(_ bytes: inout MutableSpan<UInt8>, _ position: inout Int) throws(FrameError) -> Event? {
        guard let progress, let assembler = progress.assembler else { preconditionFailure("a cut control frame without a place for it") }
        let range = WebSocketConnection.takePayload(progress, &bytes, &position).range
        assembler.appendControl(bytes.span.extracting(range))
        guard progress.remaining == 0 else { return .needMore }
        step = .header
        let opcode = progress.opcode
        let event = try assembler.withBytes(of: .control) { whole throws(FrameError) in
            try controlEvent(opcode, Payload(.control, 0..<whole.count), whole)
        }
        return event
    }

    /// The event of a whole control frame whose payload lies in `bytes`.
    private mutating func controlEvent(_ opcode: Opcode, _ payload: Payload, _ bytes: Span<UInt8>) throws(FrameError) -> Event {
        switch opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong(payload)
        case .close: return try closeEvent(payload, bytes)
        case .continuation, .text, .binary: preconditionFailure("a data frame among the control frames")
        }
    }

    /// §5.5.1 and §7.4: nothing, or a code and a reason in UTF-8.
    private mutating func closeEvent(_ payload: Payload, _ bytes: Span<UInt8>) throws(FrameError) -> Event {
        let start = payload.range.lowerBound
        var code: CloseCode?
        var reason = payload
        if !payload.isEmpty {
            guard payload.count >= 2 else { throw .badClosePayload }
            let received = CloseCode(rawValue: UInt16(bytes[start]) << 8 | UInt16(bytes[start + 1]))
            guard received.mayBeSent else { throw .badCloseCode }
            code = received
            reason = Payload(payload.source, (start + 2)..<payload.range.upperBound)
            guard UTF8Validator.isValid(bytes.extracting(reason.range)) else { throw .invalidUTF8 }
        }
        switch closing {
        case .open: closing = .closeReceived
        case .closeSent: closing = .done
        case .closeReceived, .done: break
        }
        step = .over
        message = .none
        progress?.inflater = nil
        return .close(code, reason: reason)
    }

    // MARK: Payloads

    /// Shows an event's payload; `bytes` are those given to the `next` that answered it.
    @inlinable
    public borrowing func withPayload<Result, Failure: Error>(
        _ payload: Payload, _ bytes: borrowing MutableSpan<UInt8>, _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        if let holder = holder(of: payload) { try holder.withBytes(body) } else { try body(bytes.span.extracting(payload.range)) }
    }

    /// What shows an event's payload while the connection is changed; nil where it stands in the bytes given to `next`.
    @inlinable
    public borrowing func holder(of payload: Payload) -> PayloadHolder? {
        switch payload.source {
        case .received: nil
        case .message, .control: held(payload)
        }
    }

    @usableFromInline
    borrowing func held(_ payload: Payload) -> PayloadHolder {
        guard let assembler = progress?.assembler else { preconditionFailure("a payload was asked for after the next event") }
        return PayloadHolder(assembler: assembler, payload: payload)
    }
}
