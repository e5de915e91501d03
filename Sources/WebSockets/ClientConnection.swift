// ClientConnection: one WebSocket as its client sees it: the request that opens it and the answer to that, then frames in and masked frames
// out. Bytes in, events out; reads no socket, keeps no clock and reconnects nothing. Offers no extension, so none may be used. Obeys
// RFC 6455 §4.1, §5 and §7.
//
// Cost: what comes is copied into one queue and each message out of it: for a client with a few connections, not for a server with many.
public import Base

/// Why a server is not spoken to any more.
public enum ClientError: Error, Equatable, Sendable {
    /// It answers, and not with a WebSocket: the status and what it says about it.
    case refused(status: Int, body: SharedBytes)
    /// What answers is no WebSocket server.
    case notWebSocket
    /// It breaks the rules of frames: the code to close with.
    case violation(CloseCode)
}

public struct ClientConnection {
    public enum Event: Equatable, Sendable {
        /// All bytes are taken.
        case needMore
        /// The handshake is done.
        case opened
        case text(SharedBytes)
        case binary(SharedBytes)
        /// Wants a pong with the same payload.
        case ping(SharedBytes)
        case pong
        /// The server's close frame: to be echoed, unless it echoes ours.
        case close(CloseCode?)
    }

    private enum Phase {
        case shaking(accept: SharedBytes)
        case open
        case over
    }

    private var phase: Phase
    private var input = ByteQueue()
    /// The message in pieces so far; nil between messages.
    private var message: ByteQueue?
    private var kind = MessageKind.text
    private let messageBytesMax: Int
    private var random: Randomness

    /// RFC 6455 leaves the size of a response's head open; a server of ours writes some 200 bytes.
    private static let headBytesMax = 16 << 10

    /// - Parameters:
    ///   - random: for the key and for masks.
    ///   - messageBytesMax: payload bytes of a message, all pieces together.
    public init(random: Randomness, messageBytesMax: Int) {
        self.random = random
        self.messageBytesMax = messageBytesMax
        phase = .over
    }

    // MARK: The handshake

    /// Appends the request that opens the WebSocket.
    ///
    /// - Parameters:
    ///   - target: path and query.
    ///   - authority: what the Host field says.
    ///   - token: goes with the request where it is not empty (RFC 6750 §2.1).
    public mutating func writeRequest(target: String, authority: String, token: String, to writer: inout ByteWriter) {
        let key = Handshake.makeKey(random.next(), random.next())
        phase = .shaking(accept: Handshake.accepted(key.span))
        writer.append("GET \(target) HTTP/1.1\r\nHost: \(authority)\r\n")
        writer.append("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ")
        writer.append(key)
        if !token.isEmpty { writer.append("\r\nAuthorization: Bearer \(token)") }
        writer.append("\r\n\r\n")
    }

    /// Takes what came; ``next()`` says what it is.
    public mutating func receive(_ bytes: Span<UInt8>) { input.append(bytes) }

    /// The next event of what came. Behind an error, and behind a close frame, nothing comes.
    public mutating func next() throws(ClientError) -> Event {
        do throws(ClientError) {
            switch phase {
            case .shaking(let accept): return try readResponse(accept)
            case .open:
                while true {
                    if let event = try readFrame() { return event }
                }
            case .over:
                input.removeAll()
                return .needMore
            }
        } catch {
            phase = .over
            input.removeAll()
            message = nil
            throw error
        }
    }

    private mutating func readResponse(_ accept: SharedBytes) throws(ClientError) -> Event {
        guard let end = ClientConnection.headEnd(input.span) else {
            guard input.count <= ClientConnection.headBytesMax else { throw .notWebSocket }
            return .needMore
        }
        let text = SharedBytes(copying: input.span.extracting(0..<end)).description
        input.consume(end)
        let lines = text.split(separator: "\r\n")
        let words = lines.first?.split(separator: " ", maxSplits: 2) ?? []
        guard words.count >= 2, words[0] == "HTTP/1.1", let status = Int(words[1]) else { throw .notWebSocket }
        guard status == 101 else { throw .refused(status: status, body: SharedBytes(copying: input.span)) }
        func field(_ name: String) -> String? {
            for line in lines.dropFirst() {
                guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == name else { continue }
                let value = line[line.index(after: colon)...].drop { $0 == " " }
                return String(value.prefix { $0 != " " })
            }
            return nil
        }
        // §4.1: the client MUST fail the connection where any of these is missing, or an extension is named that it did not ask for.
        guard field("upgrade")?.lowercased() == "websocket", field("connection")?.lowercased().contains("upgrade") == true,
            field("sec-websocket-accept") == accept.description, field("sec-websocket-extensions") == nil
        else { throw .notWebSocket }
        phase = .open
        return .opened
    }

    /// Where the head of a response ends.
    private static func headEnd(_ bytes: Span<UInt8>) -> Int? {
        var index = 3
        while index < bytes.count {
            if bytes[index] == 10, bytes[index - 1] == 13, bytes[index - 2] == 10, bytes[index - 3] == 13 { return index + 1 }
            index += 1
        }
        return nil
    }

    // MARK: Frames in

    /// A frame's first bytes, read.
    private struct Header {
        var opcode: Opcode
        var isFinal: Bool
        /// Where its payload begins.
        var start: Int
        var length: Int
    }

    /// - Returns: nil where more bytes are needed.
    private static func header(_ bytes: Span<UInt8>) throws(ClientError) -> Header? {
        guard bytes.count >= 2 else { return nil }
        // §5.2: no extension was asked for; §5.1: a server's frames are not masked.
        guard bytes[0] & 0x70 == 0, bytes[1] & 0x80 == 0, let opcode = Opcode(rawValue: bytes[0] & 0x0f) else {
            throw .violation(.protocolError)
        }
        var header = Header(opcode: opcode, isFinal: bytes[0] & 0x80 != 0, start: 2, length: Int(bytes[1]))
        if header.length == 126 {
            guard bytes.count >= 4 else { return nil }
            header.length = Int(bytes[2]) << 8 | Int(bytes[3])
            header.start = 4
        } else if header.length == 127 {
            guard bytes.count >= 10 else { return nil }
            var wide: UInt64 = 0
            for index in 2..<10 { wide = wide << 8 | UInt64(bytes[index]) }
            guard wide >> 63 == 0 else { throw .violation(.protocolError) }
            header.length = Int(wide)
            header.start = 10
        }
        // §5.5: control frames have at most 125 bytes, and are not in pieces.
        guard !opcode.isControl || header.isFinal && header.length <= 125 else { throw .violation(.protocolError) }
        return header
    }

    /// - Returns: nil where a piece of a message was taken and the next frame is to be looked at.
    private mutating func readFrame() throws(ClientError) -> Event? {
        guard let header = try ClientConnection.header(input.span) else { return .needMore }
        if !header.opcode.isControl {
            // §5.4: pieces of messages are not mixed.
            guard (header.opcode == .continuation) == (message != nil) else { throw .violation(.protocolError) }
            guard header.length <= messageBytesMax - (message?.count ?? 0) else { throw .violation(.messageTooBig) }
        }
        guard input.count - header.start >= header.length else { return .needMore }
        let end = header.start + header.length
        let payload = SharedBytes(copying: input.span.extracting(header.start..<end))
        input.consume(end)
        switch header.opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong
        case .close: return try close(payload)
        case .text, .binary:
            kind = header.opcode == .text ? .text : .binary
            if header.isFinal { return try deliver(payload) }
            message = ByteQueue()
            message?.append(payload.span)
            return nil
        case .continuation:
            message?.append(payload.span)
            guard header.isFinal, let whole = message else { return nil }
            message = nil
            return try deliver(SharedBytes(copying: whole.span))
        }
    }

    private func deliver(_ payload: SharedBytes) throws(ClientError) -> Event {
        switch kind {
        case .binary: return .binary(payload)
        case .text:
            // §8.1
            guard UTF8Validator.isValid(payload.span) else { throw .violation(.invalidPayload) }
            return .text(payload)
        }
    }

    private mutating func close(_ payload: SharedBytes) throws(ClientError) -> Event {
        let bytes = payload.span
        guard bytes.count != 1 else { throw .violation(.protocolError) }
        phase = .over
        guard bytes.count >= 2 else { return .close(nil) }
        return .close(CloseCode(rawValue: UInt16(bytes[0]) << 8 | UInt16(bytes[1])))
    }

    // MARK: Frames out

    /// Appends a text message as one frame.
    public mutating func writeText(_ text: Span<UInt8>, to writer: inout ByteWriter) { write(.text, text, to: &writer) }

    public mutating func writePong(_ payload: SharedBytes, to writer: inout ByteWriter) { write(.pong, payload.span, to: &writer) }

    public mutating func writeClose(_ code: CloseCode?, to writer: inout ByteWriter) {
        var payload = ByteWriter(capacity: 2)
        if let code, code.mayBeSent {
            payload.append(UInt8(truncatingIfNeeded: code.rawValue >> 8))
            payload.append(UInt8(truncatingIfNeeded: code.rawValue))
        }
        write(.close, payload.span, to: &writer)
    }

    private mutating func write(_ opcode: Opcode, _ payload: Span<UInt8>, to writer: inout ByteWriter) {
        writer.append(0x80 | opcode.rawValue)
        // §5.3: every frame of a client is masked, with a key that nobody can foresee.
        let length = payload.count
        if length <= 125 {
            writer.append(0x80 | UInt8(length))
        } else if length <= 0xffff {
            writer.append(0x80 | 126)
            writer.append(UInt8(length >> 8))
            writer.append(UInt8(length & 0xff))
        } else {
            writer.append(0x80 | 127)
            for shift in stride(from: 56, through: 0, by: -8) { writer.append(UInt8(truncatingIfNeeded: length >> shift)) }
        }
        let mask = UInt32(truncatingIfNeeded: random.next())
        for shift in stride(from: 0, through: 24, by: 8) { writer.append(UInt8(truncatingIfNeeded: mask >> shift)) }
        let start = writer.count
        writer.append(payload)
        var bytes = writer.mutableSpan
        _ = Masking.apply(mask, to: &bytes, start..<start + length)
    }
}
