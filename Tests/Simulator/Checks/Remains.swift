// Remains: what a server still holds once everybody has left. It looks inside, which only a debug build may: in an optimised one the
// simulation sees no more than its clients do.
import Base
import Domain

#if DEBUG
    @testable import Gateway
#else
    import Gateway
#endif

enum Remains {
    /// - Returns: what is left that should not be, as a sentence; nil for nothing.
    static func of(_ server: Server, _ outbox: Outbox) -> String? {
        if outbox.queuedBytes != 0 { return "\(outbox.queuedBytes) bytes stay queued" }
        #if DEBUG
            let context = server.context
            if !context.allConversations.isEmpty { return "\(context.allConversations.count) conversations" }
            if !context.resumable.isEmpty { return "somebody is to be resumed" }
            if !context.jobs.isEmpty { return "work that nobody took" }
            if context.nextDeadline != nil { return "a timer of a connection that is gone" }
            if context.broker.workerCount != 0 { return "\(context.broker.workerCount) workers" }
            if context.metrics.connectionsOpened != context.metrics.connectionsClosed { return "connections opened and not closed" }
            let hub = context.broker.hub
            if hub.subscriberCount != 0 { return "\(hub.subscriberCount) subscribers" }
            if server.sockets.count != 0 { return "\(server.sockets.count) sessions of Socket.IO" }
            if context.metrics.webSocketsOpen != 0 { return "\(context.metrics.webSocketsOpen) WebSockets" }
            if context.metrics.eventStreamsOpen != 0 { return "\(context.metrics.eventStreamsOpen) event streams" }
        #endif
        return nil
    }
}
