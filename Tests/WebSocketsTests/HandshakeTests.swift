// Goal: which requests open a WebSocket, and with which bytes.
import Base
import TestSupport
import Testing

@testable import WebSockets

private func accept(
    upgrade: String = "websocket", connection: String = "Upgrade", version: String = "13", key: String = "dGhlIHNhbXBsZSBub25jZQ=="
) -> Result<String, HandshakeError> {
    let (upgrade, connection, version, key) = (Array(upgrade.utf8), Array(connection.utf8), Array(version.utf8), Array(key.utf8))
    return Result { () throws(HandshakeError) in
        let key = try Handshake.accept(upgrade: upgrade.span, connection: connection.span, version: version.span, key: key.span)
        return String(decoding: written { key.write(to: &$0) }, as: UTF8.self)
    }
}

@Test("§1.3: the example's key is accepted with the example's answer")
func exampleAccept() { #expect(accept() == .success("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) }

@Test("§4.2.1: names in any case and among others")
func upgradeTokens() {
    for upgrade in ["WebSocket", "websocket", "WEBSOCKET", "h2c, websocket", " websocket ,"] {
        for connection in ["keep-alive, Upgrade", "upgrade", "UPGRADE,keep-alive", ",, Upgrade"] {
            #expect(accept(upgrade: upgrade, connection: connection) == .success("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        }
    }
}

@Test("§4.2.1: what is missing or wrong is named, and answered by its status")
func refusals() {
    for upgrade in ["", "h2c", "websockets", "web socket", "\"websocket\""] { #expect(accept(upgrade: upgrade) == .failure(.notWebSocket)) }
    for connection in ["", "close", "upgrades", "keep-alive"] { #expect(accept(connection: connection) == .failure(.notUpgrade)) }
    for version in ["", "8", "12", "14", "013", "13, 8", "13 "] { #expect(accept(version: version) == .failure(.unsupportedVersion)) }
    let keys = [
        "", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZSE=", "dGhlIHNhbXBsZSBub25jZQ==AAAA",
        "dGhlIHNhbXBsZSBub25j!Q==", "====================dQ==", "dGhlIHNhbXBsZSBub25j\r\n==",
    ]
    for key in keys { #expect(accept(key: key) == .failure(.badKey), "\(key)") }
    #expect(HandshakeError.unsupportedVersion.status == 426)
    #expect(HandshakeError.badKey.status == 400)
}

@Test("§4.1: stray bits behind the 16 bytes do no harm")
func strayBits() { #expect((try? accept(key: "dGhlIHNhbXBsZSBub25jZR==").get())?.count == 28) }

@Test("§4.2.2: the response, with and without what was chosen")
func response() throws {
    let key = try Handshake.accept(
        upgrade: Array("websocket".utf8).span, connection: Array("upgrade".utf8).span, version: Array("13".utf8).span,
        key: Array("dGhlIHNhbXBsZSBub25jZQ==".utf8).span)
    func text(_ subprotocol: String, _ deflate: DeflateParameters?) throws(HandshakeError) -> String {
        var writer = ByteWriter()
        let subprotocol = Array(subprotocol.utf8)
        try Handshake.writeResponse(key, subprotocol: subprotocol.span, deflate: deflate, to: &writer)
        return String(decoding: writer.span.indices.map { writer.span[$0] }, as: UTF8.self)
    }
    let head = [
        "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "", "",
    ]
    #expect(try text("", nil) == head.joined(separator: "\r\n"))
    let full = try text("bearer", agreed(serverContext: true))
    #expect(full.contains("Sec-WebSocket-Protocol: bearer\r\n"))
    #expect(full.hasSuffix("Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n\r\n"))
    for bad in ["a b", "a\r\nX: y", "a,b", "é", "a\0"] {
        #expect(throws: HandshakeError.badSubprotocol) { try text(bad, nil) }
    }
}

@Test("§4.1: subprotocols in the order of the client's preference; no token, no handshake")
func subprotocols() throws {
    func list(_ value: String, stopAfter: Int = .max) throws(HandshakeError) -> [String] {
        let bytes = Array(value.utf8)
        var found: [String] = []
        try Handshake.forEachSubprotocol(bytes.span) { range in
            found.append(String(decoding: bytes[range], as: UTF8.self))
            return found.count < stopAfter
        }
        return found
    }
    #expect(try list("bearer, eyJ0.eyJz-_.c2ln") == ["bearer", "eyJ0.eyJz-_.c2ln"])
    #expect(try list("") == [])
    #expect(try list(" a ,b,, c\t") == ["a", "b", "c"])
    #expect(try list("a,b,c", stopAfter: 2) == ["a", "b"])
    for bad in ["a b", "a,\"b\"", "a;q=1", "a,b\u{1}", "(x)"] { #expect(throws: HandshakeError.badSubprotocol) { try list(bad) } }
}

@Test("long lists are walked once: a megabyte of separators and quotes ends", .timeLimit(.minutes(20)))
func linearLists() {
    for unit in [",", " ", "\"", "\\", "\",\"", "a,", "; ;"] {
        let value = Array(String(repeating: unit, count: 300_000).utf8)
        #expect(Handshake.names("websocket", value.span) == false)
        #expect(DeflateNegotiation.accept(value.span, DeflatePolicy()) == nil)
    }
}
