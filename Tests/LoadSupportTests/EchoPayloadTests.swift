// EchoPayloadTests: what is built is what is accepted, however it is cut, and nothing else is.

import Base
import LoadSupport
import TestSupport
import Testing

@Suite struct EchoPayloadTests {
    /// The payload of a frame, unmasked.
    private func message(_ payload: EchoPayload, _ connection: UInt32, _ sequence: UInt32) -> [UInt8] {
        var output = ByteWriter()
        payload.appendFrame(connection: connection, sequence: sequence, to: &output)
        let frame = (0..<output.count).map { output.span[$0] }
        let body = frame.suffix(payload.size)
        let key = frame.dropLast(payload.size).suffix(4).map { $0 }
        return body.enumerated().map { $1 ^ key[$0 & 3] }
    }

    private func accepts(_ payload: EchoPayload, _ bytes: [UInt8], _ connection: UInt32, _ sequence: UInt32, _ way: Chunking) -> Bool {
        var offset = 0
        for piece in way.split(bytes) {
            guard payload.matches(piece.span, at: offset, connection: connection, sequence: sequence) else { return false }
            offset += piece.count
        }
        return true
    }

    @Test("a message is accepted however it is cut", arguments: [1, 3, 8, 15, 16, 17, 64, 125, 126, 1000, 70_000], Chunking.all)
    func accepted(_ size: Int, _ way: Chunking) {
        let payload = EchoPayload(size: size, opcode: .binary)
        for (connection, sequence) in [(0, 0), (7, 1), (65_537, 4_000_000_000)] as [(UInt32, UInt32)] {
            let bytes = message(payload, connection, sequence)
            #expect(bytes.count == size)
            #expect(accepts(payload, bytes, connection, sequence, way))
        }
    }

    @Test("each single wrong byte is noticed", arguments: [1, 15, 16, 64, 200], Chunking.all)
    func wrongByte(_ size: Int, _ way: Chunking) {
        let payload = EchoPayload(size: size, opcode: .text)
        let bytes = message(payload, 3, 99)
        for place in 0..<size {
            var wrong = bytes
            wrong[place] ^= 1
            #expect(!accepts(payload, wrong, 3, 99, way))
        }
    }

    @Test("a message of another connection or with another number is noticed", arguments: [16, 64, 1000])
    func wrongMessage(_ size: Int) {
        let payload = EchoPayload(size: size, opcode: .text)
        let bytes = message(payload, 3, 99)
        #expect(!accepts(payload, bytes, 3, 98, .whole))
        #expect(!accepts(payload, bytes, 4, 99, .whole))
        #expect(!accepts(payload, bytes + [0], 3, 99, .whole))
    }

    @Test("payloads are ASCII, so that they may travel as text")
    func ascii() {
        let payload = EchoPayload(size: 300, opcode: .text)
        #expect(message(payload, .max, .max).allSatisfy { $0 >= 0x40 && $0 < 0x7f })
    }

    @Test("several frames in one writer stand one after the other")
    func several() {
        let payload = EchoPayload(size: 40, opcode: .binary)
        var output = ByteWriter()
        for sequence in 0..<5 { payload.appendFrame(connection: 1, sequence: UInt32(sequence), to: &output) }
        #expect(output.count == 5 * 46)
        for frame in 0..<5 {
            #expect(output.span[frame * 46] == 0x82)
            #expect(output.span[frame * 46 + 1] == 0x80 | 40)
        }
    }

    @Test("a message without a frame says the same as the one in a frame", arguments: [1, 8, 15, 16, 17, 64, 1000, 70_000])
    func unframed(_ size: Int) {
        let payload = EchoPayload(size: size, opcode: .binary)
        var output = ByteWriter()
        payload.appendMessage(connection: 9, sequence: 77, to: &output)
        #expect((0..<output.count).map { output.span[$0] } == message(payload, 9, 77))
    }
}
