// Goal: every packet type reads and writes as the protocol document says, and what is none is refused with its reason.
import Base
import Testing

@testable import SocketIO

@Suite struct EnginePacketTests {
    @Test(
        "Packet encoding: every type reads and writes back the same",
        arguments: [
            ("0{\"sid\":\"a\"}", EnginePacket.Kind.open), ("1", .close), ("2", .ping), ("2probe", .ping), ("3", .pong), ("3probe", .pong),
            ("4", .message), ("4hello", .message), ("4€", .message), ("5", .upgrade), ("6", .noop),
        ])
    func types(_ text: String, _ kind: EnginePacket.Kind) throws {
        let bytes = Array(text.utf8)
        let packet = try EnginePacket.read(bytes.span)
        #expect(packet == EnginePacket(kind, 1..<bytes.count))
        var writer = ByteWriter()
        if packet.content.isEmpty {
            EnginePacket.write(kind, into: &writer)
        } else {
            EnginePacket.write(kind, bytes.span.extracting(packet.content), into: &writer)
        }
        #expect(writer.seal().description == text)
    }

    @Test(
        "Packet encoding: what is no packet is refused",
        arguments: [
            ("", EngineError.emptyPacket), ("abc", .unknownPacketType), ("7", .unknownPacketType), ("/", .unknownPacketType),
            ("bAQIDBA==", .unknownPacketType), ("\u{0}", .unknownPacketType), ("1x", .unexpectedContent), ("5probe", .unexpectedContent),
            ("6 ", .unexpectedContent),
        ])
    func malformed(_ text: String, _ error: EngineError) {
        let bytes = Array(text.utf8)
        #expect(throws: error) { try EnginePacket.read(bytes.span) }
    }

    @Test("Packet encoding: each of the 256 first bytes is a type or refused")
    func firstBytes() {
        for byte in UInt8.min...UInt8.max {
            let isType = (try? EnginePacket.read([byte].span)) != nil
            #expect(isType == (UInt8(ascii: "0")...UInt8(ascii: "6")).contains(byte))
        }
    }
}
