// Authentication: who speaks, and whether this part of the server may be spoken to: the operator's rule for each surface, the three places
// in which a request carries a token (RFC 6750 §2.1 and §2.3, and the subprotocols of RFC 6455, which is all that a browser lets a page
// set), and what somebody hears who is turned away. Checks no signature, which is BearerToken's, and knows no task: see Principal.
//
// Cost: with `off` nothing is looked at; a request without a token costs three look-ups. Else the token's own cost: 3 to 120 µs.
internal import Base
public import Dialects
internal import Domain
internal import HTTP1
internal import WebSockets

/// A part of the server, as far as the rules go of who may speak to it.
enum Surface: Hashable, Sendable, CaseIterable {
    /// D: tasks are given, asked for and cancelled.
    case dispatch
    /// D: failed tasks are listed: whoever asks learns names, and a name is all that protects a task without an owner.
    case letters
    /// D: tasks are done.
    case worker
    /// G: one task is watched.
    case task
    /// N: a user's tasks are watched.
    case user
    /// P: topics are watched.
    case hub
    /// E: the fleet is watched.
    case monitor
    /// E: deployments are changed.
    case registry
    /// N: tasks that run elsewhere are reported.
    case producer
    /// A user's own tokens are revoked.
    case account
    /// Anybody's tokens are revoked.
    case revocations
    /// What an operator looks at.
    case operations
    /// Everybody's tasks are watched, and workers sent home.
    case dashboard
}

extension Route {
    /// The surface that asks who speaks; nil where nobody is asked, whatever the operator chose.
    var surface: Surface? {
        switch self {
        case .submit(.dispatch), .submit(.completion), .models, .model, .task, .cancel: .dispatch
        case .letter, .removeLetter, .replayLetter: .dispatch
        case .letters, .replayLetters: .letters
        case .submit(.gpu), .gpuTask, .gpuConnections, .gpuStatistics, .taskSocket, .eventStream: .task
        case .userTask, .userTasks, .removeTask, .userSocket: .user
        case .report, .reports, .producerSocket: .producer
        case .progress, .history, .storedHistory, .clearHistory, .subscribe, .unsubscribe: .hub
        case .progressStatistics, .activeClients, .hubStatistics, .hubSocket: .hub
        case .deployments, .deployment, .activities, .postActivity, .alerts, .fleet: .monitor
        case .createDeployment, .updateDeployment, .removeDeployment, .actOnDeployment: .registry
        // The token may come later, with Socket.IO's CONNECT.
        case .engine: nil
        case .workerSocket: .worker
        case .revocations(.logOut): .account
        case .revocations: .revocations
        case .metrics, .echoSocket: .operations
        case .dashboard: .dashboard
        // A balancer has no token, and a browser sends none when it loads a page; neither hears anything about anybody.
        case .health, .readiness, .asset: nil
        case .options, .methodNotAllowed, .notFound: nil
        case .unknownTask(let surface): surface
        }
    }
}

/// Who needs a token where, and what tokens are checked with.
public struct Authentication: Sendable {
    public enum Mode: Hashable, Sendable, CaseIterable {
        /// Nobody is asked, and tokens are not read.
        case off
        /// Who watches the tasks of users is asked, and who reports them; the others may say who they are.
        case users
        /// Everybody is asked.
        case all
    }

    public let mode: Mode
    public let keys: TokenKeys
    public let rules: TokenRules

    public init(mode: Mode = .off, keys: TokenKeys = TokenKeys(), rules: TokenRules = TokenRules()) {
        self.mode = mode
        self.keys = keys
        self.rules = rules
    }

    // MARK: The rules

    /// What a surface asks for.
    enum Demand: Hashable, Sendable {
        case nothing
        /// A token, of any role.
        case token
        /// A token of that role, or of an admin.
        case worker, publisher, admin
    }

    func demand(of surface: Surface) -> Demand {
        switch (mode, surface) {
        case (.off, _): .nothing
        case (.users, .dispatch), (.users, .worker), (.users, .hub), (.users, .monitor), (.users, .registry), (.users, .operations):
            .nothing
        case (.users, .letters), (.users, .task), (.users, .user), (.users, .account): .token
        case (.all, .dispatch), (.all, .letters), (.all, .task), (.all, .user), (.all, .account), (.all, .hub), (.all, .monitor): .token
        case (.users, .producer), (.all, .producer), (.all, .registry): .publisher
        case (.all, .worker): .worker
        case (.users, .revocations), (.all, .revocations), (.all, .operations), (.users, .dashboard), (.all, .dashboard): .admin
        }
    }

    /// Whether somebody may speak to a surface.
    enum Admission: Hashable, Sendable {
        case admitted(Principal)
        case refused(Refusal)
    }

    func admit(_ identity: Identity, to surface: Surface) -> Admission {
        let demand = demand(of: surface)
        switch (demand, identity) {
        case (.nothing, .principal(let principal)): return .admitted(principal)
        // An open surface overlooks a token that is not ours: stock OpenAI clients always send one.
        case (.nothing, .anonymous), (.nothing, .refused): return .admitted(mode == .off ? .trusted : .anonymous)
        case (_, .anonymous): return .refused(.noToken)
        case (_, .refused(let problem)): return .refused(.token(problem))
        case (_, .principal(let principal)): return principal.meets(demand) ? .admitted(principal) : .refused(.role(demand))
        }
    }

    // MARK: Who speaks

    /// Who speaks, as far as a request tells.
    enum Identity: Hashable, Sendable {
        /// There is no token.
        case anonymous
        case principal(Principal)
        case refused(TokenProblem)
    }

    /// Reads the token of a request: of its Authorization, else its query's `token`, else its subprotocols. The first that is there counts.
    ///
    /// - Parameter scratch: used and left as it was.
    func identify(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: WallTime, scratch: inout ByteWriter) -> Identity {
        guard mode != .off else { return .anonymous }
        if let token = Authentication.credentials(head, bytes) { return verify(bytes.extracting(token), at: now) }
        let start = scratch.count
        defer { scratch.truncate(to: start) }
        // A query that cannot be read holds no token; whether that is a mistake is for those to say who want something of it.
        if let token = try? head.target.parameter("token", in: bytes, into: &scratch), !token.isEmpty {
            return verify(scratch.span.extracting(token), at: now)
        }
        guard let token = BearerSubprotocol(head, bytes)?.token else { return .anonymous }
        return verify(bytes.extracting(token), at: now)
    }

    /// Who speaks to a surface without a token: a certificate speaks for workers, until it ends. It needs a name that a user could have.
    func identify(_ certificate: PeerCertificate?, at now: WallTime, to surface: Surface) -> Identity {
        guard mode != .off, surface == .worker, let certificate, now < certificate.expiry, TaskID(certificate.name.span) != nil else {
            return .anonymous
        }
        return .principal(Principal(
            user: certificate.name, role: .worker, expiry: certificate.expiry, issuedAt: certificate.issuedAt))
    }

    /// Whose a token is, wherever it came from.
    func verify(_ token: Span<UInt8>, at now: WallTime) -> Identity {
        guard mode != .off else { return .anonymous }
        do throws(TokenProblem) {
            return .principal(try BearerToken.verify(token, keys: keys, rules: rules, now: now))
        } catch {
            return .refused(error)
        }
    }

    /// RFC 6750 §2.1: `Bearer`, in letters of either case (RFC 9110 §11.1), one or more spaces, the token; nil for another scheme.
    private static func credentials(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Range<Int>? {
        guard let value = head.value(.authorization) else { return nil }
        let end = value.lowerBound + 6
        guard end < value.upperBound, bytes.equals("bearer", ignoringASCIICaseAt: value.lowerBound..<end) else { return nil }
        var start = end
        while start < value.upperBound, bytes[start] == UInt8(ascii: " ") { start += 1 }
        return start > end && start < value.upperBound ? start..<value.upperBound : nil
    }
}

extension Principal {
    fileprivate func meets(_ demand: Authentication.Demand) -> Bool {
        switch demand {
        case .nothing, .token: true
        case .worker: mayWork
        case .publisher: mayPublish
        case .admin: isAdmin
        }
    }
}

/// Why somebody is turned away from a surface; over HTTP, what he hears (RFC 6750 §3).
enum Refusal: Hashable, Sendable {
    case noToken
    case token(TokenProblem)
    /// The token is good and its role is another.
    case role(Authentication.Demand)
    /// The token is a worker's, of other groups.
    case group

    var status: HTTPStatus {
        switch self {
        case .noToken, .token: .unauthorized
        case .role, .group: .forbidden
        }
    }

    /// What the one hears: of a bad token not what is bad about it, unless it was revoked.
    var words: StaticString {
        switch self {
        case .noToken: "A bearer token is needed"
        case .token(let problem): problem.words
        case .role(.worker): "This needs a token of role worker"
        case .role(.publisher): "This needs a token of role publisher"
        case .role(.admin): "This needs a token of role admin"
        case .role(.nothing), .role(.token): "This needs another token"
        case .group: "The token is for other groups"
        }
    }

    /// RFC 6750 §3.1: who sent no token is told no error.
    var fields: StaticString {
        switch self {
        case .noToken: "WWW-Authenticate: Bearer\r\n"
        case .token: "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"
        case .role, .group: "WWW-Authenticate: Bearer error=\"insufficient_scope\"\r\n"
        }
    }

    /// What the log says.
    var reason: StaticString {
        switch self {
        case .noToken: "there is no token"
        case .token(let problem): problem.reason
        case .role, .group: words
        }
    }
}

/// `Sec-WebSocket-Protocol: bearer, TOKEN`: how a web page sends a token that is not to stand in its address.
struct BearerSubprotocol {
    /// What the 101 says then: a browser gives up a socket none of whose subprotocols was taken.
    static let name = SharedBytes("bearer")

    /// Where the token stands; nil where nothing follows the name.
    let token: Range<Int>?

    /// What the request offers; nil where `bearer` is not among it.
    init?(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) {
        var isNamed = false
        var token: Range<Int>?
        var line = head.first(.secWebSocketProtocol)
        // RFC 6455 §11.3.4: several lines are one list.
        while let index = line, token == nil {
            let value = head[index].value
            let list = bytes.extracting(value)
            // What is no token is no subprotocol either, and not ours.
            try? Handshake.forEachSubprotocol(list) { element in
                guard !isNamed else {
                    token = value.lowerBound + element.lowerBound..<value.lowerBound + element.upperBound
                    return false
                }
                isNamed = list.equals("bearer", at: element)
                return true
            }
            line = head.next(index)
        }
        guard isNamed else { return nil }
        self.token = token
    }
}
