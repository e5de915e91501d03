// Paths against patterns.
import Base
import HTTP1
import Testing
import TestSupport

@Suite struct PathPatternTests {
    /// The captures, decoded; nil where the path is another.
    static func match(_ path: String, _ pattern: StaticString) throws -> [String]? {
        try withTarget(path) { target, bytes in
            guard let captures = target.match(pattern, in: bytes.span) else { return nil }
            return try (0..<captures.count).map { index in
                var writer = ByteWriter()
                _ = try RequestTarget.decode(captures[index], of: bytes.span, into: &writer)
                return writer.seal().description
            }
        }
    }

    @Test("a literal pattern takes its path alone", arguments: [
        ("/api/task", true), ("/api/task?x=/y", true), ("/api/t%61sk", true), ("http://h/api/task", true),
        ("/api/task/", false), ("/api/tas", false), ("/api/tasks", false), ("/api", false), ("/", false), ("//api/task", false),
        ("/API/task", false), ("/api%2ftask", false), ("/api/task%2f", false), ("/api/task/x", false),
    ])
    func literal(_ path: String, _ wanted: Bool) throws {
        #expect(try Self.match(path, "/api/task") == (wanted ? [] : nil))
    }

    @Test("a place takes one segment that is not empty", arguments: [
        ("/api/task/7/cancel", ["7"]), ("/api/task/a%2Fb/cancel", ["a/b"]), ("/api/task/%7b%7D/cancel", ["{}"]),
        ("/api/task/../cancel", [".."]),
        ("/api/task//cancel", nil), ("/api/task/7/cancel/", nil), ("/api/task/7", nil), ("/api/task/a/b/cancel", nil),
        ("/api/task/7/cancelx", nil),
    ] as [(String, [String]?)])
    func capture(_ path: String, _ wanted: [String]?) throws {
        #expect(try Self.match(path, "/api/task/{id}/cancel") == wanted)
    }

    @Test("captures come in the pattern's order")
    func captures() throws {
        #expect(try Self.match("/a/1/b/2/3/4", "/a/{w}/b/{x}/{y}/{z}") == ["1", "2", "3", "4"])
    }

    @Test("a place for the rest takes slashes, and nothing")
    func rest() throws {
        #expect(try Self.match("/clients/a/b.js", "/clients/{path...}") == ["a/b.js"])
        #expect(try Self.match("/clients/", "/clients/{path...}") == [""])
        #expect(try Self.match("/clients", "/clients/{path...}") == nil)
    }

    @Test("the root, and a target without a path")
    func root() throws {
        #expect(try Self.match("/", "/") == [])
        #expect(try Self.match("http://x", "/") == [])
        #expect(try Self.match("/a", "/") == nil)
        #expect(try Self.match("http://x", "/a") == nil)
    }

    @Test("RFC 3986 §3.3: a path falls apart at its slashes", arguments: [
        ("/", [""]), ("/a", ["a"]), ("/a/", ["a", ""]), ("/a//b%2f", ["a", "", "b%2f"]),
    ])
    func segments(_ path: String, _ wanted: [String]) throws {
        let found = try withTarget(path) { target, bytes in
            var segments = PathSegments(target.path)
            var found: [String] = []
            while let segment = segments.next(in: bytes.span) { found.append(String(decoding: bytes[segment], as: UTF8.self)) }
            return found
        }
        #expect(found == wanted)
    }
}
