// ChunkedCheck: a chunked body means the same whole, cut into reads, and to a reference that looks at all of it at once (RFC 9112 §7.1):
// content, where it ends, and whether it is refused; and what is written in chunks is read back.
import HTTP1

private let limits = HTTPLimits(
    headerBytesMax: 1 << 10, headerCountMax: 20, targetBytesMax: 256, bodyBytesMax: 1 << 10, chunkHeaderBytesMax: 48,
    trailerBytesMax: 96, drainBytesMax: 256)

private let head = Array("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)

func checkChunked(_ input: FuzzInput) {
    let (whole, wholeError) = Reading.of(input.bytes, ends: [input.bytes.count])
    let (cut, cutError) = Reading.of(input.bytes, ends: input.ends)
    require(whole == cut && wholeError == cutError, "whole: \(whole) \(wholeError as Any)\ncut: \(cut) \(cutError as Any)")
    let reference = Reference.reading(input.bytes)
    require(whole == reference, "read: \(whole) \(wholeError as Any)\nreference: \(reference)")
    if input.choice & 0x10 != 0 { checkRoundTrip(input) }
}

/// What became of a body.
private struct Reading: Equatable {
    enum End: Equatable {
        /// More is to come.
        case open
        /// It ended before this byte.
        case ended(at: Int)
        case refused
    }

    var content: [UInt8] = []
    var end = End.open

    static func of(_ body: [UInt8], ends: [Int]) -> (Reading, HTTPError?) {
        let bytes = head + body
        var exchange = ServerExchange()
        var request = RequestHead()
        var reading = Reading()
        var position = 0
        do {
            for end in ends.map({ head.count + $0 }) {
                while true {
                    let event = try exchange.next(bytes.span.extracting(0..<end), &position, head: &request, limits: limits)
                    require(position <= end, "position \(position) of \(end)")
                    switch event {
                    case .head: continue
                    case .body(let range):
                        require(range.upperBound <= position && !range.isEmpty, "content \(range) before \(position)")
                        reading.content += bytes[range]
                        continue
                    case .end:
                        reading.end = .ended(at: position - head.count)
                        return (reading, nil)
                    case .needMore: break
                    case .paused, .upgraded, .closed: fatalError("\(event) inside of a body")
                    }
                    break
                }
            }
        } catch {
            reading.end = .refused
            return (reading, error)
        }
        return (reading, nil)
    }
}

/// The grammar once more, over a body that is all there, without a state between bytes.
private enum Reference {
    static func reading(_ body: [UInt8]) -> Reading {
        var reading = Reading()
        var rest = body[...]
        while true {
            guard let line = line(&rest, max: limits.chunkHeaderBytesMax, &reading) else { return reading }
            guard let size = size(line), reading.announced + size <= limits.bodyBytesMax else { return reading.refusing() }
            if size == 0 { break }
            reading.content += rest.prefix(size)
            guard rest.count >= size else { return reading }
            rest = rest.dropFirst(size)
            for expected in [0x0d, 0x0a] as [UInt8] {
                guard let byte = rest.popFirst() else { return reading }
                guard byte == expected else { return reading.refusing() }
            }
        }
        var room = limits.trailerBytesMax
        while true {
            guard let line = line(&rest, max: room, &reading) else { return reading }
            if line.isEmpty { break }
            guard isField(line) else { return reading.refusing() }
            room -= line.count + 2
        }
        reading.end = .ended(at: rest.startIndex)
        return reading
    }

    /// Takes a line of at most `max` bytes with its CRLF; nil where it does not end, or is none, which `reading` then says.
    private static func line(_ rest: inout ArraySlice<UInt8>, max: Int, _ reading: inout Reading) -> ArraySlice<UInt8>? {
        let window = rest.prefix(max)
        guard let end = window.firstIndex(of: 0x0a) else {
            if window.count == max { reading.end = .refused }
            return nil
        }
        guard window[..<end].last == 0x0d else {
            reading.end = .refused
            return nil
        }
        rest = rest[(end + 1)...]
        return window[..<(end - 1)]
    }

    private static func size(_ line: ArraySlice<UInt8>) -> Int? {
        let digits = line.prefix { ("0"..."9").contains(Unicode.Scalar($0)) || ("a"..."f").contains(Unicode.Scalar($0 | 0x20)) }
        guard let text = String(validating: digits, as: UTF8.self), !text.isEmpty else { return nil }
        guard areExtensions(line[digits.endIndex...]) else { return nil }
        // More digits than an integer has are too large, unless they are zeros.
        let significant = text.drop { $0 == "0" }
        return significant.isEmpty ? 0 : significant.count > 8 ? Int.max / 2 : Int(significant, radix: 16)
    }

    /// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`
    private static func areExtensions(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        while !rest.isEmpty {
            skipBlanks(&rest)
            guard rest.popFirst() == UInt8(ascii: ";") else { return false }
            skipBlanks(&rest)
            guard skipToken(&rest) else { return false }
            var ahead = rest
            skipBlanks(&ahead)
            guard ahead.popFirst() == UInt8(ascii: "=") else { continue }
            skipBlanks(&ahead)
            rest = ahead
            guard rest.first == UInt8(ascii: "\"") ? skipQuoted(&rest) : skipToken(&rest) else { return false }
        }
        return true
    }

    private static func skipBlanks(_ rest: inout ArraySlice<UInt8>) { rest = rest.drop { $0 == 0x20 || $0 == 0x09 } }

    private static func skipToken(_ rest: inout ArraySlice<UInt8>) -> Bool {
        let count = rest.count
        rest = rest.drop { isToken($0) }
        return rest.count < count
    }

    private static func skipQuoted(_ rest: inout ArraySlice<UInt8>) -> Bool {
        rest.removeFirst()
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\"") { return true }
            if byte == UInt8(ascii: "\\") {
                guard let escaped = rest.popFirst(), isContent(escaped) else { return false }
            } else if !isContent(byte) {
                return false
            }
        }
        return false
    }

    private static func isField(_ line: ArraySlice<UInt8>) -> Bool {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else { return false }
        return line[..<colon].allSatisfy(isToken) && line[(colon + 1)...].allSatisfy(isContent)
    }

    private static let tokenBytes = Set("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    private static func isToken(_ byte: UInt8) -> Bool { tokenBytes.contains(byte) }

    private static func isContent(_ byte: UInt8) -> Bool { byte == 0x09 || byte >= 0x20 && byte != 0x7f }
}

extension Reading {
    /// All announced chunks before the one that is looked at are whole.
    fileprivate var announced: Int { content.count }

    fileprivate func refusing() -> Reading { Reading(content: content, end: .refused) }
}

/// Chunks of whatever the bytes are, one a piece, are read as these bytes.
private func checkRoundTrip(_ input: FuzzInput) {
    let content = FuzzInput(choice: input.choice, bytes: Array(input.bytes.prefix(limits.bodyBytesMax)))
    var body: [UInt8] = []
    for piece in content.pieces where !piece.isEmpty {
        body += String(piece.count, radix: 16).utf8
        body += [0x0d, 0x0a]
        body += piece
        body += [0x0d, 0x0a]
    }
    body += "0\r\n\r\n".utf8
    let (read, error) = Reading.of(body, ends: FuzzInput(choice: input.choice, bytes: body).ends)
    require(read == Reading(content: content.bytes, end: .ended(at: body.count)), "written \(content.bytes), read \(read) \(error as Any)")
}
