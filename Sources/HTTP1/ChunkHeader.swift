// ChunkHeader: the lines between the chunks of a chunked message, size and extensions before one, trailer fields after the last. Lines
// come whole and without their CRLF; where they end is BodyDecoder's business. RFC 9112 §7.1.
import Base

enum ChunkHeader {
    /// The size that a chunk size line announces; its extensions are checked and ignored (§7.1.1).
    static func size(_ line: Range<Int>, of bytes: Span<UInt8>) throws(HTTPError) -> Int {
        var cursor = line.lowerBound
        var size = 0
        var overflow = false
        while cursor < line.upperBound, let digit = bytes[cursor].hexDigit {
            // §7.1: recipients MUST anticipate large numbers and prevent errors from overflow.
            overflow = overflow || size >> (Int.bitWidth - 5) != 0
            size = size << 4 | Int(digit)
            cursor &+= 1
        }
        guard cursor > line.lowerBound else { throw .invalidChunkSize }
        if cursor < line.upperBound {
            guard bytes[cursor].isBlank || bytes[cursor] == UInt8(ascii: ";") else { throw .invalidChunkSize }
            try checkExtensions(cursor..<line.upperBound, of: bytes)
        }
        guard !overflow else { throw .contentTooLarge }
        return size
    }

    /// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`, to the end.
    private static func checkExtensions(_ range: Range<Int>, of bytes: Span<UInt8>) throws(HTTPError) {
        var cursor = range.lowerBound
        let end = range.upperBound
        while cursor < end {
            skipBlanks(bytes, &cursor, end)
            guard cursor < end, bytes[cursor] == UInt8(ascii: ";") else { throw .invalidChunkExtension }
            cursor &+= 1
            skipBlanks(bytes, &cursor, end)
            try skipToken(bytes, &cursor, end)
            var behind = cursor
            skipBlanks(bytes, &behind, end)
            guard behind < end, bytes[behind] == UInt8(ascii: "=") else { continue }
            cursor = behind &+ 1
            skipBlanks(bytes, &cursor, end)
            if cursor < end, bytes[cursor] == UInt8(ascii: "\"") {
                try skipQuoted(bytes, &cursor, end)
            } else {
                try skipToken(bytes, &cursor, end)
            }
        }
    }

    private static func skipBlanks(_ bytes: Span<UInt8>, _ cursor: inout Int, _ end: Int) {
        while cursor < end, bytes[cursor].isBlank { cursor &+= 1 }
    }

    private static func skipToken(_ bytes: Span<UInt8>, _ cursor: inout Int, _ end: Int) throws(HTTPError) {
        let start = cursor
        while cursor < end, bytes[cursor].isToken { cursor &+= 1 }
        guard cursor > start else { throw .invalidChunkExtension }
    }

    /// quoted-string of RFC 9110 §5.6.4.
    private static func skipQuoted(_ bytes: Span<UInt8>, _ cursor: inout Int, _ end: Int) throws(HTTPError) {
        cursor &+= 1
        while cursor < end, bytes[cursor].isFieldContent {
            let byte = bytes[cursor]
            cursor &+= 1
            if byte == UInt8(ascii: "\"") { return }
            if byte == UInt8(ascii: "\\") {
                guard cursor < end, bytes[cursor].isFieldContent else { throw .invalidChunkExtension }
                cursor &+= 1
            }
        }
        throw .invalidChunkExtension
    }

    /// Whether a trailer line is a header field line, by the rules of the head.
    static func checkTrailer(_ line: Range<Int>, of bytes: Span<UInt8>) throws(HTTPError) {
        var cursor = line.lowerBound
        let end = line.upperBound
        while cursor < end, bytes[cursor].isToken { cursor &+= 1 }
        guard cursor > line.lowerBound, cursor < end, bytes[cursor] == UInt8(ascii: ":") else {
            guard cursor < end, bytes[cursor].isBlank else { throw .invalidFieldName }
            throw cursor == line.lowerBound ? .foldedField : .spaceBeforeColon
        }
        cursor &+= 1
        while cursor < end, bytes[cursor].isFieldContent { cursor &+= 1 }
        guard cursor == end else { throw bytes[cursor] == .carriageReturn ? .bareCarriageReturn : .invalidFieldValue }
    }
}
