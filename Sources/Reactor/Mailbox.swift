// Mailbox and Doorbell: the only door from other threads back to the loop. Values come in, one wake brings a batch; nothing else crosses.
import CLinux
import Glibc
import Synchronization

/// What wakes the loop: an eventfd. Any number of mailboxes may ring the same one.
public final class Doorbell: Sendable {
    let descriptor: FileDescriptor

    public init() throws(Errno) {
        let flags = Int32(EFD_CLOEXEC | EFD_NONBLOCK)
        descriptor = FileDescriptor(owning: try Syscall.value("eventfd") { eventfd(0, flags) })
    }

    /// Wakes the loop; any thread. A bell that is already ringing at its limit of 2⁶⁴ − 2 goes on ringing.
    public func ring() {
        var one: UInt64 = 1
        _ = Syscall.transfer("write") { unsafe write(descriptor.raw, &one, 8) }
    }

    /// Stops the ringing, before the mailboxes are looked into: what is posted afterwards rings again.
    func silence() {
        var count: UInt64 = 0
        _ = Syscall.transfer("read") { unsafe read(descriptor.raw, &count, 8) }
    }
}

/// Values on their way to the loop, in the order of posting. It holds at most what is in flight, which its posters bound.
public final class Mailbox<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    private let doorbell: Doorbell

    public init(doorbell: Doorbell) { self.doorbell = doorbell }

    /// Leaves a value, from any thread; rings only if the box was empty, since otherwise somebody has.
    public func post(_ value: Value) {
        let wasEmpty = values.withLock { box in
            box.append(value)
            return box.count == 1
        }
        if wasEmpty { doorbell.ring() }
    }

    /// Takes everything out: `batch` is emptied and filled, and its memory goes to the box.
    public func drain(into batch: inout [Value]) {
        batch.removeAll(keepingCapacity: true)
        values.withLock { box in swap(&box, &batch) }
    }
}
