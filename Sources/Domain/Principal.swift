// Principal: who speaks, as a surface has established it, and what the one may do. Knows no token: Dialects reads those, and a surface
// that asks for none has `anonymous`. An answer of no is the same as for a task that does not exist; that is for the surface to keep.
public import Base

/// What a token's bearer is there for.
public enum Role: Hashable, Sendable, CaseIterable {
    case user
    /// A program that reports the tasks of others.
    case publisher
    case worker
    case admin
}

/// Who speaks. One reference: a connection keeps it as long as it lasts, and who shows nothing shares what is known of nobody.
public struct Principal: Hashable, Sendable {
    /// Times stand beside the word whether there is one: of a hundred thousand bearers each has 16 bytes less.
    private struct Facts: Hashable {
        let user: SharedBytes?
        let tasks: [TaskID]
        let groups: [SharedBytes]?
        private let end: WallTime
        private let issue: WallTime
        private let hasEnd: Bool
        private let hasIssue: Bool
        let role: Role
        let ground: Ground

        init(
            user: SharedBytes? = nil, tasks: [TaskID] = [], groups: [SharedBytes]? = nil, expiry: WallTime? = nil,
            issuedAt: WallTime? = nil, role: Role = .user, ground: Ground
        ) {
            self.user = user
            self.tasks = tasks
            self.groups = groups
            end = expiry ?? WallTime(milliseconds: 0)
            issue = issuedAt ?? WallTime(milliseconds: 0)
            hasEnd = expiry != nil
            hasIssue = issuedAt != nil
            self.role = role
            self.ground = ground
        }

        var expiry: WallTime? { hasEnd ? end : nil }
        var issuedAt: WallTime? { hasIssue ? issue : nil }
    }

    private final class Known: Sendable {
        let facts: Facts
        init(_ facts: Facts) { self.facts = facts }
    }

    private let known: Known

    private init(_ facts: Facts) { known = Known(facts) }

    public static func == (one: Principal, other: Principal) -> Bool { one.known === other.known || one.known.facts == other.known.facts }

    public func hash(into hasher: inout Hasher) { known.facts.hash(into: &hasher) }

    /// The user's id; nil for whoever speaks on an open surface.
    public var user: SharedBytes? { known.facts.user }
    public var role: Role { known.facts.role }
    /// Tasks of others that this one may watch.
    public var tasks: [TaskID] { known.facts.tasks }
    /// Groups that this one may work in; nil for all.
    public var groups: [SharedBytes]? { known.facts.groups }
    /// From when on this one may do nothing any more, the clocks' leeway included; nil for never.
    public var expiry: WallTime? { known.facts.expiry }
    /// When the token or certificate was issued; nil where it does not say.
    public var issuedAt: WallTime? { known.facts.issuedAt }

    /// A user's id: as long as a task's.
    public static let userBytesMax = TaskID.bytesMax
    /// Tasks of others: a list is walked, and a token that names more has outgrown its purpose.
    public static let tasksMax = 128
    /// Groups of a worker: the same.
    public static let groupsMax = 128

    /// Who has shown a token, or a certificate.
    ///
    /// - Precondition: at most ``tasksMax`` tasks, and ``groupsMax`` groups.
    public init(
        user: SharedBytes, role: Role = .user, tasks: [TaskID] = [], groups: [SharedBytes]? = nil, expiry: WallTime? = nil,
        issuedAt: WallTime? = nil
    ) {
        precondition(tasks.count <= Principal.tasksMax, "a list of \(tasks.count) tasks")
        precondition(groups?.count ?? 0 <= Principal.groupsMax, "a list of \(groups?.count ?? 0) groups")
        self.init(Facts(
            user: user, tasks: tasks, groups: groups, expiry: expiry, issuedAt: issuedAt, role: role, ground: .credential))
    }

    /// What is known of one rests on this.
    private enum Ground: Hashable {
        case nothing
        /// What one says oneself, where no more is asked for.
        case word
        /// A token, or a certificate.
        case credential
        /// The operator trusts whoever can speak to the server at all.
        case trust
    }

    private var ground: Ground { known.facts.ground }

    /// Whoever speaks on a surface that asks for no token: may do what the surface offers, with what belongs to nobody.
    public static let anonymous = Principal(Facts(ground: .nothing))

    /// Whoever speaks where the operator asks nobody who he is: may do everything, with everybody's tasks.
    public static let trusted = Principal(Facts(ground: .trust))

    /// Whoever says on such a surface who he is, and is believed.
    public static func named(_ user: SharedBytes) -> Principal { Principal(Facts(user: user, ground: .word)) }

    /// What the one has shown, as far as revoking goes; nil for who has shown nothing.
    public var credential: Credential? {
        guard ground == .credential, let user else { return nil }
        return Credential(user: user, issuedAt: issuedAt)
    }

    private var isTrusted: Bool { ground == .trust }

    public var isAnonymous: Bool { user == nil }

    /// Whether the one may administer: never anonymously.
    public var isAdmin: Bool { !isAnonymous && role == .admin }

    /// Whether the one has a token without an end, which an operator wants to know once.
    public var neverExpires: Bool { !isAnonymous && expiry == nil }

    public func hasExpired(at now: WallTime) -> Bool {
        guard let expiry else { return false }
        return now >= expiry
    }

    /// Whether the one may do what `owner` may do: watch a user's socket, cancel or remove a user's task.
    ///
    /// What has no owner was given over a surface that asks nobody who he is, and belongs to everybody.
    public func mayActFor(_ owner: SharedBytes?) -> Bool {
        guard let owner, !isTrusted else { return true }
        return isAdmin || user == owner
    }

    /// Whether the one may know of everybody's tasks.
    public var maySeeAll: Bool { isTrusted || isAdmin }

    /// Whether the one may watch a task: one that it may act for, or one that its token lists.
    public func maySee(taskOwner owner: SharedBytes?, taskID: TaskID) -> Bool {
        mayActFor(owner) || tasks.contains(taskID)
    }

    /// Whether the one may report tasks that run elsewhere.
    public var mayPublish: Bool {
        if isAnonymous { return true }
        switch role {
        case .publisher, .admin: return true
        case .user, .worker: return false
        }
    }

    /// Whether the one may take tasks and deliver their results.
    public var mayWork: Bool {
        if isAnonymous { return true }
        switch role {
        case .worker, .admin: return true
        case .user, .publisher: return false
        }
    }

    /// Whether the one may work in a group, where it may work: a token that lists groups serves for no other, an admin's included.
    public func mayWork(in group: SharedBytes) -> Bool { groups?.contains(group) ?? true }
}
