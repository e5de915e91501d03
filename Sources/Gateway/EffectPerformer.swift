// EffectPerformer: one switch over what the domain asks of the world. Decides nothing.
internal import Base
internal import Dialects
internal import Domain

final class EffectPerformer {
    private let context: Context
    private let http: HTTPService
    private let sender: WebSocketSender
    private let fanout: Fanout
    private var effects: [Effect] = []

    init(_ context: Context, http: HTTPService, sender: WebSocketSender) {
        self.context = context
        self.http = http
        self.sender = sender
        fanout = Fanout(context, sender: sender)
    }

    /// Performs everything that was asked for since the last call.
    ///
    /// - Returns: whether there was anything.
    func perform(at now: Instant) -> Bool {
        context.broker.takeEffects(into: &effects)
        for effect in effects { perform(effect, at: now) }
        let wasAny = !effects.isEmpty
        // A record in the list would live as long as the list.
        effects.removeAll(keepingCapacity: true)
        return wasAny
    }

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
            tell(worker) { writer in
                WorkerDialect.writeAcknowledgement(id, to: &writer)
                return nil
            }
        case .dismiss(let worker):
            tell(worker) { writer in
                WorkerDialect.writeDrain(to: &writer)
                return nil
            }
        case .publish(let publication):
            fanout.deliver(publication)
        case .answer(let exchange, let task):
            guard case .http(let conversation) = context.conversation(exchange.connection) else { return }
            http.taskEnded(conversation, number: exchange.number, task, at: now)
        }
    }

    private func tell(_ worker: Worker, _ body: (inout ByteWriter) -> Splice?) {
        guard case .webSocket(let conversation) = context.conversation(worker.connection) else { return }
        sender.tell(conversation, body)
    }
}
