// TaskState: where a task stands, and the table of the moves that are legal. A terminal state is final.
public import Base

/// The five states of a task.
public enum TaskState: UInt8, Sendable, CaseIterable {
    case queued, executing, completed, failed, cancelled

    public var isTerminal: Bool {
        switch self {
        case .queued, .executing: false
        case .completed, .failed, .cancelled: true
        }
    }

    /// The table of moves. `executing` goes back to `queued` when its worker vanished and a retry is left.
    public func mayBecome(_ next: TaskState) -> Bool {
        switch (self, next) {
        case (.queued, .executing), (.queued, .failed), (.queued, .cancelled): true
        case (.executing, .queued), (.executing, .completed), (.executing, .failed), (.executing, .cancelled): true
        case (.queued, .queued), (.queued, .completed), (.executing, .executing): false
        case (.completed, _), (.failed, _), (.cancelled, _): false
        }
    }
}

/// Which of the waiting tasks goes first.
public enum Priority: UInt8, Sendable, CaseIterable, Comparable {
    case high, normal, low

    public static func < (left: Priority, right: Priority) -> Bool { left.rawValue < right.rawValue }
}

/// How a task ended.
public enum Outcome: Sendable {
    /// The worker's result, as it sent it.
    case completed(result: SharedBytes)
    case failed(Failure)
    case cancelled

    /// How watchers are told of it, where nobody told more.
    func event(step: SharedBytes?, executionTime: TimeSpan) -> TaskEvent {
        switch self {
        case .completed(let result): .completed(TaskEvent.Completion(result: result, executionTime: executionTime))
        case .failed(let failure): .failed(TaskEvent.Fault(error: failure.words, step: step, executionTime: executionTime))
        case .cancelled: .cancelled(reason: nil)
        }
    }
}

/// Why a task failed.
public enum Failure: Sendable {
    /// The own words of whoever worked on it.
    case reported(TaskEvent.Words)
    case timeout
    case workerDisconnected

    var words: TaskEvent.Words {
        switch self {
        case .reported(let words): words
        case .timeout: .plain(Failure.timeoutWords)
        case .workerDisconnected: .plain(Failure.disconnectedWords)
        }
    }

    private static let timeoutWords = SharedBytes("Task timeout")
    private static let disconnectedWords = SharedBytes("Worker disconnected")
}
