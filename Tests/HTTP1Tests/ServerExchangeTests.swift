// The conversation: order of events, persistence, pipelining, expectations, early answers, upgrade, phases.
import HTTP1
import Testing
import TestSupport

@Suite struct ServerExchangeTests {
    static let get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

    @Test("the state of a connection is at most 64 bytes")
    func size() {
        #expect(MemoryLayout<ServerExchange>.size <= 64)
    }

    @Test("pipelined requests come one after the other", arguments: Chunking.all)
    func pipelined(_ chunking: Chunking) {
        let text = Self.get + "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi" + Self.get
        #expect(conversation(text, chunking).seen == [
            .head("GET /a 1.1 | Host=x"), .end, .answered(.nextRequest),
            .head("POST /b 1.1 | Host=x | Content-Length=2"), .body("hi"), .end, .answered(.nextRequest),
            .head("GET /a 1.1 | Host=x"), .end, .answered(.nextRequest),
        ])
    }

    @Test("§9.3.2: bytes behind a request wait until it is answered", arguments: Chunking.all)
    func paused(_ chunking: Chunking) {
        let ended = conversation(Self.get + Self.get, chunking, answering: .never)
        #expect(ended.seen == [.head("GET /a 1.1 | Host=x"), .end])
        #expect(ended.rest == Array(Self.get.utf8))
        #expect(ended.exchange.phase == .awaitingResponse)
    }

    static let persistence: [(String, String, String, ServerExchange.Next)] = [
        ("1.1 persists", "1.1", "", .nextRequest),
        ("1.1 with close", "1.1", "Connection: close\r\n", .close),
        ("close in other letters", "1.1", "Connection: CLOSE\r\n", .close),
        ("close in a list", "1.1", "Connection: upgrade , close\r\n", .close),
        ("close in a second field", "1.1", "Connection: a\r\nConnection: close\r\n", .close),
        ("a word with close in it", "1.1", "Connection: enclose\r\n", .nextRequest),
        ("close wins over keep-alive", "1.1", "Connection: keep-alive, close\r\n", .close),
        ("1.0 closes", "1.0", "", .close),
        ("1.0 with keep-alive", "1.0", "Connection: Keep-Alive\r\n", .nextRequest),
        ("1.0 with both", "1.0", "Connection: keep-alive, close\r\n", .close),
    ]

    @Test("§9.3: which connections persist", arguments: Chunking.all)
    func persists(_ chunking: Chunking) {
        for (goal, version, fields, next) in Self.persistence {
            let ended = conversation("GET / HTTP/\(version)\r\nHost: x\r\n\(fields)\r\n" + Self.get, chunking)
            #expect(ended.seen[2] == .answered(next), "\(goal)")
            // §9.6: nothing behind the last request is processed.
            #expect(ended.seen.count == (next == .close ? 3 : 6), "\(goal)")
            #expect(ended.rest.isEmpty, "\(goal)")
        }
    }

    @Test("the caller may close where the client would go on")
    func lowered() throws {
        var exchange = ServerExchange()
        try read(Self.get, &exchange, until: .end)
        var shape = exchange.shape
        shape.keepsAlive = false
        #expect(exchange.responded(shape) == .close)
        #expect(exchange.phase == .closed)
    }

    @Test("an error is thrown once; then the answer to it is owed, and all else is passed over")
    func failed() throws {
        var exchange = ServerExchange()
        var head = RequestHead()
        let bytes = Array("HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n".utf8)
        var position = 0
        var error: HTTPError?
        do throws(HTTPError) {
            _ = try exchange.next(bytes.span, &position, head: &head, limits: HTTPLimits())
        } catch let thrown {
            error = thrown
        }
        #expect(error == .missingHost)
        #expect(exchange.owesResponse)
        #expect(exchange.phase == .awaitingResponse)
        #expect(exchange.shape == ResponseShape(version: .http11, keepsAlive: false, isHead: true))
        #expect(exchange.responded(exchange.shape) == .close)
        #expect(!exchange.owesResponse)
        let event = try exchange.next(bytes.span, &position, head: &head, limits: HTTPLimits())
        #expect(event == .closed)
        #expect(position == bytes.count)
    }

    @Test("RFC 9110 §10.1.1: 100 is asked for until it was sent or content came")
    func expectation() throws {
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n"
        var exchange = ServerExchange()
        try read(head, &exchange, until: .head)
        #expect(exchange.expectsContinue)
        // An answer instead of 100 ends the connection: whether the content still comes is not known.
        #expect(!exchange.shape.keepsAlive)
        exchange.continued()
        #expect(!exchange.expectsContinue)
        #expect(exchange.shape.keepsAlive)

        exchange = ServerExchange()
        try read(head + "hi", &exchange, until: .body(69..<71))
        #expect(!exchange.expectsContinue)
        #expect(exchange.shape.keepsAlive)

        exchange = ServerExchange()
        try read(head, &exchange, until: .head)
        #expect(exchange.responded(exchange.shape) == .close)
    }

    @Test("RFC 9110 §10.1.1: nobody waits for 100 without content, or in HTTP/1.0", arguments: [
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: unknown\r\n\r\n",
    ])
    func noExpectation(_ text: String) throws {
        var exchange = ServerExchange()
        try read(text, &exchange, until: .head)
        #expect(!exchange.expectsContinue)
    }

    @Test("RFC 9110 §15.5.18: another expectation is 417", arguments: Chunking.all)
    func unknownExpectation(_ chunking: Chunking) {
        for value in ["unknown", "100-continue, unknown", "100-continued"] {
            let text = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: \(value)\r\n\r\nhi"
            #expect(conversation(text, chunking).seen == [.failed(.unknownExpectation)])
        }
    }

    @Test("an early answer: the rest of a short content is dropped, and the next request comes", arguments: Chunking.all)
    func drained(_ chunking: Chunking) {
        let text = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + Self.get
        #expect(conversation(text, chunking, answering: .atHead).seen == [
            .head("POST / 1.1 | Host=x | Content-Length=5"), .answered(.nextRequest),
            .head("GET /a 1.1 | Host=x"), .answered(.nextRequest),
        ])
    }

    @Test("an early answer: of a long or chunked content nothing more is read", arguments: Chunking.all)
    func notDrained(_ chunking: Chunking) {
        let limits = HTTPLimits(drainBytesMax: 4)
        for fields in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
            let ended = conversation("POST / HTTP/1.1\r\nHost: x\r\n\(fields)\r\n\r\nhello", chunking, answering: .atHead, limits: limits)
            #expect(ended.seen.last == .answered(.close))
            #expect(ended.rest.isEmpty)
            #expect(ended.exchange.phase == .closed)
        }
    }

    @Test("an early answer: the phase stays in the content until it was dropped")
    func drainingPhase() throws {
        var exchange = ServerExchange()
        try read("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", &exchange, until: .head)
        #expect(exchange.responded(exchange.shape) == .nextRequest)
        #expect(exchange.phase == .readingBody)
        #expect(!exchange.owesResponse)
        try read("hello", &exchange, until: .needMore)
        #expect(exchange.phase == .idle)
    }

    @Test("the phases that clocks run by")
    func phases() throws {
        var exchange = ServerExchange()
        #expect(exchange.phase == .idle)
        try read("\r\n", &exchange, until: .needMore)
        #expect(exchange.phase == .idle)
        try read("G", &exchange, until: .needMore)
        #expect(exchange.phase == .readingHead)
        try read("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", &exchange, until: .head)
        #expect(exchange.phase == .readingBody)
        try read("x", &exchange, until: .body(0..<1))
        try read("", &exchange, until: .end)
        #expect(exchange.phase == .awaitingResponse)
        #expect(exchange.responded(exchange.shape) == .nextRequest)
        #expect(exchange.phase == .idle)
    }

    @Test("RFC 9110 §15.5.9: time that ran out is answered like an error, unless the answer was given")
    func stopped() throws {
        var exchange = ServerExchange()
        try read("GET", &exchange, until: .needMore)
        exchange.stopReading()
        #expect(exchange.owesResponse)
        #expect(exchange.responded(exchange.shape) == .close)

        exchange = ServerExchange()
        try read("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", &exchange, until: .head)
        #expect(exchange.responded(exchange.shape) == .nextRequest)
        exchange.stopReading()
        #expect(!exchange.owesResponse)
        #expect(exchange.phase == .closed)
    }

    @Test("RFC 9110 §7.8: behind 101 the bytes are the new protocol's", arguments: Chunking.all)
    func upgraded(_ chunking: Chunking) {
        let head = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
        let ended = conversation(head + "\u{1}\r\n\r\nGET", chunking, answering: .upgrading)
        #expect(ended.seen.dropFirst() == [.end, .upgraded("\u{1}\r\n\r\nGET")])
        #expect(ended.exchange.phase == .upgraded)
    }

    @Test("RFC 9110 §7.8: an offer that cannot be followed is none", arguments: [
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ])
    func noUpgrade(_ text: String) throws {
        var exchange = ServerExchange()
        try read(text, &exchange, until: .head)
        #expect(!exchange.offersUpgrade)
    }

    @Test("an offer that is not followed is answered, and forgotten with its request")
    func ignoredUpgrade() throws {
        var exchange = ServerExchange()
        let text = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        try read(text, &exchange, until: .end)
        #expect(exchange.offersUpgrade)
        #expect(exchange.responded(exchange.shape) == .nextRequest)
        #expect(!exchange.offersUpgrade)
    }

    /// Feeds `text` until `event`, which must come.
    private func read(_ text: String, _ exchange: inout ServerExchange, until event: ServerExchange.Event) throws {
        var head = RequestHead()
        let bytes = Array(text.utf8)
        var position = 0
        var seen: [ServerExchange.Event] = []
        repeat {
            seen.append(try exchange.next(bytes.span, &position, head: &head, limits: HTTPLimits()))
        } while seen.last != event && seen.last != .needMore && seen.last != .paused
        #expect(seen.last == event)
    }
}
