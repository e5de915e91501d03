// KeyedTable: rows that carry their own key, found by it. What a dictionary is, without a second copy of each key and with 4 bytes a place:
// for tables of which there may be a million rows. Rows have no order and no names: one that goes is replaced by the last.
//
// Cost: a look-up hashes the key once and compares it about once; a row is itself and 5 to 11 bytes.

/// What can be found by a part of itself.
protocol Keyed {
    associatedtype Key: Hashable
    var key: Key { get }
}

/// Rows by their keys.
struct KeyedTable<Row: Keyed> {
    private(set) var rows: [Row] = []
    private var index = SlotIndex()

    var count: Int { rows.count }
    var isEmpty: Bool { rows.isEmpty }

    subscript(key: Row.Key) -> Row? { slot(of: key).map { rows[$0] } }

    private func slot(of key: Row.Key) -> Int? { index.slot(SlotIndex.hash(key)) { rows[$0].key == key } }

    /// Takes a row in.
    ///
    /// - Precondition: none of its key is there yet.
    mutating func insert(_ row: Row) {
        precondition(slot(of: row.key) == nil, "there is a row named \(row.key)")
        rows.append(row)
        index.insert(rows.count - 1) { [rows] in SlotIndex.hash(rows[$0].key) }
    }

    /// Takes a row out; nil where there is none of that key.
    @discardableResult
    mutating func remove(_ key: Row.Key) -> Row? {
        guard let slot = slot(of: key) else { return nil }
        index.remove(slot) { [rows] in SlotIndex.hash(rows[$0].key) }
        let last = rows.count - 1
        if slot != last {
            index.move(last, to: slot, hash: SlotIndex.hash(rows[last].key))
            rows.swapAt(slot, last)
        }
        let row = rows.removeLast()
        // An empty array keeps the memory of its best days.
        if rows.isEmpty { rows = [] }
        return row
    }

    /// Changes a row in place, but not its key; nil, and nothing done, where there is none.
    mutating func with<Result>(_ key: Row.Key, _ body: (inout Row) -> Result) -> Result? {
        slot(of: key).map { body(&rows[$0]) }
    }
}
