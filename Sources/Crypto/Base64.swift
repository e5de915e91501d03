// Base64: bytes as letters and back (RFC 4648 §4 and §5). An encoding, not cryptography; it hides nothing and takes no care of time.
// Decoding is strict, one text for one value: no line breaks, no missing or extra padding, no stray bits (RFC 4648 §3.3, §3.5).
public import Base

/// Why a text is not base64. Offsets count bytes of the text.
public enum Base64Error: Error, Equatable {
    /// No number of bytes encodes to this many letters.
    case length(Int)
    /// A byte outside the alphabet, padding in the wrong place included.
    case character(at: Int)
    /// Bits of the last letter that belong to no byte are not 0.
    case strayBits(at: Int)
}

public enum Base64 {
    /// Which 64 letters, and whether `=` fills the last four.
    public enum Alphabet: Sendable {
        /// `+` and `/`, padded (RFC 4648 §4).
        case standard
        /// `-` and `_`, never padded (RFC 4648 §5 as RFC 7515 §2 uses it).
        case urlSafe
    }

    /// How many letters `count` bytes become.
    public static func encodedCount(of count: Int, _ alphabet: Alphabet = .standard) -> Int {
        switch alphabet {
        case .standard: (count + 2) / 3 * 4
        case .urlSafe: count / 3 * 4 + (count % 3 == 0 ? 0 : count % 3 + 1)
        }
    }

    /// Appends the letters of `bytes` to `writer`.
    public static func encode(_ bytes: Span<UInt8>, _ alphabet: Alphabet = .standard, into writer: inout ByteWriter) {
        writer.reserve(encodedCount(of: bytes.count, alphabet))
        var index = 0
        while bytes.count - index >= 3 {
            let group = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
            for shift in stride(from: UInt32(18), through: 0, by: -6) { writer.append(letter(group >> shift, alphabet)) }
            index += 3
        }
        let left = bytes.count - index
        guard left > 0 else { return }
        let group = UInt32(bytes[index]) << 16 | (left == 2 ? UInt32(bytes[index + 1]) << 8 : 0)
        writer.append(letter(group >> 18, alphabet))
        writer.append(letter(group >> 12, alphabet))
        if left == 2 { writer.append(letter(group >> 6, alphabet)) }
        switch alphabet {
        case .standard: for _ in left..<3 { writer.append(UInt8(ascii: "=")) }
        case .urlSafe: break
        }
    }

    /// Appends the bytes that `text` stands for to `writer`; on an error the writer is as it was.
    public static func decode(
        _ text: Span<UInt8>, _ alphabet: Alphabet = .standard, into writer: inout ByteWriter
    ) throws(Base64Error) {
        let letters = try letterCount(text, alphabet)
        let start = writer.count
        writer.reserve(letters / 4 * 3 + 2)
        var group: UInt32 = 0
        for index in 0..<letters {
            guard let value = value(of: text[index], alphabet) else {
                writer.truncate(to: start)
                throw .character(at: index)
            }
            group = group << 6 | UInt32(value)
            if index % 4 == 3 {
                for shift in stride(from: UInt32(16), through: 0, by: -8) { writer.append(UInt8(truncatingIfNeeded: group >> shift)) }
                group = 0
            }
        }
        let left = letters % 4
        guard left > 0 else { return }
        // Two letters hold one byte and 4 bits, three hold two bytes and 2 bits.
        let stray: UInt32 = left == 2 ? 4 : 2
        guard group & ((1 << stray) - 1) == 0 else {
            writer.truncate(to: start)
            throw .strayBits(at: letters - 1)
        }
        group >>= stray
        if left == 3 { writer.append(UInt8(truncatingIfNeeded: group >> 8)) }
        writer.append(UInt8(truncatingIfNeeded: group))
    }

    /// How much of `text` is letters, padding left off.
    private static func letterCount(_ text: Span<UInt8>, _ alphabet: Alphabet) throws(Base64Error) -> Int {
        switch alphabet {
        case .standard:
            guard text.count % 4 == 0 else { throw .length(text.count) }
            guard text.count > 0, text[text.count - 1] == UInt8(ascii: "=") else { return text.count }
            return text.count - (text[text.count - 2] == UInt8(ascii: "=") ? 2 : 1)
        case .urlSafe:
            guard text.count % 4 != 1 else { throw .length(text.count) }
            return text.count
        }
    }

    /// Whether `text` is letters alone, without padding.
    public static func isLetters(_ text: Span<UInt8>, _ alphabet: Alphabet = .standard) -> Bool {
        for index in text.indices where value(of: text[index], alphabet) == nil { return false }
        return true
    }

    @inline(__always)
    private static func letter(_ bits: UInt32, _ alphabet: Alphabet) -> UInt8 {
        let letters: StaticString =
            switch alphabet {
            case .standard: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            case .urlSafe: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            }
        // Six bits are below 64.
        return unsafe letters.utf8Start[Int(bits & 63)]
    }

    @inline(__always)
    private static func value(of letter: UInt8, _ alphabet: Alphabet) -> UInt8? {
        switch letter {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): return letter - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return letter - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return letter - UInt8(ascii: "0") + 52
        default:
            switch alphabet {
            case .standard: return letter == UInt8(ascii: "+") ? 62 : letter == UInt8(ascii: "/") ? 63 : nil
            case .urlSafe: return letter == UInt8(ascii: "-") ? 62 : letter == UInt8(ascii: "_") ? 63 : nil
            }
        }
    }
}
