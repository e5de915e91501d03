// MessageDeflate: what permessage-deflate makes of a message, both ways, when neither side keeps its context (RFC 7692 §7.2). One pair of
// zlib streams for all connections of a run: without contexts they do not differ.

public import Base
import CZlib

// @safe: both streams are this object's own and are ended in deinit; their pointers are set for the length of one call.
/// Compresses and inflates whole messages.
@safe
public final class MessageDeflate {
    /// What a client offers, as a field of its handshake.
    public static let offer = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"

    private static let chunkBytes = 65_536

    private let deflater: UnsafeMutablePointer<z_stream>
    private let inflater: UnsafeMutablePointer<z_stream>
    private let chunk: UnsafeMutablePointer<UInt8>

    /// - Returns: nil where zlib gets no memory.
    public init?() {
        unsafe deflater = .allocate(capacity: 1)
        unsafe inflater = .allocate(capacity: 1)
        unsafe chunk = .allocate(capacity: Self.chunkBytes)
        unsafe deflater.initialize(to: z_stream())
        unsafe inflater.initialize(to: z_stream())
        guard unsafe signalbox_deflateInit2(deflater, 1, -15, 8) == Z_OK, unsafe signalbox_inflateInit2(inflater, -15) == Z_OK else {
            return nil
        }
    }

    deinit {
        unsafe deflateEnd(deflater)
        unsafe inflateEnd(inflater)
        unsafe deflater.deallocate()
        unsafe inflater.deallocate()
        unsafe chunk.deallocate()
    }

    /// Appends the compressed payload of a message.
    public func deflate(_ message: Span<UInt8>, into output: inout ByteWriter) {
        unsafe deflateReset(deflater)
        unsafe message.withUnsafeBufferPointer { source in
            unsafe deflater.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
            unsafe deflater.pointee.avail_in = uInt(source.count)
            repeat {
                unsafe deflater.pointee.next_out = chunk
                unsafe deflater.pointee.avail_out = uInt(Self.chunkBytes)
                _ = unsafe CZlib.deflate(deflater, Z_SYNC_FLUSH)
                unsafe append(Self.chunkBytes - Int(deflater.pointee.avail_out), to: &output)
            } while unsafe deflater.pointee.avail_out == 0
        }
        // §7.2.1: the 00 00 ff ff at the end is removed.
        output.truncate(to: output.count - 4)
    }

    /// Appends what a compressed payload says.
    /// - Returns: False where it is broken.
    public func inflate(_ payload: Span<UInt8>, into output: inout ByteWriter) -> Bool {
        unsafe inflateReset(inflater)
        // §7.2.2: what was removed is put back.
        let tail: [UInt8] = [0x00, 0x00, 0xff, 0xff]
        return inflate(piece: payload, into: &output) && inflate(piece: tail.span, into: &output)
    }

    private func inflate(piece: Span<UInt8>, into output: inout ByteWriter) -> Bool {
        unsafe piece.withUnsafeBufferPointer { source in
            unsafe inflater.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
            unsafe inflater.pointee.avail_in = uInt(source.count)
            repeat {
                unsafe inflater.pointee.next_out = chunk
                unsafe inflater.pointee.avail_out = uInt(Self.chunkBytes)
                let result = unsafe CZlib.inflate(inflater, Z_SYNC_FLUSH)
                guard result == Z_OK || result == Z_BUF_ERROR || result == Z_STREAM_END else { return false }
                unsafe append(Self.chunkBytes - Int(inflater.pointee.avail_out), to: &output)
            } while unsafe inflater.pointee.avail_out == 0
            return true
        }
    }

    private func append(_ count: Int, to output: inout ByteWriter) {
        output.append(unsafe UnsafeBufferPointer(start: chunk, count: count).span)
    }
}
