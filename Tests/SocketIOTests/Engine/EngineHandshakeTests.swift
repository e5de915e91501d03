// Goal: the open packet has the five keys of the protocol document, byte for byte.
import Base
import Testing

@testable import SocketIO

@Suite struct EngineHandshakeTests {
    private let settings = EngineSettings(
        pingInterval: .seconds(25), pingTimeout: .seconds(20), upgradeTimeout: .seconds(10), maxPayload: 1_000_000,
        packetsPerPayloadMax: 16, queuedBytesMax: 4_096)

    private func text(_ sid: String, _ transport: EngineTransport) -> String {
        var writer = ByteWriter()
        EngineHandshake.write(sid: Array(sid.utf8).span, transport, settings, into: &writer)
        return writer.seal().description
    }

    @Test("Handshake: polling offers the upgrade")
    func polling() {
        let expected =
            #"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        #expect(text("lv_VI97HAXpY6yYWAAAC", .polling) == expected)
    }

    @Test("Handshake: a WebSocket has nothing to be upgraded to")
    func webSocket() {
        #expect(
            text("a\"b", .webSocket) == #"0{"sid":"a\"b","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#)
    }
}
