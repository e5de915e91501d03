// ActivityExtra: the few words that stand beside an activity, as one JSON object (RFC 8259 §4). Writes texts and whole numbers only, and
// reads nothing: what JSON is otherwise is for the floors above.
import Base

/// A JSON object in the making; nothing where nothing was added.
struct ActivityExtra: ~Copyable {
    private var writer = ByteWriter(capacity: 128)

    /// Adds a member with a plain text; nothing for nil.
    mutating func add(_ key: StaticString, text: SharedBytes?) {
        guard let text else { return }
        begin(key)
        writer.append(UInt8(ascii: "\""))
        let bytes = text.span
        for index in bytes.indices { append(escaped: bytes[index]) }
        writer.append(UInt8(ascii: "\""))
    }

    mutating func add(_ key: StaticString, number: Int?) {
        guard let number else { return }
        begin(key)
        writer.append(decimal: number)
    }

    /// Adds a member with a JSON value, byte for byte.
    mutating func add(_ key: StaticString, value: SharedBytes) {
        begin(key)
        writer.append(value)
    }

    /// The object; empty where nothing was added.
    consuming func seal() -> SharedBytes {
        guard !writer.isEmpty else { return .empty }
        writer.append(UInt8(ascii: "}"))
        return writer.seal()
    }

    /// - Parameter key: a word of the source: it needs no escapes.
    private mutating func begin(_ key: StaticString) {
        writer.append(UInt8(ascii: writer.isEmpty ? "{" : ","))
        writer.append(UInt8(ascii: "\""))
        writer.append(key)
        writer.append("\":")
    }

    /// RFC 8259 §7: the quotation mark, the reverse solidus and the control characters MUST be escaped.
    private mutating func append(escaped byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            writer.append(UInt8(ascii: "\\"))
            writer.append(byte)
        case 0..<0x20:
            writer.append("\\u00")
            writer.append(hex: UInt64(byte), digits: 2)
        default: writer.append(byte)
        }
    }
}
