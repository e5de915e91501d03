// Rig: a directory that goes away, a listener that remembers reports and can be waited for, and records with little to say.
import Base
import Dispatch
import Glibc
import Synchronization
import Testing

@testable import Domain
@testable import Storage

/// A directory of its own, removed at the end.
final class Scratch {
    let path: String

    init() throws {
        var template = Array("/tmp/signalbox-storage-\(String(repeating: "X", count: 6))".utf8CString)
        let made = unsafe template.withUnsafeMutableBufferPointer { unsafe $0.baseAddress.map { unsafe mkdtemp($0) } != nil }
        try #require(made)
        path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    var location: StorageLocation { .directory(path) }
    var file: String { path + "/" + Store.fileName }

    /// Bytes of a file; nil where there is none.
    static func size(of file: String) -> Int? {
        var status = stat()
        return unsafe stat(file, &status) == 0 ? Int(status.st_size) : nil
    }

    deinit {
        for name in ["signalbox.db", "signalbox.db-wal", "signalbox.db-shm", "signalbox.lock"] { _ = unsafe unlink(path + "/" + name) }
        _ = unsafe rmdir(path)
    }
}

/// What a journal reported.
final class Listener: Sendable {
    private let state = Mutex((reports: [Journal.Report](), settled: UInt64(0)))
    private let told = DispatchSemaphore(value: 0)

    func hear(_ report: Journal.Report) {
        state.withLock { state in
            state.reports.append(report)
            switch report {
            case .committed(let number): state.settled = number
            case .failed(let entries, _, _): state.settled = entries.last?.number ?? state.settled
            }
        }
        told.signal()
    }

    /// Waits until everything up to `number` is committed or failed.
    func wait(for number: UInt64, _ place: SourceLocation = #_sourceLocation) {
        while state.withLock({ $0.settled < number }) {
            guard told.wait(timeout: .now() + 60) == .success else {
                Issue.record("nothing was reported", sourceLocation: place)
                return
            }
        }
    }

    var committed: [UInt64] {
        state.withLock { $0.reports.compactMap { if case .committed(let number) = $0 { number } else { nil } } }
    }

    var failures: [(numbers: [UInt64], error: StorageError)] {
        state.withLock {
            $0.reports.compactMap { if case .failed(let entries, let error, _) = $0 { (entries.map(\.number), error) } else { nil } }
        }
    }
}

/// A journal, its listener, and the next number.
struct Rig: ~Copyable {
    let listener = Listener()
    let journal: Journal
    private var last: UInt64 = 0

    init(_ location: StorageLocation = .memory, _ adjust: (inout StorageSettings) -> Void = { _ in }) throws {
        var settings = StorageSettings()
        adjust(&settings)
        let listener = listener
        journal = try Journal(location, settings) { listener.hear($0) }
    }

    /// Appends without waiting.
    ///
    /// - Returns: the last record's number.
    @discardableResult
    mutating func append(_ records: [Record], era: Int? = nil) throws -> UInt64 {
        var number = last
        let batch = records.map { record in
            number += 1
            return RecordEntry(number: number, record: record)
        }
        try journal.append(batch, era: era)
        last = number
        return number
    }

    /// Appends and waits for the report.
    mutating func write(_ records: Record...) throws {
        listener.wait(for: try append(records))
    }

    mutating func write(_ records: [Record]) throws {
        listener.wait(for: try append(records))
    }

    func recover(since: Int64 = 0, bytesMax: Int = .max) throws -> Recovery {
        try journal.recover(endedSince: WallTime(milliseconds: since), endedBytesMax: bytesMax)
    }

    /// Asks and waits for the answer.
    static func ask<Answer: Sendable>(
        _ question: (@escaping @Sendable (Result<Answer, StorageError>) -> Void) throws -> Void
    ) throws -> Answer {
        let reply = Reply<Answer>()
        try question { reply.give($0) }
        return try #require(reply.wait()).get()
    }

    private final class Reply<Answer: Sendable>: Sendable {
        private let result = Mutex<Result<Answer, StorageError>?>(nil)
        private let given = DispatchSemaphore(value: 0)

        func give(_ result: Result<Answer, StorageError>) {
            self.result.withLock { $0 = result }
            given.signal()
        }

        func wait() -> Result<Answer, StorageError>? {
            _ = given.wait(timeout: .now() + 60)
            return result.withLock { $0 }
        }
    }

    func events(_ id: TaskID, after sequence: UInt64 = 0, limit: Int = 1_000) throws -> HistoryPage<EventRow> {
        try Rig.ask { try journal.events(of: id, after: sequence, limit: limit, $0) }
    }

    func progress(_ id: TaskID, limit: Int = 1_000, from end: HistoryEnd = .oldest) throws -> HistoryPage<ProgressRow> {
        try Rig.ask { try journal.progress(of: id, limit: limit, from: end, $0) }
    }

    func logs(_ id: TaskID, limit: Int = 1_000, from end: HistoryEnd = .oldest) throws -> HistoryPage<LogRow> {
        try Rig.ask { try journal.logs(of: id, limit: limit, from: end, $0) }
    }

    func counts() throws -> TaskCounts { try Rig.ask { try journal.counts($0) } }

    func activities(_ question: ActivityQuestion) throws -> HistoryPage<Activity> {
        try Rig.ask { try journal.activities(question, $0) }
    }

    func alerts(_ question: AlertQuestion) throws -> HistoryPage<Alert> { try Rig.ask { try journal.alerts(question, $0) } }

    func forget(before milliseconds: Int64) throws -> Int {
        try Rig.ask { answer in #expect(journal.forget(before: WallTime(milliseconds: milliseconds), answer)) }
    }
}

// MARK: Values

func name(_ number: Int) -> TaskID { TaskID(high: UInt64(number), low: 9) }

func time(_ milliseconds: Int) -> WallTime { WallTime(milliseconds: Int64(milliseconds)) }

func image(_ number: Int, payload: Int = 5, at when: Int = 1_000) -> TaskImage {
    TaskImage(
        id: name(number), group: SharedBytes("default"), isDetached: true,
        payload: SharedBytes([UInt8](repeating: 0x70, count: payload)), timeout: .seconds(60), createdAt: time(when), enqueuedAt: time(when)
    )
}

func ending(_ number: Int, _ outcome: Outcome = .completed(result: SharedBytes("{}")), at when: Int = 2_000) -> TaskEnding {
    let event = outcome.event(step: nil, executionTime: .milliseconds(1_000))
    let failure: FailureKind? = if case .failed(let reason) = outcome { FailureKind(reason) } else { nil }
    return TaskEnding(id: name(number), event: event, failure: failure, endedAt: time(when), sequence: 9)
}

/// A letter of little to say; its place is its own.
func letter(_ number: Int, place: Int = 1, payload: Int = 5) -> DeadLetter {
    let submission = Submission(
        payload: SharedBytes([UInt8](repeating: 0x71, count: payload)), group: SharedBytes("g"), timeout: .seconds(60))
    return DeadLetter(
        number: UInt64(place), id: name(number), submission: submission, attempts: 1, createdAt: time(1_000), failedAt: time(2_000),
        failure: .timeout)
}

func revocation(_ number: Int, _ user: String, before: Int64 = 100) -> Revocation {
    Revocation(number: UInt64(number), user: SharedBytes(user), before: before, revokedAt: time(2_000), revokedBy: nil)
}

func event(_ number: Int, _ sequence: UInt64, kind: UInt8 = 1, bytes: SharedBytes = SharedBytes("e"), at when: Int = 1_500) -> EventRow {
    EventRow(taskID: name(number), sequence: sequence, kind: kind, at: time(when), bytes: bytes)
}

func progress(_ number: Int, _ figure: Int, at when: Int = 1_500) -> ProgressRow {
    ProgressRow(taskID: name(number), progress: figure, status: SharedBytes("running"), createdAt: time(when), sequence: UInt64(figure))
}

func log(_ number: Int, _ sequence: UInt64, _ text: String = "line", at when: Int = 1_500) -> LogRow {
    LogRow(
        taskID: name(number), sequence: sequence, level: SharedBytes("INFO"), source: SharedBytes("worker"), text: SharedBytes(text),
        createdAt: time(when))
}

func activity(
    _ number: Int, _ kind: Activity.Kind = .userOperation, _ severity: Severity = .info, owner: String? = nil, at when: Int = 1_500
) -> Activity {
    Activity(
        id: SharedBytes("act-\(number)"), kind: kind, message: SharedBytes("line \(number)"), severity: severity, createdAt: time(when),
        owner: owner.map { SharedBytes($0) })
}

func alert(_ number: Int, _ severity: Severity = .warning, at when: Int = 1_500, resolved: Int? = nil) -> Alert {
    let resource = Alert.Resource(type: SharedBytes("memory"), value: 82.5, threshold: 80, unit: SharedBytes("%"))
    return Alert(
        id: SharedBytes("alert_\(number)"), kind: .memoryThreshold, severity: severity, title: SharedBytes("title"),
        message: SharedBytes("message"), resource: resource, raisedAt: time(when), resolvedAt: resolved.map(time))
}

func deployment(_ number: Int, _ status: Deployment.Status = .pending, at when: Int = 1_000) -> Deployment {
    let form = Deployment.Form(modelID: SharedBytes("m"), name: SharedBytes("n"), startTimeout: .seconds(30))
    return Deployment(id: SharedBytes("dep-\(number)"), form: form, status: status, createdAt: time(when))
}

func session(_ client: String, user: String = "u", at when: Int = 1_000) -> SessionRow {
    SessionRow(
        opening: SharedBytes(client), userID: SharedBytes(user), projectID: SharedBytes("p"), ipAddress: SharedBytes("127.0.0.1"),
        userAgent: SharedBytes("agent"), at: time(when))
}
