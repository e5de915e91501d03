// The forms of a target, its escapes, its path against patterns, its query.
import Base
import HTTP1
import Testing
import TestSupport

/// The target of a request for `target`, and the bytes it points into.
func withTarget<Result>(_ target: String, _ body: (RequestTarget, [UInt8]) throws -> Result) throws -> Result {
    try withHead("GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n") { head, bytes in try body(head.target, bytes) }
}

@Suite struct RequestTargetTests {
    static let forms: [(String, RequestTarget.Form, String, String?, String?)] = [
        ("/", .origin, "/", nil, nil),
        ("/a/b?c=d?e", .origin, "/a/b", "c=d?e", nil),
        ("/a?", .origin, "/a", "", nil),
        ("//a/b", .origin, "//a/b", nil, nil),
        ("http://h:1/a?b", .absolute, "/a", "b", "h:1"),
        ("https://h", .absolute, "", nil, "h"),
        ("http://h?b", .absolute, "", "b", "h"),
        ("/?a%zz", .origin, "/", "a%zz", nil),
    ]

    @Test("RFC 9112 §3.2: the forms of a target and its parts", arguments: forms)
    func parts(_ text: String, _ form: RequestTarget.Form, _ path: String, _ query: String?, _ authority: String?) throws {
        try withTarget(text) { target, bytes in
            #expect(target.form == form)
            #expect(String(decoding: bytes[target.path], as: UTF8.self) == path)
            #expect(target.query.map { String(decoding: bytes[$0], as: UTF8.self) } == query)
            #expect(target.authority.map { String(decoding: bytes[$0], as: UTF8.self) } == authority)
        }
    }

    @Test("RFC 3986 §2.1: escapes are decoded, a plus in a path is a plus", arguments: [
        ("/a%20b", "/a b"), ("/%41%2f%2F", "/A//"), ("/a+b", "/a+b"), ("/%E2%82%AC", "/€"), ("/%f0%9f%98%80", "/😀"),
        ("/%2500", "/%00"),
    ])
    func decoded(_ sent: String, _ wanted: String) throws {
        try withTarget(sent) { target, bytes in
            var writer = ByteWriter()
            writer.append("before")
            let range = try RequestTarget.decode(target.path, of: bytes.span, into: &writer)
            let text = writer.seal().description
            #expect(text == "before" + wanted)
            #expect(range == 6..<6 + wanted.utf8.count)
            let isPlain = RequestTarget.isPlain(target.path, of: bytes.span)
            #expect(isPlain == !sent.contains("%"))
        }
    }

    @Test("what cannot be decoded leaves nothing behind", arguments: [
        ("a%", HTTPError.invalidEscape), ("a%4", .invalidEscape), ("a%4x", .invalidEscape), ("a%00", .invalidEscape),
        ("a%%41", .invalidEscape),
        ("a%ff", .invalidText), ("a%ed%a0%80", .invalidText), ("a%c3", .invalidText), ("a%f4%90%80%80", .invalidText),
    ])
    func undecodable(_ sent: String, _ wanted: HTTPError) {
        let bytes = Array(sent.utf8)
        var writer = ByteWriter()
        writer.append("before")
        var error: HTTPError?
        do throws(HTTPError) {
            _ = try RequestTarget.decode(0..<bytes.count, of: bytes.span, into: &writer)
        } catch let thrown {
            error = thrown
        }
        let left = writer.count
        #expect(error == wanted)
        #expect(left == 6)
    }
}
