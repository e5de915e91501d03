// MessageStreamTests: whole messages come out however frames and reads cut them.

import LoadSupport
import TestSupport
import Testing

@Suite struct MessageStreamTests {
    @Test("messages, fragments, a ping and a close", arguments: Chunking.all)
    func stream(_ way: Chunking) {
        let bytes: [UInt8] = [0x81, 2, 1, 2, 0x01, 1, 3, 0x89, 1, 9, 0x80, 1, 4, 0x82, 0, 0x8a, 0, 0x88, 0, 0x81, 0x80]
        var stream = MessageStream()
        var seen: [String] = []
        for piece in way.split(bytes) {
            stream.receive(piece.span) { item, payload in
                seen.append("\(item) \((0..<payload.count).map { payload[$0] })")
            }
        }
        #expect(seen == ["message [1, 2]", "ping [9]", "message [3, 4]", "message []", "close []", "broken []"])
    }
}
