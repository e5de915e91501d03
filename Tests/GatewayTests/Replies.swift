// Replies: the peers' side of the wire: what they send, put into bytes, and what they got, taken apart and held against the rules: a
// response must be whole and well-formed, a frame unmasked and minimal. Written from the RFCs, not from the codecs under test.
import Base

@testable import WebSockets

/// A response taken apart.
struct Reply: Equatable {
    var status: Int
    var fields: [(name: String, value: String)]
    var body: String

    func field(_ name: String) -> String? { fields.first { $0.name.lowercased() == name.lowercased() }?.value }

    static func == (left: Reply, right: Reply) -> Bool {
        left.status == right.status && left.body == right.body && left.fields.map(\.name) == right.fields.map(\.name)
            && left.fields.map(\.value) == right.fields.map(\.value)
    }
}

/// What the server wrote breaks a rule.
struct MalformedReply: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

enum Wire {
    /// Takes the first response off `bytes`; nil where it is not all there.
    ///
    /// - Parameter isHead: whether it answers HEAD.
    static func reply(_ bytes: inout [UInt8], isHead: Bool) throws(MalformedReply) -> Reply? {
        guard let end = headEnd(bytes) else {
            if bytes.count > 4_096 { throw MalformedReply("no head in \(bytes.count) bytes") }
            return nil
        }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).components(separatedBy: "\r\n")
        let status = lines[0].split(separator: " ", maxSplits: 2)
        guard status.count == 3, status[0] == "HTTP/1.1", let code = Int(status[1]), (100...599).contains(code) else {
            throw MalformedReply("status line \(lines[0])")
        }
        var fields: [(name: String, value: String)] = []
        for line in lines.dropFirst() {
            guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")), colon != line.utf8.startIndex,
                line.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f })
            else { throw MalformedReply("field \(line)") }
            let value = line[line.utf8.index(after: colon)...].drop { $0 == " " }
            fields.append((String(line[..<colon]), String(value)))
        }
        var reply = Reply(status: code, fields: fields, body: "")
        var length = 0
        if code >= 200 {
            guard reply.field("Date")?.utf8.count == 29 else { throw MalformedReply("no date") }
            if code == 204 {
                guard reply.field("Content-Length") == nil else { throw MalformedReply("204 with a length") }
            } else if reply.field("Content-Type") == "text/event-stream" {
                guard reply.field("Content-Length") == nil else { throw MalformedReply("a stream with a length") }
            } else {
                guard let field = reply.field("Content-Length"), let count = Int(field) else { throw MalformedReply("no length") }
                length = isHead ? 0 : count
            }
        }
        guard bytes.count >= end + 4 + length else { return nil }
        reply.body = String(decoding: bytes[(end + 4)..<(end + 4 + length)], as: UTF8.self)
        bytes.removeFirst(end + 4 + length)
        return reply
    }

    private static func headEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in 0...(bytes.count - 4)
        where bytes[index] == 13 && bytes[index + 1] == 10 && bytes[index + 2] == 13 && bytes[index + 3] == 10 { return index }
        return nil
    }

    // MARK: Streams

    /// Takes the first chunk off `bytes`; nil where it is not all there, and empty for the last one.
    static func chunk(_ bytes: inout [UInt8]) throws(MalformedReply) -> [UInt8]? {
        guard let line = bytes.firstIndex(of: 10) else { return nil }
        let digits = String(decoding: bytes[..<line].dropLast(), as: UTF8.self)
        guard bytes[..<line].last == 13, let size = Int(digits, radix: 16) else { throw MalformedReply("chunk size \(digits)") }
        let end = line + 1 + size
        guard bytes.count >= end + 2 else { return nil }
        guard bytes[end] == 13, bytes[end + 1] == 10 else { throw MalformedReply("a chunk that does not end where it said") }
        defer { bytes.removeFirst(end + 2) }
        return Array(bytes[(line + 1)..<end])
    }

    /// Takes the first event off a stream's content, its lines parted by ` | `; nil where it is not all there.
    static func event(_ content: inout [UInt8]) -> String? {
        guard let end = content.indices.dropLast().first(where: { content[$0] == 10 && content[$0 + 1] == 10 }) else { return nil }
        defer { content.removeFirst(end + 2) }
        return content[..<end].split(separator: 10).map { String(decoding: $0, as: UTF8.self) }.joined(separator: " | ")
    }

    // MARK: Frames

    /// Takes the first frame off `bytes`; nil where it is not all there.
    static func frame(_ bytes: inout [UInt8]) throws(MalformedReply) -> (first: UInt8, payload: [UInt8])? {
        guard bytes.count >= 2 else { return nil }
        guard bytes[1] & 0x80 == 0 else { throw MalformedReply("a masked frame of a server") }
        var start = 2
        var length = Int(bytes[1])
        if length == 126 {
            guard bytes.count >= 4 else { return nil }
            (length, start) = (Int(bytes[2]) << 8 | Int(bytes[3]), 4)
            guard length > 125 else { throw MalformedReply("a length that is not minimal") }
        } else if length == 127 {
            guard bytes.count >= 10 else { return nil }
            (length, start) = (bytes[2..<10].reduce(0) { $0 << 8 | Int($1) }, 10)
            guard length > 0xffff else { throw MalformedReply("a length that is not minimal") }
        }
        guard bytes.count >= start + length else { return nil }
        defer { bytes.removeFirst(start + length) }
        return (bytes[0], Array(bytes[start..<(start + length)]))
    }

    /// A frame as a transcript writes it: a text as it is, `z:` before what came compressed, else the kind and what is in it.
    static func describe(_ frame: (first: UInt8, payload: [UInt8]), _ inflater: InflateContext?) throws(MalformedReply) -> String {
        guard frame.first & 0xb0 == 0x80 else { throw MalformedReply("first byte \(frame.first)") }
        var payload = frame.payload
        let isCompressed = frame.first & 0x40 != 0
        if isCompressed {
            guard let inflater else { throw MalformedReply("compressed, and it was not agreed on") }
            var writer = ByteWriter()
            let chunk = Chunk()
            guard inflater.stream.inflate(payload.span, chunk, into: &writer, outputMax: 1 << 26) == .fine,
                inflater.stream.finish(chunk, into: &writer, outputMax: 1 << 26) == .fine
            else { throw MalformedReply("a payload that does not inflate") }
            payload = writer.span.indices.map { writer.span[$0] }
        }
        let text = String(decoding: payload, as: UTF8.self)
        switch frame.first & 0x0f {
        case 1: return (isCompressed ? "z:" : "") + text
        case 2: return (isCompressed ? "z:" : "") + "binary \(text)"
        case 8:
            if payload.isEmpty { return "close" }
            guard payload.count >= 2 else { throw MalformedReply("a close frame of one byte") }
            let reason = String(decoding: payload.dropFirst(2), as: UTF8.self)
            return "close \(Int(payload[0]) << 8 | Int(payload[1]))" + (reason.isEmpty ? "" : " " + reason)
        case 9: return text.isEmpty ? "ping" : "ping \(text)"
        case 10: return text.isEmpty ? "pong" : "pong \(text)"
        default: throw MalformedReply("opcode \(frame.first & 0x0f)")
        }
    }

    /// A client's frame.
    static func frame(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true, reserved: UInt8 = 0, isMasked: Bool = true) -> [UInt8] {
        var frame: [UInt8] = [(isFinal ? 0x80 : 0) | reserved | opcode]
        let bit: UInt8 = isMasked ? 0x80 : 0
        if payload.count <= 125 {
            frame.append(bit | UInt8(payload.count))
        } else if payload.count <= 0xffff {
            frame += [bit | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        } else {
            frame.append(bit | 127)
            for shift in stride(from: 56, through: 0, by: -8) { frame.append(UInt8(payload.count >> shift & 255)) }
        }
        guard isMasked else { return frame + payload }
        let key: [UInt8] = [0x37, 0xfa, 0x21, 0x3d]
        frame += key
        frame.reserveCapacity(frame.count + payload.count)
        for (index, byte) in payload.enumerated() { frame.append(byte ^ key[index & 3]) }
        return frame
    }

    static func close(_ code: Int?, _ reason: String = "") -> [UInt8] {
        frame(8, (code.map { [UInt8($0 >> 8), UInt8($0 & 255)] } ?? []) + Array(reason.utf8))
    }
}

extension String {
    /// The parts between a separator.
    func components(separatedBy separator: String) -> [String] {
        var parts: [String] = []
        var part: [UInt8] = []
        let wanted = Array(separator.utf8)
        let bytes = Array(utf8)
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: wanted) {
                parts.append(String(decoding: part, as: UTF8.self))
                part = []
                index += wanted.count
            } else {
                part.append(bytes[index])
                index += 1
            }
        }
        parts.append(String(decoding: part, as: UTF8.self))
        return parts
    }
}
