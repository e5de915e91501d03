// Disk: what is under the journal: a real SQLite database in a folder of its own, and the line of the journal's work, of which a piece is
// done when the simulation says so. It is slow by waiting, and it fails as a real one does: somebody else holds the database, and every
// commit is refused. A crash is the loss of the line; what was committed stays.
import Base
import CSQLite
import Glibc
import Storage
import Synchronization

/// The journal's line of work: nothing is done before somebody takes it off.
final class JournalLine: JournalQueue {
    private let pieces = Mutex<[@Sendable () -> Void]>([])

    func add(_ work: @escaping @Sendable () -> Void) { pieces.withLock { $0.append(work) } }

    func wait(_ work: @Sendable () -> Void) {
        while doNext() {}
        work()
    }

    var isEmpty: Bool { pieces.withLock(\.isEmpty) }

    /// Does the piece that came first.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    func doNext() -> Bool {
        guard let work = pieces.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { return false }
        work()
        return true
    }

    func removeAll() { pieces.withLock { $0 = [] } }
}

// @safe: the connection is opened in `init` and used until `deinit` closes it.
@safe
final class Disk {
    let path: String
    private var intruder: OpaquePointer?
    private(set) var isHeld = false

    init() {
        let parent = unsafe access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(parent)/signalbox-sim-\(String(repeating: "X", count: 6))".utf8CString)
        let isMade = unsafe template.withUnsafeMutableBufferPointer { unsafe $0.baseAddress.map { unsafe mkdtemp($0) } != nil }
        precondition(isMade, "a folder below \(parent): errno \(errno)")
        path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    var location: StorageLocation { .directory(path) }

    var settings: StorageSettings {
        var settings = StorageSettings()
        settings.durability = .processEnd
        settings.busyTimeout = .zero
        settings.cacheBytes = 1 << 20
        return settings
    }

    /// Somebody else holds the database: nothing can be written until `release`.
    func hold() {
        guard !isHeld else { return }
        openIntruder()
        isHeld = unsafe sqlite3_exec(intruder, "BEGIN IMMEDIATE", nil, nil, nil) == SQLITE_OK
    }

    func release() {
        guard isHeld else { return }
        unsafe sqlite3_exec(intruder, "ROLLBACK", nil, nil, nil)
        isHeld = false
    }

    /// All events of all tasks that are written down.
    func events() -> [(task: String, sequence: Int, kind: Int)] {
        openIntruder()
        var events: [(task: String, sequence: Int, kind: Int)] = []
        var statement: OpaquePointer?
        let text = "SELECT t.id, e.sequence, e.kind FROM task_events e JOIN tasks t ON t.number = e.task ORDER BY e.number"
        guard unsafe sqlite3_prepare_v2(intruder, text, -1, &statement, nil) == SQLITE_OK else {
            preconditionFailure("the tables are not as they were: \(unsafe String(cString: sqlite3_errmsg(intruder)))")
        }
        while unsafe sqlite3_step(statement) == SQLITE_ROW {
            let count = Int(unsafe sqlite3_column_bytes(statement, 0))
            let bytes = unsafe UnsafeRawBufferPointer(start: sqlite3_column_blob(statement, 0), count: count)
            let name = unsafe String(decoding: bytes, as: UTF8.self)
            unsafe events.append((name, Int(sqlite3_column_int64(statement, 1)), Int(sqlite3_column_int64(statement, 2))))
        }
        unsafe sqlite3_finalize(statement)
        return events
    }

    private func openIntruder() {
        if unsafe intruder == nil { unsafe sqlite3_open_v2(path + "/signalbox.db", &intruder, SQLITE_OPEN_READWRITE, nil) }
    }

    deinit {
        unsafe sqlite3_close_v2(intruder)
        for name in ["signalbox.db", "signalbox.db-wal", "signalbox.db-shm", "signalbox.lock"] { _ = unsafe unlink(path + "/" + name) }
        _ = unsafe rmdir(path)
    }
}
