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
        }
    }
}
