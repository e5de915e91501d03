// Effect: everything the domain asks the world to do, and everything it refuses. The broker decides; the gateway performs.

/// Something to be done, in the order in which it was decided.
///
/// Two of them are promises: ``accept(_:_:)`` and ``acknowledge(_:_:)`` are held until every record before them is safe.
public enum Effect {
    /// Send the task to the worker.
    case assign(TaskRecord, Worker)
    /// Tell the worker that nobody wants the task any more.
    case recall(TaskID, Worker)
    /// Tell the worker that its result is stored.
    case acknowledge(TaskID, Worker)
    /// Tell the worker, which asked to leave, that its hands are empty.
    case dismiss(Worker)
    /// Tell everybody who watches.
    case publish(Publication)
    /// Answer a request that does not wait for the end: its task is taken in, if the task's `isRecorded` still holds when the records are
    /// safe.
    case accept(ExchangeID, TaskRecord)
    /// Answer a waiting request: the task has ended.
    case answer(ExchangeID, TaskRecord)
    /// Write it down.
    case record(Record)
    /// Write the event down, to be replayed later; it was to be published right before.
    case archive(Publication)
}

/// Who asks for a task.
public enum Requester: Sendable {
    /// Whoever comes and asks how it stands.
    case nobody
    /// A request that is answered once the task is taken in.
    case accepted(ExchangeID)
    /// A request that is answered once the task has ended.
    case ended(ExchangeID)

    /// Whether the task is wanted although nobody waits for it.
    var isDetached: Bool {
        switch self {
        case .nobody, .accepted: true
        case .ended: false
        }
    }
}

/// Why a task is not taken in.
public enum SubmissionRefusal: Error {
    case noWorker
    case queueFull
    /// The server is about to stop.
    case closing
}

/// Why a worker's word is not taken.
public enum ReportRefusal: Error {
    case unknownTask
    /// Another worker has the task in hand, or none.
    case notYours
    /// It speaks of an assignment that is over: the task was assigned anew since, to whomever.
    case leaseOver
    /// The task has ended: in this state.
    case ended(TaskState)
}

/// What became of a cancellation.
public enum Cancellation {
    case cancelled(TaskRecord)
    case alreadyEnded(TaskRecord)
    case unknownTask
}
