// Recovery: what the last process left, read back when the next one starts: the tasks that were under way and those that ended a little
// while ago, the registry of deployments, what was wrong, and whose tokens are refused. Decides nothing: whether a task waits again, runs
// again or fails is the broker's, and whether an alert still holds the monitor's.
import Base
public import Domain

/// What was found.
public struct Recovery: Sendable {
    /// Tasks that wait or are in a worker's hands, in the order of their submission.
    public var live: [TaskImage]
    /// Tasks that have ended, in the order of their ends.
    public var ended: [TaskImage]
    /// In the order of their registration.
    public var deployments: [Deployment]
    /// Those that were not resolved, in the order in which they were raised.
    public var alerts: [Alert]
    /// Tasks that failed and may be tried again, in the order of their numbers.
    public var letters: [DeadLetter]
    /// Tokens that are refused, in the order of their numbers.
    public var revocations: [Revocation]

    public init(
        live: [TaskImage], ended: [TaskImage], deployments: [Deployment], alerts: [Alert], letters: [DeadLetter] = [],
        revocations: [Revocation] = []
    ) {
        self.live = live
        self.ended = ended
        self.deployments = deployments
        self.alerts = alerts
        self.letters = letters
        self.revocations = revocations
    }
}

extension Store {
    /// Reads what is to be remembered again, and closes the sessions that the last process had no time to close.
    ///
    /// - Parameters:
    ///   - since: tasks that ended before this are left where they are.
    ///   - endedBytesMax: bytes that the ended tasks may hold together; the oldest beyond it are left where they are.
    func recover(endedSince since: WallTime, endedBytesMax: Int) throws(StorageError) -> Recovery {
        try database.run(.closeForgottenSessions)
        var live: [TaskImage] = []
        for number in try numbers(.liveTasks, { _ in }) {
            if let image = try task(number) { live.append(image) }
        }
        var ended: [TaskImage] = []
        var bytes = 0
        for number in try numbers(.endedTasks, { $0.add(since) }) {
            guard let image = try task(number) else { continue }
            bytes += Store.imageBytes + image.ownedBytes
            if bytes > endedBytesMax { break }
            ended.append(image)
        }
        ended.reverse()
        try Store.checkNames(live, ended)
        return Recovery(
            live: live, ended: ended, deployments: try deployments(), alerts: try unresolvedAlerts(), letters: try letters(),
            revocations: try revocations())
    }

    /// A damaged file may have a name twice, which its index knows nothing of: in two forms, or in a page of its own.
    private static func checkNames(_ live: [TaskImage], _ ended: [TaskImage]) throws(StorageError) {
        var names = Set<TaskID>(minimumCapacity: live.count + ended.count)
        for images in [live, ended] {
            for image in images where !names.insert(image.id).inserted { throw .corrupt("a task twice") }
        }
    }

    /// What an ended task costs besides its bytes.
    private static let imageBytes = 512

    private func numbers(_ query: Query, _ bind: (inout Arguments) -> Void) throws(StorageError) -> [Int64] {
        var numbers: [Int64] = []
        try database.rows(query, bind) { row throws(StorageError) in
            numbers.append(row.number())
            return true
        }
        return numbers
    }

    private func task(_ number: Int64) throws(StorageError) -> TaskImage? {
        var found: TaskImage?
        try database.rows(.readTask, { $0.add(number) }) { row throws(StorageError) in
            found = try row.task()
            return false
        }
        guard var image = found else { return nil }
        // The rows are the name's: an earlier task of it may have left some.
        image.progress = try progress(of: image.id, limit: 1, from: .newest).rows.first { $0.createdAt >= image.createdAt }
        return image
    }
}

extension FailureKind {
    init(written number: Int64) throws(StorageError) {
        guard let raw = UInt8(exactly: number), let kind = FailureKind(rawValue: raw) else { throw .corrupt("a failure of no kind") }
        self = kind
    }
}

extension Row {
    fileprivate mutating func task() throws(StorageError) -> TaskImage {
        let id = try taskID()
        var image = TaskImage(
            id: id, userID: optionalBytes(), projectID: optionalBytes(), group: bytes(), model: optionalBytes(), type: optionalBytes(),
            priority: try value(Priority.self), provider: optionalBytes(), origin: try value(TaskOrigin.self), isDetached: number() != 0,
            payload: .empty, timeout: .milliseconds(number()), retriesLeft: try count(), attempts: try count(),
            idempotencyKey: optionalBytes(), createdAt: time(), enqueuedAt: time(), deadline: optionalTime(),
            state: try value(TaskState.self), sequence: try place(), worker: optionalBytes(), startedAt: optionalTime())
        (image.retries, image.lease, image.retryAt) = (try count(), try place(), optionalTime())
        let endedAt = optionalTime()
        let failure = try optionalNumber().map { number throws(StorageError) in try FailureKind(written: number) }
        image.payload = bytes()
        image.metadata = optionalBytes()
        guard image.state.isTerminal else { return image }
        guard let endedAt else { throw .corrupt("an ended task without the time of its end") }
        image.ending = TaskEnding(
            id: id, state: image.state, failure: failure, content: optionalBytes(), code: optionalBytes(), type: optionalBytes(),
            details: optionalBytes(), step: optionalBytes(), reason: optionalBytes(), executionTime: optionalSpan(), cost: cost(),
            endedAt: endedAt, sequence: image.sequence)
        return image
    }

    /// A cost, in whichever form it was written down.
    private mutating func cost() -> Cost? {
        let (raw, perHour, currency, time) = (optionalBytes(), optionalDouble(), optionalBytes(), optionalSpan())
        if let raw { return .raw(raw) }
        guard let perHour, let currency, let time else { return nil }
        return .metered(Rate(perHour: perHour, currency: currency), time)
    }
}
