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
    /// Where the tasks stand that have not ended: as many as whoever takes them in lets live.
    var living = LivingTasks()
    /// The bytes of a name while a statement reads them.
    var nameText = ByteWriter(capacity: 64)
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
        try loadTasks()
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

    private func loadTasks() throws(StorageError) {
        var counts = TaskCounts()
        try database.rows(.countEnded) { row throws(StorageError) in
            let state = try row.value(TaskState.self)
            counts.add(row.integer(), to: state)
            return true
        }
        let mark = Int64(try database.number("SELECT coalesce(max(task), 0) FROM lingering_tasks"))
        let submitted = Int64(try database.number("SELECT coalesce(max(number), 0) FROM submitted_tasks"))
        let ended = Int64(try database.number("SELECT coalesce(max(task), 0) FROM ended_tasks"))
        var living = LivingTasks(mark: mark, lastNumber: max(mark, submitted, ended, 0))
        try database.rows(.liveTasks) { row throws(StorageError) in
            let number = row.number()
            counts.add(1, to: .queued)
            // What is no name is nobody's to ask for; the recovery says so.
            if let id = TaskID(row.bytes().span) { living.found(id, LivingTasks.Entry(number: number, hasPayloadBeside: true)) }
            return true
        }
        self.counts = counts
        self.living = living
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
        var found: Int64?
        try database.rows(.findTask, { $0.add(id) }) { row throws(StorageError) in
            found = row.number()
            return false
        }
        guard let number = found else { return }
        var ended: TaskState?
        try database.rows(.removeEnd, { $0.add(number) }) { row throws(StorageError) in
            ended = try row.value(TaskState.self)
            return true
        }
        counts.add(-1, to: ended ?? .queued)
        if living.remove(id) != nil { try lingerNoMore(number, &database) }
        try removeRows(of: number, &database)
    }

    /// Removes tasks that ended before `cutoff`, with all that stands beside them.
    ///
    /// - Returns: how many there were.
    func removeEnded(before cutoff: WallTime, limit: Int, _ database: inout Database) throws(StorageError) -> Int {
        var removed: [Int64] = []
        let bind: (inout Arguments) -> Void = {
            $0.add(cutoff)
            $0.add(limit)
        }
        try database.rows(.forgetTasks, bind) { row throws(StorageError) in
            removed.append(row.number())
            counts.add(-1, to: try row.value(TaskState.self))
            return true
        }
        for number in removed { try removeRows(of: number, &database) }
        return removed.count
    }

    /// Removes what is left of a task once its end is gone.
    private func removeRows(of number: Int64, _ database: inout Database) throws(StorageError) {
        for part in [Query.removeTask, .removePayload, .removeMetadata, .removeEvents, .removeLogs] {
            try database.run(part) { $0.add(number) }
        }
    }

    /// A task no longer lives. The mark stays where it is, whatever becomes of its task.
    func lingerNoMore(_ number: Int64, _ database: inout Database) throws(StorageError) {
        if number < living.mark { try database.run(.lingerNoMore) { $0.add(number) } }
    }

    /// Moves the mark to the last task, once there are enough behind it: a process that begins looks at those one by one.
    func moveMark(_ database: inout Database) throws(StorageError) {
        let mark = living.mark
        guard living.lastNumber - mark >= settings.unmarkedTasksMax else { return }
        for number in living.numbers where number > mark { try database.run(.linger) { $0.add(number) } }
        living.moveMark()
        let moved = living.mark
        try database.run(.linger) { $0.add(moved) }
        try database.run(.moveMark) { $0.add(mark) }
    }

    /// Runs a change of tasks, as a whole or not at all.
    func change<Result>(_ body: (inout Database) throws(StorageError) -> Result) throws(StorageError) -> Result {
        let before = counts
        do {
            let result = try database.transaction(body)
            living.commit()
            return result
        } catch {
            counts = before
            living.rollBack()
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
