// SlotTable: a slab whose rows are reused and whose identities never are. Connections, workers and subscribers live in one each. Knows
// nothing of what it holds; a late identity finds nothing.
//
// Cost: a lookup is a bound, a load and a compare; insert and remove add a link of the free list. Growth doubles and moves the rows.

/// What names a row: its slot, and the generation that tells it from the rows that used the slot before.
public protocol SlotKey: Hashable, Sendable {
    init(slot: UInt32, generation: UInt32)
    var slot: Int { get }
    var generation: UInt32 { get }
}

extension ConnectionID: SlotKey {}

/// Rows in slots, found by slot and generation.
///
/// Generations start at 1, so that a key of zeros names nobody, and grow by one with each reuse; a slot whose generations are used up is
/// never used again. The slot that was freed last is reused first: its memory is warm.
// @safe: the memory is this value's own; a row is touched only below `capacity` and only while its link says that it is taken.
@safe
public struct SlotTable<Key: SlotKey, Element: ~Copyable>: ~Copyable {
    /// What is known of a slot besides its row.
    @usableFromInline
    struct Slot {
        @usableFromInline var generation: UInt32
        /// The next free slot, or `taken`.
        @usableFromInline var link: UInt32

        @inlinable
        init(generation: UInt32, link: UInt32) {
            self.generation = generation
            self.link = link
        }
    }

    @inlinable static var taken: UInt32 { .max }
    @inlinable static var none: UInt32 { .max - 1 }

    @usableFromInline var slots: [Slot] = []
    @usableFromInline var rows: UnsafeMutablePointer<Element>
    @usableFromInline var capacity = 0
    @usableFromInline var firstFree: UInt32 = .max - 1
    /// Rows held.
    @inlinable public var count: Int { held }
    @usableFromInline var held = 0
    /// Rows that may be held at once.
    public let countMax: Int

    /// - Parameter countMax: rows that may be held at once; the owner refuses more with its own words.
    public init(countMax: Int) {
        precondition(countMax > 0 && countMax < Int(UInt32.max) - 1, "a table of \(countMax) rows")
        self.countMax = countMax
        unsafe rows = .allocate(capacity: 0)
    }

    deinit {
        for slot in 0..<slots.count where slots[slot].link == Self.taken { unsafe (rows + slot).deinitialize(count: 1) }
        unsafe rows.deallocate()
    }

    @inlinable public var isEmpty: Bool { count == 0 }
    @inlinable public var isFull: Bool { count == countMax }

    /// Whether the key still names a row.
    @inlinable
    public func contains(_ key: Key) -> Bool {
        let slot = key.slot
        return slot < slots.count && slots[slot].generation == key.generation && slots[slot].link == Self.taken
    }

    /// Takes a row in.
    ///
    /// - Precondition: the table is not full.
    /// - Complexity: O(1); where it grows, O(`count`).
    @inlinable
    public mutating func insert(_ element: consuming Element) -> Key {
        precondition(count < countMax, "more than \(countMax) rows")
        let slot: Int
        if firstFree != Self.none {
            slot = Int(firstFree)
            firstFree = slots[slot].link
            slots[slot].link = Self.taken
        } else {
            slot = slots.count
            precondition(slot < Int(Self.none), "every slot there is has been used up")
            if slot == capacity { grow() }
            slots.append(Slot(generation: 1, link: Self.taken))
        }
        unsafe (rows + slot).initialize(to: element)
        held += 1
        return Key(slot: UInt32(slot), generation: slots[slot].generation)
    }

    @inlinable
    mutating func grow() {
        let wanted = max(capacity * 2, 16)
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: wanted)
        for slot in 0..<slots.count where slots[slot].link == Self.taken {
            unsafe (larger + slot).moveInitialize(from: rows + slot, count: 1)
        }
        unsafe rows.deallocate()
        unsafe rows = larger
        capacity = wanted
    }

    /// Takes a row out; `nil` where the key names nobody.
    @discardableResult
    @inlinable
    public mutating func remove(_ key: Key) -> Element? {
        guard contains(key) else { return nil }
        let slot = key.slot
        if slots[slot].generation == .max {
            // Used up: one more round would bring old keys back to life.
            slots[slot].link = Self.none
        } else {
            slots[slot].generation += 1
            slots[slot].link = firstFree
            firstFree = UInt32(slot)
        }
        held -= 1
        return unsafe (rows + slot).move()
    }

    /// The row, in place.
    ///
    /// - Precondition: the key names a row; ask `contains` about a key that may be late.
    @inlinable
    public subscript(key: Key) -> Element {
        _read {
            precondition(contains(key), "no row is named \(key.slot).\(key.generation)")
            yield unsafe rows[key.slot]
        }
        _modify {
            precondition(contains(key), "no row is named \(key.slot).\(key.generation)")
            yield unsafe &rows[key.slot]
        }
    }

    /// Does something to the row in place; `nil`, and nothing done, where the key names nobody.
    @inlinable
    public mutating func with<Result, Failure: Error>(
        _ key: Key, _ body: (inout Element) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard contains(key) else { return nil }
        return try unsafe body(&rows[key.slot])
    }

    /// The key of the row in `slot`, if there is one.
    @inlinable
    public func key(inSlot slot: Int) -> Key? {
        guard slot >= 0, slot < slots.count, slots[slot].link == Self.taken else { return nil }
        return Key(slot: UInt32(slot), generation: slots[slot].generation)
    }

    /// Slots ever used: `key(inSlot:)` over `0..<slotCount` meets every row, also while rows are taken out.
    @inlinable public var slotCount: Int { slots.count }

    /// Shows every row, in the order of the slots.
    @inlinable
    public func forEach(_ body: (Key, borrowing Element) -> Void) {
        for slot in 0..<slots.count where slots[slot].link == Self.taken {
            unsafe body(Key(slot: UInt32(slot), generation: slots[slot].generation), rows[slot])
        }
    }

    /// Shows every row in place and open to change, in the order of the slots.
    @inlinable
    public mutating func forEachInPlace(_ body: (Key, inout Element) -> Void) {
        for slot in 0..<slots.count where slots[slot].link == Self.taken {
            unsafe body(Key(slot: UInt32(slot), generation: slots[slot].generation), &rows[slot])
        }
    }
}

extension SlotTable where Element: Copyable {
    /// A copy of the row; `nil` where the key names nobody.
    @inlinable
    public func element(_ key: Key) -> Element? {
        guard contains(key) else { return nil }
        return unsafe rows[key.slot]
    }

    /// The keys of all rows, in the order of the slots.
    public var keys: [Key] {
        (0..<slots.count).compactMap { key(inSlot: $0) }
    }
}
