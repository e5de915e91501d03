// The table of a request head: what it holds, and every head that is refused.
import HTTP1
import Testing
import TestSupport

@Suite struct RequestHeadTests {
    @Test("a head is taken apart, values without the whitespace around them", arguments: Chunking.all)
    func parts(_ chunking: Chunking) {
        let seen = conversation("GET /a?b=c HTTP/1.1\r\nHost: x:1\r\nX-Empty:\r\nx-pad: \t a b\t \r\n\r\n", chunking).seen
        #expect(seen == [.head("GET /a?b=c 1.1 | Host=x:1 | X-Empty= | x-pad=a b"), .end, .answered(.nextRequest)])
    }

    @Test("RFC 9110 §9.1: methods are known in capitals only", arguments: [
        ("GET", HTTPMethod.get), ("HEAD", .head), ("POST", .post), ("PUT", .put), ("PATCH", .patch), ("DELETE", .delete),
        ("OPTIONS", .options), ("get", .other), ("TRACE", .other), ("M-SEARCH", .other),
    ])
    func methods(_ name: String, _ method: HTTPMethod) throws {
        try withHead("\(name) / HTTP/1.1\r\nHost: x\r\n\r\n") { head, bytes in
            let (found, spelled) = (head.method, String(decoding: bytes[head.methodName], as: UTF8.self))
            #expect(found == method)
            #expect(spelled == name)
        }
    }

    @Test("fields are found by known name, by bytes, and again where they repeat")
    func lookup() throws {
        try withHead("GET / HTTP/1.1\r\nhOsT: x\r\nCookie: a\r\nX-Own: 1\r\nCOOKIE: b\r\nx-own: 2\r\ncookie: c\r\n\r\n") { head, bytes in
            func text(_ range: Range<Int>?) -> String? { range.map { String(decoding: bytes[$0], as: UTF8.self) } }
            let (host, origin) = (text(head.value(.host)), text(head.value(.origin)))
            #expect(host == "x")
            #expect(origin == nil)
            var cookies: [String?] = []
            var index = head.first(.cookie)
            while let at = index {
                cookies.append(text(head[at].value))
                index = head.next(at)
            }
            #expect(cookies == ["a", "b", "c"])
            let repeats = (head.repeats(.cookie), head.repeats(.host))
            #expect(repeats == (true, false))
            var own: [String?] = []
            var start = 0
            while let at = head.first(named: "x-own", from: start, in: bytes.span) {
                own.append(text(head[at].value))
                start = at + 1
            }
            #expect(own == ["1", "2"])
            let count = head.count
            #expect(count == 6)
        }
    }

    @Test("a head is filled anew, nothing of the request before stays")
    func refilled() throws {
        var head = RequestHead()
        var exchange = ServerExchange()
        let bytes = Array("GET /1 HTTP/1.1\r\nHost: x\r\nOrigin: o\r\n\r\nGET /2 HTTP/1.0\r\n\r\n".utf8)
        var position = 0
        var origins: [Range<Int>?] = []
        for _ in 0..<2 {
            while try exchange.next(bytes.span, &position, head: &head, limits: HTTPLimits()) != .head {}
            origins.append(head.value(.origin))
            if position < bytes.count {
                _ = try exchange.next(bytes.span, &position, head: &head, limits: HTTPLimits())
                _ = exchange.responded(exchange.shape)
            }
        }
        #expect(origins == [34..<35, nil])
        let (count, version, range) = (head.count, head.version, head.range)
        #expect(count == 0)
        #expect(version == .http10)
        #expect(range == 39..<58)
    }

    @Test("RFC 9112 §3.2.2: an absolute target names the authority, whatever Host says")
    func authority() throws {
        try withHead("GET http://a.example:80/p HTTP/1.1\r\nHost: b\r\n\r\n") { head, bytes in
            let authority = head.authority.map { String(decoding: bytes[$0], as: UTF8.self) }
            #expect(authority == "a.example:80")
        }
        try withHead("GET /p HTTP/1.1\r\nHost: b\r\n\r\n") { head, bytes in
            let authority = head.authority.map { String(decoding: bytes[$0], as: UTF8.self) }
            #expect(authority == "b")
        }
    }

    static let refused: [(String, String, HTTPError)] = [
        ("§2.2 bare LF in the request line", "GET / HTTP/1.1\nHost: x\r\n\r\n", .bareLineFeed),
        ("§2.2 bare LF behind a field", "GET / HTTP/1.1\r\nHost: x\n\r\n", .bareLineFeed),
        ("§2.2 bare LF as the blank line", "GET / HTTP/1.1\r\nHost: x\r\n\n", .bareLineFeed),
        ("§2.2 bare LF before the request", "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", .bareLineFeed),
        ("§2.2 bare CR in a value", "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", .bareCarriageReturn),
        ("§2.2 bare CR in the target", "GET /\r HTTP/1.1\r\nHost: x\r\n\r\n", .malformedRequestLine),
        ("§2.2 CR CR LF", "GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", .bareCarriageReturn),
        ("§2.2 whitespace before the first field", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", .foldedField),
        ("§2.2 two empty lines", "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", .malformedRequestLine),
        ("§2.2 a CR before the request", "\rGET / HTTP/1.1\r\nHost: x\r\n\r\n", .bareCarriageReturn),
        ("§2.3 no version", "GET /\r\nHost: x\r\n\r\n", .malformedRequestLine),
        ("§2.3 lower case", "GET / http/1.1\r\nHost: x\r\n\r\n", .malformedVersion),
        ("§2.3 two digits", "GET / HTTP/1.10\r\nHost: x\r\n\r\n", .malformedVersion),
        ("§2.3 letters", "GET / HTTP/1.x\r\nHost: x\r\n\r\n", .malformedVersion),
        ("§2.3 a later minor version", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", .unsupportedVersion),
        ("§2.3 HTTP/0.9", "GET / HTTP/0.9\r\nHost: x\r\n\r\n", .unsupportedVersion),
        ("§2.3 the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion),
        ("§3 two spaces before the target", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", .malformedVersion),
        ("§3 two spaces behind the target", "GET /  HTTP/1.1\r\nHost: x\r\n\r\n", .malformedVersion),
        ("§3 a space behind the version", "GET / HTTP/1.1 \r\nHost: x\r\n\r\n", .malformedRequestLine),
        ("§3 a tab between the parts", "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", .invalidMethod),
        ("§3 a space before the method", " GET / HTTP/1.1\r\nHost: x\r\n\r\n", .invalidMethod),
        ("§3.1 not a token", "G@T / HTTP/1.1\r\nHost: x\r\n\r\n", .invalidMethod),
        ("§3.1 a TLS handshake", "\u{16}\u{3}\u{1}", .invalidMethod),
        ("§3.1 the method alone", "GET\r\nHost: x\r\n\r\n", .malformedRequestLine),
        ("§3.2 a relative target", "GET a HTTP/1.1\r\nHost: x\r\n\r\n", .invalidTarget),
        ("§3.2 a fragment", "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", .invalidTarget),
        ("§3.2 raw UTF-8 in the target", "GET /ä HTTP/1.1\r\nHost: x\r\n\r\n", .invalidTarget),
        ("§3.2 NUL in the target", "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", .malformedRequestLine),
        ("§3.2 DEL in the target", "GET /\u{7f} HTTP/1.1\r\nHost: x\r\n\r\n", .invalidTarget),
        ("§3.2 no Host", "GET / HTTP/1.1\r\n\r\n", .missingHost),
        ("§3.2 two Hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", .repeatedHost),
        ("§3.2 two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", .repeatedHost),
        ("§3.2 Host with a path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", .invalidHost),
        ("§3.2 Host with a space", "GET / HTTP/1.1\r\nHost: x y\r\n\r\n", .invalidHost),
        ("§3.2 Host with user information", "GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", .invalidHost),
        ("§3.2.2 absolute without a host", "GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n", .invalidTarget),
        ("§3.2.2 user information", "GET http://u:p@x/ HTTP/1.1\r\nHost: x\r\n\r\n", .invalidTarget),
        ("§3.2.2 another scheme", "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", .invalidTarget),
        ("§3.2.3 CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", .connectUnsupported),
        ("§3.2.4 asterisk of GET", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", .invalidTarget),
        ("RFC 3986 §2.1 half an escape", "GET /%4 HTTP/1.1\r\nHost: x\r\n\r\n", .invalidEscape),
        ("RFC 3986 §2.1 not hexadecimal", "GET /%4g HTTP/1.1\r\nHost: x\r\n\r\n", .invalidEscape),
        ("an escaped NUL", "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", .invalidEscape),
        ("escapes that are not UTF-8", "GET /%c0%af HTTP/1.1\r\nHost: x\r\n\r\n", .invalidText),
        ("escapes that end within a character", "GET /%e2%82 HTTP/1.1\r\nHost: x\r\n\r\n", .invalidText),
        ("§5.1 whitespace before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", .spaceBeforeColon),
        ("§5.1 a tab before the colon", "GET / HTTP/1.1\r\nHost\t: x\r\n\r\n", .spaceBeforeColon),
        ("§5.1 no colon", "GET / HTTP/1.1\r\nHost: x\r\nabc\r\n\r\n", .invalidFieldName),
        ("§5.1 no name", "GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n", .invalidFieldName),
        ("§5.1 a name that is no token", "GET / HTTP/1.1\r\nHost: x\r\nA(b: c\r\n\r\n", .invalidFieldName),
        ("§5.1 a letter beyond ASCII in a name", "GET / HTTP/1.1\r\nHost: x\r\nÄ: c\r\n\r\n", .invalidFieldName),
        ("§5.2 a folded field", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", .foldedField),
        ("§5.2 a folded field, by a tab", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n", .foldedField),
        ("RFC 9110 §5.5 NUL in a value", "GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", .invalidFieldValue),
        ("RFC 9110 §5.5 a control in a value", "GET / HTTP/1.1\r\nHost: x\r\nA: b\u{1}\r\n\r\n", .invalidFieldValue),
        ("RFC 9110 §5.5 DEL in a value", "GET / HTTP/1.1\r\nHost: x\r\nA: b\u{7f}\r\n\r\n", .invalidFieldValue),
    ]

    @Test("a malformed head is refused for the same reason however it is cut", arguments: Chunking.all)
    func refusals(_ chunking: Chunking) {
        for (goal, text, error) in Self.refused {
            #expect(conversation(text, chunking).seen == [.failed(error)], "\(goal)")
        }
    }

    static let accepted: [(String, String)] = [
        ("§2.2 one empty line before the request", "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("§3.2 an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        ("§3.2 HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"),
        ("§3.2 an IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
        ("§3.2.2 an absolute target", "GET HTTP://x/a HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("§3.2.2 an absolute target without a path", "GET http://x HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("§3.2.2 an absolute target with a query alone", "GET https://x?a HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("§3.2.4 asterisk of OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("RFC 9110 §5.5 obs-text and tabs in a value", "GET / HTTP/1.1\r\nHost: x\r\nA: ä\tb\r\n\r\n"),
        ("RFC 3986 escapes of UTF-8", "GET /%E2%82%AC/%2f HTTP/1.1\r\nHost: x\r\n\r\n"),
    ]

    @Test("an unusual head that the standard allows is taken", arguments: Chunking.all)
    func allowances(_ chunking: Chunking) {
        for (goal, text) in Self.accepted {
            let seen = conversation(text, chunking).seen
            #expect(seen.contains(.end) && !seen.contains { if case .failed = $0 { true } else { false } }, "\(goal): \(seen)")
        }
    }
}
