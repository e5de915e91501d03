// EventLoop+Input, who is let in: bounds of an address, of a second, of handshakes, and little memory; and what who is not let in hears.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

struct EventLoopAdmissionTests {
    private static let answer = Array("503 no\r\n".utf8)

    /// A loop that tells those whom it turns away.
    private static func answering(_ adjust: (inout EventLoop.Settings) -> Void) throws -> Rig {
        try Rig { settings in
            for rejection in Rejection.allCases { settings.answersToRefused[rejection] = answer }
            adjust(&settings)
        }
    }

    @Test("who is one too many of its address hears why, although it has said something already; a place comes back")
    func address() throws {
        let rig = try Self.answering { $0.connectionsPerAddressMax = 2 }
        let (first, _) = try rig.connect()
        _ = try rig.connect()
        let third = try Peer(rig.address)
        third.send(pattern(10_000))
        try rig.turn(until: { rig.host.notes.contains(.turnedAway(.address)) })
        third.send(pattern(10_000))
        third.shutdownOutput()
        // It is read until it ends: a reset would have destroyed the answer.
        try rig.turn(until: { rig.loop.connectionCount == 2 })
        let (bytes, last) = third.awaitEnd()
        #expect(bytes == Self.answer && last == .bytes([]))
        first.close()
        try rig.turn(until: { rig.loop.connectionCount == 1 })
        #expect(try rig.connect().1.generation > 0)
        #expect(rig.totals.figures.refused == 1)
    }

    @Test("who comes by a unix socket has no address")
    func unix() throws {
        let rig = try Rig(.unix(path: socketPath("admission"))) { $0.connectionsPerAddressMax = 1 }
        _ = try rig.connect()
        _ = try rig.connect()
        #expect(rig.loop.connectionCount == 2)
    }

    @Test("while memory is short whoever comes hears so, and who is there stays")
    func memory() throws {
        let rig = try Self.answering { _ in }
        let (_, id) = try rig.connect()
        rig.loop.isShort = true
        let late = try Peer(rig.address)
        try rig.turn(until: { rig.host.notes.contains(.turnedAway(.memory)) })
        #expect(late.awaitEnd().bytes == Self.answer)
        #expect(rig.outbox.isOpen(id))
        rig.loop.isShort = false
        #expect(try rig.connect().1 != id)
    }

    @Test("those who were turned away take no place of the others, and only so many are waited for")
    func places() throws {
        let rig = try Self.answering {
            $0.connectionsMax = 2
            $0.turnedAwayMax = 3
        }
        let (first, _) = try rig.connect()
        _ = try rig.connect()
        let late = try (0..<10).map { _ in try Peer(rig.address) }
        try rig.turn(until: { rig.totals.figures.refused == 10 })
        #expect(rig.loop.connectionCount == 5)
        for peer in late { #expect(peer.awaitEnd().bytes == Self.answer) }
        first.close()
        try rig.turn(until: { rig.loop.connectionCount == 4 })
        _ = try rig.connect()
        for peer in late { peer.close() }
        try rig.turn(until: { rig.loop.connectionCount == 2 })
        // Their places are free for the next.
        _ = try Peer(rig.address)
        try rig.turn(until: { rig.totals.figures.refused == 11 })
    }

    @Test("no more are let in within a second than may be; the others wait in the backlog, and the loop sleeps")
    func pace() throws {
        let rig = try Rig { $0.acceptsPerSecondMax = 3 }
        let peers = try (0..<5).map { _ in try Peer(rig.address) }
        try rig.turn(until: { rig.host.notes.contains(.turnedAway(.pace)) })
        #expect(rig.loop.connectionCount == 3)
        #expect(rig.host.notes.filter { $0 == .turnedAway(.pace) }.count == 1)
        // Nothing wakes the loop for those who wait.
        try rig.turn()
        #expect(rig.last.events == 0 || rig.loop.connectionCount > 3)
        try rig.turn(until: { rig.loop.connectionCount == peers.count })
        #expect(rig.totals.figures.refused == 0)
    }

    @Test("an address has so many handshakes under way, and a place comes back with each that ends")
    func handshakes() throws {
        let rig = try Rig.secured { $0.handshakesPerAddressMax = 2 }
        let idle = try (0..<2).map { _ in try Peer(rig.address) }
        try rig.turn(until: { rig.loop.handshakesOpen == 2 })
        let third = try Peer(rig.address)
        try rig.turn(until: { rig.host.notes.contains(.turnedAway(.handshakes)) })
        #expect(third.awaitEnd().bytes.isEmpty)
        idle[0].close()
        try rig.turn(until: { rig.loop.handshakesOpen == 1 })
        _ = idle[1]
        let fourth = try Peer(rig.address)
        try rig.turn(until: { rig.loop.handshakesOpen == 2 })
        _ = fourth
    }
}
