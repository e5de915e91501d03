// SessionRow: what the journal keeps of a hub client: who it was, where from, from when to when. Written when it comes, at signs of life
// and when it goes; where it came from and since when the server itself does not remember.
public import Base

/// A row of the document's `web_socket_sessions`.
public struct SessionRow: Sendable, Equatable {
    public var clientID: SharedBytes
    public var userID: SharedBytes
    public var projectID: SharedBytes
    public var connectedAt: WallTime
    /// Nil while the client is connected.
    public var disconnectedAt: WallTime?
    public var lastActiveAt: WallTime
    public var messageCount: Int
    public var ipAddress: SharedBytes
    public var userAgent: SharedBytes
    public var createdAt: WallTime
    public var updatedAt: WallTime

    public init(
        clientID: SharedBytes, userID: SharedBytes, projectID: SharedBytes = .empty, connectedAt: WallTime, disconnectedAt: WallTime? = nil,
        lastActiveAt: WallTime, messageCount: Int = 0, ipAddress: SharedBytes, userAgent: SharedBytes = .empty, createdAt: WallTime,
        updatedAt: WallTime
    ) {
        self.clientID = clientID
        self.userID = userID
        self.projectID = projectID
        self.connectedAt = connectedAt
        self.disconnectedAt = disconnectedAt
        self.lastActiveAt = lastActiveAt
        self.messageCount = messageCount
        self.ipAddress = ipAddress
        self.userAgent = userAgent
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    /// Bytes kept of an address and of an agent: the width of their columns.
    static let addressBytesMax = 50
    static let agentBytesMax = 500

    /// A client that connects now. What it says of itself is cut to the width of its column.
    public init(
        opening clientID: SharedBytes, userID: SharedBytes, projectID: SharedBytes, ipAddress: SharedBytes, userAgent: SharedBytes,
        at now: WallTime
    ) {
        self.init(
            clientID: clientID, userID: userID, projectID: projectID, connectedAt: now, lastActiveAt: now,
            ipAddress: SessionRow.cut(ipAddress, to: SessionRow.addressBytesMax),
            userAgent: SessionRow.cut(userAgent, to: SessionRow.agentBytesMax), createdAt: now, updatedAt: now)
    }

    /// The text's first bytes, without half a character at the end (RFC 3629 §3: continuation bytes are 10xxxxxx).
    static func cut(_ text: SharedBytes, to bytesMax: Int) -> SharedBytes {
        var end = min(text.count, bytesMax)
        let span = text.span
        while end > 0, end < span.count, span[end] & 0xc0 == 0x80 { end -= 1 }
        return text[0..<end]
    }
}

/// A sign of life of a session, or its last.
public struct SessionTouch: Sendable, Equatable {
    public var clientID: SharedBytes
    public var at: WallTime
    /// Messages of the session so far.
    public var messageCount: Int

    public init(clientID: SharedBytes, at: WallTime, messageCount: Int) {
        self.clientID = clientID
        self.at = at
        self.messageCount = messageCount
    }
}
