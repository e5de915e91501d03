// WebSocketService: messages in, on every WebSocket whatever its role. Drives the connection's machine, answers pings and closing
// handshakes, lets the pool read what is large. What a message means is its role's; what goes out is WebSocketSender's.
//
// Cost: an echo of a whole frame is its copy into the turn's arena, and all that one read brought are one piece of output; nothing is
// allocated. Unmasking and that copy dominate.
internal import Base
internal import Dialects
internal import Domain
internal import WebSockets

final class WebSocketService {
    /// What became of the bytes.
    enum Outcome {
        case taken
        /// A worker was heard: what it caused goes out before its next message is looked at.
        case heard
    }

    private let context: Context
    private let sender: WebSocketSender
    private let workers: WorkerService
    private let taskWatchers: TaskWatchService
    private let userWatchers: UserWatchService
    private let producers: ProducerService
    private let hubClients: HubService
    private let sockets: SocketService
    private let dashboards: DashboardService

    init(
        _ context: Context, sender: WebSocketSender, producers: ProducerService, hubClients: HubService, sockets: SocketService,
        dashboards: DashboardService, replayer: Replayer
    ) {
        self.context = context
        self.sender = sender
        self.producers = producers
        self.hubClients = hubClients
        self.sockets = sockets
        self.dashboards = dashboards
        workers = WorkerService(context)
        taskWatchers = TaskWatchService(context, sender: sender, replayer: replayer)
        userWatchers = UserWatchService(context, sender: sender)
    }

    private static let textExpected = "Text messages are expected"

    // MARK: Bytes

    func opened(_ conversation: WebSocketConversation, from peer: PeerAddress, at now: Instant) {
        switch conversation.role {
        case .echo: break
        case .worker(let worker):
            // A worker may be busy sending a result while a task waits for it: it is read all the same.
            context.outbox.setAnswersItself(conversation.id, false)
            let messageBytesMax = context.webSocketLimits.messageBytesMax
            sender.tell(conversation) { WorkerDialect.writeConnected(worker.id, messageBytesMax: messageBytesMax, to: &$0) }
            context.monitor.workerConnected(worker.id, in: worker.group.name, at: context.moment(now))
            context.log.info("worker connected", ("worker", worker.id), ("group", worker.group.name), ("peer", peer))
        case .taskWatcher(let watcher):
            taskWatchers.opened(conversation, watcher, at: now)
        case .userWatcher(let watcher):
            userWatchers.opened(conversation, watcher, at: now)
        case .hubClient(let client):
            hubClients.opened(conversation, client, at: now)
        case .producer: break
        case .dashboard(let watcher): dashboards.opened(conversation, watcher, at: now)
        // Its session has a heartbeat of its own.
        case .socketClient(let seat):
            seat.client = sockets.opened(conversation, seat.entry, from: peer, at: now)
            return
        case .refused(let reason):
            return sender.close(conversation, reason)
        }
        context.arm(conversation, at: now + pingInterval(of: conversation), now: now)
    }

    /// Takes what came on the connection from `position` on; to be called again with the rest until all of it is taken.
    func received(
        _ conversation: WebSocketConversation, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, at now: Instant
    ) -> Outcome {
        conversation.lastSign = now
        conversation.unanswered = 0
        switch process(conversation, &bytes, &position, at: now) {
        case .heard: return .heard
        case .taken: break
        }
        if position < bytes.count { conversation.carry().leftover.append(bytes.span.extracting(position..<bytes.count)) }
        let held = conversation.socket.pendingBytes + conversation.leftoverCount
        if held != Int(conversation.inputCounted) { countInput(held, of: conversation) }
        return .taken
    }

    /// Who asks for more where there is too much already is given up: it may come back.
    private func countInput(_ held: Int, of conversation: WebSocketConversation) {
        let burden = conversation.carry()
        guard !context.countInput(held, &burden.inputCounted) else { return }
        context.metrics.bounds.count(.inputMemory)
        sender.close(conversation, .inputOverfull)
        conversation.socket.giveUp()
        burden.leftover = ByteQueue()
        _ = context.countInput(0, &burden.inputCounted)
    }

    /// One that came too fast is heard again.
    func rested(_ conversation: WebSocketConversation) {
        conversation.isPaced = false
        context.resumable.append(conversation.id)
    }

    /// Hands out what was left over while a message was with the pool.
    func resume(_ conversation: WebSocketConversation) -> ByteQueue {
        guard !isHeldUp(conversation) else { return ByteQueue() }
        if !hasToWait(conversation) { context.outbox.resumeReading(conversation.id) }
        return conversation.takeLeftover()
    }

    private func process(
        _ conversation: WebSocketConversation, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int, at now: Instant
    ) -> Outcome {
        let limits: WebSocketLimits
        if case .socketClient = conversation.role { limits = sockets.webSocketLimits } else { limits = context.webSocketLimits }
        if case .echo = conversation.role {
            sender.sendBack(&bytes, &position, limits, to: conversation)
            if position == bytes.count { return .taken }
        }
        let (pace, waits) = pace(of: conversation.role)
        let isBounded = pace.isBounded
        while !isHeldUp(conversation) {
            if waits, hasToRest(conversation, pace, at: now) { break }
            let event = conversation.socket.next(&bytes, &position, limits, context.workspace)
            if isBounded, isTooFast(event, conversation, pace, at: now) {
                // What came with it is not heard either.
                position = bytes.count
                return .taken
            }
            switch event {
            case .needMore:
                return .taken
            case .text(let payload):
                context.metrics.messagesIn += 1
                conversation.burden?.messageNotedAt = 0
                switch conversation.role {
                case .echo: show(payload, bytes, of: conversation) { sender.send(.text, $0, to: conversation) }
                case .worker(let worker):
                    show(payload, bytes, of: conversation) { hear($0, from: worker, conversation, at: now) }
                    return .heard
                case .taskWatcher(let watcher):
                    show(payload, bytes, of: conversation) { taskWatchers.hear($0, from: watcher, conversation, at: now) }
                case .userWatcher(let watcher):
                    show(payload, bytes, of: conversation) { userWatchers.hear($0, from: watcher, conversation, at: now) }
                case .hubClient(let client):
                    show(payload, bytes, of: conversation) { hubClients.hear($0, from: client, conversation, at: now) }
                case .producer(let producer):
                    show(payload, bytes, of: conversation) { hear($0, from: producer, conversation, at: now) }
                    return .heard
                case .dashboard: conversation.socket.withPayload(payload, bytes) { dashboards.hear($0, conversation, at: now) }
                case .socketClient(let seat):
                    show(payload, bytes, of: conversation) { hear(.text, $0, from: seat, conversation, at: now) }
                    return .heard
                case .refused: break
                }
            case .binary(let payload):
                context.metrics.messagesIn += 1
                conversation.burden?.messageNotedAt = 0
                switch conversation.role {
                case .echo: show(payload, bytes, of: conversation) { sender.send(.binary, $0, to: conversation) }
                case .worker: sender.tell(conversation) { WorkerDialect.writeProblem(WebSocketService.textExpected, to: &$0) }
                case .taskWatcher: taskWatchers.refuse(conversation, WebSocketService.textExpected, at: now)
                case .userWatcher: userWatchers.refuse(conversation, WebSocketService.textExpected, at: now)
                case .hubClient: hubClients.refuse(conversation, WebSocketService.textExpected, at: now)
                case .producer: producers.refuse(conversation, WebSocketService.textExpected)
                case .dashboard: dashboards.refuse(conversation, WebSocketService.textExpected)
                case .socketClient(let seat):
                    show(payload, bytes, of: conversation) { hear(.binary, $0, from: seat, conversation, at: now) }
                    return .heard
                case .refused: break
                }
            case .ping(let payload):
                // §5.5.2: asked for until the close frame; nothing follows ours.
                guard conversation.socket.closing == .open else { break }
                conversation.socket.withPayload(payload, bytes) { ping in
                    context.outbox.write(to: conversation.id) { FrameWriter.appendPong(ping, to: &$0) }
                }
                sender.limitQueue(of: conversation)
            case .pong:
                break
            case .close(let code, _):
                // §5.5.1: the answer echoes the code.
                guard conversation.socket.startClose() else { break }
                sender.endFrames(of: conversation) { FrameWriter.appendClose(code, reason: Span(), to: &$0) }
            case .failed(let error):
                context.metrics.webSocketsFailed += 1
                if let bound = Bound(error) { context.metrics.bounds.count(bound) }
                sender.close(conversation, .failed(error))
            }
        }
        return .taken
    }

    /// Shows a message; what it causes may change its connection meanwhile.
    @inline(__always)
    private func show(
        _ payload: Payload, _ bytes: borrowing MutableSpan<UInt8>, of conversation: WebSocketConversation, _ body: (Span<UInt8>) -> Void
    ) {
        guard let holder = conversation.socket.holder(of: payload) else { return body(bytes.span.extracting(payload.range)) }
        holder.withBytes(body)
    }

    /// Whether what came has to wait: a message is with the pool to be read, or many are to be compressed.
    private func isHeldUp(_ conversation: WebSocketConversation) -> Bool {
        if conversation.isReviewing || conversation.isPaced { return true }
        guard let burden = conversation.burden else { return false }
        return burden.lane?.byteCount ?? 0 > context.limits.pauseReadingBytes
            || burden.backlog?.byteCount ?? 0 > context.limits.pauseReadingBytes
    }

    /// Whether nothing more is to be read, although what was read may be heard: a program's reports come faster than they are written.
    private func hasToWait(_ conversation: WebSocketConversation) -> Bool {
        guard case .producer(let producer) = conversation.role else { return false }
        return producers.owesTooMuch(producer)
    }

    // MARK: Pace

    /// What a role is held to, and whether it waits for it instead of being closed: what workers and programs say is paid for.
    private func pace(of role: WebSocketConversation.Role) -> (limit: PaceLimit, waits: Bool) {
        switch role {
        // An echo is there for diagnosis alone, and costs no more than what it sends back.
        case .echo, .refused: (.none, false)
        case .worker, .producer: (context.workerPace, context.workerPace.isBounded)
        case .taskWatcher, .userWatcher, .hubClient, .dashboard: (context.watcherPace, false)
        // Packets have a pace of their own; pings have none.
        case .socketClient: (sockets.settings.isTestMode ? .none : context.watcherPace, false)
        }
    }

    /// Whether the connection is not to be heard for a moment. One that is gone is heard to its end.
    private func hasToRest(_ conversation: WebSocketConversation, _ limit: PaceLimit, at now: Instant) -> Bool {
        guard !conversation.pace.isOpen(limit, at: now), context.outbox.isOpen(conversation.id) else { return false }
        context.metrics.bounds.count(.messagesPerSecond)
        conversation.isPaced = true
        context.pause(conversation.id, limit, at: now)
        return true
    }

    /// Counts a message, or a ping; whoever sends too many is closed.
    private func isTooFast(
        _ event: WebSocketConnection.Event, _ conversation: WebSocketConversation, _ limit: PaceLimit, at now: Instant
    ) -> Bool {
        switch event {
        case .needMore, .close, .failed: return false
        case .text, .binary, .ping, .pong: break
        }
        guard !conversation.pace.admits(limit, at: now) else { return false }
        switch conversation.role {
        // They were let through already.
        case .worker, .producer: return false
        case .echo, .taskWatcher, .userWatcher, .hubClient, .dashboard, .socketClient, .refused: break
        }
        guard conversation.socket.closing == .open else { return true }
        context.metrics.bounds.count(.messagesPerSecond)
        sender.close(conversation, .tooFast)
        return true
    }

    /// Whether a message has begun and comes more slowly than anything may: what it holds, nobody else can have.
    private func dawdles(_ conversation: WebSocketConversation, _ interval: TimeSpan, at now: Instant) -> Bool {
        let held = UInt32(clamping: conversation.socket.pendingBytes)
        let second = UInt32(clamping: now.nanoseconds / 1_000_000_000)
        guard held > 0 || conversation.burden != nil else { return false }
        let burden = conversation.carry()
        guard held > 0, burden.messageNotedAt > 0 else {
            burden.messageNotedAt = held > 0 ? max(second, 1) : 0
            burden.messageNoted = held
            return false
        }
        let passed = Int(second) - Int(burden.messageNotedAt)
        guard passed >= Int(interval.nanoseconds / 1_000_000_000) else { return false }
        let isSlow = Int(held) - Int(burden.messageNoted) < passed * context.limits.bodyBytesPerSecondMin
        burden.messageNotedAt = max(second, 1)
        burden.messageNoted = held
        return isSlow
    }

    // MARK: Workers

    private func hear(_ text: Span<UInt8>, from worker: Worker, _ conversation: WebSocketConversation, at now: Instant) {
        guard text.count <= context.limits.inlineWorkBytes else {
            return review(conversation, .readWorkerMessage(SharedBytes(copying: text)))
        }
        answer(conversation, worker, workers.hear(text, from: worker, at: context.moment(now)), at: now)
    }

    /// Lets the pool read a large message.
    private func review(_ conversation: WebSocketConversation, _ work: Job.Work) {
        conversation.isReviewing = true
        context.outbox.pauseReading(conversation.id, hearsEnd: false)
        context.jobs.append(Job(ticket: .message(conversation.id), work: work))
    }

    /// The pool has read a worker's message.
    func reviewed(_ conversation: WebSocketConversation, _ message: Result<WorkerMessage, RequestProblem>, at now: Instant) {
        guard conversation.isReviewing, case .worker(let worker) = conversation.role else { return }
        conversation.isReviewing = false
        switch message {
        case .success(let message):
            answer(conversation, worker, workers.act(upon: message, from: worker, at: context.moment(now)), at: now)
        case .failure(let problem): sender.tell(conversation) { WorkerDialect.write(problem, to: &$0) }
        }
        context.resumable.append(conversation.id)
    }

    // MARK: Watchers

    /// The journal has answered one who came back for what it missed.
    func found(_ conversation: WebSocketConversation, number: UInt32, _ content: Finding.Content, at now: Instant) {
        switch conversation.role {
        case .taskWatcher(let watcher): taskWatchers.found(conversation, watcher, number: number, content, at: now)
        case .hubClient(let client): hubClients.found(conversation, client, number: number, content, at: now)
        case .echo, .worker, .userWatcher, .producer, .dashboard, .socketClient, .refused: break
        }
    }

    private func answer(_ conversation: WebSocketConversation, _ worker: Worker, _ reply: WorkerService.Reply, at now: Instant) {
        switch reply {
        case .none: break
        case .pong: sender.tell(conversation) { WorkerDialect.writePong(to: &$0) }
        case .problem(let problem): sender.tell(conversation) { WorkerDialect.write(problem, to: &$0) }
        case .refusal(let refusal, let id): sender.tell(conversation) { WorkerDialect.write(refusal, of: id, to: &$0) }
        case .renewal(let token): refresh(conversation, worker, token, at: now)
        }
    }

    /// A worker goes on with another token, if that one is for its group as well.
    private func refresh(_ conversation: WebSocketConversation, _ worker: Worker, _ token: SharedBytes, at now: Instant) {
        guard context.renew(conversation, with: token, at: now) else {
            return sender.tell(conversation) { WorkerDialect.writeProblem("Invalid or expired token", to: &$0) }
        }
        guard conversation.principal.mayWork, conversation.principal.mayWork(in: worker.group.name) else {
            return sender.close(conversation, .unauthenticated)
        }
        sender.tell(conversation) { WorkerDialect.writeRefreshed(to: &$0) }
    }

    // MARK: Producers

    private func hear(_ text: Span<UInt8>, from producer: Producer, _ conversation: WebSocketConversation, at now: Instant) {
        guard text.count <= context.limits.inlineWorkBytes else {
            return review(conversation, .readReports(SharedBytes(copying: text), .message))
        }
        producers.hear(text, from: producer, conversation, at: now)
    }

    /// The pool has read a producer's message.
    func reviewed(_ conversation: WebSocketConversation, _ words: Result<[ProducerWord], RequestProblem>, at now: Instant) {
        guard conversation.isReviewing, case .producer(let producer) = conversation.role else { return }
        conversation.isReviewing = false
        producers.heard(conversation, from: producer, words, at: now)
        context.resumable.append(conversation.id)
    }

    // MARK: Socket.IO

    private func hear(
        _ kind: MessageKind, _ bytes: Span<UInt8>, from seat: SocketSeat, _ conversation: WebSocketConversation, at now: Instant
    ) {
        guard let client = seat.client else { return }
        sockets.received(kind, bytes, from: client, conversation, at: now)
    }

    // MARK: The end

    /// Whether the connection that just ended is a worker's or a producer's, of which a message is with the pool. A worker gets no more
    /// tasks.
    func departs(_ conversation: WebSocketConversation, at now: Instant) -> Bool {
        guard conversation.isReviewing else { return false }
        switch conversation.role {
        case .worker(let worker): context.broker.workerDraining(worker, at: context.moment(now))
        case .producer: break
        case .echo, .taskWatcher, .userWatcher, .hubClient, .dashboard, .socketClient, .refused: return false
        }
        context.disarm(conversation.timer)
        conversation.timer = nil
        return true
    }

    func closed(_ conversation: WebSocketConversation, at now: Instant) {
        context.disarm(conversation.timer)
        switch conversation.role {
        case .echo, .refused, .producer: break
        case .worker(let worker):
            context.broker.workerGone(worker, at: context.moment(now))
            context.monitor.workerGone(worker.id, at: context.moment(now))
            context.log.info("worker gone", ("worker", worker.id), ("group", worker.group.name))
        case .taskWatcher(let watcher):
            taskWatchers.closed(conversation, watcher)
        case .userWatcher(let watcher):
            userWatchers.closed(watcher)
        case .hubClient(let client):
            hubClients.closed(conversation, client, at: now)
        case .dashboard: dashboards.closed(conversation)
        case .socketClient(let seat):
            if let client = seat.client { sockets.closed(conversation, of: client, at: now) }
        }
    }

    // MARK: Time

    /// A silent connection is pinged, and closed when it stays silent.
    func timerDue(_ conversation: WebSocketConversation, at now: Instant) {
        guard !conversation.principal.hasExpired(at: context.moment(now).wall) else {
            conversation.timer = nil
            return sender.close(conversation, .unauthenticated)
        }
        if case .taskWatcher(let watcher) = conversation.role { taskWatchers.tick(conversation, watcher, at: now) }
        noteReading(of: conversation, at: now)
        if dawdles(conversation, context.limits.pingInterval, at: now) {
            conversation.timer = nil
            context.metrics.bounds.count(.messageTime)
            return sender.close(conversation, .unfinished)
        }
        conversation.unburden()
        let silence = now - conversation.lastSign
        let interval = pingInterval(of: conversation)
        if isGivenUp(conversation, after: silence, interval) {
            conversation.timer = nil
            context.metrics.silentSockets += 1
            // It ends a worker at once: what it has in hand is taken from it.
            return sender.close(conversation, .silent)
        }
        guard silence >= interval else {
            // A watcher's heart beats whether it speaks or not.
            if case .taskWatcher = conversation.role { return context.arm(conversation, at: now + interval, now: now) }
            return context.arm(conversation, at: conversation.lastSign + interval, now: now)
        }
        if conversation.socket.closing == .open {
            context.outbox.write(to: conversation.id) { FrameWriter.appendPing(Span(), to: &$0) }
            if conversation.unanswered < .max { conversation.unanswered += 1 }
        }
        context.arm(conversation, at: now + interval, now: now)
    }

    /// A worker that takes what is sent to it is there: a ping that waits behind a large task has not reached it yet.
    private func noteReading(of conversation: WebSocketConversation, at now: Instant) {
        guard case .worker = conversation.role else { return }
        let queuedBytes = context.outbox.queuedBytes(conversation.id)
        let before = conversation.burden?.queuedBytes ?? 0
        if queuedBytes < before {
            conversation.lastSign = now
            conversation.unanswered = 0
        }
        if queuedBytes != before { conversation.carry().queuedBytes = queuedBytes }
    }

    private func pingInterval(of conversation: WebSocketConversation) -> TimeSpan { context.pingInterval(of: conversation) }

    /// Whether the other end is taken for gone. A worker whose lease is over is, if two pings went out meanwhile and each had its time: a
    /// server that stood still itself has no say in who else did. Nor has one that does not read what came.
    private func isGivenUp(_ conversation: WebSocketConversation, after silence: TimeSpan, _ interval: TimeSpan) -> Bool {
        guard case .worker(let worker) = conversation.role else { return silence >= interval + interval }
        guard silence >= interval + interval + interval, conversation.unanswered >= 2, !isHeldUp(conversation) else { return false }
        context.metrics.leasesExpired += 1
        context.log.warning("worker lost its lease", ("worker", worker.id), ("group", worker.group.name))
        return true
    }
}
