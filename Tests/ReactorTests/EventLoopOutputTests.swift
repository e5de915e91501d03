// EventLoop+Output: the ends that the host asks for, and those that sending finds. Flushing itself is in EventLoopTests.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

struct EventLoopOutputTests {
    @Test("RFC 9112 §9.6: the last answer survives input that nobody read", arguments: [100, 6 << 20])
    func closeAfterFlush(_ answerSize: Int) throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        let answer = pattern(answerSize)
        rig.host.onReceived = { id, _ in
            rig.write(answer, to: id)
            rig.outbox.closeAfterFlush(id)
            rig.outbox.pauseReading(id)
        }
        peer.send(pattern(1))
        try rig.turn(until: { rig.host.input[id] != nil })
        // More than is read in a turn, and nobody wants it.
        peer.send(pattern(2 << 20))
        #expect(try rig.read(answerSize, from: peer) == answer)
        try rig.turn(until: { rig.host.life(id).count == 2 })
        peer.send(pattern(1_000))
        #expect(peer.receiveWaiting() == .bytes([]), "an end, not a reset")
        #expect(rig.loop.connectionCount == 1, "our side is shut, the peer's not yet")
        peer.close()
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.life(id) == [.opened(id), .requested(id)])
        #expect(rig.host.input[id]?.count == 1, "nothing is told after the host asked for the end")
    }

    @Test("a peer that does not end its side is closed in time")
    func lingerTimeout() throws {
        let rig = try Rig { $0.lingerTimeout = .milliseconds(5) }
        let (peer, id) = try rig.connect()
        rig.write([1], to: id)
        rig.outbox.closeAfterFlush(id)
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(peer.awaitEnd().bytes == [1])
        #expect(rig.host.life(id) == [.opened(id), .requested(id)])
        #expect(rig.loop.draining.first == ConnectionTable.none)
    }

    @Test("a peer that does not take the last answer is closed in time")
    func lastFlushTimeout() throws {
        let rig = try Rig { $0.lastFlushTimeout = .milliseconds(5) }
        let (peer, id) = try rig.connect()
        rig.write(pattern(16 << 20), to: id)
        rig.outbox.closeAfterFlush(id)
        try rig.turn()
        #expect(rig.host.life(id) == [.opened(id)], "the end is told when all has gone out")
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.life(id) == [.opened(id), .requested(id)])
        #expect(rig.loop.flushingLast.first == ConnectionTable.none)
        peer.close()
    }

    @Test("a peer that ends while the last answer goes out gets it all")
    func peerEndsDuringLastAnswer() throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        let answer = pattern(12 << 20)
        rig.write(answer, to: id)
        rig.outbox.closeAfterFlush(id)
        try rig.turn()
        peer.shutdownOutput()
        #expect(try rig.read(answer.count, from: peer) == answer)
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(peer.receiveWaiting() == .bytes([]))
        #expect(rig.host.life(id) == [.opened(id), .requested(id)])
    }

    @Test("a peer that stalls and reads on gets what waited elsewhere, in order; the host is told when there is room, others do not wait")
    func room() throws {
        let rig = try Rig()
        rig.outbox.roomBytes = 64 << 10
        let (slow, slowID) = try rig.connect()
        let (quick, quickID) = try rig.connect()
        let block = SharedBytes(pattern(10_007))
        let blockCount = 2_000
        var elsewhere = blockCount
        var tellings = 0
        var mostQueued = 0
        func fill() {
            while elsewhere > 0, rig.outbox.queuedBytes(slowID) < rig.outbox.roomBytes {
                rig.outbox.append(block, to: slowID)
                elsewhere -= 1
            }
            mostQueued = max(mostQueued, rig.outbox.queuedBytes(slowID))
            if elsewhere > 0 { rig.outbox.awaitRoom(slowID) }
        }
        rig.host.onRoom = {
            var roomy: [ConnectionID] = []
            rig.outbox.takeRoomy(into: &roomy)
            #expect(roomy == [slowID])
            tellings += 1
            fill()
        }
        fill()
        var before = -1
        while elsewhere != before {
            before = elsewhere
            for _ in 0..<10 { try rig.turn() }
        }
        #expect(elsewhere > 0, "the kernel takes some megabytes, and no more")
        let stalledTellings = tellings
        for _ in 0..<3 {
            rig.outbox.append(block, to: quickID)
            #expect(try rig.read(10_007, from: quick) == pattern(10_007))
        }
        #expect(tellings == stalledTellings, "nobody is told while there is no room")
        let all = try rig.read(10_007 * blockCount, from: slow)
        #expect(all == (0..<blockCount).flatMap { _ in pattern(10_007) })
        #expect(elsewhere == 0 && tellings > stalledTellings)
        #expect(mostQueued < (64 << 10) + 10_007)
    }

    @Test("an aborted connection is closed in the same turn, whatever waits, and the host is told once")
    func abort() throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        rig.write(pattern(16 << 20), to: id)
        try rig.turn()
        #expect(rig.outbox.queuedBytes(id) > 0)
        rig.outbox.abort(id)
        rig.outbox.closeAfterFlush(id)
        try rig.turn()
        #expect(rig.loop.connectionCount == 0)
        #expect(rig.host.life(id) == [.opened(id), .requested(id)])
        #expect(rig.outbox.queuedBytes == 0)
        #expect(!rig.outbox.isOpen(id))
        #expect(peer.awaitEnd().bytes.count < 16 << 20)
        #expect(rig.last.reaped == 1)
    }

    @Test("abort overtakes an end in order that has not come about")
    func abortWhileClosing() throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        rig.write(pattern(16 << 20), to: id)
        rig.outbox.closeAfterFlush(id)
        try rig.turn()
        rig.outbox.abort(id)
        try rig.turn()
        #expect(rig.loop.connectionCount == 0)
        #expect(rig.host.life(id) == [.opened(id), .requested(id)])
        peer.close()
    }

    @Test("sending to a peer that is gone breaks the connection, and the host is told in phase 8")
    func brokenBySending() throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        rig.host.onTurnEnded = {
            // The reset comes after the turn's events and before its flush.
            peer.reset()
            rig.write([1], to: id)
            rig.host.onTurnEnded = {}
        }
        try rig.turn()
        #expect(rig.host.notes.last?.isBroken(id) == true)
        #expect(rig.host.life(id).count == 2)
        #expect(rig.loop.connectionCount == 0)
    }

    @Test("what a host writes to others when it hears of an end goes out in the next turn")
    func writeOnClosed() throws {
        let rig = try Rig()
        let (_, ending) = try rig.connect()
        let (peer, other) = try rig.connect()
        rig.host.onClosed = { _ in rig.write(pattern(40), to: other) }
        rig.outbox.abort(ending)
        #expect(try rig.read(40, from: peer) == pattern(40))
    }

    @Test("descriptors are closed in the last phase, so that no number is used twice within a turn")
    func deferredClose() throws {
        let rig = try Rig()
        let (first, id) = try rig.connect()
        let record = try unsafe #require(unsafe rig.loop.table.find(id))
        let descriptor = unsafe record.pointee.descriptor
        var isOpenAtEnd: Bool?
        rig.host.onClosed = { _ in isOpenAtEnd = fcntl(descriptor, F_GETFD) >= 0 }
        first.close()
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(isOpenAtEnd == true)
        #expect(unsafe rig.loop.table.find(id) == nil)
    }
}
