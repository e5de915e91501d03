// DeadLetters: the letters in the order of their coming, found by their task's name, bounded in count, bytes and time: the oldest gives
// way. One that is being replayed stays in its place until its new task is written down. Decides nothing else, and writes nothing.
//
// Cost: a letter is an object of 300 bytes besides its own; to come is constant, to go a search and a move of 8 bytes a letter behind it.
// None of it is on the way of a task that succeeds.
internal import Base

struct DeadLetters {
    /// Whether a letter may be had.
    enum Standing: Equatable {
        case waiting
        /// This task takes its place as soon as it is written down.
        case replayed(by: TaskID)
    }

    final class Entry {
        let letter: DeadLetter
        let expiry: Instant
        var standing = Standing.waiting

        init(_ letter: DeadLetter, expiry: Instant) {
            self.letter = letter
            self.expiry = expiry
        }

        var bytes: Int { DeadLetters.ownBytes + letter.ownedBytes }
    }

    private let countMax: Int
    private let bytesMax: Int
    /// By their numbers.
    private(set) var entries: [Entry] = []
    private var byID: [TaskID: Entry] = [:]
    private(set) var bytes = 0
    private var lastNumber: UInt64 = 0

    /// What a letter costs besides the bytes that users gave: itself and its two table entries.
    static let ownBytes = 384

    init(countMax: Int, bytesMax: Int) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    var count: Int { entries.count }

    subscript(id: TaskID) -> Entry? { byID[id] }

    /// The number of the next letter.
    var nextNumber: UInt64 { lastNumber + 1 }

    /// Whether a letter of so many bytes may be kept at all.
    func hasRoom(for letter: DeadLetter) -> Bool { countMax > 0 && DeadLetters.ownBytes + letter.ownedBytes <= bytesMax }

    /// Takes a letter in.
    ///
    /// - Precondition: its number is above those before it, and its name is nobody's.
    mutating func append(_ letter: DeadLetter, expiry: Instant) {
        precondition(letter.number > lastNumber, "letter \(letter.number) after \(lastNumber)")
        // Time may step between two processes; whoever comes later does not go earlier.
        let entry = Entry(letter, expiry: max(expiry, entries.last?.expiry ?? expiry))
        precondition(byID.updateValue(entry, forKey: letter.id) == nil, "task \(letter.id) has failed twice")
        entries.append(entry)
        bytes += entry.bytes
        lastNumber = letter.number
    }

    mutating func remove(_ id: TaskID) -> Entry? {
        guard let entry = byID.removeValue(forKey: id) else { return nil }
        entries.remove(at: place(of: entry.letter.number))
        bytes -= entry.bytes
        return entry
    }

    /// The letter is being replayed no more: its new task could not be written down.
    func reopen(_ id: TaskID, from task: TaskID) {
        guard let entry = byID[id], entry.standing == .replayed(by: task) else { return }
        entry.standing = .waiting
    }

    // MARK: What is too much

    /// When the oldest is to be forgotten.
    var nextExpiry: Instant? { entries.first?.expiry }

    /// Forgets the letters whose time is up, and the oldest of those that are too many.
    ///
    /// - Returns: their names, in the order of their coming.
    mutating func expire(at now: Instant) -> [TaskID] {
        var gone = 0
        var left = bytes
        while gone < entries.count, entries[gone].expiry <= now || entries.count - gone > countMax || left > bytesMax {
            left -= entries[gone].bytes
            gone += 1
        }
        guard gone > 0 else { return [] }
        let names = entries[..<gone].map(\.letter.id)
        for name in names { byID[name] = nil }
        entries.removeFirst(gone)
        bytes = left
        return names
    }

    // MARK: Pages

    /// The place of the first letter whose number is not below this one.
    func place(of number: UInt64) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].letter.number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
