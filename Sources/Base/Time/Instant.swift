// Instant and TimeSpan: points and lengths of monotonic time, in nanoseconds. Neither reads a clock: the reactor samples one a turn
// and everybody else is told. Wall time, for people and for messages, is WallTime.

/// A length of time, in nanoseconds; ±292 years.
public struct TimeSpan: Comparable, Hashable, Sendable {
    public let nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable public static func microseconds(_ count: Int64) -> TimeSpan { TimeSpan(nanoseconds: saturating(count, 1_000)) }
    @inlinable public static func milliseconds(_ count: Int64) -> TimeSpan { TimeSpan(nanoseconds: saturating(count, 1_000_000)) }
    @inlinable public static func seconds(_ count: Int64) -> TimeSpan { TimeSpan(nanoseconds: saturating(count, 1_000_000_000)) }

    public static let zero = TimeSpan(nanoseconds: 0)

    /// Whole milliseconds, rounded down.
    @inlinable public var milliseconds: Int64 { nanoseconds / 1_000_000 }

    @inlinable public static func < (left: TimeSpan, right: TimeSpan) -> Bool { left.nanoseconds < right.nanoseconds }

    @inlinable public static func + (left: TimeSpan, right: TimeSpan) -> TimeSpan {
        TimeSpan(nanoseconds: clamped(left.nanoseconds.addingReportingOverflow(right.nanoseconds), negative: left.nanoseconds < 0))
    }

    @usableFromInline
    static func saturating(_ count: Int64, _ unit: Int64) -> Int64 {
        clamped(count.multipliedReportingOverflow(by: unit), negative: count < 0)
    }
}

/// A point of monotonic time: nanoseconds since an origin that only the clock knows.
public struct Instant: Comparable, Hashable, Sendable {
    public let nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The point `span` later; it saturates, so that a span that a peer named cannot overflow.
    @inlinable public static func + (point: Instant, span: TimeSpan) -> Instant {
        Instant(nanoseconds: clamped(point.nanoseconds.addingReportingOverflow(span.nanoseconds), negative: span.nanoseconds < 0))
    }

    @inlinable public static func - (left: Instant, right: Instant) -> TimeSpan {
        TimeSpan(nanoseconds: clamped(left.nanoseconds.subtractingReportingOverflow(right.nanoseconds), negative: left < right))
    }
}

@usableFromInline
func clamped(_ sum: (partialValue: Int64, overflow: Bool), negative: Bool) -> Int64 {
    guard sum.overflow else { return sum.partialValue }
    return negative ? .min : .max
}
