// Tally: how many there are of each name. A name is there as long as somebody bears it, so that the table is never larger than the crowd
// it counts.
public import Base

/// Counts by name.
public struct Tally {
    private var counts: [SharedBytes: Int] = [:]

    init() {}

    /// How many bear the name.
    public subscript(name: SharedBytes) -> Int { counts[name] ?? 0 }

    /// Names that somebody bears.
    public var count: Int { counts.count }

    /// Shows every name and how many bear it, in no order.
    public func forEach(_ body: (SharedBytes, Int) -> Void) {
        for (name, count) in counts { body(name, count) }
    }

    mutating func add(_ name: SharedBytes) { counts[name, default: 0] += 1 }

    mutating func remove(_ name: SharedBytes) {
        guard let count = counts[name] else { preconditionFailure("nobody bears the name \(name)") }
        counts[name] = count > 1 ? count - 1 : nil
        // An empty dictionary keeps the memory of its best days.
        if counts.isEmpty { counts = [:] }
    }
}
