// ByteQueue: gives back what was put in, in order, in place, and holds no memory when it is empty.
@testable import Base
import TestSupport
import Testing

@Suite struct ByteQueueTests {
    @Test("what goes in comes out in order, however it is cut", arguments: Chunking.all)
    func order(_ chunking: Chunking) {
        let bytes = (0..<1_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        var queue = ByteQueue()
        var out: [UInt8] = []
        for piece in chunking.split(bytes) {
            queue.append(piece.span)
            // Half of what waits is used: the rest meets the next piece.
            let used = (queue.count + 1) / 2
            out += copy(queue.span.extracting(0..<used))
            queue.consume(used)
        }
        out += copy(queue.span)
        queue.consume(queue.count)
        #expect(out == bytes)
        #expect(queue.isEmpty)
    }

    @Test("an empty queue holds no memory, and is small where it stands")
    func memory() {
        var queue = ByteQueue()
        #expect(queue.storage.capacity == 0)
        queue.append([1, 2, 3].span)
        #expect(queue.storage.capacity > 0)
        queue.consume(3)
        #expect(queue.storage.capacity == 0)
        queue.append([4].span)
        queue.removeAll()
        #expect(queue.storage.capacity == 0)
        #expect(MemoryLayout<ByteQueue>.size <= 24)
    }

    @Test("used bytes are moved away before memory is asked for")
    func compaction() {
        var queue = ByteQueue()
        queue.append([UInt8](repeating: 1, count: 64).span)
        let capacity = queue.storage.capacity
        for round in 0..<10_000 {
            queue.consume(32)
            queue.append([UInt8](repeating: UInt8(truncatingIfNeeded: round), count: 32).span)
        }
        #expect(queue.count == 64)
        #expect(queue.storage.capacity <= capacity * 2)
    }

    @Test("room that is reserved is there")
    func reserve() {
        var queue = ByteQueue()
        queue.append([9, 8].span)
        queue.consume(1)
        queue.reserve(100_000)
        #expect(queue.storage.capacity >= 100_001)
        #expect(copy(queue.span) == [8])
    }

    @Test("bytes that wait can be changed where they lie, and no copy of the queue sees it")
    func inPlace() {
        var queue = ByteQueue()
        queue.append([0, 1, 2, 3].span)
        queue.consume(1)
        let before = queue
        change(&queue)
        #expect(copy(queue.span) == [0xfe, 0xfd, 0xfc])
        #expect(copy(before.span) == [1, 2, 3])
    }

    private func change(_ queue: inout ByteQueue) {
        var span = queue.mutableSpan
        for index in 0..<span.count { span[index] ^= 0xff }
    }

    @Test("more than waits cannot be used up")
    func overuse() async {
        await #expect(processExitsWith: .failure) {
            var queue = ByteQueue()
            queue.append([1].span)
            queue.consume(2)
        }
    }
}

/// The bytes of a span as an array.
func copy(_ span: Span<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    for index in 0..<span.count { bytes.append(span[index]) }
    return bytes
}
