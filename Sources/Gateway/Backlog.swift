// Backlog: what one watcher could not be sent yet because it reads too slowly: in order, but newer progress of a stream takes the place of
// older, and the oldest logs give way to a note of the gap. Status, endings and what is said to it alone always stay. Sends nothing and
// closes nobody: whoever owns it knows the limit and the connection.
//
// Cost: an operation is a few stores and a look-up or two; a watcher that keeps up has none, and pays a pointer for it.
internal import Base
internal import Domain
internal import WebSockets

final class Backlog {
    /// Logs that were left out.
    struct Gap: Equatable {
        let task: TaskID
        var first: UInt64
        var last: UInt64
        /// When the last of them was said.
        var at: WallTime
    }

    /// What comes out.
    enum Piece {
        case delivery(Delivery, number: UInt64)
        /// Said to this watcher alone.
        case message(MessageKind, SharedBytes)
        case gap(Gap)
    }

    /// What became of those that waited when another one came.
    struct Toll: Equatable {
        var conflated = 0
        var logsLeftOut = 0
    }

    private enum Role {
        case kept
        case replaceable(key: UInt64)
        case log(Gap)
        case gap
    }

    private struct Item {
        /// Nil in a free slot.
        var piece: Piece?
        var role: Role
        var bytes: Int
        /// Whose stream it belongs to; nil for what is said to the watcher alone.
        let stream: UInt64?
        /// The neighbours' slots, in the order of leaving; a free slot's `next` is the next free one.
        var previous = Backlog.none
        var next = Backlog.none
        /// The neighbours of the same stream.
        var earlier = Backlog.none
        var later = Backlog.none
    }

    /// No slot.
    private static let none = -1
    /// What an item costs besides its bytes.
    static let itemBytes = 160

    private var items: [Item] = []
    private var firstFree = Backlog.none
    private var first = Backlog.none
    private var last = Backlog.none
    /// The last item of each stream.
    private var tails: [UInt64: Int] = [:]
    /// What may be replaced, by its key.
    private var replaceables: [UInt64: Int] = [:]
    /// The logs' slots in order; the first `logHead` have left.
    private var logs: [Int] = []
    private var logHead = 0
    private let logBytesMax: Int
    private var logBytes = 0
    /// What it holds, with what keeping it costs.
    private(set) var byteCount = 0

    /// - Parameter logBytesMax: logs that may wait before the oldest are left out.
    init(logBytesMax: Int) { self.logBytesMax = logBytesMax }

    var isEmpty: Bool { first == Backlog.none }

    // MARK: In

    /// Joins a publication behind everything that waits.
    func append(_ delivery: Delivery, of occasion: Occasion) -> Toll {
        var toll = Toll()
        let role: Role
        switch occasion.waiting {
        case .kept: role = .kept
        case .replaceable(let key):
            role = .replaceable(key: key)
            if let older = replaceables[key] {
                remove(older)
                toll.conflated = 1
            }
        case .log(let gap): role = .log(gap)
        }
        let bytes = delivery.bytes.count + Backlog.itemBytes
        let slot = insert(Item(
            piece: .delivery(delivery, number: occasion.number), role: role, bytes: bytes, stream: occasion.stream))
        switch role {
        case .kept, .gap: break
        case .replaceable(let key): replaceables[key] = slot
        case .log:
            logs.append(slot)
            logBytes += bytes
            while logBytes > logBytesMax, leaveOutOldestLog() { toll.logsLeftOut += 1 }
        }
        return toll
    }

    /// Joins what is said to the watcher alone behind everything that waits.
    func append(_ kind: MessageKind, _ text: SharedBytes) {
        _ = insert(Item(piece: .message(kind, text), role: .kept, bytes: text.count + Backlog.itemBytes, stream: nil))
    }

    private func insert(_ item: Item) -> Int {
        let slot: Int
        if firstFree == Backlog.none {
            slot = items.count
            items.append(item)
        } else {
            slot = firstFree
            firstFree = items[slot].next
            items[slot] = item
        }
        items[slot].previous = last
        if last == Backlog.none { first = slot } else { items[last].next = slot }
        last = slot
        if let stream = item.stream {
            if let tail = tails[stream] {
                items[slot].earlier = tail
                items[tail].later = slot
            }
            tails[stream] = slot
        }
        byteCount += item.bytes
        return slot
    }

    // MARK: Giving way

    private func leaveOutOldestLog() -> Bool {
        guard logHead < logs.count else { return false }
        let slot = logs[logHead]
        guard case .log(let gap) = items[slot].role else { preconditionFailure("slot \(slot) holds no log") }
        forgetOldestLog()
        items[slot].piece = .gap(gap)
        items[slot].role = .gap
        byteCount -= items[slot].bytes - Backlog.itemBytes
        items[slot].bytes = Backlog.itemBytes
        join(items[slot].earlier, slot)
        return true
    }

    private func forgetOldestLog() {
        logBytes -= items[logs[logHead]].bytes
        logHead += 1
        guard logHead > 64, logHead * 2 > logs.count else { return }
        logs.removeFirst(logHead)
        logHead = 0
    }

    /// Two gaps of a stream with nothing between them are one.
    private func join(_ earlier: Int, _ later: Int) {
        guard earlier != Backlog.none, later != Backlog.none, case .gap(var gap) = items[earlier].piece,
            case .gap(let next) = items[later].piece
        else { return }
        gap.last = next.last
        gap.at = next.at
        items[earlier].piece = .gap(gap)
        remove(later)
    }

    /// Takes an item out of its place; what is known of it by other names is not looked at.
    private func remove(_ slot: Int) {
        let item = items[slot]
        if item.previous == Backlog.none { first = item.next } else { items[item.previous].next = item.next }
        if item.next == Backlog.none { last = item.previous } else { items[item.next].previous = item.previous }
        if item.earlier != Backlog.none { items[item.earlier].later = item.later }
        if item.later != Backlog.none { items[item.later].earlier = item.earlier }
        if let stream = item.stream, tails[stream] == slot { tails[stream] = item.earlier == Backlog.none ? nil : item.earlier }
        byteCount -= item.bytes
        items[slot].piece = nil
        items[slot].next = firstFree
        firstFree = slot
        join(item.earlier, item.later)
    }

    // MARK: Out

    /// Takes what leaves first.
    func popFirst() -> Piece? {
        guard first != Backlog.none else { return nil }
        let slot = first
        let piece = items[slot].piece
        switch items[slot].role {
        case .kept, .gap: break
        case .replaceable(let key): if replaceables[key] == slot { replaceables[key] = nil }
        case .log: forgetOldestLog()
        }
        remove(slot)
        return piece
    }
}
