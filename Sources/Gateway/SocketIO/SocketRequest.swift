// SocketRequest: a request to Engine.IO, as far as its head tells: which session, which transport, which verb. Judges what the official
// server judges, in its order and with its codes. Obeys the Engine.IO protocol, revision 4, "HTTP long-polling" and "Handshake".
internal import Base
internal import HTTP1
internal import SocketIO

/// Why a request is refused: the official server's codes and words.
enum SocketRefusal {
    case unknownTransport
    case unknownSession
    case badMethod
    case badRequest
    case forbidden
    case unsupportedVersion
    /// There are as many sessions as may be.
    case tooMany
    case tooLarge

    var status: HTTPStatus {
        switch self {
        case .unknownTransport, .unknownSession, .badMethod, .badRequest, .unsupportedVersion: .badRequest
        case .forbidden: .forbidden
        case .tooMany: .serviceUnavailable
        case .tooLarge: .contentTooLarge
        }
    }

    var text: StaticString {
        switch self {
        case .unknownTransport: #"{"code":0,"message":"Transport unknown"}"#
        case .unknownSession: #"{"code":1,"message":"Session ID unknown"}"#
        case .badMethod: #"{"code":2,"message":"Bad handshake method"}"#
        case .badRequest: #"{"code":3,"message":"Bad request"}"#
        case .forbidden: #"{"code":4,"message":"Forbidden"}"#
        case .unsupportedVersion: #"{"code":5,"message":"Unsupported protocol version"}"#
        case .tooMany: #"{"code":3,"message":"Too many sessions"}"#
        case .tooLarge: #"{"code":3,"message":"Payload is larger than maxPayload"}"#
        }
    }
}

/// What a query asks for.
struct SocketQuery {
    let transport: EngineTransport
    /// Nil for a handshake.
    let session: SocketName?
    /// Whether `transport` stands before `EIO`: so write clients that know no recovery and hand every argument to their handlers.
    let namesTransportFirst: Bool
    /// Whether a handshake asks for the revision that there is.
    let isOurRevision: Bool

    /// Reads a query.
    ///
    /// - Parameter transports: those that are offered.
    static func read(_ query: QueryText, offering transports: [EngineTransport]) -> Reading {
        do throws(HTTPError) {
            let transport: EngineTransport
            switch try query.value(of: "transport") {
            case SocketQuery.polling: transport = .polling
            case SocketQuery.webSocket: transport = .webSocket
            default: return .refused(.unknownTransport)
            }
            guard transports.contains(transport) else { return .refused(.unknownTransport) }
            if let sid = try query.value(of: "sid") {
                guard let name = SocketName(sid.span) else { return .refused(.unknownSession) }
                return .query(SocketQuery(transport: transport, session: name, namesTransportFirst: false, isOurRevision: true))
            }
            let isOurRevision = try query.value(of: "EIO") == SocketQuery.revision
            return .query(SocketQuery(
                transport: transport, session: nil, namesTransportFirst: query.names("transport", before: "EIO"),
                isOurRevision: isOurRevision))
        } catch {
            return .refused(.badRequest)
        }
    }

    enum Reading {
        case query(SocketQuery)
        case refused(SocketRefusal)
    }

    private static let polling = SharedBytes("polling")
    private static let webSocket = SharedBytes("websocket")
    private static let revision = SharedBytes("4")
}

/// A request of a session by polling, which is acted upon once it is whole.
struct SocketRequest {
    enum Verb {
        case handshake(namesTransportFirst: Bool)
        case poll(EngineID)
        case post(EngineID)
    }

    let door: SocketDoor
    let verb: Verb
    let identity: Authentication.Identity
    /// Fields that let a page of another origin read the answer.
    let fields: SharedBytes
}
