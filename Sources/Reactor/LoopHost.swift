// LoopHost: what the loop tells, and to whom. The loop knows bytes and identities; what they mean is the host's.
public import Base

/// The one who is told. All calls come from the loop's thread, in the order of the turn's phases.
public protocol LoopHost: AnyObject {
    /// Phase 2: a turn begins; whatever it brings happens now.
    func turnBegan(at now: Instant)

    /// Phase 3: a connection was accepted and, where TLS is spoken, has shaken hands. Its outbox row is open.
    func opened(_ id: ConnectionID, from peer: PeerAddress, at now: Instant)

    /// Phase 3: bytes came; they lie in the loop's buffer until this call returns, and may be changed in place.
    func received(_ id: ConnectionID, _ bytes: inout MutableSpan<UInt8>, at now: Instant)

    /// The connection is over for the host; told exactly once for each `opened` and each ``EventLoop/connect(to:)``, and nothing is told of
    /// it afterwards.
    ///
    /// Phase 3 where the peer ended it or broke it, phase 8 where the host asked or where sending failed. What `closeAfterFlush` asked is
    /// told (`.requested`) once everything has gone out to the kernel, so until then the host may still `abort`.
    func closed(_ id: ConnectionID, _ cause: CloseCause, at now: Instant)

    /// Phase 3 or 5: a connection was turned away, or has to wait; it was never `opened`.
    func turnedAway(_ peer: PeerAddress, _ rejection: Rejection, at now: Instant)

    /// Phase 4: the doorbell rang; the host drains its mailboxes.
    func completionsArrived(at now: Instant)

    /// When the host wants `timersDue` next; asked before each sleep.
    var nextDeadline: Instant? { get }

    /// Phase 5: `nextDeadline` has come.
    func timersDue(at now: Instant)

    /// Phase 4: a watched signal came.
    func signalled(_ signal: Int32, at now: Instant)

    /// Phase 3: a descriptor that the host has the loop attend to can be read, or has come to its end.
    func attended(_ raw: Int32, at now: Instant)

    /// Phase 6: everything that this turn brought has been told.
    func turnEnded(at now: Instant, lastTurn: TurnFigures)

    /// Phase 7: connections that asked the outbox for room have it. What the host appends now goes out before the turn ends, as far as the
    /// kernel takes it.
    func roomCame(at now: Instant)
}

extension LoopHost {
    /// Who has nothing attended to hears of nothing.
    public func attended(_ raw: Int32, at now: Instant) {}

    /// A host that does not want to know.
    public func turnedAway(_ peer: PeerAddress, _ rejection: Rejection, at now: Instant) {}
}

/// What one turn did.
public struct TurnFigures: Equatable, Sendable {
    /// From the end of the sleep to the end of the turn.
    public var duration = TimeSpan.zero
    /// Events that the kernel reported.
    public var events = 0
    /// Events that named a connection that was gone.
    public var staleEvents = 0
    public var reads = 0
    public var bytesIn = 0
    /// Calls that sent, or tried to.
    public var writes = 0
    public var bytesOut = 0
    public var accepted = 0
    /// Connections turned away: there were too many already, in all or of their address, or there is little memory.
    public var refused = 0
    /// Connections closed at once, or left waiting, because the process or the system has no descriptor left.
    public var descriptorShortages = 0
    /// Handshakes of TLS that were done. 32 bits each: beyond 128 bytes these figures would be copied by a call, several times a turn.
    public var handshakes: Int32 = 0
    /// Handshakes that were refused, given up, or left by the peer.
    public var handshakesFailed: Int32 = 0
    /// Handshakes whose next step had to wait for the next turn.
    public var handshakesLeft: Int32 = 0
    /// Connections of our own that were begun.
    public var begun = 0
    /// Descriptors of connections that were closed.
    public var reaped = 0
    /// Changes of what epoll watches a connection for.
    public var interestChanges = 0
    /// Connections whose flush had to wait for the next turn.
    public var flushesLeft = 0

    public init() {}
}
