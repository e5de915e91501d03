// Outbox: what the machine appended comes out for the reactor, in order, however the turns and the partial writes fall.
@testable import Base
import Glibc
import TestSupport
import Testing

@Suite struct OutboxTests {
    private let id = ConnectionID(slot: 0, generation: 1)
    private let other = ConnectionID(slot: 200, generation: 1)

    private func opened(_ ids: ConnectionID...) -> Outbox {
        let outbox = Outbox()
        for id in ids { outbox.open(id) }
        return outbox
    }

    @Test("private and shared bytes come out in the order in which they went in")
    func order() {
        let outbox = opened(id, other)
        outbox.write(to: id) { $0.append("one ") }
        outbox.write(to: other) { $0.append("OTHER") }
        outbox.append(SharedBytes("two "), to: id)
        outbox.write(to: id) { $0.append("three ") }
        outbox.write(to: id) { $0.append("four") }
        #expect(outbox.queuedBytes == 23 && outbox.queuedBytes(id) == 18)
        #expect(waiting(outbox, id) == "one two three four")
        #expect(waiting(outbox, other) == "OTHER")
        outbox.consume(id, 6)
        #expect(waiting(outbox, id) == "o three four")
        outbox.consume(id, 12)
        #expect(waiting(outbox, id) == "" && outbox.queuedBytes == 5)
    }

    @Test("a shared block is not copied")
    func shared() {
        let outbox = opened(id)
        let bytes = SharedBytes("shared")
        outbox.append(bytes[2..<4], to: id)
        let buffer = UnsafeMutableBufferPointer<iovec>.allocate(capacity: 1)
        defer { unsafe buffer.deallocate() }
        let filled = unsafe outbox.gather(id, into: buffer, bytesMax: 100)
        let length = unsafe buffer[0].iov_len
        let isSame = unsafe buffer[0].iov_base == UnsafeMutableRawPointer(bytes.address + 2)
        #expect(filled == 1 && length == 2 && isSame)
    }

    @Test("what a turn could not send outlives the arena")
    func settle() {
        let outbox = opened(id, other)
        outbox.write(to: id) { $0.append("left") }
        outbox.append(SharedBytes("-shared-"), to: id)
        outbox.write(to: id) { $0.append("over") }
        outbox.consume(id, 2)
        outbox.settle(id)
        outbox.endTurn()
        outbox.write(to: other) { $0.append("overwrites the arena of the last turn") }
        outbox.write(to: id) { $0.append("+new") }
        #expect(waiting(outbox, id) == "ft-shared-over+new")
    }

    @Test("a late identity is told nothing and gets nothing")
    func late() {
        let outbox = opened(id)
        outbox.write(to: id) { $0.append("abc") }
        outbox.close(id)
        #expect(outbox.queuedBytes == 0 && !outbox.isOpen(id))
        outbox.write(to: id) { _ in Issue.record("a body ran for a connection that is gone") }
        outbox.append(SharedBytes("x"), to: id)
        outbox.abort(id)
        let next = ConnectionID(slot: 0, generation: 2)
        outbox.open(next)
        outbox.append(SharedBytes("late"), to: id)
        outbox.closeAfterFlush(id)
        #expect(waiting(outbox, next) == "" && outbox.marks(next) == [])
        #expect(outbox.queuedBytes == 0 && outbox.queuedBytes(id) == 0)
        #expect(!outbox.isOpen(ConnectionID(slot: 9_999, generation: 1)))
    }

    @Test("a connection stands on the dirty list once a turn, and again after it was taken off")
    func dirty() {
        let outbox = opened(id, other)
        var list: [ConnectionID] = []
        #expect(!outbox.hasDirty)
        outbox.append(SharedBytes("a"), to: other)
        outbox.append(SharedBytes("b"), to: other)
        outbox.closeAfterFlush(id)
        outbox.write(to: id) { _ in }
        outbox.takeDirty(into: &list)
        #expect(list == [other, id])
        #expect(!outbox.hasDirty)
        outbox.takeDirty(into: &list)
        #expect(list == [])
        outbox.append(SharedBytes("c"), to: other)
        outbox.takeDirty(into: &list)
        #expect(list == [other])
    }

    @Test("marks: reading pauses and resumes, closing and aborting stay")
    func marks() {
        let outbox = opened(id)
        outbox.pauseReading(id)
        #expect(outbox.wantsReadingPaused(id))
        outbox.resumeReading(id)
        #expect(!outbox.wantsReadingPaused(id))
        outbox.pauseReading(id, hearsEnd: false)
        #expect(outbox.marks(id).isSuperset(of: [.readingPaused, .endUnheard]))
        outbox.pauseReading(id)
        #expect(outbox.marks(id).contains(.readingPaused) && !outbox.marks(id).contains(.endUnheard))
        outbox.pauseReading(id, hearsEnd: false)
        outbox.resumeReading(id)
        #expect(outbox.marks(id).isDisjoint(with: [.readingPaused, .endUnheard]))
        outbox.setAnswersItself(id, true)
        #expect(outbox.answersItself(id))
        outbox.setAnswersItself(id, false)
        #expect(!outbox.answersItself(id))
        outbox.closeAfterFlush(id)
        outbox.abort(id)
        #expect(outbox.marks(id).isSuperset(of: [.closeAfterFlush, .abort]))
    }

    // MARK: What many get

    @Test("what many get goes to those who take it as it is and have room, until their end is asked for")
    func share() {
        let outbox = opened(id, other)
        outbox.roomBytes = 10
        outbox.burstBytes = 20
        let bytes = SharedBytes("shared")
        #expect(!outbox.share(bytes, numbered: 1, with: id), "nobody said that it takes this")
        for id in [id, other] { outbox.setShares(id, true) }
        #expect(outbox.share(bytes, numbered: 1, with: id) && outbox.share(bytes, numbered: 2, with: id))
        outbox.settle(id)
        #expect(!outbox.share(bytes, numbered: 3, with: id), "12 bytes could not be sent, and 10 are room")
        #expect(outbox.share(bytes, numbered: 3, with: other))
        outbox.consume(id, 3)
        #expect(outbox.share(bytes, numbered: 4, with: id))
        #expect(waiting(outbox, id) == "redsharedshared" && outbox.queuedBytes == 21)
        outbox.setShares(id, false)
        outbox.consume(id, 15)
        #expect(!outbox.share(bytes, numbered: 5, with: id))
        outbox.closeAfterFlush(other)
        outbox.consume(other, 6)
        #expect(!outbox.share(bytes, numbered: 5, with: other))
        let late = ConnectionID(slot: 0, generation: 7)
        #expect(!outbox.share(bytes, numbered: 5, with: late))
    }

    @Test("who keeps up has room for a burst; who could not be sent it has less until little waits again")
    func burst() {
        let outbox = opened(id)
        outbox.roomBytes = 10
        outbox.burstBytes = 20
        outbox.setShares(id, true)
        let bytes = SharedBytes("shared")
        for number in 1...4 { #expect(outbox.share(bytes, numbered: UInt64(number), with: id)) }
        #expect(!outbox.share(bytes, numbered: 5, with: id), "24 bytes wait")
        outbox.consume(id, 20)
        outbox.settle(id)
        #expect(outbox.room(id) == 20, "4 bytes that wait are no lag")
        _ = outbox.share(bytes, numbered: 6, with: id)
        outbox.settle(id)
        #expect(outbox.room(id) == 10)
        outbox.consume(id, 1)
        #expect(outbox.room(id) == 20)
    }

    @Test("the first number of which not all went out: known while it waits, and still when the connection is closed")
    func firstNumberUnsent() {
        let outbox = opened(id, other)
        outbox.setShares(id, true)
        let bytes = SharedBytes("shared")
        outbox.write(to: id) { $0.append("private") }
        #expect(outbox.firstNumberUnsent(id) == nil)
        _ = outbox.share(bytes, numbered: 5, with: id)
        _ = outbox.share(bytes, numbered: 6, with: id)
        outbox.note(7, for: id)
        #expect(outbox.firstNumberUnsent(id) == 5)
        outbox.consume(id, 18)
        #expect(outbox.firstNumberUnsent(id) == 5, "rather too little than too much")
        outbox.consume(id, 1)
        #expect(outbox.firstNumberUnsent(id) == nil)
        outbox.note(8, for: id)
        outbox.write(to: id) { $0.append("numbered") }
        outbox.seal(id)
        #expect(outbox.firstNumberUnsent(id) == 8)
        outbox.close(id)
        #expect(outbox.firstNumberUnsent(id) == 8 && outbox.firstNumberUnsent(other) == nil)
        outbox.close(other)
        #expect(outbox.firstNumberUnsent(other) == nil)
        outbox.open(ConnectionID(slot: 0, generation: 2))
        #expect(outbox.firstNumberUnsent(id) == nil && outbox.firstNumberUnsent(ConnectionID(slot: 0, generation: 2)) == nil)
    }

    @Test("who asks for room is told of it once, and at once where there is room already")
    func room() {
        let outbox = opened(id, other)
        outbox.roomBytes = 10
        var list: [ConnectionID] = []
        outbox.write(to: id) { $0.append("0123456789abcdef") }
        outbox.awaitRoom(id)
        #expect(!outbox.hasRoomy)
        outbox.consume(id, 6)
        #expect(!outbox.hasRoomy, "10 bytes are no room")
        outbox.consume(id, 1)
        #expect(outbox.hasRoomy)
        outbox.awaitRoom(other)
        outbox.takeRoomy(into: &list)
        #expect(list == [id, other] && !outbox.hasRoomy)
        outbox.consume(id, 9)
        #expect(!outbox.hasRoomy, "nobody asked again")
        outbox.close(other)
        outbox.awaitRoom(other)
        #expect(!outbox.hasRoomy)
    }

    @Test("the arena of a turn stays bounded, whatever the turn answers, and the order stays too")
    func arenaBytesMax() {
        let outbox = Outbox(arenaBytesRetained: 64, arenaBytesMax: 100)
        outbox.open(id)
        outbox.open(other)
        var most = 0
        var expected = ""
        for number in 0..<1_000 {
            expected += "private \(number), "
            outbox.write(to: id) { $0.append("private \(number), ") }
            if number % 100 == 0 {
                expected += "shared, "
                outbox.append(SharedBytes("shared, "), to: id)
                outbox.write(to: other) { $0.append("+") }
            }
            outbox.write(to: id) { _ in }
            most = max(most, outbox.arenaBytes)
        }
        #expect(most > 100 && most < 100 + 20)
        #expect(outbox.queuedBytes(id) == expected.utf8.count && outbox.queuedBytes == expected.utf8.count + 10)
        #expect(String(decoding: gathered(outbox, id, slices: 4_096, bytesMax: .max), as: UTF8.self) == expected)
        #expect(waiting(outbox, other) == "++++++++++")
        outbox.consume(id, 300)
        for id in [id, other] { outbox.settle(id) }
        outbox.endTurn()
        outbox.write(to: other) { $0.append(", the next turn's arena") }
        #expect(outbox.arenaBytes == 23, "the next turn has an arena again")
        #expect(waiting(outbox, other) == "++++++++++, the next turn's arena")
        #expect(gathered(outbox, id, slices: 4_096, bytesMax: .max) == Array(expected.utf8.dropFirst(300)))
    }

    @Test("agrees with plain byte arrays through random turns and partial writes", arguments: UInt64(0)..<20)
    func oracle(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        // Odd seeds fill the arena within their turns.
        let outbox = Outbox(arenaBytesRetained: 256, arenaBytesMax: seed % 2 == 0 ? 64 << 20 : 60)
        let ids = (0..<5).map { ConnectionID(slot: UInt32($0 * 40), generation: 1) }
        for id in ids { outbox.open(id) }
        var oracle = [[UInt8]](repeating: [], count: ids.count)
        var list: [ConnectionID] = []
        for _ in 0..<300 {
            for _ in 0..<Int.random(in: 0..<12, using: &random) {
                let index = Int.random(in: 0..<ids.count, using: &random)
                let bytes = (0..<Int.random(in: 0..<40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
                if Bool.random(using: &random) {
                    outbox.append(SharedBytes(bytes), to: ids[index])
                } else {
                    outbox.write(to: ids[index]) { $0.append(bytes.span) }
                }
                oracle[index] += bytes
                // Some output goes out while the turn is still making more.
                if Int.random(in: 0..<4, using: &random) == 0 { send(outbox, ids[index], &oracle[index], &random) }
            }
            outbox.takeDirty(into: &list)
            for (index, id) in ids.enumerated() {
                send(outbox, id, &oracle[index], &random)
                outbox.settle(id)
            }
            outbox.endTurn()
            for (index, id) in ids.enumerated() { #expect(outbox.queuedBytes(id) == oracle[index].count) }
            #expect(outbox.queuedBytes == oracle.reduce(0) { $0 + $1.count })
        }
        for (index, id) in ids.enumerated() { #expect(gathered(outbox, id, slices: 4_096, bytesMax: .max) == oracle[index]) }
    }

    /// Sends a random part of what waits and compares it.
    private func send(_ outbox: Outbox, _ id: ConnectionID, _ oracle: inout [UInt8], _ random: inout Seeded) {
        let bytesMax = Int.random(in: 1...200, using: &random)
        let bytes = gathered(outbox, id, slices: Int.random(in: 1...8, using: &random), bytesMax: bytesMax)
        #expect(bytes == Array(oracle.prefix(bytes.count)))
        #expect(bytes.count <= bytesMax && bytes.isEmpty == oracle.isEmpty)
        let sent = Int.random(in: 0...bytes.count, using: &random)
        outbox.consume(id, sent)
        oracle.removeFirst(sent)
    }

    private func waiting(_ outbox: Outbox, _ id: ConnectionID) -> String {
        String(decoding: gathered(outbox, id, slices: 64, bytesMax: .max), as: UTF8.self)
    }
}

/// The bytes that a gather would send.
private func gathered(_ outbox: Outbox, _ id: ConnectionID, slices: Int, bytesMax: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    let buffer = UnsafeMutableBufferPointer<iovec>.allocate(capacity: slices)
    defer { unsafe buffer.deallocate() }
    for index in 0..<(unsafe outbox.gather(id, into: buffer, bytesMax: bytesMax)) {
        unsafe bytes += UnsafeRawBufferPointer(start: buffer[index].iov_base, count: buffer[index].iov_len)
    }
    return bytes
}
