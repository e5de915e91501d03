// WriteTail: what waits for a connection behind the first piece, in one allocation. Made with the second piece and gone with the last: most
// queues never hold two. Knows pieces, not what they say.
//
// Cost: one allocation for four pieces; then twice as many at a time.

/// What a ``WriteTail`` knows of itself.
struct WriteTailHeader {
    var capacity: Int
    /// Pieces ever appended, and how many of them are gone.
    var count = 0
    var head = 0
    /// Bytes of those that wait.
    var byteCount = 0
}

final class WriteTail: ManagedBuffer<WriteTailHeader, WriteQueue.Entry> {
    static func make(capacity: Int) -> WriteTail {
        let made = WriteTail.create(minimumCapacity: capacity) { _ in WriteTailHeader(capacity: capacity) }
        return unsafe unsafeDowncast(made, to: WriteTail.self)
    }

    deinit {
        _ = unsafe withUnsafeMutablePointers { header, entries in
            unsafe (entries + header.pointee.head).deinitialize(count: header.pointee.count - header.pointee.head)
        }
    }

    /// Pieces that wait.
    var count: Int { header.count - header.head }

    /// The piece that has waited for the `index`th longest.
    subscript(index: Int) -> WriteQueue.Entry {
        get {
            precondition(index >= 0 && index < count, "piece \(index) of \(count)")
            return unsafe withUnsafeMutablePointers { unsafe $1[$0.pointee.head + index] }
        }
        set {
            precondition(index >= 0 && index < count, "piece \(index) of \(count)")
            unsafe withUnsafeMutablePointers { unsafe $1[$0.pointee.head + index] = newValue }
        }
    }

    /// Whether there is room for one more.
    var hasRoom: Bool { header.count < header.capacity }

    /// - Precondition: it has room.
    func append(_ entry: WriteQueue.Entry) {
        precondition(hasRoom, "a piece more than \(header.capacity)")
        unsafe withUnsafeMutablePointers { unsafe ($1 + $0.pointee.count).initialize(to: entry) }
        header.count += 1
        header.byteCount += Int(entry.length)
    }

    /// The last piece is so much longer: what follows it in the arena or in its block is its message's too, or stands for itself.
    func lengthenLast(by length: Int) {
        self[count - 1].length += UInt32(length)
        header.byteCount += length
    }

    /// Takes the first piece out; it is there.
    func popFirst() -> WriteQueue.Entry {
        precondition(count > 0, "nothing waits")
        let entry = unsafe withUnsafeMutablePointers { unsafe ($1 + $0.pointee.head).move() }
        header.head += 1
        header.byteCount -= Int(entry.length)
        return entry
    }

    /// Drops the last piece; it is there.
    func removeLast() {
        precondition(count > 0, "nothing waits")
        header.count -= 1
        let entry = unsafe withUnsafeMutablePointers { unsafe ($1 + $0.pointee.count).move() }
        header.byteCount -= Int(entry.length)
    }

    /// All that waits in a new one with twice the room for it, and this one is empty.
    func moved() -> WriteTail {
        let waiting = count
        let larger = WriteTail.make(capacity: max(4, waiting * 2))
        unsafe withUnsafeMutablePointers { header, entries in
            unsafe larger.withUnsafeMutablePointerToElements {
                unsafe $0.moveInitialize(from: entries + header.pointee.head, count: waiting)
            }
        }
        larger.header.count = waiting
        larger.header.byteCount = header.byteCount
        header.count = header.head
        header.byteCount = 0
        return larger
    }
}
