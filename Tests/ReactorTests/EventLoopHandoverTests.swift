// Goal: listening sockets go from one loop to another without a connection lost, a pause lets everybody wait, and the host's own
// descriptors are attended to.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

struct EventLoopHandoverTests {
    /// Another descriptor for the same socket, as another process gets it.
    private func copy(_ raw: Int32) -> Int32 { fcntl(raw, F_DUPFD, 0) }

    @Test("who connects during a pause waits, and is let in afterwards")
    func pause() throws {
        let rig = try Rig()
        rig.loop.pauseAccepting()
        let peer = try Peer(rig.address)
        for _ in 0..<3 { try rig.turn() }
        #expect(rig.host.notes == [])
        rig.loop.resumeAccepting()
        try rig.turn(until: { rig.host.notes.count == 1 })
        peer.close()
    }

    @Test("who connects while the sockets change hands is served by the next loop, and no event is left to the one before")
    func handover() throws {
        let rig = try Rig()
        rig.loop.pauseAccepting()
        let peers = [try Peer(rig.address), try Peer(rig.address)]
        let passed = rig.loop.openListeners.map { copy($0.raw) }
        #expect(rig.loop.openListeners.map(\.address) == [rig.address])
        rig.loop.leaveListeners()
        #expect(rig.loop.openListeners.isEmpty)
        // For epoll the socket is still open: an event of it would wake the loop for ever.
        try rig.turn()
        #expect(rig.last.events == 0)

        let heir = try EventLoop(outbox: Outbox(), settings: EventLoop.Settings())
        let host = RecordingHost()
        #expect(try heir.listen(adopting: passed[0], ownsFile: false) == rig.address)
        #expect(fcntl(passed[0], F_GETFD) == FD_CLOEXEC && fcntl(passed[0], F_GETFL) & O_NONBLOCK != 0)
        for _ in 0..<100 where host.notes.count < 2 { try heir.turn(host, waitingAtMost: .seconds(10)) }
        #expect(host.notes.count == 2 && rig.host.notes == [])
        peers.forEach { $0.close() }
    }

    @Test("a socket that somebody else has as well wakes no loop that has stopped accepting")
    func stopped() throws {
        let rig = try Rig()
        let other = copy(rig.loop.openListeners[0].raw)
        rig.loop.stopAccepting()
        let peer = try Peer(rig.address)
        try rig.turn()
        #expect(rig.last.events == 0)
        peer.close()
        PassingSocket.close(other)
    }

    @Test("the file of a unix socket goes with whoever owns it")
    func files() throws {
        let path = socketPath("handover")
        let rig = try Rig(.unix(path: path))
        let passed = copy(rig.loop.openListeners[0].raw)
        #expect(rig.loop.openListeners[0].ownsFile)
        rig.loop.leaveListeners()
        #expect(unsafe access(path, F_OK) == 0)
        do {
            let heir = try EventLoop(outbox: Outbox(), settings: EventLoop.Settings())
            #expect(try heir.listen(adopting: copy(passed), ownsFile: false) == .unix(path: path))
        }
        #expect(unsafe access(path, F_OK) == 0, "it was lent")
        do {
            let heir = try EventLoop(outbox: Outbox(), settings: EventLoop.Settings())
            try heir.listen(adopting: passed, ownsFile: false)
            heir.ownFiles(of: [.unix(path: path)])
        }
        #expect(unsafe access(path, F_OK) != 0)
    }

    @Test("what is no listening stream socket is not adopted, and stays its owner's")
    func unfit() throws {
        let null = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
        let datagrams = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let idle = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let loop = try EventLoop(outbox: Outbox(), settings: EventLoop.Settings())
        for (raw, code) in [(null, ENOTSOCK), (datagrams, EPROTOTYPE), (idle, EINVAL), (100_000, EBADF)] {
            #expect(throws: Errno(code, in: "")) { try loop.listen(adopting: raw, ownsFile: false) }
            #expect(throws: Errno(code, in: "")) { try EventLoop.addressOfListener(raw) }
        }
        #expect(loop.openListeners.isEmpty)
        for raw in [null, datagrams, idle] { PassingSocket.close(raw) }
    }

    @Test("the host hears of its own descriptors until it dismisses them")
    func guests() throws {
        let rig = try Rig()
        var pipes: [Int32] = [-1, -1]
        try #require(unsafe pipe(&pipes) == 0)
        try rig.loop.attend(pipes[0])
        try rig.turn()
        #expect(rig.host.attended == [])
        #expect(unsafe write(pipes[1], "x", 1) == 1)
        try rig.turn(until: { !rig.host.attended.isEmpty })
        #expect(rig.host.attended == [pipes[0]])
        rig.loop.dismiss(pipes[0])
        rig.loop.dismiss(pipes[0])
        try rig.turn()
        #expect(rig.host.attended == [pipes[0]])
        pipes.forEach(PassingSocket.close)
    }
}
