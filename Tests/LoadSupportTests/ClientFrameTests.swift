// ClientFrameTests: §5.2's three lengths of a header, and §5.3's mask.

import Base
import LoadSupport
import Testing

@Suite struct ClientFrameTests {
    @Test("§5.2: the length is written in its shortest form", arguments: [
        (0, [0x81, 0x80]), (125, [0x81, 0xfd]), (126, [0x81, 0xfe, 0, 126]), (65_535, [0x81, 0xfe, 255, 255]),
        (65_536, [0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] as [(Int, [UInt8])])
    func header(_ size: Int, _ expected: [UInt8]) {
        #expect(ClientFrame.header(.text, payloadBytes: size) == expected + ClientFrame.maskingKey)
    }

    @Test("§5.3: byte i of the payload is combined with byte i mod 4 of the key")
    func mask() {
        let payload = Array("hello".utf8)
        var output = ByteWriter()
        ClientFrame.append(.ping, payload.span, to: &output)
        let frame = (0..<output.count).map { output.span[$0] }
        #expect(Array(frame[..<2]) == [0x89, 0x85])
        #expect(Array(frame[2..<6]) == ClientFrame.maskingKey)
        #expect(frame[6...].enumerated().map { $1 ^ ClientFrame.maskingKey[$0 % 4] } == payload)
    }
}
