// ClientFrame: frames as a client sends them, RFC 6455 §5.2 and §5.3. Not a reader (ServerFrameReader), and not random: all frames
// of a run share one masking key, which lets a payload that repeats be masked once. A server cannot tell.

public import Base

/// The client's side of framing.
public enum ClientFrame {
    /// The kinds of frames, by the numbers of §5.2.
    public enum Opcode: UInt8, Sendable {
        case text = 1
        case binary = 2
        case close = 8
        case ping = 9
        case pong = 10
    }

    /// The masking key of all frames; its four bytes differ, so that a server that turns it wrongly is found out.
    public static let maskingKey: [UInt8] = [0x9c, 0x35, 0xe2, 0x47]

    /// The header of a whole message of `payloadBytes`, with the masking key: 6, 8 or 14 bytes.
    /// - Parameter isCompressed: Whether the payload is what RFC 7692 makes of a message.
    public static func header(_ opcode: Opcode, payloadBytes: Int, isCompressed: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = [(isCompressed ? 0xc0 : 0x80) | opcode.rawValue]
        if payloadBytes < 126 {
            bytes.append(0x80 | UInt8(payloadBytes))
        } else if payloadBytes < 65_536 {
            bytes += [0x80 | 126, UInt8(payloadBytes >> 8), UInt8(payloadBytes & 255)]
        } else {
            bytes.append(0x80 | 127)
            for place in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: payloadBytes >> place))
            }
        }
        return bytes + maskingKey
    }

    /// Appends what a writer holds as one masked frame.
    public static func append(
        _ opcode: Opcode, _ payload: borrowing ByteWriter, isCompressed: Bool = false, to output: inout ByteWriter
    ) {
        append(opcode, payload.span, isCompressed: isCompressed, to: &output)
    }

    /// Appends a whole message as one masked frame: for small ones, as it masks byte by byte.
    public static func append(_ opcode: Opcode, _ payload: Span<UInt8>, isCompressed: Bool = false, to output: inout ByteWriter) {
        output.append(header(opcode, payloadBytes: payload.count, isCompressed: isCompressed).span)
        let start = output.count
        output.append(payload)
        let key = maskingKey
        var bytes = output.mutableSpan
        for index in 0..<payload.count { bytes[start + index] ^= key[index & 3] }
    }
}
