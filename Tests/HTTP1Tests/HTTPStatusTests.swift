// Status lines.
import HTTP1
import Testing

@Suite struct HTTPStatusTests {
    @Test("RFC 9112 §4: a status line is version, code, phrase and CRLF", arguments: HTTPStatus.allCases)
    func lines(_ status: HTTPStatus) {
        let line = status.line.description
        #expect(line.hasPrefix("HTTP/1.1 \(status.code) "))
        #expect(line.hasSuffix("\r\n"))
        #expect(line.utf8.count > 16)
    }
}
