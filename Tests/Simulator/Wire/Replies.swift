// Replies: what a peer reads off its connection, piece by piece, held against the rules of the standards: responses (RFC 9112), frames
// (RFC 6455 §5) and server-sent events. Written from the texts, not from the server's codecs; what breaks a rule is a fault of the run.

/// The server wrote what no server may write.
struct Malformed: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A response without its body, or with it.
struct Reply {
    var status: Int
    var fields: [(name: String, value: String)]
    var body: [UInt8] = []

    func field(_ name: String) -> String? { fields.first { $0.name.lowercased() == name.lowercased() }?.value }

    var bodyText: String { String(decoding: body, as: UTF8.self) }
}

/// Bytes that came and were not taken yet.
struct Unread {
    private var bytes: [UInt8] = []
    private var start = 0

    var count: Int { bytes.count - start }

    mutating func append(_ more: [UInt8]) {
        if start > 4_096, start * 2 > bytes.count {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += more
    }

    subscript(_ index: Int) -> UInt8 { bytes[start + index] }

    mutating func take(_ count: Int) -> [UInt8] {
        defer { start += count }
        return Array(bytes[start..<start + count])
    }

    /// Where a line ends first, its CR LF not counted.
    func lineEnd(from index: Int) -> Int? {
        var index = index
        while index + 1 < count {
            if self[index] == 13, self[index + 1] == 10 { return index }
            index += 1
        }
        return nil
    }

    func text(_ range: Range<Int>) -> String { String(decoding: bytes[start + range.lowerBound..<start + range.upperBound], as: UTF8.self) }

    // MARK: HTTP

    /// Takes a response's head; nil where it is not all there.
    mutating func takeHead() throws(Malformed) -> Reply? {
        var lines: [String] = []
        var position = 0
        while let end = lineEnd(from: position) {
            let line = text(position..<end)
            position = end + 2
            guard line.isEmpty else {
                lines.append(line)
                continue
            }
            _ = take(position)
            return try Unread.head(lines)
        }
        if count > 8_192 { throw Malformed("no head in \(count) bytes") }
        return nil
    }

    private static func head(_ lines: [String]) throws(Malformed) -> Reply {
        let status = (lines.first ?? "").split(separator: " ", maxSplits: 2)
        guard status.count == 3, status[0] == "HTTP/1.1", let code = Int(status[1]), (100...599).contains(code) else {
            throw Malformed("status line \(lines)")
        }
        var fields: [(name: String, value: String)] = []
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":"), colon != line.startIndex, line.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
                throw Malformed("field \(line)")
            }
            fields.append((String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " })))
        }
        let reply = Reply(status: code, fields: fields)
        if code >= 200, reply.field("Date")?.utf8.count != 29 { throw Malformed("no date") }
        return reply
    }

    /// Takes a chunk of a body; nil where it is not all there, and empty for the last one.
    mutating func takeChunk() throws(Malformed) -> [UInt8]? {
        guard let end = lineEnd(from: 0) else { return nil }
        guard let size = Int(text(0..<end), radix: 16) else { throw Malformed("chunk size \(text(0..<end))") }
        guard count >= end + 4 + size else { return nil }
        _ = take(end + 2)
        let chunk = take(size)
        guard take(2) == [13, 10] else { throw Malformed("a chunk that does not end where it said") }
        return chunk
    }

    // MARK: WebSocket

    /// Takes a frame; nil where it is not all there.
    mutating func takeFrame() throws(Malformed) -> (opcode: UInt8, payload: [UInt8])? {
        guard count >= 2 else { return nil }
        guard self[0] & 0xf0 == 0x80 else { throw Malformed("first byte \(self[0])") }
        let opcode = self[0] & 0x0f
        guard [1, 2, 8, 9, 10].contains(opcode) else { throw Malformed("opcode \(opcode)") }
        guard self[1] & 0x80 == 0 else { throw Malformed("a masked frame of a server") }
        var start = 2
        var length = Int(self[1])
        if length == 126 {
            guard count >= 4 else { return nil }
            (length, start) = (Int(self[2]) << 8 | Int(self[3]), 4)
            guard length > 125 else { throw Malformed("a length that is not minimal") }
        } else if length == 127 {
            guard count >= 10 else { return nil }
            (length, start) = ((2..<10).reduce(0) { $0 << 8 | Int(self[$1]) }, 10)
            guard length > 0xffff else { throw Malformed("a length that is not minimal") }
        }
        if opcode >= 8, length > 125 { throw Malformed("a control frame of \(length) bytes") }
        guard count >= start + length else { return nil }
        _ = take(start)
        return (opcode, take(length))
    }

    // MARK: Server-sent events

    /// Takes an event: its fields' names and values; nil where it is not all there.
    mutating func takeEvent() throws(Malformed) -> [(name: String, value: String)]? {
        var end = 0
        while end + 1 < count, !(self[end] == 10 && self[end + 1] == 10) { end += 1 }
        guard end + 1 < count else { return nil }
        let lines = text(0..<end).split(separator: "\n")
        _ = take(end + 2)
        var fields: [(name: String, value: String)] = []
        for line in lines where !line.hasPrefix(":") {
            guard let colon = line.firstIndex(of: ":") else { throw Malformed("a line of an event: \(line)") }
            fields.append((String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " })))
        }
        return fields
    }
}

/// What a client puts on the wire.
enum Speech {
    static func request(_ method: String, _ target: String, _ fields: [String] = [], body: String = "") -> [UInt8] {
        var head = "\(method) \(target) HTTP/1.1\r\nHost: signalbox.test\r\n"
        for field in fields { head += field + "\r\n" }
        if method != "GET", method != "DELETE" || !body.isEmpty {
            if !body.isEmpty, !fields.contains(where: { $0.hasPrefix("Content-Type:") }) { head += "Content-Type: application/json\r\n" }
            head += "Content-Length: \(body.utf8.count)\r\n"
        }
        return Array((head + "\r\n" + body).utf8)
    }

    static func handshake(_ target: String) -> [UInt8] {
        request("GET", target, [
            "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ])
    }

    /// RFC 6455 §1.3's own example.
    static let acceptance = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    static func frame(_ opcode: UInt8, _ payload: some Collection<UInt8>, isFinal: Bool = true, key: UInt32) -> [UInt8] {
        var frame: [UInt8] = [(isFinal ? 0x80 : 0) | opcode]
        let count = payload.count
        if count <= 125 {
            frame.append(0x80 | UInt8(count))
        } else if count <= 0xffff {
            frame += [0x80 | 126, UInt8(count >> 8), UInt8(count & 255)]
        } else {
            frame.append(0x80 | 127)
            for shift in stride(from: 56, through: 0, by: -8) { frame.append(UInt8(count >> shift & 255)) }
        }
        let mask = (0..<4).map { UInt8(truncatingIfNeeded: key >> (8 * UInt32($0))) }
        frame += mask
        for (index, byte) in payload.enumerated() { frame.append(byte ^ mask[index & 3]) }
        return frame
    }
}
