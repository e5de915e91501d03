// MessageDeflateTests: what is compressed comes back, message by message, and what is broken is found out.

import Base
import LoadSupport
import Testing

@Suite struct MessageDeflateTests {
    private func bytes(_ write: (inout ByteWriter) -> Void) -> [UInt8] {
        var output = ByteWriter()
        write(&output)
        return (0..<output.count).map { output.span[$0] }
    }

    /// What a payload says; nil where it is broken.
    private func inflate(_ payload: [UInt8], by deflate: MessageDeflate) -> [UInt8]? {
        var output = ByteWriter()
        guard deflate.inflate(payload.span, into: &output) else { return nil }
        return (0..<output.count).map { output.span[$0] }
    }

    @Test("messages of all lengths come back, whatever came before", arguments: [1, 2, 64, 1000, 70_000, 300_000])
    func roundTrip(_ size: Int) throws {
        let deflate = try #require(MessageDeflate())
        for seed in 0..<3 {
            let message = (0..<size).map { UInt8(truncatingIfNeeded: $0 / 3 &* (seed + 7)) }
            let payload = bytes { deflate.deflate(message.span, into: &$0) }
            #expect(inflate(payload, by: deflate) == message)
        }
    }

    @Test("RFC 7692 §7.2.3.1: the example of the standard")
    func example() throws {
        let deflate = try #require(MessageDeflate())
        let payload: [UInt8] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]
        #expect(inflate(payload, by: deflate) == Array("Hello".utf8))
    }

    @Test("what is no compressed message is refused")
    func broken() throws {
        let deflate = try #require(MessageDeflate())
        let payload: [UInt8] = [0xff, 0xff, 0xff]
        #expect(inflate(payload, by: deflate) == nil)
    }
}
