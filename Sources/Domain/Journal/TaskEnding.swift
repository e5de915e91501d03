// TaskEnding: the end of a task as plain values, one for each column that it is written into, and the way back to the event that the
// living task ended with: the same event, whoever reads it and whenever.
public import Base

/// Why a task failed, as a small number that is written down.
public enum FailureKind: UInt8, Sendable, CaseIterable {
    /// In the reporter's own words: a JSON value.
    case reported
    case timeout
    case workerDisconnected
    /// In the reporter's own words: plain text.
    case reportedPlainly

    init(_ failure: Failure) {
        switch failure {
        case .reported(.raw): self = .reported
        case .reported(.plain): self = .reportedPlainly
        case .timeout: self = .timeout
        case .workerDisconnected: self = .workerDisconnected
        }
    }
}

/// The end of a task.
public struct TaskEnding: Sendable, Equatable {
    public var id: TaskID
    /// A terminal state.
    public var state: TaskState
    /// Nil where the task did not fail.
    public var failure: FailureKind?
    /// The result, or the reporter's own words about its failure.
    public var content: SharedBytes?
    /// Of a failure, plain text.
    public var code: SharedBytes?
    public var type: SharedBytes?
    /// Of a failure: a JSON value.
    public var details: SharedBytes?
    /// Of a failure: the last step that was reported, plain text.
    public var step: SharedBytes?
    /// Who cancelled it or why, plain text.
    public var reason: SharedBytes?
    public var executionTime: TimeSpan?
    public var cost: Cost?
    public var endedAt: WallTime
    public var sequence: UInt64

    /// - Precondition: `state` is terminal.
    public init(
        id: TaskID, state: TaskState, failure: FailureKind? = nil, content: SharedBytes? = nil, code: SharedBytes? = nil,
        type: SharedBytes? = nil, details: SharedBytes? = nil, step: SharedBytes? = nil, reason: SharedBytes? = nil,
        executionTime: TimeSpan? = nil, cost: Cost? = nil, endedAt: WallTime, sequence: UInt64
    ) {
        precondition(state.isTerminal, "a task does not end as \(state)")
        self.id = id
        self.state = state
        self.failure = failure
        self.content = content
        self.code = code
        self.type = type
        self.details = details
        self.step = step
        self.reason = reason
        self.executionTime = executionTime
        self.cost = cost
        self.endedAt = endedAt
        self.sequence = sequence
    }

    /// - Parameters:
    ///   - event: how watchers were told.
    ///   - failure: why it failed; where nobody says, in the words of the event.
    /// - Precondition: the event is an end.
    public init(id: TaskID, event: TaskEvent, failure: FailureKind? = nil, endedAt: WallTime, sequence: UInt64) {
        switch event {
        case .completed(let completion):
            self.init(
                id: id, state: .completed, content: completion.result, executionTime: completion.executionTime, cost: completion.cost,
                endedAt: endedAt, sequence: sequence)
        case .failed(let fault):
            let kind = failure ?? FailureKind(.reported(fault.error))
            self.init(
                id: id, state: .failed, failure: kind, content: fault.error.bytes, code: fault.code, type: fault.type,
                details: fault.details, step: fault.step, executionTime: fault.executionTime, cost: fault.cost, endedAt: endedAt,
                sequence: sequence)
            // The server's own words are not the reporter's to keep.
            if kind == .timeout || kind == .workerDisconnected { content = nil }
        case .cancelled(let reason):
            self.init(id: id, state: .cancelled, reason: reason, endedAt: endedAt, sequence: sequence)
        case .queued, .started, .progress, .log, .chunk: preconditionFailure("a task does not end with \(event)")
        }
    }

    /// As watchers were told.
    public var event: TaskEvent {
        switch outcome {
        case .completed(let result):
            .completed(TaskEvent.Completion(result: result, executionTime: executionTime, cost: cost))
        case .failed(let failure):
            .failed(
                TaskEvent.Fault(
                    error: failure.words, code: code, type: type, details: details, step: step, executionTime: executionTime, cost: cost))
        case .cancelled: .cancelled(reason: reason)
        }
    }

    /// The ending as the living task has it. A failure of no kind counts as reported.
    public var outcome: Outcome {
        switch state {
        case .completed: return .completed(result: content ?? .empty)
        case .cancelled: return .cancelled
        case .queued, .executing: preconditionFailure("a task ended as \(state)")
        case .failed:
            switch failure {
            case .reported, nil: return .failed(.reported(.raw(content ?? .empty)))
            case .reportedPlainly: return .failed(.reported(.plain(content ?? .empty)))
            case .timeout: return .failed(.timeout)
            case .workerDisconnected: return .failed(.workerDisconnected)
            }
        }
    }

    /// Bytes that the ending holds besides itself.
    var ownedBytes: Int {
        let words = (content?.count ?? 0) + (details?.count ?? 0) + (code?.count ?? 0) + (type?.count ?? 0)
        return words + (step?.count ?? 0) + (reason?.count ?? 0) + (cost?.byteCount ?? 0)
    }
}
