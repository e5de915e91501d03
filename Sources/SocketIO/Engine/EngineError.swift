// EngineError: what a client did against Engine.IO, as a case and a sentence; and how a session came to its end. Not an HTTP status:
// the gateway answers every one of these with 400. Obeys the Engine.IO protocol, revision 4.

/// Why a packet or a request is refused.
public enum EngineError: Error, Hashable, Sendable, CaseIterable {
    case emptyPacket
    case unknownPacketType
    /// A close, upgrade or noop packet that goes on after its type.
    case unexpectedContent
    case invalidBase64
    case invalidUTF8
    case payloadTooLarge
    case tooManyPackets

    /// A packet that a client may not send, or not now.
    case unexpectedPacket
    /// A second poll while one is open.
    case concurrentPoll
    /// HTTP long-polling in a session that has moved to WebSocket.
    case pollingAfterUpgrade
    /// A WebSocket for a session that has one.
    case secondWebSocket
    case sessionEnded

    /// What was wrong, for people.
    public var sentence: StaticString {
        switch self {
        case .emptyPacket: "a packet has no type"
        case .unknownPacketType: "a packet's type is none of 0 to 6"
        case .unexpectedContent: "a packet that has no content has one"
        case .invalidBase64: "a binary message is not base64"
        case .invalidUTF8: "the payload is not UTF-8"
        case .payloadTooLarge: "the payload is larger than maxPayload"
        case .tooManyPackets: "the payload has too many packets"
        case .unexpectedPacket: "a packet of this type is not expected here"
        case .concurrentPoll: "the session has an open poll already"
        case .pollingAfterUpgrade: "the session has moved to WebSocket"
        case .secondWebSocket: "the session has a WebSocket already"
        case .sessionEnded: "the session has ended"
        }
    }
}

/// How a session came to its end.
public enum EngineEnd: Hashable, Sendable {
    /// The client sent a close packet.
    case closedByClient
    case closedByServer
    /// The session's WebSocket is gone.
    case transportLost
    /// No pong came in time.
    case pingTimeout
    /// More waits for the client than may.
    case overloaded
    /// The client broke a rule.
    case violation(EngineError)
}
