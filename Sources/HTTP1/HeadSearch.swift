// HeadSearch: where a request head ends, found while it arrives. Remembers how far it looked, counts lines and bytes, and refuses too much
// of either before anything is built from it. Not what the lines say: RequestHead. RFC 9112 §2.1 and §2.2.
//
// Cost: memory speed; no byte is looked at twice however small the pieces are.
import Base

/// The search for the blank line that ends a head.
struct HeadSearch {
    /// Bytes from the head's first on that were searched.
    private var searched: UInt32 = 0
    /// Where the line at hand begins, from the head's first byte.
    private var lineStart: UInt32 = 0
    /// Lines that have ended, the request line being the first.
    private var lines: UInt32 = 0

    /// The end of the head that begins at `start`, behind its blank line; nil where it has not come yet.
    mutating func end(_ bytes: Span<UInt8>, _ start: Int, limits: HTTPLimits) throws(HTTPError) -> Int? {
        // Behind the limit nothing is looked at: the same head is refused for the same reason however it is cut.
        let window = bytes.extracting(start..<start &+ min(bytes.count &- start, limits.headerBytesMax))
        var cursor = min(Int(searched), window.count)
        var line = Int(lineStart)
        while let lineFeed = window.find(.lineFeed, from: cursor) {
            let length = lineFeed &+ 1 &- line
            if lines == 0, length > limits.requestLineBytesMax { throw .targetTooLong }
            // §2.2: a recipient MAY take a bare LF for a line end; two recipients that choose differently are how requests are smuggled.
            guard length >= 2, window[lineFeed &- 1] == .carriageReturn else { throw .bareLineFeed }
            if length == 2 { return start &+ lineFeed &+ 1 }
            lines &+= 1
            if Int(lines) &- 1 > limits.headerCountMax { throw .tooManyFields }
            line = lineFeed &+ 1
            cursor = line
        }
        if lines == 0, window.count > limits.requestLineBytesMax { throw .targetTooLong }
        if window.count == limits.headerBytesMax { throw .headTooLarge }
        searched = UInt32(truncatingIfNeeded: window.count)
        lineStart = UInt32(truncatingIfNeeded: line)
        return nil
    }
}
