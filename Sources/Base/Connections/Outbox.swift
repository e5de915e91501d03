// Outbox: the interface between the machine, which appends, and the reactor, which drains: a data structure instead of a call. One
// write queue a connection slot, one arena for the bytes that a turn makes for single connections, one list of who has something to
// send or to be done to. The simulator drains the same outbox that epoll does.
//
// Cost: a private write is a copy into the arena; a shared one is a reference count and an append. Neither makes a system call. A row
// is 40 bytes, reached by one addition: rows lie in raw memory, because an array would be asked for its uniqueness at every access. There
// is room for all connections from the start, so that rows need not move; pages that no connection has reached are not backed by memory.
public import Glibc

// @safe: rows are reached only through `row`, which checks slot and generation against what was initialised.
@safe
public final class Outbox {
    /// What a connection's row says besides its bytes.
    public struct Marks: OptionSet, Sendable {
        public let rawValue: UInt8
        @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
        // Computed, so that other floors have the number itself: a stored one is a call away.
        /// The connection stands on the dirty list.
        @inlinable public static var dirty: Marks { Marks(rawValue: 1) }
        @inlinable public static var closeAfterFlush: Marks { Marks(rawValue: 2) }
        @inlinable public static var abort: Marks { Marks(rawValue: 4) }
        @inlinable public static var readingPaused: Marks { Marks(rawValue: 8) }
        /// Its input makes its output: what it does not read, it may not add to.
        @inlinable public static var answersItself: Marks { Marks(rawValue: 16) }
        /// While its reading is paused, that the peer has ended its side is not told either.
        @inlinable public static var endUnheard: Marks { Marks(rawValue: 32) }
        /// What many get goes to it as it is.
        @inlinable public static var shares: Marks { Marks(rawValue: 64) }
        /// It is to be told of when less than `roomBytes` wait for it.
        @inlinable public static var awaitsRoom: Marks { Marks(rawValue: 128) }
    }

    private enum Presence: UInt8 {
        case free
        case open
        /// The machine is done with it: what waits may still go out, and nothing is added.
        case sealed
    }

    private struct Row {
        var queue = WriteQueue()
        var generation: UInt32 = 0
        var presence = Presence.free
        var marks: Marks = []
        /// Whether `roomBytes` or more waited when the connection could be sent no more.
        var lags = false
        /// The first number that was noted since nothing waited; 0 for none. It stays when the row is closed.
        var firstNumber: UInt64 = 0

        /// Bytes that may wait before nothing more is shared with it.
        @inline(__always)
        func room(_ lagging: Int, _ burst: Int) -> Int { lags ? lagging : burst }
    }

    private var rows: UnsafeMutablePointer<Row>
    private var capacity: Int
    /// Rows that were ever used: those behind them are not initialised.
    private var rowCount = 0
    private var dirty: [ConnectionID] = []
    /// Who asked for room and has it.
    private var roomy: [ConnectionID] = []
    private var arena: ByteWriter
    private let arenaBytesRetained: Int
    private let arenaBytesMax: Int
    /// Where a private write is made that the arena has no more room for; it is empty between writes.
    private var spare = ByteWriter(capacity: 16)
    /// Bytes that wait for all connections together.
    public private(set) var queuedBytes = 0
    /// A connection for which fewer bytes wait has room for more: nothing is shared with it beyond, and who waits for room is told below.
    public var roomBytes = Int.max
    /// What may wait for a connection that has kept up so far: all that one turn brings, within reason.
    public var burstBytes = Int.max

    /// - Parameters:
    ///   - connections: slots there is room for; beyond them it grows, and moves.
    ///   - arenaBytesRetained: what the arena keeps from turn to turn; a larger turn gives the rest back.
    ///   - arenaBytesMax: an arena that holds more than this takes no further write until the turn ends: each gets a block of its own,
    ///     which is freed once it has gone out. So the arena holds at most this and one write.
    public init(connections: Int = 64, arenaBytesRetained: Int = 1 << 20, arenaBytesMax: Int = 64 << 20) {
        self.arenaBytesRetained = arenaBytesRetained
        self.arenaBytesMax = arenaBytesMax
        arena = ByteWriter(capacity: min(arenaBytesRetained, 64 << 10))
        capacity = max(connections, 1)
        unsafe rows = .allocate(capacity: capacity)
    }

    deinit {
        unsafe rows.deinitialize(count: rowCount)
        unsafe rows.deallocate()
    }

    /// The row of a connection that is there, sealed or not.
    @inline(__always)
    private func row(_ id: ConnectionID) -> UnsafeMutablePointer<Row>? {
        guard id.slot < rowCount else { return nil }
        let row = unsafe rows + id.slot
        return unsafe row.pointee.generation == id.generation && row.pointee.presence != .free ? row : nil
    }

    /// The row of a connection that the machine may still write to.
    @inline(__always)
    private func openRow(_ id: ConnectionID) -> UnsafeMutablePointer<Row>? {
        guard id.slot < rowCount else { return nil }
        let row = unsafe rows + id.slot
        return unsafe row.pointee.generation == id.generation && row.pointee.presence == .open ? row : nil
    }

    // MARK: The machine's side

    /// Writes bytes for one connection alone: `body` appends them to the turn's arena, or to a block of their own where the arena is
    /// full. Nothing is written for a connection that is gone.
    ///
    /// - Parameter continues: whether the bytes belong to the message that was appended last: ``cut(_:)`` leaves no part of one.
    @inline(__always)
    public func write(to id: ConnectionID, continues: Bool = false, _ body: (inout ByteWriter) -> Void) {
        guard let row = unsafe openRow(id) else { return }
        let start = arena.count
        guard start <= arenaBytesMax else { return writeApart(to: id, continues: continues, body) }
        body(&arena)
        let length = arena.count - start
        guard length > 0 else { return }
        precondition(arena.count <= Int(UInt32.max), "a turn's private output is below 4 GiB")
        unsafe row.pointee.queue.appendArena(start: start, length: length, continues: continues)
        queuedBytes += length
        unsafe touch(row, id)
    }

    /// A turn that answers more than the arena is to hold: what the peers send decides how much that is, so that it must not trap.
    @inline(never)
    private func writeApart(to id: ConnectionID, continues: Bool, _ body: (inout ByteWriter) -> Void) {
        body(&spare)
        let bytes = spare.seal()
        spare.removeAll(retaining: arenaBytesRetained)
        if !bytes.isEmpty { append(bytes, to: id, continues: continues) }
    }

    /// Appends a reference to `bytes`, which many connections may share. Nothing is done for a connection that is gone.
    ///
    /// - Parameter continues: as for `write`.
    public func append(_ bytes: SharedBytes, to id: ConnectionID, continues: Bool = false) {
        guard let row = unsafe openRow(id) else { return }
        unsafe row.pointee.queue.append(bytes, continues: continues)
        queuedBytes += bytes.count
        unsafe touch(row, id)
    }

    // MARK: What many get

    /// Says whether the connection takes what many get as it is. One that is to end takes nothing all the same.
    public func setShares(_ id: ConnectionID, _ shares: Bool) {
        guard let row = unsafe openRow(id) else { return }
        if shares { unsafe row.pointee.marks.insert(.shares) } else { unsafe row.pointee.marks.remove(.shares) }
    }

    /// Appends a reference to `bytes` where the connection takes what many get as it is, and has room.
    ///
    /// - Parameter number: a number that grows from call to call, for `firstNumberUnsent`.
    /// - Returns: whether it did.
    @inline(__always)
    public func share(_ bytes: SharedBytes, numbered number: UInt64, with id: ConnectionID) -> Bool {
        guard let row = unsafe openRow(id), unsafe row.pointee.queue.byteCount < row.pointee.room(roomBytes, burstBytes),
            unsafe row.pointee.marks.intersection([.shares, .closeAfterFlush, .abort]) == .shares
        else { return false }
        if unsafe row.pointee.firstNumber == 0 { unsafe row.pointee.firstNumber = number }
        unsafe row.pointee.queue.append(bytes)
        queuedBytes += bytes.count
        unsafe touch(row, id)
        return true
    }

    /// Notes that what is appended next has that number.
    public func note(_ number: UInt64, for id: ConnectionID) {
        guard let row = unsafe openRow(id), unsafe row.pointee.firstNumber == 0 else { return }
        unsafe row.pointee.firstNumber = number
    }

    /// The smallest number of which not all has surely gone out, also of a connection that was closed meanwhile, until its slot is used
    /// again; nil where nothing with a number waits, or waited.
    public func firstNumberUnsent(_ id: ConnectionID) -> UInt64? {
        guard id.slot < rowCount else { return nil }
        let row = unsafe rows + id.slot
        guard unsafe row.pointee.generation == id.generation, unsafe row.pointee.firstNumber != 0 else { return nil }
        return unsafe row.pointee.firstNumber
    }

    /// Bytes that may wait for the connection before nothing more is to be shared with it.
    public func room(_ id: ConnectionID) -> Int { unsafe row(id)?.pointee.room(roomBytes, burstBytes) ?? roomBytes }

    /// Asks to be told, once, when the connection has room: `takeRoomy` names it.
    public func awaitRoom(_ id: ConnectionID) {
        guard let row = unsafe openRow(id) else { return }
        unsafe row.pointee.marks.insert(.awaitsRoom)
        unsafe tellRoom(row, id)
    }

    /// The connections that asked for room and have it.
    public func takeRoomy(into list: inout [ConnectionID]) {
        list.empty()
        swap(&list, &roomy)
    }

    public var hasRoomy: Bool { !roomy.isEmpty }

    @inline(__always)
    private func tellRoom(_ row: UnsafeMutablePointer<Row>, _ id: ConnectionID) {
        guard unsafe row.pointee.marks.contains(.awaitsRoom), unsafe row.pointee.queue.byteCount < roomBytes else { return }
        unsafe row.pointee.marks.remove(.awaitsRoom)
        roomy.append(id)
    }

    // MARK: The end, and reading

    /// Ends the connection in order once everything queued has gone out; nothing more may be appended.
    public func closeAfterFlush(_ id: ConnectionID) { mark(id, .closeAfterFlush) }

    /// Drops what waits, but for what was appended first and all that belongs to it: a part of it may have gone out.
    public func cut(_ id: ConnectionID) {
        guard let row = unsafe openRow(id) else { return }
        queuedBytes -= unsafe row.pointee.queue.cut()
        unsafe tellRoom(row, id)
    }

    /// Ends the connection at the end of this turn, whatever still waits.
    public func abort(_ id: ConnectionID) { mark(id, .abort) }

    /// Reads nothing more from the connection until `resumeReading`. The last call decides about the end.
    ///
    /// - Parameter hearsEnd: whether the peer's end of its side is told during the pause, and what it sent before then is lost. Where it
    ///   is not, everything is read after the pause, and then the end is told. A connection that breaks is told of in either case.
    public func pauseReading(_ id: ConnectionID, hearsEnd: Bool = true) {
        guard let row = unsafe openRow(id) else { return }
        unsafe row.pointee.marks.insert(.readingPaused)
        if hearsEnd { unsafe row.pointee.marks.remove(.endUnheard) } else { unsafe row.pointee.marks.insert(.endUnheard) }
        unsafe touch(row, id)
    }

    /// Reads the connection again, and hears its end; nothing changes for one that is not paused.
    public func resumeReading(_ id: ConnectionID) {
        guard let row = unsafe openRow(id), unsafe row.pointee.marks.contains(.readingPaused) else { return }
        unsafe row.pointee.marks.subtract([.readingPaused, .endUnheard])
        unsafe touch(row, id)
    }

    /// Says whether the connection's own input makes its output (an echo, an HTTP client): then it is not read while it does not read.
    /// A worker is the other kind: it may be busy sending a result while a task waits for it.
    public func setAnswersItself(_ id: ConnectionID, _ answersItself: Bool) {
        guard let row = unsafe openRow(id) else { return }
        if answersItself { unsafe row.pointee.marks.insert(.answersItself) } else { unsafe row.pointee.marks.remove(.answersItself) }
    }

    /// Bytes that wait for this connection; 0 for one that is gone.
    public func queuedBytes(_ id: ConnectionID) -> Int { unsafe row(id)?.pointee.queue.byteCount ?? 0 }

    /// Whether the identity still names a connection that may be written to.
    @inline(__always)
    public func isOpen(_ id: ConnectionID) -> Bool { unsafe openRow(id) != nil }

    private func mark(_ id: ConnectionID, _ mark: Marks) {
        guard let row = unsafe openRow(id) else { return }
        unsafe row.pointee.marks.insert(mark)
        unsafe touch(row, id)
    }

    @inline(__always)
    private func touch(_ row: UnsafeMutablePointer<Row>, _ id: ConnectionID) {
        guard unsafe !row.pointee.marks.contains(.dirty) else { return }
        unsafe row.pointee.marks.insert(.dirty)
        dirty.append(id)
    }

    // MARK: The reactor's side

    /// Opens the row of a new connection.
    public func open(_ id: ConnectionID) {
        if id.slot >= rowCount { reach(id.slot) }
        let row = unsafe rows + id.slot
        unsafe precondition(row.pointee.presence == .free, "slot \(id.slot) is opened twice")
        unsafe row.pointee = Row(generation: id.generation, presence: .open)
    }

    /// Makes rows up to that of `slot`.
    private func reach(_ slot: Int) {
        if slot >= capacity {
            capacity = max(capacity * 2, slot + 1)
            let larger = UnsafeMutablePointer<Row>.allocate(capacity: capacity)
            unsafe larger.moveInitialize(from: rows, count: rowCount)
            unsafe rows.deallocate()
            unsafe rows = larger
        }
        unsafe (rows + rowCount).initialize(repeating: Row(), count: slot + 1 - rowCount)
        rowCount = slot + 1
    }

    /// Ends the machine's side: what waits may still be drained, nothing is added, and `isOpen` says no.
    public func seal(_ id: ConnectionID) {
        guard let row = unsafe row(id) else { return }
        unsafe row.pointee.presence = .sealed
    }

    /// Closes the row and drops what waits; the identity names nobody from now on.
    public func close(_ id: ConnectionID) {
        guard let row = unsafe row(id) else { return }
        queuedBytes -= unsafe row.pointee.queue.byteCount
        unsafe row.pointee.queue.removeAll()
        unsafe row.pointee.presence = .free
        unsafe row.pointee.marks = []
    }

    /// Puts the connection on the dirty list: the reactor has learned that it may go on.
    public func touch(_ id: ConnectionID) {
        guard let row = unsafe row(id) else { return }
        unsafe touch(row, id)
    }

    /// The connections that were appended to or marked since the last call; each is taken off the list and is to be looked at now.
    public func takeDirty(into list: inout [ConnectionID]) {
        list.empty()
        swap(&list, &dirty)
        for id in list {
            guard let row = unsafe row(id) else { continue }
            unsafe row.pointee.marks.remove(.dirty)
        }
    }

    public var hasDirty: Bool { !dirty.isEmpty }

    /// Fills `slices` with what waits, up to `bytesMax`; the addresses hold until the next append or `endTurn`.
    public func gather(_ id: ConnectionID, into slices: UnsafeMutableBufferPointer<iovec>, bytesMax: Int) -> Int {
        guard let row = unsafe row(id) else { return 0 }
        return unsafe row.pointee.queue.gather(into: slices, arena: arena.address, bytesMax: bytesMax)
    }

    /// Drops the first `count` bytes of what waits: they were sent. Where that was all, and the last of the arena, the arena steps back
    /// over it: a reply that goes out at once leaves its memory, still warm, to the next one.
    public func consume(_ id: ConnectionID, _ count: Int) {
        guard let row = unsafe row(id) else { return }
        let tail = unsafe count == row.pointee.queue.byteCount ? row.pointee.queue.arenaStart(endingAt: arena.count) : nil
        unsafe row.pointee.queue.consume(count)
        queuedBytes -= count
        if let tail { arena.truncate(to: tail) }
        if unsafe row.pointee.queue.isEmpty { unsafe row.pointee.firstNumber = 0 }
        if unsafe row.pointee.lags, unsafe row.pointee.queue.byteCount < roomBytes { unsafe row.pointee.lags = false }
        unsafe tellRoom(row, id)
    }

    /// Moves what a connection could not send out of the arena, to wait on its own.
    public func settle(_ id: ConnectionID) {
        guard let row = unsafe row(id) else { return }
        unsafe row.pointee.lags = row.pointee.queue.byteCount >= roomBytes
        unsafe row.pointee.queue.settle(arena: arena.address)
    }

    /// Empties the arena. Every connection with bytes left must have been settled.
    public func endTurn() {
        arena.removeAll(retaining: arenaBytesRetained)
    }

    /// Bytes that the turn's arena holds.
    public var arenaBytes: Int { arena.count }

    /// All marks in one look; none for a connection that is gone.
    public func marks(_ id: ConnectionID) -> Marks { unsafe row(id)?.pointee.marks ?? [] }

    public func wantsReadingPaused(_ id: ConnectionID) -> Bool { marks(id).contains(.readingPaused) }
    public func answersItself(_ id: ConnectionID) -> Bool { marks(id).contains(.answersItself) }
}
