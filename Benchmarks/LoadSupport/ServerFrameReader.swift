// ServerFrameReader: frames as a server sends them, RFC 6455 §5, however the reads cut them. Payload of messages is handed on as it
// comes, in ranges of the caller's bytes; nothing is gathered but the header and a control frame's 125 bytes. Not a judge of what
// a message says, nor of UTF-8.
//
// Cost: a header that is whole in the read costs a few compares, about 5 ns; nothing is allocated.

/// Reads what a server sends on one WebSocket.
public struct ServerFrameReader: Sendable {
    /// What comes next in the bytes.
    public enum Event: Equatable, Sendable {
        /// The bytes are used up.
        case incomplete
        /// Payload of a message lies in this range; `offset` bytes of the message came before it.
        case payload(Range<Int>, offset: Int, isLast: Bool)
        /// A whole control frame; its payload is `controlPayload`.
        case control(ClientFrame.Opcode)
        /// No server may send this; the connection is to be dropped.
        case broken
    }

    private enum Frame {
        case none
        case data(isFinal: Bool)
        case control(ClientFrame.Opcode)
    }

    private enum Message {
        case none
        case open(ClientFrame.Opcode)
    }

    private var frame = Frame.none
    private var message = Message.none
    private var left = 0
    private var offset = 0
    private var header = InlineArray<10, UInt8>(repeating: 0)
    private var headerCount = 0
    private var control = InlineArray<125, UInt8>(repeating: 0)
    private var controlCount = 0

    /// The kind of the message whose payload came last.
    public private(set) var opcode = ClientFrame.Opcode.binary

    /// Whether that message was compressed (RFC 7692 §6).
    public private(set) var isCompressed = false

    /// The reserved bits that a frame may carry.
    private let reservedBits: UInt8

    /// - Parameter extended: Whether permessage-deflate was agreed on.
    public init(extended: Bool = false) { reservedBits = extended ? 0x40 : 0 }

    /// The payload of the control frame that came last.
    public var controlPayload: [UInt8] { (0..<controlCount).map { control[$0] } }

    /// Takes the next event out of `bytes`, from `position` on, and moves `position` behind it.
    public mutating func next(in bytes: Span<UInt8>, from position: inout Int) -> Event {
        if case .none = frame {
            switch readHeader(in: bytes, from: &position) {
            case .incomplete: return .incomplete
            case .broken: return .broken
            case .whole: break
            }
        }
        let size = min(left, bytes.count - position)
        switch frame {
        case .none:
            return .incomplete
        case .data(let isFinal):
            if size == 0, left > 0 { return .incomplete }
            let range = position..<(position + size)
            let start = offset
            position += size
            left -= size
            offset += size
            guard left == 0 else { return .payload(range, offset: start, isLast: false) }
            frame = .none
            if isFinal {
                message = .none
                offset = 0
            }
            return .payload(range, offset: start, isLast: isFinal)
        case .control(let kind):
            for index in 0..<size { control[controlCount + index] = bytes[position + index] }
            position += size
            left -= size
            controlCount += size
            guard left == 0 else { return .incomplete }
            frame = .none
            return .control(kind)
        }
    }

    private enum Header {
        case incomplete, whole, broken
    }

    private mutating func readHeader(in bytes: Span<UInt8>, from position: inout Int) -> Header {
        if headerCount == 0, bytes.count - position >= 2, bytes[position + 1] < 126 {
            // The usual case: a short header that is whole, and no mask.
            let (first, second) = (bytes[position], bytes[position + 1])
            position += 2
            return begin(first, second, size: Int(second))
        }
        while headerCount < 2 || headerCount < Self.size(header[1]) {
            guard position < bytes.count else { return .incomplete }
            header[headerCount] = bytes[position]
            headerCount += 1
            position += 1
        }
        headerCount = 0
        var length = UInt64(header[1] & 0x7f)
        if length == 126 {
            length = UInt64(header[2]) << 8 | UInt64(header[3])
        } else if length == 127 {
            length = 0
            for index in 2..<10 { length = length << 8 | UInt64(header[index]) }
        }
        // §5.2: the highest bit of a length is 0.
        guard let size = Int(exactly: length) else { return .broken }
        return begin(header[0], header[1], size: size)
    }

    private mutating func begin(_ first: UInt8, _ second: UInt8, size: Int) -> Header {
        // §5.1: a server must not mask. §5.2: no reserved bit without an extension.
        guard second & 0x80 == 0, first & 0x70 & ~reservedBits == 0 else { return .broken }
        let isFinal = first & 0x80 != 0
        guard first & 0x0f != 0 else {
            // RFC 7692 §6.1: only the first fragment of a message says that it is compressed.
            guard case .open = message, first & 0x40 == 0 else { return .broken }
            frame = .data(isFinal: isFinal)
            left = size
            return .whole
        }
        guard let opcode = ClientFrame.Opcode(rawValue: first & 0x0f) else { return .broken }
        switch opcode {
        case .text, .binary:
            // §5.4: the fragments of two messages must not interleave.
            guard case .none = message else { return .broken }
            message = .open(opcode)
            self.opcode = opcode
            isCompressed = first & 0x40 != 0
            frame = .data(isFinal: isFinal)
        case .close, .ping, .pong:
            // §5.5: at most 125 bytes, and not fragmented.
            guard isFinal, size <= 125, first & 0x40 == 0 else { return .broken }
            controlCount = 0
            frame = .control(opcode)
        }
        left = size
        return .whole
    }

    private static func size(_ second: UInt8) -> Int {
        switch second & 0x7f {
        case 126: 4
        case 127: 10
        default: 2
        }
    }
}
