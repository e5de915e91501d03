// Signals: the kernel's asynchronous calls made into input of the loop, by signalfd. Nothing runs in a signal handler.
public import Base
import CLinux
import Glibc

public struct Signals: ~Copyable {
    let descriptor: FileDescriptor

    /// Blocks `signals` in this thread and in all that it starts, and ignores SIGPIPE and SIGXFSZ in the process. To be called first in
    /// `main`: a thread that was started earlier would still take the signal the old way.
    public static func block(_ signals: [Int32]) {
        var set = Signals.set(signals)
        let result = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        precondition(result == 0, "the mask of a thread can be set")
        // A peer that is gone is EPIPE where it is written to.
        _ = signal(SIGPIPE, SIG_IGN)
        // A file that may not grow is EFBIG where it is written: as much a reason to say so as a full disk.
        _ = signal(SIGXFSZ, SIG_IGN)
    }

    /// Reads `signals`, which the caller's thread has blocked, from a descriptor.
    init(_ signals: [Int32]) throws(Errno) {
        var set = Signals.set(signals)
        let flags = Int32(SFD_CLOEXEC | SFD_NONBLOCK)
        descriptor = FileDescriptor(owning: try Syscall.value("signalfd") { unsafe signalfd(-1, &set, flags) })
    }

    /// The next signal that waits.
    func take() -> Int32? {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        switch Syscall.transfer("read", { unsafe read(descriptor.raw, &info, size) }) {
        case .bytes(size): return Int32(bitPattern: info.ssi_signo)
        case .bytes, .wouldBlock, .failed: return nil
        }
    }

    /// Whether one of `signals`, which the caller's thread has blocked, has come and was not taken.
    public static func waits(among signals: [Int32]) -> Bool {
        var pending = sigset_t()
        unsafe sigemptyset(&pending)
        _ = unsafe sigpending(&pending)
        return signals.contains { unsafe sigismember(&pending, $0) == 1 }
    }

    /// Waits until one of `signals`, which the caller's thread has blocked, comes, and takes it.
    ///
    /// - Returns: whether one came in time.
    public static func wait(for signals: [Int32], atMost span: TimeSpan) -> Bool {
        var set = Signals.set(signals)
        var patience = timespec(tv_sec: Int(span.nanoseconds / 1_000_000_000), tv_nsec: Int(span.nanoseconds % 1_000_000_000))
        return unsafe sigtimedwait(&set, nil, &patience) > 0
    }

    private static func set(_ signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        return set
    }
}
