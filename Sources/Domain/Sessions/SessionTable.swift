// SessionTable: the hub clients that are connected: who they are, and how many each user and each project has. What a session listens to,
// the hub knows; where its client comes from and since when, the journal; what became of it once its socket is gone, the ResumeTable.
//
// Cost: opening and closing are a few table operations; an open session is about 115 bytes, and each user's name some 80.
public import Base

/// One connected hub client.
public final class Session {
    public let id: ClientID
    public let subscriber: SubscriberID
    /// What the table's owner finds its socket by.
    public let target: UInt64
    public let user: SharedBytes
    public let project: SharedBytes?
    private var messages: UInt32 = 0
    /// The millisecond of its last sign of life that was noted, of those that 32 bits tell apart: seven weeks of them.
    private var notedAt: UInt32

    fileprivate init(
        id: ClientID, subscriber: SubscriberID, target: UInt64, user: SharedBytes, project: SharedBytes?, at now: Instant
    ) {
        notedAt = Session.millisecond(now)
        self.id = id
        self.subscriber = subscriber
        self.target = target
        self.user = user
        self.project = project
    }

    /// Messages that came from the client; who sends four milliards of them is counted no further.
    public var messageCount: Int { Int(messages) }

    /// A message came from the client.
    public func countMessage() {
        if messages < .max { messages += 1 }
    }

    /// It gave a sign of life.
    ///
    /// - Returns: whether that is to be noted, because the last one that was lies so far back.
    public func isToBeNoted(at now: Instant, every interval: TimeSpan) -> Bool {
        let millisecond = Session.millisecond(now)
        guard Int64(millisecond &- notedAt) >= interval.nanoseconds / 1_000_000 else { return false }
        notedAt = millisecond
        return true
    }

    private static func millisecond(_ now: Instant) -> UInt32 { UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) }
}

extension Session: Keyed {
    var key: ClientID { id }
}

/// All connected hub clients.
public struct SessionTable {
    private var sessions = KeyedTable<Session>()
    private var random: Randomness
    /// Sessions of each user.
    public private(set) var byUser = Tally()
    /// Sessions of each project.
    public private(set) var byProject = Tally()
    /// Sessions at once.
    public let sessionsMax: Int

    public init(sessionsMax: Int, random: Randomness) {
        self.sessionsMax = sessionsMax
        self.random = random
    }

    public var count: Int { sessions.count }

    public subscript(id: ClientID) -> Session? { sessions[id] }

    /// A client comes. Its names are kept once for all its user's and its project's sessions.
    ///
    /// - Returns: nil where there are as many as may be.
    public mutating func open(
        user: SharedBytes, project: SharedBytes?, subscriber: SubscriberID, target: UInt64 = 0, at now: Instant
    ) -> Session? {
        guard sessions.count < sessionsMax else { return nil }
        let session = Session(
            id: ClientID(drawnFrom: &random), subscriber: subscriber, target: target, user: byUser.add(user),
            project: project.map { byProject.add($0) }, at: now)
        // 128 random bits do not come twice.
        sessions.insert(session)
        return session
    }

    /// A client's socket is gone.
    ///
    /// - Returns: the session, which is in the table no more; nil where there is none.
    @discardableResult
    public mutating func close(_ id: ClientID) -> Session? {
        guard let session = sessions.remove(id) else { return nil }
        byUser.remove(session.user)
        if let project = session.project { byProject.remove(project) }
        return session
    }

    /// Shows every session, in no order.
    public func forEach(_ body: (Session) -> Void) {
        for session in sessions.rows { body(session) }
    }
}
