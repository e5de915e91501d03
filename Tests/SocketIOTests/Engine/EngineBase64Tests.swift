// Goal: binary messages survive a polling payload, and one text stands for one message only.
import Base
import TestSupport
import Testing

@testable import SocketIO

@Suite struct EngineBase64Tests {
    @Test(
        "RFC 4648 §10: the test vectors, both ways",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
        ])
    func vectors(_ plain: String, _ encoded: String) throws {
        var writer = ByteWriter()
        EngineBase64.encode(Array(plain.utf8).span, into: &writer)
        #expect(writer.seal().description == encoded)
        #expect(EngineBase64.encodedCount(of: plain.utf8.count) == encoded.utf8.count)
        let text = Array(("(" + encoded + ")").utf8)
        writer.removeAll()
        try EngineBase64.decode(text.span, 1..<(text.count - 1), into: &writer)
        #expect(writer.seal().description == plain)
    }

    @Test("RFC 4648 §4: random bytes of every short length come back, and were counted right")
    func roundTrip() throws {
        var random = Seeded(seed: 7)
        for count in 0..<200 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            var text = ByteWriter()
            EngineBase64.encode(bytes.span, into: &text)
            #expect(text.count == EngineBase64.encodedCount(of: count))
            #expect(EngineBase64.decodedCount(text.span, 0..<text.count) == count)
            var back = ByteWriter()
            try EngineBase64.decode(text.span, 0..<text.count, into: &back)
            #expect(back.seal() == SharedBytes(bytes))
        }
    }

    @Test(
        "RFC 4648 §3.3 and §3.5: what is not base64 is refused, and nothing of it stays",
        arguments: [
            "A", "AB", "ABC", "ABCDE", "====", "A===", "=AAA", "AA=A", "AAA=AAAA", "AB==", "AAB=", "AA A", "AA-_", "AAA\n", "AQIDB",
        ])
    func malformed(_ text: String) {
        var writer = ByteWriter()
        writer.append("kept" as StaticString)
        var failure: EngineError?
        do throws(EngineError) {
            let bytes = Array(text.utf8)
            try EngineBase64.decode(bytes.span, 0..<bytes.count, into: &writer)
        } catch { failure = error }
        #expect(failure == .invalidBase64)
        #expect(writer.seal().description == "kept")
    }
}
