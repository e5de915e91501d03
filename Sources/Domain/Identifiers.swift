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

    /// Appends the name as text.
    public func write(to writer: inout ByteWriter) {
        if let name {
            writer.append(name)
            return
        }
        writer.append(hex: high >> 32, digits: 8)
        writer.append(UInt8(ascii: "-"))
        writer.append(hex: high >> 16, digits: 4)
        writer.append(UInt8(ascii: "-"))
        writer.append(hex: high, digits: 4)
        writer.append(UInt8(ascii: "-"))
        writer.append(hex: low >> 48, digits: 4)
        writer.append(UInt8(ascii: "-"))
        writer.append(hex: low, digits: 12)
    }

    private static func uuid(_ text: Span<UInt8>) -> (UInt64, UInt64)? {
        guard text.count == 36 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in text.indices {
            let byte = text[index]
            switch index {
            case 8, 13, 18, 23:
                guard byte == UInt8(ascii: "-") else { return nil }
            default:
                let nibble: UInt8
                switch byte {
                case 48...57: nibble = byte - 48
                case 97...102: nibble = byte - 87
                default: return nil
                }
                if index < 18 { high = high << 4 | UInt64(nibble) } else { low = low << 4 | UInt64(nibble) }
            }
        }
        return (high, low)
    }
}

extension TaskID: CustomStringConvertible {
    public var description: String {
        var writer = ByteWriter(capacity: 48)
        write(to: &writer)
        return writer.seal().description
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
