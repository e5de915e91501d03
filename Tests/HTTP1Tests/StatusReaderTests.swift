// RFC 9112 §4: the status of a response is found however the response is cut, and what is no response is named as early as it can be.
import TestSupport
import Testing

@testable import HTTP1

@Suite struct StatusReaderTests {
    /// What the reader says in the end, and of how many bytes it says that.
    private func read(_ text: String, _ chunking: Chunking) -> (reading: StatusReader.Reading, pieces: Int) {
        var reader = StatusReader()
        var pieces = 0
        for piece in chunking.split(Array(text.utf8)) {
            pieces += 1
            let reading = reader.read(piece.span)
            if reading != .partial { return (reading, pieces) }
        }
        return (.partial, pieces)
    }

    @Test(
        "§4: the status code is read",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .status(200)), ("HTTP/1.0 503 \r\n\r\n", .status(503)),
            ("HTTP/1.1 204\r\n", .status(204)), ("HTTP/1.1 404\n", .status(404)), ("HTTP/1.9 999 x", .status(999)),
            ("HTTP/1.1 301 Moved\r\nLocation: http://169.254.169.254/\r\n\r\n", .status(301)),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", .status(101)), ("HTTP/1.1 000 \r\n", .status(0)),
            ("", .partial), ("HTTP/1.1 200", .partial), ("HTTP/1.", .partial),
        ] as [(String, StatusReader.Reading)], Chunking.all)
    func codes(_ response: (text: String, reading: StatusReader.Reading), _ chunking: Chunking) {
        #expect(read(response.text, chunking).reading == response.reading)
    }

    @Test(
        "RFC 9110 §15.2: interim responses are passed over",
        arguments: [
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", .status(200)),
            ("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nx:\r\n\r\nHTTP/1.1 102 \r\n\r\nHTTP/1.1 500 no\r\n", .status(500)),
            ("HTTP/1.1 100\n\nHTTP/1.1 201 x", .status(201)), ("HTTP/1.1 100 a\n\nHTTP/1.1 201 x", .status(201)),
            ("HTTP/1.1 100 Continue\r\n\r\nSSH-2.0", .malformed), ("HTTP/1.1 100 Continue\r\nHTTP/1.1 200 OK\r\n", .partial),
            ("HTTP/1.1 100 Continue\r\n\r\n", .partial),
        ] as [(String, StatusReader.Reading)], Chunking.all)
    func interim(_ response: (text: String, reading: StatusReader.Reading), _ chunking: Chunking) {
        #expect(read(response.text, chunking).reading == response.reading)
    }

    @Test(
        "what is not HTTP/1.x is known by its first byte that is wrong",
        arguments: [
            ("SSH-2.0-OpenSSH", 1), ("http/1.1 200 OK", 1), ("HTTP/2 200", 6), ("HTTP/1x1 200", 7), ("HTTP/1.x 200", 8),
            ("HTTP/1.1\t200", 9), ("HTTP/1.1  200", 10), ("HTTP/1.1 2x0 ", 11), ("HTTP/1.1 2000 ", 13), ("HTTP/1.1 200OK", 13),
            ("\r\nHTTP/1.1 200 OK", 1), ("\0\0\0\0", 1), ("HTTP/1.1 -20 ", 10), ("\u{80}", 1),
        ] as [(String, Int)])
    func malformed(_ text: String, _ length: Int) {
        let (reading, pieces) = read(text, .byteByByte)
        #expect(reading == .malformed)
        #expect(pieces == length)
        #expect(read(text, .whole).reading == .malformed)
    }
}
