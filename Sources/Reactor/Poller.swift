// Poller: epoll, level-triggered. Carries 64 bits for each descriptor and knows nothing of what they name.
//
// Cost: one call a turn; a descriptor is added once and changed only when what it waits for changes. Closing it takes it out.
import Base
import CLinux
import Glibc

/// What a descriptor is watched for.
struct Interest: OptionSet {
    let rawValue: UInt32
    static let input = Interest(rawValue: EPOLLIN.rawValue)
    static let output = Interest(rawValue: EPOLLOUT.rawValue)
    /// The peer has shut down its side, whether or not its bytes are read.
    static let peerEnd = Interest(rawValue: EPOLLRDHUP.rawValue)
    /// The connection is over in both directions; always reported.
    static let hangUp = Interest(rawValue: EPOLLHUP.rawValue)
    /// An error waits on the descriptor; always reported.
    static let error = Interest(rawValue: EPOLLERR.rawValue)
}

// @safe: events are read below the count that the kernel has just filled in.
@safe
struct Poller: ~Copyable {
    private let descriptor: FileDescriptor
    private let events: UnsafeMutablePointer<epoll_event>
    private let eventsMax: Int

    /// - Parameter eventsMax: how many events one turn takes; the rest are reported in the next.
    init(eventsMax: Int) throws(Errno) {
        descriptor = FileDescriptor(owning: try Syscall.value("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
        self.eventsMax = eventsMax
        unsafe events = .allocate(capacity: eventsMax)
    }

    deinit { unsafe events.deallocate() }

    func add(_ raw: Int32, _ interest: Interest, userData: UInt64) throws(Errno) {
        try control(EPOLL_CTL_ADD, raw, interest, userData)
    }

    func change(_ raw: Int32, _ interest: Interest, userData: UInt64) throws(Errno) {
        try control(EPOLL_CTL_MOD, raw, interest, userData)
    }

    /// To be called before a descriptor is closed that another process has as well: for epoll it would stay open.
    func remove(_ raw: Int32) throws(Errno) {
        try control(EPOLL_CTL_DEL, raw, [], 0)
    }

    private func control(_ operation: Int32, _ raw: Int32, _ interest: Interest, _ userData: UInt64) throws(Errno) {
        var event = unsafe epoll_event(events: interest.rawValue, data: epoll_data_t(u64: userData))
        _ = try Syscall.value("epoll_ctl") { unsafe epoll_ctl(descriptor.raw, operation, raw, &event) }
    }

    /// Sleeps until something is ready or `milliseconds` are over; −1 is for ever.
    ///
    /// - Returns: how many events there are. A signal that interrupts is a turn without events.
    @inline(never)
    func wait(milliseconds: Int32) throws(Errno) -> Int {
        let count = unsafe epoll_wait(descriptor.raw, events, Int32(eventsMax), milliseconds)
        if count >= 0 { return Int(count) }
        let code = errno
        guard code == EINTR else { throw Errno(code, in: "epoll_wait") }
        return 0
    }

    /// The event at `index` of those that `wait` has counted.
    @inline(__always)
    func event(_ index: Int) -> (userData: UInt64, ready: Interest) {
        unsafe (events[index].data.u64, Interest(rawValue: events[index].events))
    }

    /// How long to sleep so as not to wake before `deadline`: rounded up, since a wake too early is a turn for nothing.
    static func timeout(from now: Instant, until deadline: Instant?) -> Int32 {
        guard let deadline else { return -1 }
        let left = (deadline - now).nanoseconds
        guard left > 0 else { return 0 }
        let milliseconds = left / 1_000_000 + (left % 1_000_000 == 0 ? 0 : 1)
        return Int32(clamping: milliseconds)
    }
}
