// What an operator reads of a connection's end.
import Base
import Glibc
import Testing

struct CloseCauseWordsTests {
    @Test(
        "each end has its words, also one that nobody thought of",
        arguments: [
            (CloseCause.peerEnded, "connection closed by the other end"), (.requested, "connection closed"),
            (.broken(errno: ECONNREFUSED), "connection refused"), (.broken(errno: ECONNRESET), "connection reset by the other end"),
            (.broken(errno: EPIPE), "connection reset by the other end"), (.broken(errno: ETIMEDOUT), "connection timed out"),
            (.broken(errno: EHOSTUNREACH), "host unreachable"), (.broken(errno: ENETUNREACH), "network unreachable"),
            (.broken(errno: EPROTO), "connection broken (errno 71)"),
        ] as [(CloseCause, String)])
    func words(_ cause: CloseCause, _ words: String) {
        #expect(cause.description == words)
    }
}
