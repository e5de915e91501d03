// Inquiry: a question to what was written down, and its answer: a value goes out, a value comes back, as with a job. What is asked and
// what becomes of the answer is the services'; how it is looked up is the journal's.
internal import Base
public import Domain

/// A question to the journal.
public struct Inquiry: Sendable {
    public enum Question: Sendable {
        /// The newest rows of a task's progress, oldest first.
        case progress(TaskID, limit: Int)
        /// The oldest events of a task behind a number.
        case events(TaskID, after: UInt64, limit: Int)
        /// Newest first, as alerts.
        indirect case activities(ActivityQuestion)
        indirect case alerts(AlertQuestion)
    }

    /// Who gets the answer.
    enum Ticket: Sendable {
        case request(ConnectionID, number: UInt32)
        /// A watcher that came back for what it missed.
        case replay(ConnectionID, number: UInt32)
    }

    public let question: Question
    let ticket: Ticket
}

/// What the journal answered.
public struct Finding: Sendable {
    public enum Content: Sendable {
        case progress([ProgressRow])
        /// Whether more lies behind them.
        case events([EventRow], hasMore: Bool)
        case activities([Activity], hasMore: Bool)
        case alerts([Alert], hasMore: Bool)
        /// It could not be looked up; the reason is for the log.
        case failed(String)
    }

    let ticket: Inquiry.Ticket
    let content: Content

    /// The answer to an inquiry.
    public init(to inquiry: Inquiry, _ content: Content) {
        ticket = inquiry.ticket
        self.content = content
    }
}

/// What a request asked the journal for.
enum Inquirer {
    case storedHistory(TaskID)
    /// What came after the position, for a stream of events.
    case missedEvents(StreamPosition, Principal)
    case activities
    case alerts
}
