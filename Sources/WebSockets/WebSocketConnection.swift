// WebSocketConnection: one WebSocket as the server sees it: bytes in, events out, frames for what goes the other way. Joins the frame
// parser, the assembler, permessage-deflate and the closing handshake; reads no socket, keeps no queue and answers nothing by itself.
// Obeys RFC 6455 §5 to §8 and RFC 7692.
//
// Cost: a whole unfragmented frame is ~10 ns and a pass over its bytes (unmasking, ASCII check), no copy and no allocation; 72 bytes
// inline and nothing on the heap while no message is in progress, but for zlib streams whose context was negotiated to stay.
internal import Base

/// One WebSocket connection in the server's role.
///
/// Move it rather than copy it: two copies would share the message in progress.
public struct WebSocketConnection {
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

    private var step = Step.idle
    public internal(set) var closing = Closing.open
    private var message = Message.none
    /// The frame whose payload is being read.
    private var frameOpcode = Opcode.continuation
    private var frameIsFinal = true
    private var frameMask: UInt32 = 0
    private var frameRemaining = 0
    private var parser = FrameParser()
    /// What was agreed on compression.
    public let deflateParameters: DeflateParameters?
    /// Held while a message or a control frame is in pieces, and until the caller has seen the whole.
    private var assembler: MessageAssembler?
    /// Held while a compressed message is read; for ever where its context was agreed to stay.
    private var inflater: InflateContext?
    /// Held from the first compressed message on where its context was agreed to stay.
    var deflater: DeflateContext?

    public init(deflate: DeflateParameters? = nil) { deflateParameters = deflate }

    /// Bytes of unfinished messages that are held here: for a limit over all connections.
    public var pendingBytes: Int { assembler?.count ?? 0 }

    /// Forgets what came in part, and takes nothing more.
    public mutating func giveUp() { stop() }

    // MARK: Reading

    /// Takes the next frames' bytes from `position` on, up to the next event.
    ///
    /// Call it until it answers `needMore`; then all of `bytes` are taken and the buffer may be used again.
    public mutating func next(
        _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, _ limits: WebSocketLimits, _ workspace: WebSocketWorkspace
    ) -> Event {
        switch step {
        case .idle:
            if let event = nextWhole(&bytes, &position, limits) { return event }
        case .header, .dataPayload, .controlPayload, .over: break
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

    /// The common case: an uncompressed text or binary message in one frame, all of it in `bytes`. Everything else answers nil and has
    /// changed nothing, to be judged by the careful path.
    @inline(__always)
    private mutating func nextWhole(_ bytes: inout MutableSpan<UInt8>, _ position: inout Int, _ limits: WebSocketLimits) -> Event? {
        let available = bytes.count &- position
        guard available >= 6 else { return available == 0 ? .needMore : nil }
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
        let mask = FrameParser.mask(bytes.span, at: maskStart)
        let payload = Payload(.received, start..<end)
        let isASCII = Masking.apply(mask, to: &bytes, start..<end)
        position = end
        if first == 0x82 { return .binary(payload) }
        if !isASCII, !UTF8Validator.isValid(bytes.span.extracting(start..<end)) {
            position = bytes.count
            stop()
            return .failed(.invalidUTF8)
        }
        return .text(payload)
    }

    /// One step of the careful path; nil where it made progress without an event.
    private mutating func advance(
        _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, _ limits: WebSocketLimits, _ workspace: WebSocketWorkspace
    ) throws(FrameError) -> Event? {
        switch step {
        case .idle, .header:
            settle(workspace)
            let rules = HeaderRules(allowsCompression: deflateParameters != nil, expectsContinuation: isInMessage)
            guard let header = try parser.header(bytes.span, &position, rules) else {
                if parser.spilledCount > 0 { step = .header }
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
            if let assembler { workspace.giveBack(assembler) }
            assembler = nil
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
        if let assembler {
            workspace.giveBack(assembler)
            self.assembler = nil
        }
        if parser.spilledCount == 0 { step = .idle }
    }

    /// Lets go of everything that reading needs.
    private mutating func stop() {
        step = .over
        message = .none
        assembler = nil
        inflater = nil
    }

    private mutating func holdAssembler(_ workspace: WebSocketWorkspace) -> MessageAssembler {
        if let assembler { return assembler }
        let taken = workspace.takeAssembler()
        assembler = taken
        return taken
    }

    private mutating func beginPayload(_ header: FrameHeader, _ step: Step) {
        frameOpcode = header.opcode
        frameIsFinal = header.isFinal
        frameMask = header.mask
        frameRemaining = header.payloadLength
        self.step = step
    }

    /// Unmasks and takes what is here of the frame's payload.
    private mutating func takePayload(_ bytes: inout MutableSpan<UInt8>, _ position: inout Int) -> (range: Range<Int>, isASCII: Bool) {
        let count = min(frameRemaining, bytes.count - position)
        let range = position..<(position + count)
        let isASCII = Masking.apply(frameMask, to: &bytes, range)
        frameMask = Masking.advance(frameMask, by: count)
        frameRemaining -= count
        position += count
        return (range, isASCII)
    }

    // MARK: Data frames

    private mutating func beginData(
        _ header: FrameHeader, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int,
        _ limits: WebSocketLimits, _ workspace: WebSocketWorkspace
    ) throws(FrameError) -> Event? {
        beginPayload(header, .dataPayload)
        if let kind = MessageKind(rawValue: header.opcode.rawValue) {
            if header.isFinal, !header.isCompressed, header.payloadLength <= bytes.count - position {
                return try readWhole(kind, &bytes, &position, limits)
            }
            message = header.isCompressed ? .compressed(kind) : .plain(kind)
        }
        var isCompressed = false
        if case .compressed = message {
            isCompressed = true
            try holdInflater(workspace)
        }
        try holdAssembler(workspace).beginFrame(header.payloadLength, isCompressed: isCompressed, limits)
        return nil
    }

    /// A message in one frame that is all here.
    private mutating func readWhole(
        _ kind: MessageKind, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, _ limits: WebSocketLimits
    ) throws(FrameError) -> Event? {
        guard frameRemaining <= limits.messageBytesMax else { throw .messageTooBig }
        let piece = takePayload(&bytes, &position)
        step = .idle
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
        let piece = takePayload(&bytes, &position)
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
            guard let inflater else { throw .outOfMemory }
            try assembler.inflate(part, kind, inflater, workspace.chunk, limits)
            if frameRemaining == 0, frameIsFinal { try assembler.finishInflating(kind, inflater, workspace.chunk, limits) }
        }
        guard frameRemaining == 0 else { return .needMore }
        step = .header
        guard frameIsFinal else { return nil }
        let payload = Payload(.message, 0..<(try assembler.finish()))
        message = .none
        releaseInflater(workspace)
        switch kind {
        case .text: return .text(payload)
        case .binary: return .binary(payload)
        }
    }

    private mutating func holdInflater(_ workspace: WebSocketWorkspace) throws(FrameError) {
        guard inflater == nil, let deflateParameters else { return }
        inflater =
            deflateParameters.keepsClientContext
            ? InflateContext(windowBits: Int(deflateParameters.clientWindowBits)) : workspace.takeInflater()
        if inflater == nil { throw .outOfMemory }
    }

    /// RFC 7692 §7.1.1.2: without context takeover a message needs no stream once it is read.
    private mutating func releaseInflater(_ workspace: WebSocketWorkspace) {
        guard let inflater, let deflateParameters, !deflateParameters.keepsClientContext else { return }
        workspace.giveBack(inflater)
        self.inflater = nil
    }

    // MARK: Control frames

    private mutating func beginControl(
        _ header: FrameHeader, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, _ workspace: WebSocketWorkspace
    ) throws(FrameError) -> Event? {
        beginPayload(header, .controlPayload)
        guard header.payloadLength <= bytes.count - position else {
            holdAssembler(workspace).beginControl()
            return nil
        }
        let range = takePayload(&bytes, &position).range
        step = isInMessage ? .header : .idle
        return try controlEvent(Payload(.received, range), bytes.span)
    }

    private mutating func readControl(_ bytes: inout MutableSpan<UInt8>, _ position: inout Int) throws(FrameError) -> Event? {
        let range = takePayload(&bytes, &position).range
        guard let assembler else { preconditionFailure("a cut control frame without a place for it") }
        assembler.appendControl(bytes.span.extracting(range))
        guard frameRemaining == 0 else { return .needMore }
        step = .header
        let event = try assembler.withBytes(of: .control) { whole throws(FrameError) in
            try controlEvent(Payload(.control, 0..<whole.count), whole)
        }
        return event
    }

    /// The event of a whole control frame whose payload lies in `bytes`.
    private mutating func controlEvent(_ payload: Payload, _ bytes: Span<UInt8>) throws(FrameError) -> Event {
        switch frameOpcode {
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
        inflater = nil
        return .close(code, reason: reason)
    }

    // MARK: Payloads

    /// Shows an event's payload; `bytes` are those given to the `next` that answered it.
    @inlinable
    public func withPayload<Result, Failure: Error>(
        _ payload: Payload, _ bytes: borrowing MutableSpan<UInt8>, _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        switch payload.source {
        case .received: try body(bytes.span.extracting(payload.range))
        case .message, .control: try withHeld(payload, body)
        }
    }

    @usableFromInline
    func withHeld<Result, Failure: Error>(
        _ payload: Payload, _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard let assembler else { preconditionFailure("a payload was asked for after the next event") }
        return try assembler.withBytes(of: payload.source) { whole throws(Failure) in try body(whole.extracting(payload.range)) }
    }
}
