// TopicTable: the topics that somebody listens to, found by name and by slot. A topic is there as long as it has a listener; with the
// last one goes all memory. Knows nothing of who listens.
//
// Cost: a lookup hashes the name once and compares it about once; the index is 4 bytes a place, so that a million topics of one listener
// each stay small.

struct TopicTable {
    struct Row {
        var list = SubscriberList()
        /// Nil where the slot is free.
        fileprivate(set) var topic: Topic?
        /// A task's: the sequence number that was delivered last. A free slot's: the next free slot.
        var delivered: UInt64 = 0
    }

    private var rows: [Row] = []
    private var firstFree = TopicTable.none
    /// Slots by the names' hashes, with linear probing; a power of two of places, or none.
    private var index: [UInt32] = []
    private(set) var count = 0

    private static var none: UInt64 { .max }
    private static var vacant: UInt32 { .max }
    private static let placesMin = 16

    subscript(slot: UInt32) -> Row {
        _read { yield rows[Int(slot)] }
        _modify { yield &rows[Int(slot)] }
    }

    /// The topic's slot, where somebody listens to it.
    func slot(of topic: Topic) -> UInt32? {
        guard count > 0 else { return nil }
        let slot = index[place(of: topic)]
        return slot == TopicTable.vacant ? nil : slot
    }

    /// The place of the topic in the index, or the vacant one where it belongs.
    private func place(of topic: Topic) -> Int {
        let mask = index.count - 1
        var place = home(of: topic)
        while index[place] != TopicTable.vacant, rows[Int(index[place])].topic != topic { place = (place + 1) & mask }
        return place
    }

    private func home(of topic: Topic) -> Int {
        var hasher = Hasher()
        topic.hash(into: &hasher)
        return hasher.finalize() & (index.count - 1)
    }

    /// Takes a topic in.
    ///
    /// - Precondition: it is not there yet.
    mutating func insert(_ topic: Topic) -> UInt32 {
        if (count + 1) * 4 > index.count * 3 { rebuild(places: max(index.count * 2, TopicTable.placesMin)) }
        let slot: UInt32
        if firstFree == TopicTable.none {
            slot = UInt32(rows.count)
            rows.append(Row(topic: topic.owned))
        } else {
            slot = UInt32(firstFree)
            firstFree = rows[Int(slot)].delivered
            rows[Int(slot)] = Row(topic: topic.owned)
        }
        let place = place(of: topic)
        precondition(index[place] == TopicTable.vacant, "the topic \(topic) is there already")
        index[place] = slot
        count += 1
        return slot
    }

    /// Takes a topic out that nobody listens to any more.
    mutating func remove(_ slot: UInt32) {
        guard let topic = rows[Int(slot)].topic else { preconditionFailure("slot \(slot) is free") }
        precondition(rows[Int(slot)].list.isEmpty, "somebody listens to \(topic)")
        count -= 1
        if count == 0 {
            self = TopicTable()
            return
        }
        vacate(place(of: topic))
        rows[Int(slot)] = Row(topic: nil, delivered: firstFree)
        firstFree = UInt64(slot)
        if index.count > TopicTable.placesMin, count * 8 < index.count { rebuild(places: index.count / 2) }
    }

    /// Empties a place and moves up what stood behind it only because it was taken (Knuth 6.4, algorithm R).
    private mutating func vacate(_ first: Int) {
        let mask = index.count - 1
        var hole = first
        var place = first
        while true {
            place = (place + 1) & mask
            let slot = index[place]
            guard slot != TopicTable.vacant, let topic = rows[Int(slot)].topic else { break }
            // Whoever's home lies cyclically in (hole, place] may not go before it.
            if (place - home(of: topic)) & mask >= (place - hole) & mask {
                index[hole] = slot
                hole = place
            }
        }
        index[hole] = TopicTable.vacant
    }

    private mutating func rebuild(places: Int) {
        index = [UInt32](repeating: TopicTable.vacant, count: places)
        for slot in rows.indices {
            guard let topic = rows[slot].topic else { continue }
            index[place(of: topic)] = UInt32(slot)
        }
    }

    /// Shows every topic and how many listen to it.
    func forEach(_ body: (Topic, Int) -> Void) {
        for row in rows {
            if let topic = row.topic { body(topic, row.list.count) }
        }
    }

    /// Bytes that the tables take, without what the lists hold for themselves.
    var tableBytes: Int { rows.capacity * MemoryLayout<Row>.stride + index.capacity * MemoryLayout<UInt32>.stride }
}
