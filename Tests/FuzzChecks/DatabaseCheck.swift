// DatabaseCheck: however a database is damaged, in its values, its schema or its pages, it is opened and read, or refused with a
// StorageError; nothing traps, nothing hangs, every answer is within its bounds, and what was read back is taken up by a server.
import Base
import CSQLite
import Dialects
import Dispatch
import Domain
import Gateway
import Storage
import Synchronization

private let now = Instant(nanoseconds: 1_000_000_000)
private let wall = WallTime(milliseconds: 10_000)
private let sample = DatabaseSample.make()

func checkDatabase(_ input: FuzzInput) {
    let folder = Folder()
    defer { folder.remove() }
    var damage = Damage(input.bytes)
    folder.write(damage.apply(to: sample))
    do {
        let journal = try Journal(.directory(folder.path), settings) { _ in }
        var reader = Reader(journal)
        reader.readAll()
        do throws(StorageError) { try journal.close() } catch { require(!error.description.isEmpty, "an error without words") }
    } catch {
        require(!error.description.isEmpty, "an error without words")
    }
}

private var settings: StorageSettings {
    var settings = StorageSettings()
    settings.durability = .processEnd
    settings.busyTimeout = .zero
    settings.answerBytesMax = 1 << 16
    settings.cacheBytes = 64 << 10
    return settings
}

// MARK: Damage

/// What is done to a database: a list of orders, as the bytes say.
private struct Damage {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    /// The file, damaged. First its values, by SQL and within SQLite's own rules; then its bytes, against them.
    mutating func apply(to file: [UInt8]) -> [UInt8] {
        var file = file
        if let first = rest.first, first <= 0xa8, let sql = SQL(file) {
            while let order = rest.first, order <= 0xa8 {
                rest.removeFirst()
                rewrite(order, sql)
            }
            file = sql.file ?? file
        }
        while let order = rest.popFirst() {
            switch order {
            case 0xa9: file.removeLast(min(file.count, number(2) ?? 0))
            case 0xaa: file += repeatElement(UInt8(0), count: number(1) ?? 0)
            default: patch(&file)
            }
        }
        return file
    }

    private mutating func rewrite(_ order: UInt8, _ sql: SQL) {
        switch order {
        case 0..<0xa0: change(Int(order), sql)
        case 0xa0..<0xa8: sql.execute(Damage.statements[Int(order) % Damage.statements.count])
        default: sql.execute("PRAGMA user_version = \(rest.popFirst() ?? 0)")
        }
    }

    private static let statements = [
        "DROP TABLE dead_letters; DROP VIEW tasks; ALTER TABLE submitted_tasks RENAME TO tasks; ALTER TABLE tasks DROP COLUMN retries; "
            + "ALTER TABLE tasks DROP COLUMN lease; ALTER TABLE tasks DROP COLUMN retry_at; ALTER TABLE tasks ADD COLUMN failure; "
            + "ALTER TABLE tasks ADD COLUMN ended_at; UPDATE tasks SET state = 2, ended_at = 9000 WHERE number > 3; "
            + "ALTER TABLE ended_tasks RENAME TO task_outcomes; ALTER TABLE task_outcomes DROP COLUMN failure; "
            + "DROP INDEX ended_tasks_at; ALTER TABLE task_outcomes DROP COLUMN ended_at; ALTER TABLE task_outcomes DROP COLUMN state; "
            + "ALTER TABLE task_outcomes DROP COLUMN sequence; DROP TABLE lingering_tasks; DROP TABLE revocations; "
            + "PRAGMA user_version = 2",
        "DROP TABLE task_events", "DROP INDEX ended_tasks_at", "PRAGMA application_id = 7",
        "CREATE VIEW v AS SELECT 1; ALTER TABLE alerts RENAME TO a; CREATE VIEW alerts AS SELECT * FROM a",
        "CREATE TRIGGER t AFTER UPDATE ON web_socket_sessions BEGIN DELETE FROM submitted_tasks; END",
        "ALTER TABLE ended_tasks RENAME COLUMN state TO status",
        "INSERT INTO submitted_tasks SELECT number + 1000, id || 'x', user_id, project_id, "
            + "task_group, model, type, priority, provider, origin, is_detached, timeout_ms, retries, retries_left, attempts, "
            + "idempotency_key, created_at, enqueued_at, deadline_at, retry_at, state, sequence, lease, worker, started_at, payload "
            + "FROM submitted_tasks",
        "INSERT INTO ended_tasks (task, state, ended_at, sequence) SELECT number + 5, 2, 9000, 1 FROM submitted_tasks WHERE number > 3",
    ]

    /// Another value in one column of some rows.
    private mutating func change(_ order: Int, _ sql: SQL) {
        let columns = DatabaseSample.columns
        let (table, column) = columns[(order * 8 + Int(rest.popFirst() ?? 0) % 8) % columns.count]
        let row = Int64(rest.popFirst() ?? 0) % 8
        sql.update(table, column, row: row, to: value())
    }

    private mutating func value() -> SQL.Value {
        switch rest.popFirst() ?? 0 {
        case 0: .null
        case 1: .integer(Int64.max)
        case 2: .integer(Int64.min)
        case 3: .integer(-1)
        case 4..<0x30: .integer(Int64(rest.popFirst() ?? 0))
        case 0x30..<0x60: .integer(Int64(truncatingIfNeeded: number(8) ?? 0))
        case 0x60..<0x80: .real(Double(bitPattern: UInt64(truncatingIfNeeded: number(8) ?? 0)))
        case 0x80..<0xc0: .text(taken())
        default: .blob(taken())
        }
    }

    private mutating func taken() -> [UInt8] {
        let count = Int(rest.popFirst() ?? 0)
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    private mutating func number(_ count: Int) -> Int? {
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count).reduce(0) { $0 << 8 | Int($1) }
    }

    private mutating func patch(_ file: inout [UInt8]) {
        guard let place = number(2) else { return }
        for (offset, byte) in taken().enumerated() where place + offset < file.count { file[place + offset] = byte }
    }
}

// MARK: Reading

/// All questions that there are: asked one behind the other, and then waited for.
private struct Reader {
    private let journal: Journal
    private var waiting: [() -> Void] = []

    init(_ journal: Journal) { self.journal = journal }

    mutating func readAll() {
        do throws(StorageError) {
            takeUp(try journal.recover(endedSince: WallTime(milliseconds: 0), endedBytesMax: 1 << 20))
        } catch {
            require(!error.description.isEmpty, "an error without words")
        }
        let journal = journal
        for task in DatabaseSample.tasks {
            ask(3, { try journal.events(of: task, after: 0, limit: 3, $0) }) { (rows: [EventRow]) in
                let origin = StreamOrigin(task: task, user: nil, project: nil, epoch: 1)
                for row in rows { _ = EventArchive.publication(of: row, on: origin) }
            }
            for end in HistoryEnd.allCases {
                ask(2, { try journal.progress(of: task, limit: 2, from: end, $0) }) { (rows: [ProgressRow]) in
                    var writer = ByteWriter()
                    ProgressAPI.writeHistory(of: task, rows, to: &writer)
                }
                ask(2, { try journal.logs(of: task, limit: 2, from: end, $0) }) { (_: [LogRow]) in }
            }
        }
        ask({ try journal.session(SharedBytes("client"), $0) }) { (_: SessionRow?) in }
        for user in [nil, SharedBytes("u")] { ask(2, { try journal.sessions(of: user, limit: 2, $0) }) { (_: [SessionRow]) in } }
        for kind in [nil, Activity.Kind.userOperation] {
            var question = ActivityQuestion(visibility: kind == nil ? .owned(by: nil) : .everybodys, limit: 2)
            question.kind = kind
            let asked = question
            ask(2, { try journal.activities(asked, $0) }) { rows in
                var writer = ByteWriter()
                ActivityAPI.write(rows, hasMore: false, to: &writer)
            }
        }
        for isActive in [nil, true, false] as [Bool?] {
            var question = AlertQuestion(limit: 2)
            question.isActive = isActive
            let asked = question
            ask(2, { try journal.alerts(asked, $0) }) { rows in
                var writer = ByteWriter()
                AlertAPI.write(rows, active: 0, hasMore: false, to: &writer)
            }
        }
        ask({ try journal.counts($0) }) { (_: TaskCounts) in }
        ask({ require(journal.forget(before: WallTime(milliseconds: 5_000), $0), "a sweep goes on") }) { (_: Int) in }
        for wait in waiting { wait() }
    }

    /// As a program does at its start; then a while passes.
    private func takeUp(_ recovery: Recovery) {
        let server = Server(
            settings: Settings(), outbox: Outbox(arenaBytesRetained: 1 << 12), log: Log(level: .error, format: .text) { _ in },
            random: Randomness(seed: 1))
        server.observe(wall, at: now)
        server.restore(deployments: recovery.deployments, alerts: recovery.alerts, at: now)
        server.restore(letters: recovery.letters, at: now)
        server.restore(live: recovery.live, ended: recovery.ended, at: now)
        var records: [RecordEntry] = []
        server.takeRecords(into: &records)
        for minutes in 1...3 { server.timersDue(at: now + .seconds(Int64(minutes) * 60)) }
    }

    private mutating func ask<Row: Sendable>(
        _ limit: Int, _ question: (@escaping @Sendable (Result<HistoryPage<Row>, StorageError>) -> Void) throws -> Void,
        _ look: @escaping ([Row]) -> Void
    ) {
        ask(question) { page in
            require(page.rows.count <= limit, "\(page.rows.count) rows of \(limit)")
            look(page.rows)
        }
    }

    private mutating func ask<Answer: Sendable>(
        _ question: (@escaping @Sendable (Result<Answer, StorageError>) -> Void) throws -> Void, _ look: @escaping (Answer) -> Void
    ) {
        let reply = Reply<Answer>()
        do { try question { reply.give($0) } } catch { fatalError("a question is not taken: \(error)") }
        waiting.append {
            switch reply.wait() {
            case .success(let answer): look(answer)
            case .failure(let error): require(!error.description.isEmpty, "an error without words")
            }
        }
    }
}

/// An answer that comes on the journal's queue.
private final class Reply<Answer: Sendable>: Sendable {
    private let result = Mutex<Result<Answer, StorageError>?>(nil)
    private let given = DispatchSemaphore(value: 0)

    func give(_ result: Result<Answer, StorageError>) {
        self.result.withLock { $0 = result }
        given.signal()
    }

    func wait() -> Result<Answer, StorageError> {
        given.wait()
        guard let result = result.withLock({ $0 }) else { fatalError("an answer that is none") }
        return result
    }
}
