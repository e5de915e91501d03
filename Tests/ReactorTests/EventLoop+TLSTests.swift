// TLS on the loop: handshakes of which the host hears nothing until they are done, bytes through the session whichever way they come in
// pieces, and ends that are said.
import Base
import CLinux
import COpenSSL
import Glibc
import Testing

@testable import Reactor

struct EventLoopTLSTests {
    // MARK: Handshakes

    @Test("the host hears of a connection once hands are shaken, and then its bytes", arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func echo(_ version: Int32) throws {
        let rig = try Rig.secured()
        rig.echo()
        let peer = try SecurePeer(rig.address, version: version)
        try rig.turn(until: { rig.loop.connectionCount == 1 })
        #expect(rig.host.notes == [])
        try rig.shakeHands(peer) { rig.loop.lastTurn.handshakes == 1 }
        let id = try #require(rig.host.peers.keys.first)
        #expect(rig.host.notes == [.opened(id)] && rig.host.peers[id]?.isLoopback == true)
        for size in [1, 100, 16_384, 100_000] {
            peer.received = []
            peer.seal(pattern(size))
            try rig.exchange(peer, until: size)
            #expect(peer.received == pattern(size))
        }
        #expect(rig.totals.figures.interestChanges == 0)
    }

    @Test("versions before 1.2 are refused, and told so", arguments: [TLS1_VERSION, TLS1_1_VERSION])
    func oldVersions(_ version: Int32) throws {
        let rig = try Rig.secured()
        let peer = try SecurePeer(rig.address, version: version)
        peer.shakeHands()
        try expectRefusal(rig, peer, alert: 70)
    }

    @Test("a handshake may come byte by byte, and its last byte with the first ones of a request")
    func byteByByte() throws {
        let rig = try Rig.secured()
        let peer = try SecurePeer(rig.address)
        peer.shakeHands()
        while !peer.unsent.isEmpty {
            #expect(peer.isOpen == false)
            peer.push(1)
            try rig.turn(until: { rig.last.events > 0 })
        }
        try rig.turn(until: {
            peer.pull()
            return peer.isOpen
        })
        peer.seal(pattern(40))
        #expect(rig.host.notes == [])
        peer.push()
        try rig.turn(until: { !rig.host.input.isEmpty })
        #expect(rig.host.input.values.first == pattern(40))
    }

    @Test("garbage gets an alert, and the host hears nothing")
    func garbage() throws {
        let rig = try Rig.secured()
        let peer = try SecurePeer(rig.address)
        peer.unsent = [0x16, 3, 1, 0, 4] + [9, 9, 9, 9]
        try expectRefusal(rig, peer, alert: nil)
        let other = try SecurePeer(rig.address)
        other.unsent = pattern(2_000)
        try expectRefusal(rig, other, alert: nil)
    }

    /// What refuses says so, ends, and is forgotten.
    private func expectRefusal(_ rig: Rig, _ peer: SecurePeer, alert: UInt8?, _ place: SourceLocation = #_sourceLocation) throws {
        let before = rig.totals.figures.handshakesFailed
        peer.push()
        try rig.turn(until: { rig.totals.figures.handshakesFailed == before + 1 }, place)
        let (bytes, last) = peer.peer.awaitEnd()
        #expect(last == .bytes([]), sourceLocation: place)
        if let alert { #expect(bytes.count == 7 && bytes[0] == 21 && bytes[6] == alert, sourceLocation: place) }
        peer.peer.close()
        try rig.turn(until: { rig.loop.connectionCount == 0 }, place)
        #expect(rig.host.notes == [] && rig.loop.handshakesOpen == 0, sourceLocation: place)
    }

    @Test("who speaks plain HTTP is answered in plain text")
    func plainText() throws {
        let rig = try Rig.secured { $0.answerToPlainText = Array("400, as it were".utf8) }
        let peer = try Peer(rig.address)
        peer.send(Array("GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n".utf8))
        try rig.turn(until: { rig.totals.figures.handshakesFailed == 1 })
        #expect(peer.awaitEnd().bytes == Array("400, as it were".utf8))
        peer.close()
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.notes == [])
    }

    @Test("a handshake that stalls is given up, wherever it stands", arguments: [0, 1, 100, Int.max])
    func stalled(_ bytes: Int) throws {
        let rig = try Rig.secured { $0.handshakeTimeout = .milliseconds(20) }
        let peer = try SecurePeer(rig.address, version: TLS1_3_VERSION)
        peer.shakeHands()
        peer.push(bytes)
        try rig.turn(until: { rig.loop.connectionCount == 1 })
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.notes == [.turnedAway(.handshakeTime)])
        #expect(rig.totals.figures.handshakesFailed == 1 && rig.loop.handshakesOpen == 0)
        #expect(rig.loop.sessions.allSatisfy { $0 == nil })
    }

    @Test("a peer that leaves within its handshake is forgotten", arguments: [true, false])
    func leaves(_ resets: Bool) throws {
        let rig = try Rig.secured()
        let peer = try SecurePeer(rig.address)
        peer.shakeHands()
        peer.push(100)
        try rig.turn(until: { rig.loop.connectionCount == 1 })
        if resets { peer.peer.reset() } else { peer.peer.close() }
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.notes == [] && rig.totals.figures.handshakesFailed == 1)
    }

    /// A peer that the loop has accepted and that has said nothing.
    private func accepted(_ rig: Rig) throws -> SecurePeer {
        let before = rig.totals.figures.accepted
        let peer = try SecurePeer(rig.address)
        try rig.turn(until: { rig.totals.figures.accepted > before })
        return peer
    }

    @Test("of too many handshakes the oldest is given up")
    func handshakesMax() throws {
        let rig = try Rig.secured { $0.handshakesMax = 3 }
        let peers = try (0..<5).map { _ in
            try accepted(rig)
        }
        try rig.turn()
        #expect(rig.loop.handshakesOpen == 3 && rig.totals.figures.handshakesFailed == 2)
        #expect(!peers[0].pull() && !peers[1].pull() && peers[2].pull())
        try rig.shakeHands(peers[2]) { rig.host.notes.count == 1 }
        #expect(rig.loop.handshakesOpen == 2)
    }

    @Test("a turn shakes hands for a slice of time, one at least, and serves those that it knows all the while")
    func handshakeSlice() throws {
        let rig = try Rig.secured { $0.handshakeSlice = .zero }
        rig.echo()
        let (old, id) = try rig.connectSecurely()
        let peers = try (0..<6).map { _ in
            let peer = try accepted(rig)
            peer.shakeHands()
            return peer
        }
        for peer in peers { peer.push() }
        for round in 1...6 {
            old.seal([UInt8(round)])
            old.push()
            try rig.turn(until: { rig.host.input[id]?.count == round })
            #expect(Int(rig.last.handshakesLeft) == 6 - round, "one step a turn")
        }
        try rig.turn(until: {
            for peer in peers {
                peer.pull()
                peer.push()
            }
            return rig.host.peers.count == 7
        })
        #expect(rig.loop.handshakesOpen == 0)
    }

    @Test("while too many handshakes wait for their turn nobody is accepted")
    func handshakesDueMax() throws {
        let rig = try Rig.secured {
            $0.handshakeSlice = .zero
            $0.handshakesDueMax = 2
        }
        let peers = try (0..<4).map { _ in
            let peer = try accepted(rig)
            peer.shakeHands()
            return peer
        }
        for peer in peers { peer.push() }
        try rig.turn()
        #expect(rig.last.handshakesLeft == 3)
        let late = try SecurePeer(rig.address)
        for left in [2, 1] as [Int32] {
            try rig.turn()
            #expect(rig.last.handshakesLeft == left && rig.loop.connectionCount == 4)
        }
        try rig.shakeHands(late) { rig.host.peers.count == 1 }
        #expect(rig.loop.connectionCount == 5)
    }

    @Test("the loop's end is that of handshakes too, and the host hears of none")
    func end() throws {
        let rig = try Rig.secured()
        let (_, id) = try rig.connectSecurely()
        let peer = try SecurePeer(rig.address)
        try rig.turn(until: { rig.loop.connectionCount == 2 })
        rig.loop.stop()
        try rig.loop.run(rig.host)
        #expect(rig.loop.connectionCount == 0 && rig.loop.handshakesOpen == 0)
        #expect(rig.host.life(id) == [.opened(id), .requested(id)] && rig.host.peers.count == 1)
        #expect(peer.peer.awaitEnd().last == .bytes([]))
    }

    // MARK: Who is who

    @Test("a certificate of ours speaks for its bearer, one may show none, and one of others is refused")
    func clientCertificates() throws {
        let rig = try Rig.secured(clients: "ours")
        let (_, known) = try rig.connectSecurely(certificate: "worker-7")
        #expect(rig.loop.certificate(of: known)?.name == SharedBytes("worker-7"))
        let expiry = try #require(rig.loop.certificate(of: known)?.expiry.milliseconds)
        #expect((1...48 * 3_600_000).contains(expiry - SystemClock.wallMilliseconds()))
        let issue = try #require(rig.loop.certificate(of: known)?.issuedAt?.milliseconds)
        #expect(issue <= SystemClock.wallMilliseconds() && issue < expiry)
        let (_, unknown) = try rig.connectSecurely()
        #expect(rig.loop.certificate(of: unknown) == nil)
        for name in ["stranger", "nameless", "late"] {
            let peer = try SecurePeer(rig.address, certificate: name)
            let before = rig.totals.figures.handshakesFailed
            try rig.shakeHands(peer) { rig.totals.figures.handshakesFailed > before }
        }
        #expect(rig.host.peers.count == 2)
        // Nobody is asked without authorities.
        let other = try Rig.secured()
        let (_, id) = try other.connectSecurely(certificate: "worker-7")
        #expect(other.loop.certificate(of: id) == nil)
    }

    @Test("a certificate without a name has an empty one")
    func nameless() throws {
        let rig = try Rig.secured(clients: "nameless")
        let (_, id) = try rig.connectSecurely(certificate: "nameless")
        #expect(rig.loop.certificate(of: id)?.name == SharedBytes(""))
    }

    @Test("who comes back resumes its session, with the certificate that it had shown", arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func resumption(_ version: Int32) throws {
        let rig = try Rig.secured(clients: "ours")
        rig.echo()
        let (first, _) = try rig.connectSecurely(version: version, certificate: "worker-7")
        // The ticket of TLS 1.3 comes behind the handshake.
        first.seal([1])
        try rig.exchange(first, until: 1)
        #expect(!first.isResumed)
        let (second, id) = try rig.connectSecurely(version: version, session: first.session)
        #expect(second.isResumed)
        #expect(rig.loop.certificate(of: id)?.name == SharedBytes("worker-7"))
        // Another context knows nothing of the first one's tickets.
        rig.loop.tls = try TLSContext(Certificates.made.files("server", clients: "theirs"))
        let (third, other) = try rig.connectSecurely(version: version, session: first.session)
        #expect(!third.isResumed && rig.loop.certificate(of: other) == nil)
    }

    @Test("a new certificate is for new connections; the old ones live on")
    func newContext() throws {
        let rig = try Rig.secured()
        rig.echo()
        let (old, _) = try rig.connectSecurely()
        rig.loop.tls = try TLSContext(Certificates.made.files("renewed"))
        let (new, _) = try rig.connectSecurely()
        #expect(old.serverName == "server" && new.serverName == "renewed")
        for peer in [old, new] {
            peer.seal(pattern(500))
            try rig.exchange(peer, until: 500)
            #expect(peer.received == pattern(500))
        }
    }

    // MARK: Bytes

    @Test("records that a read has no room for are read without another event", arguments: [1, 100, 5_000, 16_384, 20_000])
    func smallBuffer(_ receiveBytes: Int) throws {
        let rig = try Rig.secured { $0.receiveBytes = receiveBytes }
        let (peer, id) = try rig.connectSecurely()
        let size = receiveBytes == 1 ? 300 : 60_000
        peer.seal(pattern(size))
        try rig.turn(until: {
            peer.push()
            return (rig.host.input[id]?.count ?? 0) >= size
        })
        #expect(rig.host.input[id] == pattern(size))
        try rig.turn()
        try rig.turn()
        #expect(rig.last.events == 0 && rig.loop.sessionsUnread == [])
    }

    @Test("records may come byte by byte, and the loop does not spin over the beginning of one")
    func piecewise() throws {
        let rig = try Rig.secured()
        let (peer, id) = try rig.connectSecurely()
        peer.seal(pattern(50))
        while peer.unsent.count > 1 {
            peer.push(1)
            try rig.turn(until: { rig.last.events > 0 })
            #expect(rig.loop.sessionsUnread == [])
        }
        #expect(rig.host.input[id] == nil)
        peer.push()
        try rig.turn(until: { rig.host.input[id] != nil })
        #expect(rig.host.input[id] == pattern(50))
    }

    @Test("what lies in a session while reading is paused is read afterwards")
    func paused() throws {
        let rig = try Rig.secured { $0.receiveBytes = 1_000 }
        let (peer, id) = try rig.connectSecurely()
        let outbox = rig.outbox
        rig.host.onReceived = { id, _ in outbox.pauseReading(id) }
        peer.seal(pattern(10_000))
        peer.push()
        for round in 1...10 {
            try rig.turn(until: { rig.host.input[id]?.count == round * 1_000 })
            for _ in 0..<3 { try rig.turn() }
            #expect(rig.host.input[id]?.count == round * 1_000, "it is paused")
            #expect(rig.loop.sessionsUnread == [], "nothing keeps the loop awake")
            outbox.resumeReading(id)
        }
        #expect(rig.host.input[id] == pattern(10_000))
    }

    @Test("a slow reader's records wait for it, and more may join what waits", arguments: [false, true])
    func slowReader(_ isShared: Bool) throws {
        let rig = try Rig.secured { $0.flushBytesMax = 1 << 20 }
        let (peer, id) = try rig.connectSecurely()
        let big = pattern(12 << 20)
        if isShared { rig.outbox.append(SharedBytes(big), to: id) } else { rig.write(big, to: id) }
        repeat { try rig.turn() } while rig.last.events > 0 || rig.last.bytesOut > 0
        #expect(rig.outbox.queuedBytes(id) > 0)
        let tail = (0..<300).flatMap { pattern(7, $0) }
        for round in 0..<300 {
            rig.write(pattern(7, round), to: id)
            if round % 100 == 0 { try rig.turn() }
        }
        try rig.exchange(peer, until: big.count + tail.count)
        #expect(peer.received == big + tail)
        #expect(rig.outbox.queuedBytes == 0)
        try rig.turn()
        try rig.turn()
        #expect(rig.last.events == 0)
    }

    @Test("many small pieces are one record")
    func joined() throws {
        let rig = try Rig.secured()
        let (peer, id) = try rig.connectSecurely()
        let blocks = (0..<100).map { SharedBytes(pattern(90, $0)) }
        for block in blocks { rig.outbox.append(block, to: id) }
        try rig.exchange(peer, until: 9_000)
        #expect(peer.received == (0..<100).flatMap { pattern(90, $0) })
        #expect(rig.totals.figures.writes == 1)
    }

    @Test("records without content, again and again, end the connection")
    func contentless() throws {
        let rig = try Rig.secured()
        let (peer, id) = try rig.connectSecurely(version: TLS1_3_VERSION)
        // A few new keys are anybody's right.
        for _ in 0..<10 { peer.changeKeys() }
        peer.seal(pattern(10))
        peer.push()
        try rig.turn(until: { rig.host.input[id] == pattern(10) })
        for _ in 0..<4_000 { peer.changeKeys() }
        try rig.turn(until: {
            peer.push()
            return rig.loop.connectionCount == 0
        })
        #expect(rig.host.life(id) == [.opened(id), .broken(id, EPROTO)])
    }

    @Test("bytes that are no record break the connection")
    func tampered() throws {
        let rig = try Rig.secured()
        let (peer, id) = try rig.connectSecurely()
        peer.seal(pattern(100))
        peer.unsent[50] ^= 1
        peer.push()
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.life(id) == [.opened(id), .broken(id, EPROTO)])
    }

    // MARK: Ends

    @Test("an orderly end says farewell behind the last byte", arguments: [10, 4 << 20])
    func farewell(_ size: Int) throws {
        let rig = try Rig.secured()
        let (peer, id) = try rig.connectSecurely()
        rig.write(pattern(size), to: id)
        rig.outbox.closeAfterFlush(id)
        try rig.exchange(peer, until: size)
        try rig.turn(until: { !peer.pull() })
        #expect(peer.received == pattern(size) && peer.hasEnded)
        peer.peer.close()
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.life(id) == [.opened(id), .requested(id)])
    }

    @Test("the peer's farewell is its end, told behind its last bytes and answered", arguments: [true, false])
    func peersFarewell(_ hasBytes: Bool) throws {
        let rig = try Rig.secured()
        let (peer, id) = try rig.connectSecurely()
        if hasBytes { peer.seal(pattern(100)) }
        peer.sayFarewell()
        peer.push()
        try rig.turn(until: { rig.host.notes.contains(.peerEnded(id)) })
        #expect(rig.host.input[id] == (hasBytes ? pattern(100) : nil))
        try rig.turn(until: { !peer.pull() })
        #expect(peer.hasEnded)
    }

    @Test("what waits for a peer that has ended its side still goes out", arguments: [true, false])
    func halfClosed(_ saysFarewell: Bool) throws {
        let rig = try Rig.secured()
        let (peer, id) = try rig.connectSecurely()
        let outbox = rig.outbox
        rig.host.onReceived = { id, _ in outbox.write(to: id) { $0.append(pattern(3 << 20).span) } }
        peer.seal([1])
        if saysFarewell { peer.sayFarewell() }
        peer.push()
        peer.peer.shutdownOutput()
        try rig.exchange(peer, until: 3 << 20)
        #expect(peer.received == pattern(3 << 20))
        try rig.turn(until: { !peer.pull() })
        #expect(peer.hasEnded)
        #expect(rig.host.life(id) == [.opened(id), .peerEnded(id)])
    }

    @Test("an abort says no farewell: something is missing")
    func abort() throws {
        let rig = try Rig.secured()
        let (peer, id) = try rig.connectSecurely()
        rig.outbox.abort(id)
        try rig.turn(until: { !peer.pull() })
        #expect(!peer.hasEnded)
        #expect(rig.host.life(id) == [.opened(id), .requested(id)])
    }

    @Test("a host that ends a connection as it hears of it is obeyed")
    func endedAtOnce() throws {
        let rig = try Rig.secured()
        let outbox = rig.outbox
        rig.host.onOpened = { outbox.abort($0) }
        let peer = try SecurePeer(rig.address, version: TLS1_3_VERSION)
        try rig.shakeHands(peer) { rig.host.peers.count == 1 }
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.input.isEmpty)
    }
}
