// DatabaseSample: a small database in which every table has rows, written by the journal itself; DatabaseCheck damages copies of it. With
// it what reaches past the journal: SQL over a copy in memory, and a folder of one run.
import Base
import CSQLite
import Dialects
import Domain
import Glibc
import Storage

enum DatabaseSample {
    static let tasks = (1...6).map { TaskID(high: UInt64($0), low: 9) }

    /// The file's bytes, with pages as small as SQLite has them: what is damaged at random should be something.
    static func make() -> [UInt8] {
        let folder = Folder()
        defer { folder.remove() }
        do {
            let journal = try Journal(.directory(folder.path)) { report in
                if case .failed(_, let error, _) = report { fatalError("the sample is not written: \(error)") }
            }
            try journal.append(records.enumerated().map { RecordEntry(number: UInt64($0) + 1, record: $1) })
            try journal.close()
        } catch {
            fatalError("the sample is not written: \(error)")
        }
        guard let sql = SQL(path: folder.file) else { fatalError("the sample cannot be opened") }
        sql.execute("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM")
        guard let file = sql.file, file.count < 1 << 16 else { fatalError("the sample cannot be read") }
        return file
    }

    /// All columns of all tables, in their order.
    static let columns: [(table: String, column: String)] = {
        var columns: [(table: String, column: String)] = []
        guard let sql = SQL(make()) else { return [] }
        sql.texts("SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'") {
            let parts = $0.split(separator: ".")
            columns.append((String(parts[0]), String(parts[1])))
        }
        return columns
    }()

    private static func time(_ seconds: Int64) -> WallTime { WallTime(milliseconds: seconds * 1_000) }

    private static func image(_ place: Int, origin: TaskOrigin = .dispatched) -> TaskImage {
        TaskImage(
            id: tasks[place], userID: SharedBytes("u"), projectID: SharedBytes("p"), group: SharedBytes(origin == .reported ? "" : "g"),
            model: SharedBytes("m"), type: SharedBytes("t"), provider: SharedBytes("q"), origin: origin, isDetached: true,
            metadata: SharedBytes(#"{"a":1}"#), payload: SharedBytes(#"{"b":2}"#), timeout: .seconds(60), retries: 2, retriesLeft: 1,
            idempotencyKey: SharedBytes("k\(place)"), createdAt: time(1), enqueuedAt: time(1), deadline: time(61))
    }

    private static let events: [TaskEvent] = [
        .queued, .started(TaskEvent.Start(startedAt: time(2))),
        .progress(TaskEvent.Progress(reported: 40, message: SharedBytes("on"), step: SharedBytes("s"), totalSteps: 3, completedSteps: 1)),
        .log(TaskEvent.Log(logs: SharedBytes("line"))),
    ]

    private static let ends: [(place: Int, event: TaskEvent, state: TaskState)] = [
        (
            3,
            .completed(
                TaskEvent.Completion(
                    result: SharedBytes("[1]"), cost: .metered(Rate(perHour: 2, currency: SharedBytes("EUR")), .seconds(1)))),
            .completed
        ),
        (4, .failed(TaskEvent.Fault(error: .plain(SharedBytes("no")), code: SharedBytes("c"), details: SharedBytes("{}"))), .failed),
        (5, .cancelled(reason: SharedBytes("why")), .cancelled),
    ]

    private static var records: [Record] {
        var records: [Record] = (0..<6).map { .submitted(image($0, origin: $0 == 2 ? .reported : .dispatched)) }
        for place in [1, 3, 4] {
            records.append(
                .assigned(
                    TaskAssignment(id: tasks[place], worker: SharedBytes("W1-0000abcd"), startedAt: time(2), attempts: 1, sequence: 2)))
        }
        func happen(_ place: Int, _ sequence: Int, _ event: TaskEvent, _ state: TaskState) {
            let origin = StreamOrigin(task: tasks[place], user: nil, project: nil, epoch: 1)
            let publication = Publication(
                number: 1, origin: origin, sequence: UInt64(sequence), at: time(3), event: event, state: state, progress: 40)
            EventArchive.records(of: publication) { records.append($0) }
        }
        for place in [1, 3] {
            for (index, event) in events.enumerated() { happen(place, index + 1, event, index == 0 ? .queued : .executing) }
        }
        for (place, event, state) in ends {
            records.append(.ended(TaskEnding(id: tasks[place], event: event, endedAt: time(9), sequence: 6)))
            happen(place, 6, event, state)
        }
        var submission = Submission(payload: SharedBytes("{}"), group: SharedBytes("g"), timeout: .seconds(60), retries: 2)
        submission.user = SharedBytes("u")
        for (number, place) in [4, 5].enumerated() {
            records.append(
                .letterKept(
                    DeadLetter(
                        number: UInt64(number) + 1, id: tasks[place], submission: submission, attempts: 3, createdAt: time(1),
                        failedAt: time(9), failure: .reportedPlainly, words: SharedBytes("no"))))
        }
        return records + fleet
    }

    private static var fleet: [Record] {
        let session = SessionRow(
            opening: SharedBytes("client"), userID: SharedBytes("u"), projectID: SharedBytes("p"), ipAddress: SharedBytes("::1"),
            userAgent: SharedBytes("a"), at: time(1))
        var records: [Record] = [.sessionOpened(session)]
        for number in 1...3 {
            let id = SharedBytes("n\(number)")
            records.append(
                .activityNoted(
                    Activity(
                        id: id, kind: .userOperation, message: SharedBytes("did"), severity: .info, createdAt: time(2),
                        extra: SharedBytes("{}"))))
            let resource = Alert.Resource(type: SharedBytes("memory"), value: 91, threshold: 90, unit: SharedBytes("%"))
            records.append(
                .alertChanged(
                    Alert(
                        id: id, kind: .memoryThreshold, severity: .warning, title: SharedBytes("t"), message: SharedBytes("m"),
                        resource: resource, raisedAt: time(2), resolvedAt: number == 1 ? time(4) : nil)))
            let form = Deployment.Form(
                modelID: SharedBytes("m"), name: SharedBytes("n"), host: SharedBytes("127.0.0.1"), port: 80, cpuCores: 2,
                startTimeout: .seconds(30))
            let status: Deployment.Status = number == 1 ? .running : number == 2 ? .deploying : .pending
            records.append(.deploymentChanged(Deployment(id: id, form: form, status: status, createdAt: time(1), deployedAt: time(2))))
        }
        return records
    }
}

/// SQL beside the journal, whose errors are nobody's business.
// @safe: the handle is this object's own, and is closed once, in its deinit.
@safe
final class SQL {
    enum Value {
        case null
        case integer(Int64)
        case real(Double)
        case text([UInt8])
        case blob([UInt8])
    }

    private let handle: OpaquePointer

    private init?(opening name: String, _ flags: Int32) {
        var opened: OpaquePointer?
        let code = unsafe sqlite3_open_v2(name, &opened, flags | SQLITE_OPEN_READWRITE, nil)
        guard code == SQLITE_OK, let opened = unsafe opened else {
            unsafe sqlite3_close_v2(opened)
            return nil
        }
        unsafe handle = opened
    }

    convenience init?(path: String) { self.init(opening: path, 0) }

    /// A copy in memory.
    convenience init?(_ file: [UInt8]) {
        self.init(opening: ":memory:", SQLITE_OPEN_MEMORY)
        guard file.count > 100, let copy = unsafe sqlite3_malloc64(UInt64(file.count)) else { return nil }
        let bytes = unsafe copy.assumingMemoryBound(to: UInt8.self)
        unsafe file.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { unsafe bytes.update(from: start, count: source.count) }
        }
        // A database in memory has no write-ahead log.
        unsafe (bytes[18], bytes[19]) = (1, 1)
        let flags = UInt32(SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE)
        let size = Int64(file.count)
        guard unsafe sqlite3_deserialize(handle, "main", bytes, size, size, flags) == SQLITE_OK else { return nil }
    }

    deinit { unsafe sqlite3_close_v2(handle) }

    func execute(_ words: String) { unsafe sqlite3_exec(handle, words, nil, nil, nil) }

    /// The first column of every row.
    func texts(_ words: String, _ each: (String) -> Void) {
        var statement: OpaquePointer?
        unsafe sqlite3_prepare_v2(handle, words, -1, &statement, nil)
        while unsafe sqlite3_step(statement) == SQLITE_ROW {
            if let text = unsafe sqlite3_column_text(statement, 0) { each(unsafe String(cString: text)) }
        }
        unsafe sqlite3_finalize(statement)
    }

    /// Gives one column of one row, counted from 0, another value.
    func update(_ table: String, _ column: String, row: Int64, to value: Value) {
        let key = table == "deployments" ? "id" : "rowid"
        let words = "UPDATE \(table) SET \(column) = ?1 WHERE \(key) = (SELECT \(key) FROM \(table) LIMIT 1 OFFSET ?2)"
        var statement: OpaquePointer?
        unsafe sqlite3_prepare_v2(handle, words, -1, &statement, nil)
        switch value {
        case .null: unsafe sqlite3_bind_null(statement, 1)
        case .integer(let number): unsafe sqlite3_bind_int64(statement, 1, number)
        case .real(let number): unsafe sqlite3_bind_double(statement, 1, number)
        case .text(let bytes):
            _ = unsafe bytes.withUnsafeBytes { unsafe signalbox_bind_copied_text(statement, 1, $0.baseAddress, Int32($0.count)) }
        case .blob(let bytes):
            _ = unsafe bytes.withUnsafeBytes { unsafe signalbox_bind_copied_blob(statement, 1, $0.baseAddress, Int32($0.count)) }
        }
        unsafe sqlite3_bind_int64(statement, 2, row)
        unsafe sqlite3_step(statement)
        unsafe sqlite3_finalize(statement)
    }

    /// The database as a file has it; nil where it cannot be read.
    var file: [UInt8]? {
        var size: Int64 = 0
        guard let bytes = unsafe sqlite3_serialize(handle, "main", &size, 0) else { return nil }
        defer { unsafe sqlite3_free(bytes) }
        return unsafe Array(UnsafeBufferPointer(start: bytes, count: Int(size)))
    }
}

/// A data directory for one run, in memory where the system has such a place.
struct Folder {
    let path: String

    var file: String { path + "/signalbox.db" }

    init() {
        let base = unsafe access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var name = Array("\(base)/signalbox-fuzz-\(String(repeating: "X", count: 6))".utf8CString)
        require(unsafe mkdtemp(&name) != nil, "no folder in \(base)")
        path = unsafe name.withUnsafeBufferPointer { unsafe $0.baseAddress.map { unsafe String(cString: $0) } } ?? ""
    }

    /// Makes the database's file.
    func write(_ bytes: [UInt8]) {
        let descriptor = unsafe open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        require(descriptor >= 0, "no file in \(path)")
        require(unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count, "the file is not written")
        close(descriptor)
    }

    /// Removes the folder and whatever a journal leaves in one.
    func remove() {
        guard let directory = unsafe opendir(path) else { return }
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: entry.pointee.d_name) {
                unsafe UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self)
            }
            unsafe unlink(path + "/" + String(cString: name))
        }
        unsafe closedir(directory)
        unsafe rmdir(path)
    }
}
