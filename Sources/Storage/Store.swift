// Store: the database with the meaning of its rows: writes records, one transaction a group. Not the queue in front of it (Journal) and
// not the questions (HistoryQueries, Recovery). Confined: the journal holds it in a lock and touches it from its own queue.
//
// Cost: a record is one to four prepared statements of 2 to 5 µs; a commit is a write and, for promises, an fsync, which dominates.
import Base
import Domain

/// An open store.
final class Store {
    var database: Database
    let settings: StorageSettings
    let location: StorageLocation
    private let lock: DirectoryLock?
    /// Tasks by state, as of the last commit.
    private(set) var counts = TaskCounts()
    private var isSynchronous: Bool

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
            "wal_autocheckpoint = 0",
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
        let hasPromise = group.contains { $0.contains { $0.record.isPromise } }
        try setSynchronous(hasPromise && settings.durability == .powerLoss)
        do {
            try write(group)
        } catch .full where location == .memory {
            try makeRoom()
            try write(group)
        }
    }

    private func write(_ group: [[RecordEntry]]) throws(StorageError) {
        try change { database throws(StorageError) in
            for batch in group {
                for entry in batch { try write(entry.record, to: &database) }
            }
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

    private func write(_ record: Record, to database: inout Database) throws(StorageError) {
        switch record {
        case .submitted(let image): try submit(image, &database)
        case .assigned(let assignment):
            try database.run(.assignTask) {
                $0.add(assignment.id)
                $0.add(text: assignment.worker)
                $0.add(assignment.startedAt)
                $0.add(assignment.attempts)
                $0.add(sequence: assignment.sequence)
            }
        case .requeued(let requeue):
            try database.run(.requeueTask) {
                $0.add(requeue.id)
                $0.add(requeue.retriesLeft)
                $0.add(sequence: requeue.sequence)
            }
        case .resumed(let id, let sequence): _ = try raise(sequence, of: id, &database)
        case .progressed(let row): try progress(row, &database)
        case .logged(let row): try log(row, &database)
        case .happened(let row): try event(row, &database)
        case .ended(let ending): try end(ending, &database)
        case .removed(let id):
            try remove(id, &database)
            try database.run(.removeProgress) { $0.add(id) }
        case .progressCleared(let id): try database.run(.removeProgress) { $0.add(id) }
        case .sessionOpened(let row): try open(row, &database)
        case .sessionTouched(let touch): try database.run(.touchSession) { $0.add(touch) }
        case .sessionClosed(let touch): try database.run(.closeSession) { $0.add(touch) }
        }
    }

    private func submit(_ image: TaskImage, _ database: inout Database) throws(StorageError) {
        if try insert(image, &database) == 0 {
            // A name that a client chose and that nobody but the database remembers begins a new life.
            try remove(image.id, &database)
            try insert(image, &database)
        }
        counts.add(1, to: image.state)
        let number = database.lastInserted
        if !image.payload.isEmpty {
            try database.run(.insertPayload) {
                $0.add(number)
                $0.add(blob: image.payload)
            }
        }
        if let metadata = image.metadata {
            try database.run(.insertMetadata) {
                $0.add(number)
                $0.add(blob: metadata)
            }
        }
    }

    @discardableResult
    private func insert(_ image: TaskImage, _ database: inout Database) throws(StorageError) -> Int {
        try database.run(.insertTask) {
            $0.add(image.id)
            $0.add(text: image.userID)
            $0.add(text: image.projectID)
            $0.add(text: image.group)
            $0.add(text: image.model)
            $0.add(text: image.type)
            $0.add(image.priority.rawValue)
            $0.add(text: image.provider)
            $0.add(image.origin.rawValue)
            $0.add(image.isDetached)
            $0.add(image.timeout.milliseconds)
            $0.add(image.retriesLeft)
            $0.add(image.attempts)
            $0.add(text: image.idempotencyKey)
            $0.add(image.createdAt)
            $0.add(image.enqueuedAt)
            $0.add(image.deadline)
            $0.add(image.state.rawValue)
            $0.add(sequence: image.sequence)
            $0.add(text: image.worker)
            $0.add(image.startedAt)
        }
    }

    private func end(_ ending: TaskEnding, _ database: inout Database) throws(StorageError) {
        var ended: Int64?
        try database.rows(
            .endTask,
            {
                $0.add(ending.id)
                $0.add(ending.state.rawValue)
                if let failure = ending.failure { $0.add(failure.rawValue) } else { $0.addNull() }
                $0.add(ending.endedAt)
                $0.add(sequence: ending.sequence)
            },
            { row throws(StorageError) in
                ended = row.number()
                return true
            })
        guard let number = ended else { return }
        counts.add(-1, to: .executing)
        counts.add(1, to: ending.state)
        try database.run(.removePayload) { $0.add(number) }
        guard ending.saysMore else { return }
        try database.run(.insertOutcome) {
            $0.add(number)
            $0.add(blob: ending.content)
            $0.add(text: ending.code)
            $0.add(text: ending.type)
            $0.add(blob: ending.details)
            $0.add(text: ending.step)
            $0.add(text: ending.reason)
            $0.add(ending.executionTime)
            $0.add(ending.cost)
        }
    }

    private func event(_ row: EventRow, _ database: inout Database) throws(StorageError) {
        guard let number = try raise(row.sequence, of: row.taskID, &database) else { return }
        try database.run(.insertEvent) {
            $0.add(number)
            $0.add(sequence: row.sequence)
            $0.add(row.kind)
            $0.add(row.at)
            $0.add(blob: row.bytes)
        }
    }

    private func log(_ row: LogRow, _ database: inout Database) throws(StorageError) {
        guard let number = try raise(row.sequence, of: row.taskID, &database) else { return }
        try database.run(.insertLog) {
            $0.add(number)
            $0.add(sequence: row.sequence)
            $0.add(text: row.level)
            $0.add(text: row.source)
            $0.add(text: row.text)
            $0.add(row.createdAt)
        }
    }

    private func progress(_ row: ProgressRow, _ database: inout Database) throws(StorageError) {
        _ = try raise(row.sequence, of: row.taskID, &database)
        try database.run(.insertProgress) {
            $0.add(row.taskID)
            $0.add(row.progress)
            $0.add(text: row.currentStep)
            $0.add(row.totalSteps)
            $0.add(row.completedSteps)
            $0.add(text: row.message)
            $0.add(text: row.status)
            $0.add(text: row.metadata)
            $0.add(row.createdAt)
            $0.add(sequence: row.sequence)
        }
    }

    /// Notes that the task's events have come this far.
    ///
    /// - Returns: the task's row; nil where the task is not stored, because its submission failed or it was removed.
    private func raise(_ sequence: UInt64, of id: TaskID, _ database: inout Database) throws(StorageError) -> Int64? {
        var number: Int64?
        try database.rows(
            .raiseSequence,
            {
                $0.add(id)
                $0.add(sequence: sequence)
            },
            { row throws(StorageError) in
                number = row.number()
                return true
            })
        return number
    }

    private func open(_ row: SessionRow, _ database: inout Database) throws(StorageError) {
        try database.run(.openSession) {
            $0.add(text: row.clientID)
            $0.add(text: row.userID)
            $0.add(text: row.projectID)
            $0.add(row.connectedAt)
            $0.add(row.disconnectedAt)
            $0.add(row.lastActiveAt)
            $0.add(row.messageCount)
            $0.add(text: row.ipAddress)
            $0.add(text: row.userAgent)
            $0.add(row.createdAt)
            $0.add(row.updatedAt)
        }
    }

    // MARK: Removing

    private func remove(_ id: TaskID, _ database: inout Database) throws(StorageError) {
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

extension TaskEnding {
    /// Whether there is more than the task's own row has room for.
    fileprivate var saysMore: Bool {
        if content != nil || executionTime != nil || cost != nil { return true }
        return code != nil || type != nil || details != nil || step != nil || reason != nil
    }
}

extension Arguments {
    /// Four arguments.
    fileprivate mutating func add(_ cost: Cost?) {
        var raw: SharedBytes?
        var rate: Rate?
        var time: TimeSpan?
        switch cost {
        case .raw(let bytes): raw = bytes
        case .metered(let perHour, let span): (rate, time) = (perHour, span)
        case nil: break
        }
        add(blob: raw)
        add(rate?.perHour)
        add(text: rate?.currency)
        add(time)
    }

    fileprivate mutating func add(_ touch: SessionTouch) {
        add(text: touch.clientID)
        add(touch.at)
        add(touch.messageCount)
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
