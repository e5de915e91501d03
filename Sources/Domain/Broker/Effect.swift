// Effect: everything the domain asks the world to do, and everything it refuses. The broker decides; the gateway performs.

/// Something to be done, in the order in which it was decided.
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
    /// Answer a waiting request: the task has ended.
    case answer(ExchangeID, TaskRecord)
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
    /// The task has ended: in this state.
    case ended(TaskState)
}

/// What became of a cancellation.
public enum Cancellation {
    case cancelled(TaskRecord)
    case alreadyEnded(TaskRecord)
    case unknownTask
}
