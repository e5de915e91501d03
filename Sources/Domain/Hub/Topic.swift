// Topic: an audience. A stream orders, a topic addresses: one task's stream speaks to up to three topics at once.
public import Base

/// What a subscriber may listen to.
public enum Topic: Hashable, Sendable {
    case task(TaskID)
    /// Every task of a user.
    case user(SharedBytes)
    /// Every task of a project.
    case project(SharedBytes)
    /// A family of events about the server and its fleet; only those that are nobody's.
    case channel(Channel)
    /// Activities about somebody's tasks: for those who may see everybody's.
    case ownedActivities
    /// Activities about the tasks of one user.
    case activities(of: SharedBytes)

    /// Whether a subscription begins with a picture of how things stand: what happened before it is in the picture, and is not told
    /// again on another topic either. A project's begins with nothing.
    var beginsWithSnapshot: Bool {
        switch self {
        case .task, .user: true
        case .project, .channel, .ownedActivities, .activities: false
        }
    }

    /// The same topic in bytes of its own: the name may be a slice of a message that is not worth keeping.
    var owned: Topic {
        switch self {
        case .task: self
        case .user(let name): .user(name.compact)
        case .project(let name): .project(name.compact)
        case .channel, .ownedActivities: self
        case .activities(let name): .activities(of: name.compact)
        }
    }
}
