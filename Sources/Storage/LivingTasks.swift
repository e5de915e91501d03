// LivingTasks: where the stored tasks stand that have not ended, so that nothing is searched for when one of them goes on, and what a
// process that begins has to look at to find them again: the tasks of a list, and all behind the list's highest, its mark. Follows a
// transaction back where it fails. Knows no database.
//
// Cost: a look-up each, 0.1 µs; the list is written every few thousand tasks, and has only those that live then.
import Domain

/// The stored tasks that have not ended, by name.
struct LivingTasks {
    struct Entry: Equatable {
        /// Of the task's row.
        let number: Int64
        /// Whether its payload may have a row of its own.
        let hasPayloadBeside: Bool
    }

    private var entries: [TaskID: Entry] = [:]
    /// Every task that lives and whose number is not above this one is in the list, and so is the mark itself.
    private(set) var mark: Int64
    /// The highest number that was given.
    private(set) var lastNumber: Int64
    /// What was there before each change of the transaction that is open, and both numbers at its beginning.
    private var undone: [(id: TaskID, entry: Entry?)] = []
    private var before: (mark: Int64, lastNumber: Int64)

    init(mark: Int64 = 0, lastNumber: Int64 = 0) {
        self.mark = mark
        self.lastNumber = lastNumber
        before = (mark, lastNumber)
    }

    subscript(id: TaskID) -> Entry? { entries[id] }

    var numbers: some Sequence<Int64> { entries.values.lazy.map(\.number) }

    /// A task that lives was read back.
    mutating func found(_ id: TaskID, _ entry: Entry) { entries[id] = entry }

    // MARK: Within a transaction

    /// The number of the next task's row; nil where there is none left, which a damaged file may say.
    mutating func nextNumber() -> Int64? {
        guard lastNumber < .max else { return nil }
        lastNumber += 1
        return lastNumber
    }

    mutating func insert(_ id: TaskID, _ entry: Entry) { undone.append((id, entries.updateValue(entry, forKey: id))) }

    /// - Returns: what was there.
    @discardableResult
    mutating func remove(_ id: TaskID) -> Entry? {
        guard let entry = entries.removeValue(forKey: id) else { return nil }
        undone.append((id, entry))
        return entry
    }

    /// The list is complete up to the last number.
    mutating func moveMark() { mark = lastNumber }

    mutating func commit() {
        undone.removeAll(keepingCapacity: undone.count <= 4_096)
        before = (mark, lastNumber)
    }

    mutating func rollBack() {
        for (id, entry) in undone.reversed() { entries[id] = entry }
        (mark, lastNumber) = before
        commit()
    }
}
