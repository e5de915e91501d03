// Poller: level-triggered epoll (epoll(7)), one instance a run. Knows descriptors and the small numbers that stand for them.

import CLinux
import Glibc

// @safe: the event memory is this object's own, and `count` of the last wait bounds every access.
@safe
final class Poller {
    /// What a descriptor is ready for.
    struct Ready {
        let token: Int
        let events: UInt32

        /// Bytes, the end, or an error: the next read tells which.
        var isReadable: Bool { events & (Poller.input | Poller.failure) != 0 }
        var isWritable: Bool { events & Poller.output != 0 }
    }

    static let input = UInt32(EPOLLIN.rawValue)
    static let output = UInt32(EPOLLOUT.rawValue)
    private static let failure = UInt32(EPOLLERR.rawValue) | UInt32(EPOLLHUP.rawValue)

    /// Events taken in one call; more only wait for the next.
    private static let capacity = 1024

    private let descriptor: Int32
    private let events: UnsafeMutablePointer<epoll_event>
    private var count = 0

    init() throws(RunError) {
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        unsafe events = .allocate(capacity: Self.capacity)
        unsafe events.initialize(repeating: epoll_event(), count: Self.capacity)
        guard descriptor >= 0 else { throw .system("epoll_create1") }
    }

    deinit {
        _ = close(descriptor)
        unsafe events.deallocate()
    }

    func add(_ socket: Int32, token: Int, events: UInt32) throws(RunError) {
        try control(EPOLL_CTL_ADD, socket, token, events)
    }

    func change(_ socket: Int32, token: Int, events: UInt32) throws(RunError) {
        try control(EPOLL_CTL_MOD, socket, token, events)
    }

    func remove(_ socket: Int32) throws(RunError) {
        try control(EPOLL_CTL_DEL, socket, 0, 0)
    }

    /// Waits until something is ready or the time is over; returns how many are ready.
    func wait(milliseconds: Int32) -> Int {
        count = max(0, Int(unsafe epoll_wait(descriptor, events, Int32(Self.capacity), milliseconds)))
        return count
    }

    /// Waits until something is ready or a point of time has come; returns how many are ready.
    func wait(until due: UInt64) -> Int {
        let now = Clock.now()
        let left = due > now ? due - now : 0
        var time = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
        count = max(0, Int(unsafe epoll_pwait2(descriptor, events, Int32(Self.capacity), &time, nil)))
        return count
    }

    subscript(index: Int) -> Ready {
        precondition(index >= 0 && index < count, "event \(index) of \(count)")
        let event = unsafe events[index]
        return unsafe Ready(token: Int(event.data.u64), events: event.events)
    }

    private func control(_ operation: Int32, _ socket: Int32, _ token: Int, _ events: UInt32) throws(RunError) {
        var event = unsafe epoll_event()
        unsafe event.events = events
        unsafe event.data.u64 = UInt64(token)
        guard unsafe epoll_ctl(descriptor, operation, socket, &event) == 0 else { throw .system("epoll_ctl") }
    }
}
