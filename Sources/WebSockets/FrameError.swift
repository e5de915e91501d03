// FrameError: everything a peer can do wrong once the WebSocket is open, and the close code and words that it earns. Knows no bytes.
// Obeys RFC 6455 §7.4.1 for the codes.

/// A breach of the protocol by the peer; the connection is then failed (RFC 6455 §7.1.7).
public enum FrameError: UInt8, Error, Hashable, Sendable, CaseIterable {
    case reservedBits
    case reservedOpcode
    case unmasked
    case fragmentedControl
    case longControl
    case unexpectedContinuation
    case expectedContinuation
    case lengthNotMinimal
    case lengthTopBit
    case badClosePayload
    case badCloseCode
    case invalidUTF8
    case invalidDeflate
    case messageTooBig
    case tooManyFragments
    /// Ours, not the peer's: zlib got no memory.
    case outOfMemory

    /// What the close frame should say.
    public var closeCode: CloseCode {
        switch self {
        case .reservedBits, .reservedOpcode, .unmasked, .fragmentedControl, .longControl, .unexpectedContinuation,
            .expectedContinuation, .lengthNotMinimal, .lengthTopBit, .badClosePayload, .badCloseCode:
            .protocolError
        case .invalidUTF8, .invalidDeflate: .invalidPayload
        case .messageTooBig: .messageTooBig
        case .tooManyFragments: .policyViolation
        case .outOfMemory: .internalError
        }
    }

    /// Words for the close frame and the log; ASCII, below 123 bytes (RFC 6455 §5.5).
    public var reason: StaticString {
        switch self {
        case .reservedBits: "reserved bits set without an extension"
        case .reservedOpcode: "reserved opcode"
        case .unmasked: "client frames must be masked"
        case .fragmentedControl: "control frames must not be fragmented"
        case .longControl: "control frames carry at most 125 bytes"
        case .unexpectedContinuation: "continuation without a message"
        case .expectedContinuation: "new message inside a fragmented one"
        case .lengthNotMinimal: "length not in its shortest form"
        case .lengthTopBit: "length with its top bit set"
        case .badClosePayload: "close payload of one byte"
        case .badCloseCode: "close code not allowed"
        case .invalidUTF8: "text is not UTF-8"
        case .invalidDeflate: "compressed data is invalid"
        case .messageTooBig: "message too big"
        case .tooManyFragments: "message in too many fragments"
        case .outOfMemory: "out of memory"
        }
    }
}
