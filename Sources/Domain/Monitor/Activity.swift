// Activity: one line of what happened: who watches the fleet reads it as it comes, and later out of the database. Kinds and severities are
// document E's.
public import Base

/// Something that happened.
public struct Activity: Sendable, Equatable {
    public enum Kind: UInt8, Sendable, CaseIterable {
        case modelDeployment
        case modelHealthCheck
        case systemResourceThreshold
        case downloadTask
        case userOperation
    }

    /// `act-` and a UUID, whose names ascend with time.
    public var id: SharedBytes
    public var kind: Kind
    public var message: SharedBytes
    public var severity: Severity
    /// What it is about, as `deployment` or `task`; nil for nothing in particular. As `resourceID`.
    public var resourceType: SharedBytes?
    public var resourceID: SharedBytes?
    public var createdAt: WallTime
    /// A JSON object, as it goes out; empty for `{}`.
    public var extra: SharedBytes
    /// Whose it is: nobody else but admins is told. Nil for what everybody may know.
    public var owner: SharedBytes?

    /// The resource type of what happened to a task.
    public static let task = SharedBytes("task")

    public init(
        id: SharedBytes, kind: Kind, message: SharedBytes, severity: Severity, resourceType: SharedBytes? = nil,
        resourceID: SharedBytes? = nil, createdAt: WallTime, extra: SharedBytes = .empty, owner: SharedBytes? = nil
    ) {
        self.id = id
        self.kind = kind
        self.message = message
        self.severity = severity
        self.resourceType = resourceType
        self.resourceID = resourceID
        self.createdAt = createdAt
        self.extra = extra
        self.owner = owner
    }
}

/// How bad something is: document E's four words.
public enum Severity: UInt8, Sendable, CaseIterable, Comparable {
    case info, warning, error, critical

    public static func < (left: Severity, right: Severity) -> Bool { left.rawValue < right.rawValue }
}
