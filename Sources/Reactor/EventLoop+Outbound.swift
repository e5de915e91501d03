// The loop's own calls: connections that we make. Once made, one is as any that was accepted: in the same table, under the same watch, with
// the same row of the outbox. While it is on its way it is one whose kernel has no room: what is written to it waits for the first
// writability, which is the answer. Accepted connections pay nothing for it.
public import Base
import CLinux
import Glibc

extension EventLoop {
    /// Begins a connection to `address` and waits for nothing. The host is not told that it was made: what it appends to the outbox goes
    /// out once it is, and ``LoopHost/closed(_:_:at:)`` tells, with its error, of one that never is. The kernel takes its time with that,
    /// two minutes and more, where nobody answers: the host has a time of its own and aborts.
    ///
    /// It may be called wherever the loop calls the host.
    ///
    /// - Returns: the identity of the connection. Its outbox row is open.
    /// - Throws: what the kernel refuses at once, as ENETUNREACH where there is no way to the address; EMFILE where there are
    ///   `connectionsMax` connections already.
    public func connect(to address: SocketAddress) throws(Errno) -> ConnectionID {
        guard hasPlace else { throw Errno(EMFILE, in: "connect") }
        let raw = try Socket.connecting(to: address)
        // Output from the first: it is how the answer is heard.
        let interest: Interest = [.input, .output, .peerEnd]
        let id = table.insert(descriptor: raw, interest: interest)
        do throws(Errno) {
            try poller.add(raw, interest, userData: id.raw)
        } catch {
            FileDescriptor.close(table.remove(id))
            throw error
        }
        figures.begun += 1
        outbox.open(id)
        return id
    }
}
