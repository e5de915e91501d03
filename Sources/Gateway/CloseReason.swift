// CloseReason: why the server ends a WebSocket: the code, the words in the close frame, and the name in the log. One table.
internal import Base
internal import WebSockets

enum CloseReason {
    /// The server stops.
    case goingAway
    /// The server stops, and another process has taken its place: whoever comes back finds it.
    case restarting
    /// Nothing came for two ping intervals, or for a worker's lease.
    case silent
    /// More waits for the connection than it may leave waiting; it may come back.
    case slowConsumer
    /// The task is not there, or not for this watcher: document G's 4004.
    case unknownTask
    /// The token is missing, wrong, or over: 4003 of documents G and N.
    case unauthenticated
    /// The token was revoked: as one that is over.
    case revoked
    /// The watcher said nothing for too long: document G's 4000.
    case idle
    /// There are as many clients as may be; it may come back.
    case overloaded
    /// Another socket came with the name of its session.
    case replaced
    /// The session that it carried is over, or is carried by another.
    case sessionOver
    /// More messages came in a second than may.
    case tooFast
    /// A message began and did not come on.
    case unfinished
    /// There is more unfinished input, of all together, than there may be.
    case inputOverfull
    /// There is little memory, and much waits for it; it may come back.
    case shortOfMemory
    /// The peer broke the protocol.
    case failed(FrameError)

    var code: CloseCode {
        switch self {
        case .goingAway: .goingAway
        case .restarting: .serviceRestart
        case .silent, .tooFast, .unfinished: .policyViolation
        case .slowConsumer, .overloaded, .inputOverfull, .shortOfMemory: .tryAgainLater
        case .unknownTask: CloseCode(rawValue: 4004)
        case .unauthenticated, .revoked: CloseCode(rawValue: 4003)
        case .idle: CloseCode(rawValue: 4000)
        case .replaced: CloseCode(rawValue: 4001)
        case .sessionOver: .normal
        case .failed(let error): error.closeCode
        }
    }

    /// ASCII, below 123 bytes (RFC 6455 §5.5).
    var words: StaticString {
        switch self {
        case .goingAway: "server is shutting down"
        case .restarting: "service restart"
        case .silent: "no answer to pings"
        case .slowConsumer: "messages are read too slowly"
        case .unknownTask: "task not found or access denied"
        case .unauthenticated: "authentication failed"
        case .revoked: "token was revoked"
        case .idle: "no message for too long"
        case .overloaded: "too many clients"
        case .replaced: "another connection took over the session"
        case .sessionOver: "session is over"
        case .tooFast: "too many messages in a second"
        case .unfinished: "a message came too slowly"
        case .inputOverfull: "too much unfinished input on this server"
        case .shortOfMemory: "server is short of memory, and messages are read too slowly"
        case .failed(let error): error.reason
        }
    }
}
