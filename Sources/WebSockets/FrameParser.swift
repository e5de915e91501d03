// FrameParser: finds a frame's header in bytes that come in any pieces, and judges it. Keeps at most the 14 bytes of a header that the
// reads have cut; payloads are none of its business. Obeys RFC 6455 §5.1, §5.2, §5.4, §5.5 and RFC 7692 §6.
//
// Cost: some ten compares a header, no allocation. The common frame does not come here: WebSocketConnection takes it whole.

/// What the state of the conversation allows a header to say.
struct HeaderRules {
    /// permessage-deflate was negotiated.
    var allowsCompression: Bool
    /// A fragmented message is under way.
    var expectsContinuation: Bool
}

struct FrameParser {
    private var spill: InlineArray<14, UInt8> = .init(repeating: 0)
    private var spilled: UInt8 = 0

    /// Bytes of an unfinished header that are kept here.
    var spilledCount: Int { Int(spilled) }

    /// Takes a header from `position` on.
    ///
    /// - Returns: the header, `position` standing behind it; or nil when all bytes were taken and more are needed.
    /// - Throws: the first rule broken, as soon as the bytes that break it are here.
    mutating func header(_ bytes: Span<UInt8>, _ position: inout Int, _ rules: HeaderRules) throws(FrameError) -> FrameHeader? {
        if spilled == 0, bytes.count &- position >= FrameHeader.bytesMax {
            let second = bytes[position &+ 1]
            try FrameParser.judge(first: bytes[position], second: second, rules)
            let size = FrameHeader.size(second: second)
            let header = try FrameParser.read(bytes.extracting(position..<(position &+ size)))
            position &+= size
            return header
        }
        while position < bytes.count {
            spill[Int(spilled)] = bytes[position]
            spilled &+= 1
            position &+= 1
            guard spilled >= 2 else { continue }
            if spilled == 2 { try FrameParser.judge(first: spill[0], second: spill[1], rules) }
            let size = FrameHeader.size(second: spill[1])
            guard Int(spilled) == size else { continue }
            spilled = 0
            return try FrameParser.read(spill.span.extracting(0..<size))
        }
        return nil
    }

    /// What the first two bytes already decide.
    private static func judge(first: UInt8, second: UInt8, _ rules: HeaderRules) throws(FrameError) {
        guard let opcode = Opcode(rawValue: first & 0x0f) else { throw .reservedOpcode }
        // §5.2: a reserved bit that no extension has claimed fails the connection; RFC 7692 §6.1 claims RSV1 on the first frame of a
        // data message, and nowhere else.
        guard first & 0x30 == 0 else { throw .reservedBits }
        if first & 0x40 != 0 {
            guard rules.allowsCompression, opcode == .text || opcode == .binary else { throw .reservedBits }
        }
        // §5.1: a server must fail the connection upon an unmasked frame.
        guard second & 0x80 != 0 else { throw .unmasked }
        switch opcode {
        case .close, .ping, .pong:
            // §5.5: control frames are at most 125 bytes and not fragmented.
            guard first & 0x80 != 0 else { throw .fragmentedControl }
            guard second & 0x7f <= 125 else { throw .longControl }
        case .continuation:
            // §5.4: a continuation continues something.
            guard rules.expectsContinuation else { throw .unexpectedContinuation }
        case .text, .binary:
            // §5.4: messages are not interleaved.
            guard !rules.expectsContinuation else { throw .expectedContinuation }
        }
    }

    /// Reads a whole header whose first two bytes were judged.
    private static func read(_ bytes: Span<UInt8>) throws(FrameError) -> FrameHeader {
        var length = UInt64(bytes[1] & 0x7f)
        var cursor = 2
        if length == 126 {
            length = UInt64(bytes[2]) << 8 | UInt64(bytes[3])
            cursor = 4
            // §5.2: the minimal number of bytes MUST be used to encode the length.
            guard length > 125 else { throw .lengthNotMinimal }
        } else if length == 127 {
            length = 0
            for index in 2..<10 { length = length << 8 | UInt64(bytes[index]) }
            cursor = 10
            // §5.2: the most significant bit MUST be 0.
            guard length >> 63 == 0 else { throw .lengthTopBit }
            guard length > 0xffff else { throw .lengthNotMinimal }
        }
        guard let opcode = Opcode(rawValue: bytes[0] & 0x0f) else { throw .reservedOpcode }
        return FrameHeader(
            opcode: opcode,
            isFinal: bytes[0] & 0x80 != 0,
            isCompressed: bytes[0] & 0x40 != 0,
            mask: Masking.key(in: bytes, at: cursor),
            payloadLength: Int(length))
    }
}
