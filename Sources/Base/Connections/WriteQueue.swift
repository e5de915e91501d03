// WriteQueue: what one connection still has to send, in order. An entry is either bytes of the turn's arena (private to the
// connection, gone when the turn ends) or a slice of a shared block. Nothing is held while nothing waits.
//
// Cost: an append to an empty queue, or of arena bytes that follow the last ones, allocates nothing.
internal import Glibc

struct WriteQueue {
    /// A piece of output: of `block`, or of the arena where there is none.
    struct Entry {
        var block: SharedBytes.Block?
        var start: UInt32
        /// The length; its top bit says that the piece belongs to the message of the one before it.
        private var measure: UInt32

        private static let continued: UInt32 = 1 << 31

        init(block: SharedBytes.Block?, start: UInt32, length: UInt32, continues: Bool = false) {
            precondition(length < Entry.continued, "a piece of \(length) bytes")
            self.block = block
            self.start = start
            measure = continues ? length | Entry.continued : length
        }

        var length: UInt32 {
            get { measure & ~Entry.continued }
            set { measure = measure & Entry.continued | newValue }
        }

        var continues: Bool { measure & Entry.continued != 0 }
    }

    /// The front entry stands in the struct itself: most queues never hold a second one.
    private var front = Entry(block: nil, start: 0, length: 0)
    private var rest: [Entry] = []
    /// How many of `rest` have already moved to the front.
    private var restHead = 0
    /// Bytes that wait: the sum of all entries.
    private(set) var byteCount = 0

    var isEmpty: Bool { byteCount == 0 }

    /// Appends `length` bytes of the arena from `start`; they join the last entry where they follow it.
    mutating func appendArena(start: Int, length: Int, continues: Bool = false) {
        guard length > 0 else { return }
        if isEmpty {
            front = Entry(block: nil, start: UInt32(start), length: UInt32(length))
        } else if restHead == rest.count {
            if front.block == nil, Int(front.start) + Int(front.length) == start {
                front.length += UInt32(length)
            } else {
                push(Entry(block: nil, start: UInt32(start), length: UInt32(length), continues: continues))
            }
        } else if rest[rest.count - 1].block == nil, Int(rest[rest.count - 1].start) + Int(rest[rest.count - 1].length) == start {
            rest[rest.count - 1].length += UInt32(length)
        } else {
            push(Entry(block: nil, start: UInt32(start), length: UInt32(length), continues: continues))
        }
        byteCount += length
    }

    /// Appends a reference to shared bytes.
    mutating func append(_ bytes: SharedBytes, continues: Bool = false) {
        guard !bytes.isEmpty else { return }
        let entry = Entry(block: bytes.block, start: bytes.start, length: bytes.length, continues: continues)
        if isEmpty { front = entry } else { push(entry) }
        byteCount += bytes.count
    }

    private mutating func push(_ entry: Entry) {
        if rest.isEmpty { rest.reserveCapacity(4) }
        rest.append(entry)
    }

    /// Fills `slices` with the addresses of what waits, up to `bytesMax`.
    ///
    /// - Returns: how many slices were filled.
    func gather(into slices: UnsafeMutableBufferPointer<iovec>, arena: UnsafeMutablePointer<UInt8>, bytesMax: Int) -> Int {
        guard !isEmpty else { return 0 }
        var room = bytesMax
        unsafe slices[0] = WriteQueue.slice(front, arena, &room)
        var filled = 1
        var next = restHead
        while next < rest.count, filled < slices.count, room > 0 {
            unsafe slices[filled] = WriteQueue.slice(rest[next], arena, &room)
            filled += 1
            next += 1
        }
        return filled
    }

    /// Where an entry's bytes lie, as far as there is room for them.
    @inline(__always)
    private static func slice(_ entry: borrowing Entry, _ arena: UnsafeMutablePointer<UInt8>, _ room: inout Int) -> iovec {
        let base = unsafe entry.block?.base ?? arena
        let length = min(Int(entry.length), room)
        room -= length
        return unsafe iovec(iov_base: UnsafeMutableRawPointer(base + Int(entry.start)), iov_len: length)
    }

    /// Where in the arena all that waits begins, if it is one piece that ends at `end`.
    func arenaStart(endingAt end: Int) -> Int? {
        guard !isEmpty, front.block == nil, restHead == rest.count, Int(front.start) + Int(front.length) == end else { return nil }
        return Int(front.start)
    }

    /// Drops the first `count` bytes: they were sent.
    mutating func consume(_ count: Int) {
        precondition(count <= byteCount, "consumed \(count) of \(byteCount) queued bytes")
        byteCount -= count
        if byteCount == 0 {
            removeAll()
            return
        }
        var left = count
        while left >= Int(front.length) {
            left -= Int(front.length)
            front = rest[restHead]
            rest[restHead].block = nil
            restHead += 1
        }
        front.start += UInt32(left)
        front.length -= UInt32(left)
        // A long queue drained bit by bit gives its head back now and then, so that it stays as long as what waits.
        if restHead > 64, restHead * 2 > rest.count {
            rest.removeFirst(restHead)
            restHead = 0
        }
    }

    /// Copies what lies in the arena into blocks of its own: the arena ends with the turn.
    mutating func settle(arena: UnsafeMutablePointer<UInt8>) {
        guard !isEmpty else { return }
        unsafe WriteQueue.settle(&front, arena)
        for index in restHead..<rest.count { unsafe WriteQueue.settle(&rest[index], arena) }
    }

    private static func settle(_ entry: inout Entry, _ arena: UnsafeMutablePointer<UInt8>) {
        guard entry.block == nil else { return }
        let block = SharedBytes.Block.make(capacity: Int(entry.length))
        unsafe block.base.update(from: arena + Int(entry.start), count: Int(entry.length))
        entry.block = block
        entry.start = 0
    }

    /// Drops all but the first piece and those that belong to its message.
    ///
    /// - Returns: how many bytes were dropped.
    mutating func cut() -> Int {
        var end = restHead
        while end < rest.count, rest[end].continues { end += 1 }
        let dropped = rest[end...].reduce(0) { $0 + Int($1.length) }
        rest.removeSubrange(end...)
        byteCount -= dropped
        return dropped
    }

    mutating func removeAll() {
        front.block = nil
        front.length = 0
        if !rest.isEmpty { rest = [] }
        restHead = 0
        byteCount = 0
    }
}
