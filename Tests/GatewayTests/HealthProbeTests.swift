// Health probes, from the errand to the verdict, on a server without a network: what is asked, which answers are health, and that nothing
// stays behind, whoever ends it.
import Base
import Domain
import Glibc
import TestSupport
import Testing

@testable import Gateway

/// A server with one deployment that starts: what the first probe finds is what becomes of it.
private final class Ward {
    let outbox = Outbox()
    let server: Server
    private(set) var now = FakeNetwork.start
    private var slots: UInt32 = 0
    static let name = SharedBytes("dep-1")

    init(host: String? = "10.0.0.7", path: String = "/health", _ adjust: (inout Limits) -> Void = { _ in }) throws {
        var limits = Limits()
        // Nobody is asked twice.
        limits.startProbeInterval = .seconds(3_600)
        adjust(&limits)
        let log = Log(level: .debug, format: .json) { _ in }
        server = Server(settings: Settings(limits: limits), outbox: outbox, log: log, random: Randomness(seed: 1))
        observe()
        let form = Deployment.Form(
            modelID: SharedBytes("m"), name: SharedBytes("m"), host: host.map { SharedBytes($0) }, port: 8_001,
            healthPath: SharedBytes(path), startTimeout: .seconds(100))
        _ = try server.context.monitor.register(form, id: Ward.name, starts: true, by: nil, at: server.context.moment(now))
        settle()
    }

    private func observe() {
        server.observe(WallTime(milliseconds: FakeNetwork.wallAtStart + (now - FakeNetwork.start).milliseconds), at: now)
    }

    /// Has the server perform what its monitor decided.
    func settle() { server.roomCame(at: now) }

    func errands() -> [Errand] {
        var errands: [Errand] = []
        server.takeErrands(into: &errands)
        return errands
    }

    /// The probe that the server wants sent.
    func probe() throws -> HealthProbe {
        let errands = errands()
        guard errands.count == 1, case .connect(let probe) = errands[0] else {
            throw MalformedReply("\(errands.count) errands, or another one")
        }
        return probe
    }

    func connect(_ probe: HealthProbe) -> ConnectionID {
        let id = ConnectionID(slot: slots, generation: 1)
        slots += 1
        outbox.open(id)
        server.connected(id, for: probe, at: now)
        return id
    }

    func connect() throws -> ConnectionID { connect(try probe()) }

    /// What the server wrote.
    func sent(_ id: ConnectionID) -> String {
        var slices = unsafe [iovec](repeating: iovec(), count: 16)
        var bytes: [UInt8] = []
        unsafe slices.withUnsafeMutableBufferPointer { slices in
            let count = unsafe outbox.gather(id, into: slices, bytesMax: .max)
            for index in 0..<count {
                let slice = unsafe slices[index]
                unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(start: slice.iov_base, count: slice.iov_len))
            }
        }
        outbox.consume(id, bytes.count)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The deployment answers, until the server wants no more of it, as the reactor does it.
    func answer(_ id: ConnectionID, _ text: String, _ chunking: Chunking = .whole) {
        for var piece in chunking.split(Array(text.utf8)) {
            guard outbox.marks(id).isDisjoint(with: [.closeAfterFlush, .abort]) else { return }
            var span = piece.mutableSpan
            server.received(id, &span, at: now)
        }
    }

    /// The connection ends.
    func end(_ id: ConnectionID, _ cause: CloseCause) {
        outbox.close(id)
        server.closed(id, cause, at: now)
    }

    func wait(_ span: TimeSpan) {
        let target = now + span
        while let deadline = server.nextDeadline, deadline <= target {
            now = max(now, deadline)
            observe()
            server.timersDue(at: now)
        }
        now = target
        observe()
    }

    /// What the server made of it: `healthy`, or why not; the end of the start time tells.
    func verdict() -> String {
        guard deployment?.status == .deploying else { return deployment?.health == .healthy ? "healthy" : "neither" }
        wait(.seconds(100))
        return deployment?.status == .failed ? deployment?.note.description ?? "" : "neither"
    }

    var deployment: Deployment? { server.context.monitor.deployment(Ward.name) }

    /// Whether nothing of a probe is left.
    var isQuiet: Bool { server.context.allConversations.isEmpty && server.context.nextDeadline == nil }
}

@Suite struct HealthProbeTests {
    @Test(
        "a probe is one GET",
        arguments: [
            ("10.0.0.7", "/health", "10.0.0.7:8001"), ("gpu-7.example", "/v1/models?x=%20", "gpu-7.example:8001"),
            ("::1", "/", "[::1]:8001"), ("[fd00::7]", "/health", "[fd00::7]:8001"), (nil, "/health", "127.0.0.1:8001"),
        ] as [(String?, String, String)])
    func request(_ host: String?, _ path: String, _ authority: String) throws {
        let ward = try Ward(host: host, path: path)
        let id = try ward.connect()
        #expect(
            ward.sent(id)
                == "GET \(path) HTTP/1.1\r\nHost: \(authority)\r\nUser-Agent: signalbox\r\nAccept: */*\r\nConnection: close\r\n\r\n")
        #expect(ward.errands().isEmpty, "it is sent once")
    }

    @Test(
        "2xx is health, and nothing else: no redirect is followed",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "healthy"), ("HTTP/1.0 204 \r\n\r\n", "healthy"),
            ("HTTP/1.1 299 x\r\n", "healthy"), ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", "healthy"),
            ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "answered 503"), ("HTTP/1.1 404\r\n", "answered 404"),
            ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "answered 302"), ("HTTP/1.1 199 \r\n", "no answer within 5 s"),
            ("HTTP/1.1 300 \r\n", "answered 300"), ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "answered 101"),
            ("SSH-2.0-OpenSSH_9.6\r\n", "answer is not HTTP"), ("HTTP/2 200\r\n", "answer is not HTTP"),
            ("HTTP/1.1 2OO OK\r\n", "answer is not HTTP"), ("", "no answer within 5 s"), ("HTTP/1.1 200", "no answer within 5 s"),
        ], Chunking.all)
    func verdicts(_ answer: (text: String, verdict: String), _ chunking: Chunking) throws {
        let ward = try Ward()
        let id = try ward.connect()
        _ = ward.sent(id)
        ward.answer(id, answer.text, chunking)
        let isAnswered = answer.verdict == "healthy" || answer.verdict.hasPrefix("answered")
        #expect(ward.outbox.marks(id).contains(.closeAfterFlush) == isAnswered)
        #expect(ward.outbox.marks(id).contains(.abort) == (answer.verdict == "answer is not HTTP"))
        #expect(ward.verdict() == answer.verdict)
        // The end of its connection is news to nobody.
        ward.end(id, .requested)
        #expect(ward.isQuiet)
        #expect(ward.verdict() == (answer.verdict == "healthy" ? "healthy" : "neither"))
    }

    @Test(
        "a connection that ends before its answer is no health, and the reason tells how",
        arguments: [
            (CloseCause.broken(errno: ECONNREFUSED), "connection refused"), (.broken(errno: EHOSTUNREACH), "host unreachable"),
            (.peerEnded, "connection closed by the other end"), (.requested, "connection closed"),
        ], ["", "HTTP/1.1 20"])
    func closed(_ end: (cause: CloseCause, verdict: String), _ answer: String) throws {
        let ward = try Ward()
        let id = try ward.connect()
        ward.answer(id, answer)
        ward.end(id, end.cause)
        #expect(ward.isQuiet)
        #expect(ward.verdict() == end.verdict)
    }

    @Test("a probe has its time, the way there included, and not more")
    func timeout() throws {
        let ward = try Ward { $0.probeTimeout = .milliseconds(2_500) }
        let id = try ward.connect()
        ward.wait(.milliseconds(2_499))
        #expect(!ward.outbox.marks(id).contains(.abort) && !ward.isQuiet)
        ward.wait(.milliseconds(2))
        #expect(ward.outbox.marks(id).contains(.abort))
        #expect(ward.isQuiet)
        #expect(ward.verdict() == "no answer within 2500 ms")
    }

    @Test("interim answers without end are not read for ever")
    func flood() throws {
        let ward = try Ward { $0.probeBytesMax = 1_000 }
        let id = try ward.connect()
        for _ in 0..<39 { ward.answer(id, "HTTP/1.1 100 Continue\r\n\r\n") }
        #expect(ward.outbox.marks(id).isDisjoint(with: [.closeAfterFlush, .abort]))
        ward.answer(id, "HTTP/1.1 100 Continue\r\n\r\n")
        #expect(ward.outbox.marks(id).contains(.abort))
        #expect(ward.verdict() == "answer is not HTTP")
    }

    @Test(
        "a host or a path that would write more than one request is not sent",
        arguments: [
            ("h\r\nX: y", "/"), ("h", "/ HTTP/1.1\r\nX: y"), ("h h", "/"), ("h", "/a b"), ("h", "/\0"), ("h\u{7f}", "/"), ("h", "/\u{7f}"),
            ("h\n", "/"), ("h", "/\t"), ("", "/"), ("h", ""),
        ])
    func injection(_ host: String, _ path: String) throws {
        let ward = try Ward()
        var probe = try ward.probe()
        probe.host = SharedBytes(host)
        probe.path = SharedBytes(path)
        let id = ward.connect(probe)
        #expect(ward.outbox.queuedBytes(id) == 0)
        #expect(ward.outbox.marks(id).contains(.abort))
        #expect(ward.isQuiet)
        #expect(ward.verdict() == "its host or its path cannot stand in a request")
    }

    @Test("a probe that gets no connection tells why")
    func notConnected() throws {
        let ward = try Ward()
        ward.server.notConnected(try ward.probe(), reason: SharedBytes("host unknown"), at: ward.now)
        #expect(ward.verdict() == "host unknown")
    }

    @Test("a server that stops lets its probes go at once, and begins no others")
    func stop() throws {
        let ward = try Ward()
        let probe = try ward.probe()
        let id = ward.connect(probe)
        ward.server.context.errands = [.sample, .connect(probe)]
        ward.server.stop(at: ward.now)
        #expect(ward.outbox.marks(id).contains(.abort))
        #expect(ward.isQuiet)
        #expect(ward.errands().isEmpty)
        #expect(ward.deployment?.status == .deploying, "it was not the deployment's fault")
        // What was on its way when the server stopped.
        let late = ward.connect(probe)
        #expect(ward.outbox.marks(late).contains(.abort) && ward.outbox.queuedBytes(late) == 0)
        ward.server.notConnected(probe, reason: SharedBytes("x"), at: ward.now)
        ward.end(id, .requested)
        ward.end(late, .requested)
        #expect(ward.isQuiet)
        ward.server.timersDue(at: ward.now)
        #expect(ward.server.isOver)
    }

    @Test("connections of our own are not counted among those that were accepted")
    func metrics() throws {
        let ward = try Ward()
        let id = try ward.connect()
        ward.end(id, .peerEnded)
        #expect(ward.server.context.metrics.connectionsOpened == 0)
        #expect(ward.server.context.metrics.connectionsClosed == 0)
    }
}
