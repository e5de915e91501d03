// FrameHeader: the 2 to 14 bytes in front of a payload, as values. Reads them; does not ask whether they may stand there now
// (FrameParser) or what they make of a message (WebSocketConnection). Obeys RFC 6455 §5.2.

/// What a frame carries (RFC 6455 §5.2); 3 to 7 and 11 to 15 are reserved and have no case.
public enum Opcode: UInt8, Hashable, Sendable {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10

    /// §5.5: the top bit of the opcode marks control frames.
    @inlinable public var isControl: Bool { rawValue & 8 != 0 }
}

/// The two kinds of data message.
public enum MessageKind: UInt8, Hashable, Sendable {
    case text = 1
    case binary = 2

    @inlinable public var opcode: Opcode { self == .text ? .text : .binary }
}

/// A client's frame header that kept the rules.
struct FrameHeader: Equatable, Sendable {
    static let bytesMax = 14

    var opcode: Opcode
    var isFinal: Bool
    /// RSV1: the message is compressed (RFC 7692 §6).
    var isCompressed: Bool
    /// The four key bytes as they stand in memory, the first one lowest.
    var mask: UInt32
    var payloadLength: Int

    /// Bytes of the whole header of a masked frame whose second byte is `second`.
    @inline(__always)
    static func size(second: UInt8) -> Int {
        switch second & 0x7f {
        case 126: 8
        case 127: 14
        default: 6
        }
    }
}
