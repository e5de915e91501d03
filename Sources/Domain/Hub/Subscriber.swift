// Subscriber: what the hub knows of one listener: where to send, and its places in the topics' lists. A subscription is named by its index;
// the lists name it back, so whoever moves one tells the other.
//
// Cost: 48 bytes for one subscription; more of them, and muted tasks, stand in an object of their own.

/// One subscriber's place in one topic's list.
struct Subscription {
    let topic: UInt32
    var position: UInt32
    /// A task's: the last sequence number that was in the picture which the subscriber was given.
    var sequence: UInt64
}

/// One listener.
struct Subscriber {
    /// What most subscribers do not have.
    private final class Extra {
        /// All subscriptions but the first.
        var rest: [Subscription] = []
        var mutes: [TaskID] = []
    }

    var target: UInt64
    /// The last delivery that it was considered in.
    var stamp: UInt64 = 0
    private var extra: Extra?
    private var first: Subscription?
    let format: Format

    init(format: Format, target: UInt64) {
        self.format = format
        self.target = target
    }

    var count: Int { first == nil ? 0 : 1 + (extra?.rest.count ?? 0) }

    subscript(index: Int) -> Subscription {
        get {
            if index > 0, let extra { return extra.rest[index - 1] }
            guard index == 0, let first else { preconditionFailure("subscription \(index) of \(count)") }
            return first
        }
        set {
            if index > 0, let extra { extra.rest[index - 1] = newValue } else { first = newValue }
        }
    }

    mutating func append(_ subscription: Subscription) {
        if first == nil { first = subscription } else { ownExtra().rest.append(subscription) }
    }

    mutating func removeLast() {
        guard let extra, !extra.rest.isEmpty else {
            first = nil
            return
        }
        extra.rest.removeLast()
        if extra.rest.isEmpty { extra.rest = [] }
        dropEmptyExtra()
    }

    /// The tasks that it does not want to hear of.
    var mutes: [TaskID] { extra?.mutes ?? [] }

    mutating func mute(_ task: TaskID) { ownExtra().mutes.append(task) }

    mutating func unmute(_ task: TaskID) {
        guard let extra, let index = extra.mutes.firstIndex(of: task) else { return }
        extra.mutes.swapAt(index, extra.mutes.count - 1)
        extra.mutes.removeLast()
        if extra.mutes.isEmpty { extra.mutes = [] }
        dropEmptyExtra()
    }

    private mutating func ownExtra() -> Extra {
        let own = extra ?? Extra()
        extra = own
        return own
    }

    private mutating func dropEmptyExtra() {
        if let extra, extra.rest.isEmpty, extra.mutes.isEmpty { self.extra = nil }
    }
}
