// Agenda: what will happen and when, in order: by its time, and at one time in the order in which it was arranged. The simulation's only
// clock is the time of what it takes off here. Knows nothing of what it holds.
import Base

struct Agenda {
    private struct Entry {
        let due: Instant
        let order: UInt64
        let body: () -> Void

        static func < (left: Entry, right: Entry) -> Bool { (left.due, left.order) < (right.due, right.order) }
    }

    /// A binary heap, the earliest first.
    private var entries: [Entry] = []
    private var lastOrder: UInt64 = 0

    var nextDue: Instant? { entries.first?.due }

    mutating func add(at due: Instant, _ body: @escaping () -> Void) {
        lastOrder += 1
        entries.append(Entry(due: due, order: lastOrder, body: body))
        var child = entries.count - 1
        while child > 0, entries[child] < entries[(child - 1) / 2] {
            entries.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Takes off what is due by `now`, and comes first.
    mutating func takeFirst(dueBy now: Instant) -> (() -> Void)? {
        guard let first = entries.first, first.due <= now else { return nil }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count && entries[child] < entries[least] { least = child }
            guard least != parent else { return first.body }
            entries.swapAt(least, parent)
            parent = least
        }
    }

    mutating func removeAll() { entries = [] }
}
