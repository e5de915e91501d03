// EnginePayload: the body of a polling request or answer: packets joined by 0x1e, binary messages as `b` and base64. Not a session: any
// packet may stand anywhere in it. Obeys the Engine.IO protocol, revision 4, "HTTP long-polling: packet encoding".
//
// Cost: one pass over the bytes to find the separators; nothing is copied and nothing allocated but for base64.
public import Base

/// Reads the packets of one payload, one after the other.
public struct EnginePayloadReader: Sendable {
    /// One packet of a payload.
    public enum Item: Equatable, Sendable {
        case packet(EnginePacket)
        /// A binary message: where its base64 lies.
        case binary(base64: Range<Int>)
    }

    private enum Step: Sendable {
        case packet(at: Int)
        case over
    }

    private let packetsMax: Int
    private var packets = 0
    private var step = Step.packet(at: 0)

    /// - Parameter packetsMax: packets that one payload may have.
    public init(packetsMax: Int) { self.packetsMax = packetsMax }

    /// The next packet of `payload`, which is the same bytes in every call; nil after the last.
    ///
    /// - Throws: `tooManyPackets`, or what ``EnginePacket/read(_:_:)`` throws. An empty payload has one packet, an empty one.
    public mutating func next(_ payload: Span<UInt8>) throws(EngineError) -> Item? {
        let start: Int
        switch step {
        case .packet(let position): start = position
        case .over: return nil
        }
        guard packets < packetsMax else { throw .tooManyPackets }
        packets += 1
        var end = start
        while end < payload.count, payload[end] != EnginePayload.separator { end += 1 }
        step = end < payload.count ? .packet(at: end + 1) : .over
        if start < end, payload[start] == EnginePayload.binaryMark { return .binary(base64: (start + 1)..<end) }
        return .packet(try EnginePacket.read(payload, start..<end))
    }
}

/// What a payload is made of.
public enum EnginePayload {
    /// The record separator, between two packets.
    static let separator: UInt8 = 0x1e
    /// Begins a binary message.
    static let binaryMark = UInt8(ascii: "b")

    /// Bytes that `frame` takes in a payload, a separator not counted.
    static func count(of frame: EngineFrame) -> Int {
        switch frame.kind {
        case .text: frame.bytes.count
        case .binary: 1 + EngineBase64.encodedCount(of: frame.bytes.count)
        }
    }

    /// Appends a packet without content, and a separator before it where it is not the first.
    static func write(_ kind: EnginePacket.Kind, into payload: inout ByteWriter) {
        separate(&payload)
        EnginePacket.write(kind, into: &payload)
    }

    /// Appends a message, and a separator before it where it is not the first.
    public static func write(_ frame: EngineFrame, into payload: inout ByteWriter) {
        separate(&payload)
        switch frame.kind {
        case .text: payload.append(frame.bytes)
        case .binary:
            payload.append(binaryMark)
            EngineBase64.encode(frame.bytes.span, into: &payload)
        }
    }

    private static func separate(_ payload: inout ByteWriter) {
        if !payload.isEmpty { payload.append(separator) }
    }
}
