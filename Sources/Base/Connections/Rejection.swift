// Rejection: why the reactor does not let a connection in, or lets it wait. What is refused later, by what it says, is answered by others.

/// Why a connection was turned away before anything was read of it.
public enum Rejection: CaseIterable, Hashable, Sendable {
    /// There are as many connections as may be.
    case connections
    /// Its address holds as many as one may.
    case address
    /// As many were let in within this second as may be: it waits in the backlog. Told once for all that wait.
    case pace
    /// Its address has as many unfinished handshakes of TLS as one may.
    case handshakes
    /// Its handshake of TLS took too long.
    case handshakeTime
    /// There is little memory left.
    case memory
}
