// Tally: how many there are of each name. A name is there as long as somebody bears it, so that the table is never larger than the crowd
// it counts; it is kept once, and who bears it may share those bytes.
public import Base

/// Counts by name.
public struct Tally {
    private struct Row: Keyed {
        let key: SharedBytes
        var count: UInt32
    }

    private var rows = KeyedTable<Row>()

    init() {}

    /// How many bear the name.
    public subscript(name: SharedBytes) -> Int { rows[name].map { Int($0.count) } ?? 0 }

    /// Names that somebody bears.
    public var count: Int { rows.count }

    /// Shows every name and how many bear it, in no order.
    public func forEach(_ body: (SharedBytes, Int) -> Void) {
        for row in rows.rows { body(row.key, Int(row.count)) }
    }

    /// Somebody bears the name.
    ///
    /// - Returns: the name in the bytes that all have who bear it: what is given may be a slice of a request.
    @discardableResult
    mutating func add(_ name: SharedBytes) -> SharedBytes {
        let known = rows.with(name) { row in
            row.count += 1
            return row.key
        }
        if let known { return known }
        let own = name.compact
        rows.insert(Row(key: own, count: 1))
        return own
    }

    mutating func remove(_ name: SharedBytes) {
        let left = rows.with(name) { row in
            row.count -= 1
            return row.count
        }
        guard let left else { preconditionFailure("nobody bears the name \(name)") }
        if left == 0 { rows.remove(name) }
    }
}
