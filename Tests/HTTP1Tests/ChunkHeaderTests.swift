// Chunk sizes at the edge of what an integer holds; the rules of the lines are in BodyDecoderTests.
@testable import HTTP1
import Testing

@Suite struct ChunkHeaderTests {
    @Test("§7.1: sizes up to the largest integer are read, larger ones refused", arguments: [
        ("0", 0), ("a", 10), ("00000000000000000000F", 15), ("7fffffffffffffff", Int.max),
        ("8000000000000000", nil), ("10000000000000000", nil),
        ("ffffffffffffffffffffffffffffffff", nil),
    ] as [(String, Int?)])
    func sizes(_ text: String, _ wanted: Int?) {
        let bytes = Array(text.utf8)
        var size: Int?
        var error: HTTPError?
        do throws(HTTPError) {
            size = try ChunkHeader.size(0..<bytes.count, of: bytes.span)
        } catch let thrown {
            error = thrown
        }
        #expect(size == wanted)
        #expect(error == (wanted == nil ? .contentTooLarge : nil))
    }
}
