// Heads as they leave, byte for byte.
import Base
import HTTP1
import Testing

@Suite struct ResponseWriterTests {
    static let date = Array("Sun, 06 Nov 1994 08:49:37 GMT".utf8)

    private func written(_ body: (inout ByteWriter) throws -> Void) rethrows -> String {
        var writer = ByteWriter()
        try body(&writer)
        return writer.seal().description
    }

    @Test("a JSON head, whole")
    func json() {
        var follows = false
        let text = written { follows = ResponseWriter.json(.ok, ResponseShape(), date: Self.date.span, bodyLength: 17, into: &$0) }
        #expect(follows)
        #expect(text == """
            HTTP/1.1 200 OK\r
            Date: Sun, 06 Nov 1994 08:49:37 GMT\r
            X-Content-Type-Options: nosniff\r
            Content-Type: application/json\r
            Content-Length: 17\r
            \r\n
            """)
    }

    @Test("§9.3, §9.6: what Connection says", arguments: [
        (HTTPVersion.http11, true, nil), (.http11, false, "close"), (.http10, true, "keep-alive"), (.http10, false, "close"),
    ] as [(HTTPVersion, Bool, String?)])
    func connection(_ version: HTTPVersion, _ keepsAlive: Bool, _ wanted: String?) {
        let shape = ResponseShape(version: version, keepsAlive: keepsAlive)
        let text = written { ResponseWriter.json(.ok, shape, date: Self.date.span, bodyLength: 0, into: &$0) }
        #expect(text.contains("\r\nConnection: ") == (wanted != nil))
        if let wanted { #expect(text.contains("\r\nConnection: \(wanted)\r\n")) }
    }

    @Test("RFC 9110 §6.4.1: HEAD, 204 and 304 have no content, and 204 no length", arguments: [
        (HTTPStatus.ok, true, true), (.noContent, false, false), (.notModified, false, false), (.notFound, true, true),
    ])
    func bodiless(_ status: HTTPStatus, _ isHead: Bool, _ hasLength: Bool) {
        var follows = true
        let text = written {
            follows = ResponseWriter.json(status, ResponseShape(isHead: isHead), date: Self.date.span, bodyLength: 9, into: &$0)
        }
        #expect(!follows)
        #expect(text.contains("Content-Length: 9\r\n") == hasLength)
        #expect(text.hasSuffix("\r\n\r\n"))
    }

    @Test("a head with fields of its own")
    func fields() throws {
        var shape = ResponseShape()
        let text = try written { writer in
            ResponseWriter.begin(.tooManyRequests, &shape, .length(0), date: Self.date.span, into: &writer)
            ResponseWriter.field("Retry-After", decimal: 3, into: &writer)
            ResponseWriter.field("Cache-Control", "no-store", into: &writer)
            try ResponseWriter.field("X-Request-ID", Array("a b\tc".utf8).span, into: &writer)
            ResponseWriter.end(into: &writer)
        }
        #expect(text.hasPrefix("HTTP/1.1 429 Too Many Requests\r\n"))
        #expect(text.hasSuffix("Content-Length: 0\r\nRetry-After: 3\r\nCache-Control: no-store\r\nX-Request-ID: a b\tc\r\n\r\n"))
    }

    @Test("RFC 9110 §5.5: a value with CR, LF, NUL or another control is not written", arguments: [
        "a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0", "\u{1f}", "\u{7f}",
    ])
    func injection(_ value: String) {
        var error: HTTPError?
        let text = written { writer in
            do throws(HTTPError) {
                try ResponseWriter.field("A", Array(value.utf8).span, into: &writer)
            } catch let thrown {
                error = thrown
            }
        }
        #expect(error == .unwritableFieldValue)
        #expect(text.isEmpty)
    }

    @Test("§7.1: streamed content is in chunks, and parses as them")
    func chunked() {
        var shape = ResponseShape()
        let text = written { writer in
            ResponseWriter.begin(.ok, &shape, .streamed, date: Self.date.span, into: &writer)
            ResponseWriter.end(into: &writer)
            for piece in ["hello", String(repeating: "x", count: 256)] {
                ResponseWriter.beginChunk(piece.utf8.count, shape, into: &writer)
                writer.append(piece)
                ResponseWriter.endChunk(shape, into: &writer)
            }
            ResponseWriter.endBody(shape, into: &writer)
        }
        #expect(shape.keepsAlive)
        #expect(text.contains("\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n100\r\nxxx"))
        #expect(text.hasSuffix("xxx\r\n0\r\n\r\n"))
    }

    @Test("§6.3: streamed content to HTTP/1.0 ends by closing")
    func streamedToOld() {
        var shape = ResponseShape(version: .http10, keepsAlive: true)
        let text = written { writer in
            ResponseWriter.begin(.ok, &shape, .streamed, date: Self.date.span, into: &writer)
            ResponseWriter.end(into: &writer)
            ResponseWriter.beginChunk(2, shape, into: &writer)
            writer.append("hi")
            ResponseWriter.endChunk(shape, into: &writer)
            ResponseWriter.endBody(shape, into: &writer)
        }
        #expect(!shape.keepsAlive)
        #expect(text.contains("Connection: close\r\n"))
        #expect(!text.contains("Transfer-Encoding"))
        #expect(text.hasSuffix("\r\n\r\nhi"))
    }

    @Test("RFC 9110 §7.8: 101 says its own Connection")
    func upgrade() {
        var shape = ResponseShape()
        let text = written { ResponseWriter.begin(.switchingProtocols, &shape, .length(0), date: Self.date.span, into: &$0) }
        #expect(text.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
        #expect(!text.contains("Connection"))
        #expect(!text.contains("Content-Length"))
    }

    @Test("every refusal is a whole response of the length that it says", arguments: HTTPError.allCases)
    func refusals(_ error: HTTPError) throws {
        let text = written { ResponseWriter.refuse(error, ResponseShape(keepsAlive: false), date: Self.date.span, into: &$0) }
        let body = "{\"error\":\"\(error.sentence)\"}"
        #expect(text.hasSuffix("Content-Length: \(body.utf8.count)\r\n\r\n\(body)"))
        #expect(text.hasPrefix("HTTP/1.1 \(error.status.code) "))
        #expect(text.contains("Connection: close\r\n"))
    }

    @Test("a refusal to HEAD has no content")
    func refusalToHead() {
        let shape = ResponseShape(keepsAlive: false, isHead: true)
        let text = written { ResponseWriter.refuse(.missingHost, shape, date: Self.date.span, into: &$0) }
        #expect(text.hasSuffix("\r\n\r\n"))
    }

    @Test("RFC 9110 §15.2.1: 100 is a status line and a blank line")
    func continued() {
        #expect(written { ResponseWriter.continued(into: &$0) } == "HTTP/1.1 100 Continue\r\n\r\n")
    }
}
