// Goal: a query is what the official server reads in it, in its order: transport, session, revision; and a name is only what this server
// gives.
import Base
import HTTP1
import SocketIO
import TestSupport
import Testing

@testable import Gateway

@Suite("The query of a request to Engine.IO")
struct SocketQueryTests {
    private func read(_ query: String, offering transports: [EngineTransport] = EngineTransport.allCases) -> String {
        let bytes = Array("GET /socket.io/\(query) HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
        var exchange = ServerExchange()
        var head = RequestHead()
        var position = 0
        do {
            guard try exchange.next(bytes.span, &position, head: &head, limits: HTTPLimits()) == .head else { return "no head" }
        } catch {
            return "\(error)"
        }
        switch SocketQuery.read(QueryText(of: head.target, in: bytes.span), offering: transports) {
        case .refused(let refusal): return "\(refusal)"
        case .query(let query):
            guard query.isOurRevision else { return "unsupportedVersion" }
            let session = query.session.map { " \($0.text)" } ?? ""
            return "\(query.transport)\(session)\(query.namesTransportFirst ? " transport first" : "")"
        }
    }

    private static let sid = "0123456789abcdef0123456789abcdef"

    @Test("what is asked for", arguments: [
        ("?EIO=4&transport=polling", "polling"), ("?EIO=4&transport=websocket", "webSocket"),
        ("?transport=polling&EIO=4", "polling transport first"), ("?transport=websocket&EIO=4&t=1", "webSocket transport first"),
        ("?t=abc&b64=1&EIO=4&x=&transport=polling", "polling"), ("?E%49O=%34&transport=poll%69ng", "polling"),
        ("?tr%61nsport=polling&EIO=4", "polling transport first"),
        ("?EIO=4&transport=polling&sid=\(sid)", "polling \(sid)"), ("?sid=\(sid)&transport=websocket", "webSocket \(sid)"),
        // A session has its revision already.
        ("?EIO=3&transport=polling&sid=\(sid)", "polling \(sid)"), ("?transport=polling&EIO=4&sid=\(sid)", "polling \(sid)"),
        // The first of a name counts.
        ("?EIO=4&transport=polling&transport=x", "polling"), ("?EIO=4&EIO=3&transport=polling", "polling"),
    ])
    func queries(_ query: String, _ expected: String) { #expect(read(query) == expected) }

    @Test("what is refused, and what is looked at first", arguments: [
        ("", "unknownTransport"), ("?", "unknownTransport"), ("?EIO=4", "unknownTransport"), ("?transport=", "unknownTransport"),
        ("?transport=Polling&EIO=4", "unknownTransport"), ("?transport=polling&E%zz=4", "badRequest"),
        ("?Transport=polling&EIO=4", "unknownTransport"), ("?transport=x&sid=\(sid)&EIO=3", "unknownTransport"),
        // What cannot be read says nothing.
        ("?transport=%zz&EIO=4", "badRequest"), ("?transport=polling%00&EIO=4", "badRequest"), ("?transport=polling&sid=%", "badRequest"),
        ("?transport=polling&EIO=%f", "badRequest"),
        ("?transport=polling&sid=", "unknownSession"), ("?transport=polling&sid=x", "unknownSession"),
        ("?transport=polling&sid=\(sid)0", "unknownSession"), ("?transport=polling&sid=0123456789ABCDEF0123456789abcdef", "unknownSession"),
        ("?transport=polling&sid=0123456789abcdeg0123456789abcdef&EIO=3", "unknownSession"),
        ("?transport=polling", "unsupportedVersion"), ("?transport=polling&EIO=", "unsupportedVersion"),
        ("?transport=polling&EIO=3", "unsupportedVersion"), ("?transport=polling&EIO=44", "unsupportedVersion"),
        ("?transport=polling&EIO=4.0", "unsupportedVersion"), ("?transport=polling&eio=4", "unsupportedVersion"),
    ])
    func refusals(_ query: String, _ expected: String) { #expect(read(query) == expected) }

    @Test("a transport that is not offered is unknown")
    func offers() {
        #expect(read("?EIO=4&transport=polling", offering: [.webSocket]) == "unknownTransport")
        #expect(read("?EIO=4&transport=websocket", offering: [.webSocket]) == "webSocket")
        #expect(read("?EIO=4&transport=websocket&sid=\(Self.sid)", offering: [.polling]) == "unknownTransport")
        #expect(read("?EIO=4&transport=polling", offering: []) == "unknownTransport")
    }

    @Test("a name is written as it is read, and no two are alike")
    func names() {
        var random = Randomness(seed: 7)
        var seen: Set<SocketName> = []
        for _ in 0..<200 {
            let name = SocketName(drawnFrom: &random)
            #expect(name.text.count == SocketName.bytes)
            #expect(SocketName(name.text.span) == name)
            #expect(seen.insert(name).inserted)
        }
        #expect(SocketName(SharedBytes(Self.sid).span)?.text.description == Self.sid)
    }

    @Test("refusals have the official server's codes and statuses")
    func words() {
        let table: [(SocketRefusal, UInt16, String)] = [
            (.unknownTransport, 400, "{\"code\":0,\"message\":\"Transport unknown\"}"),
            (.unknownSession, 400, "{\"code\":1,\"message\":\"Session ID unknown\"}"),
            (.badMethod, 400, "{\"code\":2,\"message\":\"Bad handshake method\"}"),
            (.badRequest, 400, "{\"code\":3,\"message\":\"Bad request\"}"),
            (.forbidden, 403, "{\"code\":4,\"message\":\"Forbidden\"}"),
            (.unsupportedVersion, 400, "{\"code\":5,\"message\":\"Unsupported protocol version\"}"),
            (.tooMany, 503, "{\"code\":3,\"message\":\"Too many sessions\"}"),
            (.tooLarge, 413, "{\"code\":3,\"message\":\"Payload is larger than maxPayload\"}"),
        ]
        for (refusal, status, text) in table {
            #expect(refusal.status.rawValue == status)
            #expect(refusal.text.description == text)
        }
    }
}
