// Schema: the tables, and how a file of an earlier version becomes one of this. The tables progress_histories and web_socket_sessions have
// the columns of document P in its order; times are milliseconds since 1970. Knows no rows.

/// The versions of the tables: one list of statements a version, each applied to the one before it.
struct Schema: Sendable {
    var steps: [[String]]

    /// The number in the file that says whose it is: "Sgbx".
    static let applicationID = 0x5367_6278

    var version: Int { steps.count }

    static let current = Schema(steps: [versionOne, versionTwo, versionThree, versionFour, versionFive])

    private static let versionOne = [
        // A task. What is large stands beside it, because a row is written anew whenever one of its columns changes.
        """
        CREATE TABLE tasks (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            user_id TEXT,
            project_id TEXT,
            task_group TEXT NOT NULL,
            model TEXT,
            type TEXT,
            priority INTEGER NOT NULL,
            provider TEXT,
            origin INTEGER NOT NULL,
            is_detached INTEGER NOT NULL,
            timeout_ms INTEGER NOT NULL,
            retries_left INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            idempotency_key TEXT,
            created_at INTEGER NOT NULL,
            enqueued_at INTEGER NOT NULL,
            deadline_at INTEGER,
            state INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            worker TEXT,
            started_at INTEGER,
            ended_at INTEGER,
            failure INTEGER
        )
        """,
        // A task stands in the one while it lives and in the other once it has ended, never in both.
        "CREATE INDEX tasks_live ON tasks (number) WHERE state < 2",
        "CREATE INDEX tasks_ended_at ON tasks (ended_at, state) WHERE ended_at IS NOT NULL",
        "CREATE TABLE task_payloads (task INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",
        "CREATE TABLE task_metadata (task INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",
        // Content and details are JSON, cost is; the time is in nanoseconds.
        """
        CREATE TABLE task_outcomes (
            task INTEGER PRIMARY KEY,
            content BLOB,
            error_code TEXT,
            error_type TEXT,
            details BLOB,
            step TEXT,
            reason TEXT,
            execution_time INTEGER,
            cost BLOB,
            cost_per_hour REAL,
            cost_currency TEXT,
            cost_time INTEGER
        )
        """,
        // The numbers grow with time, so that the oldest rows are the first.
        """
        CREATE TABLE task_events (
            number INTEGER PRIMARY KEY,
            task INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            at INTEGER NOT NULL,
            bytes BLOB NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX task_events_task ON task_events (task, sequence, kind)",
        """
        CREATE TABLE task_logs (
            number INTEGER PRIMARY KEY,
            task INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            level TEXT NOT NULL,
            source TEXT NOT NULL,
            text TEXT NOT NULL,
            created_at INTEGER NOT NULL
        )
        """,
        "CREATE INDEX task_logs_task ON task_logs (task)",
        // The columns of document P, and the number of the event behind them.
        """
        CREATE TABLE progress_histories (
            id INTEGER PRIMARY KEY,
            task_id VARCHAR(100) NOT NULL,
            progress INTEGER,
            current_step VARCHAR(200),
            total_steps INTEGER,
            completed_steps INTEGER,
            message VARCHAR(500),
            status VARCHAR(20),
            metadata TEXT,
            created_at DATETIME,
            seq INTEGER NOT NULL DEFAULT 0
        )
        """,
        "CREATE INDEX idx_progress_histories_task_id ON progress_histories (task_id)",
        "CREATE INDEX idx_progress_histories_status ON progress_histories (status)",
        "CREATE INDEX idx_progress_histories_created_at ON progress_histories (created_at)",
        """
        CREATE TABLE web_socket_sessions (
            id INTEGER PRIMARY KEY,
            client_id VARCHAR(100) NOT NULL,
            user_id VARCHAR(100),
            project_id VARCHAR(100),
            connected_at DATETIME,
            disconnected_at DATETIME,
            last_active_at DATETIME,
            message_count INTEGER,
            ip_address VARCHAR(50),
            user_agent VARCHAR(500),
            created_at DATETIME,
            updated_at DATETIME
        )
        """,
        "CREATE UNIQUE INDEX idx_web_socket_sessions_client_id ON web_socket_sessions (client_id)",
        "CREATE INDEX idx_web_socket_sessions_user_id ON web_socket_sessions (user_id)",
        "CREATE INDEX idx_web_socket_sessions_project_id ON web_socket_sessions (project_id)",
        "CREATE INDEX web_socket_sessions_disconnected_at ON web_socket_sessions (disconnected_at) WHERE disconnected_at IS NOT NULL",
    ]

    /// The fleet's past, and the registry of deployments. Kinds, severities and the like are the numbers of the domain's enums.
    private static let versionTwo = [
        // The numbers grow with time, so that the oldest rows are the first. What a client tells never breaks a constraint: a group of
        // records is written as a whole, and one that cannot be written would keep all others from it.
        """
        CREATE TABLE activities (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            kind INTEGER NOT NULL,
            message TEXT NOT NULL,
            severity INTEGER NOT NULL,
            resource_type TEXT,
            resource_id TEXT,
            created_at INTEGER NOT NULL,
            extra BLOB NOT NULL,
            owner TEXT
        )
        """,
        // Each ends with the number: whatever is asked for is a few stretches of one of them, newest first.
        "CREATE INDEX activities_kind ON activities (kind, severity)",
        "CREATE INDEX activities_owner ON activities (owner, kind, severity)",
        // The figures may be none: NaN has no place in a column.
        """
        CREATE TABLE alerts (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            kind INTEGER NOT NULL,
            severity INTEGER NOT NULL,
            title TEXT NOT NULL,
            message TEXT NOT NULL,
            resource_type TEXT NOT NULL,
            resource_id TEXT,
            value REAL,
            threshold REAL,
            unit TEXT NOT NULL,
            raised_at INTEGER NOT NULL,
            resolved_at INTEGER
        )
        """,
        // As with tasks: in the one while it lasts, in the other once it is resolved.
        "CREATE INDEX alerts_active ON alerts (number) WHERE resolved_at IS NULL",
        "CREATE INDEX alerts_resolved_at ON alerts (resolved_at) WHERE resolved_at IS NOT NULL",
        // The start's time is in nanoseconds.
        """
        CREATE TABLE deployments (
            id TEXT PRIMARY KEY NOT NULL,
            model_id TEXT NOT NULL,
            name TEXT NOT NULL,
            model_source TEXT,
            host TEXT,
            port INTEGER,
            health_path TEXT NOT NULL,
            cpu_cores REAL,
            memory_limit TEXT,
            container_id TEXT,
            start_timeout INTEGER NOT NULL,
            status INTEGER NOT NULL,
            health INTEGER NOT NULL,
            note TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            deployed_at INTEGER
        ) WITHOUT ROWID
        """,
    ]

    /// Assignments that have numbers, tries that have a time, and what failed and may be tried again.
    private static let versionThree = [
        "ALTER TABLE tasks ADD COLUMN retries INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE tasks ADD COLUMN lease INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE tasks ADD COLUMN retry_at INTEGER",
        // What was asked for was not written; what was used of it is an attempt each.
        "UPDATE tasks SET retries = retries_left + max(attempts - 1, 0) WHERE state < 2",
        // The number is the letter's place among all. What the task's row has is here once more: that one is forgotten sooner.
        """
        CREATE TABLE dead_letters (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            user_id TEXT,
            project_id TEXT,
            task_group TEXT NOT NULL,
            model TEXT,
            type TEXT,
            priority INTEGER NOT NULL,
            provider TEXT,
            timeout_ms INTEGER NOT NULL,
            retries INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            idempotency_key TEXT,
            created_at INTEGER NOT NULL,
            failed_at INTEGER NOT NULL,
            failure INTEGER NOT NULL,
            words BLOB,
            payload BLOB NOT NULL
        )
        """,
    ]

    /// Tokens that are refused before their end. `before` is in seconds, as tokens have it.
    private static let versionFour = [
        // The number is the revocation's place among all.
        """
        CREATE TABLE revocations (
            number INTEGER PRIMARY KEY,
            user_id TEXT NOT NULL UNIQUE,
            before INTEGER NOT NULL,
            revoked_at INTEGER NOT NULL,
            revoked_by TEXT
        )
        """,
    ]

    /// A task is a row that is taken in and a row that ends it, each written once; `tasks` shows both as one.
    private static let versionFive = [
        // A small payload stands in the row: to write it and to remove it elsewhere costs more than to keep it.
        """
        CREATE TABLE submitted_tasks (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            user_id TEXT,
            project_id TEXT,
            task_group TEXT NOT NULL,
            model TEXT,
            type TEXT,
            priority INTEGER NOT NULL,
            provider TEXT,
            origin INTEGER NOT NULL,
            is_detached INTEGER NOT NULL,
            timeout_ms INTEGER NOT NULL,
            retries INTEGER NOT NULL,
            retries_left INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            idempotency_key TEXT,
            created_at INTEGER NOT NULL,
            enqueued_at INTEGER NOT NULL,
            deadline_at INTEGER,
            retry_at INTEGER,
            state INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            lease INTEGER NOT NULL,
            worker TEXT,
            started_at INTEGER,
            payload BLOB
        )
        """,
        """
        CREATE TABLE ended_tasks (
            task INTEGER PRIMARY KEY,
            state INTEGER NOT NULL,
            ended_at INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            failure INTEGER,
            content BLOB,
            error_code TEXT,
            error_type TEXT,
            details BLOB,
            step TEXT,
            reason TEXT,
            execution_time INTEGER,
            cost BLOB,
            cost_per_hour REAL,
            cost_currency TEXT,
            cost_time INTEGER
        )
        """,
        // Which tasks live is in nobody's index, so that to begin and to end costs nothing there: those of these that have not ended, and
        // those behind the highest of these.
        "CREATE TABLE lingering_tasks (task INTEGER PRIMARY KEY)",
        """
        INSERT INTO submitted_tasks SELECT number, id, user_id, project_id, task_group, model, type, priority, provider, origin,
            is_detached, timeout_ms, retries, retries_left, attempts, idempotency_key, created_at, enqueued_at, deadline_at, retry_at,
            min(state, 1), sequence, lease, worker, started_at, NULL
        FROM tasks ORDER BY number
        """,
        """
        INSERT INTO ended_tasks SELECT number, state, ended_at, sequence, failure, content, error_code, error_type, details, step, reason,
            execution_time, cost, cost_per_hour, cost_currency, cost_time
        FROM tasks LEFT JOIN task_outcomes ON task = number WHERE ended_at IS NOT NULL ORDER BY number
        """,
        "INSERT INTO lingering_tasks SELECT number FROM tasks WHERE state < 2 UNION SELECT max(number) FROM tasks HAVING count(*) > 0",
        "DROP TABLE task_outcomes",
        "DROP TABLE tasks",
        "CREATE INDEX ended_tasks_at ON ended_tasks (ended_at, state)",
        """
        CREATE VIEW tasks AS SELECT number, id, user_id, project_id, task_group, model, type, priority, provider, origin, is_detached,
            timeout_ms, retries, retries_left, attempts, idempotency_key, created_at, enqueued_at, deadline_at, retry_at,
            coalesce(e.state, s.state) AS state, max(s.sequence, coalesce(e.sequence, 0)) AS sequence, lease, worker, started_at, ended_at,
            failure
        FROM submitted_tasks s LEFT JOIN ended_tasks e ON e.task = s.number
        """,
    ]

    /// Looks at whose file it is and which version, before anything is written to it.
    ///
    /// - Returns: the version; 0 for an empty file.
    func version(of database: inout Database) throws(StorageError) -> Int {
        let found = try database.number("PRAGMA user_version")
        let application = try database.number("PRAGMA application_id")
        let isEmpty = try database.number("SELECT count(*) FROM sqlite_schema") == 0
        guard application == Schema.applicationID || application == 0 && found == 0 && isEmpty else { throw .foreign }
        guard found <= version else { throw .tooNew(found: found, known: version) }
        return found
    }

    /// Brings the file to this version, in one transaction: whole or not at all.
    func migrate(_ database: inout Database) throws(StorageError) {
        let found = try version(of: &database)
        guard found < version else { return }
        try database.transaction { database throws(StorageError) in
            for step in steps[found...] {
                for statement in step { try database.execute(statement) }
            }
            // A pragma takes no arguments; these are numbers of ours.
            try database.execute("PRAGMA application_id = \(Schema.applicationID)")
            try database.execute("PRAGMA user_version = \(version)")
        }
    }
}

extension Database {
    /// Runs `body` as a whole or not at all.
    mutating func transaction<Result>(_ body: (inout Database) throws(StorageError) -> Result) throws(StorageError) -> Result {
        try run(.begin)
        do {
            let result = try body(&self)
            try run(.commit)
            return result
        } catch {
            // Some errors have rolled back already. Where even this fails, the next BEGIN says so.
            if isInTransaction { _ = try? run(.rollback) }
            throw error
        }
    }
}
