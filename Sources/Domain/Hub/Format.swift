// Format: the ways in which a publication can be written, as small numbers. What each looks like is the dialects' business; the hub only
// keeps their listeners apart, so that each is written once however many listen.

/// How a subscriber wants to be told.
public enum Format: UInt8, Sendable, CaseIterable {
    /// One socket a task.
    case task
    /// One socket a user.
    case user
    /// The hub socket, one message a frame.
    case hub
    /// The hub socket, several messages a frame.
    case hubBatched
    /// Server-sent events.
    case events
    /// Socket.IO over WebSocket, with the offset that a client recovers from.
    case monitor
    /// The same without the offset, for clients that would take it for an argument.
    case monitorBare
    /// Socket.IO by polling, with the offset or without.
    case monitorPolled
    /// The pieces of a streamed result, as OpenAI's clients read them.
    case completion

    static let count = 9
    /// Where the buckets of all formats end in one row.
    typealias Ends = InlineArray<9, Int>
}

/// Some of the formats.
public struct FormatSet: OptionSet, Sendable {
    public let rawValue: UInt16

    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    @inlinable public init(_ format: Format) { rawValue = 1 << format.rawValue }

    public static let all = FormatSet(rawValue: .max)

    @inlinable public func contains(_ format: Format) -> Bool { rawValue & 1 << format.rawValue != 0 }
}
