// Signals: blocked for the process, read one by one. That they reach the host is in EventLoopTests.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

struct SignalsTests {
    @Test("blocked signals are read one by one, and SIGPIPE does nothing")
    func blocked() async {
        await #expect(processExitsWith: .success) {
            Signals.block([SIGTERM, SIGINT, SIGHUP])
            let signals = try Signals([SIGTERM, SIGINT, SIGHUP])
            #expect(signals.take() == nil)
            pthread_kill(pthread_self(), SIGTERM)
            pthread_kill(pthread_self(), SIGINT)
            pthread_kill(pthread_self(), SIGPIPE)
            let taken = [signals.take(), signals.take()].compactMap { $0 }
            #expect(Set(taken) == [SIGTERM, SIGINT])
            #expect(signals.take() == nil)
        }
    }
}
