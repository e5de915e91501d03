// OutsideReport: what an outside program says of a task that it runs itself, as values that the broker acts upon, and how it is refused.
// Knows no message. Obeys "Producer API" of document N.
public import Base

/// A task that an outside program is going to report.
public struct TaskRegistration: Sendable, Equatable {
    public var id: TaskID
    /// Whose task it is: a text, or a whole number as text.
    public var user: SharedBytes
    public var project: SharedBytes?
    public var type: SharedBytes?
    /// A JSON object, byte for byte.
    public var metadata: SharedBytes?

    public init(id: TaskID, user: SharedBytes, project: SharedBytes? = nil, type: SharedBytes? = nil, metadata: SharedBytes? = nil) {
        self.id = id
        self.user = user
        self.project = project
        self.type = type
        self.metadata = metadata
    }
}

/// What an outside program says of its task.
public enum OutsideReport: Sendable {
    case started
    case progress(TaskEvent.Progress)
    case log(TaskEvent.Log)
    /// The result is a JSON value, byte for byte.
    case completed(result: SharedBytes)
    case failed(TaskEvent.Fault)
    /// Plain text; nil where nobody said.
    case cancelled(reason: SharedBytes?)
}

/// Why a task cannot be registered.
public enum RegistrationRefusal: Error {
    /// A task of this name has not ended, or was dispatched by this server.
    case alreadyRegistered
    /// There are as many as may be, or they hold as many bytes.
    case full
    /// The server is about to stop.
    case closing
}

/// Why an outside program's word is not taken.
public enum OutsideRefusal: Error {
    case unknownTask
    /// This server gave the task to a worker: only that one may speak of it.
    case dispatched
    /// The task has ended: in this state.
    case ended(TaskState)
}

/// What became of a removal.
public enum Removal {
    case removed
    /// It has not ended yet.
    case active(TaskRecord)
    case unknownTask
}
