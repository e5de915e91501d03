// Payload: which bytes an event speaks of. Holds none: they stand in the caller's buffer, unmasked in place, or in the connection
// (WebSocketConnection, MessageAssembler), and only until the next event.

/// Where the bytes of an event are: valid until the next call of ``WebSocketConnection/next(_:_:_:_:)``.
public struct Payload: Equatable, Sendable {
    public enum Source: UInt8, Sendable {
        /// In the bytes that were given to `next`, unmasked in place.
        case received
        /// In the connection, put together from pieces or inflated.
        case message
        /// In the connection, put together: a control frame.
        case control
    }

    public let source: Source
    public let range: Range<Int>

    @inlinable
    init(_ source: Source, _ range: Range<Int>) {
        self.source = source
        self.range = range
    }

    @inlinable public var count: Int { range.count }
    @inlinable public var isEmpty: Bool { range.isEmpty }
}
