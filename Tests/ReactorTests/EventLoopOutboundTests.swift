// Connections that the loop makes, over real sockets of this machine: they talk as accepted ones do, and an answer that does not come, or
// is a refusal, is told like any other end.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

/// A socket that has a port to itself and never accepts.
final class Deaf {
    private(set) var raw: Int32
    let address: SocketAddress
    /// Those that fill its backlog.
    private var peers: [Int32] = []

    /// - Parameters:
    ///   - host: IPv4 or IPv6, with port 0.
    ///   - backlog: nil for one that does not even listen: whoever calls is refused.
    init(_ host: SocketAddress = .v4(0x7f00_0001, port: 0), backlog: Int32?) throws {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let made = try Syscall.value("socket") { socket(host.family, type, 0) }
        raw = made
        _ = try Syscall.value("bind") { unsafe host.withKernelForm { unsafe bind(made, $0, $1) } }
        if let backlog { _ = try Syscall.value("listen") { listen(made, backlog) } }
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        _ = try Syscall.value("getsockname") {
            unsafe withUnsafeMutablePointer(to: &storage) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(made, $0, &size) }
            }
        }
        let port = SocketAddress.peer(&storage).port
        address =
            switch host {
            case .v4(let address, _): .v4(address, port: port)
            case .v6(let high, let low, _): .v6(high: high, low: low, port: port)
            case .unix: host
            }
    }

    /// Connects until the kernel lets nobody more wait.
    func fill() throws {
        while true {
            let peer = try Socket.connecting(to: address)
            peers.append(peer)
            var entry = pollfd(fd: peer, events: Int16(POLLOUT), revents: 0)
            // A handshake with this machine is over before connect(2) returns, or will never be.
            if unsafe poll(&entry, 1, 0) == 0 { return }
        }
    }

    /// Takes the first who waits, and cuts it off with a reset.
    func cut() throws {
        let peer = try Syscall.value("accept") { accept(raw, nil, nil) }
        var option = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(peer, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        FileDescriptor.close(peer)
    }

    /// Listens no more.
    func close() {
        if raw >= 0 { FileDescriptor.close(raw) }
        raw = -1
    }

    deinit {
        for peer in peers { FileDescriptor.close(peer) }
        close()
    }
}

struct EventLoopOutboundTests {
    @Test(
        "what is written before the connection stands goes out once it does, and an answer comes back",
        arguments: [
            SocketAddress.v4(0x7f00_0001, port: 0), .v6(high: 0, low: 1, port: 0), .unix(path: socketPath("outbound")),
        ])
    func talks(_ address: SocketAddress) throws {
        let rig = try Rig(address)
        let id = try rig.loop.connect(to: rig.address)
        #expect(rig.outbox.isOpen(id))
        rig.host.onReceived = { other, bytes in if other != id { rig.write(bytes + [0], to: other) } }
        rig.write(pattern(100), to: id)
        rig.outbox.append(SharedBytes(pattern(50, 1)), to: id)
        try rig.turn(until: { (rig.host.input[id]?.count ?? 0) >= 151 })
        #expect(rig.host.input[id] == pattern(100) + pattern(50, 1) + [0])
        #expect(rig.loop.connectionCount == 2)
        #expect(!rig.host.notes.contains(.opened(id)), "who asks for a connection has its name already")
        rig.write([1], to: id)
        try rig.turn(until: { rig.host.input[id]?.count == 153 })
        #expect(rig.host.life(id) == [])
    }

    @Test("nothing is tried before the answer, then one write, and nothing is watched for nothing")
    func oneWrite() throws {
        let rig = try Rig()
        let server = try Deaf(backlog: 8)
        let id = try rig.loop.connect(to: server.address)
        rig.write(pattern(10), to: id)
        rig.write(pattern(20), to: id)
        try rig.turn(until: { rig.outbox.queuedBytes(id) == 0 })
        #expect(rig.totals.figures.writes == 1)
        #expect(rig.totals.figures.interestChanges == 1)
        try rig.turn()
        try rig.turn()
        #expect(rig.last.events == 0)
    }

    @Test("a connection to which nothing is written is quiet once it stands")
    func silent() throws {
        let rig = try Rig()
        let server = try Deaf(backlog: 8)
        _ = try rig.loop.connect(to: server.address)
        try rig.turn(until: { rig.totals.figures.interestChanges == 1 })
        try rig.turn()
        try rig.turn()
        #expect(rig.last.events == 0)
        #expect(rig.host.notes == [])
    }

    @Test(
        "a refusal is told once, with its error, whatever waits", arguments: [0, 100], [
            SocketAddress.v4(0x7f00_0001, port: 0), .v6(high: 0, low: 1, port: 0),
        ])
    func refused(_ bytes: Int, _ host: SocketAddress) throws {
        let rig = try Rig()
        let nobody = try Deaf(host, backlog: nil)
        let id = try rig.loop.connect(to: nobody.address)
        rig.write(pattern(bytes), to: id)
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.notes == [.broken(id, ECONNREFUSED)])
        #expect(rig.outbox.queuedBytes == 0 && !rig.outbox.isOpen(id))
    }

    @Test("a refusal is told whatever the host has asked for meanwhile", arguments: [0, 100])
    func refusedWhileClosing(_ bytes: Int) throws {
        for act in [
            { (outbox: Outbox, id: ConnectionID) in outbox.pauseReading(id) }, { $0.pauseReading($1, hearsEnd: false) },
            { if bytes > 0 { $0.closeAfterFlush($1) } },
        ] {
            let rig = try Rig()
            let nobody = try Deaf(backlog: nil)
            let id = try rig.loop.connect(to: nobody.address)
            rig.write(pattern(bytes), to: id)
            act(rig.outbox, id)
            try rig.turn(until: { rig.loop.connectionCount == 0 })
            #expect(rig.host.notes == [.broken(id, ECONNREFUSED)])
            #expect(rig.outbox.queuedBytes == 0)
        }
    }

    @Test("where nobody answers, what is written waits and keeps nothing awake, until the host aborts")
    func unanswered() throws {
        let rig = try Rig()
        let server = try Deaf(backlog: 0)
        try server.fill()
        let id = try rig.loop.connect(to: server.address)
        for round in 1...3 {
            rig.write(pattern(100), to: id)
            try rig.turn()
            #expect(rig.last.events == 0)
            #expect(rig.outbox.queuedBytes(id) == 100 * round)
        }
        #expect(rig.totals.figures.writes == 0)
        #expect(rig.host.notes == [])
        rig.outbox.abort(id)
        try rig.turn()
        #expect(rig.host.notes == [.requested(id)])
        #expect(rig.loop.connectionCount == 0)
        #expect(rig.outbox.queuedBytes == 0)
    }

    @Test(
        "the host closes one that is on its way: at once where nothing waits, else once that has gone or has had its time",
        arguments: [0, 100])
    func closedOnItsWay(_ bytes: Int) throws {
        let rig = try Rig { $0.lastFlushTimeout = .milliseconds(5) }
        let server = try Deaf(backlog: 0)
        try server.fill()
        let id = try rig.loop.connect(to: server.address)
        rig.write(pattern(bytes), to: id)
        rig.outbox.closeAfterFlush(id)
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.notes == [.requested(id)])
        #expect(rig.outbox.queuedBytes == 0)
    }

    @Test("one that is closed while on its way to somebody still brings what was written")
    func lastWords() throws {
        let rig = try Rig()
        let id = try rig.loop.connect(to: rig.address)
        rig.write(pattern(100), to: id)
        rig.outbox.closeAfterFlush(id)
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.input.values.first == pattern(100))
        #expect(rig.host.life(id) == [.requested(id)])
    }

    @Test("many at once, each with its own words")
    func many() throws {
        let rig = try Rig()
        rig.host.onReceived = { id, bytes in if rig.host.peers[id] != nil { rig.write(bytes, to: id) } }
        let nobody = try Deaf(backlog: nil)
        var ids: [ConnectionID] = []
        var refused: [ConnectionID] = []
        for index in 0..<200 {
            let id = try rig.loop.connect(to: rig.address)
            rig.write(pattern(1_000, index), to: id)
            ids.append(id)
            if index % 10 == 0 { refused.append(try rig.loop.connect(to: nobody.address)) }
        }
        try rig.turn(until: { ids.allSatisfy { rig.host.input[$0]?.count == 1_000 } })
        for (index, id) in ids.enumerated() { #expect(rig.host.input[id] == pattern(1_000, index)) }
        for id in refused { #expect(rig.host.life(id) == [.broken(id, ECONNREFUSED)]) }
        #expect(rig.loop.connectionCount == 400)
        for id in ids { rig.outbox.closeAfterFlush(id) }
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        for id in ids { #expect(rig.host.life(id) == [.requested(id)]) }
    }

    @Test("they count among the connections: none is made beyond them, and one that ends makes room")
    func full() throws {
        let rig = try Rig { $0.connectionsMax = 2 }
        let server = try Deaf(backlog: 8)
        let first = try rig.loop.connect(to: server.address)
        _ = try rig.connect()
        #expect(throws: Errno(EMFILE, in: "connect")) { try rig.loop.connect(to: server.address) }
        rig.outbox.abort(first)
        try rig.turn()
        let next = try rig.loop.connect(to: server.address)
        #expect(next.slot == first.slot && next != first)
        _ = try Peer(rig.address)
        try rig.turn(until: { rig.totals.figures.refused == 1 })
        #expect(rig.loop.connectionCount == 2)
    }

    @Test("what the kernel refuses at once is thrown, and leaves no descriptor behind")
    func thrown() async {
        await #expect(processExitsWith: .success) {
            let rig = try Rig()
            // The test's own machinery opens other things meanwhile, and no sockets.
            let sockets = {
                (0..<1_024 as Range<Int32>).count { raw in
                    var status = stat()
                    return unsafe fstat(raw, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
                }
            }
            let before = sockets()
            // A stream has no way to everybody.
            #expect(throws: Errno(ENETUNREACH, in: "connect")) { try rig.loop.connect(to: .v4(0xffff_ffff, port: 80)) }
            #expect(throws: Errno(ENOENT, in: "connect")) { try rig.loop.connect(to: .unix(path: socketPath("nobody"))) }
            let after = sockets()
            #expect(after == before)
            #expect(rig.loop.connectionCount == 0)
        }
    }

    @Test("one may be made from whatever the loop tells, its end included")
    func fromWithin() throws {
        let rig = try Rig()
        let nobody = try Deaf(backlog: nil)
        var made: [ConnectionID] = []
        func again() { if made.count < 6, let id = try? rig.loop.connect(to: nobody.address) { made.append(id) } }
        rig.host.onOpened = { _ in again() }
        rig.host.onClosed = { _ in again() }
        _ = try rig.connect()
        try rig.turn(until: { made.count == 6 && rig.loop.connectionCount == 1 })
        for id in made { #expect(rig.host.life(id) == [.broken(id, ECONNREFUSED)]) }
        #expect(Set(made).count == 6)
    }

    @Test("the end of the loop ends them too")
    func endOfLoop() throws {
        let rig = try Rig()
        let server = try Deaf(backlog: 0)
        try server.fill()
        let id = try rig.loop.connect(to: server.address)
        rig.write([1], to: id)
        rig.loop.stop()
        try rig.loop.run(rig.host)
        #expect(rig.host.notes == [.requested(id)])
        #expect(rig.loop.connectionCount == 0)
    }
}
