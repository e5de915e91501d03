// RawDeflate, RawInflate: zlib as a client of permessage-deflate uses it, asked with as few calls as possible: what WebSocketCheck
// compares with. RFC 7692 §7.2.
import CZlib

/// A client's compressor.
// @safe: the stream is this object's own, never moves, and is ended in deinit; its pointers are set for the length of one call.
@safe
final class RawDeflate {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    init?(_ windowBits: UInt8, level: Int32) {
        unsafe stream.initialize(to: z_stream())
        guard unsafe signalbox_deflateInit2(stream, level, -Int32(windowBits), 8) == Z_OK else { return nil }
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    func reset() { unsafe deflateReset(stream) }

    /// The payload of a message.
    func compressed(_ message: [UInt8]) -> [UInt8] {
        guard !message.isEmpty else { return [0] }
        var output = [UInt8](repeating: 0, count: message.count * 2 + 1_024)
        let count = unsafe run(message, &output) { unsafe deflate($0, Z_SYNC_FLUSH) }
        require(output[..<count].suffix(4).elementsEqual([0, 0, 0xff, 0xff]), "zlib flushed otherwise")
        return Array(output[..<(count - 4)])
    }

    /// How many bytes one call of zlib's wrote.
    private func run(_ input: [UInt8], _ output: inout [UInt8], _ call: (UnsafeMutablePointer<z_stream>) -> Int32) -> Int {
        var input = input
        return unsafe input.withUnsafeMutableBufferPointer { source in
            unsafe output.withUnsafeMutableBufferPointer { target in
                unsafe stream.pointee.next_in = source.baseAddress
                unsafe stream.pointee.avail_in = uInt(source.count)
                unsafe stream.pointee.next_out = target.baseAddress
                unsafe stream.pointee.avail_out = uInt(target.count)
                require(unsafe call(stream) == Z_OK && stream.pointee.avail_in == 0, "zlib does not compress")
                return unsafe target.count - Int(stream.pointee.avail_out)
            }
        }
    }

    enum Inflated: Equatable {
        case whole([UInt8])
        case tooLong
        case invalid
    }

    /// What a message's payload inflates to, by a stream of its own.
    static func inflated(_ payload: [UInt8], max: Int) -> Inflated { RawInflate(15)?.inflated(payload, max: max) ?? .invalid }
}

/// A client's decompressor.
// @safe: as RawDeflate.
@safe
final class RawInflate {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    init?(_ windowBits: UInt8) {
        unsafe stream.initialize(to: z_stream())
        guard unsafe signalbox_inflateInit2(stream, -Int32(windowBits)) == Z_OK else { return nil }
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    func reset() { unsafe inflateReset(stream) }

    /// What a message's payload inflates to.
    func inflated(_ payload: [UInt8], max: Int) -> RawDeflate.Inflated {
        guard !payload.isEmpty else { return .whole([]) }
        // DEFLATE makes at most 1,032 bytes of one.
        var output = [UInt8](repeating: 0, count: min(max, payload.count * 1_032 + 64) + 1)
        var input = payload + [0, 0, 0xff, 0xff]
        var result = Z_OK
        var left = 0
        let count = unsafe input.withUnsafeMutableBufferPointer { source in
            unsafe output.withUnsafeMutableBufferPointer { target in
                unsafe stream.pointee.next_in = source.baseAddress
                unsafe stream.pointee.avail_in = uInt(source.count)
                unsafe stream.pointee.next_out = target.baseAddress
                unsafe stream.pointee.avail_out = uInt(target.count)
                result = unsafe inflate(stream, Z_SYNC_FLUSH)
                left = unsafe Int(stream.pointee.avail_in)
                return unsafe target.count - Int(stream.pointee.avail_out)
            }
        }
        if count > max { return .tooLong }
        switch result {
        case Z_STREAM_END:
            // §7.2.3.4: behind the last block nothing follows but one byte of padding; or the tail was that block's own length.
            guard left == 0 || left == 4 || left == 5 && payload.last == 0 else { return .invalid }
            unsafe inflateReset(stream)
        case Z_OK, Z_BUF_ERROR:
            // The boundary of blocks, and no bits left over.
            guard left == 0, unsafe stream.pointee.data_type & 0xbf == 128 else { return .invalid }
        default: return .invalid
        }
        return .whole(Array(output[..<count]))
    }
}
