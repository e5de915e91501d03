// Receipt: the answer that a request gets once what it asked for is written down. Until then the request waits, and with it what follows
// on its connection.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1

enum Receipt {
    /// A task was taken in, and stood so.
    indirect case accepted(OrderForm, TaskRecord, TaskSnapshot)
    /// An outside program's report, or several in one request.
    case verdict(Judgement)
    case verdicts([Judgement])
    case removed(TaskID)
    /// A task was cancelled: whoever was told so does not meet it again.
    case cancelled(OrderForm, TaskRecord)
    /// A deployment was registered or has changed, and how that is answered.
    indirect case deployment(Deployment, HTTPStatus)
    case deploymentRemoved(SharedBytes)
    /// A task took the place of a dead letter, and stood so; or several did.
    case replayed(TaskRecord, of: TaskID, TaskState)
    case replays([TaskRecord], refused: Int, remaining: Int)
    case letterRemoved(TaskID)
    /// A user's tokens are refused, and what was open with them was closed; or they are taken again.
    indirect case revoked(Revocation, closed: Int)
    case revocationRemoved(SharedBytes)
}

/// What became of an event that an outside program reported, and the task by which it stands or falls.
struct Judgement {
    private let verdict: ProducerVerdict
    private let task: TaskRecord?

    init(_ verdict: ProducerVerdict, _ task: TaskRecord? = nil) {
        self.verdict = verdict
        self.task = task
    }

    /// The verdict as it can be told: a task that could not be written down was not taken in, nor what was said of it.
    var standing: ProducerVerdict {
        guard let task, !task.isRecorded else { return verdict }
        return .refused(.notStored)
    }

    var isRefused: Bool {
        if case .refused = standing { true } else { false }
    }

    /// Whether it is refused because of what was reported before.
    var confirms: Bool {
        switch verdict {
        case .refused(.ended), .refused(.alreadyRegistered): true
        case .accepted, .refused: false
        }
    }

    /// Whether its task was to be written down, and was not.
    var isUnwritten: Bool {
        guard let task else { return false }
        return !task.isRecorded
    }
}

/// A judgement with the mark under which a producer asked for it.
struct MarkedVerdict {
    let mark: SharedBytes
    let judgement: Judgement
}
