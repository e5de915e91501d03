// SubscriberList: who listens to one topic, kept together by format. Knows slots and numbers, not subscribers: whoever owns it is told
// when an entry changes its position, so that the way back from the subscriber stays true.
//
// Cost: insert and remove move at most one entry of each format; nothing is searched. A lone listener stands in the list itself, without
// memory of its own; a crowd is 16 bytes a listener in one array.

/// The listeners of one topic.
struct SubscriberList {
    /// One listener.
    struct Entry {
        /// The hub's number when it joined: it is told what came after.
        var joined: UInt64
        /// The subscriber's slot.
        let slot: UInt32
        /// Which of the subscriber's subscriptions this is.
        var index: UInt8
        let format: Format
    }

    /// Two listeners or more.
    private final class Crowd {
        var entries: [Entry]
        /// Where each format's bucket ends; it begins where the one before ends.
        var ends: Format.Ends
        /// No entry joined later.
        var latestJoin: UInt64

        init(_ first: Entry) {
            entries = [first]
            ends = InlineArray { $0 >= Int(first.format.rawValue) ? 1 : 0 }
            latestJoin = first.joined
        }

        func start(of bucket: Int) -> Int { bucket == 0 ? 0 : ends[bucket - 1] }
    }

    private var lone: Entry?
    private var crowd: Crowd?

    var count: Int { crowd?.entries.count ?? (lone == nil ? 0 : 1) }
    var isEmpty: Bool { lone == nil && crowd == nil }

    /// A number that nobody joined after.
    var latestJoin: UInt64 { crowd?.latestJoin ?? lone?.joined ?? 0 }

    /// The formats that somebody listens in.
    var formats: FormatSet {
        guard let crowd else { return lone.map { FormatSet($0.format) } ?? [] }
        var set: FormatSet = []
        for format in Format.allCases where crowd.start(of: Int(format.rawValue)) < crowd.ends[Int(format.rawValue)] {
            set.insert(FormatSet(format))
        }
        return set
    }

    /// Shows the listeners of one format.
    @inline(__always)
    func forEach(in format: Format, _ body: (Entry) -> Void) {
        if let crowd {
            let bucket = Int(format.rawValue)
            for position in crowd.start(of: bucket)..<crowd.ends[bucket] { body(crowd.entries[position]) }
        } else if let lone, lone.format == format {
            body(lone)
        }
    }

    /// Shows every listener.
    func forEach(_ body: (Entry) -> Void) {
        for format in Format.allCases { forEach(in: format, body) }
    }

    subscript(position: Int) -> Entry {
        get {
            if let crowd { return crowd.entries[position] }
            guard position == 0, let lone else { preconditionFailure("listener \(position) of \(count)") }
            return lone
        }
    }

    /// The subscriber's subscription has moved to `index`.
    mutating func setIndex(_ index: UInt8, at position: Int) {
        if let crowd { crowd.entries[position].index = index } else { lone?.index = index }
    }

    /// The listener has a new picture of how things stand.
    mutating func setJoined(_ number: UInt64, at position: Int) {
        if let crowd {
            crowd.entries[position].joined = number
            crowd.latestJoin = max(crowd.latestJoin, number)
        } else {
            lone?.joined = number
        }
    }

    /// Adds a listener.
    ///
    /// - Parameter moved: told of every other entry that has a new position.
    /// - Returns: the new entry's position.
    mutating func insert(_ entry: Entry, moved: (Entry, Int) -> Void) -> Int {
        guard crowd != nil || lone != nil else {
            lone = entry
            return 0
        }
        let crowd: Crowd
        if let known = self.crowd {
            crowd = known
        } else {
            guard let lone else { preconditionFailure("a list that is neither empty nor not") }
            crowd = Crowd(lone)
            self.crowd = crowd
            self.lone = nil
        }
        crowd.latestJoin = max(crowd.latestJoin, entry.joined)
        var hole = crowd.entries.count
        crowd.entries.append(entry)
        // Each later bucket gives its first place and takes the one behind its last.
        let bucket = Int(entry.format.rawValue)
        var later = Format.count - 1
        while later > bucket {
            let start = crowd.ends[later - 1]
            if start < crowd.ends[later] {
                crowd.entries[hole] = crowd.entries[start]
                moved(crowd.entries[hole], hole)
                hole = start
            }
            crowd.ends[later] += 1
            later -= 1
        }
        crowd.ends[bucket] += 1
        crowd.entries[hole] = entry
        return hole
    }

    /// Takes the listener at `position` out.
    ///
    /// - Parameter moved: told of every other entry that has a new position.
    mutating func remove(at position: Int, moved: (Entry, Int) -> Void) {
        guard let crowd else {
            precondition(position == 0 && lone != nil, "listener \(position) of \(count)")
            lone = nil
            return
        }
        let bucket = Int(crowd.entries[position].format.rawValue)
        var hole = position
        for later in bucket..<Format.count {
            // The buckets before have lost their last place already: this one begins behind the hole.
            let last = crowd.ends[later] - 1
            if last > hole {
                crowd.entries[hole] = crowd.entries[last]
                moved(crowd.entries[hole], hole)
                hole = last
            }
            crowd.ends[later] = last
        }
        crowd.entries.removeLast()
        if crowd.entries.count == 1 {
            lone = crowd.entries[0]
            self.crowd = nil
        } else if crowd.entries.capacity > 64, crowd.entries.count * 4 < crowd.entries.capacity {
            var smaller: [Entry] = []
            smaller.reserveCapacity(crowd.entries.count * 2)
            smaller.append(contentsOf: crowd.entries)
            crowd.entries = smaller
        }
    }
}
