// MonitorQuestions: what is asked of the database about the fleet's past, as plain values that cross to another thread. Asks nothing
// itself; a page is the newest first, and its cursor is the id of its last row.
public import Base

/// Some activities, from the newest on.
public struct ActivityQuestion: Sendable, Equatable {
    /// Whose activities the asker may know of.
    public enum Visibility: Sendable, Equatable {
        case everybodys
        /// Those that belong to nobody, and the user's own; without a user only the former.
        case owned(by: SharedBytes?)
    }

    /// Those behind this one in the order of the page, which is older; nil for the newest.
    public var before: SharedBytes?
    /// Nil for all.
    public var kind: Activity.Kind?
    /// Nil for all.
    public var severity: Severity?
    public var visibility: Visibility
    public var limit: Int

    public init(
        before: SharedBytes? = nil, kind: Activity.Kind? = nil, severity: Severity? = nil, visibility: Visibility, limit: Int
    ) {
        self.before = before
        self.kind = kind
        self.severity = severity
        self.visibility = visibility
        self.limit = limit
    }
}

/// Some alerts, from the newest on.
public struct AlertQuestion: Sendable, Equatable {
    /// Those behind this one in the order of the page, which is older; nil for the newest.
    public var before: SharedBytes?
    /// True for those that last, false for those that are resolved; nil for all.
    public var isActive: Bool?
    public var limit: Int

    public init(before: SharedBytes? = nil, isActive: Bool? = nil, limit: Int) {
        self.before = before
        self.isActive = isActive
        self.limit = limit
    }
}
