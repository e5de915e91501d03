// EngineSession: one Engine.IO session as the server sees it: requests, messages and time in, actions out. Its life is here: transports,
// upgrade, heartbeat, queue and end; what clients send is read in EngineSession+Input. Knows no HTTP, no socket and no clock, and makes
// no identifier. Obeys the Engine.IO protocol, revision 4.
//
// Cost: a message over WebSocket is a switch and one action, no copy; by polling it is copied once into the answer. ~100 bytes a session.
public import Base

/// One session in the server's role.
///
/// Move it rather than copy it: two copies would share the messages that wait.
///
/// Every verb appends to the workspace's actions; perform them in their order. A verb that throws refuses the request at hand (400), and
/// the actions, if there are any, concern what was there before it.
public struct EngineSession {
    /// Whether a poll waits for its answer.
    enum Poll {
        case absent
        case open
    }

    enum State {
        case polling(Poll)
        /// A second transport is there and has not been probed yet; all goes on by polling.
        case attached(Poll, until: Instant)
        /// The probe was answered. Polls are answered at once, so that the client can let go of polling.
        case probed(until: Instant)
        case webSocket
        /// The server closed; what waits still leaves with the next poll.
        case closing(until: Instant)
        case ended
    }

    enum Heartbeat {
        case resting(pingAt: Instant)
        /// The ping waits for a poll.
        case owed(goneAt: Instant)
        case awaiting(goneAt: Instant)
    }

    /// What a waiting message counts for besides its bytes: its place in the queue and its block.
    public static let messageOverhead = 64

    var state: State
    var heartbeat: Heartbeat
    /// Messages that no transport could take yet, oldest first; `queuedBytes` bounds them.
    private var queue: [EngineFrame] = []
    /// What the queue counts for.
    public private(set) var queuedBytes = 0

    /// Begins a session: the open packet answers the handshake's request, or is the WebSocket's first message.
    public init(_ transport: EngineTransport, sid: Span<UInt8>, at now: Instant, _ workspace: EngineWorkspace) {
        heartbeat = .resting(pingAt: now + workspace.settings.pingInterval)
        var text = ByteWriter()
        EngineHandshake.write(sid: sid, transport, workspace.settings, into: &text)
        switch transport {
        case .polling:
            state = .polling(.absent)
            workspace.actions.append(.answerPoll(text.seal()))
        case .webSocket:
            state = .webSocket
            workspace.actions.append(.send(EngineFrame(.text, text.seal())))
        }
    }

    /// Whether the session still takes messages, of either side; else it is over, or on its way out.
    public var isOpen: Bool {
        switch state {
        case .polling, .attached, .probed, .webSocket: true
        case .closing, .ended: false
        }
    }

    /// Whether the server has closed the session, and what waits still leaves: nothing that the client says counts any more.
    public var isClosing: Bool {
        switch state {
        case .closing: true
        case .polling, .attached, .probed, .webSocket, .ended: false
        }
    }

    /// How messages travel now; nil once nothing travels any more.
    public var transport: EngineTransport? {
        switch state {
        case .polling, .attached, .probed, .closing: .polling
        case .webSocket: .webSocket
        case .ended: nil
        }
    }

    // MARK: Messages to the client

    /// Sends a message: over WebSocket at once, else with the next answer to a poll. An open poll is answered by ``flush(_:)``.
    public mutating func send(_ frame: EngineFrame, _ workspace: EngineWorkspace) {
        switch state {
        case .webSocket: workspace.actions.append(.send(frame))
        case .polling, .attached, .probed:
            let cost = frame.bytes.count + EngineSession.messageOverhead
            // One that is larger than all may be goes alone, as into a payload.
            guard queue.isEmpty || cost <= workspace.settings.queuedBytesMax - queuedBytes else { return end(.overloaded, workspace) }
            queue.append(frame)
            queuedBytes += cost
        case .closing, .ended: break
        }
    }

    /// Answers the open poll with what waits, if anything does: once a turn, after the last ``send(_:_:)``.
    public mutating func flush(_ workspace: EngineWorkspace) {
        guard hasOpenPoll, !queue.isEmpty || isPingOwed else { return }
        answerPoll(workspace)
    }

    private var isPingOwed: Bool {
        switch heartbeat {
        case .owed: true
        case .resting, .awaiting: false
        }
    }

    var hasOpenPoll: Bool {
        switch state {
        case .polling(let poll), .attached(let poll, _):
            switch poll {
            case .open: true
            case .absent: false
            }
        case .probed, .webSocket, .closing, .ended: false
        }
    }

    /// Answers the open poll with the owed ping and as much of the queue as one payload takes, or with a noop.
    mutating func answerPoll(_ workspace: EngineWorkspace) {
        workspace.payload.removeAll(retaining: workspace.settings.maxPayload)
        var packets = 0
        if case .owed(let goneAt) = heartbeat {
            EnginePacket.write(.ping, into: &workspace.payload)
            heartbeat = .awaiting(goneAt: goneAt)
            packets = 1
        }
        moveQueue(packets, workspace)
        if workspace.payload.isEmpty { EnginePacket.write(.noop, into: &workspace.payload) }
        finishPoll(workspace)
    }

    /// Answers the open poll with what waits and, where that is all, the close packet; then the session is over.
    mutating func answerLastPoll(_ workspace: EngineWorkspace) {
        workspace.payload.removeAll(retaining: workspace.settings.maxPayload)
        moveQueue(0, workspace)
        let isLast = queue.isEmpty
        if isLast { EnginePayload.write(.close, into: &workspace.payload) }
        finishPoll(workspace)
        if isLast { finish(.closedByServer, workspace) }
    }

    /// Moves messages from the queue to the payload, which has `packets` already.
    private mutating func moveQueue(_ packets: Int, _ workspace: EngineWorkspace) {
        var packets = packets
        var moved = 0
        while moved < queue.count, packets < workspace.settings.packetsPerPayloadMax {
            let frame = queue[moved]
            let size = workspace.payload.count + 1 + EnginePayload.count(of: frame)
            // A message that no payload could hold goes alone rather than never.
            guard packets == 0 || size <= workspace.settings.maxPayload else { break }
            EnginePayload.write(frame, into: &workspace.payload)
            queuedBytes -= frame.bytes.count + EngineSession.messageOverhead
            packets += 1
            moved += 1
        }
        if moved == queue.count { queue = [] } else { queue.removeFirst(moved) }
    }

    private mutating func finishPoll(_ workspace: EngineWorkspace) {
        workspace.actions.append(.answerPoll(workspace.payload.seal()))
        switch state {
        case .polling: state = .polling(.absent)
        case .attached(_, let until): state = .attached(.absent, until: until)
        case .probed, .webSocket, .closing, .ended: break
        }
    }

    /// The upgrade is complete: what waits leaves over the WebSocket.
    mutating func moveToWebSocket(_ workspace: EngineWorkspace) {
        state = .webSocket
        if case .owed(let goneAt) = heartbeat {
            workspace.actions.append(.send(.ping))
            heartbeat = .awaiting(goneAt: goneAt)
        }
        for frame in queue { workspace.actions.append(.send(frame)) }
        queue = []
        queuedBytes = 0
    }

    // MARK: Time

    /// When ``advance(to:_:)`` has something to do; nil once the session has ended.
    public var deadline: Instant? {
        let beat: Instant
        switch heartbeat {
        case .resting(let pingAt): beat = pingAt
        case .owed(let goneAt), .awaiting(let goneAt): beat = goneAt
        }
        switch state {
        case .polling, .webSocket: return beat
        case .attached(_, let until), .probed(let until): return min(beat, until)
        case .closing(let until): return until
        case .ended: return nil
        }
    }

    /// Does what is due: the ping, the end of who does not answer it, of an upgrade that hangs, or of a close that nobody fetches.
    public mutating func advance(to now: Instant, _ workspace: EngineWorkspace) {
        switch state {
        case .polling, .webSocket: break
        case .attached(_, let until), .probed(let until):
            if now >= until { dropCandidate(workspace) }
        case .closing(let until):
            if now >= until { finish(.closedByServer, workspace) }
            return
        case .ended: return
        }
        switch heartbeat {
        case .resting(let pingAt):
            guard now >= pingAt else { return }
            let goneAt = pingAt + workspace.settings.pingTimeout
            // A turn that came too late is no fault of the client's.
            beat(goneAt > now ? goneAt : now + workspace.settings.pingTimeout, workspace)
        case .owed(let goneAt), .awaiting(let goneAt):
            if now >= goneAt { end(.pingTimeout, workspace) }
        }
    }

    private mutating func beat(_ goneAt: Instant, _ workspace: EngineWorkspace) {
        switch state {
        case .polling, .attached, .probed:
            heartbeat = .owed(goneAt: goneAt)
            flush(workspace)
        case .webSocket:
            heartbeat = .awaiting(goneAt: goneAt)
            workspace.actions.append(.send(.ping))
        case .closing, .ended: break
        }
    }

    /// Whether the time for the pong is over.
    func isGone(at now: Instant) -> Bool {
        switch heartbeat {
        case .resting: false
        case .owed(let goneAt), .awaiting(let goneAt): now >= goneAt
        }
    }

    // MARK: The end

    /// Closes the session for the server. What waits still leaves: with the open poll, or else with the next ones for `pingTimeout`.
    public mutating func close(at now: Instant, _ workspace: EngineWorkspace) {
        let until = now + workspace.settings.pingTimeout
        switch state {
        case .polling(let poll), .attached(let poll, _):
            if case .attached = state { workspace.actions.append(.closeWebSocket) }
            state = .closing(until: until)
            switch poll {
            case .open: answerLastPoll(workspace)
            case .absent: break
            }
        case .probed:
            workspace.actions.append(.closeWebSocket)
            state = .closing(until: until)
        case .webSocket: end(.closedByServer, workspace)
        case .closing, .ended: break
        }
    }

    /// Ends the session at once, whatever waits: for a client that broke the rules, or that is somewhere else by now.
    public mutating func abort(_ workspace: EngineWorkspace) { end(.closedByServer, workspace) }

    /// Closes the second transport and goes on by polling.
    mutating func dropCandidate(_ workspace: EngineWorkspace) {
        workspace.actions.append(.closeWebSocket)
        candidateGone()
    }

    mutating func candidateGone() {
        switch state {
        case .attached(let poll, _): state = .polling(poll)
        case .probed: state = .polling(.absent)
        case .polling, .webSocket, .closing, .ended: break
        }
    }

    /// Ends the session: an open poll is released, a WebSocket closed, and what waits is dropped.
    mutating func end(_ cause: EngineEnd, _ workspace: EngineWorkspace) {
        if hasOpenPoll { workspace.actions.append(.answerPoll(EngineSession.farewell(cause))) }
        switch state {
        case .attached, .probed: workspace.actions.append(.closeWebSocket)
        case .webSocket:
            switch cause {
            case .transportLost: break
            case .closedByClient, .closedByServer, .pingTimeout, .overloaded, .violation: workspace.actions.append(.closeWebSocket)
            }
        case .polling, .closing, .ended: break
        }
        finish(cause, workspace)
    }

    private mutating func finish(_ cause: EngineEnd, _ workspace: EngineWorkspace) {
        switch state {
        case .ended: return
        case .polling, .attached, .probed, .webSocket, .closing: break
        }
        state = .ended
        queue = []
        queuedBytes = 0
        workspace.actions.append(.ended(cause))
    }

    private static let noop = SharedBytes([EnginePacket.Kind.noop.rawValue])
    private static let closePacket = SharedBytes([EnginePacket.Kind.close.rawValue])

    /// What the open poll of an ending session is answered with: a client that closed is not told so.
    private static func farewell(_ cause: EngineEnd) -> SharedBytes {
        switch cause {
        case .closedByClient: noop
        case .closedByServer, .transportLost, .pingTimeout, .overloaded, .violation: closePacket
        }
    }
}
