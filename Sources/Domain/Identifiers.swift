// Identifiers: how the domain names things. Values of a few words, compared and hashed as bytes; text only when a message is written.
public import Base

/// A task's name: 128 random bits that are written as a UUID, or 1 to 200 bytes that an outside program chose.
///
/// A chosen name that is a lower-case UUID is the same value as the random one, so each name has one form.
public struct TaskID: Hashable, Sendable {
    let high: UInt64
    let low: UInt64
    /// The chosen name, where the name is no UUID.
    public let name: SharedBytes?

    /// A random name (RFC 9562 §5.4); the caller has set the version's bits.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
        name = nil
    }

    /// A name from a message or a path; nil where it is empty, longer than 200 bytes, no UTF-8, or has control characters.
    public init?(_ text: Span<UInt8>) {
        if let (high, low) = TaskID.uuid(text) {
            self.init(high: high, low: low)
            return
        }
        guard text.count >= 1, text.count <= TaskID.bytesMax, UTF8Validator.isValid(text), !TaskID.hasControls(text) else { return nil }
        self.init(name: SharedBytes(copying: text))
    }

    /// Whether a UTF-8 text has characters of the Unicode category Cc: below U+0020, and U+007F to U+009F.
    private static func hasControls(_ text: Span<UInt8>) -> Bool {
        var previous: UInt8 = 0
        for index in text.indices {
            let byte = text[index]
            if byte < 0x20 || byte == 0x7f || previous == 0xc2 && byte < 0xa0 { return true }
            previous = byte
        }
        return false
    }

    private init(name: SharedBytes) {
        high = 0
        low = 0
        self.name = name
    }

    public static let bytesMax = 200

    public func hash(into hasher: inout Hasher) {
        // A chosen name has no bits, and most names are not chosen.
        guard let name else {
            hasher.combine(high)
            return hasher.combine(low)
        }
        hasher.combine(name)
    }

    /// Appends the name as text.
    public func write(to writer: inout ByteWriter) {
        if let name {
            writer.append(name)
            return
        }
        writer.append(uuid: high, low)
    }

    private static func uuid(_ text: Span<UInt8>) -> (UInt64, UInt64)? {
        guard text.count == 36 else { return nil }
        let hyphen = UInt8(ascii: "-")
        guard text[8] == hyphen, text[13] == hyphen, text[18] == hyphen, text[23] == hyphen else { return nil }
        // The groups of four have a hyphen between them: the one comes first in its word, the other last in the next.
        let second = text.word(at: 9) & 0xffff_ffff_0000_0000 | text.word(at: 10) & 0x0000_0000_ffff_ffff
        let third = text.word(at: 19) & 0xffff_ffff_0000_0000 | text.word(at: 20) & 0x0000_0000_ffff_ffff
        guard let first = HexDigits.number(of: text.word(at: 0)), let second = HexDigits.number(of: second),
            let third = HexDigits.number(of: third), let fourth = HexDigits.number(of: text.word(at: 28))
        else { return nil }
        return (UInt64(first) << 32 | UInt64(second), UInt64(third) << 32 | UInt64(fourth))
    }
}

extension TaskID: CustomStringConvertible {
    public var description: String {
        var writer = ByteWriter(capacity: 48)
        write(to: &writer)
        return writer.seal().description
    }
}

extension TaskID: Comparable {
    /// The order of the names' bytes.
    public static func < (left: TaskID, right: TaskID) -> Bool {
        // Lower-case digits of the same places stand in the order of their numbers.
        if left.name == nil, right.name == nil { return left.high != right.high ? left.high < right.high : left.low < right.low }
        return left.description.utf8.lexicographicallyPrecedes(right.description.utf8)
    }
}

/// A worker's name, `W1-1234abcd`: which connection of this server's life it is, and 32 random bits.
public struct WorkerID: Hashable, Sendable {
    public let number: UInt32
    public let suffix: UInt32

    public init(number: UInt32, suffix: UInt32) {
        self.number = number
        self.suffix = suffix
    }

    /// A name from a message, a path or a record: as ``write(to:)`` writes it, and in no other form.
    public init?(_ text: Span<UInt8>) {
        guard text.count >= 11, text.count <= 20, text[0] == UInt8(ascii: "W") else { return nil }
        let hyphen = text.count - 9
        guard text[hyphen] == UInt8(ascii: "-"), hyphen == 2 || text[1] != UInt8(ascii: "0") else { return nil }
        var number: UInt64 = 0
        for index in 1..<hyphen {
            let digit = text[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            number = number * 10 + UInt64(digit)
        }
        guard let suffix = HexDigits.number(of: text.word(at: hyphen + 1)) else { return nil }
        guard let number = UInt32(exactly: number) else { return nil }
        self.init(number: number, suffix: suffix)
    }

    /// The name as text, in bytes of its own.
    var text: SharedBytes {
        var writer = ByteWriter(capacity: 24)
        write(to: &writer)
        return writer.seal()
    }

    public func write(to writer: inout ByteWriter) {
        writer.append(UInt8(ascii: "W"))
        writer.append(decimal: Int(number))
        writer.append(UInt8(ascii: "-"))
        writer.append(hex: UInt64(suffix), digits: 8)
    }
}

extension WorkerID: CustomStringConvertible {
    public var description: String {
        var writer = ByteWriter(capacity: 24)
        write(to: &writer)
        return writer.seal().description
    }
}

/// A request that waits for an answer: its connection and which request of that connection it is.
public struct ExchangeID: Hashable, Sendable {
    public let connection: ConnectionID
    public let number: UInt32

    public init(connection: ConnectionID, number: UInt32) {
        self.connection = connection
        self.number = number
    }
}

extension TaskID: LogValue {
    public var logText: LogText { .text(description) }
}

extension WorkerID: LogValue {
    public var logText: LogText { .text(description) }
}
