// Moment: the two readings of one turn, together. Deadlines use the monotonic one, messages the wall's.

/// A point in time as both clocks show it.
public struct Moment: Sendable {
    /// For deadlines and durations: never steps.
    public let instant: Instant
    /// For people and messages: may step.
    public let wall: WallTime

    public init(instant: Instant, wall: WallTime) {
        self.instant = instant
        self.wall = wall
    }
}
