// Server+Admission: who was not let in by the reactor, counted and, now and then, told in the log.
public import Base

extension Server {
    /// How long whoever was turned away is asked to wait.
    public static let retryAfterSeconds = 5
    /// What whoever is turned away for want of memory hears.
    public static let shortOfMemory: StaticString = "Server is short of memory"

    /// Notes that the reactor did not let somebody in.
    public func turnedAway(_ peer: PeerAddress, _ rejection: Rejection, at now: Instant) {
        context.metrics.bounds.count(Bound(rejection))
        // A flood of connections is not to be one of lines.
        guard now >= context.quietUntil else { return }
        context.quietUntil = now + .seconds(1)
        context.log.warning("connections are turned away", ("limit" as StaticString, Bound(rejection).name), ("peer" as StaticString, peer))
    }
}
