// ConnectionTable: what the loop itself remembers of each connection: 32 bytes in a slab, found by the slot in the event's user data.
// Slots are reused, generations are not. Beside it two lines, linked through the records, of those who are given a last while.
//
// Cost: finding is one compare and one addition. The slab has room for all connections from the start, so that a record never moves;
// pages that no connection has reached are not backed by memory.
import Base

// @safe: every address lies below `used`, and what `find` hands out stays where it is.
@safe
struct ConnectionTable: ~Copyable {
    /// Where a connection is on its way from accept to close.
    enum Phase: UInt8 {
        /// Nobody's slot.
        case free
        /// TLS is agreed on; the host has not heard of it.
        case handshaking
        /// We called, and TLS is agreed on; the host knows of it, and what it writes waits.
        case calling
        /// Bytes flow both ways.
        case open
        /// The host asked for the end: what waits goes out, what comes is thrown away, and the host is told when that is done.
        case closing
        /// The host has been told: what waits goes out.
        case departing
        /// All has gone out and our side is shut; what comes is thrown away until the peer ends too.
        case draining
        /// To be closed in the last phase of this turn.
        case dead
    }

    struct Record {
        var descriptor: Int32 = -1
        var generation: UInt32 = 0
        /// Neighbours in a line; `next` also links the free slots.
        var next = ConnectionTable.none
        var previous = ConnectionTable.none
        /// The end of the last while.
        var deadline = Instant(nanoseconds: 0)
        /// What epoll watches for, as it was last told: the four of `Interest` that are used lie in 14 bits.
        var interest: UInt16 = 0
        var phase = Phase.free
        var throttle = Throttle()
        var transport = Transport.plain

        /// Whether it is watched as one that reads, has sent everything and is held back by nothing: most are, most of the time.
        @inline(__always)
        var isAtRest: Bool {
            phase == .open && throttle.isEmpty && transport == .plain && interest == Record.restInterest
        }

        private static let restInterest = UInt16(Interest([.input, .peerEnd]).rawValue)
    }

    /// What bytes go through.
    enum Transport: UInt8 {
        case plain
        case tls
    }

    /// What holds a connection's bytes back.
    struct Throttle: OptionSet {
        let rawValue: UInt8
        /// The kernel has room again since it last had none.
        static let writable = Throttle(rawValue: 1)
        /// It is not read, because it does not read its answers.
        static let unread = Throttle(rawValue: 2)
        /// It was never let in: it is there only so that its answer arrives.
        static let turnedAway = Throttle(rawValue: 4)
    }

    /// A line in order of deadline, which is the order of arrival: all in a line are given the same while.
    struct Line {
        var first = ConnectionTable.none
        var last = ConnectionTable.none
    }

    static let none = UInt32.max

    private let records: UnsafeMutablePointer<Record>
    let capacity: Int
    private var used = 0
    private var free = ConnectionTable.none
    /// Connections that have a descriptor, whether or not the host still knows them.
    private(set) var count = 0

    init(capacity: Int) {
        precondition(capacity > 0 && capacity < Int(UInt32.max), "\(capacity) connections have no slots")
        self.capacity = capacity
        unsafe records = .allocate(capacity: capacity)
    }

    deinit { unsafe records.deallocate() }

    /// The record that the identity names; nil for one that is gone. The address holds as long as the table.
    @inline(__always)
    func find(_ id: ConnectionID) -> UnsafeMutablePointer<Record>? {
        guard id.slot < used else { return nil }
        let record = unsafe records + id.slot
        return unsafe record.pointee.generation == id.generation && record.pointee.phase != .free ? record : nil
    }

    /// The identity in `slot`, unless it is free; for a walk over all of them.
    func occupant(_ slot: Int) -> ConnectionID? {
        guard slot < used, unsafe records[slot].phase != .free else { return nil }
        return unsafe ConnectionID(slot: UInt32(slot), generation: records[slot].generation)
    }

    /// Slots that were ever used.
    var slots: Int { used }

    /// Gives a connection a slot.
    ///
    /// - Precondition: there is one: `count < capacity`.
    mutating func insert(descriptor: Int32, interest: Interest) -> ConnectionID {
        precondition(count < capacity, "all \(capacity) slots are taken")
        let slot: UInt32
        if free != ConnectionTable.none {
            slot = free
            unsafe free = records[Int(slot)].next
        } else {
            slot = UInt32(used)
            unsafe (records + used).initialize(to: Record())
            used += 1
        }
        count += 1
        let record = unsafe records + Int(slot)
        // Generation 0 is the loop's own: listeners, doorbell, signals.
        let generation = unsafe record.pointee.generation == .max ? 1 : record.pointee.generation + 1
        unsafe record.pointee = Record(
            descriptor: descriptor, generation: generation, interest: UInt16(interest.rawValue), phase: .open)
        return ConnectionID(slot: slot, generation: generation)
    }

    /// Frees the slot.
    ///
    /// - Returns: the descriptor, to be closed.
    mutating func remove(_ id: ConnectionID) -> Int32 {
        guard let record = unsafe find(id) else { preconditionFailure("connection \(id) is removed twice") }
        unsafe record.pointee.phase = .free
        unsafe record.pointee.next = free
        free = UInt32(id.slot)
        count -= 1
        return unsafe record.pointee.descriptor
    }

    /// Puts a connection at the end of a line.
    func enter(_ line: inout Line, _ id: ConnectionID, until deadline: Instant) {
        let slot = UInt32(id.slot)
        let record = unsafe records + id.slot
        unsafe record.pointee.deadline = deadline
        unsafe record.pointee.next = ConnectionTable.none
        unsafe record.pointee.previous = line.last
        if line.last == ConnectionTable.none { line.first = slot } else { unsafe records[Int(line.last)].next = slot }
        line.last = slot
    }

    /// Takes a connection out of the line that it is in.
    func leave(_ line: inout Line, _ id: ConnectionID) {
        let record = unsafe records + id.slot
        let (previous, next) = unsafe (record.pointee.previous, record.pointee.next)
        if previous == ConnectionTable.none { line.first = next } else { unsafe records[Int(previous)].next = next }
        if next == ConnectionTable.none { line.last = previous } else { unsafe records[Int(next)].previous = previous }
    }

    /// The head of a line and its deadline.
    func head(_ line: Line) -> (id: ConnectionID, deadline: Instant)? {
        guard line.first != ConnectionTable.none, let id = occupant(Int(line.first)) else { return nil }
        return unsafe (id, records[Int(line.first)].deadline)
    }
}
