// SlotIndex: finds a row's slot by what stands in the row. Holds slots and nothing else: the keys stay with the rows, whose owner says what
// a slot hashes to and whether it is the one that is meant.
//
// Cost: a look-up walks one or two places and asks the owner about each; 4 bytes a place, three quarters of the places taken at most, so
// that a row costs 5 to 11 bytes here.

/// Slots by the hashes of their rows, with linear probing.
struct SlotIndex {
    /// A power of two of them, or none.
    private var places: [UInt32] = []
    /// Rows that can be found.
    private(set) var count = 0

    private static var vacant: UInt32 { .max }
    private static let placesMin = 16

    /// The hash of a key, in a run of the program.
    @inline(__always)
    static func hash<Key: Hashable>(_ key: Key) -> Int {
        var hasher = Hasher()
        key.hash(into: &hasher)
        return hasher.finalize()
    }

    /// The slot whose row has this hash and is meant.
    @inline(__always)
    func slot(_ hash: Int, where isMeant: (Int) -> Bool) -> Int? {
        guard count > 0 else { return nil }
        let slot = places[place(hash, where: isMeant)]
        return slot == SlotIndex.vacant ? nil : Int(slot)
    }

    /// The place of the row that is meant, or the vacant one where it belongs.
    @inline(__always)
    private func place(_ hash: Int, where isMeant: (Int) -> Bool) -> Int {
        let mask = places.count - 1
        var place = hash & mask
        while places[place] != SlotIndex.vacant, !isMeant(Int(places[place])) { place = (place + 1) & mask }
        return place
    }

    /// Takes a row in.
    ///
    /// - Parameter hash: what each row hashes to, this one included.
    /// - Precondition: no row of its key is there yet.
    mutating func insert(_ slot: Int, by hash: (Int) -> Int) {
        if (count + 1) * 4 > places.count * 3 { rebuild(max(places.count * 2, SlotIndex.placesMin), by: hash) }
        put(slot, hash(slot))
        count += 1
    }

    /// Takes a row out, which is still there to be asked.
    mutating func remove(_ slot: Int, by hash: (Int) -> Int) {
        count -= 1
        if count == 0 {
            self = SlotIndex()
            return
        }
        vacate(place(hash(slot)) { $0 == slot }, by: hash)
        if places.count > SlotIndex.placesMin, count * 8 < places.count { rebuild(places.count / 2, by: hash) }
    }

    /// The row of that hash has another slot from now on.
    mutating func move(_ slot: Int, to new: Int, hash: Int) {
        let place = place(hash) { $0 == slot }
        precondition(places[place] != SlotIndex.vacant, "slot \(slot) is not in the index")
        places[place] = UInt32(new)
    }

    private mutating func put(_ slot: Int, _ hash: Int) {
        places[place(hash) { _ in false }] = UInt32(slot)
    }

    /// Empties a place and moves up what stood behind it only because it was taken (Knuth 6.4, algorithm R).
    private mutating func vacate(_ first: Int, by hash: (Int) -> Int) {
        precondition(places[first] != SlotIndex.vacant, "the row is not in the index")
        let mask = places.count - 1
        var hole = first
        var place = first
        while true {
            place = (place + 1) & mask
            let slot = places[place]
            guard slot != SlotIndex.vacant else { break }
            // Whoever's home lies cyclically in (hole, place] may not go before it.
            if (place - hash(Int(slot))) & mask >= (place - hole) & mask {
                places[hole] = slot
                hole = place
            }
        }
        places[hole] = SlotIndex.vacant
    }

    private mutating func rebuild(_ count: Int, by hash: (Int) -> Int) {
        let former = places
        places = [UInt32](repeating: SlotIndex.vacant, count: count)
        for slot in former where slot != SlotIndex.vacant { put(Int(slot), hash(Int(slot))) }
    }

    /// Bytes that the index takes.
    var byteCount: Int { places.capacity * MemoryLayout<UInt32>.stride }
}
