// CloseReason: why the server ends a WebSocket: the code, the words in the close frame, and the name in the log. One table.
internal import Base
internal import WebSockets

enum CloseReason {
    /// The server stops.
    case goingAway
    /// Nothing came for two ping intervals.
    case silent
    /// More waits for the connection than it may leave waiting; it may come back.
    case slowConsumer
    /// The peer broke the protocol.
    case failed(FrameError)

    var code: CloseCode {
        switch self {
        case .goingAway: .goingAway
        case .silent: .policyViolation
        case .slowConsumer: .tryAgainLater
        case .failed(let error): error.closeCode
        }
    }

    /// ASCII, below 123 bytes (RFC 6455 §5.5).
    var words: StaticString {
        switch self {
        case .goingAway: "server is shutting down"
        case .silent: "no answer to pings"
        case .slowConsumer: "messages are read too slowly"
        case .failed(let error): error.reason
        }
    }
}
