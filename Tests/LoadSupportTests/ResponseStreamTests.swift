// ResponseStreamTests: pipelined responses, cut anywhere.

import LoadSupport
import TestSupport
import Testing

@Suite struct ResponseStreamTests {
    private func read(_ text: String, _ way: Chunking) -> [String]? {
        var stream = ResponseStream()
        var parser = ResponseParser()
        var seen: [String] = []
        for piece in way.split(Array(text.utf8)) {
            let isSound = stream.receive(piece.span, by: &parser) { status, body in
                seen.append("\(status) \(String(decoding: (0..<body.count).map { body[$0] }, as: UTF8.self))")
            }
            if !isSound { return nil }
        }
        return seen
    }

    @Test("equal heads, other heads, empty bodies and none", arguments: Chunking.all)
    func pipeline(_ way: Chunking) {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        let text = ok + "ab" + ok + "cd" + "HTTP/1.1 404 Not Found\r\nX: y\r\nCONTENT-length:  3\r\nZ: 1\r\n\r\nefg" + ok + "hi"
            + "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" + "HTTP/1.1 204 No Content\r\n\r\n" + ok + "x"
        #expect(read(text, way) == ["200 ab", "200 cd", "404 efg", "200 hi", "200 ", "204 "])
    }

    @Test("a response is handed on with its last byte", arguments: Chunking.all)
    func lastByte(_ way: Chunking) {
        #expect(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", way) == ["200 ab"])
        #expect(read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", way) == ["200 "])
    }

    @Test("what has no stated length or is no HTTP is broken", arguments: [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "SMTP ready\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ], Chunking.all)
    func broken(_ text: String, _ way: Chunking) {
        #expect(read(text, way) == nil)
    }
}
