// CloseCause in words: why a connection ended, for people. The numbers of the errors are the kernel's, and this is where they get a
// meaning.
import Glibc

extension CloseCause: CustomStringConvertible {
    /// The cause as the end of a sentence: `connection refused`.
    public var description: String {
        switch self {
        case .peerEnded: "connection closed by the other end"
        case .requested: "connection closed"
        case .broken(errno: ECONNREFUSED): "connection refused"
        case .broken(errno: ECONNRESET), .broken(errno: EPIPE): "connection reset by the other end"
        case .broken(errno: ETIMEDOUT): "connection timed out"
        case .broken(errno: EHOSTUNREACH): "host unreachable"
        case .broken(errno: ENETUNREACH): "network unreachable"
        case .broken(let code): "connection broken (errno \(code))"
        }
    }
}
