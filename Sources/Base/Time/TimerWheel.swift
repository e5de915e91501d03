// TimerWheel: what is to happen when, for very many deadlines. A pure data structure: it is told the time, reads no clock and calls
// nobody. Eight wheels of 64 slots; a slot of wheel n is 64ⁿ ticks of one millisecond wide, which together covers all of Instant.
//
// Cost: insert and cancel are O(1), a few dozen ns; a timer moves down at most seven times. 32 bytes an entry with an 8-byte payload.

/// Names a timer: the slot of its entry and the generation that tells it from earlier ones. Generation 0 names none.
public struct TimerTicket: Hashable, Sendable {
    public let raw: UInt64

    @inlinable
    public init(slot: UInt32, generation: UInt32) {
        raw = UInt64(generation) << 32 | UInt64(slot)
    }

    @inlinable public var slot: Int { Int(raw & 0xffff_ffff) }
    @inlinable public var generation: UInt32 { UInt32(raw >> 32) }
}

extension TimerTicket: SlotKey {}

/// Deadlines with payloads.
///
/// A deadline counts in whole milliseconds, rounded up: nothing fires early, and nothing later than the first `advance` that is a
/// millisecond behind it. Timers of the same millisecond fire in the order in which they were inserted.
public struct TimerWheel<Payload> {
    /// A timer, or a free place whose `next` links the free list. Internal, so that a test can hold its size.
    @usableFromInline
    struct Node {
        @usableFromInline var tick: UInt64
        @usableFromInline var payload: Payload?
        /// The ring of the slot's timers, oldest first; the first one's `previous` is the last one.
        @usableFromInline var next: UInt32
        @usableFromInline var previous: UInt32
        @usableFromInline var generation: UInt32

        @inlinable
        init(tick: UInt64, payload: Payload, place: UInt32) {
            self.tick = tick
            self.payload = payload
            next = place
            previous = place
            generation = 1
        }
    }

    @inlinable static var bits: UInt64 { 6 }
    @inlinable static var levels: Int { 8 }
    @inlinable static var none: UInt32 { .max }

    @usableFromInline var nodes: [Node] = []
    @usableFromInline var firstFree = TimerWheel.none
    /// The first node of each slot of each level.
    @usableFromInline var heads = [UInt32](repeating: TimerWheel.none, count: TimerWheel.levels * 64)
    /// Which slots of a level hold timers.
    @usableFromInline var occupied = InlineArray<8, UInt64>(repeating: 0)
    /// The tick that was advanced to last. Every timer's tick is this one or later; a timer lies in the level of the highest six bits in
    /// which its tick differs from this one, so that all timers of one tick lie together, in order.
    @usableFromInline var current: UInt64 = 0
    /// Timers that wait.
    @inlinable public var count: Int { waiting }
    @usableFromInline var waiting = 0

    public init() {}

    @inlinable public var isEmpty: Bool { count == 0 }

    /// Sets a timer. One whose deadline has passed fires at the next `advance`.
    @inlinable
    public mutating func insert(_ deadline: Instant, _ payload: Payload) -> TimerTicket {
        let tick = max(TimerWheel.tick(notBefore: deadline), current)
        let index: UInt32
        if firstFree != TimerWheel.none {
            index = firstFree
            firstFree = nodes[Int(index)].next
            nodes[Int(index)].tick = tick
            nodes[Int(index)].payload = payload
        } else {
            precondition(nodes.count < Int(UInt32.max), "more timers than a ticket can name")
            index = UInt32(nodes.count)
            nodes.append(Node(tick: tick, payload: payload, place: index))
        }
        link(index)
        waiting += 1
        return TimerTicket(slot: index, generation: nodes[Int(index)].generation)
    }

    /// Takes a timer away.
    ///
    /// - Returns: whether it was still waiting.
    @discardableResult
    @inlinable
    public mutating func cancel(_ ticket: TimerTicket) -> Bool {
        guard ticket.slot < nodes.count, nodes[ticket.slot].generation == ticket.generation, nodes[ticket.slot].payload != nil else {
            return false
        }
        unlink(UInt32(ticket.slot))
        _ = free(UInt32(ticket.slot))
        return true
    }

    /// When to call `advance` next; `nil` while no timer waits.
    ///
    /// Never later than the next timer, but perhaps earlier: far timers first move to a finer wheel.
    @inlinable
    public var nextDeadline: Instant? {
        guard let tick = nextTick else { return nil }
        return Instant(nanoseconds: TimeSpan.milliseconds(Int64(tick)).nanoseconds)
    }

    /// Appends the payloads of all timers that are due at `now`, in the order of their deadlines, and forgets those timers.
    ///
    /// A `now` before that of the last call counts as that one.
    @inlinable
    public mutating func advance(to now: Instant, into due: inout [Payload]) {
        let target = max(UInt64(max(now.nanoseconds, 0)) / 1_000_000, current)
        while let tick = nextTick, tick <= target {
            // Everything between lies empty, so that the invariant of `current` holds across the jump.
            let level = TimerWheel.level(tick ^ current)
            current = tick
            if level == 0 { fire(into: &due) } else { cascade(level) }
        }
        current = target
    }

    /// The first tick whose slot holds something; in level 0 the tick of a timer, above it the first tick of a range.
    @inlinable var nextTick: UInt64? {
        for level in 0..<TimerWheel.levels where occupied[level] != 0 {
            let shift = UInt64(level) * TimerWheel.bits
            // A finer level ends before the next slot of a coarser one begins, and no slot lies behind `current`.
            let slot = UInt64(occupied[level].trailingZeroBitCount)
            let finer: UInt64 = (64 << shift) - 1
            return (current & ~finer) | slot << shift
        }
        return nil
    }

    /// Fires the slot of `current`.
    @inlinable
    mutating func fire(into due: inout [Payload]) {
        var index = detach(level: 0)
        while index != TimerWheel.none {
            let next = nodes[Int(index)].next
            if let payload = free(index) { due.append(payload) }
            index = next
        }
    }

    /// Spreads the slot that begins at `current` over the finer levels, oldest first.
    @inlinable
    mutating func cascade(_ level: Int) {
        var index = detach(level: level)
        while index != TimerWheel.none {
            let next = nodes[Int(index)].next
            link(index)
            index = next
        }
    }

    /// Takes the whole slot of `current` off a level, as a chain that ends in `none`.
    @inlinable
    mutating func detach(level: Int) -> UInt32 {
        let slot = current >> (UInt64(level) * TimerWheel.bits) & 63
        let place = level * 64 + Int(slot)
        let first = heads[place]
        guard first != TimerWheel.none else { return first }
        heads[place] = TimerWheel.none
        occupied[level] &= ~(1 << slot)
        nodes[Int(nodes[Int(first)].previous)].next = TimerWheel.none
        return first
    }

    @inlinable
    mutating func link(_ index: UInt32) {
        let (level, slot) = place(of: nodes[Int(index)].tick)
        let first = heads[level * 64 + slot]
        if first == TimerWheel.none {
            heads[level * 64 + slot] = index
            occupied[level] |= 1 << UInt64(slot)
            nodes[Int(index)].next = index
            nodes[Int(index)].previous = index
        } else {
            let last = nodes[Int(first)].previous
            nodes[Int(last)].next = index
            nodes[Int(first)].previous = index
            nodes[Int(index)].next = first
            nodes[Int(index)].previous = last
        }
    }

    @inlinable
    mutating func unlink(_ index: UInt32) {
        let (level, slot) = place(of: nodes[Int(index)].tick)
        let next = nodes[Int(index)].next
        let previous = nodes[Int(index)].previous
        if next == index {
            heads[level * 64 + slot] = TimerWheel.none
            occupied[level] &= ~(1 << UInt64(slot))
        } else {
            nodes[Int(previous)].next = next
            nodes[Int(next)].previous = previous
            if heads[level * 64 + slot] == index { heads[level * 64 + slot] = next }
        }
    }

    /// Gives a node's place back and answers its payload. A place whose generations are used up stays unused.
    @inlinable
    mutating func free(_ index: UInt32) -> Payload? {
        let payload = nodes[Int(index)].payload.take()
        waiting -= 1
        if nodes[Int(index)].generation < .max {
            nodes[Int(index)].generation += 1
            nodes[Int(index)].next = firstFree
            firstFree = index
        }
        return payload
    }

    @inlinable
    func place(of tick: UInt64) -> (level: Int, slot: Int) {
        let level = TimerWheel.level(tick ^ current)
        return (level, Int(tick >> (UInt64(level) * TimerWheel.bits) & 63))
    }

    /// The level of the highest bit in which two ticks differ.
    @inlinable
    static func level(_ difference: UInt64) -> Int {
        (63 - (difference | 1).leadingZeroBitCount) / 6
    }

    @inlinable
    static func tick(notBefore deadline: Instant) -> UInt64 {
        guard deadline.nanoseconds > 0 else { return 0 }
        let (whole, rest) = UInt64(deadline.nanoseconds).quotientAndRemainder(dividingBy: 1_000_000)
        return rest == 0 ? whole : whole + 1
    }
}
