// HistoryQueries: what can be asked of the store while the server runs, and the shape of the answers. Reads only; each answer is bounded in
// rows and bytes. Knows no HTTP and no replay: whoever asks says from where. The fleet's past is MonitorQueries'.
import Base
import Domain

/// A part of a history, in the order that its question names.
public struct HistoryPage<Element: Sendable>: Sendable {
    public var rows: [Element]
    /// Whether there is more at the end that the limit cut off.
    public var hasMore: Bool

    public init(rows: [Element], hasMore: Bool) {
        self.rows = rows
        self.hasMore = hasMore
    }
}

extension HistoryPage: Equatable where Element: Equatable {}

/// The end of a history from which a limit counts.
public enum HistoryEnd: Sendable, CaseIterable {
    case oldest, newest
}

/// An answer while it is gathered: until the limit or the answer's bytes are used up. The first row always has room.
struct Gathering<Element: Sendable> {
    private let limit: Int
    private let bytesMax: Int
    private var rows: [Element] = []
    private var bytes = 0
    private var hasMore = false

    /// What a row costs besides its large texts.
    private static var rowBytes: Int { 256 }

    /// The rows in the order in which they were taken.
    var page: HistoryPage<Element> { HistoryPage(rows: rows, hasMore: hasMore) }

    init(_ limit: Int, _ settings: StorageSettings) {
        self.limit = min(max(limit, 0), Int(Int32.max))
        bytesMax = settings.answerBytesMax
    }

    /// How many rows to read: one more than wanted tells whether there is more.
    var wanted: Int { limit + 1 }

    /// - Returns: whether the next row is wanted.
    mutating func take(_ row: Element, _ size: Int) -> Bool {
        bytes += Gathering.rowBytes + size
        guard rows.count < limit, rows.isEmpty || bytes <= bytesMax else {
            hasMore = true
            return false
        }
        rows.append(row)
        return true
    }

    func page(from end: HistoryEnd) -> HistoryPage<Element> {
        end == .oldest ? page : HistoryPage(rows: rows.reversed(), hasMore: hasMore)
    }
}

extension Store {
    /// Events of a task whose number is above `sequence`.
    func events(of id: TaskID, after sequence: UInt64, limit: Int) throws(StorageError) -> HistoryPage<EventRow> {
        var gathering = Gathering<EventRow>(limit, settings)
        let wanted = gathering.wanted
        try database.rows(
            .eventsAfter,
            {
                $0.add(id)
                $0.add(sequence: sequence)
                $0.add(wanted)
            },
            { row throws(StorageError) in
                let sequence = row.sequence()
                guard let kind = UInt8(exactly: row.number()) else { throw .corrupt("an event of no kind") }
                let event = EventRow(taskID: id, sequence: sequence, kind: kind, at: row.time(), bytes: row.bytes())
                return gathering.take(event, event.bytes.count)
            })
        return gathering.page(from: .oldest)
    }

    func progress(of id: TaskID, limit: Int, from end: HistoryEnd) throws(StorageError) -> HistoryPage<ProgressRow> {
        var gathering = Gathering<ProgressRow>(limit, settings)
        let wanted = gathering.wanted
        try database.rows(
            end == .oldest ? .oldestProgress : .newestProgress,
            {
                $0.add(id)
                $0.add(wanted)
            },
            { row throws(StorageError) in
                let progress = ProgressRow(
                    taskID: id, progress: row.integer(), currentStep: row.bytes(), totalSteps: row.integer(),
                    completedSteps: row.integer(), message: row.bytes(), status: row.bytes(), metadata: row.bytes(),
                    createdAt: row.time(), sequence: row.sequence())
                return gathering.take(progress, progress.ownedBytes)
            })
        return gathering.page(from: end)
    }

    func logs(of id: TaskID, limit: Int, from end: HistoryEnd) throws(StorageError) -> HistoryPage<LogRow> {
        var gathering = Gathering<LogRow>(limit, settings)
        let wanted = gathering.wanted
        try database.rows(
            end == .oldest ? .oldestLogs : .newestLogs,
            {
                $0.add(id)
                $0.add(wanted)
            },
            { row throws(StorageError) in
                let log = LogRow(
                    taskID: id, sequence: row.sequence(), level: row.bytes(), source: row.bytes(), text: row.bytes(), createdAt: row.time())
                return gathering.take(log, log.text.count)
            })
        return gathering.page(from: end)
    }

    func session(_ clientID: SharedBytes) throws(StorageError) -> SessionRow? {
        var found: SessionRow?
        try database.rows(.session, { $0.add(text: clientID) }) { row throws(StorageError) in
            found = row.session()
            return false
        }
        return found
    }

    /// The newest sessions, of one user or of all.
    func sessions(of userID: SharedBytes?, limit: Int) throws(StorageError) -> HistoryPage<SessionRow> {
        var gathering = Gathering<SessionRow>(limit, settings)
        let wanted = gathering.wanted
        try database.rows(
            userID == nil ? .newestSessions : .newestSessionsOfUser,
            {
                if let userID { $0.add(text: userID) }
                $0.add(wanted)
            },
            { row throws(StorageError) in
                let session = row.session()
                return gathering.take(session, session.userAgent.count)
            })
        return gathering.page(from: .newest)
    }
}

extension Row {
    fileprivate mutating func session() -> SessionRow {
        SessionRow(
            clientID: bytes(), userID: bytes(), projectID: bytes(), connectedAt: time(), disconnectedAt: optionalTime(),
            lastActiveAt: time(), messageCount: integer(), ipAddress: bytes(), userAgent: bytes(), createdAt: time(), updatedAt: time())
    }
}
