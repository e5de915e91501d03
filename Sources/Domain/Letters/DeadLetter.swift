// DeadLetter: a task that failed although it was promised, as plain values: what was asked for, byte for byte, and why it was not done. Not
// the task, which is forgotten soon and never changes; who has the letter replayed makes a new one.
public import Base

/// A task that failed and may be tried again.
public struct DeadLetter: Sendable, Equatable {
    /// Its place among all letters: a later one has a greater number, also after a restart.
    public var number: UInt64
    /// The task's name.
    public var id: TaskID
    /// What was asked for, and whose it is.
    public var submission: Submission
    /// How often it was given to a worker.
    public var attempts: Int
    public var createdAt: WallTime
    public var failedAt: WallTime
    public var failure: FailureKind
    /// The reporter's own words, of the kind that `failure` says; nil where the server found the failure.
    public var words: SharedBytes?

    /// - Parameter submission: with its group named.
    public init(
        number: UInt64 = 0, id: TaskID, submission: Submission, attempts: Int, createdAt: WallTime, failedAt: WallTime,
        failure: FailureKind, words: SharedBytes? = nil
    ) {
        self.number = number
        self.id = id
        self.submission = submission
        self.attempts = attempts
        self.createdAt = createdAt
        self.failedAt = failedAt
        self.failure = failure
        self.words = words
    }

    public var group: SharedBytes { submission.group ?? Broker.defaultGroup }

    /// Bytes that the letter holds besides itself.
    public var ownedBytes: Int {
        let bodies = submission.payload.count + (words?.count ?? 0) + (submission.idempotencyKey?.count ?? 0)
        let owners = (id.name?.count ?? 0) + (submission.user?.count ?? 0) + (submission.project?.count ?? 0)
        let kinds = group.count + (submission.model?.count ?? 0) + (submission.provider?.count ?? 0) + (submission.type?.count ?? 0)
        return bodies + owners + kinds
    }
}

/// Why a letter is not replayed, or not removed.
public enum LetterRefusal: Error {
    case unknownLetter
    /// Somebody has it replayed at this moment.
    case underWay
    /// The task is not taken in; the letter stays.
    case notTaken(SubmissionRefusal)
}

/// What became of the letters of which all were to be replayed.
public struct Replays {
    /// The new tasks, with the letters that they take the place of.
    public var tasks: [(letter: TaskID, task: TaskRecord)] = []
    /// Letters that were looked at and whose groups took no task in.
    public var refused = 0
    /// Letters of those that were asked for that are still there.
    public var remaining = 0
}
