// The parameters of a query.
import Base
import HTTP1
import Testing
import TestSupport

@Suite struct QueryTests {
    private func parameter(_ name: StaticString, of query: String) throws -> String? {
        try withTarget("/?\(query)") { target, bytes in
            var writer = ByteWriter()
            guard let range = try target.parameter(name, in: bytes.span, into: &writer) else { return nil }
            return String(writer.seal()[range].description)
        }
    }

    @Test("the first parameter of a name is decoded, escapes and plus", arguments: [
        ("token=abc", "abc"), ("a=1&token=x&token=y", "x"), ("token=a+b%2B%3d", "a b+="), ("token=a=b", "a=b"),
        ("token", ""), ("token=", ""),
        ("t%6fken=1", "1"), ("tokens=1&TOKEN=2", nil), ("&&token=1&", "1"), ("", nil), ("=token", nil),
        ("a[b][c]=1", nil), ("token=%E2%82%AC", "€"),
    ] as [(String, String?)])
    func first(_ query: String, _ wanted: String?) throws {
        #expect(try parameter("token", of: query) == wanted)
    }

    @Test("a malformed value is refused", arguments: [
        ("token=%", HTTPError.invalidEscape), ("token=%0g", .invalidEscape), ("token=%00", .invalidEscape), ("token=%ff", .invalidText),
        ("tok%=1&token=1", .invalidEscape),
    ])
    func malformed(_ query: String, _ error: HTTPError) {
        #expect(throws: error) { try parameter("token", of: query) }
    }

    @Test("a query without the parameter is none")
    func noQuery() throws {
        let found = try withTarget("/a") { target, bytes in try target.parameter("a", in: bytes.span) }
        #expect(found == nil)
    }

    @Test("as many parameters as the limit are looked at, one more is refused")
    func limit() throws {
        let many = String(repeating: "a&", count: QueryParameters.max - 1)
        #expect(try parameter("token", of: many + "token=1") == "1")
        #expect(throws: HTTPError.tooManyParameters) { try parameter("token", of: many + "a&token=1") }
    }

    @Test("all parameters come in their order")
    func all() throws {
        let found = try withTarget("/?a=1&b&&c=%20") { target, bytes in
            var parameters = QueryParameters(target.query ?? 0..<0)
            var found: [String] = []
            while let parameter = try parameters.next(in: bytes.span) {
                let (name, value) = (bytes[parameter.name], bytes[parameter.value])
                found.append(String(decoding: name, as: UTF8.self) + ":" + String(decoding: value, as: UTF8.self))
            }
            return found
        }
        #expect(found == ["a:1", "b:", "c:%20"])
    }
}
