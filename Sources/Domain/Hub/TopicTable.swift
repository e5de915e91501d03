// TopicTable: the topics that somebody listens to, found by name and by slot. A topic is there as long as it has a listener; with the
// last one goes all memory. Knows nothing of who listens.
//
// Cost: a lookup hashes the name once and compares it about once; a row is 64 bytes and 5 to 11 in the index, so that a million topics of
// one listener each stay small.

struct TopicTable {
    struct Row {
        var list = SubscriberList()
        /// Nil where the slot is free.
        fileprivate(set) var topic: Topic?
        /// A task's: the sequence number that was delivered last. A free slot's: the next free slot.
        var delivered: UInt64 = 0

        fileprivate var hash: Int { topic.map { SlotIndex.hash($0) } ?? 0 }
    }

    private var rows: [Row] = []
    private var firstFree = TopicTable.none
    private var index = SlotIndex()
    var count: Int { index.count }

    private static var none: UInt64 { .max }

    subscript(slot: UInt32) -> Row {
        _read { yield rows[Int(slot)] }
        _modify { yield &rows[Int(slot)] }
    }

    /// The topic's slot, where somebody listens to it.
    func slot(of topic: Topic) -> UInt32? {
        index.slot(SlotIndex.hash(topic)) { rows[$0].topic == topic }.map { UInt32($0) }
    }

    /// Takes a topic in.
    ///
    /// - Precondition: it is not there yet.
    mutating func insert(_ topic: Topic) -> UInt32 {
        precondition(slot(of: topic) == nil, "the topic \(topic) is there already")
        let slot: UInt32
        if firstFree == TopicTable.none {
            slot = UInt32(rows.count)
            rows.append(Row(topic: topic.owned))
        } else {
            slot = UInt32(firstFree)
            firstFree = rows[Int(slot)].delivered
            rows[Int(slot)] = Row(topic: topic.owned)
        }
        index.insert(Int(slot)) { [rows] in rows[$0].hash }
        return slot
    }

    /// Takes a topic out that nobody listens to any more.
    mutating func remove(_ slot: UInt32) {
        guard let topic = rows[Int(slot)].topic else { preconditionFailure("slot \(slot) is free") }
        precondition(rows[Int(slot)].list.isEmpty, "somebody listens to \(topic)")
        index.remove(Int(slot)) { [rows] in rows[$0].hash }
        if count == 0 {
            self = TopicTable()
            return
        }
        rows[Int(slot)] = Row(topic: nil, delivered: firstFree)
        firstFree = UInt64(slot)
    }

    /// Shows every topic and how many listen to it.
    func forEach(_ body: (Topic, Int) -> Void) {
        for row in rows {
            if let topic = row.topic { body(topic, row.list.count) }
        }
    }

    /// Bytes that the tables take, without what the lists hold for themselves.
    var tableBytes: Int { rows.capacity * MemoryLayout<Row>.stride + index.byteCount }
}
