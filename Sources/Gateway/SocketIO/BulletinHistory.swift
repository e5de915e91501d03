// BulletinHistory: the last events of one channel, in their order, so that whoever comes back is told what it missed and whoever
// begins is told how things stand. In memory only.
internal import Base
internal import Domain

struct BulletinHistory {
    private struct Entry {
        let edition: Edition
        /// What it counted for when it came.
        let bytes: Int
    }

    /// Oldest first, from `head` on.
    private var entries: [Entry] = []
    private var head = 0
    private var bytes = 0
    /// The offset of the last that is held no more.
    private(set) var droppedOffset: UInt64 = 0
    private let countMax: Int
    private let bytesMax: Int

    init(countMax: Int, bytesMax: Int) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    /// Keeps an edition, the newest; behind its delivery, so that the texts that were written count as they are.
    mutating func append(_ edition: Edition) {
        let entry = Entry(edition: edition, bytes: edition.byteCount)
        entries.append(entry)
        bytes += entry.bytes
        while entries.count - head > countMax || bytes > bytesMax && entries.count - head > 1 { dropFirst() }
    }

    private mutating func dropFirst() {
        droppedOffset = entries[head].edition.bulletin.offset
        bytes -= entries[head].bytes
        head += 1
        // What was dropped is held until then: an eighth at most, so that the bounds are bounds, and each entry moves eight times at most.
        guard head > 64, head * 8 > entries.count else { return }
        entries.removeFirst(head)
        head = 0
    }

    /// What came behind the offset, oldest first; nil where some of it is held no more.
    func since(_ offset: UInt64) -> [Edition]? {
        guard offset >= droppedOffset else { return nil }
        var low = head
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].edition.bulletin.offset <= offset { low = middle + 1 } else { high = middle }
        }
        return entries[low...].map(\.edition)
    }

    /// The last so many that `isWanted`, oldest first. Looks no further back than `depth`.
    func last(_ count: Int, depth: Int, where isWanted: (Bulletin) -> Bool) -> [Edition] {
        var found: [Edition] = []
        for entry in entries[max(head, entries.count - depth)...].reversed() where isWanted(entry.edition.bulletin) {
            found.append(entry.edition)
            if found.count == count { break }
        }
        return found.reversed()
    }
}
