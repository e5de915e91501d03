// ResponseParser: HTTP/1.1 responses as a server of ours sends them: a status line, fields, and a body of a stated length
// (RFC 9112 §2, §6.2). Not a whole client: a chunked body or one that ends with the connection counts as broken.
//
// Cost: servers answer the same head again and again, so the last one is remembered and compared first: about 20 ns; a head that is
// new costs a search of its few hundred bytes.

/// Finds the responses in a stream of bytes.
public struct ResponseParser: Sendable {
    /// A head longer than this is not waited for. Generous: servers under test send a few hundred bytes.
    private static let headBytesMax = 65_536

    /// What lies at a place in the stream.
    public enum Outcome: Equatable, Sendable {
        case incomplete
        /// A whole response; `body` and `end` are places in the bytes.
        case response(status: Int, body: Range<Int>, end: Int)
        case broken
    }

    private var head: [UInt8] = []
    private var status = 0
    private var bodyBytes = 0

    public init() {}

    /// The response that begins at `start`.
    public mutating func parse(_ bytes: Span<UInt8>, from start: Int) -> Outcome {
        if head.isEmpty || !bytes.hasPrefix(head, at: start) {
            switch Self.readHead(bytes, from: start) {
            case .incomplete: return .incomplete
            case .broken: return .broken
            case .whole(let end, let status, let bodyBytes):
                head.removeAll(keepingCapacity: true)
                for index in start..<end { head.append(bytes[index]) }
                self.status = status
                self.bodyBytes = bodyBytes
            }
        }
        let body = start + head.count
        guard bytes.count - body >= bodyBytes else { return .incomplete }
        return .response(status: status, body: body..<(body + bodyBytes), end: body + bodyBytes)
    }

    private enum Head {
        case incomplete, broken
        case whole(end: Int, status: Int, bodyBytes: Int)
    }

    private static let emptyLine = Array("\r\n\r\n".utf8)
    private static let version = Array("HTTP/1.1 ".utf8)
    private static let lengthName = Array("content-length:".utf8)

    private static func readHead(_ bytes: Span<UInt8>, from start: Int) -> Head {
        guard let end = bytes.firstIndex(of: emptyLine, from: start) else {
            return bytes.count - start > headBytesMax ? .broken : .incomplete
        }
        guard bytes.hasPrefix(version, at: start), let status = bytes.decimal(at: start + version.count) else { return .broken }
        guard let length = contentLength(bytes, from: start, to: end) else {
            // RFC 9110 §15.3.5, §15.4.5: these two never have a body.
            return status == 204 || status == 304 ? .whole(end: end + 4, status: status, bodyBytes: 0) : .broken
        }
        return .whole(end: end + 4, status: status, bodyBytes: length)
    }

    private static func contentLength(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int? {
        var line = start
        while line < end {
            var position = 0
            // RFC 9110 §5.1: names of fields are case-insensitive.
            while position < lengthName.count, line + position < end, bytes[line + position] | 0x20 == lengthName[position] | 0x20 {
                position += 1
            }
            if position == lengthName.count {
                var value = line + position
                while value < end, bytes[value] == 0x20 || bytes[value] == 0x09 { value += 1 }
                return bytes.decimal(at: value)
            }
            while line < end, bytes[line] != 0x0a { line += 1 }
            line += 1
        }
        return nil
    }
}
