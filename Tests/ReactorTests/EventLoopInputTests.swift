// EventLoop+Input: accepting and its limits, reading and not reading, and the peer's end.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

struct EventLoopInputTests {
    @Test("more connections than the limit are closed at once")
    func connectionsMax() throws {
        let rig = try Rig { $0.connectionsMax = 2 }
        let (first, _) = try rig.connect()
        let (_, second) = try rig.connect()
        let third = try Peer(rig.address)
        try rig.turn(until: { rig.totals.figures.refused == 1 })
        #expect(third.awaitEnd().last == .bytes([]))
        #expect(rig.host.notes.count == 3 && rig.host.notes.last == .turnedAway(.connections))
        first.close()
        try rig.turn(until: { rig.loop.connectionCount == 1 })
        _ = try rig.connect()
        #expect(rig.loop.connectionCount == 2)
        #expect(rig.outbox.isOpen(second))
    }

    @Test("one turn accepts no more than its share, and the next turns the rest")
    func acceptsMax() throws {
        let rig = try Rig { $0.acceptsMax = 3 }
        let peers = try (0..<7).map { _ in try Peer(rig.address) }
        var accepted: [Int] = []
        rig.host.onTurnEnded = { accepted.append(rig.loop.connectionCount) }
        try rig.turn(until: { rig.loop.connectionCount == peers.count })
        #expect(zip([0] + accepted, accepted).allSatisfy { $1 - $0 <= 3 })
    }

    @Test("several listeners serve one loop, until none accepts any more")
    func stopAccepting() throws {
        let rig = try Rig()
        rig.echo()
        let second = try rig.loop.listen(on: .v4(0x7f00_0001, port: 0))
        #expect(second != rig.address)
        let (peer, _) = try rig.connect()
        let other = try Peer(second)
        try rig.turn(until: { rig.loop.connectionCount == 2 })
        rig.loop.stopAccepting()
        #expect(throws: Errno(ECONNREFUSED, in: "connect")) { try Peer(rig.address) }
        #expect(throws: Errno(ECONNREFUSED, in: "connect")) { try Peer(second) }
        peer.send([1, 2])
        other.send([3])
        #expect(try rig.read(2, from: peer) == [1, 2])
        #expect(try rig.read(1, from: other) == [3])
    }

    @Test("accepted sockets send small writes at once")
    func noDelay() throws {
        let rig = try Rig()
        let (_, id) = try rig.connect()
        let record = try unsafe #require(unsafe rig.loop.table.find(id))
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        let descriptor = unsafe record.pointee.descriptor
        let result = unsafe getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &value, &size)
        #expect(result == 0 && value == 1)
    }

    @Test("out of descriptors, a peer is accepted by the reserve and told by the end; afterwards all is as before")
    func outOfDescriptors() async {
        await #expect(processExitsWith: .success) {
            // Without a share, so that a loop which goes on asking when nobody waits never ends.
            let rig = try Rig { $0.acceptsMax = .max }
            rig.echo()
            let (peer, _) = try rig.connect()
            let late = try Peer(rig.address)
            let later = try Peer(rig.address)
            var limit = rlimit()
            _ = unsafe signalbox_descriptor_limit(&limit)
            limit.rlim_cur = 256
            _ = unsafe signalbox_set_descriptor_limit(&limit)
            var taken: [Int32] = []
            while true {
                let raw = dup(rig.loop.doorbell.descriptor.raw)
                if raw < 0 { break }
                taken.append(raw)
            }
            try rig.turn(until: { rig.totals.figures.descriptorShortages == 2 })
            #expect(late.awaitEnd().last == .bytes([]))
            #expect(later.awaitEnd().last == .bytes([]))
            peer.send([7])
            let answer = try rig.read(1, from: peer)
            #expect(answer == [7])
            try rig.turn()
            try rig.turn()
            #expect(rig.last.events == 0, "nobody in the backlog keeps the loop awake")
            // One for the peer's own end, one for the loop's.
            for raw in taken.suffix(2) { close(raw) }
            _ = try rig.connect()
            #expect(rig.loop.connectionCount == 2)
        }
    }

    @Test("without a reserve the listeners rest, and listen again when there is room")
    func restingListeners() async {
        await #expect(processExitsWith: .success) {
            let rig = try Rig()
            let late = try Peer(rig.address)
            var limit = rlimit()
            _ = unsafe signalbox_descriptor_limit(&limit)
            limit.rlim_cur = 256
            _ = unsafe signalbox_set_descriptor_limit(&limit)
            rig.loop.reserve = nil
            var taken: [Int32] = []
            while true {
                let raw = dup(rig.loop.doorbell.descriptor.raw)
                if raw < 0 { break }
                taken.append(raw)
            }
            try rig.turn()
            #expect(rig.loop.listensAgainAt != nil)
            try rig.turn()
            try rig.turn()
            #expect(rig.last.events == 0)
            for raw in taken { close(raw) }
            try rig.turn(until: { rig.loop.connectionCount == 1 })
            let isKept = rig.loop.reserve != nil
            #expect(isKept)
            late.close()
        }
    }

    @Test("an event of a connection that is gone names nobody, though its slot has a new one")
    func staleEvent() throws {
        let rig = try Rig()
        let (peer, old) = try rig.connect()
        peer.close()
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        let (next, new) = try rig.connect()
        #expect(new.slot == old.slot && new.generation != old.generation)
        next.send([1])
        rig.loop.take((old.raw, [.input, .output, .hangUp]), rig.host)
        #expect(rig.loop.figures.staleEvents == 1)
        #expect(rig.host.input.isEmpty)
        try rig.turn(until: { rig.host.input[new] == [1] })
        #expect(rig.host.life(new) == [.opened(new)])
    }

    @Test("a paused connection's input waits, and comes when it is resumed")
    func pause() throws {
        let rig = try Rig()
        rig.host.onReceived = { id, _ in rig.outbox.pauseReading(id) }
        let (peer, id) = try rig.connect()
        peer.send([1])
        try rig.turn(until: { rig.host.input[id] == [1] })
        peer.send([2, 3])
        try rig.turn(until: { rig.totals.figures.interestChanges == 1 })
        try rig.turn()
        #expect(rig.last.events == 0, "what is not read does not keep the loop awake")
        #expect(rig.host.input[id] == [1])
        rig.outbox.resumeReading(id)
        try rig.turn(until: { rig.host.input[id] == [1, 2, 3] })
    }

    @Test("the end of a paused connection's peer is noticed, whether or not input waits before it", arguments: [false, true])
    func endWhilePaused(_ inputWaits: Bool) throws {
        let rig = try Rig { $0.lingerTimeout = .milliseconds(5) }
        let (peer, id) = try rig.connect()
        rig.outbox.pauseReading(id)
        if inputWaits { peer.send(pattern(100)) }
        try rig.turn()
        peer.close()
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.life(id) == [.opened(id), .peerEnded(id)])
        #expect(rig.host.input[id] == nil)
    }

    @Test(
        "an end that is not heard in a pause keeps nothing awake, and is told once all input has been read",
        arguments: [0, 1, 100], [false, true])
    func endUnheard(_ kibibytes: Int, _ closes: Bool) throws {
        let rig = try Rig { $0.receiveBytes = 1_000 }
        let (peer, id) = try rig.connect()
        rig.outbox.pauseReading(id, hearsEnd: false)
        let input = pattern(kibibytes << 10)
        #expect(peer.send(input) == input.count)
        if closes { peer.close() } else { peer.shutdownOutput() }
        try rig.turn(until: { rig.totals.figures.interestChanges == 1 || rig.host.notes.count > 1 })
        for _ in 0..<3 {
            try rig.turn()
            #expect(rig.last.events == 0, "neither the input nor the end keeps the loop awake")
        }
        #expect(rig.host.notes == [.opened(id)])
        #expect(rig.outbox.isOpen(id))
        rig.outbox.resumeReading(id)
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.input[id] ?? [] == input)
        #expect(rig.host.notes.last == .peerEnded(id))
        #expect(rig.host.life(id) == [.opened(id), .peerEnded(id)])
        #expect(rig.totals.figures.interestChanges == 2)
    }

    @Test("each message of an ended peer may pause anew: all of them come, then the end")
    func endUnheardAgain() throws {
        let rig = try Rig { $0.receiveBytes = 10 }
        let (peer, id) = try rig.connect()
        rig.host.onReceived = { id, _ in rig.outbox.pauseReading(id, hearsEnd: false) }
        peer.send(pattern(95))
        peer.shutdownOutput()
        for count in 1...10 {
            try rig.turn(until: { rig.host.notes.count == 1 + count })
            try rig.turn()
            // Answers go out to a peer that has ended its side alone.
            rig.write([UInt8(count)], to: id)
            try rig.turn()
            #expect(rig.host.notes.count == 1 + count)
            rig.outbox.resumeReading(id)
        }
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.input[id] == pattern(95))
        #expect(rig.host.life(id) == [.opened(id), .peerEnded(id)])
        #expect(peer.awaitEnd() == (Array(1...10), .bytes([])))
    }

    @Test("a pause that hears the end ends one that does not")
    func endHeardAgain() throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        rig.outbox.pauseReading(id, hearsEnd: false)
        peer.shutdownOutput()
        try rig.turn(until: { rig.totals.figures.interestChanges == 1 || rig.host.notes.count > 1 })
        #expect(rig.host.notes == [.opened(id)])
        rig.outbox.pauseReading(id)
        try rig.turn()
        try rig.turn()
        #expect(rig.host.life(id) == [.opened(id), .peerEnded(id)])
    }

    @Test("a connection whose end is not heard is closed or aborted as any other", arguments: [false, true])
    func endUnheardThenClosed(_ aborts: Bool) throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        rig.outbox.pauseReading(id, hearsEnd: false)
        peer.send([1, 2, 3])
        peer.shutdownOutput()
        try rig.turn(until: { rig.totals.figures.interestChanges == 1 || rig.host.notes.count > 1 })
        rig.write([7], to: id)
        if aborts { rig.outbox.abort(id) } else { rig.outbox.closeAfterFlush(id) }
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.notes == [.opened(id), .requested(id)])
        if !aborts { #expect(peer.awaitEnd() == ([7], .bytes([]))) }
    }

    @Test("a reset ends a paused connection, though its peer's end is not heard", arguments: [false, true])
    func resetUnheard(_ endsFirst: Bool) throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        rig.outbox.pauseReading(id, hearsEnd: false)
        if endsFirst {
            peer.shutdownOutput()
            try rig.turn(until: { rig.totals.figures.interestChanges == 1 || rig.host.notes.count > 1 })
        }
        try rig.turn()
        peer.reset()
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        // To a socket whose peer has ended its side, the kernel calls a reset a broken pipe.
        #expect(rig.host.life(id) == [.opened(id), .broken(id, endsFirst ? EPIPE : ECONNRESET)])
    }

    @Test("a peer that resets breaks its connection", arguments: [false, true])
    func reset(_ isPaused: Bool) throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        if isPaused { rig.outbox.pauseReading(id) }
        try rig.turn()
        peer.reset()
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.life(id) == [.opened(id), .broken(id, ECONNRESET)])
    }

    @Test("who does not read its answers is not read, until half of them have gone")
    func backpressure() throws {
        let rig = try Rig {
            $0.pauseReadingBytes = 100_000
            $0.receiveBytes = 64 << 10
        }
        rig.echo()
        rig.host.onOpened = { rig.outbox.setAnswersItself($0, true) }
        let (peer, id) = try rig.connect()
        let question = pattern(24 << 20)
        var sent = 0
        var mostWaiting = 0
        rig.host.onTurnEnded = { mostWaiting = max(mostWaiting, rig.outbox.queuedBytes(id)) }
        while true {
            sent += peer.send(Array(question[sent..<min(sent + 262_144, question.count)]))
            try rig.turn()
            try rig.turn()
            if rig.last.events == 0 { break }
        }
        #expect(sent < question.count, "the window closes")
        #expect(mostWaiting > 100_000 && mostWaiting <= 100_000 + (64 << 10))
        var answer: [UInt8] = []
        while answer.count < question.count {
            sent += peer.send(Array(question[sent..<min(sent + 262_144, question.count)]))
            try rig.turn()
            while case .bytes(let more) = peer.receive(), !more.isEmpty { answer += more }
        }
        #expect(answer == question)
        #expect(mostWaiting <= 100_000 + (64 << 10))
        #expect(rig.totals.figures.interestChanges > 2)
    }

    @Test("a worker, whose input does not make its output, is read while output waits for it")
    func workerIsRead() throws {
        let rig = try Rig { $0.pauseReadingBytes = 100_000 }
        let (peer, id) = try rig.connect()
        rig.write(pattern(16 << 20), to: id)
        try rig.turn()
        #expect(rig.outbox.queuedBytes(id) > 100_000)
        peer.send([5])
        try rig.turn(until: { rig.host.input[id] == [5] })
    }

    @Test("a peer that ends its side still gets what waits for it, and the host is told of the end at once")
    func endBeforeAnswer() throws {
        let rig = try Rig()
        let (peer, id) = try rig.connect()
        let answer = pattern(12 << 20)
        rig.host.onReceived = { id, _ in rig.write(answer, to: id) }
        peer.send([1])
        peer.shutdownOutput()
        try rig.turn(until: { rig.host.life(id).count == 2 })
        #expect(rig.host.life(id) == [.opened(id), .peerEnded(id)])
        #expect(!rig.outbox.isOpen(id))
        rig.write([9, 9], to: id)
        #expect(try rig.read(answer.count, from: peer) == answer)
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(peer.receiveWaiting() == .bytes([]))
        #expect(rig.outbox.queuedBytes == 0)
        #expect(rig.host.life(id).count == 2)
    }

    @Test("a peer that ends its side and does not take what waits is dropped in time")
    func endWithoutTaking() throws {
        let rig = try Rig { $0.lastFlushTimeout = .milliseconds(5) }
        let (peer, id) = try rig.connect()
        rig.write(pattern(16 << 20), to: id)
        try rig.turn()
        peer.shutdownOutput()
        try rig.turn(until: { rig.loop.connectionCount == 0 })
        #expect(rig.host.life(id) == [.opened(id), .peerEnded(id)])
        #expect(rig.outbox.queuedBytes == 0)
    }
}
