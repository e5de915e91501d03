// EventStreamService: a task's events as server-sent events over HTTP (HTML, "Server-sent events"): begins with what was missed, out of
// memory or the journal, or with the present state; keeps the heartbeat, ends with the task. The events themselves come by Fanout; their
// words are EventStreamDialect's.
//
// Cost: an event is a chunk that all streams share, appended by reference; a stream holds nothing while its client keeps up.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1

/// One answer that goes on for as long as its task does.
final class EventWatcher {
    fileprivate enum Phase {
        /// It hears, in this place of the hub.
        case listening(SubscriberID)
        /// Its task has ended, and the last of what it is told waits in the backlog.
        case ending
    }

    let task: TaskID
    /// Who was admitted.
    let principal: Principal
    fileprivate let shape: ResponseShape
    fileprivate var phase: Phase
    /// What came faster than the client reads; nil while it keeps up.
    fileprivate(set) var backlog: Backlog?
    /// When it is looked at next.
    fileprivate(set) var deadline: Instant
    /// What waited for it when it was looked at last, and how often in a row that was as much.
    fileprivate var standstill = (bytes: 0, beats: 0)

    fileprivate init(task: TaskID, _ principal: Principal, shape: ResponseShape, subscriber: SubscriberID, deadline: Instant) {
        self.task = task
        self.principal = principal
        self.shape = shape
        self.deadline = deadline
        phase = .listening(subscriber)
    }
}

final class EventStreamService {
    /// How long a browser waits before it comes again.
    private static let retryDelay = TimeSpan.seconds(2)
    /// Bytes of what was missed that are written before they are sent on.
    private static let pieceBytesMax = 256 << 10

    private let context: Context
    private let responses: Responses
    private let replayer: Replayer

    init(_ context: Context, responses: Responses, replayer: Replayer) {
        self.context = context
        self.responses = responses
        self.replayer = replayer
    }

    // MARK: The beginning

    /// Answers with a stream, once what the client missed is at hand. Until then the request waits, and with it what follows on its
    /// connection.
    ///
    /// - Parameter after: the last event that the client has; nil for one that begins.
    func open(_ conversation: HTTPConversation, _ task: TaskRecord, after: UInt64?, _ principal: Principal, at now: Instant) {
        let position = after.map { StreamPosition(task: task.id, epoch: task.stream.origin.epoch, sequence: $0) }
        // Who asks for the head alone is told nothing that was missed.
        if let position, !conversation.exchange.shape.isHead, replayer.begin(conversation.id, [position]) {
            conversation.request = .inquiring(.missedEvents(position, principal))
        } else {
            answer(conversation, task, position, principal, at: now)
        }
    }

    /// The journal has answered.
    func found(_ conversation: HTTPConversation, number: UInt32, _ content: Finding.Content, at now: Instant) {
        guard replayer.found(conversation.id, number: number, content),
            case .inquiring(.missedEvents(let position, let principal)) = conversation.request
        else { return }
        // Meanwhile the token may be revoked, the task gone, and another have its name: one that is not for this client, or that it has
        // nothing of.
        if context.revocations.covers(principal) {
            responses.refuseRevoked(conversation, at: now)
        } else if let task = context.broker.task(position.task), principal.maySee(taskOwner: task.user, taskID: task.id) {
            answer(conversation, task, position.epoch == task.stream.origin.epoch ? position : nil, principal, at: now)
        } else {
            responses.fail(conversation, .notFound, DispatchAPI.unknownTask, at: now)
        }
        replayer.end(conversation.id)
        context.resumable.append(conversation.id)
    }

    /// Answers with a stream: the state and what follows it are one step, so that nothing is missed and nothing comes twice.
    private func answer(
        _ conversation: HTTPConversation, _ task: TaskRecord, _ position: StreamPosition?, _ principal: Principal, at now: Instant
    ) {
        // HTML, "Server-sent events": only 204 keeps a browser from coming again.
        guard task.ending == nil || position?.sequence != task.sequence else {
            context.text.removeAll()
            return responses.respond(conversation, .noContent, at: now)
        }
        guard !conversation.exchange.shape.isHead else {
            return responses.conclude(conversation, responses.beginStream(conversation, at: now))
        }
        let deadline = deadline(principal.expiry, at: now)
        if task.ending != nil {
            let shape = responses.beginStream(conversation, at: now)
            sendBeginning(conversation, shape, task, position, at: now)
            return responses.endStream(conversation, shape)
        }
        let hub = context.broker.hub
        guard let subscriber = hub.enter(.events, target: conversation.id.raw) else { return refuse(conversation, at: now) }
        do throws(SubscriptionRefusal) {
            _ = try hub.subscribe(subscriber, to: .task(task.id), from: task.sequence)
        } catch {
            hub.leave(subscriber)
            return refuse(conversation, at: now)
        }
        let shape = responses.beginStream(conversation, at: now)
        context.metrics.eventStreamsOpen += 1
        context.metrics.eventStreamsOpened += 1
        conversation.request = .streaming(
            EventWatcher(task: task.id, principal, shape: shape, subscriber: subscriber, deadline: deadline))
        sendBeginning(conversation, shape, task, position, at: now)
    }

    private func refuse(_ conversation: HTTPConversation, at now: Instant) {
        responses.fail(conversation, .serviceUnavailable, "Too many watchers", at: now)
    }

    private func deadline(_ expiry: WallTime?, at now: Instant) -> Instant {
        let beat = now + context.limits.pingInterval
        guard let expiry else { return beat }
        return min(beat, now + max(.milliseconds(expiry.milliseconds - context.moment(now).wall.milliseconds), .zero))
    }

    /// Sends what a stream begins with: what the client missed, else how the task stands, and its end if it has ended.
    private func sendBeginning(
        _ conversation: HTTPConversation, _ shape: ResponseShape, _ task: TaskRecord, _ position: StreamPosition?, at now: Instant
    ) {
        context.text.removeAll()
        EventStreamDialect.writeRetry(EventStreamService.retryDelay, to: &context.text)
        if let position, let missed = replayer.missed(position, by: conversation.id) {
            context.metrics.eventsReplayed += UInt64(missed.count)
            for publication in missed {
                if context.text.count > EventStreamService.pieceBytesMax {
                    responses.sendPiece(conversation, shape)
                    context.text.removeAll()
                }
                EventStreamDialect.write(publication, to: &context.text)
            }
        } else {
            writeState(of: task, at: context.moment(now).wall)
        }
        responses.sendPiece(conversation, shape)
    }

    private func writeState(of task: TaskRecord, at wall: WallTime) {
        let snapshot = TaskSnapshot(of: task)
        EventStreamDialect.writeCurrentStatus(snapshot, at: wall, to: &context.text)
        guard let ending = task.ending else { return }
        EventStreamDialect.writeEnding(ending, of: snapshot, at: task.endedAt ?? wall, to: &context.text)
    }

    // MARK: What many get

    /// Sends an event in its turn: at once, or behind what the client has not read yet. The event that ends the task ends the stream.
    func send(_ delivery: Delivery, of occasion: Occasion, to conversation: HTTPConversation) {
        guard case .streaming(let watcher) = conversation.request, case .listening(let subscriber) = watcher.phase else { return }
        if watcher.backlog != nil || context.outbox.queuedBytes(conversation.id) >= context.outbox.room(conversation.id) {
            hold(delivery, of: occasion, watcher, conversation)
        } else {
            put(delivery, watcher, conversation)
            // Every stream of HTTP/1.1 gets the chunk as it is.
            if watcher.shape.version == .http11 { context.outbox.setShares(conversation.id, true) }
        }
        if occasion.isLast {
            context.broker.hub.leave(subscriber)
            watcher.phase = .ending
        }
        settle(conversation, watcher)
    }

    private func put(_ delivery: Delivery, _ watcher: EventWatcher, _ conversation: HTTPConversation) {
        switch watcher.shape.version {
        case .http11: context.outbox.append(delivery.bytes, to: conversation.id)
        case .http10: context.outbox.append(delivery.bytes[delivery.first], to: conversation.id)
        }
        context.metrics.messagesOut &+= UInt64(delivery.messageCount)
    }

    private func hold(_ delivery: Delivery, of occasion: Occasion, _ watcher: EventWatcher, _ conversation: HTTPConversation) {
        if watcher.backlog == nil {
            context.metrics.backlogs += 1
            watcher.backlog = Backlog(logBytesMax: context.limits.waitingLogBytesMax)
            context.outbox.setShares(conversation.id, false)
            context.outbox.awaitRoom(conversation.id)
        }
        let kept = context.keepsakes.keepsake(of: delivery, number: occasion.number)
        guard let toll = watcher.backlog?.append(kept, of: occasion) else { return }
        context.metrics.conflated &+= UInt64(toll.conflated)
        context.metrics.logsLeftOut &+= UInt64(toll.logsLeftOut)
    }

    /// Ends a stream that has said all, or that waits for too much: it breaks off, and its client may come back for the rest.
    private func settle(_ conversation: HTTPConversation, _ watcher: EventWatcher) {
        guard let backlog = watcher.backlog else {
            if case .ending = watcher.phase { finish(conversation, watcher, keepsAlive: true) }
            return
        }
        guard context.outbox.queuedBytes(conversation.id) + backlog.byteCount > context.limits.queuedBytesMax else { return }
        context.metrics.bounds.count(.queuedBytes)
        giveUp(conversation, watcher)
    }

    /// Breaks the stream off: its client may come back for the rest.
    private func giveUp(_ conversation: HTTPConversation, _ watcher: EventWatcher) {
        context.metrics.eventStreamsSlow += 1
        context.log.debug("stream closed", ("connection", conversation.id), ("reason", "events are read too slowly" as StaticString))
        closed(watcher)
        responses.endStream(conversation, watcher.shape, isWhole: false)
    }

    /// Sends what was held back, as far as there is room.
    func refill(_ conversation: HTTPConversation) {
        guard case .streaming(let watcher) = conversation.request, watcher.backlog != nil else { return }
        release(conversation, watcher, below: context.limits.conflatedBytesMin)
        if watcher.backlog != nil { context.outbox.awaitRoom(conversation.id) }
        settle(conversation, watcher)
    }

    /// Moves what was held back into the queue until that is as long as told.
    private func release(_ conversation: HTTPConversation, _ watcher: EventWatcher, below bytesMax: Int) {
        while context.outbox.queuedBytes(conversation.id) < bytesMax, let piece = watcher.backlog?.popFirst() {
            switch piece {
            case .delivery(let delivery, _): put(delivery, watcher, conversation)
            case .message: preconditionFailure("a WebSocket's message is for a stream")
            case .gap(let gap):
                context.text.removeAll()
                EventStreamDialect.writeGap(of: gap.task, from: gap.first, through: gap.last, at: gap.at, to: &context.text)
                responses.sendPiece(conversation, watcher.shape)
            }
        }
        if watcher.backlog?.isEmpty == true { watcher.backlog = nil }
    }

    // MARK: Time and the end

    /// The heartbeat, and the end of one whose token is over.
    func tick(_ conversation: HTTPConversation, _ watcher: EventWatcher, at now: Instant) {
        guard !watcher.principal.hasExpired(at: context.moment(now).wall) else { return end(conversation, watcher) }
        watcher.deadline = deadline(watcher.principal.expiry, at: now)
        // Where something waits, a comment keeps nobody alive; a client that takes nothing of it is gone, as one that answers no ping.
        let waiting = context.outbox.queuedBytes(conversation.id)
        guard waiting == 0 else {
            watcher.standstill = (waiting, waiting == watcher.standstill.bytes ? watcher.standstill.beats + 1 : 0)
            if watcher.standstill.beats >= 2 { giveUp(conversation, watcher) }
            return
        }
        guard watcher.backlog == nil else { return }
        context.text.removeAll()
        EventStreamDialect.writeHeartbeat(to: &context.text)
        responses.sendPiece(conversation, watcher.shape)
    }

    /// Ends the stream in order, and its connection: what waits still goes out.
    func end(_ conversation: HTTPConversation, _ watcher: EventWatcher) {
        release(conversation, watcher, below: .max)
        finish(conversation, watcher, keepsAlive: false)
    }

    /// Ends the stream and its connection; what was held back does not go out.
    func breakOff(_ conversation: HTTPConversation, _ watcher: EventWatcher) { finish(conversation, watcher, keepsAlive: false) }

    private func finish(_ conversation: HTTPConversation, _ watcher: EventWatcher, keepsAlive: Bool) {
        var shape = watcher.shape
        if !keepsAlive { shape.keepsAlive = false }
        closed(watcher)
        responses.endStream(conversation, shape)
    }

    /// The connection is gone: nothing is read for it any more.
    func closed(_ id: ConnectionID) { replayer.end(id) }

    /// The stream is over, or its client is gone.
    func closed(_ watcher: EventWatcher) {
        if case .listening(let subscriber) = watcher.phase { context.broker.hub.leave(subscriber) }
        watcher.phase = .ending
        watcher.backlog = nil
        context.metrics.eventStreamsOpen -= 1
    }
}
