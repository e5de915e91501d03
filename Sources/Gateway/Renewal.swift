// Renewal: how long a WebSocket may stay open on the token that it came with, and what gives it more time. The expiry of a token is a
// deadline like that of a ping: the connection is looked at then, not at every message.
internal import Base
internal import Dialects
internal import Domain

extension Context {
    /// Looks at the connection again at `deadline`, or when its token is over.
    func arm(_ conversation: WebSocketConversation, at deadline: Instant, now: Instant) {
        var next = deadline
        if let expiry = conversation.principal.expiry {
            let left = TimeSpan.milliseconds(expiry.milliseconds - moment(now).wall.milliseconds)
            next = min(next, now + max(left, .zero))
        }
        conversation.timer = arm(conversation.id, at: next)
    }

    /// A worker is pinged every third of its lease.
    func pingInterval(of conversation: WebSocketConversation) -> TimeSpan {
        guard case .worker = conversation.role else { return limits.pingInterval }
        return TimeSpan(nanoseconds: limits.workerLease.nanoseconds / 3)
    }

    /// A newer token takes the place of the older one, if it is good and of the same user.
    ///
    /// - Returns: whether it did.
    func renew(_ conversation: WebSocketConversation, with token: SharedBytes, at now: Instant) -> Bool {
        switch screen(settings.authentication.verify(token.span, at: moment(now).wall)) {
        case .principal(let principal) where principal.user == conversation.principal.user:
            conversation.principal = principal
            disarm(conversation.timer)
            arm(conversation, at: now + pingInterval(of: conversation), now: now)
            return true
        case .principal, .refused, .anonymous:
            return false
        }
    }
}
