// TokenClaims: what a token says of its bearer (RFC 7519 §4), read from JSON and written to it, and whether that holds here and now. Knows
// nothing of signatures: who calls this has checked one, or is about to make one. Claims of other names are ignored.
public import Base
public import Domain
internal import JSON

/// What this server asks of a token besides its signature.
public struct TokenRules: Hashable, Sendable {
    /// The clocks of two machines may differ by this much, and not more.
    public static let leewayMax = TimeSpan.seconds(60)

    /// Who must have issued it; nil for anybody who has the key.
    public let issuer: SharedBytes?
    /// The name under which it must be meant for this server; nil where this server has none, and a token that names one is refused.
    public let audience: SharedBytes?
    /// How far beyond its end, and before its beginning, a token is still good.
    public let leeway: TimeSpan

    /// - Parameter leeway: held between none and ``leewayMax``.
    public init(issuer: SharedBytes? = nil, audience: SharedBytes? = nil, leeway: TimeSpan = .seconds(30)) {
        self.issuer = issuer
        self.audience = audience
        self.leeway = min(max(leeway, .zero), TokenRules.leewayMax)
    }
}

/// The claims of one token.
public struct TokenClaims: Hashable, Sendable {
    public var subject: SharedBytes
    public var role: Role
    public var tasks: [TaskID]
    /// Groups that its bearer may work in; nil where it does not say, which is all.
    public var groups: [SharedBytes]?
    public var issuer: SharedBytes?
    /// For whom it is; nil where it does not say, which is not the same as for nobody.
    public var audience: [SharedBytes]?
    public var issuedAt: WallTime?
    public var notBefore: WallTime?
    public var expiry: WallTime?

    public init(
        subject: SharedBytes, role: Role = .user, tasks: [TaskID] = [], groups: [SharedBytes]? = nil, issuer: SharedBytes? = nil,
        audience: [SharedBytes]? = nil, issuedAt: WallTime? = nil, notBefore: WallTime? = nil, expiry: WallTime? = nil
    ) {
        self.subject = subject
        self.role = role
        self.tasks = tasks
        self.groups = groups
        self.issuer = issuer
        self.audience = audience
        self.issuedAt = issuedAt
        self.notBefore = notBefore
        self.expiry = expiry
    }

    /// Reads the claims' JSON. A claim that is null is malformed, not absent: an end must not vanish by a slip of its issuer.
    init(json: Span<UInt8>) throws(TokenProblem) {
        let object = try TokenObject(json, .claims)
        issuer = try object.text("iss", .issuer, in: json)
        audience = try object.audience(in: json)
        issuedAt = try object.time("iat", .issuedAt, in: json)
        notBefore = try object.time("nbf", .notBefore, in: json)
        expiry = try object.time("exp", .expiry, in: json)
        subject = try object.subject(in: json)
        role = try object.role(in: json)
        tasks = try object.tasks(in: json)
        groups = try object.groups(in: json)
    }

    /// Who this is, where the claims hold at `now`.
    func principal(under rules: TokenRules, at now: WallTime) throws(TokenProblem) -> Principal {
        let leeway = rules.leeway.milliseconds
        // RFC 7519 §4.1.4: on or after which the token MUST NOT be accepted.
        let end = expiry?.advanced(by: leeway)
        if let end, now >= end { throw .expired }
        if let notBefore, now.advanced(by: leeway) < notBefore { throw .notYetValid }
        if let wanted = rules.issuer {
            guard let issuer else { throw .missing(.issuer) }
            guard issuer == wanted else { throw .wrongIssuer }
        }
        if let wanted = rules.audience {
            guard let audience else { throw .missing(.audience) }
            guard audience.contains(wanted) else { throw .wrongAudience }
        } else if audience != nil {
            // RFC 7519 §4.1.3: who does not find himself in the audience MUST reject the token.
            throw .unexpectedAudience
        }
        // A time that has not come says nothing about when it was issued.
        let issuedAt = issuedAt.flatMap { $0 <= now.advanced(by: leeway) ? $0 : nil }
        return Principal(user: subject, role: role, tasks: tasks, groups: groups, expiry: end, issuedAt: issuedAt)
    }

    /// Appends the claims as JSON, times in whole seconds, rounded down.
    func write(to writer: inout ByteWriter) {
        writer.object { object in
            object.member("sub", string: subject)
            object.member("role", string: role.word)
            if !tasks.isEmpty {
                object.member("tasks") { array in
                    var name = ByteWriter(capacity: TaskID.bytesMax)
                    for task in tasks {
                        name.removeAll()
                        task.write(to: &name)
                        array.element(string: name.span)
                    }
                }
            }
            if let groups {
                object.member("groups") { array in
                    for name in groups { array.element(string: name) }
                }
            }
            if let issuer { object.member("iss", string: issuer) }
            if let audience {
                object.member("aud") { array in
                    for name in audience { array.element(string: name) }
                }
            }
            if let issuedAt { object.member("iat", int: issuedAt.seconds) }
            if let notBefore { object.member("nbf", int: notBefore.seconds) }
            if let expiry { object.member("exp", int: expiry.seconds) }
        }
    }
}

extension Role {
    /// How the claim `role` says it.
    public var word: StaticString {
        switch self {
        case .user: "user"
        case .publisher: "publisher"
        case .worker: "worker"
        case .admin: "admin"
        }
    }
}

extension WallTime {
    /// The time that many milliseconds later; it saturates, so that a time that a token named cannot overflow.
    fileprivate func advanced(by span: Int64) -> WallTime {
        let (sum, overflow) = milliseconds.addingReportingOverflow(span)
        return WallTime(milliseconds: overflow ? .max : sum)
    }
}

/// A JSON object of a token, asked for its members. Every question takes the bytes that it was read from.
struct TokenObject {
    /// Deeper than any issuer nests its own claims.
    private static let limits = JSONLimits(depthMax: 16, bytesMax: BearerToken.bytesMax, nodesRetained: 0)

    private let index: JSONIndex

    init(_ bytes: Span<UInt8>, _ part: TokenProblem.Part) throws(TokenProblem) {
        var index = JSONIndex(limits: TokenObject.limits)
        do throws(JSONError) { try index.build(from: bytes) } catch { throw .notJSON(part) }
        guard index.kind(of: index.root) == .object else { throw .notJSON(part) }
        self.index = index
    }

    func node(_ name: StaticString, in bytes: Span<UInt8>) -> JSONNode? { index.member(name, of: index.root, in: bytes) }

    func has(_ name: StaticString, in bytes: Span<UInt8>) -> Bool { node(name, in: bytes) != nil }

    /// The text of a string, escapes resolved; nil for other values.
    func text(_ node: JSONNode, in bytes: Span<UInt8>) -> SharedBytes? {
        var writer = ByteWriter()
        return index.decode(node, in: bytes, into: &writer) ? writer.seal() : nil
    }

    func text(
        _ name: StaticString, _ claim: TokenProblem.Claim, in bytes: Span<UInt8>
    ) throws(TokenProblem) -> SharedBytes? {
        guard let node = node(name, in: bytes) else { return nil }
        guard let text = text(node, in: bytes) else { throw .malformed(claim) }
        return text
    }

    /// A NumericDate, seconds with or without a fraction (RFC 7519 §2).
    fileprivate func time(
        _ name: StaticString, _ claim: TokenProblem.Claim, in bytes: Span<UInt8>
    ) throws(TokenProblem) -> WallTime? {
        guard let node = node(name, in: bytes) else { return nil }
        if let seconds = index.int(node, in: bytes) {
            let (milliseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000)
            return WallTime(milliseconds: overflow ? (seconds < 0 ? .min : .max) : milliseconds)
        }
        guard let seconds = index.double(node, in: bytes) else { throw .malformed(claim) }
        let milliseconds = (seconds * 1_000).rounded(.down)
        return WallTime(milliseconds: Int64(exactly: milliseconds) ?? (milliseconds < 0 ? .min : .max))
    }

    fileprivate func audience(in bytes: Span<UInt8>) throws(TokenProblem) -> [SharedBytes]? {
        guard let node = node("aud", in: bytes) else { return nil }
        // RFC 7519 §4.1.3: an array of texts, or one text.
        guard index.kind(of: node) == .array else {
            guard let text = text(node, in: bytes) else { throw .malformed(.audience) }
            return [text]
        }
        var audience: [SharedBytes] = []
        for element in index.elements(of: node) {
            guard let text = text(element, in: bytes) else { throw .malformed(.audience) }
            audience.append(text)
        }
        return audience
    }

    /// A text, or the decimal text of a number, as some programs count their users.
    fileprivate func subject(in bytes: Span<UInt8>) throws(TokenProblem) -> SharedBytes {
        guard let node = node("sub", in: bytes) else { throw .missing(.subject) }
        var writer = ByteWriter()
        if !index.decode(node, in: bytes, into: &writer) {
            guard let number = index.int(node, in: bytes) else { throw .malformed(.subject) }
            writer.append(decimal: Int(number))
        }
        // A user's id stands in paths and logs, and obeys the rules of a task's.
        guard TaskID(writer.span) != nil else { throw .malformed(.subject) }
        return writer.seal()
    }

    fileprivate func role(in bytes: Span<UInt8>) throws(TokenProblem) -> Role {
        guard let node = node("role", in: bytes) else { return .user }
        guard let role = Role.allCases.first(where: { index.equals(node, $0.word, in: bytes) }) else { throw .malformed(.role) }
        return role
    }

    fileprivate func tasks(in bytes: Span<UInt8>) throws(TokenProblem) -> [TaskID] {
        guard let node = node("tasks", in: bytes) else { return [] }
        guard index.kind(of: node) == .array else { throw .malformed(.tasks) }
        var tasks: [TaskID] = []
        for element in index.elements(of: node) {
            guard tasks.count < Principal.tasksMax, let text = text(element, in: bytes), let task = TaskID(text.span) else {
                throw .malformed(.tasks)
            }
            tasks.append(task)
        }
        return tasks
    }
    /// Names of groups. An empty list is a worker without work, not one for all groups.
    fileprivate func groups(in bytes: Span<UInt8>) throws(TokenProblem) -> [SharedBytes]? {
        guard let node = node("groups", in: bytes) else { return nil }
        guard index.kind(of: node) == .array else { throw .malformed(.groups) }
        var groups: [SharedBytes] = []
        for element in index.elements(of: node) {
            guard groups.count < Principal.groupsMax, let text = text(element, in: bytes), !text.isEmpty else {
                throw .malformed(.groups)
            }
            groups.append(text)
        }
        return groups
    }
}
