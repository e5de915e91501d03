// SocketService: Engine.IO sessions on this server: who they are, what carries them, their time and their end. Performs what a session
// decides; requests and sockets come in by SocketService+Transports.swift, what clients say is heard in SocketService+Packets.swift, and
// who comes back is in SocketService+Return.swift. Obeys the Engine.IO protocol, revision 4.
//
// Cost: what many get costs a WebSocket client what it costs any socket, a reference; a polling client a reference in its session's queue
// and a copy into its next answer. A session is looked at once a heartbeat.
internal import Base
internal import Dialects
internal import Domain
internal import SocketIO
internal import WebSockets

final class SocketService {
    let context: Context
    let responses: Responses
    let sender: WebSocketSender
    let monitor: MonitorService
    let workspace: EngineWorkspace
    /// Messages of a session's own size, which is smaller than that of other sockets.
    let webSocketLimits: WebSocketLimits
    let packetLimits: PacketLimits
    let pace: PaceLimit
    let settings: SocketSettings
    /// The namespaces that there are.
    let namespaces: [SharedBytes]
    var clients: SlotTable<EngineID, SocketClient>
    var ids: [SocketName: EngineID] = [:]
    var recovery: RecoveryTable
    /// Sessions by polling, by where they come from.
    private var pollers: [PeerAddress: Int] = [:]
    /// Bytes of packets whose attachments are due.
    var gatheredBytes = 0
    private var timers = TimerWheel<EngineID>()
    private var due: [EngineID] = []
    /// Whose polls are answered at the turn's end.
    private var touched: [EngineID] = []
    /// Rows of actions that nobody uses.
    private var rows: [[EngineAction]] = []

    init(_ context: Context, responses: Responses, sender: WebSocketSender, monitor: MonitorService) {
        self.context = context
        self.responses = responses
        self.sender = sender
        self.monitor = monitor
        let limits = context.limits
        settings = context.settings.sockets
        workspace = EngineWorkspace(EngineSettings(
            pingInterval: limits.socketPingInterval, pingTimeout: limits.socketPingTimeout, upgradeTimeout: limits.socketUpgradeTimeout,
            maxPayload: limits.socketPayloadMax, packetsPerPayloadMax: limits.socketPacketsMax,
            queuedBytesMax: limits.socketQueuedBytesMax, offersUpgrade: settings.transports.contains(.webSocket)))
        webSocketLimits = WebSocketLimits(messageBytesMax: limits.socketPayloadMax, fragmentsMax: limits.fragmentsMax)
        pace = PaceLimit(perSecond: limits.socketPacketsPerSecondMax, burst: limits.socketPacketsPerSecondMax)
        packetLimits = PacketLimits(
            attachmentsMax: limits.attachmentsMax, assembledBytesMax: limits.socketPayloadMax, assemblyTimeout: limits.attachmentTimeout)
        namespaces = settings.isTestMode ? [SharedBytes("/"), SharedBytes("/custom")] : [SharedBytes("/")]
        // Whoever came by WebSocket is bounded by its socket.
        clients = SlotTable(countMax: limits.connectionsMax + limits.pollingSessionsMax)
        recovery = RecoveryTable(countMax: limits.recoverablesMax)
    }

    /// Sessions that are open.
    var count: Int { clients.count }

    // MARK: Coming

    /// Begins a session; what it says first is among its actions.
    ///
    /// - Returns: nil where there are as many as may be.
    func enter(
        _ door: SocketDoor, _ transport: EngineTransport, _ identity: Authentication.Identity, omitsOffset: Bool, from peer: PeerAddress,
        at now: Instant
    ) -> SocketClient? {
        guard !clients.isFull, transport == .webSocket || mayPoll(peer) else { return nil }
        let name = SocketName(drawnFrom: &context.random)
        let session = EngineSession(transport, sid: name.text.span, at: now, workspace)
        let client = SocketClient(
            door: door, name: name, peer: peer, identity: identity, omitsOffset: omitsOffset, transport: transport, session: session,
            assembler: PacketAssembler(limits: packetLimits),
            namespaces: NamespaceTable(names: namespaces, connectBefore: now + context.limits.socketConnectTimeout))
        client.id = clients.insert(client)
        ids[name] = client.id
        if transport == .polling { countPoller(client, 1) }
        context.metrics.socketSessionsOpened += 1
        return client
    }

    private func mayPoll(_ peer: PeerAddress) -> Bool {
        guard context.metrics.pollingSessions < context.limits.pollingSessionsMax else { return false }
        return peer.isUnix || pollers[peer.site] ?? 0 < context.limits.pollingSessionsPerAddressMax
    }

    /// Notes that there is one session by polling more, or less.
    func countPoller(_ client: SocketClient, _ change: Int) {
        context.metrics.pollingSessions += change
        let site = client.peer.site
        let count = (pollers[site] ?? 0) + change
        pollers[site] = count > 0 ? count : nil
    }

    func client(_ id: EngineID) -> SocketClient? { clients.element(id) }

    func client(named name: SocketName, behind door: SocketDoor) -> SocketClient? {
        guard let id = ids[name], let client = clients.element(id), client.door == door else { return nil }
        return client
    }

    // MARK: What a session decides

    /// Performs what the session decided in the last call of one of its verbs, before anything is asked of another session.
    ///
    /// - Parameter received: the bytes that the verb was given.
    func perform(_ client: SocketClient, _ received: Span<UInt8> = Span(), at now: Instant) {
        var row = rows.popLast() ?? []
        workspace.drain(into: &row)
        for action in row {
            switch action {
            case .deliver(let message): hear(message, from: client, received, at: now)
            case .answerPoll(let text): answerPoll(client, text, at: now)
            case .send(let frame): send(frame, to: client)
            case .closeWebSocket: closeWebSocket(of: client)
            case .ended(let cause): ended(client, cause, at: now)
            }
        }
        row.removeAll(keepingCapacity: row.count <= 64)
        rows.append(row)
        arm(client)
    }

    private func hear(_ message: EngineMessage, from client: SocketClient, _ received: Span<UInt8>, at now: Instant) {
        switch message.place {
        case .received: hear(message.kind, received.extracting(message.range), from: client, at: now)
        case .decoded:
            // What is heard may need the workspace.
            let copy = workspace.withDecoded { SharedBytes(copying: $0.extracting(message.range)) }
            hear(message.kind, copy.span, from: client, at: now)
        }
    }

    private func send(_ frame: EngineFrame, to client: SocketClient) {
        guard let id = client.webSocket, case .webSocket(let conversation) = context.conversation(id) else { return }
        sender.send(frame.kind == .text ? .text : .binary, frame.bytes.span, to: conversation)
    }

    private func closeWebSocket(of client: SocketClient) {
        guard let id = client.webSocket else { return }
        client.webSocket = nil
        guard case .webSocket(let conversation) = context.conversation(id) else { return }
        sender.close(conversation, .sessionOver)
    }

    // MARK: Messages out

    /// Sends a message over whatever carries the session; a poll is answered at the turn's end.
    func send(_ frame: EngineFrame, through client: SocketClient, at now: Instant) {
        client.session.send(frame, workspace)
        touch(client)
        perform(client, at: now)
    }

    /// Sends a packet that `body` writes.
    func tell(_ client: SocketClient, at now: Instant, _ body: (inout ByteWriter) -> Void) {
        context.text.removeAll()
        EnginePacket.write(.message, into: &context.text)
        body(&context.text)
        let text = context.text.withSpan { SharedBytes(copying: $0) }
        send(EngineFrame(.text, text), through: client, at: now)
    }

    /// Gives a bulletin to those who poll.
    func send(_ edition: Edition, to recipients: Span<Recipient>, at now: Instant) {
        for index in recipients.indices {
            guard let client = clients.element(EngineID(raw: recipients[index].target)) else { continue }
            send(edition.text(omittingOffset: client.omitsOffset, context).frame, through: client, at: now)
        }
    }

    /// What came for the session leaves with its open poll when the turn ends.
    private func touch(_ client: SocketClient) {
        guard !client.isTouched, client.session.transport == .polling else { return }
        client.isTouched = true
        touched.append(client.id)
    }

    /// Answers the polls of those for whom something came in this turn.
    ///
    /// - Returns: whether there were any.
    func flushPolls(at now: Instant) -> Bool {
        guard !touched.isEmpty else { return false }
        var index = 0
        while index < touched.count {
            let id = touched[index]
            index += 1
            guard let client = clients.element(id) else { continue }
            client.isTouched = false
            client.session.flush(workspace)
            perform(client, at: now)
        }
        touched.removeAll(keepingCapacity: touched.count <= 4_096)
        return true
    }

    // MARK: Time

    func arm(_ client: SocketClient) {
        guard var deadline = client.deadline else { return }
        if let expiry = client.watcher?.principal.expiry {
            let left = TimeSpan.milliseconds(expiry.milliseconds - context.moment(context.present).wall.milliseconds)
            deadline = min(deadline, context.present + max(left, .zero))
        }
        guard deadline < client.armedUntil else { return }
        if let timer = client.timer { _ = timers.cancel(timer) }
        client.timer = timers.insert(deadline, client.id)
        client.armedUntil = deadline
    }

    var nextDeadline: Instant? {
        let next = timers.nextDeadline
        guard let expiry = recovery.nextDeadline else { return next }
        return min(next ?? expiry, expiry)
    }

    /// Beats the hearts that are due, and ends what did not answer.
    func advance(at now: Instant) {
        recovery.expire(at: now)
        due.removeAll(keepingCapacity: true)
        timers.advance(to: now, into: &due)
        for id in due {
            guard let client = clients.element(id) else { continue }
            client.timer = nil
            client.armedUntil = Instant(nanoseconds: .max)
            if client.session.isOpen, let watcher = client.watcher, watcher.principal.hasExpired(at: context.moment(now).wall) {
                dismiss(client, watcher, at: now)
                continue
            }
            client.session.advance(to: now, workspace)
            perform(client, at: now)
            guard clients.contains(id) else { continue }
            expirePackets(of: client, at: now)
            arm(client)
        }
    }

    // MARK: The end

    /// Ends a session at once; nothing of what waits leaves.
    func abort(_ client: SocketClient, at now: Instant) {
        client.session.abort(workspace)
        perform(client, at: now)
    }

    /// Ends a session for the server; what waits still leaves.
    func close(_ client: SocketClient, at now: Instant) {
        client.session.close(at: now, workspace)
        perform(client, at: now)
    }

    private func ended(_ client: SocketClient, _ cause: EngineEnd, at now: Instant) {
        if let timer = client.timer { _ = timers.cancel(timer) }
        client.timer = nil
        guard clients.remove(client.id) != nil else { return }
        ids[client.name] = nil
        if client.transport == .polling { countPoller(client, -1) }
        countGathered(of: client)
        switch cause {
        case .violation(let error):
            context.metrics.socketSessionsFailed += 1
            context.log.debug("session ended", ("peer", client.peer), ("reason", error.sentence))
        case .overloaded:
            context.metrics.socketSessionsSlow += 1
            context.metrics.bounds.count(.queuedBytes)
        case .pingTimeout: context.metrics.socketSessionsSilent += 1
        case .closedByClient, .closedByServer, .transportLost: break
        }
        part(client, cause, at: now)
    }

    /// The server stops: polls are answered, sockets are closed by those who own them.
    func stop(at now: Instant) {
        for id in clients.keys {
            guard let client = clients.element(id), client.session.transport == .polling else { continue }
            close(client, at: now)
        }
    }
}
