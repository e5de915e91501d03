// HeaderList: the elements of a header value, in one pass. Knows tokens, quoted strings and optional white space (RFC 9110 §5.6); what
// the elements mean is the business of Handshake and DeflateNegotiation.

/// Walks over the elements of a list. It keeps no bytes: each call gets the same ones again.
struct HeaderList {
    private var position = 0
    private let end: Int
    /// False once an empty element or a quote without its end was met, where those matter.
    private(set) var isWellFormed = true

    init(_ value: Span<UInt8>) { end = value.count }

    /// The next element, white space around it left off; separators inside quotes do not count. Empty elements of a comma-separated
    /// list are skipped (RFC 9110 §5.6.1.2).
    mutating func next(_ value: Span<UInt8>, separator: UInt8) -> Range<Int>? {
        while position < end {
            let start = position
            var isQuoted = false
            while position < end {
                let byte = value[position]
                if isQuoted, byte == UInt8(ascii: "\\") {
                    position += 1
                } else if byte == UInt8(ascii: "\"") {
                    isQuoted.toggle()
                } else if byte == separator, !isQuoted {
                    break
                }
                position += 1
            }
            if isQuoted { isWellFormed = false }
            let element = value.trimmed(start..<min(position, end))
            // A separator at the very end is an empty element too.
            let endsInSeparator = position == end - 1
            position += 1
            if separator != UInt8(ascii: ","), element.isEmpty || endsInSeparator { isWellFormed = false }
            if !element.isEmpty { return element }
        }
        return nil
    }
}

extension Span where Element == UInt8 {
    /// `range` without spaces and tabs at its ends.
    func trimmed(_ range: Range<Int>) -> Range<Int> {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high, self[low] == 0x20 || self[low] == 0x09 { low += 1 }
        while low < high, self[high - 1] == 0x20 || self[high - 1] == 0x09 { high -= 1 }
        return low..<high
    }

    /// Whether the bytes are the ASCII letters of `text`, which is in lower case, whatever their case.
    func equalsIgnoringCase(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count {
            let byte = self[index]
            let lower = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
            guard unsafe lower == text.utf8Start[index] else { return false }
        }
        return true
    }

    /// Whether the bytes are a token (RFC 9110 §5.6.2): visible, no delimiters, at least one.
    var isToken: Bool {
        guard !isEmpty else { return false }
        for index in indices {
            switch self[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                0x21, 0x23...0x27, 0x2a, 0x2b, 0x2d, 0x2e, 0x5e...0x60, 0x7c, 0x7e:
                continue
            default:
                return false
            }
        }
        return true
    }
}
