// FakeDisk: the journal of a test: keeps records in lists, writes them when it is told to, or says that it cannot. Answers inquiries from
// what it has written, as the journal does: behind everything that was handed over before.
import Base
import Domain

@testable import Gateway

struct FakeDisk {
    enum Mode {
        /// A batch is written at the end of the turn that brought it.
        case eager
        /// Batches wait in `waiting`.
        case holding
        /// Batches fail.
        case failing
    }

    var mode = Mode.eager
    private(set) var waiting: [[RecordEntry]] = []
    private var questions: [Inquiry] = []
    /// Everything that was written, in order.
    private(set) var written: [Record] = []

    /// What the server is told.
    enum News {
        case committed(UInt64)
        case failed([RecordEntry])
        case found(Finding)
    }

    mutating func take(_ records: [RecordEntry], _ inquiries: [Inquiry]) -> [News] {
        if !records.isEmpty { waiting.append(records) }
        questions += inquiries
        switch mode {
        case .holding: return []
        case .eager: return commit()
        case .failing: return fail()
        }
    }

    /// Writes everything that waits, and answers what was asked.
    mutating func commit() -> [News] {
        var news: [News] = []
        if let last = waiting.last?.last?.number {
            written += waiting.joined().map(\.record)
            news.append(.committed(last))
        }
        waiting = []
        news += questions.map { .found(Finding(to: $0, answer($0.question))) }
        questions = []
        return news
    }

    /// Writes nothing of what waits.
    mutating func fail() -> [News] {
        var news: [News] = waiting.isEmpty ? [] : [.failed(Array(waiting.joined()))]
        waiting = []
        news += questions.map { .found(Finding(to: $0, .failed("the disk is full"))) }
        questions = []
        return news
    }

    private func answer(_ question: Inquiry.Question) -> Finding.Content {
        switch question {
        case .progress(let id, let limit):
            var rows: [ProgressRow] = []
            for record in written {
                switch record {
                case .progressed(let row) where row.taskID == id: rows.append(row)
                case .progressCleared(id), .removed(id): rows = []
                case _: break
                }
            }
            return .progress(rows.suffix(limit))
        case .events(let id, let sequence, let limit):
            var rows: [EventRow] = []
            for record in written {
                switch record {
                case .happened(let row) where row.taskID == id && row.sequence > sequence: rows.append(row)
                case .removed(id): rows = []
                case _: break
                }
            }
            rows.sort { $0.sequence < $1.sequence }
            return .events(Array(rows.prefix(limit)), hasMore: rows.count > limit)
        case .activities(let question): return activities(question)
        case .alerts(let question): return alerts(question)
        }
    }

    private func activities(_ question: ActivityQuestion) -> Finding.Content {
        var rows: [Activity] = []
        for case .activityNoted(let activity) in written.reversed() {
            if activity.id == question.before {
                rows = []
                continue
            }
            if let kind = question.kind, activity.kind != kind { continue }
            if let severity = question.severity, activity.severity != severity { continue }
            if case .owned(let user) = question.visibility, activity.owner != nil, activity.owner != user { continue }
            rows.append(activity)
        }
        return .activities(Array(rows.prefix(question.limit)), hasMore: rows.count > question.limit)
    }

    private func alerts(_ question: AlertQuestion) -> Finding.Content {
        var newest: [SharedBytes: Alert] = [:]
        for case .alertChanged(let alert) in written { newest[alert.id] = alert }
        var rows = newest.values.sorted { ($0.raisedAt, $0.id.description) > ($1.raisedAt, $1.id.description) }
        if let before = question.before { rows = Array(rows.drop { $0.id != before }.dropFirst()) }
        if let isActive = question.isActive { rows.removeAll { ($0.resolvedAt == nil) != isActive } }
        return .alerts(Array(rows.prefix(question.limit)), hasMore: rows.count > question.limit)
    }
}
