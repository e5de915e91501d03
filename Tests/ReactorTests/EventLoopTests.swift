// The turn, its phases, and a connection's life from accept to close, over real sockets of this machine.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

struct EventLoopTests {
    @Test(
        "bytes come in with their connection and go out to it",
        arguments: [
            SocketAddress.v4(0x7f00_0001, port: 0), .v6(high: 0, low: 1, port: 0), .unix(path: socketPath("echo")),
        ])
    func echo(_ address: SocketAddress) throws {
        let rig = try Rig(address)
        rig.echo()
        let (peer, id) = try rig.connect()
        #expect(rig.host.peers[id]?.isLoopback == true)
        #expect(rig.host.peers[id]?.isUnix == (address.family == AF_UNIX))
        peer.send(pattern(5_000))
        #expect(try rig.read(5_000, from: peer) == pattern(5_000))
        peer.close()
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.life(id) == [.opened(id), .peerEnded(id)])
    }

    @Test("what a turn queues for one connection goes out in one gathered write")
    func oneGatheredWrite() throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        let (other, otherID) = try rig.connect()
        let shared = SharedBytes(pattern(300, 1))
        rig.host.onReceived = { _, _ in
            rig.write(pattern(10), to: id)
            rig.outbox.append(shared, to: id)
            rig.write(pattern(20), to: otherID)
            rig.write(pattern(30), to: id)
            rig.outbox.append(shared[10..<20], to: id)
        }
        peer.send([1])
        try rig.turn(until: { !rig.host.input.isEmpty })
        #expect(rig.last.writes == 2, "one for each of two connections")
        #expect(rig.last.bytesOut == 370)
        #expect(try rig.read(350, from: peer) == pattern(10) + pattern(300, 1) + pattern(30) + Array(pattern(300, 1)[10..<20]))
        #expect(try rig.read(20, from: other) == pattern(20))
    }

    @Test("in steady state nothing is watched anew, nor for a pause in which no input comes", arguments: [true, false])
    func steadyState(_ hearsEnd: Bool) throws {
        let rig = try Rig()
        let outbox = rig.outbox
        rig.host.onReceived = { id, bytes in
            outbox.write(to: id) { $0.append(bytes.span) }
            outbox.pauseReading(id, hearsEnd: hearsEnd)
        }
        rig.host.onTurnEnded = { for id in rig.host.peers.keys { outbox.resumeReading(id) } }
        let (peer, _) = try rig.connect()
        for round in 1...50 {
            peer.send(pattern(64, round))
            #expect(try rig.read(64, from: peer) == pattern(64, round))
        }
        #expect(rig.totals.figures.interestChanges == 0)
        #expect(rig.totals.figures.reads == 50)
        #expect(rig.totals.figures.writes == 50)
    }

    @Test("what a slow reader leaves waits on its own, output is watched for it, and no longer once it has gone", arguments: [false, true])
    func slowReader(_ isShared: Bool) throws {
        let rig = try Rig { $0.flushBytesMax = 64 << 20 }
        let (peer, id) = try rig.connect()
        let big = pattern(12 << 20)
        if isShared { rig.outbox.append(SharedBytes(big), to: id) } else { rig.write(big, to: id) }
        try rig.turn()
        #expect(rig.outbox.queuedBytes(id) > 0)
        #expect(rig.outbox.arenaBytes == 0, "the arena ends with the turn")
        // The next turn's private bytes are queued behind it, whatever the arena now holds.
        rig.write(pattern(100, 9), to: id)
        #expect(try rig.read(big.count + 100, from: peer) == big + pattern(100, 9))
        #expect(rig.outbox.queuedBytes(id) == 0)
        #expect(rig.outbox.queuedBytes == 0)
        try rig.turn()
        try rig.turn()
        #expect(rig.last.events == 0, "a drained connection's room is no news")
        #expect(rig.totals.figures.interestChanges == 2)
    }

    @Test("a connection without room is not tried again before the kernel says so")
    func blockedIsLeftAlone() throws {
        let rig = try Rig { $0.flushBytesMax = 64 << 20 }
        let (peer, id) = try rig.connect()
        rig.write(pattern(12 << 20), to: id)
        try rig.turn()
        while true {
            try rig.turn()
            if rig.last.events == 0 { break }
        }
        let writes = rig.totals.figures.writes
        for round in 0..<5 {
            rig.write(pattern(10, round), to: id)
            try rig.turn()
        }
        #expect(rig.totals.figures.writes == writes)
        let tail = (0..<5).flatMap { pattern(10, $0) }
        #expect(try rig.read((12 << 20) + 50, from: peer).suffix(50) == tail[...])
    }

    @Test("more ready connections than a turn takes events are served in rotation, and nobody starves, nor the doorbell")
    func eventsMax() throws {
        // One byte a read: everybody stays ready.
        let eventsMax = 64
        let rig = try Rig {
            $0.receiveBytes = 1
            $0.eventsMax = eventsMax
        }
        let mailbox = Mailbox<Int>(doorbell: rig.loop.doorbell)
        let peers = try (0..<200).map { _ in try rig.connect() }
        for (peer, id) in peers {
            peer.send(pattern(100))
            let record = try unsafe #require(unsafe rig.loop.table.find(id))
            var entry = unsafe pollfd(fd: record.pointee.descriptor, events: Int16(POLLIN), revents: 0)
            #expect(unsafe poll(&entry, 1, 10_000) == 1)
        }
        mailbox.post(1)
        let rotation = (peers.count + eventsMax - 1) / eventsMax
        #expect(rotation > 1)
        for round in 1...5 {
            for _ in 0..<rotation {
                try rig.turn()
                #expect(rig.last.events <= 64 && rig.last.bytesIn <= 64)
            }
            // One more turn in all for what came while the first looked, the doorbell among it.
            if round == 1 { try rig.turn() }
            let served = peers.map { rig.host.input[$0.1]?.count ?? 0 }
            #expect(served.allSatisfy { $0 >= round }, "after \(round) rounds: \(served)")
            #expect((served.max() ?? 0) - (served.min() ?? 0) <= 1)
            #expect(rig.host.notes.contains(.completions))
        }
    }

    @Test("a connection sends no more in a turn than its budget")
    func flushBudget() throws {
        let rig = try Rig { $0.flushBytesMax = 1_000 }
        let (peer, id) = try rig.connect()
        rig.write(pattern(4_500), to: id)
        rig.outbox.append(SharedBytes(pattern(600, 2)), to: id)
        #expect(try rig.read(5_100, from: peer) == pattern(4_500) + pattern(600, 2))
        #expect(rig.totals.figures.writes == 6)
    }

    @Test("more slices than one call takes go out in the same turn")
    func manySlices() throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        let shared = SharedBytes(pattern(10))
        for _ in 0..<1_000 { rig.outbox.append(shared, to: id) }
        try rig.turn()
        #expect(rig.last.writes == 4)
        #expect(rig.outbox.queuedBytes(id) == 0)
        #expect(try rig.read(10_000, from: peer) == (0..<1_000).flatMap { _ in pattern(10) })
    }

    @Test("a flush that takes too long goes on in the next turn, and nothing in the arena is lost by it")
    func flushSlice() throws {
        let rig = try Rig { $0.flushSlice = .zero }
        var peers: [(Peer, ConnectionID)] = []
        for _ in 0..<100 { peers.append(try rig.connect()) }
        for (index, (_, id)) in peers.enumerated() { rig.write(pattern(50, index), to: id) }
        try rig.turn()
        #expect(rig.outbox.arenaBytes == 0)
        #expect(rig.last.flushesLeft == 68)
        // More for everybody, those who still wait among them.
        for (index, (_, id)) in peers.enumerated() { rig.write(pattern(20, index + 1), to: id) }
        for (index, (peer, _)) in peers.enumerated() {
            #expect(try rig.read(70, from: peer) == pattern(50, index) + pattern(20, index + 1))
        }
    }

    @Test("a large reply goes out before the turn ends, and its memory is free again")
    func eagerFlush() throws {
        let rig = try Rig { $0.eagerFlushBytes = 1_000 }
        rig.echo()
        var waiting: [Int] = []
        var arena: [Int] = []
        let (small, smallID) = try rig.connect()
        let (large, largeID) = try rig.connect()
        rig.host.onTurnEnded = {
            waiting.append(rig.outbox.queuedBytes(smallID) + rig.outbox.queuedBytes(largeID))
            arena.append(rig.outbox.arenaBytes)
        }
        small.send(pattern(999))
        try rig.turn(until: { rig.host.input[smallID] != nil })
        large.send(pattern(1_000))
        try rig.turn(until: { rig.host.input[largeID] != nil })
        #expect(waiting == [999, 0])
        #expect(arena == [999, 0])
        #expect(try rig.read(999, from: small) == pattern(999))
        #expect(try rig.read(1_000, from: large) == pattern(1_000))
    }

    @Test("timers are told when their time has come and not before")
    func deadlines() throws {
        let rig = try Rig()
        var told: Instant?
        rig.host.onTimers = { told = $0 }
        let deadline = SystemClock.now() + .microseconds(1_500)
        rig.host.nextDeadline = deadline
        try rig.loop.turn(rig.host, waitingAtMost: .zero)
        #expect(told == nil)
        var turns = 0
        try rig.turn(until: {
            turns += 1
            return told != nil
        })
        #expect(try #require(told) >= deadline)
        #expect(turns <= 3, "the sleep is rounded up, so that no turn comes too early")
    }

    @Test("run tells every connection's end and leaves nothing open")
    func stop() throws {
        let path = socketPath("stop")
        let rig = try Rig(.unix(path: path))
        let (peer, id) = try rig.connect()
        rig.host.onReceived = { _, _ in rig.loop.stop() }
        peer.send([1])
        try rig.loop.run(rig.host)
        #expect(rig.host.life(id) == [.opened(id), .requested(id)])
        #expect(rig.loop.connectionCount == 0)
        #expect(!rig.outbox.isOpen(id))
        #expect(peer.awaitEnd().last == .bytes([]))
        #expect(unsafe access(path, F_OK) != 0)
    }

    @Test("a turn begins, once, before it tells of anything")
    func turnBegins() throws {
        let rig = try Rig()
        let mailbox = Mailbox<Int>(doorbell: rig.loop.doorbell)
        var begunWhenTold: Int?
        rig.host.onCompletions = { begunWhenTold = rig.host.turnsBegun }
        mailbox.post(1)
        let begun = rig.host.turnsBegun
        try rig.turn()
        #expect(begunWhenTold == begun + 1)
        #expect(rig.host.turnsBegun == begun + 1)
    }

    @Test("completions are told once for a batch, in order, from whatever thread they were posted")
    func completions() throws {
        let rig = try Rig()
        let mailbox = Mailbox<Int>(doorbell: rig.loop.doorbell)
        let pool = WorkPool(width: 1)
        var batch: [Int] = []
        var results: [Int] = []
        rig.host.onCompletions = {
            mailbox.drain(into: &batch)
            results += batch
        }
        for value in 0..<3 { mailbox.post(value) }
        try rig.turn()
        #expect(results == [0, 1, 2])
        #expect(rig.host.notes == [.completions])
        for value in 3..<200 { #expect(pool.run { mailbox.post(value) }) }
        try rig.turn(until: { results.count == 200 })
        #expect(results == Array(0..<200))
        let told = rig.host.notes.count
        try rig.turn()
        #expect(rig.host.notes.count == told, "a silenced bell does not ring on")
    }

    @Test("a watched signal comes as input of the turn")
    func signals() throws {
        var before = sigset_t()
        var watched = sigset_t()
        unsafe sigemptyset(&watched)
        unsafe sigaddset(&watched, SIGHUP)
        unsafe pthread_sigmask(SIG_BLOCK, &watched, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        let rig = try Rig { $0.signals = [SIGHUP] }
        try rig.turn()
        #expect(rig.host.notes.isEmpty)
        // To this thread, since the process has others, which have not blocked it.
        pthread_kill(pthread_self(), SIGHUP)
        try rig.turn(until: { !rig.host.notes.isEmpty })
        #expect(rig.host.notes == [.signalled(SIGHUP)])
    }

    @Test("the host is told what the turn before has done")
    func figures() throws {
        let rig = try Rig()
        rig.echo()
        let (peer, id) = try rig.connect()
        peer.send(pattern(100))
        try rig.turn(until: { rig.host.input[id] != nil })
        let before = rig.last
        try rig.turn()
        #expect(rig.host.toldOfLastTurn == before)
        #expect(before.events == 1 && before.reads == 1 && before.bytesIn == 100 && before.writes == 1 && before.bytesOut == 100)
        #expect(before.duration > .zero)
        #expect(try rig.read(100, from: peer) == pattern(100))
    }
}
