// The server's end: no new tasks, then what is waited for, then the sockets, at a pace. One that stops does so for good; one that yields to
// another process hands over what is written down before it closes its sockets, so that whoever comes back is served at once; until then it
// can be called off.
//
//     serving ─ stop ──→ draining ────────────────────────→ closing ──→ ending ──→ over
//     serving ─ yield ─→ yielding ──→ yielded ─ handOver ─→ closing ──→ ending ──→ over
//        ↑                  │            │
//        └──── callOff ─────┴────────────┘
//
// Cost: while requests are waited for, one of them is looked at a turn, not all connections.
public import Base
internal import Domain
internal import WebSockets

extension Server {
    enum Phase {
        case serving
        /// No new tasks; waiting requests and what workers have in hand get until then.
        case draining(Wait)
        /// The same for another process's sake: waiting requests only, since the other one takes up the rest.
        case yielding(Wait)
        /// Nothing is waited for any more: what is written down can be handed over.
        case yielded(Wait)
        /// The sockets are being closed.
        case closing(Closing)
        /// Every socket was told to end; what is still open then is dropped.
        case ending(until: Instant)
        case over
    }

    /// What an end waits for.
    struct Wait {
        var until: Instant
        /// The request that was found waiting when it was looked for last: as long as it waits, no other has to be looked for.
        var witness: ConnectionID?
        /// The time over which sockets are closed then.
        var spread: TimeSpan
        /// How long they may take to end.
        var closeTimeout: TimeSpan
    }

    struct Closing {
        var pace: ClosingPace
        let reason: CloseReason
        /// The first slot that was not looked at.
        var slot = 0
        let closeTimeout: TimeSpan
        /// Who has not asked for anything yet, but may be about to, is heard until then; nil where nobody is.
        var hearsUntil: Instant?
        /// When it is told next how far it is.
        var tells: Instant
    }

    // MARK: What is asked

    /// Stops in order: no new tasks, then waiting requests and what workers have in hand as far as time allows, then every socket is
    /// closed (1001), at a pace.
    public func stop(at now: Instant) {
        guard case .serving = phase else { return }
        phase = .draining(wait(context.limits.drainTimeout, at: now))
        beginDraining()
        context.broker.dismissWorkers()
        for conversation in context.allConversations {
            switch conversation {
            case .http(let conversation): http.drain(conversation)
            case .webSocket: break
            case .probe(let conversation): probes.drop(conversation)
            }
        }
        settle(at: now)
        advanceEnd(at: now)
    }

    /// Prepares to give way to another process: no new tasks; once ``hasYielded`` says so, what is written down can be handed over.
    public func yield(at now: Instant) {
        guard case .serving = phase else { return }
        phase = .yielding(wait(context.limits.takeoverDrainTimeout, at: now))
        beginDraining()
        advanceEnd(at: now)
    }

    /// Whether nothing is waited for any more after ``yield(at:)``. Now everything is to be written, and then ``handOver(at:)`` called, or
    /// ``callOff(at:)``.
    public var hasYielded: Bool {
        if case .yielded = phase { true } else { false }
    }

    /// The other process does not come: serves on.
    public func callOff(at now: Instant) {
        switch phase {
        case .yielding, .yielded: break
        case .serving, .draining, .closing, .ending, .over: return
        }
        phase = .serving
        context.stage = .serving
        context.metrics.isDraining = false
        context.broker.reopen(at: context.moment(now))
        settle(at: now)
    }

    /// Another process has what is written down. From now on nothing is decided here: who waits is told to come again, and every socket is
    /// closed (1012), workers first, at a pace.
    ///
    /// - Precondition: ``hasYielded``.
    public func handOver(at now: Instant) {
        guard case .yielded(let wait) = phase else { preconditionFailure("what has not been yielded is not handed over") }
        context.stage = .handedOver
        beginClosing(.restarting, wait, hearsUntil: now + context.limits.lastRequestTimeout, at: now)
    }

    /// Ends what was begun without waiting any longer, and without a pace.
    public func hasten(at now: Instant) {
        let closeTimeout = min(context.limits.closeTimeout, context.limits.lingerTimeout)
        func hastened(_ wait: Wait) -> Wait { Wait(until: now, witness: nil, spread: .zero, closeTimeout: closeTimeout) }
        switch phase {
        case .serving, .yielded, .over: return
        case .draining(let wait): phase = .draining(hastened(wait))
        case .yielding(let wait): phase = .yielding(hastened(wait))
        case .closing(var closing):
            closing.pace = .hurried(from: now)
            closing.hearsUntil = nil
            phase = .closing(closing)
        case .ending(let until): phase = .ending(until: min(until, now + closeTimeout))
        }
        advanceEnd(at: now)
    }

    /// Whether everything is done that `stop` or `handOver` began.
    public var isOver: Bool {
        if case .over = phase { true } else { false }
    }

    /// Whether another process has what was written down.
    public var hasHandedOver: Bool { context.stage == .handedOver }

    /// Whether the outside is still looked at for the fleet's sake.
    var isAtWork: Bool {
        switch phase {
        case .serving, .yielding, .yielded: true
        case .draining, .closing, .ending, .over: false
        }
    }

    /// How far the end is, in words for a person; nil while there is none.
    public var endWords: String? {
        switch phase {
        case .serving: nil
        case .draining: "Draining: \(context.broker.inHandCount) tasks in workers' hands"
        case .yielding, .yielded: "Giving way to another process"
        case .closing, .ending: "Closing connections: \(context.conversationCount) left"
        case .over: "Stopped"
        }
    }

    // MARK: Steps

    private func wait(_ span: TimeSpan, at now: Instant) -> Wait {
        Wait(until: now + span, witness: nil, spread: context.limits.drainSpread, closeTimeout: context.limits.closeTimeout)
    }

    private func beginDraining() {
        context.stage = .draining
        context.metrics.isDraining = true
        context.broker.close()
        context.log.info(
            "draining", ("connections", context.conversationCount), ("tasks_in_hand", context.broker.inHandCount),
            ("tasks_waiting", context.broker.queuedCount))
    }

    var endDeadline: Instant? {
        switch phase {
        case .serving, .yielded, .over: nil
        case .draining(let wait), .yielding(let wait): wait.until
        case .closing(let closing): closing.slot < context.slots ? closing.pace.next : closing.hearsUntil
        case .ending(let until): until
        }
    }

    func advanceEnd(at now: Instant) {
        switch phase {
        case .serving, .yielded, .over: break
        case .draining(var wait):
            let isWaited = isAwaited(&wait) || context.broker.inHandCount > 0
            phase = .draining(wait)
            guard !isWaited || now >= wait.until else { return }
            beginClosing(.goingAway, wait, hearsUntil: nil, at: now)
        case .yielding(var wait):
            let isWaited = isAwaited(&wait)
            phase = isWaited && now < wait.until ? .yielding(wait) : .yielded(wait)
            // The host looks at it when the turn ends, which may have come.
        case .closing(let closing): advanceClosing(closing, at: now)
        case .ending(let until):
            guard context.conversationCount > 0, now >= until else { break }
            context.log.warning("connections dropped", ("connections", context.conversationCount))
            for conversation in context.allConversations { context.outbox.abort(conversation.id) }
            phase = .over
        }
        if case .ending = phase, context.conversationCount == 0 { phase = .over }
    }

    /// Whether somebody waits for an answer, or a worker's word is with the pool, or on its way to the disk with somebody waiting for that.
    private func isAwaited(_ wait: inout Wait) -> Bool {
        if !departing.isEmpty || context.recorder.promiseCount > 0 { return true }
        let found = context.firstConversation(from: wait.witness?.slot ?? 0) { conversation in
            switch conversation {
            case .http(let conversation): http.isWaiting(conversation)
            case .webSocket(let conversation):
                switch conversation.role {
                case .worker, .producer: conversation.isReviewing
                case .echo, .taskWatcher, .userWatcher, .hubClient, .dashboard, .socketClient, .refused: false
                }
            case .probe: false
            }
        }
        wait.witness = found?.id
        return found != nil
    }

    // MARK: Closing

    /// Ends at once who waits for an answer and then who works; the others follow at a pace.
    private func beginClosing(_ reason: CloseReason, _ wait: Wait, hearsUntil: Instant?, at now: Instant) {
        for conversation in context.allConversations {
            switch conversation {
            case .http(let conversation): if !http.isPaced(conversation, hearsIdle: hearsUntil != nil) { http.end(conversation, at: now) }
            case .webSocket: break
            case .probe(let conversation): probes.drop(conversation)
            }
        }
        // Workers hear which tasks nobody waits for any more, and what is left in their hands is what they may come back with.
        settle(at: now)
        for conversation in context.allConversations {
            guard case .webSocket(let conversation) = conversation else { continue }
            switch conversation.role {
            case .worker, .producer: close(conversation, reason)
            case .echo, .taskWatcher, .userWatcher, .hubClient, .dashboard, .socketClient, .refused: break
            }
        }
        let left = context.conversationCount
        let pace = ClosingPace(closing: left, over: wait.spread, atLeast: context.limits.closingPaceMin, from: now)
        context.log.info(
            "closing connections", ("connections", left), ("code", Int(reason.code.rawValue)), ("in_each_100_ms", pace.perSlice))
        phase = .closing(Closing(
            pace: pace, reason: reason, closeTimeout: wait.closeTimeout, hearsUntil: hearsUntil, tells: now + .seconds(1)))
        settle(at: now)
        advanceEnd(at: now)
    }

    private func advanceClosing(_ before: Closing, at now: Instant) {
        var closing = before
        var room = closing.slot < context.slots ? closing.pace.take(at: now) : 0
        while room > 0, closing.slot < context.slots {
            if let conversation = context.conversation(inSlot: closing.slot), end(conversation, closing, at: now) { room -= 1 }
            closing.slot += 1
        }
        if now >= closing.tells {
            closing.tells = now + .seconds(1)
            context.log.info("closing connections", ("left", context.conversationCount))
        }
        if let until = closing.hearsUntil, until <= now || context.conversationCount == 0 { closing.hearsUntil = nil }
        phase = .closing(closing)
        if closing.slot >= context.slots, closing.hearsUntil == nil { finishClosing(closing, at: now) }
        settle(at: now)
    }

    /// - Returns: whether it was one that the pace counts.
    private func end(_ conversation: Conversation, _ closing: Closing, at now: Instant) -> Bool {
        switch conversation {
        case .http(let conversation):
            guard http.isPaced(conversation, hearsIdle: false) else { return false }
            context.metrics.drainClosed += 1
            http.end(conversation, at: now)
            return true
        case .webSocket(let conversation): return close(conversation, closing.reason)
        case .probe: return false
        }
    }

    @discardableResult
    private func close(_ conversation: WebSocketConversation, _ reason: CloseReason) -> Bool {
        guard conversation.socket.closing == .open else { return false }
        context.metrics.drainClosed += 1
        sender.close(conversation, reason)
        return true
    }

    /// What is left ends now: sessions without a connection, and connections that were heard to the last.
    private func finishClosing(_ closing: Closing, at now: Instant) {
        phase = .ending(until: now + closing.closeTimeout)
        sockets.stop(at: now)
        for conversation in context.allConversations {
            switch conversation {
            case .http(let conversation): http.end(conversation, at: now)
            case .webSocket(let conversation): close(conversation, closing.reason)
            case .probe(let conversation): probes.drop(conversation)
            }
        }
    }
}
