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

/// A message in one frame that came in one piece.
public struct WholeMessage: Equatable, Sendable {
    public let kind: MessageKind
    /// Where its payload lies in the bytes that were given, unmasked.
    public let range: Range<Int>
}

/// Holds a payload that did not come in one piece, until the connection's next event and whatever else becomes of the connection.
public struct PayloadHolder {
    let assembler: MessageAssembler
    let payload: Payload

    /// Shows the payload.
    public func withBytes<Result, Failure: Error>(_ body: (Span<UInt8>) throws(Failure) -> Result) throws(Failure) -> Result {
        try assembler.withBytes(of: payload.source) { whole throws(Failure) in try body(whole.extracting(payload.range)) }
    }
}
