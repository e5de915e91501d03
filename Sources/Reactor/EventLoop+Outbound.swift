// The loop's own calls: connections that we make. Once made, one is as any that was accepted: in the same table, under the same watch, with
// the same row of the outbox. While it is on its way it is one whose kernel has no room: what is written to it waits for the first
// writability, which is the answer; over TLS, until hands are shaken. Accepted connections pay nothing for it.
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
        unsafe try begin(address).id
    }

    /// The same over TLS. What waits goes out once hands are shaken, for which there is `handshakeTimeout` from now on.
    ///
    /// - Parameters:
    ///   - host: a name or an address, for which the server's certificate has to be.
    ///   - trust: whose certificates are believed.
    public func connect(to address: SocketAddress, as host: String, _ trust: TLSTrust) throws(Errno) -> ConnectionID {
        let (id, record) = unsafe try begin(address)
        guard let session = unsafe TLSSession(calling: host, trust, descriptor: record.pointee.descriptor) else {
            close(id)
            outbox.close(id)
            throw Errno(ENOMEM, in: "connect")
        }
        enter(session, id)
        unsafe record.pointee.transport = .tls
        unsafe record.pointee.phase = .calling
        table.enter(&calling, id, until: now + settings.handshakeTimeout)
        return id
    }

    /// Why a server that was called over TLS is not spoken to; nil where that was not TLS's doing. It may be asked for when the end of the
    /// connection is told.
    public func refusal(of id: ConnectionID) -> TLSRefusal? { unsafe table.find(id) == nil ? nil : session(id)?.refusal }

    private func begin(_ address: SocketAddress) throws(Errno) -> (id: ConnectionID, record: RecordPointer) {
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
        guard let record = unsafe table.find(id) else { preconditionFailure("connection \(id) was made") }
        figures.begun += 1
        outbox.open(id)
        return unsafe (id, record)
    }

    // MARK: TLS

    /// One step of a handshake with whom we called.
    func call(_ id: ConnectionID, _ record: RecordPointer, _ session: TLSSession, _ host: any LoopHost) {
        session.isDue = false
        switch session.shakeHands() {
        case .wantsInput:
            unsafe watch(id, record, [.input, .peerEnd])
        case .wantsOutput:
            unsafe watch(id, record, .output)
        case .done:
            table.leave(&calling, id)
            unsafe record.pointee.phase = .open
            unsafe watch(id, record, [.input, .peerEnd])
            // What has waited goes out with this turn.
            outbox.touch(id)
            unsafe read(id, record, .input, host)
        case .plainText, .refused, .gone:
            unsafe broke(id, record, session.brokenBy, host)
        }
    }

    /// What is written to whom we call waits, unless the host wants the end.
    func wait(_ id: ConnectionID, _ record: RecordPointer) {
        let marks = outbox.marks(id)
        if marks.contains(.abort) || marks.contains(.closeAfterFlush) && outbox.queuedBytes(id) == 0 {
            return unsafe end(id, record, .requested)
        }
        outbox.settle(id)
    }
}
