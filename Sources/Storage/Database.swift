// Database: one connection to SQLite, with its prepared statements. Knows no table: the texts are in Query, the tables in Schema. Bytes
// reach SQL only as bound arguments. Confined to whoever owns it; nothing here is safe from two threads.
//
// Cost: a prepared statement is found by its number; an argument of up to 1 KiB is copied, a larger one is lent. A step dominates.
import Base
import CSQLite
import Domain
import Glibc

/// An open database, owned.
// @safe: the handle and the statements are this value's own, and are closed once, in its deinit.
@safe
struct Database: ~Copyable {
    private let handle: OpaquePointer
    /// Prepared when first used, by the number of the query.
    private var statements = unsafe [OpaquePointer?](repeating: nil, count: Query.allCases.count)
    /// Where SQLite says how long the write-ahead log is.
    private let logPages: UnsafeMutablePointer<Int32>

    /// Opens a file, or an unnamed database in memory.
    ///
    /// - Parameters:
    ///   - path: nil for memory.
    ///   - mayCreate: whether a file that is missing is made.
    init(_ path: String?, mayCreate: Bool = true) throws(StorageError) {
        if let path, mayCreate {
            // Made here and not by SQLite, so that only its owner may read it; the log and the index inherit that.
            // Only where it is missing: to close a file is to give up the process's locks on it.
            let file = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard file >= 0 || errno == EEXIST else { throw .cannotOpen(path: path, errno: errno) }
            if file >= 0 { close(file) }
        }
        // Refused when somebody in this process opened a database before; then memory is counted.
        _ = Database.isConfigured
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        // A relative name is made an absolute one, because one that begins with a colon would mean memory.
        let name = path.map { $0.hasPrefix("/") ? $0 : "./" + $0 } ?? ":memory:"
        let code = unsafe sqlite3_open_v2(name, &opened, flags, nil)
        guard code == SQLITE_OK, let opened = unsafe opened else {
            let reason = unsafe opened.map { unsafe sqlite3_system_errno($0) } ?? 0
            unsafe sqlite3_close_v2(opened)
            if code & 0xff == SQLITE_CANTOPEN { throw .cannotOpen(path: name, errno: reason) }
            throw StorageError(code: code, words: "opening \(name)")
        }
        unsafe handle = opened
        unsafe logPages = .allocate(capacity: 1)
        unsafe logPages.initialize(to: 0)
        // It takes the place of SQLite's own, which moves the log home within a commit. There is one such hook: neither
        // `sqlite3_wal_autocheckpoint` nor the pragma of that name may be used, for both would take this one away.
        unsafe sqlite3_wal_hook(
            opened,
            { pages, _, _, count in
                unsafe pages?.storeBytes(of: count, as: Int32.self)
                return SQLITE_OK
            }, logPages)
    }

    private static let isConfigured = signalbox_configure_without_memory_statistics() == SQLITE_OK

    deinit {
        for place in unsafe statements.indices { unsafe sqlite3_finalize(statements[place]) }
        let code = unsafe sqlite3_close(handle)
        precondition(code == SQLITE_OK, "a database was closed while a statement of it was open")
        unsafe logPages.deallocate()
    }

    // MARK: Without arguments

    /// Runs words of ours, without arguments: what SQLite does not prepare.
    mutating func execute(_ words: String) throws(StorageError) {
        try check(unsafe sqlite3_exec(handle, words, nil, nil, nil))
    }

    /// The first column of the first row, of words of ours without arguments; 0 where there is no row.
    mutating func number(_ words: String) throws(StorageError) -> Int {
        var number = 0
        try rows(words) { row throws(StorageError) in number = row.integer() }
        return number
    }

    /// Hands out the rows of words of ours without arguments, which are not prepared for another time.
    mutating func rows(_ words: String, _ each: (inout Row) throws(StorageError) -> Void) throws(StorageError) {
        var statement: OpaquePointer?
        try check(unsafe sqlite3_prepare_v2(handle, words, -1, &statement, nil))
        defer { unsafe sqlite3_finalize(statement) }
        guard let statement = unsafe statement else { return }
        while true {
            let code = unsafe sqlite3_step(statement)
            if code == SQLITE_DONE { return }
            guard code == SQLITE_ROW else { throw failure(code) }
            var row = unsafe Row(statement)
            try each(&row)
        }
    }

    /// How long a statement waits for another process, in milliseconds.
    mutating func setBusyTimeout(milliseconds: Int) {
        unsafe sqlite3_busy_timeout(handle, Int32(clamping: milliseconds))
    }

    // MARK: Prepared

    /// Runs a query that answers nothing.
    ///
    /// - Returns: the rows that it changed.
    @discardableResult
    mutating func run(_ query: Query, _ bind: (inout Arguments) -> Void = { _ in }) throws(StorageError) -> Int {
        try rows(query, bind) { _ throws(StorageError) in true }
        return Int(unsafe sqlite3_changes64(handle))
    }

    /// Runs a query and hands out its rows, until there are no more or `each` answers false.
    mutating func rows(
        _ query: Query, _ bind: (inout Arguments) -> Void = { _ in }, _ each: (inout Row) throws(StorageError) -> Bool
    ) throws(StorageError) {
        let statement = try unsafe prepared(query)
        var arguments = unsafe Arguments(statement)
        bind(&arguments)
        defer {
            unsafe sqlite3_reset(statement)
            unsafe sqlite3_clear_bindings(statement)
        }
        try check(arguments.code)
        while true {
            let code = unsafe sqlite3_step(statement)
            if code == SQLITE_DONE { break }
            guard code == SQLITE_ROW else { throw failure(code) }
            var row = unsafe Row(statement)
            if try !each(&row) { break }
        }
        arguments.end()
    }

    /// Whether a transaction is open. Some errors end one by themselves.
    var isInTransaction: Bool { unsafe sqlite3_get_autocommit(handle) == 0 }

    private mutating func prepared(_ query: Query) throws(StorageError) -> OpaquePointer {
        if let statement = unsafe statements[query.rawValue] { return unsafe statement }
        let text = query.text
        var statement: OpaquePointer?
        let words = unsafe UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
        try check(
            unsafe sqlite3_prepare_v3(
                handle, words, Int32(text.utf8CodeUnitCount), UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
        guard let statement = unsafe statement else { preconditionFailure("\(query) has no words") }
        unsafe statements[query.rawValue] = statement
        return unsafe statement
    }

    // MARK: The write-ahead log

    /// Pages that the log had after the last commit.
    var pagesInLog: Int { Int(unsafe logPages.pointee) }

    enum Checkpoint {
        /// As much as goes without waiting for readers.
        case passive
        /// All, and the log's file becomes empty.
        case truncate
    }

    /// Moves what the log has into the database's own file.
    mutating func checkpoint(_ kind: Checkpoint) throws(StorageError) {
        let mode =
            switch kind {
            case .passive: SQLITE_CHECKPOINT_PASSIVE
            case .truncate: SQLITE_CHECKPOINT_TRUNCATE
            }
        try check(unsafe sqlite3_wal_checkpoint_v2(handle, nil, mode, nil, nil))
        unsafe logPages.pointee = 0
    }

    // MARK: Errors

    private func check(_ code: Int32) throws(StorageError) {
        if code != SQLITE_OK { throw failure(code) }
    }

    private func failure(_ code: Int32) -> StorageError {
        let words = unsafe sqlite3_errmsg(handle)
        return StorageError(code: code, words: unsafe words.map { unsafe String(cString: $0) } ?? "no words")
    }
}

/// The arguments of one run, in the order of the question marks.
// @safe: the statement outlives the value, and what is lent to it is held until `end`.
@safe
struct Arguments {
    private let statement: OpaquePointer
    private var index: Int32 = 0
    /// What the statement borrows.
    private var lent: [SharedBytes] = []
    /// The first error.
    private(set) var code = SQLITE_OK

    /// Larger bytes are lent, smaller ones copied: a copy of this size costs less than an entry of `lent`.
    private static let copiedMax = 1_024

    init(_ statement: OpaquePointer) {
        unsafe self.statement = statement
    }

    mutating func add(_ number: Int64) { note(unsafe sqlite3_bind_int64(statement, next(), number)) }
    mutating func add(_ number: Int) { add(Int64(number)) }
    mutating func add(_ number: UInt8) { add(Int64(number)) }
    mutating func add(_ number: Double?) {
        if let number { note(unsafe sqlite3_bind_double(statement, next(), number)) } else { addNull() }
    }
    mutating func add(_ span: TimeSpan?) { if let span { add(span.nanoseconds) } else { addNull() } }
    mutating func add(_ truth: Bool) { add(truth ? 1 as Int64 : 0) }
    mutating func add(_ time: WallTime) { add(time.milliseconds) }
    mutating func add(_ time: WallTime?) { if let time { add(time) } else { addNull() } }
    mutating func add(sequence: UInt64) { add(Int64(clamping: sequence)) }
    /// Nothing is bound: the last run left every argument NULL.
    mutating func addNull() { _ = next() }

    mutating func add(_ id: TaskID) {
        if let name = id.name { return add(text: name) }
        var writer = ByteWriter(capacity: 48)
        id.write(to: &writer)
        let place = next()
        note(
            writer.withSpan { text in
                unsafe text.withUnsafeBytes { unsafe signalbox_bind_copied_text(statement, place, $0.baseAddress, Int32($0.count)) }
            })
    }

    mutating func add(path: String) { add(text: SharedBytes(path)) }

    mutating func add(text: SharedBytes?) {
        guard let text else { return addNull() }
        let place = next()
        let isCopied = text.count <= Arguments.copiedMax
        if !isCopied { lent.append(text) }
        note(
            unsafe text.span.withUnsafeBytes {
                isCopied
                    ? unsafe signalbox_bind_copied_text(statement, place, $0.baseAddress, Int32($0.count))
                    : unsafe signalbox_bind_lent_text(statement, place, $0.baseAddress, UInt64($0.count))
            })
    }

    mutating func add(blob: SharedBytes?) {
        guard let blob else { return addNull() }
        let place = next()
        let isCopied = blob.count <= Arguments.copiedMax
        if !isCopied { lent.append(blob) }
        note(
            unsafe blob.span.withUnsafeBytes {
                isCopied
                    ? unsafe signalbox_bind_copied_blob(statement, place, $0.baseAddress, Int32($0.count))
                    : unsafe signalbox_bind_lent_blob(statement, place, $0.baseAddress, UInt64($0.count))
            })
    }

    /// Text that stays where it is until the run is over, which the caller sees to.
    mutating func add(heldText text: SharedBytes?) {
        guard let text else { return addNull() }
        let place = next()
        note(unsafe text.span.withUnsafeBytes { unsafe signalbox_bind_lent_text(statement, place, $0.baseAddress, UInt64($0.count)) })
    }

    mutating func add(heldText writer: borrowing ByteWriter) {
        let place = next()
        note(
            writer.withSpan { text in
                unsafe text.withUnsafeBytes { unsafe signalbox_bind_lent_text(statement, place, $0.baseAddress, UInt64($0.count)) }
            })
    }

    /// The same of a blob.
    mutating func add(heldBlob blob: SharedBytes?) {
        guard let blob else { return addNull() }
        let place = next()
        note(unsafe blob.span.withUnsafeBytes { unsafe signalbox_bind_lent_blob(statement, place, $0.baseAddress, UInt64($0.count)) })
    }

    /// The run is over: what was lent may go.
    mutating func end() { lent = [] }

    private mutating func next() -> Int32 {
        index += 1
        return index
    }

    private mutating func note(_ result: Int32) {
        if code == SQLITE_OK { code = result }
    }
}

/// A row of an answer, read from the first column to the last.
// @safe: valid only in the call that hands it out, while its statement stands on it; what is read is copied.
@safe
struct Row {
    private let statement: OpaquePointer
    private var column: Int32 = 0

    init(_ statement: OpaquePointer) {
        unsafe self.statement = statement
    }

    mutating func number() -> Int64 { unsafe sqlite3_column_int64(statement, next()) }
    mutating func integer() -> Int { Int(number()) }
    mutating func sequence() -> UInt64 { UInt64(clamping: number()) }
    mutating func time() -> WallTime { WallTime(milliseconds: number()) }

    mutating func optionalTime() -> WallTime? { optionalNumber().map { WallTime(milliseconds: $0) } }

    mutating func optionalNumber() -> Int64? {
        let place = next()
        guard unsafe sqlite3_column_type(statement, place) != SQLITE_NULL else { return nil }
        return unsafe sqlite3_column_int64(statement, place)
    }

    mutating func optionalSpan() -> TimeSpan? { optionalNumber().map { TimeSpan(nanoseconds: $0) } }

    mutating func optionalDouble() -> Double? {
        let place = next()
        guard unsafe sqlite3_column_type(statement, place) != SQLITE_NULL else { return nil }
        return unsafe sqlite3_column_double(statement, place)
    }

    /// Text or a blob, copied; nil for NULL.
    mutating func optionalBytes() -> SharedBytes? {
        let place = next()
        guard unsafe sqlite3_column_type(statement, place) != SQLITE_NULL else { return nil }
        let start = unsafe sqlite3_column_blob(statement, place)
        let count = Int(unsafe sqlite3_column_bytes(statement, place))
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count)
        return unsafe SharedBytes(copying: Span(_unsafeBytes: bytes))
    }

    mutating func bytes() -> SharedBytes { optionalBytes() ?? .empty }

    mutating func taskID() throws(StorageError) -> TaskID {
        guard let id = TaskID(bytes().span) else { throw .corrupt("a task without a name") }
        return id
    }

    /// How often something was done, which nobody does as often as to overflow.
    mutating func count() throws(StorageError) -> Int {
        guard let count = Int32(exactly: number()), count >= 0 else { throw .corrupt("a count that is none") }
        return Int(count)
    }

    /// A place in an order that goes on behind it, and that JSON can tell exactly.
    mutating func place() throws(StorageError) -> UInt64 {
        guard let place = UInt64(exactly: number()), place <= 1 << 53 else { throw .corrupt("a place in no order") }
        return place
    }

    /// A value that is written as a small number.
    mutating func value<Value: RawRepresentable>(_ type: Value.Type) throws(StorageError) -> Value where Value.RawValue == UInt8 {
        guard let raw = UInt8(exactly: number()), let value = Value(rawValue: raw) else { throw .corrupt("a number that is no \(type)") }
        return value
    }

    private mutating func next() -> Int32 {
        defer { column += 1 }
        return column
    }
}
