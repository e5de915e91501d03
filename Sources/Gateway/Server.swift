// Server: the whole product as a machine: bytes, completions and a point in time go in; queued bytes and jobs come out. Opens no socket,
// reads no clock, starts no thread. Under the reactor in production, under a test without any kernel.
//
// The order of a call: the bytes are taken to their conversation, a worker's message by message; then, until nothing is left, the domain's
// effects are performed and conversations that were held up go on. So no service is ever entered while it is at work.
public import Base
internal import Dialects
public import Domain

public final class Server {
    let context: Context
    let http: HTTPService
    let webSockets: WebSocketService
    let sender: WebSocketSender
    let hubClients: HubService
    let probes: HealthProbeService
    let sockets: SocketService
    private let monitor: MonitorService
    private let dashboards: DashboardService
    private let performer: EffectPerformer
    var phase = Phase.serving
    /// Workers and producers whose connection ended while a message of theirs was with the pool: what they delivered is heard all the same.
    private(set) var departing: [ConnectionID: WebSocketConversation] = [:]
    private var due: [ConnectionID] = []
    private var waking: [ConnectionID] = []
    private var roomy: [ConnectionID] = []

    /// - Parameter outbox: what the reactor drains.
    public init(settings: Settings, outbox: Outbox, log: Log, random: Randomness) {
        context = Context(settings: settings, outbox: outbox, log: log, random: random)
        let responses = Responses(context)
        sender = WebSocketSender(context)
        probes = HealthProbeService(context)
        let producers = ProducerService(context, responses: responses, sender: sender)
        let replayer = Replayer(context)
        let eventStreams = EventStreamService(context, responses: responses, replayer: replayer)
        hubClients = HubService(
            context, sender: sender, eventStreams: eventStreams, replayer: replayer, random: random)
        monitor = MonitorService(context)
        dashboards = DashboardService(context, sender: sender)
        sockets = SocketService(context, responses: responses, sender: sender, monitor: monitor)
        http = HTTPService(
            context, responses: responses, producers: producers, hubClients: hubClients, eventStreams: eventStreams, sockets: sockets)
        webSockets = WebSocketService(
            context, sender: sender, producers: producers, hubClients: hubClients, sockets: sockets, dashboards: dashboards,
            replayer: replayer)
        performer = EffectPerformer(
            context, http: http, producers: producers, sender: sender, hubClients: hubClients, sockets: sockets, monitor: monitor)
    }

    /// Tells what the wall's clock shows; to be called before anything else and then at least once a second.
    public func observe(_ wall: WallTime, at now: Instant) { context.observe(wall, at: now) }

    // MARK: Connections

    /// - Parameter certificate: what the peer has shown, where TLS is spoken and it was asked.
    public func opened(_ id: ConnectionID, from peer: PeerAddress, certificate: PeerCertificate? = nil, at now: Instant) {
        let conversation = HTTPConversation(
            id: id, peer: peer, certificate: certificate, isSpared: context.watermark.isShort, at: now)
        if conversation.isSpared { context.sparedOpen += 1 }
        context.add(.http(conversation))
        context.metrics.connectionsOpened += 1
        http.opened(conversation, at: now)
    }

    /// Takes bytes of a connection; they may be changed in place.
    public func received(_ id: ConnectionID, _ bytes: inout MutableSpan<UInt8>, at now: Instant) {
        switch context.conversation(id) {
        case .webSocket(let conversation):
            // What it says is for the process that has taken over, and is said again there.
            if context.stage == .handedOver { return }
            deliver(conversation, &bytes, from: 0, at: now)
        case .http(let conversation):
            switch http.received(conversation, bytes.span, at: now) {
            case .taken: break
            case .upgraded(let webSocket, let position):
                if conversation.leftover.isEmpty {
                    upgrade(conversation, to: webSocket, &bytes, from: position, at: now)
                } else {
                    upgradeLeftover(conversation, to: webSocket, from: position, at: now)
                }
            }
        case .probe(let conversation): probes.received(conversation, bytes.span, at: now)
        case nil: return
        }
        settle(at: now)
    }

    public func closed(_ id: ConnectionID, _ cause: CloseCause, at now: Instant) {
        guard let conversation = context.conversation(id) else { return }
        context.remove(id)
        switch conversation {
        case .http(let conversation):
            context.metrics.connectionsClosed += 1
            release(conversation)
            http.closed(conversation, at: now)
        case .webSocket(let conversation):
            context.metrics.connectionsClosed += 1
            context.metrics.webSocketsOpen -= 1
            context.metrics.socketsOpen[SocketKind(conversation.role).rawValue] -= 1
            // What it sent in time is heard, however fast it came.
            if conversation.isPaced { hearRest(of: conversation, at: now) }
            if let burden = conversation.burden { _ = context.countInput(0, &burden.inputCounted) }
            if webSockets.departs(conversation, at: now) {
                departing[id] = conversation
            } else {
                webSockets.closed(conversation, at: now)
            }
        case .probe(let conversation): probes.closed(conversation, cause, at: now)
        }
        settle(at: now)
    }

    /// An HTTP conversation is one no longer: what was counted for it is free.
    private func release(_ conversation: HTTPConversation) {
        _ = context.countInput(0, &conversation.inputCounted)
        if conversation.isSpared { context.sparedOpen -= 1 }
    }

    private func hearRest(of conversation: WebSocketConversation, at now: Instant) {
        conversation.isPaced = false
        var bytes = conversation.takeLeftover()
        var span = bytes.mutableSpan
        deliver(conversation, &span, from: 0, at: now)
    }

    private func upgrade(
        _ http: HTTPConversation, to conversation: WebSocketConversation, _ bytes: inout MutableSpan<UInt8>, from position: Int,
        at now: Instant
    ) {
        release(http)
        context.add(.webSocket(conversation))
        context.metrics.webSocketsOpen += 1
        context.metrics.socketsOpen[SocketKind(conversation.role).rawValue] += 1
        context.metrics.webSocketsOpened += 1
        webSockets.opened(conversation, from: http.peer, at: now)
        deliver(conversation, &bytes, from: position, at: now)
    }

    /// Gives a WebSocket its bytes; what one message of a worker causes goes out before the next one is heard.
    private func deliver(
        _ conversation: WebSocketConversation, _ bytes: inout MutableSpan<UInt8>, from start: Int, at now: Instant
    ) {
        var position = start
        while case .heard = webSockets.received(conversation, &bytes, &position, at: now) { _ = performer.perform(at: now) }
    }

    private func upgradeLeftover(_ http: HTTPConversation, to conversation: WebSocketConversation, from position: Int, at now: Instant) {
        context.outbox.resumeReading(http.id)
        var bytes = http.leftover
        http.leftover = ByteQueue()
        var span = bytes.mutableSpan
        upgrade(http, to: conversation, &span, from: position, at: now)
    }

    // MARK: What comes home

    /// Takes the result of a job.
    public func finished(_ completion: Completion, at now: Instant) {
        switch (completion.ticket, completion.result) {
        case (.request(let id, let number), .order(let order)):
            guard case .http(let conversation) = context.conversation(id) else { return }
            http.reviewed(conversation, number: number, order, at: now)
            context.resumable.append(id)
        case (.request(let id, let number), .report(let event)):
            guard case .http(let conversation) = context.conversation(id) else { return }
            http.reviewed(conversation, number: number, event, at: now)
            context.resumable.append(id)
        case (.request(let id, let number), .reports(let words)):
            guard case .http(let conversation) = context.conversation(id) else { return }
            http.reviewed(conversation, number: number, words, at: now)
            context.resumable.append(id)
        case (.message(let id), .workerMessage(let message)):
            reviewed(id, at: now) { webSockets.reviewed($0, message, at: now) }
        case (.message(let id), .reports(let words)):
            reviewed(id, at: now) { webSockets.reviewed($0, words, at: now) }
        case (.lane(let id, let number), .frame(let frame)):
            guard case .webSocket(let conversation) = context.conversation(id) else { return }
            sender.compressed(conversation, number: number, frame)
        case (.request, _), (.message, _), (.lane, _):
            preconditionFailure("a completion's result is not of its ticket's kind")
        }
        settle(at: now)
    }

    /// The pool has read a message. That of a peer that is gone counts as well, and so does what came behind it.
    private func reviewed(_ id: ConnectionID, at now: Instant, _ hear: (WebSocketConversation) -> Void) {
        if case .webSocket(let conversation) = context.conversation(id) { return hear(conversation) }
        guard let conversation = departing[id] else { return }
        hear(conversation)
        _ = performer.perform(at: now)
        var bytes = webSockets.resume(conversation)
        if !bytes.isEmpty {
            var span = bytes.mutableSpan
            deliver(conversation, &span, from: 0, at: now)
        }
        guard !conversation.isReviewing else { return }
        departing[conversation.id] = nil
        webSockets.closed(conversation, at: now)
    }

    /// Moves the jobs that were found since the last call to `jobs`.
    public func takeJobs(into jobs: inout [Job]) {
        jobs.empty()
        swap(&jobs, &context.jobs)
    }

    // MARK: What is done outside

    /// Moves what is to be done outside since the last call to `errands`: figures are answered by `sampled`, connections by `connected` or
    /// `notConnected`. A server that stops wants nothing any more.
    public func takeErrands(into errands: inout [Errand]) {
        errands.empty()
        swap(&errands, &context.errands)
        if !isAtWork { errands.removeAll() }
    }

    /// The machine's figures that were asked for.
    public func sampled(_ sample: ResourceSample, at now: Instant) {
        monitor.sampled(sample, at: now)
        settle(at: now)
    }

    /// A connection for a probe was begun; whether it is ever made, its bytes or its end will tell.
    public func connected(_ id: ConnectionID, for probe: HealthProbe, at now: Instant) {
        guard isAtWork else { return context.outbox.abort(id) }
        probes.connected(id, for: probe, at: now)
        settle(at: now)
    }

    /// There is no connection for a probe, and there will be none.
    ///
    /// - Parameter reason: for a person, as the end of a sentence.
    public func notConnected(_ probe: HealthProbe, reason: SharedBytes, at now: Instant) {
        guard isAtWork else { return }
        probes.notConnected(probe, reason: reason, at: now)
        settle(at: now)
    }

    // MARK: What is written down

    /// Takes up again what the process before left. Before the first connection.
    ///
    /// - Parameters:
    ///   - live: tasks that wait or were in a worker's hands, in the order of their submission.
    ///   - ended: tasks that ended, in the order of their ends.
    public func restore(live: [TaskImage], ended: [TaskImage], at now: Instant) {
        context.broker.restore(live: live, ended: ended, at: context.moment(now))
        settle(at: now)
    }

    /// Takes up again the dead letters that the process before kept. Before the first connection, and before its tasks.
    ///
    /// - Parameter letters: in the order of their numbers.
    public func restore(letters: [DeadLetter], at now: Instant) {
        context.broker.restore(letters: letters, at: context.moment(now))
        settle(at: now)
    }

    /// Goes on refusing the tokens that were revoked in the process before. Before the first connection.
    ///
    /// - Parameter revocations: in the order of their numbers, one a user.
    public func restore(revocations: [Revocation]) {
        context.revocations.restore(revocations)
        context.metrics.revocations = context.revocations.count
    }

    /// Takes up again what the process before knew of the fleet. Before the first connection.
    ///
    /// - Parameters:
    ///   - deployments: those that were registered.
    ///   - alerts: those that were not resolved.
    public func restore(deployments: [Deployment], alerts: [Alert], at now: Instant) {
        context.monitor.restore(deployments: deployments, alerts: alerts, at: context.moment(now))
        settle(at: now)
    }

    /// Moves what is to be written since the last call to `records`, in the order of its numbers. Every batch is answered by `committed`
    /// or `recordsFailed`, in its turn.
    public func takeRecords(into records: inout [RecordEntry]) {
        context.recorder.take(into: &records)
        // What happens behind a handover is none of the next process's history.
        if context.stage == .handedOver { records.removeAll() }
    }

    /// Everything up to `number` is written, but for what was told to have failed.
    public func committed(upTo number: UInt64, at now: Instant) {
        for promise in context.recorder.committed(upTo: number) { performer.keep(promise, at: now) }
        settle(at: now)
    }

    /// These records, a whole number of batches, are not written and will not be by themselves.
    public func recordsFailed(_ records: [RecordEntry], reason: String, at now: Instant) {
        context.log.error("not stored", ("reason", reason))
        let refused = context.recorder.failed(
            records, bytesMax: context.limits.unwrittenBytesMax, retryAt: now + context.limits.storageRetryDelay)
        for image in refused { context.broker.recordFailed(of: image, at: context.moment(now)) }
        for promise in context.recorder.takeBroken(performer.isBroken) { performer.keep(promise, at: now) }
        for promise in context.recorder.takeDue() { performer.keep(promise, at: now) }
        settle(at: now)
    }

    /// Has what could not be written tried again at once: the process ends.
    public func retryRecords() { context.recorder.retry() }

    /// Whether something could not be written that has to be.
    public var hasUnwritten: Bool { context.recorder.isFailing }

    /// Moves the questions that were asked since the last call to `inquiries`; each is answered by `found`.
    public func takeInquiries(into inquiries: inout [Inquiry]) {
        inquiries.empty()
        swap(&inquiries, &context.inquiries)
    }

    /// Takes the journal's answer to an inquiry.
    public func found(_ finding: Finding, at now: Instant) {
        if case .failed(let reason) = finding.content { context.log.warning("not looked up", ("reason", reason)) }
        switch finding.ticket {
        case .request(let id, let number):
            guard case .http(let conversation) = context.conversation(id) else { return }
            http.found(conversation, number: number, finding.content, at: now)
        case .replay(let id, let number):
            switch context.conversation(id) {
            case .http(let conversation): http.eventStreams.found(conversation, number: number, finding.content, at: now)
            case .webSocket(let conversation): webSockets.found(conversation, number: number, finding.content, at: now)
            case .probe, nil: return
            }
        }
        settle(at: now)
    }

    /// Performs effects and wakes conversations until there is nothing left of either.
    func settle(at now: Instant) {
        while true {
            let wasAny = performer.perform(at: now)
            guard !context.resumable.isEmpty else {
                if wasAny { continue }
                return
            }
            waking.removeAll(keepingCapacity: true)
            swap(&waking, &context.resumable)
            for id in waking { wake(id, at: now) }
        }
    }

    private func wake(_ id: ConnectionID, at now: Instant) {
        switch context.conversation(id) {
        case .http(let conversation):
            switch http.resume(conversation, at: now) {
            case .taken: break
            case .upgraded(let webSocket, let position): upgradeLeftover(conversation, to: webSocket, from: position, at: now)
            }
        case .webSocket(let conversation):
            var bytes = webSockets.resume(conversation)
            guard !bytes.isEmpty else { return }
            var span = bytes.mutableSpan
            deliver(conversation, &span, from: 0, at: now)
        case .probe, nil: break
        }
    }

    // MARK: Time

    /// When `timersDue` is wanted next.
    public var nextDeadline: Instant? {
        let next = firstDeadline
        return next.nanoseconds == .max ? nil : next
    }

    private var firstDeadline: Instant {
        var next = Instant(nanoseconds: .max)
        if let deadline = context.nextDeadline { next = min(next, deadline) }
        if let deadline = endDeadline { next = min(next, deadline) }
        // What is left to do in time is the next process's.
        if context.stage == .handedOver { return next }
        if let deadline = context.broker.nextDeadline { next = min(next, deadline) }
        if let retryTime = context.recorder.retryTime { next = min(next, retryTime) }
        if let expiry = hubClients.nextExpiry { next = min(next, expiry) }
        if let deadline = sockets.nextDeadline { next = min(next, deadline) }
        if let deadline = monitor.nextDeadline { next = min(next, deadline) }
        if let deadline = dashboards.nextDeadline { next = min(next, deadline) }
        return next
    }

    public func timersDue(at now: Instant) {
        context.takeDue(at: now, into: &due)
        for id in due {
            switch context.conversation(id) {
            case .http(let conversation): http.timerDue(conversation, at: now)
            case .webSocket(let conversation): if context.stage != .handedOver { webSockets.timerDue(conversation, at: now) }
            case .probe(let conversation): probes.timerDue(conversation, at: now)
            case nil: break
            }
        }
        context.takeRested(at: now, into: &due)
        for id in due {
            switch context.conversation(id) {
            case .http(let conversation): http.rested(conversation)
            case .webSocket(let conversation): webSockets.rested(conversation)
            case .probe, nil: break
            }
        }
        if context.stage != .handedOver { advanceDomain(at: now) }
        settle(at: now)
        advanceEnd(at: now)
    }

    private func advanceDomain(at now: Instant) {
        context.broker.advance(to: context.moment(now))
        if let retryTime = context.recorder.retryTime, retryTime <= now { context.recorder.retry() }
        hubClients.expire(at: now)
        sockets.advance(at: now)
        monitor.advance(at: now)
        dashboards.advance(at: now)
    }

    /// Gives connections that have room again what waits for them.
    public func roomCame(at now: Instant) {
        context.outbox.takeRoomy(into: &roomy)
        for id in roomy {
            switch context.conversation(id) {
            case .http(let conversation): http.eventStreams.refill(conversation)
            case .webSocket(let conversation): sender.refill(conversation)
            case .probe, nil: break
            }
        }
        settle(at: now)
        while sockets.flushPolls(at: now) { settle(at: now) }
    }

    /// Sends what was gathered for a turn's end, and notes what the last turn did, for the metrics.
    public func turnEnded(_ figures: TurnReport, at now: Instant) {
        sender.flushBatches()
        // Requests that came behind an answered poll are next.
        while sockets.flushPolls(at: now) { settle(at: now) }
        context.metrics.turns += 1
        context.metrics.turnDuration.record(figures.duration)
        context.metrics.bytesIn &+= UInt64(figures.bytesIn)
        context.metrics.bytesOut &+= UInt64(figures.bytesOut)
        context.metrics.connectionsRefused &+= UInt64(figures.refused)
        context.metrics.handshakes &+= UInt64(figures.handshakes)
        context.metrics.handshakesFailed &+= UInt64(figures.handshakesFailed)
        if case .serving = phase { return }
        advanceEnd(at: now)
    }
}

/// What one turn of the loop did.
public struct TurnReport: Sendable {
    public var duration: TimeSpan
    public var bytesIn: Int
    public var bytesOut: Int
    /// Connections turned away because there were too many.
    public var refused: Int
    /// Handshakes of TLS that were done, and that came to nothing.
    public var handshakes: Int
    public var handshakesFailed: Int

    public init(duration: TimeSpan, bytesIn: Int, bytesOut: Int, refused: Int, handshakes: Int = 0, handshakesFailed: Int = 0) {
        self.duration = duration
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.refused = refused
        self.handshakes = handshakes
        self.handshakesFailed = handshakesFailed
    }
}
