// Goal: a polling payload is its packets in order, whatever they are, and no more of them than allowed.
import Base
import TestSupport
import Testing

@testable import SocketIO

@Suite struct EnginePayloadTests {
    /// The packets of a payload as text, binary messages as `b` and their base64; or the error.
    private func read(_ bytes: [UInt8], packetsMax: Int = 16) -> Result<[String], EngineError> {
        var reader = EnginePayloadReader(packetsMax: packetsMax)
        var packets: [String] = []
        do throws(EngineError) {
            while let item = try reader.next(bytes.span) {
                switch item {
                case .packet(let packet):
                    packets.append(String(decoding: [packet.kind.rawValue] + bytes[packet.content], as: UTF8.self))
                case .binary(let base64): packets.append("b" + String(decoding: bytes[base64], as: UTF8.self))
                }
            }
            return .success(packets)
        } catch { return .failure(error) }
    }

    @Test(
        "HTTP long-polling: packets are joined by 0x1e",
        arguments: [
            ("4hello", ["4hello"]), ("4hello\u{1e}2\u{1e}4world", ["4hello", "2", "4world"]),
            ("4hello\u{1e}bAQIDBA==", ["4hello", "bAQIDBA=="]),
            ("b", ["b"]), ("4\u{1e}4\u{1e}4", ["4", "4", "4"]), ("4b\u{1e}1", ["4b", "1"]),
        ])
    func packets(_ payload: String, _ expected: [String]) {
        #expect(read(Array(payload.utf8)) == .success(expected))
    }

    @Test(
        "HTTP long-polling: an empty packet, an unknown one and one too many are refused",
        arguments: [
            ("", EngineError.emptyPacket), ("\u{1e}", .emptyPacket), ("4a\u{1e}", .emptyPacket), ("\u{1e}4a", .emptyPacket),
            ("4a\u{1e}\u{1e}4b", .emptyPacket), ("abc", .unknownPacketType), ("4a\u{1e}9", .unknownPacketType),
            ("1\u{1e}1x", .unexpectedContent), ("4\u{1e}4\u{1e}4\u{1e}4", .tooManyPackets),
        ])
    func malformed(_ payload: String, _ error: EngineError) {
        #expect(read(Array(payload.utf8), packetsMax: 3) == .failure(error))
    }

    @Test("HTTP long-polling: as many packets as allowed are read")
    func exactlyAsMany() { #expect(read(Array("4\u{1e}4\u{1e}4".utf8), packetsMax: 3) == .success(["4", "4", "4"])) }

    @Test("HTTP long-polling: a payload cut anywhere is read or refused, and the packets before the cut are the same")
    func prefixes() {
        let whole = Array("4hello\u{1e}2\u{1e}bAQIDBA==\u{1e}4world\u{1e}1".utf8)
        let packets = ["4hello", "2", "bAQIDBA==", "4world", "1"]
        for count in 0...whole.count {
            switch read(Array(whole[..<count])) {
            case .success(let read):
                #expect(Array(packets.prefix(read.count - 1)) == Array(read.dropLast()))
                #expect(packets[read.count - 1].hasPrefix(read.last ?? "?"))
            case .failure(let error):
                #expect(error == .emptyPacket)
                #expect(count == 0 || whole[count - 1] == 0x1e)
            }
        }
    }

    @Test("HTTP long-polling: random bytes never trap, and what reads back joins to the same bytes", arguments: UInt64(1)...4)
    func noise(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        let alphabet = Array("0123456b\u{1e}xyz=".utf8)
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 0...24, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            guard case .success(let packets) = read(bytes, packetsMax: 32) else { continue }
            #expect(Array(packets.joined(separator: "\u{1e}").utf8) == bytes)
        }
    }

    @Test("HTTP long-polling: text is written as it is, binary as `b` and base64")
    func writing() {
        var payload = ByteWriter()
        let frames = [
            EngineFrame(.text, SharedBytes("4hello")), EngineFrame(.binary, SharedBytes([1, 2, 3, 4])), EngineFrame(.binary, .empty),
        ]
        for frame in frames { EnginePayload.write(frame, into: &payload) }
        EnginePayload.write(.noop, into: &payload)
        #expect(payload.seal().description == "4hello\u{1e}bAQIDBA==\u{1e}b\u{1e}6")
        #expect(frames.map { EnginePayload.count(of: $0) } == [6, 9, 1])
    }
}
