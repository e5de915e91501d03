// EnginePacket: one packet as text: a digit for its type and what follows. Knows neither where a packet ends in a polling payload
// (EnginePayload) nor which packet may come when (EngineSession). Obeys the Engine.IO protocol, revision 4, "Packet encoding".
//
// Cost: reading is one compare and a subtraction, whatever the length; the content stays where it is.
public import Base

/// A packet in text form: its type, and where its content lies.
public struct EnginePacket: Equatable, Sendable {
    /// The type, by its digit.
    public enum Kind: UInt8, Sendable, CaseIterable {
        case open = 0x30
        case close = 0x31
        case ping = 0x32
        case pong = 0x33
        case message = 0x34
        case upgrade = 0x35
        case noop = 0x36
    }

    public let kind: Kind
    /// Where the content lies in the bytes that were read; empty where there is none.
    public let content: Range<Int>

    public init(_ kind: Kind, _ content: Range<Int>) {
        self.kind = kind
        self.content = content
    }

    /// Reads all of `bytes` as one packet: a WebSocket text message.
    ///
    /// - Throws: `emptyPacket`, `unknownPacketType` or `unexpectedContent`.
    public static func read(_ bytes: Span<UInt8>) throws(EngineError) -> EnginePacket {
        try read(bytes, 0..<bytes.count)
    }

    /// Reads `range` of `bytes` as one packet.
    ///
    /// - Throws: `emptyPacket`, `unknownPacketType` or `unexpectedContent`.
    /// - Precondition: `range` lies within `bytes`.
    public static func read(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(EngineError) -> EnginePacket {
        guard !range.isEmpty else { throw .emptyPacket }
        guard let kind = Kind(rawValue: bytes[range.lowerBound]) else { throw .unknownPacketType }
        let content = (range.lowerBound + 1)..<range.upperBound
        switch kind {
        case .close, .upgrade, .noop: guard content.isEmpty else { throw .unexpectedContent }
        // A ping may say "probe"; a pong repeats what the ping said.
        case .open, .ping, .pong, .message: break
        }
        return EnginePacket(kind, content)
    }

    /// Appends the text form of a packet: the type's digit and `content`.
    public static func write(_ kind: Kind, _ content: Span<UInt8>, into writer: inout ByteWriter) {
        writer.reserve(1 + content.count)
        writer.append(kind.rawValue)
        writer.append(content)
    }

    /// Appends a packet without content.
    public static func write(_ kind: Kind, into writer: inout ByteWriter) {
        writer.append(kind.rawValue)
    }
}

/// A message on its way to the client, as a WebSocket carries it: the bytes of a text frame, which begin with the type's digit, or those
/// of a binary frame, which are the message itself. Whoever makes it makes it once for all who get it.
public struct EngineFrame: Equatable, Sendable {
    public enum Kind: UInt8, Sendable {
        case text
        case binary
    }

    public let kind: Kind
    public let bytes: SharedBytes

    /// - Parameter bytes: for text, a whole packet in UTF-8 without the byte 0x1e, which ends a packet in a polling payload; JSON
    ///   never has it unescaped.
    public init(_ kind: Kind, _ bytes: SharedBytes) {
        self.kind = kind
        self.bytes = bytes
    }

    static let ping = EngineFrame(.text, SharedBytes([EnginePacket.Kind.ping.rawValue]))
    /// The answer to a probe: what the probe said, as a pong.
    static let probeAnswer = EngineFrame(.text, SharedBytes([EnginePacket.Kind.pong.rawValue] + Array("probe".utf8)))
}
