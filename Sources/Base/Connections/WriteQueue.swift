// WriteQueue: what one connection still has to send, in order. An entry is either bytes of the turn's arena (private to the
// connection, gone when the turn ends) or a slice of a shared block. Nothing is held while nothing waits.
//
// Cost: an append to an empty queue, or of bytes that follow the last ones in the arena or in their block, allocates nothing.
internal import Glibc

/// Move it rather than copy it: two copies would share what waits.
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

        /// Whether shared bytes follow it in its block; a piece that belongs to another's message stays alone.
        @inline(__always)
        func isFollowed(by bytes: SharedBytes) -> Bool {
            block === bytes.block && !continues && start + length == bytes.start
        }
    }

    /// The front entry stands in the struct itself: most queues never hold a second one.
    private var front = Entry(block: nil, start: 0, length: 0)
    /// What waits behind it; nil while nothing does.
    private var tail: WriteTail?

    /// Bytes that wait: the sum of all entries.
    var byteCount: Int { Int(front.length) + (tail?.header.byteCount ?? 0) }

    var isEmpty: Bool { front.length == 0 }

    /// Appends `length` bytes of the arena from `start`; they join the last entry where they follow it.
    mutating func appendArena(start: Int, length: Int, continues: Bool = false) {
        guard length > 0 else { return }
        let entry = Entry(block: nil, start: UInt32(start), length: UInt32(length), continues: continues)
        if isEmpty {
            front = Entry(block: nil, start: UInt32(start), length: UInt32(length))
        } else if let tail {
            let last = tail[tail.count - 1]
            if last.block == nil, Int(last.start) + Int(last.length) == start { tail.lengthenLast(by: length) } else { push(entry) }
        } else if front.block == nil, Int(front.start) + Int(front.length) == start {
            front.length += UInt32(length)
        } else {
            push(entry)
        }
    }

    /// Appends a reference to shared bytes; they join the last entry where they follow it in the same block.
    mutating func append(_ bytes: SharedBytes, continues: Bool = false) {
        guard !bytes.isEmpty else { return }
        let entry = Entry(block: bytes.block, start: bytes.start, length: bytes.length, continues: continues)
        if isEmpty {
            front = entry
        } else if continues {
            push(entry)
        } else if let tail {
            if tail[tail.count - 1].isFollowed(by: bytes) { tail.lengthenLast(by: bytes.count) } else { push(entry) }
        } else if front.isFollowed(by: bytes) {
            front.length += bytes.length
        } else {
            push(entry)
        }
    }

    private mutating func push(_ entry: Entry) {
        var room = tail ?? WriteTail.make(capacity: 4)
        // A long queue that is drained bit by bit leaves its used places behind here, so that it stays as long as what waits.
        if !room.hasRoom { room = room.moved() }
        room.append(entry)
        tail = room
    }

    /// Fills `slices` with the addresses of what waits, up to `bytesMax`.
    ///
    /// - Returns: how many slices were filled.
    func gather(into slices: UnsafeMutableBufferPointer<iovec>, arena: UnsafeMutablePointer<UInt8>, bytesMax: Int) -> Int {
        guard !isEmpty else { return 0 }
        var room = bytesMax
        unsafe slices[0] = WriteQueue.slice(front, arena, &room)
        guard let tail else { return 1 }
        var filled = 1
        while filled <= tail.count, filled < slices.count, room > 0 {
            unsafe slices[filled] = WriteQueue.slice(tail[filled - 1], arena, &room)
            filled += 1
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
        guard !isEmpty, front.block == nil, tail == nil, Int(front.start) + Int(front.length) == end else { return nil }
        return Int(front.start)
    }

    /// Drops the first `count` bytes: they were sent.
    mutating func consume(_ count: Int) {
        precondition(count <= byteCount, "consumed \(count) of \(byteCount) queued bytes")
        var left = count
        while left >= Int(front.length) {
            left -= Int(front.length)
            guard let tail else { return removeAll() }
            front = tail.popFirst()
            if tail.count == 0 { self.tail = nil }
        }
        front.start += UInt32(left)
        front.length -= UInt32(left)
    }

    /// Copies what lies in the arena into blocks of its own: the arena ends with the turn.
    mutating func settle(arena: UnsafeMutablePointer<UInt8>) {
        guard !isEmpty else { return }
        unsafe WriteQueue.settle(&front, arena)
        guard let tail else { return }
        for index in 0..<tail.count { unsafe WriteQueue.settle(&tail[index], arena) }
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
        guard let tail else { return 0 }
        let before = tail.header.byteCount
        var kept = 0
        while kept < tail.count, tail[kept].continues { kept += 1 }
        while tail.count > kept { tail.removeLast() }
        let dropped = before - tail.header.byteCount
        if kept == 0 { self.tail = nil }
        return dropped
    }

    mutating func removeAll() {
        front.block = nil
        front.length = 0
        tail = nil
    }
}
