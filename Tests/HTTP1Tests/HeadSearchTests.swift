// The limits of a head, each at its edge, and the same however the bytes are cut.
import HTTP1
import Testing
import TestSupport

@Suite struct HeadSearchTests {
    static let limits = HTTPLimits(headerBytesMax: 200, headerCountMax: 3, targetBytesMax: 40)

    @Test("§3: a target of the limit is taken, one byte more is 414", arguments: Chunking.all)
    func target(_ chunking: Chunking) {
        func request(_ bytes: Int) -> String { "GET /\(String(repeating: "a", count: bytes - 1)) HTTP/1.1\r\nHost: x\r\n\r\n" }
        #expect(refusal(of: request(40), chunking, limits: Self.limits) == nil)
        #expect(refusal(of: request(41), chunking, limits: Self.limits) == .targetTooLong)
        #expect(refusal(of: request(100), chunking, limits: Self.limits) == .targetTooLong)
    }

    @Test("§3: a request line without end is 414 before it ends", arguments: Chunking.all)
    func endlessLine(_ chunking: Chunking) {
        #expect(refusal(of: String(repeating: "a", count: 89), chunking, limits: Self.limits) == .targetTooLong)
        #expect(refusal(of: String(repeating: "a", count: 88), chunking, limits: Self.limits) == nil)
        #expect(refusal(of: String(repeating: "a", count: 500) + "\n", chunking, limits: Self.limits) == .targetTooLong)
    }

    @Test("RFC 6585 §5: a head of the limit is taken, one byte more is 431", arguments: Chunking.all)
    func bytes(_ chunking: Chunking) {
        func request(_ bytes: Int) -> String {
            let head = "GET / HTTP/1.1\r\nHost: x\r\nA: \r\n\r\n"
            let value = String(repeating: "a", count: bytes - head.utf8.count)
            return "GET / HTTP/1.1\r\nHost: x\r\nA: \(value)\r\n\r\n"
        }
        #expect(refusal(of: request(200), chunking, limits: Self.limits) == nil)
        #expect(refusal(of: request(201), chunking, limits: Self.limits) == .headTooLarge)
        #expect(refusal(of: request(2_000), chunking, limits: Self.limits) == .headTooLarge)
    }

    @Test("RFC 6585 §5: as many fields as the limit are taken, one more is 431", arguments: Chunking.all)
    func count(_ chunking: Chunking) {
        #expect(refusal(of: "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\n\r\n", chunking, limits: Self.limits) == nil)
        #expect(refusal(of: "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\nA: 3\r\n", chunking, limits: Self.limits) == .tooManyFields)
    }

    @Test("an empty line before the request is not part of the head", arguments: Chunking.all)
    func emptyLine(_ chunking: Chunking) {
        let head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        let limits = HTTPLimits(headerBytesMax: head.utf8.count, targetBytesMax: 8)
        #expect(refusal(of: "\r\n" + head, chunking, limits: limits) == nil)
    }
}
