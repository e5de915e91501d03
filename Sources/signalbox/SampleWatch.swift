// SampleWatch: how long the look at the machine that is under way has taken. Looks at nothing and ends nothing: a GPU library that hangs
// cannot be called back, but whoever misses the figures is to be told why there are none.
import Base

struct SampleWatch {
    private enum State {
        case idle
        case underWay(since: Instant)
        /// It has taken too long, and that has been said.
        case overdue(since: Instant)
    }

    /// Beyond it a look has taken too long; the slowest of drivers opens within seconds.
    let patience: TimeSpan
    private var state = State.idle

    init(patience: TimeSpan) { self.patience = patience }

    /// When to call ``isNewlyOverdue(at:)`` next.
    var nextDeadline: Instant? {
        switch state {
        case .idle, .overdue: nil
        case .underWay(let since): since + patience
        }
    }

    mutating func began(at now: Instant) { state = .underWay(since: now) }

    /// Whether a look has by now taken too long; true once a look.
    mutating func isNewlyOverdue(at now: Instant) -> Bool {
        guard case .underWay(let since) = state, now >= since + patience else { return false }
        state = .overdue(since: since)
        return true
    }

    /// The look is over.
    ///
    /// - Returns: how long it took, where it has been said to take too long.
    mutating func ended(at now: Instant) -> TimeSpan? {
        defer { state = .idle }
        guard case .overdue(let since) = state else { return nil }
        return now - since
    }
}
