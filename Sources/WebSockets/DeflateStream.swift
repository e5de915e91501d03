// DeflateStream, InflateStream: one zlib stream each, raw DEFLATE, owned and ended exactly once. Know messages only as far as RFC 7692
// §7.2 cuts them: a message is flushed, and its last four bytes stay home. Frames and negotiation are elsewhere.
//
// Cost: a deflate stream holds up to 256 KiB, an inflate stream up to 44 KiB (window bits 15, memory level 8); zlib's own work dominates.
internal import Base
internal import CZlib

/// Compresses messages of one direction; what one message taught helps the next until `reset`.
// @safe: the z_stream is this value's own, never moves, and is ended in deinit; its pointers are set for the length of one call.
@safe
struct DeflateStream: ~Copyable {
    private let stream: UnsafeMutablePointer<z_stream>

    /// - Parameter windowBits: 9 to 15; zlib's raw deflate cannot do 8.
    /// - Returns: nil where zlib gets no memory.
    init?(windowBits: Int, level: Int, memoryLevel: Int) {
        precondition((9...15).contains(windowBits), "deflate with a window of \(windowBits) bits")
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        guard unsafe signalbox_deflateInit2(stream, Int32(level), Int32(-windowBits), Int32(memoryLevel)) == Z_OK else {
            unsafe stream.deallocate()
            return nil
        }
        unsafe self.stream = stream
    }

    init?(_ parameters: DeflateParameters) {
        self.init(
            windowBits: Int(parameters.serverWindowBits), level: Int(parameters.level), memoryLevel: Int(parameters.memoryLevel))
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Forgets earlier messages.
    func reset() { unsafe deflateReset(stream) }

    /// Appends the compressed payload of the message `input` to `output`, by way of `chunk`.
    mutating func compress(_ input: Span<UInt8>, _ chunk: Chunk, into output: inout ByteWriter) {
        guard !input.isEmpty else {
            // RFC 7692 §7.2.3.6: an empty message is an empty block, whose length is the tail that stays home.
            output.append(0x00)
            return
        }
        precondition(input.count <= Int(UInt32.max), "compressing \(input.count) bytes at once")
        unsafe input.withUnsafeBufferPointer { source in
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
            unsafe stream.pointee.avail_in = uInt(source.count)
            var hasMore = true
            while hasMore {
                unsafe stream.pointee.next_out = chunk.base
                unsafe stream.pointee.avail_out = uInt(Chunk.size)
                let result = unsafe deflate(stream, Z_SYNC_FLUSH)
                precondition(result == Z_OK || result == Z_BUF_ERROR, "deflate of our own bytes answers \(result)")
                let produced = unsafe Chunk.size - Int(stream.pointee.avail_out)
                output.append(chunk.span(produced))
                unsafe hasMore = stream.pointee.avail_out == 0
            }
            unsafe stream.pointee.next_in = nil
        }
        // RFC 7692 §7.2.1: the 00 00 ff ff at the end is removed.
        output.truncate(to: output.count - 4)
    }
}

/// Decompresses messages of one direction as they arrive, in any pieces.
// @safe: as DeflateStream.
@safe
struct InflateStream: ~Copyable {
    enum Outcome {
        case fine
        /// The output would pass its limit; it holds exactly the limit.
        case full
        case invalid
    }

    /// Where the message's DEFLATE data stands.
    private enum Progress {
        /// No byte of the message yet.
        case empty
        case running
        /// A block said that it is the last one.
        case ended
        /// The padding byte behind the last block came too (RFC 7692 §7.2.3.4).
        case padded
    }

    private let stream: UnsafeMutablePointer<z_stream>
    private var progress = Progress.empty

    /// - Parameter windowBits: 9 to 15, at least what the peer deflates with.
    /// - Returns: nil where zlib gets no memory.
    init?(windowBits: Int) {
        precondition((9...15).contains(windowBits), "inflate with a window of \(windowBits) bits")
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        guard unsafe signalbox_inflateInit2(stream, Int32(-windowBits)) == Z_OK else {
            unsafe stream.deallocate()
            return nil
        }
        unsafe self.stream = stream
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Forgets earlier messages, finished or not.
    mutating func reset() {
        unsafe inflateReset(stream)
        progress = .empty
    }

    /// Appends what the next bytes of a message say to `output`, which takes no more than `outputMax` in all.
    mutating func inflate(_ input: Span<UInt8>, _ chunk: Chunk, into output: inout ByteWriter, outputMax: Int) -> Outcome {
        guard !input.isEmpty else { return .fine }
        switch progress {
        case .empty: progress = .running
        case .running: break
        case .ended, .padded: return pad(input)
        }
        precondition(input.count <= Int(UInt32.max), "inflating \(input.count) bytes at once")
        return unsafe input.withUnsafeBufferPointer { source in
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
            unsafe stream.pointee.avail_in = uInt(source.count)
            defer { unsafe stream.pointee.next_in = nil }
            while true {
                let room = outputMax - output.count
                // One byte more than there is room for tells a message that is too big from one that fits exactly.
                let wanted = min(Chunk.size, room + 1)
                unsafe stream.pointee.next_out = chunk.base
                unsafe stream.pointee.avail_out = uInt(wanted)
                let result = unsafe CZlib.inflate(stream, Z_SYNC_FLUSH)
                let produced = unsafe wanted - Int(stream.pointee.avail_out)
                output.append(chunk.span(min(produced, room)))
                guard produced <= room else { return .full }
                switch result {
                case Z_OK: break
                case Z_BUF_ERROR: return .fine
                case Z_STREAM_END:
                    progress = .ended
                    let left = unsafe Int(stream.pointee.avail_in)
                    return pad(input.extracting((source.count - left)..<source.count))
                default: return .invalid
                }
                if unsafe stream.pointee.avail_in == 0 && stream.pointee.avail_out != 0 { return .fine }
            }
        }
    }

    /// The end of a message: appends what its removed tail still brings out.
    mutating func finish(_ chunk: Chunk, into output: inout ByteWriter, outputMax: Int) -> Outcome {
        switch progress {
        case .empty: return .fine
        case .running:
            // RFC 7692 §7.2.2: the receiver puts 00 00 ff ff back.
            let tail: InlineArray<4, UInt8> = [0x00, 0x00, 0xff, 0xff]
            let outcome = inflate(tail.span, chunk, into: &output, outputMax: outputMax)
            switch outcome {
            case .full, .invalid: return outcome
            case .fine: break
            }
        case .ended, .padded: break
        }
        defer { progress = .empty }
        switch progress {
        case .empty, .running:
            // zlib marks the boundary of blocks with 128 and counts bits left over below 64: a message cut short stands elsewhere.
            return unsafe stream.pointee.data_type & 0xbf == 128 ? .fine : .invalid
        case .ended, .padded:
            // Whoever ended its stream began a new one, without the old window.
            unsafe inflateReset(stream)
            return .fine
        }
    }

    /// What may follow the last block: the one padding byte, whose block the removed tail would complete.
    private mutating func pad(_ rest: Span<UInt8>) -> Outcome {
        for index in rest.indices {
            switch progress {
            case .ended where rest[index] == 0: progress = .padded
            case .empty, .running, .ended, .padded: return .invalid
            }
        }
        return .fine
    }
}

/// The memory that zlib writes its output to before it is known how much that is.
// @safe: the memory is this object's own and has `size` bytes.
@safe
final class Chunk {
    /// Large enough that a typical message is one call, small enough to stay in the first-level cache.
    static let size = 16 << 10
    fileprivate let base: UnsafeMutablePointer<UInt8>

    init() {
        unsafe base = .allocate(capacity: Chunk.size)
        unsafe base.initialize(repeating: 0, count: Chunk.size)
    }

    deinit { unsafe base.deallocate() }

    /// The first `count` bytes.
    @_lifetime(borrow self)
    fileprivate borrowing func span(_ count: Int) -> Span<UInt8> {
        precondition(count <= Chunk.size, "read \(count) bytes of a chunk")
        let view = unsafe Span(_unsafeStart: UnsafePointer(base), count: count)
        return unsafe _overrideLifetime(view, borrowing: self)
    }
}
