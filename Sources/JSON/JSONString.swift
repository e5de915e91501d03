// JSONString: what stands between two quotes (RFC 8259 §7): checked, compared, decoded and escaped. Knows no structure.
// A lone surrogate escape (\ud800) is passed on verbatim, as JavaScript sends it; decoded to text it becomes U+FFFD.
//
// Cost: plain ASCII is eight bytes a step, about 0.2 ns a byte; other text is a step a character. Nothing allocates but `text`.
public import Base

@usableFromInline
enum JSONString {
    // MARK: Words

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    /// Eight bytes, the first in the lowest place.
    @inline(__always)
    private static func word(_ bytes: Span<UInt8>, at offset: Int) -> UInt64 {
        // Checked against the span's bounds; every pattern of bits is an integer.
        let raw = unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
        return UInt64(littleEndian: raw)
    }

    /// Marks bytes that cannot stand for themselves: `"`, `\` and those below 0x20. The lowest mark is right; those above it may be
    /// carried over from it.
    @inline(__always)
    private static func stops(_ word: UInt64) -> UInt64 {
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5c)
        let controls = (word &- ones &* 0x20) & ~word
        return (controls | ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)) & highs
    }

    // MARK: Checking

    /// Where the string ends whose opening quote stands before `start`: the offset after its closing quote.
    static func scan(_ bytes: Span<UInt8>, from start: Int) throws(JSONError) -> (end: Int, hasEscapes: Bool) {
        var at = start
        var hasEscapes = false
        while true {
            while bytes.count &- at >= 8 {
                let word = word(bytes, at: at)
                let marks = stops(word) | word & highs
                if marks != 0 {
                    at &+= marks.trailingZeroBitCount >> 3
                    break
                }
                at &+= 8
            }
            guard at < bytes.count else { throw JSONError(.unterminatedString, at: at) }
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") { return (at &+ 1, hasEscapes) }
            if byte >= 0x80 {
                repeat { at = try sequenceEnd(bytes, from: at) } while at < bytes.count && bytes[at] >= 0x80
            } else if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                at = try escapeEnd(bytes, from: at)
            } else if byte < 0x20 {
                throw JSONError(.controlCharacter, at: at)
            } else {
                at &+= 1
            }
        }
    }

    /// The end of the escape whose backslash stands at `start`.
    private static func escapeEnd(_ bytes: Span<UInt8>, from start: Int) throws(JSONError) -> Int {
        let at = start &+ 1
        guard at < bytes.count else { throw JSONError(.unterminatedString, at: at) }
        if simpleEscape(bytes[at]) != nil { return at &+ 1 }
        guard bytes[at] == UInt8(ascii: "u") else { throw JSONError(.badEscape, at: at) }
        for place in at &+ 1..<at &+ 5 {
            guard place < bytes.count else { throw JSONError(.unterminatedString, at: place) }
            guard hexValue(bytes[place]) != nil else { throw JSONError(.badEscape, at: place) }
        }
        return at &+ 5
    }

    /// The end of the multibyte UTF-8 sequence that begins at `start` (RFC 3629 §4).
    @inline(__always)
    private static func sequenceEnd(_ bytes: Span<UInt8>, from start: Int) throws(JSONError) -> Int {
        let lead = bytes[start]
        let length: Int
        // Only the second byte's range depends on the lead: it excludes overlong forms, surrogates and what lies beyond U+10FFFF.
        var low: UInt8 = 0x80
        var high: UInt8 = 0xbf
        if lead < 0xe0 {
            guard lead >= 0xc2 else { throw JSONError(.badUTF8, at: start) }
            length = 2
        } else if lead < 0xf0 {
            length = 3
            if lead == 0xe0 { low = 0xa0 } else if lead == 0xed { high = 0x9f }
        } else {
            guard lead <= 0xf4 else { throw JSONError(.badUTF8, at: start) }
            length = 4
            if lead == 0xf0 { low = 0x90 } else if lead == 0xf4 { high = 0x8f }
        }
        guard bytes.count &- start >= length, bytes[start &+ 1] >= low, bytes[start &+ 1] <= high else {
            throw JSONError(.badUTF8, at: start)
        }
        for place in start &+ 2..<start &+ length where bytes[place] & 0xc0 != 0x80 { throw JSONError(.badUTF8, at: start) }
        return start &+ length
    }

    // MARK: Decoding (of what `scan` has passed, without its quotes)

    /// Appends the text that `contents` stands for.
    static func decode(_ contents: Span<UInt8>, into writer: inout ByteWriter) {
        var plain = 0
        var at = 0
        while at < contents.count {
            guard contents[at] == UInt8(ascii: "\\") else {
                at &+= 1
                continue
            }
            writer.append(contents.extracting(plain..<at))
            let (scalar, end) = unescape(contents, from: at)
            for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { writer.append(byte) }
            at = end
            plain = at
        }
        writer.append(contents.extracting(plain..<at))
    }

    /// Whether `contents` stands for the text whose UTF-8 is `text`.
    static func equals(_ contents: Span<UInt8>, hasEscapes: Bool, _ text: Span<UInt8>) -> Bool {
        guard hasEscapes else { return same(contents, text) }
        var at = 0
        var expected = 0
        while at < contents.count {
            if contents[at] != UInt8(ascii: "\\") {
                guard expected < text.count, contents[at] == text[expected] else { return false }
                at &+= 1
                expected &+= 1
                continue
            }
            let (scalar, end) = unescape(contents, from: at)
            for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
                guard expected < text.count, byte == text[expected] else { return false }
                expected &+= 1
            }
            at = end
        }
        return expected == text.count
    }

    @inline(__always)
    private static func same(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        var at = 0
        while left.count &- at >= 8 {
            if word(left, at: at) != word(right, at: at) { return false }
            at &+= 8
        }
        while at < left.count {
            if left[at] != right[at] { return false }
            at &+= 1
        }
        return true
    }

    /// A text that is known to be UTF-8.
    static func text(valid bytes: Span<UInt8>) -> String {
        // Unchecked: `scan` has checked it, or the writer was given text.
        unsafe String(copying: UTF8Span(unchecked: bytes))
    }

    /// What the escape at `start` stands for, and where it ends; a surrogate without its other half is U+FFFD.
    private static func unescape(_ contents: Span<UInt8>, from start: Int) -> (scalar: Unicode.Scalar, end: Int) {
        let letter = contents[start &+ 1]
        if let simple = simpleEscape(letter) { return (Unicode.Scalar(simple), start &+ 2) }
        let first = codeUnit(contents, at: start &+ 2)
        let end = start &+ 6
        if let scalar = Unicode.Scalar(first) { return (scalar, end) }
        if first < 0xdc00, contents.count &- end >= 6, contents[end] == UInt8(ascii: "\\"), contents[end &+ 1] == UInt8(ascii: "u") {
            let second = codeUnit(contents, at: end &+ 2)
            if second >= 0xdc00, second < 0xe000,
                let scalar = Unicode.Scalar(0x10000 &+ (first &- 0xd800) << 10 &+ (second &- 0xdc00)) {
                return (scalar, end &+ 6)
            }
        }
        return ("\u{fffd}", end)
    }

    private static func codeUnit(_ contents: Span<UInt8>, at offset: Int) -> UInt32 {
        var value: UInt32 = 0
        for place in offset..<offset &+ 4 { value = value << 4 | UInt32(hexValue(contents[place]) ?? 0) }
        return value
    }

    /// RFC 8259 §7: the eight escapes of two bytes.
    @inline(__always)
    private static func simpleEscape(_ letter: UInt8) -> UInt8? {
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): letter
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0c
        case UInt8(ascii: "n"): 0x0a
        case UInt8(ascii: "r"): 0x0d
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }

    @inline(__always)
    private static func hexValue(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit &- UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit &- UInt8(ascii: "a") &+ 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit &- UInt8(ascii: "A") &+ 10
        default: nil
        }
    }

    // MARK: Escaping

    /// Appends `text` between quotes, escaping only what RFC 8259 §7 says must be.
    @usableFromInline
    static func append(_ text: Span<UInt8>, to writer: inout ByteWriter) {
        writer.reserve(text.count &+ 2)
        writer.append(UInt8(ascii: "\""))
        var plain = 0
        while true {
            let stop = plainEnd(text, from: plain)
            writer.append(text.extracting(plain..<stop))
            if stop == text.count { break }
            escape(text[stop], to: &writer)
            plain = stop &+ 1
        }
        writer.append(UInt8(ascii: "\""))
    }

    /// Appends the text of a literal between quotes.
    @usableFromInline
    static func append(_ text: StaticString, to writer: inout ByteWriter) { append(span(of: text), to: &writer) }

    /// The bytes of a literal, which live as long as the program.
    @inline(__always)
    @_lifetime(immortal)
    static func span(of text: StaticString) -> Span<UInt8> {
        precondition(text.hasPointerRepresentation, "a literal of one scalar has no bytes in memory")
        let span = unsafe Span(_unsafeStart: text.utf8Start, count: text.utf8CodeUnitCount)
        return unsafe _overrideLifetime(span, borrowing: ())
    }

    /// The first byte from `start` that needs an escape, or the end.
    @inline(__always)
    private static func plainEnd(_ text: Span<UInt8>, from start: Int) -> Int {
        var at = start
        while text.count &- at >= 8 {
            let marks = stops(word(text, at: at))
            if marks != 0 { return at &+ marks.trailingZeroBitCount >> 3 }
            at &+= 8
        }
        while at < text.count, text[at] >= 0x20, text[at] != UInt8(ascii: "\""), text[at] != UInt8(ascii: "\\") { at &+= 1 }
        return at
    }

    private static func escape(_ byte: UInt8, to writer: inout ByteWriter) {
        writer.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: writer.append(UInt8(ascii: "b"))
        case 0x09: writer.append(UInt8(ascii: "t"))
        case 0x0a: writer.append(UInt8(ascii: "n"))
        case 0x0c: writer.append(UInt8(ascii: "f"))
        case 0x0d: writer.append(UInt8(ascii: "r"))
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): writer.append(byte)
        default:
            writer.append(UInt8(ascii: "u"))
            writer.append(hex: UInt64(byte), digits: 4)
        }
    }
}
