// EngineWorkspace: what sessions need only while one of them is at work: the row of actions, the room for decoded messages and for a
// poll's answer. One for all sessions of a thread. Holds nothing between two calls that a session would miss.
public import Base

/// A message that came from a client.
public struct EngineMessage: Equatable, Sendable {
    /// Where its bytes lie.
    public enum Place: UInt8, Sendable {
        /// In the bytes that the session was given.
        case received
        /// In ``EngineWorkspace/withDecoded(_:)``.
        case decoded
    }

    public let kind: EngineFrame.Kind
    public let place: Place
    public let range: Range<Int>

    public init(_ kind: EngineFrame.Kind, _ place: Place, _ range: Range<Int>) {
        self.kind = kind
        self.place = place
        self.range = range
    }
}

/// What is to be done for a session, in this order.
public enum EngineAction: Equatable, Sendable {
    /// A message for whoever the session belongs to; its bytes stay only until the next bytes are given to any session.
    case deliver(EngineMessage)
    /// Answer the open poll (200, `text/plain; charset=UTF-8`).
    case answerPoll(SharedBytes)
    /// Send one message over the session's WebSocket.
    case send(EngineFrame)
    /// Close the session's WebSocket after what was sent. Where no `ended` follows, the session goes on by polling.
    case closeWebSocket
    /// The session is over: forget it. Comes once.
    case ended(EngineEnd)
}

/// Room that sessions share.
public final class EngineWorkspace {
    public let settings: EngineSettings
    var actions: [EngineAction] = []
    var decoded = ByteWriter()
    var payload = ByteWriter()

    public init(_ settings: EngineSettings) { self.settings = settings }

    /// Exchanges `row` for the actions since the last time, so that neither's memory is lost.
    public func drain(into row: inout [EngineAction]) {
        row.removeAll(keepingCapacity: true)
        swap(&row, &actions)
    }

    /// The bytes of decoded messages, for the time of `body`.
    public func withDecoded<Result: ~Copyable, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try decoded.withSpan(body)
    }
}
