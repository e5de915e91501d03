// WriteQueue: one connection's row of pieces; arena bytes that follow each other are one piece, and nothing is held while nothing waits.
@testable import Base
import Glibc
import Testing

@Suite struct WriteQueueTests {
    private let arena = SharedBytes((0..<100).map { UInt8($0) })

    private func pieces(_ queue: WriteQueue, bytesMax: Int = .max, slices: Int = 200) -> [[UInt8]] {
        let buffer = UnsafeMutableBufferPointer<iovec>.allocate(capacity: slices)
        defer { unsafe buffer.deallocate() }
        let filled = unsafe queue.gather(into: buffer, arena: arena.address, bytesMax: bytesMax)
        return unsafe buffer.prefix(filled).map { unsafe Array(UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len)) }
    }

    @Test("arena bytes that follow the last ones join them, in front and behind")
    func joins() {
        var queue = WriteQueue()
        queue.appendArena(start: 0, length: 2)
        queue.appendArena(start: 2, length: 1)
        queue.appendArena(start: 10, length: 1)
        queue.appendArena(start: 11, length: 1)
        queue.appendArena(start: 20, length: 0)
        #expect(pieces(queue) == [[0, 1, 2], [10, 11]])
        queue.append(SharedBytes([7]))
        queue.appendArena(start: 12, length: 1)
        #expect(pieces(queue) == [[0, 1, 2], [10, 11], [7], [12]])
        #expect(queue.byteCount == 7)
    }

    @Test("shared bytes that follow the last ones in their block join them, in front and behind; others do not")
    func joinsShared() {
        let block = SharedBytes((0..<10).map { UInt8($0) })
        var queue = WriteQueue()
        queue.append(block[0..<2])
        queue.append(block[2..<3])
        #expect(pieces(queue) == [[0, 1, 2]])
        queue.consume(1)
        queue.append(block[3..<4])
        #expect(pieces(queue) == [[1, 2, 3]])
        queue.append(block[5..<6])
        queue.append(block[6..<8])
        queue.append(SharedBytes([8]))
        queue.append(block[8..<9])
        queue.append(block[8..<9])
        #expect(pieces(queue) == [[1, 2, 3], [5, 6, 7], [8], [8], [8]])
        #expect(queue.byteCount == 9)
        queue.consume(4)
        #expect(pieces(queue) == [[6, 7], [8], [8], [8]])
    }

    @Test("a part of a message stays a piece, whatever lies before and behind it")
    func joinsNoParts() {
        let block = SharedBytes((0..<10).map { UInt8($0) })
        var queue = WriteQueue()
        queue.append(block[0..<1])
        queue.append(block[1..<2], continues: true)
        queue.append(block[2..<3])
        #expect(pieces(queue) == [[0], [1], [2]])
        #expect(queue.cut() == 1)
        #expect(pieces(queue) == [[0], [1]])
    }

    @Test("a gather stops at its bytes and at its slices")
    func limits() {
        var queue = WriteQueue()
        for start in stride(from: 0, to: 50, by: 10) { queue.appendArena(start: start, length: 3) }
        #expect(pieces(queue, bytesMax: 4) == [[0, 1, 2], [10]])
        #expect(pieces(queue, bytesMax: 6) == [[0, 1, 2], [10, 11, 12]])
        #expect(pieces(queue, slices: 2) == [[0, 1, 2], [10, 11, 12]])
        #expect(pieces(WriteQueue()) == [])
    }

    @Test("a long queue is used up byte by byte, in order")
    func consume() {
        var queue = WriteQueue()
        var expected: [UInt8] = []
        for value in UInt8(0)..<250 {
            queue.append(SharedBytes([value, value]))
            expected += [value, value]
        }
        for step in 0..<500 {
            #expect(pieces(queue, slices: 1).first?.first == expected[step])
            #expect(queue.byteCount == 500 - step)
            queue.consume(1)
        }
        #expect(queue.isEmpty && pieces(queue) == [])
        queue.appendArena(start: 5, length: 2)
        #expect(pieces(queue) == [[5, 6]])
    }

    @Test("a shared block is let go as soon as its last byte was sent")
    func release() {
        var queue = WriteQueue()
        weak var first: SharedBytes.Block?
        weak var second: SharedBytes.Block?
        do {
            let (one, two) = (SharedBytes("one"), SharedBytes("two"))
            (first, second) = (one.block, two.block)
            queue.append(one)
            queue.append(two)
        }
        queue.consume(2)
        #expect(first != nil)
        queue.consume(1)
        #expect(first == nil && second != nil)
        queue.removeAll()
        #expect(second == nil)
    }

    @Test("settled bytes leave the arena, also the rest of a piece that was sent in part")
    func settle() {
        var queue = WriteQueue()
        queue.appendArena(start: 3, length: 4)
        queue.append(SharedBytes([200]))
        queue.appendArena(start: 50, length: 2)
        queue.consume(1)
        unsafe queue.settle(arena: arena.address)
        let another = SharedBytes([UInt8](repeating: 0, count: 100))
        let buffer = UnsafeMutableBufferPointer<iovec>.allocate(capacity: 8)
        defer { unsafe buffer.deallocate() }
        let filled = unsafe queue.gather(into: buffer, arena: another.address, bytesMax: .max)
        let settled = unsafe buffer.prefix(filled).map { unsafe Array(UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len)) }
        #expect(settled == [[4, 5, 6], [200], [50, 51]])
    }

    @Test("more than waits cannot have been sent")
    func overuse() async {
        await #expect(processExitsWith: .failure) {
            var queue = WriteQueue()
            queue.append(SharedBytes("ab"))
            queue.consume(3)
        }
    }
}
