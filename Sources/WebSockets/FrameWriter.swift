// FrameWriter: frames of the server, which are not masked (RFC 6455 §5.1). Writes headers, whole frames, and headers in front of bodies
// that were written first. Compresses nothing and keeps no state of a connection; only bytes that were given go out.
//
// Cost: a header is 2, 4 or 10 stores; a frame is that and one copy of its payload.
public import Base

public enum FrameWriter {
    /// Bytes of the longest header of a server.
    public static let headerBytesMax = 10

    /// Bytes of the header of a payload of `length` bytes.
    @inlinable
    public static func headerSize(_ length: Int) -> Int { length <= 125 ? 2 : length <= 0xffff ? 4 : 10 }

    /// Appends the header alone: the payload of `length` bytes follows by reference, or from the caller.
    public static func appendHeader(
        _ opcode: Opcode, length: Int, isFinal: Bool = true, isCompressed: Bool = false, to writer: inout ByteWriter
    ) {
        if length <= 125 {
            // Two stores beat the copy of two bytes.
            writer.append(Header.first(opcode, isFinal: isFinal, isCompressed: isCompressed))
            writer.append(UInt8(truncatingIfNeeded: length))
            return
        }
        let header = Header(opcode, length, isFinal: isFinal, isCompressed: isCompressed)
        writer.append(header.bytes.span.extracting(0..<header.size))
    }

    /// Appends a whole message as one frame.
    public static func append(_ kind: MessageKind, _ payload: Span<UInt8>, to writer: inout ByteWriter) {
        appendHeader(kind.opcode, length: payload.count, to: &writer)
        writer.append(payload)
    }

    // MARK: A body first, its header afterwards

    /// Leaves room for the longest header; the body is appended next, and then ``finishFrame(_:start:isCompressed:in:)`` is called.
    ///
    /// - Returns: the `start` that it wants.
    public static func beginFrame(in writer: inout ByteWriter) -> Int {
        let start = writer.count
        let blank = InlineArray<10, UInt8>(repeating: 0)
        writer.append(blank.span)
        return start
    }

    /// Writes the header right before the body, everything that was appended since `beginFrame`.
    ///
    /// - Returns: where the frame begins; the bytes from `start` to there are zeros and not part of it.
    public static func finishFrame(
        _ kind: MessageKind, start: Int, isCompressed: Bool = false, in writer: inout ByteWriter
    ) -> Int {
        let body = start + headerBytesMax
        precondition(start >= 0 && body <= writer.count, "a frame begun at \(start) of \(writer.count) bytes")
        let header = Header(kind.opcode, writer.count - body, isFinal: true, isCompressed: isCompressed)
        let first = body - header.size
        var bytes = writer.mutableSpan
        for index in 0..<header.size { bytes[first + index] = header.bytes[index] }
        return first
    }

    // MARK: Control frames

    /// Appends a close frame; a reason over 123 bytes is cut, between characters.
    ///
    /// - Parameters:
    ///   - code: nil for a frame without payload; a code that must not be sent becomes 1011.
    ///   - reason: UTF-8.
    public static func appendClose(_ code: CloseCode?, reason: Span<UInt8>, to writer: inout ByteWriter) {
        guard let code else {
            appendHeader(.close, length: 0, to: &writer)
            return
        }
        let value = code.mayBeSent ? code.rawValue : CloseCode.internalError.rawValue
        // §5.5.1: 125 bytes of a control frame less the two of the code.
        var length = min(reason.count, 123)
        if length < reason.count {
            while length > 0, reason[length] & 0xc0 == 0x80 { length -= 1 }
        }
        appendHeader(.close, length: 2 + length, to: &writer)
        writer.append(UInt8(truncatingIfNeeded: value >> 8))
        writer.append(UInt8(truncatingIfNeeded: value))
        writer.append(reason.extracting(0..<length))
    }

    /// Appends a close frame with words of our own.
    public static func appendClose(_ code: CloseCode, reason: StaticString = "", to writer: inout ByteWriter) {
        let text = unsafe UnsafeBufferPointer(start: reason.utf8Start, count: reason.utf8CodeUnitCount)
        unsafe appendClose(code, reason: text.span, to: &writer)
    }

    /// Appends a ping.
    ///
    /// - Precondition: at most 125 bytes.
    public static func appendPing(_ payload: Span<UInt8>, to writer: inout ByteWriter) { appendControl(.ping, payload, to: &writer) }

    /// Appends a pong: the payload is the ping's (§5.5.3).
    ///
    /// - Precondition: at most 125 bytes.
    public static func appendPong(_ payload: Span<UInt8>, to writer: inout ByteWriter) { appendControl(.pong, payload, to: &writer) }

    private static func appendControl(_ opcode: Opcode, _ payload: Span<UInt8>, to writer: inout ByteWriter) {
        precondition(payload.count <= 125, "a control frame of \(payload.count) bytes")
        appendHeader(opcode, length: payload.count, to: &writer)
        writer.append(payload)
    }

    /// A header's bytes.
    private struct Header {
        var bytes = InlineArray<10, UInt8>(repeating: 0)
        let size: Int

        @inline(__always)
        init(_ opcode: Opcode, _ length: Int, isFinal: Bool, isCompressed: Bool) {
            bytes[0] = Header.first(opcode, isFinal: isFinal, isCompressed: isCompressed)
            // §5.2: the shortest form that holds the length.
            size = FrameWriter.headerSize(length)
            switch size {
            case 2:
                bytes[1] = UInt8(truncatingIfNeeded: length)
            case 4:
                bytes[1] = 126
                bytes[2] = UInt8(truncatingIfNeeded: length >> 8)
                bytes[3] = UInt8(truncatingIfNeeded: length)
            default:
                bytes[1] = 127
                for index in 0..<8 { bytes[2 + index] = UInt8(truncatingIfNeeded: length >> (56 - 8 * index)) }
            }
        }

        @inline(__always)
        static func first(_ opcode: Opcode, isFinal: Bool, isCompressed: Bool) -> UInt8 {
            (isFinal ? 0x80 : 0) | (isCompressed ? 0x40 : 0) | opcode.rawValue
        }
    }
}
