// SessionTable: the hub clients that are connected: who they are, since when, and how many each user and each project has. What a session
// listens to, the hub knows; what became of it once its socket is gone, the ResumeTable and the journal.
//
// Cost: opening and closing are a few table operations; an open session is about 430 bytes with short names.
public import Base

/// One connected hub client.
public final class Session {
    public let id: ClientID
    public let subscriber: SubscriberID
    /// What the table's owner finds its socket by.
    public let target: UInt64
    public let user: SharedBytes
    public let project: SharedBytes?
    public let connectedAt: WallTime
    public private(set) var lastActiveAt: WallTime
    /// Messages that came from the client.
    public private(set) var messageCount = 0
    /// Where it comes from, as text; cut to the table's limit.
    public let address: SharedBytes
    /// What it calls itself, as it came; cut to the table's limit.
    public let agent: SharedBytes

    fileprivate init(
        id: ClientID, subscriber: SubscriberID, target: UInt64, user: SharedBytes, project: SharedBytes?, address: SharedBytes,
        agent: SharedBytes, at now: WallTime
    ) {
        self.id = id
        self.subscriber = subscriber
        self.target = target
        self.user = user
        self.project = project
        self.address = address
        self.agent = agent
        connectedAt = now
        lastActiveAt = now
    }

    /// A message came from the client.
    public func countMessage(at now: WallTime) {
        messageCount += 1
        lastActiveAt = now
    }
}

/// All connected hub clients.
public struct SessionTable {
    private var sessions: [ClientID: Session] = [:]
    private var random: Randomness
    /// Sessions of each user.
    public private(set) var byUser = Tally()
    /// Sessions of each project.
    public private(set) var byProject = Tally()
    /// Sessions at once.
    public let sessionsMax: Int
    /// Bytes kept of an address and of an agent: the width of their columns in the journal.
    public let addressBytesMax: Int
    public let agentBytesMax: Int

    public init(sessionsMax: Int, addressBytesMax: Int = 50, agentBytesMax: Int = 500, random: Randomness) {
        self.sessionsMax = sessionsMax
        self.addressBytesMax = addressBytesMax
        self.agentBytesMax = agentBytesMax
        self.random = random
    }

    public var count: Int { sessions.count }

    public subscript(id: ClientID) -> Session? { sessions[id] }

    /// A client comes. Its names are copied: what is given may be a slice of a request.
    ///
    /// - Returns: nil where there are as many as may be.
    public mutating func open(
        user: SharedBytes, project: SharedBytes?, subscriber: SubscriberID, target: UInt64 = 0, address: SharedBytes, agent: SharedBytes,
        at now: WallTime
    ) -> Session? {
        guard sessions.count < sessionsMax else { return nil }
        let session = Session(
            id: ClientID(drawnFrom: &random), subscriber: subscriber, target: target, user: SharedBytes(copying: user.span),
            project: project.map { SharedBytes(copying: $0.span) }, address: SessionTable.cut(address, to: addressBytesMax),
            agent: SessionTable.cut(agent, to: agentBytesMax), at: now)
        precondition(sessions[session.id] == nil, "128 random bits came twice: \(session.id)")
        sessions[session.id] = session
        byUser.add(session.user)
        if let project = session.project { byProject.add(project) }
        return session
    }

    /// A client's socket is gone.
    ///
    /// - Returns: the session, which is in the table no more; nil where there is none.
    @discardableResult
    public mutating func close(_ id: ClientID) -> Session? {
        guard let session = sessions.removeValue(forKey: id) else { return nil }
        if sessions.isEmpty { sessions = [:] }
        byUser.remove(session.user)
        if let project = session.project { byProject.remove(project) }
        return session
    }

    /// Shows every session, in no order.
    public func forEach(_ body: (Session) -> Void) {
        for session in sessions.values { body(session) }
    }

    /// The text's first bytes, without half a character at the end (RFC 3629 §3: continuation bytes are 10xxxxxx).
    private static func cut(_ text: SharedBytes, to bytesMax: Int) -> SharedBytes {
        var end = min(text.count, bytesMax)
        let span = text.span
        while end > 0, end < span.count, span[end] & 0xc0 == 0x80 { end -= 1 }
        return SharedBytes(copying: span.extracting(0..<end))
    }
}
