// The schema: the document's columns, and files of other versions, other programs and no sense.
import Base
import Domain
import Testing

@testable import Storage

struct SchemaTests {
    @Test("P: the tables have the document's columns, in its order")
    func documentColumns() throws {
        var database = try Database(nil)
        try Schema.current.migrate(&database)
        let tables = [
            "progress_histories": [
                "id INTEGER pk", "task_id VARCHAR(100) not null", "progress INTEGER", "current_step VARCHAR(200)", "total_steps INTEGER",
                "completed_steps INTEGER", "message VARCHAR(500)", "status VARCHAR(20)", "metadata TEXT", "created_at DATETIME",
                "seq INTEGER not null",
            ],
            "web_socket_sessions": [
                "id INTEGER pk", "client_id VARCHAR(100) not null", "user_id VARCHAR(100)", "project_id VARCHAR(100)",
                "connected_at DATETIME", "disconnected_at DATETIME", "last_active_at DATETIME", "message_count INTEGER",
                "ip_address VARCHAR(50)", "user_agent VARCHAR(500)", "created_at DATETIME", "updated_at DATETIME",
            ],
        ]
        for (table, columns) in tables {
            let rows = try database.texts(
                """
                SELECT name || ' ' || type || CASE WHEN pk THEN ' pk' WHEN "notnull" THEN ' not null' ELSE '' END
                FROM pragma_table_info('\(table)') ORDER BY cid
                """)
            #expect(rows == columns, "\(table)")
        }
    }

    @Test("P: what the document indexes is indexed, and client ids are unique")
    func documentIndexes() throws {
        var database = try Database(nil)
        try Schema.current.migrate(&database)
        let indexed = try database.texts(
            """
            SELECT t.name || '.' || c.name || CASE WHEN i."unique" THEN ' unique' ELSE '' END
            FROM sqlite_schema t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
            WHERE t.name IN ('progress_histories', 'web_socket_sessions') AND i.partial = 0 ORDER BY 1
            """)
        #expect(
            indexed == [
                "progress_histories.created_at", "progress_histories.status", "progress_histories.task_id",
                "web_socket_sessions.client_id unique", "web_socket_sessions.project_id", "web_socket_sessions.user_id",
            ])
    }

    @Test(
        "what is asked of all tasks at the start is answered without a look at all of them",
        arguments: [
            (
                Query.liveTasks,
                [
                    "SCAN lingering_tasks", "SEARCH submitted_tasks USING INTEGER PRIMARY KEY (rowid=?)",
                    "SEARCH submitted_tasks USING INTEGER PRIMARY KEY (rowid>?)", "SEARCH lingering_tasks",
                ]
            ),
            (.endedTasks, ["SEARCH ended_tasks USING COVERING INDEX ended_tasks_at (ended_at>?)"]),
            (.countEnded, ["SCAN ended_tasks USING COVERING INDEX ended_tasks_at"]),
        ])
    func plans(_ query: Query, _ steps: [String]) throws {
        var database = try Database(nil)
        try Schema.current.migrate(&database)
        var found: [String] = []
        try database.rows("EXPLAIN QUERY PLAN \(query.text)") { row throws(StorageError) in
            for _ in 0..<3 { _ = row.number() }
            found.append(row.bytes().description)
        }
        #expect(found.filter { $0.contains("_tasks") } == steps, "\(found)")
    }

    @Test("an empty file gets the tables once, and opening it again changes nothing")
    func fromNothing() throws {
        var database = try Database(nil)
        #expect(try Schema.current.version(of: &database) == 0)
        try Schema.current.migrate(&database)
        #expect(try Schema.current.version(of: &database) == Schema.current.version)
        let tables = try database.texts("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
        try Schema.current.migrate(&database)
        #expect(try database.texts("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL") == tables)
    }

    private static let next = Schema(steps: Schema.current.steps + [["ALTER TABLE submitted_tasks ADD COLUMN colour TEXT DEFAULT 'red'"]])

    @Test("a file of an earlier version is brought to this one, with its rows")
    func older() throws {
        let scratch = try Scratch()
        var rig = try Rig(scratch.location)
        try rig.write(.submitted(image(1)))
        try rig.journal.close()
        let store = try Store(scratch.location, StorageSettings(), schema: SchemaTests.next)
        #expect(try store.database.texts("SELECT id || colour FROM submitted_tasks") == ["\(name(1))red"])
        #expect(try store.database.number("PRAGMA user_version") == Schema.current.version + 1)
    }

    /// The statements of one step as one number: FNV-1a.
    private static func fingerprint(_ step: [String]) -> UInt64 {
        step.joined(separator: ";").utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    @Test("the statements of a version that files have are never changed: a new version follows")
    func frozen() {
        let prints = Schema.current.steps.map(SchemaTests.fingerprint)
        let frozen: [UInt64] = [
            0xa043_2590_8486_3c4f, 0xe942_0209_d15f_5a74, 0x94fc_130c_b62c_92ef, 0x35c0_5886_e10f_9008, 0xb536_4d65_e38a_f4aa,
        ]
        #expect(prints == frozen, "\(prints.map { String($0, radix: 16) })")
    }

    /// Makes a file of an earlier version, with rows.
    private static func make(_ scratch: Scratch, version: Int, _ fill: (inout Database) throws -> Void) throws {
        var database = try Database(scratch.file)
        try Schema(steps: Array(Schema.current.steps.prefix(version))).migrate(&database)
        try fill(&database)
    }

    /// Writes two tasks as the versions before the third did: one that lives, in its second attempt of three, and one that has ended.
    private static func write(_ database: inout Database) throws {
        let columns = "(id, task_group, priority, origin, is_detached, timeout_ms, created_at, enqueued_at, retries_left, attempts,"
        let common = "'default', 1, 0, 1, 60000, 1000, 1000"
        try database.execute(
            "INSERT INTO tasks \(columns) state, sequence, worker, started_at) VALUES ('\(name(1))', \(common), 1, 2, 1, 3, 'W1', 1500)")
        try database.execute("INSERT INTO tasks \(columns) state, sequence, ended_at) VALUES ('\(name(2))', \(common), 0, 0, 2, 9, 2000)")
        try database.execute("INSERT INTO task_payloads (task, bytes) VALUES (1, x'7070707070')")
        try database.execute("INSERT INTO task_outcomes (task, content, execution_time) VALUES (2, x'7b7d', 1000000000)")
    }

    @Test("a file of version 2 gets numbers for assignments and a place for letters, and keeps what it has")
    func versionTwo() throws {
        let scratch = try Scratch()
        try SchemaTests.make(scratch, version: 2) { try SchemaTests.write(&$0) }
        for life in 0..<2 {
            var rig = try Rig(scratch.location)
            let found = try rig.recover()
            var wanted = image(1)
            (wanted.state, wanted.worker, wanted.startedAt, wanted.sequence) = (.executing, SharedBytes("W1"), time(1_500), 3)
            // One try is left, and one was used; what the assignment was called nobody knows.
            (wanted.attempts, wanted.retries, wanted.retriesLeft, wanted.lease) = (2, 2, 1, 0)
            #expect(found.live == [wanted] && found.ended.map(\.ending) == [ending(2)])
            #expect(found.letters == (0..<life).map { letter($0, place: $0 + 1) })
            try rig.write(.letterKept(letter(life, place: life + 1)))
            try rig.journal.close()
        }
    }

    @Test("a file of version 3 gets a place for revocations, and keeps what it has")
    func versionThree() throws {
        let scratch = try Scratch()
        try SchemaTests.make(scratch, version: 3) {
            try $0.execute(
                """
                INSERT INTO dead_letters (number, id, task_group, priority, timeout_ms, retries, attempts, created_at, failed_at, failure,
                    payload) VALUES (1, '\(name(1))', 'g', 1, 60000, 0, 1, 1000, 2000, 1, x'7171717171')
                """)
        }
        for life in 0..<2 {
            var rig = try Rig(scratch.location)
            let found = try rig.recover()
            #expect(found.letters == [letter(1)] && found.revocations == (0..<life).map { revocation($0 + 1, "u\($0)") })
            try rig.write(.revoked(revocation(life + 1, "u\(life)")))
            try rig.journal.close()
        }
        var database = try Database(scratch.file)
        #expect(try database.number("PRAGMA user_version") == Schema.current.version)
    }

    @Test("a file of version 4 has its tasks' ends beside them from now on, and nothing of them is lost")
    func versionFour() throws {
        let scratch = try Scratch()
        try SchemaTests.make(scratch, version: 4) {
            try SchemaTests.write(&$0)
            // One that ended without a word, and one that waits for its next try, with much to say.
            let columns = "(number, id, task_group, priority, origin, is_detached, timeout_ms, created_at, enqueued_at, retries_left,"
            let common = "'default', 1, 0, 1, 60000, 1000, 1000, 0,"
            try $0.execute(
                "INSERT INTO tasks \(columns) attempts, state, sequence, ended_at) VALUES (7, '\(name(7))', \(common) 1, 4, 9, 2500)")
            try $0.execute(
                """
                INSERT INTO tasks \(columns) attempts, state, sequence, lease, retry_at, user_id, idempotency_key)
                    VALUES (5, '\(name(5))', \(common) 1, 0, 8, 2, 9000, 'u', 'k')
                """)
            try $0.execute("INSERT INTO task_payloads (task, bytes) VALUES (5, zeroblob(2000))")
            try $0.execute("INSERT INTO task_metadata (task, bytes) VALUES (5, x'7b7d')")
            try $0.execute("INSERT INTO task_events (task, sequence, kind, at, bytes) VALUES (7, 4, 1, 1500, x'65')")
        }
        var waiting = image(5)
        (waiting.payload, waiting.metadata) = (SharedBytes([UInt8](repeating: 0, count: 2_000)), SharedBytes("{}"))
        (waiting.attempts, waiting.sequence, waiting.lease, waiting.retryAt) = (1, 8, 2, time(9_000))
        (waiting.userID, waiting.idempotencyKey) = (SharedBytes("u"), SharedBytes("k"))
        do {
            var rig = try Rig(scratch.location)
            let found = try rig.recover()
            #expect(found.live.map(\.id) == [name(1), name(5)] && found.live.last == waiting)
            #expect(found.live.first?.payload == SharedBytes("ppppp"))
            let silent = TaskEnding(id: name(7), state: .cancelled, endedAt: time(2_500), sequence: 9)
            #expect(found.ended.map(\.ending) == [ending(2), silent])
            #expect(try rig.counts() == TaskCounts(active: 2, completed: 1, cancelled: 1))
            #expect(try rig.events(name(7)).rows == [event(7, 4, at: 1_500)])
            try rig.write(.ended(ending(5)), .submitted(image(8)))
            try rig.journal.close()
        }
        let found = try Rig(scratch.location).recover()
        #expect(found.live.map(\.id) == [name(1), name(8)] && found.ended.map(\.id) == [name(2), name(5), name(7)])
        var database = try Database(scratch.file)
        #expect(try database.texts("SELECT task FROM task_payloads") == ["1"])
        #expect(try database.texts("SELECT number || ' ' || state FROM tasks ORDER BY number") == ["1 1", "2 2", "5 2", "7 4", "8 0"])
    }

    @Test("a file of version 1 gets the tables of the fleet when it is opened, and keeps its tasks and sessions")
    func versionOne() throws {
        let scratch = try Scratch()
        try SchemaTests.make(scratch, version: 1) {
            try SchemaTests.write(&$0)
            try $0.execute("INSERT INTO task_events (task, sequence, kind, at, bytes) VALUES (1, 4, 1, 1500, x'65')")
            try $0.execute("INSERT INTO web_socket_sessions (client_id, connected_at) VALUES ('a', 1000)")
        }
        do {
            var old = try Database(scratch.file)
            #expect(try old.number("PRAGMA user_version") == 1)
            let fleet = "SELECT name FROM sqlite_schema WHERE tbl_name IN ('activities', 'alerts', 'deployments')"
            #expect(try old.texts(fleet) == [])
        }
        for life in 0..<2 {
            var rig = try Rig(scratch.location)
            let found = try rig.recover()
            #expect(found.live.map(\.id) == [name(1)] && found.ended.map(\.ending) == [ending(2)])
            #expect(found.deployments == (0..<life).map { deployment($0) } && found.alerts == (0..<life).map { alert($0) })
            #expect(try rig.events(name(1)).rows == [event(1, 4)])
            try rig.write(.activityNoted(activity(life)), .alertChanged(alert(life)), .deploymentChanged(deployment(life)))
            let page = try rig.activities(ActivityQuestion(visibility: .everybodys, limit: 9))
            #expect(page.rows == (0...life).reversed().map { activity($0) })
            try rig.journal.close()
        }
        var database = try Database(scratch.file)
        #expect(try database.texts("SELECT client_id FROM web_socket_sessions") == ["a"])
        #expect(try database.number("PRAGMA user_version") == Schema.current.version)
        var fresh = try Database(nil)
        try Schema.current.migrate(&fresh)
        let tables = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
        #expect(try database.texts(tables) == fresh.texts(tables))
    }

    @Test("a file of a later version is refused, and left as it is")
    func newer() throws {
        let scratch = try Scratch()
        try Store(scratch.location, StorageSettings(), schema: SchemaTests.next).close()
        #expect(throws: StorageError.tooNew(found: Schema.current.version + 1, known: Schema.current.version)) {
            _ = try Rig(scratch.location)
        }
        let store = try Store(scratch.location, StorageSettings(), schema: SchemaTests.next)
        #expect(try store.database.number("SELECT count(*) FROM tasks") == 0)
    }

    @Test("a migration that fails leaves nothing behind")
    func broken() throws {
        var database = try Database(nil)
        let broken = Schema(steps: [["CREATE TABLE a (b)"], ["CREATE TABLE a (b)"]])
        #expect(throws: StorageError.self) { try broken.migrate(&database) }
        #expect(try database.number("SELECT count(*) FROM sqlite_schema") == 0)
        #expect(try database.number("PRAGMA user_version") == 0)
        try Schema.current.migrate(&database)
    }

    @Test(
        "a database of another program is refused",
        arguments: ["CREATE TABLE theirs (a)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"])
    func foreign(_ words: String) throws {
        let scratch = try Scratch()
        do {
            var database = try Database(scratch.file)
            try database.execute(words)
        }
        #expect(throws: StorageError.foreign) { _ = try Rig(scratch.location) }
    }
}

extension Database {
    /// The first column of all rows, of words without arguments.
    mutating func texts(_ words: String) throws -> [String] {
        var texts: [String] = []
        try rows(words) { row throws(StorageError) in texts.append(row.bytes().description) }
        return texts
    }
}
