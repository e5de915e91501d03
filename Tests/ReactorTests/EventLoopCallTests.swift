// Connections that the loop makes over TLS, to itself or to somebody who says little: whose certificate is believed, what is said of one
// that is not, and that nobody else waits for a handshake.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

struct EventLoopCallTests {
    private static let made = Certificates.made

    private func trust(_ authority: String = "ours", certificate: String? = nil) throws -> TLSTrust {
        let made = EventLoopCallTests.made
        let own = certificate.map { (file: made.path("\($0).pem"), key: made.path("\($0).key")) }
        return try TLSTrust(authorities: made.path("\(authority).pem"), certificate: own)
    }

    /// Calls the rig's own server, and turns until the end is told.
    private func end(_ rig: Rig, as host: String, _ trust: TLSTrust) throws -> (refusal: TLSRefusal?, notes: [RecordingHost.Note]) {
        let id = try rig.loop.connect(to: rig.address, as: host, trust)
        rig.write(pattern(100), to: id)
        var refusal: TLSRefusal?
        rig.host.onClosed = { other in if other == id { refusal = rig.loop.refusal(of: id) } }
        try rig.turn(until: { !rig.host.life(id).isEmpty })
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.outbox.queuedBytes == 0 && rig.host.input.isEmpty, "nothing is told to whom is not believed")
        return (refusal, rig.host.life(id))
    }

    @Test(
        "what is written before hands are shaken goes out once they are, and answers come back, for each name of the certificate",
        arguments: ["localhost", "127.0.0.1", "::1", "rack7.fleet.example"])
    func talks(_ host: String) throws {
        let rig = try Rig.secured("named")
        let id = try rig.loop.connect(to: rig.address, as: host, trust())
        rig.host.onReceived = { other, bytes in if other != id { rig.write(bytes, to: other) } }
        rig.write(pattern(100), to: id)
        rig.outbox.append(SharedBytes(pattern(200_000, 1)), to: id)
        try rig.turn(until: { rig.host.input[id]?.count == 200_100 })
        #expect(rig.host.input[id] == pattern(100) + pattern(200_000, 1))
        #expect(!rig.host.notes.contains(.opened(id)), "who asks for a connection has its name already")
        rig.outbox.closeAfterFlush(id)
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.life(id) == [.requested(id)])
    }

    @Test(
        "a certificate that is not believed ends it before a byte is told, and it is said why",
        arguments: [
            ("named", "ours", "elsewhere.example", TLSRefusal.wrongName), ("named", "ours", "127.0.0.2", .wrongName),
            ("named", "ours", "a.b.fleet.example", .wrongName), ("named", "theirs", "localhost", .unknownAuthority),
            ("nameless", "ours", "localhost", .unknownAuthority), ("late", "ours", "localhost", .expired),
        ])
    func refused(_ certificate: String, _ authority: String, _ host: String, _ expected: TLSRefusal) throws {
        let rig = try Rig.secured(certificate)
        let (refusal, notes) = try end(rig, as: host, trust(authority))
        #expect(refusal == expected)
        guard case .broken(_, EPROTO) = try #require(notes.first) else { return #expect(notes == []) }
        #expect(notes.count == 1)
    }

    @Test("the system's authorities believe nothing of ours")
    func system() throws {
        let refusal = try end(Rig.secured("named"), as: "localhost", TLSTrust()).refusal
        #expect(refusal == .unknownAuthority)
    }

    @Test("who answers in plain text is said not to speak TLS")
    func plainText() throws {
        let rig = try Rig()
        rig.host.onReceived = { id, _ in
            rig.host.input = [:]
            rig.write(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), to: id)
            rig.outbox.closeAfterFlush(id)
        }
        #expect(try end(rig, as: "localhost", trust()).refusal == .plainText)
    }

    @Test("a certificate of our own is shown, and a server that does not know its authority says so")
    func ownCertificate() throws {
        let rig = try Rig.secured("named", clients: "ours")
        var shown: SharedBytes?
        rig.host.onOpened = { shown = rig.loop.certificate(of: $0)?.name }
        let id = try rig.loop.connect(to: rig.address, as: "localhost", trust(certificate: "worker-7"))
        rig.write([1], to: id)
        try rig.turn(until: { rig.host.input.count == 1 })
        #expect(shown == SharedBytes("worker-7"))
        rig.outbox.abort(id)
        try rig.turn(until: { rig.loop.connectionCount == 0 })

        let other = try Rig.secured("named", clients: "ours")
        let stranger = try other.loop.connect(to: other.address, as: "localhost", trust(certificate: "stranger"))
        var refusal: TLSRefusal?
        other.host.onClosed = { id in if id == stranger { refusal = other.loop.refusal(of: id) } }
        try other.turn(until: { !other.host.life(stranger).isEmpty })
        #expect(refusal == .words("tlsv1 alert unknown ca"))
    }

    @Test("one that says nothing is waited for as long as a handshake may take, and holds nobody up", arguments: [0, 100])
    func silent(_ bytes: Int) throws {
        let rig = try Rig { $0.handshakeTimeout = .milliseconds(50) }
        rig.echo()
        let listener = try Deaf(backlog: 8)
        let id = try rig.loop.connect(to: listener.address, as: "localhost", trust())
        rig.write(pattern(bytes), to: id)
        let peer = try Peer(rig.address)
        peer.send([7])
        try rig.turn(until: { rig.host.notes.contains { if case .received(_, 1) = $0 { true } else { false } } })
        try rig.turn(until: { !rig.host.life(id).isEmpty })
        #expect(rig.host.life(id) == [.broken(id, ETIMEDOUT)] && rig.loop.refusal(of: id) == nil)
        #expect(rig.outbox.queuedBytes == 0)
    }

    @Test("within the handshake the host may end it: at once, unless something waits")
    func ended() throws {
        let rig = try Rig()
        let listener = try Deaf(backlog: 8)
        for act in [{ (id: ConnectionID) in rig.outbox.abort(id) }, { rig.outbox.closeAfterFlush($0) }] {
            let id = try rig.loop.connect(to: listener.address, as: "localhost", trust())
            try rig.turn()
            act(id)
            try rig.turn(until: { rig.loop.connectionCount == 0 })
            #expect(rig.host.life(id) == [.requested(id)])
        }
        let id = try rig.loop.connect(to: listener.address, as: "localhost", trust())
        rig.write(pattern(10), to: id)
        rig.outbox.closeAfterFlush(id)
        try rig.turn()
        #expect(rig.host.life(id) == [], "its words may still find their way")
        rig.loop.stop()
        try rig.loop.run(rig.host)
        #expect(rig.host.life(id) == [.requested(id)] && rig.loop.connectionCount == 0)
    }

    @Test("last words that wait for the handshake go out behind it")
    func lastWords() throws {
        let rig = try Rig.secured("named")
        let id = try rig.loop.connect(to: rig.address, as: "localhost", trust())
        rig.write(pattern(100), to: id)
        rig.outbox.closeAfterFlush(id)
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.input.values.first == pattern(100) && rig.host.life(id) == [.requested(id)])
    }

    @Test("a call that nobody takes, or that is cut within the handshake, is told as any")
    func cut() throws {
        let rig = try Rig()
        let listener = try Deaf(backlog: 8)
        let id = try rig.loop.connect(to: listener.address, as: "localhost", trust())
        try rig.turn()
        try listener.cut()
        try rig.turn(until: { !rig.host.life(id).isEmpty })
        #expect(rig.host.life(id) == [.broken(id, ECONNRESET)])
        let address = listener.address
        listener.close()
        let other = try rig.loop.connect(to: address, as: "localhost", trust())
        try rig.turn(until: { !rig.host.life(other).isEmpty })
        #expect(rig.host.life(other) == [.broken(other, ECONNREFUSED)])
        #expect(rig.loop.refusal(of: other) == nil)
    }

    @Test("many at once, each with its own words, and a server that gives up its handshakes gives up none of ours")
    func many() throws {
        let rig = try Rig.secured("named") { $0.handshakeSlice = .zero }
        rig.host.onReceived = { id, bytes in if rig.host.peers[id] != nil { rig.write(bytes, to: id) } }
        let trust = try trust()
        let ids = try (0..<50).map { index in
            let id = try rig.loop.connect(to: rig.address, as: "localhost", trust)
            rig.write(pattern(1_000, index), to: id)
            return id
        }
        try rig.turn(until: { ids.allSatisfy { rig.host.input[$0]?.count == 1_000 } })
        for (index, id) in ids.enumerated() { #expect(rig.host.input[id] == pattern(1_000, index)) }
        let waiting = try rig.loop.connect(to: rig.address, as: "localhost", trust)
        rig.loop.stopAccepting()
        #expect(rig.loop.handshakesOpen == 0 && rig.host.life(waiting) == [])
        try rig.turn(until: { !rig.host.life(waiting).isEmpty })
    }

    @Test("files that cannot be used are named")
    func files() {
        func sentence(_ authorities: String?, _ own: (String, String)? = nil) -> String? {
            let made = EventLoopCallTests.made
            do throws(TLSMistake) {
                _ = try TLSTrust(
                    authorities: authorities.map(made.path), certificate: own.map { (file: made.path($0.0), key: made.path($0.1)) })
            } catch { return error.sentence }
            return nil
        }
        let folder = EventLoopCallTests.made.folder
        #expect(sentence("nobody.pem") == "cannot read \(folder)/nobody.pem: No such file or directory")
        #expect(sentence("garbage.pem")?.hasPrefix("cannot use the certificates in \(folder)/garbage.pem") == true)
        #expect(sentence("pipe.pem") == "cannot read \(folder)/pipe.pem: it is no ordinary file")
        #expect(sentence("ours.pem", ("worker-7.pem", "locked.key"))?.hasPrefix("cannot use the private key") == true)
        #expect(sentence("ours.pem", ("worker-7.pem", "worker-7.key")) == nil)
    }
}
