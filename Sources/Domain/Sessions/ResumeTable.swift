// ResumeTable: the sessions whose sockets are gone, for as long as they may come back: who they were, and how far each was told of what it
// listened to. A position is all that is kept; what was missed comes out of the history. Given back only to the same user.
//
// Cost: parking and resuming are a table operation and a step in a chain; a session is about 260 bytes, and 56 for each position.
public import Base

/// How far a watcher is in one task's stream.
public struct StreamPosition: Sendable, Equatable {
    public let task: TaskID
    /// Which stream of that name; 0 where there was none yet.
    public let epoch: UInt64
    /// The last number that was sent; 0 for nothing.
    public let sequence: UInt64
    /// Whether nothing can follow it: the stream had ended, and its end was sent.
    public let isOver: Bool

    public init(task: TaskID, epoch: UInt64, sequence: UInt64, isOver: Bool = false) {
        self.task = task
        self.epoch = epoch
        self.sequence = sequence
        self.isOver = isOver
    }
}

/// A session without a socket.
public struct ParkedSession: Sendable {
    public let id: ClientID
    public let user: SharedBytes
    public let project: SharedBytes?
    /// What its client had shown; nil for nothing.
    public let credential: Credential?
    /// What it listened to.
    public let positions: [StreamPosition]
    /// The session that it came out of.
    public let predecessor: ClientID?
    /// The session that came out of this one: for as long as its client has not come with the new name, it may not know it.
    public internal(set) var heir: ClientID?
    public let expiry: Instant

    /// Bytes that keeping it costs: itself, its place in the tables, its names, its positions.
    var byteCount: Int {
        let names = user.count + (project?.count ?? 0) + (credential?.user.count ?? 0)
        return ParkedSession.ownBytes + names + positions.count * MemoryLayout<StreamPosition>.stride
    }

    static let ownBytes = 288
}

/// All sessions that may come back. One that came back stays until its client comes with its new name, or its time is up: the greeting
/// that told the name may have been lost with its socket.
public struct ResumeTable {
    private var slots: [ClientID: Int] = [:]
    /// In the order of their expiry: each waits equally long.
    private var parked = Chain<ParkedSession>()
    public private(set) var bytes = 0
    /// Sessions dropped before their time because there were too many.
    public private(set) var shed = 0

    /// How long a session waits.
    public let waitMax: TimeSpan
    public let sessionsMax: Int
    public let bytesMax: Int

    public init(waitMax: TimeSpan, sessionsMax: Int, bytesMax: Int) {
        self.waitMax = waitMax
        self.sessionsMax = sessionsMax
        self.bytesMax = bytesMax
    }

    public var count: Int { slots.count }

    /// When the next session is given up. It stands by itself: it is asked for in every turn.
    public private(set) var nextExpiry: Instant?

    /// Keeps a session whose socket is gone; the oldest give way where there are too many.
    ///
    /// - Parameters:
    ///   - predecessor: the session that it came out of.
    ///   - credential: what its client had shown.
    /// - Precondition: `now` is not before an earlier call's.
    public mutating func park(
        _ session: Session, _ positions: [StreamPosition], after predecessor: ClientID? = nil, of credential: Credential? = nil,
        at now: Instant
    ) {
        expire(at: now)
        drop(session.id)
        let entry = ParkedSession(
            id: session.id, user: session.user, project: session.project, credential: credential, positions: positions,
            predecessor: predecessor, expiry: now + waitMax)
        slots[entry.id] = parked.append(entry)
        bytes += entry.byteCount
        if nextExpiry == nil { nextExpiry = entry.expiry }
        while count > sessionsMax || bytes > bytesMax, let oldest = parked[parked.first] {
            drop(oldest.id)
            shed += 1
        }
    }

    /// Shows a session to the user it belongs to; it stays where it is.
    public mutating func session(_ id: ClientID, for user: SharedBytes, at now: Instant) -> ParkedSession? {
        expire(at: now)
        guard let slot = slots[id], let entry = parked[slot], entry.user == user else { return nil }
        return entry
    }

    /// The session came back under another name.
    public mutating func succeed(_ id: ClientID, by heir: ClientID) {
        guard let slot = slots[id] else { return }
        _ = parked.with(slot) { $0.heir = heir }
    }

    /// Gives a session back to the user it belongs to; it is in the table no more. Whether a session is unknown, too old or somebody
    /// else's, nobody is told.
    public mutating func take(_ id: ClientID, for user: SharedBytes, at now: Instant) -> ParkedSession? {
        guard let entry = session(id, for: user, at: now) else { return nil }
        drop(id)
        return entry
    }

    /// Gives up the sessions whose time is up.
    public mutating func expire(at now: Instant) {
        while let nextExpiry, nextExpiry <= now, let oldest = parked[parked.first] { drop(oldest.id) }
    }

    /// Gives up the sessions whose clients may not come back.
    ///
    /// - Returns: how many there were.
    public mutating func drop(where isMeant: (ParkedSession) -> Bool) -> Int {
        let before = count
        var slot = parked.first
        while let entry = parked[slot] {
            let next = parked.slot(after: slot)
            if isMeant(entry) { drop(entry.id) }
            slot = next
        }
        return before - count
    }

    private mutating func drop(_ id: ClientID) {
        guard let slot = slots.removeValue(forKey: id) else { return }
        let wasFirst = slot == parked.first
        guard let entry = parked.remove(slot) else { return }
        if wasFirst { nextExpiry = parked[parked.first]?.expiry }
        bytes -= entry.byteCount
        if slots.isEmpty { slots = [:] }
    }
}
