// ClientConnectionTests: a client's WebSocket: the request, every answer to it, frames in any pieces, and the rules of RFC 6455 that bind
// a server.
import Base
import TestSupport
import Testing

@testable import WebSockets

struct ClientConnectionTests {
    private static let messageBytesMax = 300

    /// A client that has sent its request, and what the server must answer.
    private func shaken(token: String = "") -> (client: ClientConnection, request: String, answer: String) {
        var client = ClientConnection(random: Randomness(seed: 7), messageBytesMax: Self.messageBytesMax)
        var writer = ByteWriter()
        client.writeRequest(target: "/ws?group=a", authority: "host:8000", token: token, to: &writer)
        let request = writer.seal().description
        let key = request.split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Key: ") }?.dropFirst(19) ?? ""
        let accept = Handshake.accepted(SharedBytes(String(key)).span)
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(accept)\r\n\r\n"
        return (client, request, answer)
    }

    /// What the client makes of bytes that come in pieces of that size.
    private func events(_ bytes: [UInt8], piece: Int = .max, opened: Bool = true) -> (events: [ClientConnection.Event], error: ClientError?)
    {
        var (client, _, answer) = shaken()
        let all = (opened ? Array(answer.utf8) : []) + bytes
        var found: [ClientConnection.Event] = []
        var start = 0
        do throws(ClientError) {
            while start < all.count {
                let end = min(all.count, start.addingReportingOverflow(piece).overflow ? all.count : start + min(piece, all.count))
                client.receive(all.span.extracting(start..<end))
                start = end
                while true {
                    let event = try client.next()
                    if event == .needMore { break }
                    found.append(event)
                }
            }
        } catch {
            return (found, error)
        }
        return (found, nil)
    }

    private func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        payload.count <= 125
            ? [first, UInt8(payload.count)] + payload
            : [first, 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)] + payload
    }

    // MARK: The handshake

    @Test("the request is §4.1's, with the token where there is one")
    func request() {
        let (_, request, _) = shaken(token: "secret")
        #expect(request.hasPrefix("GET /ws?group=a HTTP/1.1\r\nHost: host:8000\r\n") && request.hasSuffix("\r\n\r\n"))
        for field in ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Authorization: Bearer secret"] {
            #expect(request.contains("\r\n\(field)\r\n"))
        }
        #expect(!shaken().request.contains("Authorization"))
        // RFC 6455 §1.3's own example.
        #expect(Handshake.accepted(SharedBytes("dGhlIHNhbXBsZSBub25jZQ==").span) == SharedBytes("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
    }

    @Test("a server that is taken: also in small letters, and byte by byte", arguments: [1, 3, .max])
    func taken(_ piece: Int) {
        #expect(events([], piece: piece).events == [.opened])
    }

    @Test("an answer that is none, or says no, opens nothing")
    func refused() {
        func answer(_ text: String) -> ClientError? { events(Array(text.utf8), opened: false).error }
        let body = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"
        #expect(answer(body) == .refused(status: 401, body: SharedBytes("{}")))
        #expect(answer("SSH-2.0-OpenSSH\r\n\r\n") == .notWebSocket)
        #expect(answer(String(repeating: "x", count: 20_000)) == .notWebSocket)
        let (_, _, good) = shaken()
        for (part, other) in [("Upgrade: websocket", "Upgrade: h2c"), ("Connection: Upgrade", "Connection: close")] {
            #expect(answer(good.replacing(part, with: other)) == .notWebSocket)
        }
        #expect(answer(good.replacing("Accept: ", with: "Accept: x")) == .notWebSocket)
        #expect(answer(good.replacing("\r\n\r\n", with: "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")) == .notWebSocket)
    }

    // MARK: Frames in

    @Test("messages, whole and in pieces, with control frames between them", arguments: [1, 2, 7, .max])
    func messages(_ piece: Int) {
        let long = [UInt8](repeating: 97, count: 200)
        let bytes =
            frame(0x81, [104, 105]) + frame(0x01, [97]) + frame(0x89, [1]) + frame(0x80, [98]) + frame(0x82, long) + frame(0x8a, [])
            + frame(0x88, [3, 232])
        let (found, error) = events(bytes, piece: piece)
        #expect(error == nil)
        #expect(
            found == [
                .opened, .text(SharedBytes("hi")), .ping(SharedBytes([1])), .text(SharedBytes("ab")), .binary(SharedBytes(long)), .pong,
                .close(.normal),
            ])
    }

    @Test(
        "what a server may not send",
        arguments: [
            ([0x81, 0x82, 0, 0, 0, 0, 1, 2], .protocolError), ([0xc1, 0], .protocolError), ([0x83, 0], .protocolError),
            ([0x80, 0], .protocolError), ([0x01, 0, 0x81, 0], .protocolError), ([0x09, 0], .protocolError),
            ([0x89, 126, 0, 126], .protocolError), ([0x88, 1, 0], .protocolError), ([0x81, 1, 0xff], .invalidPayload),
            ([0x81, 126, 2, 0], .messageTooBig), ([0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0], .messageTooBig),
            ([0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], .protocolError),
        ] as [([UInt8], CloseCode)])
    func violations(_ bytes: [UInt8], _ code: CloseCode) {
        #expect(events(bytes).error == .violation(code))
    }

    @Test("pieces of a message count together")
    func tooBigInPieces() {
        let half = [UInt8](repeating: 97, count: 200)
        #expect(events(frame(0x01, half) + frame(0x80, half)).error == .violation(.messageTooBig))
    }

    // MARK: Frames out

    @Test("what is written is masked, and the server reads it back", arguments: [0, 1, 125, 126, 65_535, 65_536])
    func written(_ count: Int) {
        var (client, _, _) = shaken()
        let text = [UInt8](repeating: 98, count: count)
        var writer = ByteWriter()
        client.writeText(text.span, to: &writer)
        client.writePong(SharedBytes("p"), to: &writer)
        client.writeClose(.normal, to: &writer)
        let sealed = writer.seal()
        var bytes = (0..<sealed.count).map { sealed.span[$0] }
        #expect(bytes[1] & 0x80 != 0)
        var server = WebSocketConnection(deflate: nil)
        let workspace = WebSocketWorkspace()
        var position = 0
        var found: [String] = []
        reading: while true {
            var span = bytes.mutableSpan
            let event = server.next(&span, &position, WebSocketLimits(messageBytesMax: 1 << 20), workspace)
            switch event {
            case .text(let payload): found.append("text \(payload.count)")
            case .pong(let payload): found.append("pong \(payload.count)")
            case .close(let code, _): found.append("close \(code?.rawValue ?? 0)")
            case .needMore: break reading
            case .binary, .ping, .failed: found.append("\(event)")
            }
        }
        #expect(found == ["text \(count)", "pong 1", "close 1000"])
    }
}
