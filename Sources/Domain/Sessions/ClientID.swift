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
        let prefix = ClientID.prefix.span
        for index in prefix.indices where text[index] != prefix[index] { return nil }
        guard let high = ClientID.word(at: prefix.count, of: text), let low = ClientID.word(at: prefix.count + 16, of: text)
        else { return nil }
        self.init(high: high, low: low)
    }

    private static func word(at offset: Int, of text: Span<UInt8>) -> UInt64? {
        guard let first = HexDigits.number(of: text.word(at: offset)), let second = HexDigits.number(of: text.word(at: offset + 8))
        else { return nil }
        return UInt64(first) << 32 | UInt64(second)
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
