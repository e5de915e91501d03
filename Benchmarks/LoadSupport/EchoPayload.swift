// EchoPayload: what an echo message says, and whether a reply says it. Each message carries its sequence and its connection in the
// first 16 bytes and then letters from a place that depends on both, so that a stale, swapped or torn reply differs. Not a frame
// reader: it is handed pieces of payload with their offsets.
//
// Cost: building and checking are each one pass of the C library's copy or compare; nothing is allocated per message.
// The copy of 16 KiB dominates; for 64 bytes it is the call itself, about 10 ns.

public import Base
import Glibc

/// Builds and checks the messages of an echo run, all of one size.
public struct EchoPayload: Sendable {
    /// Distinct places in the letters where a message's body may begin, times the alignment of the mask.
    private static let shiftBytes = 4096
    private static let stampBytes = 16

    /// Bytes of payload a message has.
    public let size: Int

    private let letters: [UInt8]
    private let maskedLetters: [UInt8]
    private let prefix: [UInt8]
    private let headerBytes: Int
    private let mask: UInt64

    /// - Parameters:
    ///   - size: Bytes of payload, at least 1.
    ///   - opcode: The kind of message: text or binary. The payload is ASCII in both.
    public init(size: Int, opcode: ClientFrame.Opcode) {
        precondition(size > 0, "a message of \(size) bytes cannot carry its number")
        self.size = size
        var letters: [UInt8] = []
        letters.reserveCapacity(max(size, Self.stampBytes) + Self.shiftBytes)
        var state: UInt32 = 1
        for _ in 0..<(max(size, Self.stampBytes) + Self.shiftBytes) {
            state = state &* 1_664_525 &+ 1_013_904_223
            letters.append(UInt8(ascii: "a") + UInt8(truncatingIfNeeded: (state >> 16) % 26))
        }
        self.letters = letters
        let key = ClientFrame.maskingKey
        maskedLetters = letters.indices.map { letters[$0] ^ key[$0 & 3] }
        let header = ClientFrame.header(opcode, payloadBytes: size)
        headerBytes = header.count
        prefix = header + [UInt8](repeating: 0, count: min(size, Self.stampBytes))
        let bytes = (0..<8).map { UInt64(key[$0 & 3]) << UInt64(8 * $0) }
        mask = bytes.reduce(0, |)
    }

    /// Appends the masked frame of a message.
    public func appendFrame(connection: UInt32, sequence: UInt32, to output: inout ByteWriter) {
        let start = output.count + headerBytes
        output.append(prefix.span)
        if size > Self.stampBytes {
            let shift = Self.shift(connection, sequence)
            output.append(maskedLetters.span.extracting(shift..<(shift + size - Self.stampBytes)))
        }
        let low = Self.spread(sequence) ^ mask
        let high = Self.spread(connection) ^ mask
        var bytes = output.mutableSpan
        if size >= Self.stampBytes {
            // Bytes hold any pattern, so writing words over them leaves nothing invalid.
            var raw = unsafe bytes.mutableBytes
            raw.storeBytes(of: low.littleEndian, toByteOffset: start, as: UInt64.self)
            raw.storeBytes(of: high.littleEndian, toByteOffset: start + 8, as: UInt64.self)
        } else {
            for index in 0..<size { bytes[start + index] = Self.byte(index, low, high) }
        }
    }

    /// Appends what a message says, without a frame around it.
    public func appendMessage(connection: UInt32, sequence: UInt32, to output: inout ByteWriter) {
        let (low, high) = (Self.spread(sequence), Self.spread(connection))
        for index in 0..<min(size, Self.stampBytes) { output.append(Self.byte(index, low, high)) }
        guard size > Self.stampBytes else { return }
        let shift = Self.shift(connection, sequence)
        output.append(letters.span.extracting(shift..<(shift + size - Self.stampBytes)))
    }

    /// Whether a piece of a reply is what was sent there.
    /// - Parameters:
    ///   - piece: Bytes of unmasked payload.
    ///   - offset: How many bytes of the message came before.
    public func matches(_ piece: Span<UInt8>, at offset: Int, connection: UInt32, sequence: UInt32) -> Bool {
        guard offset + piece.count <= size else { return false }
        let low = Self.spread(sequence)
        let high = Self.spread(connection)
        var position = 0
        if offset == 0, piece.count >= Self.stampBytes {
            // The usual case: the stamp is whole. Bytes hold any pattern and the count was looked at, so both loads are in bounds.
            let stamp = unsafe piece.bytes
            guard unsafe stamp.unsafeLoadUnaligned(as: UInt64.self).littleEndian == low,
                unsafe stamp.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self).littleEndian == high
            else { return false }
            position = Self.stampBytes
        }
        while offset + position < Self.stampBytes, position < piece.count {
            guard piece[position] == Self.byte(offset + position, low, high) else { return false }
            position += 1
        }
        guard position < piece.count else { return true }
        let start = Self.shift(connection, sequence) + offset + position - Self.stampBytes
        return Self.equal(
            piece.extracting(position..<piece.count), letters.span.extracting(start..<(start + piece.count - position)))
    }

    /// A number as eight bytes of ASCII, four bits each: `@` is 0, `O` is 15, the lowest first.
    private static func spread(_ number: UInt32) -> UInt64 {
        var bits = UInt64(number)
        bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff
        bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff
        bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f
        return bits | 0x4040_4040_4040_4040
    }

    private static func byte(_ index: Int, _ low: UInt64, _ high: UInt64) -> UInt8 {
        UInt8(truncatingIfNeeded: (index < 8 ? low : high) >> UInt64(8 * (index & 7)))
    }

    /// Where in the letters the body begins: a multiple of four, so that the mask falls on them as it was precomputed.
    private static func shift(_ connection: UInt32, _ sequence: UInt32) -> Int {
        Int((sequence &* 4 &+ connection &* 36) & UInt32(shiftBytes - 4))
    }

    private static func equal(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        // The C library compares 32 bytes at a time; the counts are equal by construction of the two ranges.
        unsafe left.withUnsafeBytes { first in
            unsafe right.withUnsafeBytes { second in
                guard let start = first.baseAddress, let other = second.baseAddress else { return true }
                return unsafe memcmp(start, other, first.count) == 0
            }
        }
    }
}
