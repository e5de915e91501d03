// ProducerEvent: what an outside program reports of a task that it runs itself, as plain values that the domain can act upon. Its own
// figures and words are kept as it gave them. Knows no message: ProducerDialect reads those.
public import Base
public import Domain

/// Something that an outside program reports.
public enum ProducerEvent: Sendable {
    case register(TaskRegistration)
    case started(TaskID)
    case progress(TaskID, TaskEvent.Progress)
    case log(TaskID, TaskEvent.Log)
    /// The result is a JSON value, byte for byte.
    case completed(TaskID, result: SharedBytes)
    /// What the reporter knows of the failure; the domain adds step, time and cost.
    case failed(TaskID, TaskEvent.Fault)
    /// Plain text; nil where nobody said.
    case cancelled(TaskID, reason: SharedBytes?)

    public var task: TaskID {
        switch self {
        case .register(let registration): registration.id
        case .started(let id), .progress(let id, _), .log(let id, _), .completed(let id, _), .failed(let id, _), .cancelled(let id, _): id
        }
    }
}

/// The words for what is reported: `event` in a message, the last part of the path over HTTP.
public enum ProducerVerb: Sendable, CaseIterable {
    case register, started, progress, log, completed, failed, cancelled

    public var word: StaticString {
        switch self {
        case .register: "register"
        case .started: "started"
        case .progress: "progress"
        case .log: "log"
        case .completed: "completed"
        case .failed: "failed"
        case .cancelled: "cancelled"
        }
    }
}
