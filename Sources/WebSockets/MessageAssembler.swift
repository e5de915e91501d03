// MessageAssembler: the bytes of one message that did not come whole in one read, and of one control frame that a read has cut. Held by
// a connection only while something is in progress, and shared out by the Workspace. Knows limits, UTF-8 and inflating; does not know
// opcodes or the order of frames (FrameParser, WebSocketConnection). Obeys RFC 6455 §5.4, §8.1 and RFC 7692 §7.2.2.
//
// Cost: one copy of the payload, no bookkeeping a fragment; memory grows with what has arrived, never with what was announced.
internal import Base

/// How much one message may be.
public struct WebSocketLimits: Equatable, Sendable {
    /// Payload bytes of a message, all fragments together, after inflating.
    public var messageBytesMax: Int
    /// Frames of a message: each costs the peer 6 bytes and the server some tens of nanoseconds.
    public var fragmentsMax: Int

    /// - Precondition: both are positive, and a message is below 2 GiB, so that sums of lengths cannot overflow.
    public init(messageBytesMax: Int, fragmentsMax: Int = 131_072) {
        precondition(messageBytesMax > 0 && messageBytesMax < 1 << 31, "a message limit of \(messageBytesMax) bytes")
        precondition(fragmentsMax > 0, "a limit of \(fragmentsMax) fragments")
        self.messageBytesMax = messageBytesMax
        self.fragmentsMax = fragmentsMax
    }

    /// Bytes on the wire of a compressed message: DEFLATE may expand what does not compress, by far less than an eighth. Blocks without
    /// content inflate to nothing, and end here.
    var compressedBytesMax: Int { messageBytesMax + messageBytesMax / 8 + 64 }
}

final class MessageAssembler {
    /// What an assembler starts with, and what it may keep while it waits for its next user: a typical message that a read has cut.
    static let bytesRetained = 16 << 10

    private var bytes = ByteWriter(capacity: 512)
    private var utf8 = UTF8Validator()
    private var wireCount = 0
    private var fragments = 0
    /// §5.5: a control frame has at most 125 bytes.
    private var control = InlineArray<125, UInt8>(repeating: 0)
    private var controlCount = 0

    /// Bytes of the message so far.
    var count: Int { bytes.count }

    /// Forgets everything, memory above what may be kept included.
    func reset() {
        bytes.removeAll(retaining: MessageAssembler.bytesRetained)
        utf8 = UTF8Validator()
        wireCount = 0
        fragments = 0
        controlCount = 0
    }

    // MARK: The message

    /// A frame of the message begins: its length is judged before a byte of it is taken.
    func beginFrame(_ length: Int, isCompressed: Bool, _ limits: WebSocketLimits) throws(FrameError) {
        guard fragments < limits.fragmentsMax else { throw .tooManyFragments }
        fragments += 1
        let (sum, overflow) = wireCount.addingReportingOverflow(length)
        guard !overflow, sum <= (isCompressed ? limits.compressedBytesMax : limits.messageBytesMax) else { throw .messageTooBig }
        wireCount = sum
    }

    /// Takes the next bytes of a message that is not compressed.
    ///
    /// - Parameter isASCII: whether all of `piece` is known to be below 0x80.
    func append(_ piece: Span<UInt8>, _ kind: MessageKind, isASCII: Bool) throws(FrameError) {
        switch kind {
        case .text:
            // §8.1: text that is not UTF-8 fails the connection; here at the first byte that is wrong, inside a frame or not.
            if !isASCII || !utf8.isComplete {
                guard utf8.validate(piece) else { throw .invalidUTF8 }
            }
        case .binary: break
        }
        bytes.append(piece)
    }

    /// Takes the next bytes of a compressed message.
    func inflate(
        _ piece: Span<UInt8>, _ kind: MessageKind, _ context: InflateContext, _ chunk: Chunk, _ limits: WebSocketLimits
    ) throws(FrameError) {
        let before = bytes.count
        let outcome = context.stream.inflate(piece, chunk, into: &bytes, outputMax: limits.messageBytesMax)
        try judge(outcome, from: before, kind)
    }

    /// The last bytes of a compressed message were taken.
    func finishInflating(
        _ kind: MessageKind, _ context: InflateContext, _ chunk: Chunk, _ limits: WebSocketLimits
    ) throws(FrameError) {
        let before = bytes.count
        let outcome = context.stream.finish(chunk, into: &bytes, outputMax: limits.messageBytesMax)
        try judge(outcome, from: before, kind)
    }

    /// Errors in the order in which they stand in the message, so that the cuts of the network do not choose between them.
    private func judge(_ outcome: InflateStream.Outcome, from before: Int, _ kind: MessageKind) throws(FrameError) {
        switch kind {
        case .text: guard MessageAssembler.validate(&utf8, bytes, from: before) else { throw .invalidUTF8 }
        case .binary: break
        }
        switch outcome {
        case .fine: break
        case .full: throw .messageTooBig
        case .invalid: throw .invalidDeflate
        }
    }

    private static func validate(_ utf8: inout UTF8Validator, _ bytes: borrowing ByteWriter, from start: Int) -> Bool {
        utf8.validate(bytes.span.extracting(start..<bytes.count))
    }

    /// The message is all here.
    ///
    /// - Returns: how many bytes it has.
    func finish() throws(FrameError) -> Int {
        // A binary message never touched the validator.
        guard utf8.isComplete else { throw .invalidUTF8 }
        return bytes.count
    }

    // MARK: The control frame

    func beginControl() { controlCount = 0 }

    /// Takes bytes of a control frame's payload, 125 at most in all.
    func appendControl(_ piece: Span<UInt8>) {
        for index in piece.indices {
            control[controlCount] = piece[index]
            controlCount += 1
        }
    }

    // MARK: Reading

    /// Shows the message, or the control frame, from its first byte.
    @inline(__always)
    func withBytes<Result, Failure: Error>(
        of source: Payload.Source, _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        switch source {
        case .received, .message: try MessageAssembler.show(bytes, body)
        case .control: try MessageAssembler.show(control, controlCount, body)
        }
    }

    @inline(__always)
    private static func show<Result, Failure: Error>(
        _ bytes: borrowing ByteWriter, _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result { try body(bytes.span) }

    @inline(__always)
    private static func show<Result, Failure: Error>(
        _ bytes: borrowing InlineArray<125, UInt8>, _ count: Int, _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result { try body(bytes.span.extracting(0..<count)) }
}

/// An inflate stream where it can be shared out.
final class InflateContext {
    var stream: InflateStream

    init?(windowBits: Int) {
        guard let stream = InflateStream(windowBits: windowBits) else { return nil }
        self.stream = stream
    }
}

/// A deflate stream where it can be shared out, and the window it was made for.
final class DeflateContext {
    let windowBits: Int
    var stream: DeflateStream

    init?(_ parameters: DeflateParameters) {
        guard let stream = DeflateStream(parameters) else { return nil }
        windowBits = Int(parameters.serverWindowBits)
        self.stream = stream
    }
}
