// How the kernel's answers become values.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

struct SyscallTests {
    @Test("a call that a signal interrupted is made again")
    func interrupted() throws {
        var calls = 0
        let value = try Syscall.value("call") { () -> Int32 in
            calls += 1
            errno = EINTR
            return calls < 3 ? -1 : 7
        }
        #expect(value == 7 && calls == 3)
        calls = 0
        let transfer = Syscall.transfer("call") {
            calls += 1
            errno = EINTR
            return calls < 3 ? -1 : 9
        }
        #expect(transfer == .bytes(9))
    }

    @Test("an error is a value that says what failed")
    func errors() {
        #expect(throws: Errno(ENOSPC, in: "call")) {
            try Syscall.value("call") { () -> Int32 in
                errno = ENOSPC
                return -1
            }
        }
        #expect(Errno(ECONNRESET, in: "recv").description == "recv: Connection reset by peer (errno 104)")
        let cases: [(Int32, Transfer)] = [(EAGAIN, .wouldBlock), (EPIPE, .failed(errno: EPIPE))]
        for (code, outcome) in cases {
            let transfer = Syscall.transfer("call") {
                errno = code
                return -1
            }
            #expect(transfer == outcome)
        }
    }

    @Test("a descriptor that is not open is our bug and ends the program")
    func ourBugs() async {
        await #expect(processExitsWith: .failure) {
            _ = Syscall.transfer("recv") {
                errno = EBADF
                return -1
            }
        }
        await #expect(processExitsWith: .failure) {
            FileDescriptor.close(4_095)
        }
    }
}
