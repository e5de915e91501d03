// Store: the database with the meaning of its rows: one transaction a group of records. Not what is written for which record
// (Store+Records), not the queue in front of it (Journal) and not the questions (HistoryQueries, Recovery). Confined: the journal holds it
// in a lock and touches it from its own queue.
//
// Cost: a commit is a write of the pages that changed and, for promises, an fsync, which dominates.
import Base
import Domain

/// An open store.
final class Store {
    var database: Database
    let settings: StorageSettings
    let location: StorageLocation
    private let lock: DirectoryLock?
    /// Tasks by state, as of the last commit.
    var counts = TaskCounts()
    /// Whether the last commit was forced to the disk.
    private(set) var isSynchronous: Bool

    static let fileName = "signalbox.db"

    init(_ location: StorageLocation, _ settings: StorageSettings, schema: Schema = .current) throws(StorageError) {
        self.location = location
        self.settings = settings
        switch location {
        case .directory(let path):
            lock = try DirectoryLock(path)
            database = try Database(path + "/" + Store.fileName)
        case .memory:
            lock = nil
            database = try Database(nil)
        }
        isSynchronous = settings.durability == .powerLoss
        // Whose file it is, and which version, comes before the first write to it.
        database.setBusyTimeout(milliseconds: Int(settings.busyTimeout.milliseconds))
        _ = try schema.version(of: &database)
        try configure()
        try schema.migrate(&database)
        try loadCounts()
    }

    private func configure() throws(StorageError) {
        var pragmas = [
            "journal_mode = WAL",
            "synchronous = \(isSynchronous ? "FULL" : "NORMAL")",
            // What is left over in temporary files would outlive the process and have another owner's rights.
            "temp_store = MEMORY",
            "cache_size = -\(max(settings.cacheBytes / 1_024, 64))",
            "secure_delete = FAST",
            "trusted_schema = OFF",
        ]
        let pagesMax = location == .memory ? settings.memoryPagesMax : settings.filePagesMax
        if let pagesMax { pragmas.append("max_page_count = \(pagesMax)") }
        for pragma in pragmas { try database.execute("PRAGMA " + pragma) }
    }

    private func loadCounts() throws(StorageError) {
        var counts = TaskCounts()
        try database.rows(.countTasks) { row throws(StorageError) in
            let state = try row.value(TaskState.self)
            counts.add(row.integer(), to: state)
            return true
        }
        self.counts = counts
    }

    // MARK: Writing

    /// Writes a group of batches as a whole or not at all.
    func commit(_ group: [[RecordEntry]]) throws(StorageError) {
        let hasPromise = group.contains { $0.contains { $0.isAwaited || $0.record.isPromise } }
        let group = FoldedGroup(group)
        try setSynchronous(hasPromise && settings.durability == .powerLoss)
        do {
            try write(group)
        } catch .full where location == .memory {
            try makeRoom()
            try write(group)
        }
    }

    /// In memory the oldest history gives way to the newest: a sixteenth of the room at a time, or all there is.
    private func makeRoom() throws(StorageError) {
        let wanted = settings.memoryPagesMax / 16
        while try database.number("PRAGMA freelist_count") < wanted {
            if try forget(before: WallTime(milliseconds: .max)).rows == 0 { return }
        }
    }

    /// Only promises are worth an fsync; the next one carries everything before it along, because the log is one file.
    private func setSynchronous(_ wanted: Bool) throws(StorageError) {
        guard wanted != isSynchronous else { return }
        try database.execute(wanted ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
        isSynchronous = wanted
    }

    /// After a commit, when nobody waits for it: keeps the write-ahead log short.
    func tidy() throws(StorageError) {
        guard database.pagesInLog >= settings.checkpointPages else { return }
        try database.checkpoint(.passive)
    }

    /// Moves everything into the one file. The store is not used afterwards.
    func close() throws(StorageError) {
        if location != .memory { try database.checkpoint(.truncate) }
    }

    // MARK: Removing

    func remove(_ id: TaskID, _ database: inout Database) throws(StorageError) {
        try remove(.removeTask, { $0.add(id) }, &database)
    }

    /// Removes the tasks that `query` deletes, with all that stands beside them.
    ///
    /// - Returns: how many there were.
    @discardableResult
    func remove(
        _ query: Query, _ bind: (inout Arguments) -> Void, _ database: inout Database
    ) throws(StorageError) -> Int {
        var removed: [Int64] = []
        try database.rows(query, bind) { row throws(StorageError) in
            removed.append(row.number())
            counts.add(-1, to: try row.value(TaskState.self))
            return true
        }
        for number in removed {
            for part in [Query.removePayload, .removeMetadata, .removeOutcome, .removeEvents, .removeLogs] {
                try database.run(part) { $0.add(number) }
            }
        }
        return removed.count
    }

    /// Runs a change that counts tasks, as a whole or not at all.
    func change<Result>(_ body: (inout Database) throws(StorageError) -> Result) throws(StorageError) -> Result {
        let before = counts
        do {
            return try database.transaction(body)
        } catch {
            counts = before
            throw error
        }
    }
}

/// Tasks that are remembered in the database, by how they stand.
public struct TaskCounts: Sendable, Equatable {
    /// Queued or executing.
    public private(set) var active = 0
    public private(set) var completed = 0
    public private(set) var failed = 0
    public private(set) var cancelled = 0

    public var total: Int { active + completed + failed + cancelled }

    mutating func add(_ count: Int, to state: TaskState) {
        switch state {
        case .queued, .executing: active += count
        case .completed: completed += count
        case .failed: failed += count
        case .cancelled: cancelled += count
        }
    }
}
