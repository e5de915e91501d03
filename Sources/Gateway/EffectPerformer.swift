// EffectPerformer: one switch over what the domain asks of the world. Decides nothing.
internal import Base
internal import Dialects
internal import Domain

final class EffectPerformer {
    private let context: Context
    private let http: HTTPService
    private let producers: ProducerService
    private let sender: WebSocketSender
    private let hubClients: HubService
    private let fanout: Fanout
    private let monitor: MonitorService
    private var effects: [Effect] = []

    init(
        _ context: Context, http: HTTPService, producers: ProducerService, sender: WebSocketSender, hubClients: HubService,
        sockets: SocketService, monitor: MonitorService
    ) {
        self.context = context
        self.http = http
        self.producers = producers
        self.sender = sender
        self.hubClients = hubClients
        self.monitor = monitor
        fanout = Fanout(context, sender: sender, eventStreams: http.eventStreams, completions: http.completions, sockets: sockets)
    }

    /// Performs everything that was asked for since the last call.
    ///
    /// - Returns: whether there was anything.
    func perform(at now: Instant) -> Bool {
        var wasAny = false
        if context.broker.hasEffects {
            wasAny = true
            performEffects(at: now)
        }
        if monitor.perform(at: now, { fanout.deliver($0, at: now) }) { wasAny = true }
        if context.recorder.hasRequested {
            wasAny = true
            for promise in context.recorder.takeRequested() { promised(promise, at: now) }
        }
        return wasAny
    }

    private func performEffects(at now: Instant) {
        // In a variable of its own, whose elements are shown in their places: a loop over the property would copy each one first.
        var taken: [Effect] = []
        swap(&taken, &effects)
        context.broker.takeEffects(into: &taken)
        perform(taken.span, at: now)
        // A record in the list would live as long as the list.
        taken.removeAll(keepingCapacity: true)
        swap(&taken, &effects)
    }

    private func perform(_ effects: Span<Effect>, at now: Instant) {
        for index in effects.indices { perform(effects[index], at: now) }
    }

    // MARK: Promises

    private func promised(_ promise: Promise, at now: Instant) {
        if context.recorder.mayKeep(promise) { keep(promise, at: now) }
    }

    /// A task that is not written down is kept as well as it ever will be.
    private func acknowledge(_ id: TaskID, to worker: Worker, at now: Instant) {
        let promise = Promise.acknowledgement(id, worker)
        // One that is forgotten already, because its result is larger than all that is kept, may be on its way to the disk.
        let isUnwritten = !context.recorder.isSettled && context.broker.task(id)?.isRecorded == false
        if isUnwritten { keep(promise, at: now) } else { promised(promise, at: now) }
    }

    /// Whoever waits for a result is not kept waiting for a disk that refuses it.
    private func promisedOutcome(_ exchange: ExchangeID, _ task: TaskRecord, at now: Instant) {
        guard task.isRecorded, !context.recorder.isFailing else { return answer(exchange, task, at: now) }
        promised(.outcome(exchange, task), at: now)
    }

    /// Everything that the promise depends on is safe.
    func keep(_ promise: Promise, at now: Instant) {
        switch promise {
        case .receipt(let exchange):
            guard case .http(let conversation) = context.conversation(exchange.connection) else { return }
            http.stored(conversation, number: exchange.number, at: now)
        case .outcome(let exchange, let task): answer(exchange, task, at: now)
        case .acknowledgement(let id, let worker):
            tell(worker) { writer in
                WorkerDialect.writeAcknowledgement(id, to: &writer)
                return nil
            }
        case .dismissal(let worker):
            // It was given something meanwhile, and is dismissed anew once that is done.
            guard worker.hands.isEmpty else { return }
            tell(worker) { writer in
                WorkerDialect.writeDrain(to: &writer)
                return nil
            }
        case .verdicts(let id, let verdicts):
            guard case .webSocket(let conversation) = context.conversation(id) else { return }
            producers.answer(conversation, verdicts)
        case .replays(let replays):
            for replay in replays { context.broker.replaySettled(of: replay.letter, by: replay.task) }
        }
    }

    /// Whether the promise cannot be kept however long it waits, or is not worth the wait: then it is told as it is.
    func isBroken(_ promise: Promise) -> Bool {
        switch promise {
        case .receipt(let exchange):
            guard case .http(let conversation) = context.conversation(exchange.connection),
                case .storing(let receipt) = conversation.request
            else { return false }
            switch receipt {
            case .accepted(_, let task, _), .replayed(let task, _, _): return !task.isRecorded
            case .replays(let tasks, _, _): return tasks.allSatisfy { !$0.isRecorded }
            case .verdict(let judgement): return judgement.isUnwritten
            case .verdicts(let judgements): return judgements.contains(where: \.isUnwritten) && judgements.allSatisfy(\.isRefused)
            case .removed, .cancelled, .deployment, .deploymentRemoved, .letterRemoved, .revoked, .revocationRemoved: return false
            }
        case .outcome: return true
        // A socket's verdicts come in the order of its reports; a letter whose task was refused stays by itself.
        case .acknowledgement, .dismissal, .verdicts, .replays: return false
        }
    }

    // MARK: Effects

    private func perform(_ effect: Effect, at now: Instant) {
        switch effect {
        case .assign(let task, let worker):
            tell(worker) { WorkerDialect.writeTask(task, to: &$0) }
            context.log.debug("task assigned", ("task", task.id), ("worker", worker.id))
        case .recall(let id, let worker):
            tell(worker) { writer in
                WorkerDialect.writeCancel(id, to: &writer)
                return nil
            }
        case .acknowledge(let id, let worker):
            acknowledge(id, to: worker, at: now)
        case .accept(let exchange, _):
            promised(.receipt(exchange), at: now)
        case .record(let record):
            context.recorder.append(record)
        case .archive(let publication):
            EventArchive.records(of: publication) { context.recorder.append($0) }
        case .dismiss(let worker):
            promised(.dismissal(worker), at: now)
        case .publish(let publication):
            hubClients.screen(publication, at: now)
            fanout.deliver(publication)
            context.monitor.heard(publication, of: context.broker.task(publication.task), at: context.moment(now))
        case .answer(let exchange, let task):
            promisedOutcome(exchange, task, at: now)
        }
    }

    private func answer(_ exchange: ExchangeID, _ task: TaskRecord, at now: Instant) {
        guard case .http(let conversation) = context.conversation(exchange.connection) else { return }
        http.taskEnded(conversation, number: exchange.number, task, at: now)
    }

    private func tell(_ worker: Worker, _ body: (inout ByteWriter) -> Splice?) {
        guard case .webSocket(let conversation) = context.conversation(worker.connection) else { return }
        sender.tell(conversation, body)
    }
}
