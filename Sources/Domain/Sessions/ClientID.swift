// ClientID: how a hub client is called, `client-<32 hex>`. 128 random bits: nobody can guess another's, and with it its session.
public import Base

/// A hub client's name.
public struct ClientID: Hashable, Sendable {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A name that nobody has.
    public init(drawnFrom random: inout Randomness) {
        high = random.next()
        low = random.next()
    }

    /// A name from a request; nil where it is none that this server gives.
    public init?(_ text: Span<UInt8>) {
        guard text.count == ClientID.bytes else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        let prefix = ClientID.prefix.span
        for index in prefix.indices where text[index] != prefix[index] { return nil }
        for index in prefix.count..<text.count {
            let nibble: UInt8
            switch text[index] {
            case 48...57: nibble = text[index] - 48
            case 97...102: nibble = text[index] - 87
            default: return nil
            }
            words.0 = words.0 << 4 | words.1 >> 60
            words.1 = words.1 << 4 | UInt64(nibble)
        }
        (high, low) = words
    }

    /// The length of its text.
    public static let bytes = 39
    private static let prefix = SharedBytes("client-")

    /// Appends the name as text.
    public func write(to writer: inout ByteWriter) {
        writer.append(ClientID.prefix)
        writer.append(hex: high, digits: 16)
        writer.append(hex: low, digits: 16)
    }
}

extension ClientID: CustomStringConvertible {
    public var description: String {
        var writer = ByteWriter(capacity: ClientID.bytes)
        write(to: &writer)
        return writer.seal().description
    }
}
