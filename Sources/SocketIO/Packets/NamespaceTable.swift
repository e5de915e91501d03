// NamespaceTable: where one client stands in each namespace, and what its packets therefore mean. Answers with actions; writes no packet,
// judges no credentials, reads no clock. Socket.IO protocol, revision 5, "Exchange protocol"; what it leaves open is done as the reference
// server does it.
public import Base

/// A namespace of the server: its place in the list of names that the table was made with.
public struct NamespaceID: Hashable, Sendable {
    public let place: Int

    public init(place: Int) { self.place = place }
}

/// The namespaces of one client.
public struct NamespaceTable: Sendable {
    /// Where the client stands in one namespace.
    private enum Standing: Sendable {
        case outside
        /// Its CONNECT waits for a verdict.
        case asking
        case inside
        /// The server sent it away: what it sent before it knew means nothing.
        case dismissed
    }

    /// How the client as a whole stands.
    private enum Phase: Sendable {
        /// It is in no namespace yet.
        case waiting(until: Instant)
        case open
        case ended(EndReason)
    }

    /// Why the client's connection ends.
    public enum EndReason: Hashable, Sendable {
        /// It was let into no namespace in time.
        case connectTimeout
        /// It asked for a namespace in which it is, or for which it is asking.
        case connectedTwice
        /// It spoke in a namespace in which it is not.
        case notConnected
        /// It sent what only a server sends.
        case unexpectedKind

        /// A sentence for logs.
        public var sentence: StaticString {
            switch self {
            case .connectTimeout: "connected to no namespace in time"
            case .connectedTwice: "connected to a namespace twice"
            case .notConnected: "sent a packet to a namespace that it is not connected to"
            case .unexpectedKind: "sent a packet that only servers send"
            }
        }
    }

    /// What is to be done.
    public enum Action: Hashable, Sendable {
        case none
        /// Judge the CONNECT, whose payload is the client's credentials, and call ``accept(_:)`` or ``refuse(_:)``.
        case judge(NamespaceID)
        /// Answer with CONNECT_ERROR: there is no such namespace.
        case refuseUnknown
        /// Hand the event on.
        case event(NamespaceID)
        /// Hand the acknowledgement on.
        case acknowledgement(NamespaceID)
        /// The client left the namespace.
        case left(NamespaceID)
        /// Close the client's connection, and with it all its namespaces.
        case end(EndReason)
    }

    /// The server's namespaces, as `/admin`; shared between all clients.
    public let names: [SharedBytes]
    /// By place; as many as there are names.
    private var standings: [Standing]
    private var phase: Phase

    /// A client that is in no namespace.
    ///
    /// - Parameter deadline: when it must have been let into one.
    public init(names: [SharedBytes], connectBefore deadline: Instant) {
        self.names = names
        standings = Array(repeating: .outside, count: names.count)
        phase = .waiting(until: deadline)
    }

    /// When to call ``expire(at:)``; nil where nothing is awaited.
    public var deadline: Instant? {
        if case .waiting(let until) = phase { until } else { nil }
    }

    /// The namespaces that the client is in, or was in when its connection ended.
    public var connected: [NamespaceID] {
        standings.indices.map { NamespaceID(place: $0) }.filter(isConnected)
    }

    /// Whether the client was ever let in anywhere.
    public var isAnywhere: Bool {
        switch phase {
        case .waiting: false
        case .open: true
        case .ended: !connected.isEmpty
        }
    }

    /// Whether the client is in a namespace, or was when its connection ended.
    public func isConnected(_ namespace: NamespaceID) -> Bool {
        guard standings.indices.contains(namespace.place), case .inside = standings[namespace.place] else { return false }
        return true
    }

    /// The namespace that a packet belongs to; nil where the server has none of that name.
    public func find(_ namespace: PacketNamespace, in bytes: Span<UInt8>) -> NamespaceID? {
        for place in names.indices {
            let name = names[place]
            if namespace.equals(name.span, in: bytes) { return NamespaceID(place: place) }
        }
        return nil
    }

    /// Takes a packet that is whole.
    ///
    /// - Parameter bytes: the text that the packet was read from.
    public mutating func received(_ packet: Packet, in bytes: Span<UInt8>) -> Action {
        if case .ended(let reason) = phase { return .end(reason) }
        guard packet.kind != .connectError else { return end(.unexpectedKind) }
        guard let namespace = find(packet.namespace, in: bytes) else {
            return packet.kind == .connect ? .refuseUnknown : end(.notConnected)
        }
        let standing = standings[namespace.place]
        switch packet.kind {
        case .connect:
            switch standing {
            case .asking, .inside: return end(.connectedTwice)
            case .outside, .dismissed:
                standings[namespace.place] = .asking
                return .judge(namespace)
            }
        case .disconnect:
            switch standing {
            case .outside, .asking: return end(.notConnected)
            case .inside:
                standings[namespace.place] = .outside
                return .left(namespace)
            case .dismissed:
                standings[namespace.place] = .outside
                return .none
            }
        case .event, .binaryEvent, .ack, .binaryAck:
            switch standing {
            case .outside, .asking: return end(.notConnected)
            case .inside: return packet.kind == .event || packet.kind == .binaryEvent ? .event(namespace) : .acknowledgement(namespace)
            case .dismissed: return .none
            }
        case .connectError: return end(.unexpectedKind)
        }
    }

    /// Lets the client into a namespace that it asks for; the connect timeout is over.
    ///
    /// - Returns: whether it still asks. Else the verdict came too late and nothing is to be written.
    public mutating func accept(_ namespace: NamespaceID) -> Bool {
        guard settle(namespace, as: .inside) else { return false }
        phase = .open
        return true
    }

    /// Keeps the client out of a namespace that it asks for; it may ask again.
    ///
    /// - Returns: whether it still asks, as for ``accept(_:)``.
    public mutating func refuse(_ namespace: NamespaceID) -> Bool {
        settle(namespace, as: .outside)
    }

    /// Sends the client away from a namespace.
    ///
    /// - Returns: whether it was there, and DISCONNECT is to be written.
    public mutating func dismiss(_ namespace: NamespaceID) -> Bool {
        if case .ended = phase { return false }
        guard isConnected(namespace) else { return false }
        standings[namespace.place] = .dismissed
        return true
    }

    /// Notices that the client was let in nowhere in time.
    public mutating func expire(at now: Instant) -> Action {
        switch phase {
        case .waiting(let until): now < until ? .none : end(.connectTimeout)
        case .open: .none
        case .ended(let reason): .end(reason)
        }
    }

    private mutating func settle(_ namespace: NamespaceID, as standing: Standing) -> Bool {
        if case .ended = phase { return false }
        guard standings.indices.contains(namespace.place), case .asking = standings[namespace.place] else { return false }
        standings[namespace.place] = standing
        return true
    }

    private mutating func end(_ reason: EndReason) -> Action {
        phase = .ended(reason)
        return .end(reason)
    }
}
