// LookUps: the names that are being looked up, or wait for it, and how long somebody waits for each. Looks up nothing (Resolver does): it
// says which are given up, so that a probe that came to nothing for want of a name server says so.
import Base
import Domain

struct LookUps {
    private struct LookUp {
        let probe: HealthProbe
        let deadline: Instant
    }

    /// Behind it a name is given up, whether its turn had come or not.
    let patience: TimeSpan
    /// In the order of asking, which is that of their deadlines; no more than there are probes under way.
    private var open: [LookUp] = []

    init(patience: TimeSpan) { self.patience = patience }

    /// When to call ``giveUp(at:)`` next.
    var nextDeadline: Instant? { open.first?.deadline }

    /// - Returns: when it is given up.
    mutating func began(_ probe: HealthProbe, at now: Instant) -> Instant {
        let deadline = now + patience
        open.append(LookUp(probe: probe, deadline: deadline))
        return deadline
    }

    /// Its answer came.
    ///
    /// - Returns: whether somebody still waits for it.
    mutating func ended(_ probe: HealthProbe) -> Bool {
        guard let index = open.firstIndex(where: { $0.probe == probe }) else { return false }
        open.remove(at: index)
        return true
    }

    /// The next whose time is over; nobody waits for it any more.
    mutating func giveUp(at now: Instant) -> HealthProbe? {
        guard let first = open.first, now >= first.deadline else { return nil }
        open.removeFirst()
        return first.probe
    }
}
