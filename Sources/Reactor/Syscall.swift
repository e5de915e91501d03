// Syscall: how the kernel is asked. A call that a signal interrupted is made again, an error is a value, and an error that only a bug of
// ours can cause ends the program. Knows no call by itself; Socket, Poller and the others make them.
import Glibc

/// Why a system call failed.
public struct Errno: Error, Sendable {
    /// The number, as in `errno.h`.
    public let code: Int32
    /// The call that failed, for the log.
    public let call: StaticString

    public init(_ code: Int32, in call: StaticString) {
        self.code = code
        self.call = call
    }
}

extension Errno: Equatable {
    public static func == (left: Errno, right: Errno) -> Bool { left.code == right.code }
}

extension Errno: CustomStringConvertible {
    public var description: String {
        var text = [CChar](repeating: 0, count: 128)
        let size = text.count
        unsafe text.withUnsafeMutableBufferPointer { buffer in
            if let start = buffer.baseAddress { _ = unsafe strerror_r(code, start, size) }
        }
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return "\(call): \(String(decoding: bytes, as: UTF8.self)) (errno \(code))"
    }
}

/// What a nonblocking transfer did.
enum Transfer: Equatable {
    case bytes(Int)
    case wouldBlock
    case failed(errno: Int32)
}

enum Syscall {
    /// Makes a call that says −1 for failure.
    @inline(__always)
    static func value<Result: SignedInteger>(_ call: StaticString, _ body: () -> Result) throws(Errno) -> Result {
        while true {
            let result = body()
            if result != -1 { return result }
            let code = errno
            if code == EINTR { continue }
            refuseOurBugs(code, call)
            throw Errno(code, in: call)
        }
    }

    /// Makes a call that moves bytes and must not wait.
    @inline(__always)
    static func transfer(_ call: StaticString, _ body: () -> Int) -> Transfer {
        while true {
            let count = body()
            if count >= 0 { return .bytes(count) }
            let code = errno
            if code == EAGAIN { return .wouldBlock }
            if code == EINTR { continue }
            refuseOurBugs(code, call)
            return .failed(errno: code)
        }
    }

    /// EBADF is a descriptor that we closed and kept, EFAULT an address that we got wrong: to go on would be to touch what is another's.
    @inline(never)
    private static func refuseOurBugs(_ code: Int32, _ call: StaticString) {
        precondition(code != EBADF, "\(call) was given a descriptor that is not open")
        precondition(code != EFAULT, "\(call) was given an address that is not ours")
    }
}
