// The framing of content: lengths, chunks, their limits, and every rule against smuggling by its section.
import HTTP1
import Testing
import TestSupport

@Suite struct BodyDecoderTests {
    static func request(_ fields: String, _ content: String, version: String = "1.1") -> String {
        "POST / HTTP/\(version)\r\nHost: x\r\n\(fields)\r\n\(content)"
    }

    static func content(_ seen: [Seen]) -> String? {
        for entry in seen {
            if case .body(let text) = entry { return text }
        }
        return nil
    }

    static let framings: [(goal: String, text: String, content: String?)] = [
        ("§6.3.7 nothing said", request("", ""), nil),
        ("§6.2 a length", request("Content-Length: 5\r\n", "hello"), "hello"),
        ("§6.2 a length of 0", request("Content-Length: 0\r\n", ""), nil),
        ("§6.2 leading zeros", request("Content-Length: 005\r\n", "hello"), "hello"),
        ("§7.1 chunks", request("Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), "hello"),
        ("§7.1 no chunk but the last", request("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), nil),
        ("§7.1 a last chunk of many zeros", request("Transfer-Encoding: chunked\r\n", "0000\r\n\r\n"), nil),
        ("§7 the coding in other letters", request("Transfer-Encoding: CHUNKED\r\n", "A\r\n0123456789\r\n0\r\n\r\n"), "0123456789"),
        ("§7.1 small hexadecimal digits", request("Transfer-Encoding: chunked\r\n", "0a\r\n0123456789\r\n0\r\n\r\n"), "0123456789"),
        ("§7.1.1 extensions are ignored",
            request("Transfer-Encoding: chunked\r\n", "5;a;b=c;d=\"e\\\"; f\" ; g = h\r\nhello\r\n0;z\r\n\r\n"), "hello"),
        ("§7.1.2 trailers are dropped",
            request("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nA: b\r\nContent-Length: 9\r\n\r\n"), "hello"),
        ("content of CRLFs", request("Transfer-Encoding: chunked\r\n", "4\r\n\r\n\r\n\r\n0\r\n\r\n"), "\r\n\r\n"),
    ]

    @Test("content arrives whole however it is cut, and the next request behind it", arguments: Chunking.all)
    func framed(_ chunking: Chunking) {
        for (goal, text, content) in Self.framings {
            let seen = conversation(text + "GET /next HTTP/1.1\r\nHost: x\r\n\r\n", chunking).seen
            #expect(Self.content(seen) == content, "\(goal)")
            #expect(seen.suffix(3) == [.head("GET /next 1.1 | Host=x"), .end, .answered(.nextRequest)], "\(goal)")
        }
    }

    static let smuggling: [(String, String, HTTPError)] = [
        ("§6.1 length and coding", request("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", ""), .lengthAndEncoding),
        ("§6.1 coding and length", request("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", ""), .lengthAndEncoding),
        ("§6.1 unknown coding and length", request("Transfer-Encoding: x\r\nContent-Length: 5\r\n", ""), .lengthAndEncoding),
        ("§6.3.5 differing lengths", request("Content-Length: 5\r\nContent-Length: 6\r\n", ""), .repeatedLength),
        ("§6.3.5 equal lengths", request("Content-Length: 5\r\nContent-Length: 5\r\n", ""), .repeatedLength),
        ("§6.3.5 a list of lengths", request("Content-Length: 5, 5\r\n", ""), .repeatedLength),
        ("§6.2 a sign", request("Content-Length: +5\r\n", ""), .invalidLength),
        ("§6.2 a negative length", request("Content-Length: -5\r\n", ""), .invalidLength),
        ("§6.2 hexadecimal", request("Content-Length: 0x5\r\n", ""), .invalidLength),
        ("§6.2 two words", request("Content-Length: 5 5\r\n", ""), .invalidLength),
        ("§6.2 no digits", request("Content-Length:\r\n", ""), .invalidLength),
        ("§6.2 a length that overflows", request("Content-Length: 99999999999999999999999\r\n", ""), .contentTooLarge),
        ("§6.2 a length that overflows and then is none", request("Content-Length: 99999999999999999999999x\r\n", ""), .invalidLength),
        ("§6.1 coding in HTTP/1.0", request("Transfer-Encoding: chunked\r\n", "", version: "1.0"), .encodingInHTTP10),
        ("§6.1 another coding", request("Transfer-Encoding: gzip\r\n", ""), .unsupportedEncoding),
        ("§6.1 a coding before chunked", request("Transfer-Encoding: gzip, chunked\r\n", ""), .unsupportedEncoding),
        ("§6.1 a coding behind chunked", request("Transfer-Encoding: chunked, identity\r\n", ""), .unsupportedEncoding),
        ("§6.1 chunked twice", request("Transfer-Encoding: chunked, chunked\r\n", ""), .unsupportedEncoding),
        ("§6.1 chunked in two fields",
            request("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ""), .unsupportedEncoding),
        ("§6.1 a coding in a second field",
            request("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", ""), .unsupportedEncoding),
        ("§6.1 almost chunked", request("Transfer-Encoding: xchunked\r\n", ""), .unsupportedEncoding),
        ("§6.1 chunked with a vertical tab", request("Transfer-Encoding: \u{b}chunked\r\n", ""), .invalidFieldValue),
        ("§6.1 no coding", request("Transfer-Encoding:\r\n", ""), .unsupportedEncoding),
        ("§5.1 a hidden coding", request("Transfer-Encoding : chunked\r\n", ""), .spaceBeforeColon),
        ("§5.2 a folded coding", request("Transfer-Encoding:\r\n chunked\r\n", ""), .foldedField),
    ]

    @Test("§11.2: a head about whose framing two readers might differ is refused", arguments: Chunking.all)
    func smuggled(_ chunking: Chunking) {
        for (goal, text, error) in Self.smuggling {
            #expect(conversation(text, chunking).seen == [.failed(error)], "\(goal)")
        }
    }

    static let chunks: [(String, String, HTTPError)] = [
        ("no digits", "\r\nhello", .invalidChunkSize),
        ("a sign", "+5\r\nhello", .invalidChunkSize),
        ("a prefix", "0x5\r\nhello", .invalidChunkSize),
        ("an underscore", "1_0\r\nhello", .invalidChunkSize),
        ("a space before the size", " 5\r\nhello", .invalidChunkSize),
        ("a space behind the size", "5 \r\nhello", .invalidChunkExtension),
        ("a bare LF behind the size", "5\nhello", .bareLineFeed),
        ("a bare CR behind the size", "5\r;\r\nhello", .invalidChunkSize),
        ("a size that overflows", "fffffffffffffffff\r\n", .contentTooLarge),
        ("a size with the sign bit", "8000000000000000\r\n", .contentTooLarge),
        ("an extension without a name", "5;\r\nhello", .invalidChunkExtension),
        ("an extension without a value", "5;a=\r\nhello", .invalidChunkExtension),
        ("an extension with an open string", "5;a=\"b\r\nhello", .invalidChunkExtension),
        ("an extension with a lone backslash", "5;a=\"b\\\r\nhello", .invalidChunkExtension),
        ("an extension with a control", "5;a=\"\u{1}\"\r\nhello", .invalidChunkExtension),
        ("an extension with a bare LF", "5;a\nhello", .bareLineFeed),
        ("a chunk that is longer than announced", "5\r\nhelloo\r\n", .missingChunkEnd),
        ("a chunk that ends in LF", "5\r\nhello\n0\r\n\r\n", .missingChunkEnd),
        ("a chunk that ends in CR CR", "5\r\nhello\r\r0\r\n\r\n", .missingChunkEnd),
        ("a trailer without colon", "0\r\nabc\r\n\r\n", .invalidFieldName),
        ("a trailer with a space before the colon", "0\r\na : b\r\n\r\n", .spaceBeforeColon),
        ("a folded trailer", "0\r\na: b\r\n c\r\n\r\n", .foldedField),
        ("a trailer with a control", "0\r\na: \u{1}\r\n\r\n", .invalidFieldValue),
        ("a trailer with a bare CR", "0\r\na: b\rc\r\n\r\n", .bareCarriageReturn),
        ("a trailer with a bare LF", "0\r\na: b\n\r\n", .bareLineFeed),
        ("trailers that end in a bare LF", "0\r\n\n", .bareLineFeed),
    ]

    @Test("§7.1: malformed chunks are refused, and the connection closes", arguments: Chunking.all)
    func malformedChunks(_ chunking: Chunking) {
        for (goal, text, error) in Self.chunks {
            let ended = conversation(Self.request("Transfer-Encoding: chunked\r\n", text), chunking)
            #expect(ended.seen.last == .failed(error), "\(goal)")
            #expect(!ended.seen.contains(.end), "\(goal)")
            #expect(ended.exchange.owesResponse, "\(goal)")
            #expect(!ended.exchange.shape.keepsAlive, "\(goal)")
        }
    }

    static let limits = HTTPLimits(bodyBytesMax: 10, chunkHeaderBytesMax: 8, trailerBytesMax: 12)

    @Test("RFC 9110 §15.5.14: a length over the limit is 413 before any content", arguments: Chunking.all)
    func length(_ chunking: Chunking) {
        #expect(refusal(of: Self.request("Content-Length: 10\r\n", "0123456789"), chunking, limits: Self.limits) == nil)
        let seen = conversation(Self.request("Content-Length: 11\r\n", "01234567890"), chunking, limits: Self.limits).seen
        #expect(seen == [.failed(.contentTooLarge)])
    }

    @Test("RFC 9110 §15.5.14: the chunk that goes over the limit is 413 before its data", arguments: Chunking.all)
    func chunkedLength(_ chunking: Chunking) {
        let coding = "Transfer-Encoding: chunked\r\n"
        let ten = Self.request(coding, "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")
        #expect(refusal(of: ten, chunking, limits: Self.limits) == nil)
        let eleven = conversation(Self.request(coding, "5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n"), chunking, limits: Self.limits).seen
        #expect(Array(eleven.suffix(2)) == [.body("01234"), .failed(.contentTooLarge)])
    }

    @Test("§7.1.1: a chunk size line is bounded", arguments: Chunking.all)
    func chunkHeader(_ chunking: Chunking) {
        let coding = "Transfer-Encoding: chunked\r\n"
        #expect(refusal(of: Self.request(coding, "000001\r\na\r\n0\r\n\r\n"), chunking, limits: Self.limits) == nil)
        #expect(refusal(of: Self.request(coding, "0000001\r\na\r\n0\r\n\r\n"), chunking, limits: Self.limits) == .chunkHeaderTooLong)
        #expect(refusal(of: Self.request(coding, "00000000"), chunking, limits: Self.limits) == .chunkHeaderTooLong)
        #expect(refusal(of: Self.request(coding, "0000000"), chunking, limits: Self.limits) == nil)
    }

    @Test("§7.1.2: trailers are bounded together", arguments: Chunking.all)
    func trailers(_ chunking: Chunking) {
        let coding = "Transfer-Encoding: chunked\r\n"
        #expect(refusal(of: Self.request(coding, "0\r\na:b\r\nc:d\r\n\r\n"), chunking, limits: Self.limits) == nil)
        #expect(refusal(of: Self.request(coding, "0\r\na:b\r\nc:dd\r\n\r\n"), chunking, limits: Self.limits) == .trailersTooLarge)
        #expect(refusal(of: Self.request(coding, "0\r\na:bbbbbbbbbb"), chunking, limits: Self.limits) == .trailersTooLarge)
    }
}
