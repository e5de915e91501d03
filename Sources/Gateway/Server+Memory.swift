// Server+Memory: what the server does when memory is short, in this order: nobody new is let in, no new task is taken; then those who read
// too slowly are given up, the slowest first and few at a time, until as much is free as is wanted. They may come back for the rest.
//
// Cost: a look is a comparison; only where somebody is to be given up is every connection looked at, a few times a second at most.
public import Base
internal import Domain
internal import WebSockets

extension Server {
    /// Given up in one go before memory is looked at again: what many share is counted once for each, and may not be theirs to free.
    private static let reliefMax = 64
    /// Who holds less would free nothing worth its coming back.
    private static let reliefBytesMin = 4 << 10
    /// Connections that are let in while memory is short, to ask how the server does or to work for it; and no more.
    private static let sparedMax = 64

    /// Notes how much memory the process holds.
    public func memory(inUse: Int, at now: Instant) {
        switch context.watermark.observe(inUse, at: now) {
        case .none: return
        case .becameShort:
            // Perhaps it is only what the allocator keeps of what was free long ago.
            context.hasRelieved = true
            context.log.warning("memory is short", ("bytes", inUse), ("mark", context.watermark.highBytes))
        case .recovered:
            context.log.info("memory is no longer short", ("bytes", inUse))
        case .relieve(let bytes):
            relieve(bytes, at: now)
        }
    }

    /// Whether memory is short: to be looked at again soon, whatever else happens.
    public var isShortOfMemory: Bool { context.watermark.isShort }

    /// Whether whoever comes is to be turned away.
    public var refusesConnections: Bool { context.watermark.isShort && context.sparedOpen >= Server.sparedMax }

    /// Whether the allocator is to give back to the system what is free: memory became short, or was given up, since this was last asked.
    public func takeRelieved() -> Bool {
        defer { context.hasRelieved = false }
        return context.hasRelieved
    }

    // MARK: Relief

    private func relieve(_ bytes: Int, at now: Instant) {
        let slowest = slowest()
        var freed = 0
        var count = 0
        for (id, _) in slowest {
            guard freed < bytes else { break }
            freed += giveUp(id, at: now)
            count += 1
        }
        context.hasRelieved = true
        guard count > 0 else { return }
        context.log.warning("slow readers are given up", ("connections", count), ("bytes", freed), ("wanted", bytes))
        settle(at: now)
    }

    /// The connections for which most waits, the slowest first.
    private func slowest() -> [(id: ConnectionID, bytes: Int)] {
        var slowest: [(id: ConnectionID, bytes: Int)] = []
        context.forEachConversation { conversation in
            let bytes = waiting(for: conversation)
            guard bytes >= Server.reliefBytesMin else { return }
            guard slowest.count < Server.reliefMax || bytes > slowest[slowest.count - 1].bytes else { return }
            let place = slowest.firstIndex { $0.bytes < bytes } ?? slowest.count
            slowest.insert((conversation.id, bytes), at: place)
            if slowest.count > Server.reliefMax { slowest.removeLast() }
        }
        return slowest
    }

    /// What giving the connection up would free.
    private func waiting(for conversation: Conversation) -> Int {
        switch conversation {
        case .webSocket(let conversation):
            // What waits for a worker are tasks, which stay where they are.
            if case .worker = conversation.role { return 0 }
            return sender.held(for: conversation)
        case .http(let conversation):
            let queued = context.outbox.queuedBytes(conversation.id)
            guard case .streaming(let watcher) = conversation.request else { return queued }
            return queued + (watcher.backlog?.byteCount ?? 0)
        case .probe: return 0
        }
    }

    /// - Returns: how many bytes wait no longer.
    private func giveUp(_ id: ConnectionID, at now: Instant) -> Int {
        guard let conversation = context.conversation(id) else { return 0 }
        context.metrics.bounds.count(.memoryConsumers)
        let waited = waiting(for: conversation)
        if case .webSocket(let conversation) = conversation, conversation.socket.closing == .open {
            sender.close(conversation, .shortOfMemory)
            // A message that has begun to go out is finished, if it is read in time.
            return waited - sender.held(for: conversation)
        }
        // One that was told already, or that nothing can be told in the middle of its answer.
        context.outbox.abort(id)
        return waited
    }
}
