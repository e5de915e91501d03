// The loop's input: what events say, connections that come, bytes that are read or thrown away, and the peer's end.
import Base
import CLinux
import Glibc

/// A listener among others. A class, since a listener has one owner and an array copies.
final class ListenerSlot {
    var listener: Listener
    let transport: ConnectionTable.Transport

    init(_ listener: consuming Listener, _ transport: ConnectionTable.Transport) {
        self.listener = listener
        self.transport = transport
    }
}

extension EventLoop {
    // MARK: Listening

    /// Listens on one more address.
    ///
    /// - Parameters:
    ///   - backlog: connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
    ///   - sharesPort: SO_REUSEPORT, for several processes on one port.
    ///   - isSecured: who comes speaks TLS, as ``tls`` says, which has been set.
    /// - Returns: the address with the port that the kernel chose, if it was asked for port 0.
    /// - Throws: the kernel's refusal; EADDRINUSE also for a unix socket on which somebody answers.
    @discardableResult
    public func listen(
        on address: SocketAddress, backlog: Int32 = 4_096, sharesPort: Bool = false, isSecured: Bool = false
    ) throws(Errno) -> SocketAddress {
        try add(Listener(address, backlog: backlog, sharesPort: sharesPort), isSecured)
    }

    /// Listens on a socket that another process made, and that belongs to the loop from now on, unless this throws.
    ///
    /// - Parameters:
    ///   - ownsFile: whether the file of a unix socket goes with it.
    ///   - sharesPort: that other processes may have its port from now on, whatever it was made for.
    ///   - isSecured: as in ``listen(on:backlog:sharesPort:isSecured:)``.
    /// - Returns: where it listens.
    /// - Throws: what is wrong with the descriptor: ENOTSOCK, EPROTOTYPE (no streams), EINVAL (it does not listen), EAFNOSUPPORT.
    @discardableResult
    public func listen(
        adopting raw: Int32, ownsFile: Bool, sharesPort: Bool = false, isSecured: Bool = false
    ) throws(Errno) -> SocketAddress {
        try add(Listener(adopting: raw, ownsFile: ownsFile, sharesPort: sharesPort), isSecured)
    }

    private func add(_ listener: consuming Listener, _ isSecured: Bool) throws(Errno) -> SocketAddress {
        let bound = listener.address
        precondition(tls != nil || !isSecured, "\(bound) is to be secured, and there is nothing to do it with")
        try poller.add(listener.descriptor.raw, .input, userData: UInt64(listeners.count))
        listeners.append(ListenerSlot(listener, isSecured ? .tls : .plain))
        return bound
    }

    /// Where a descriptor listens, whoever made it.
    ///
    /// - Throws: as ``listen(adopting:ownsFile:sharesPort:isSecured:)``.
    public static func addressOfListener(_ raw: Int32) throws(Errno) -> SocketAddress { try Listener.examine(raw) }

    /// Closes all listeners; unix sockets' files go with them. What waits in a backlog is refused by the kernel, unless another process has
    /// the socket as well; handshakes are given up.
    public func stopAccepting() {
        closeListeners()
        giveUpHandshakes()
    }

    /// Lets whoever connects wait in the kernel, until ``resumeAccepting()``. Handshakes that have begun go on.
    public func pauseAccepting() {
        isAccepting = false
        listensAgainAt = nil
        for (index, slot) in listeners.enumerated() { watch(slot, index, []) }
    }

    public func resumeAccepting() {
        isAccepting = true
        listenAgain()
    }

    /// The sockets on which the loop listens: their descriptors, which stay its own, where they are, and whether a file goes with them.
    public var openListeners: [(raw: Int32, address: SocketAddress, ownsFile: Bool)] {
        listeners.map { ($0.listener.descriptor.raw, $0.listener.address, $0.listener.ownsFile) }
    }

    /// Closes all listeners that another process has as well, for which those who wait in their backlogs go on waiting. Files stay.
    public func leaveListeners() {
        for slot in listeners { slot.listener.leaveFile() }
        closeListeners()
    }

    /// The files of adopted unix sockets at these places go with the loop from now on.
    public func ownFiles(of places: [SocketAddress]) {
        for slot in listeners where places.contains(slot.listener.address) { slot.listener.ownFile() }
    }

    private func closeListeners() {
        // What is not watched can be closed without more ado; what is stays watched as long as anybody has it open.
        for slot in listeners { try? poller.remove(slot.listener.descriptor.raw) }
        listeners.removeAll()
        listensAgainAt = nil
    }

    static func openReserve() throws(Errno) -> FileDescriptor {
        FileDescriptor(owning: try Syscall.value("open") { unsafe open("/dev/null", O_RDONLY | O_CLOEXEC) })
    }

    // MARK: Phase 3

    @inline(__always)
    func take(_ event: (userData: UInt64, ready: Interest), _ host: any LoopHost) {
        let id = ConnectionID(raw: event.userData)
        guard id.generation != 0 else { return takeOwn(event.userData, host) }
        guard let record = unsafe table.find(id) else {
            figures.staleEvents += 1
            return
        }
        if event.ready.contains(.output) {
            unsafe record.pointee.throttle.insert(.writable)
            outbox.touch(id)
            if unsafe record.pointee.transport == .tls { unsafe roomCameSecurely(id, record) }
        }
        if event.ready != .output { unsafe read(id, record, event.ready, host) }
    }

    private func takeOwn(_ userData: UInt64, _ host: any LoopHost) {
        switch userData {
        case Own.doorbell: doorbellRang = true
        case Own.signals: signalCame = true
        default:
            if userData >= Own.guests {
                let raw = Int32(userData - Own.guests)
                if guests.contains(raw) { host.attended(raw, at: now) }
                return
            }
            // A host that stops accepting leaves events of this turn behind.
            if isAccepting, userData < UInt64(listeners.count) { accept(from: listeners[Int(userData)], host) }
        }
    }

    // MARK: Connections come

    private func accept(from slot: ListenerSlot, _ host: any LoopHost) {
        // Who cannot be served soon waits best where nothing is held for it.
        if slot.transport == .tls, handshakesDue.count >= settings.handshakesDueMax { return }
        for _ in 0..<settings.acceptsMax {
            guard mayAccept() else { return rest(host) }
            switch slot.listener.accept() {
            case .connection(let raw, let peer):
                acceptsLeft -= 1
                admit(raw, peer, slot.transport, host)
            case .nobody:
                return
            case .lost:
                continue
            case .shortage:
                guard turnAway(slot) else { return }
            }
        }
    }

    private func admit(_ raw: Int32, _ peer: PeerAddress, _ transport: ConnectionTable.Transport, _ host: any LoopHost) {
        if let rejection = rejection(of: peer, transport) { return turnAway(raw, peer, transport, rejection, host) }
        let interest: Interest = [.input, .peerEnd]
        let id = table.insert(descriptor: raw, interest: interest)
        do throws(Errno) {
            try poller.add(raw, interest, userData: id.raw)
        } catch {
            // ENOMEM or ENOSPC (the system's limit of watches): there is no room for this one.
            figures.refused += 1
            return FileDescriptor.close(table.remove(id))
        }
        ledger.enter(id.slot, of: peer)
        if transport == .tls {
            guard let record = unsafe table.find(id), unsafe beginHandshake(id, record, from: peer) else {
                figures.refused += 1
                return close(id)
            }
            figures.accepted += 1
            return
        }
        figures.accepted += 1
        outbox.open(id)
        host.opened(id, from: peer, at: now)
    }

    /// Whether there is a place for one connection more.
    var hasPlace: Bool { table.count - turnedAway < settings.connectionsMax }

    /// Why a connection is not let in; nil where it is.
    private func rejection(of peer: PeerAddress, _ transport: ConnectionTable.Transport) -> Rejection? {
        guard hasPlace else { return .connections }
        guard !isShort else { return .memory }
        guard !peer.isUnix else { return nil }
        let holdings = ledger.holdings(of: peer)
        if settings.connectionsPerAddressMax > 0, holdings.connections >= settings.connectionsPerAddressMax { return .address }
        return transport == .tls && holdings.handshakes >= settings.handshakesPerAddressMax ? .handshakes : nil
    }

    /// Tells a peer that it is not let in, where it would understand, and ends the connection.
    private func turnAway(
        _ raw: Int32, _ peer: PeerAddress, _ transport: ConnectionTable.Transport, _ rejection: Rejection, _ host: any LoopHost
    ) {
        figures.refused += 1
        host.turnedAway(peer, rejection, at: now)
        guard transport == .plain, var answer = settings.answersToRefused[rejection] else { return FileDescriptor.close(raw) }
        unsafe answer.withUnsafeMutableBytes { bytes in
            var slice = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
            // What does not fit into an empty socket is lost.
            _ = unsafe Socket(raw: raw).send(&slice, count: 1)
        }
        guard turnedAway < settings.turnedAwayMax else { return FileDescriptor.close(raw) }
        let interest: Interest = [.input, .peerEnd]
        let id = table.insert(descriptor: raw, interest: interest)
        guard (try? poller.add(raw, interest, userData: id.raw)) != nil, let record = unsafe table.find(id) else {
            return FileDescriptor.close(table.remove(id))
        }
        turnedAway += 1
        unsafe record.pointee.throttle.insert(.turnedAway)
        unsafe drain(id, record)
    }

    /// Whether one more may come within this second.
    private func mayAccept() -> Bool {
        guard settings.acceptsPerSecondMax > 0 else { return true }
        if now >= acceptsRenewed {
            acceptsRenewed = now + .seconds(1)
            acceptsLeft = settings.acceptsPerSecondMax
        }
        return acceptsLeft > 0
    }

    /// Leaves the listeners alone for the rest of the second: the kernel holds who waits for less than we would.
    private func rest(_ host: any LoopHost) {
        for (index, slot) in listeners.enumerated() { watch(slot, index, []) }
        listensAgainAt = max(listensAgainAt ?? acceptsRenewed, acceptsRenewed)
        host.turnedAway(.unix, .pace, at: now)
    }

    /// Out of descriptors: gives up the reserve to accept one connection and close it, so that the peer hears and the backlog, for which
    /// epoll would wake us again and again, gets shorter.
    ///
    /// - Returns: whether the next may be tried. Nobody may have waited at all: the kernel looks for a descriptor first.
    private func turnAway(_ slot: ListenerSlot) -> Bool {
        if reserve != nil {
            reserve = nil
            let acceptance = slot.listener.accept()
            if case .connection(let raw, _) = acceptance {
                FileDescriptor.close(raw)
                figures.descriptorShortages += 1
            }
            reserve = try? EventLoop.openReserve()
            if reserve != nil {
                switch acceptance {
                case .connection, .lost: return true
                case .nobody: return false
                case .shortage: break
                }
            }
        }
        // Not even that: the listeners rest, or they would keep the loop awake for nothing.
        figures.descriptorShortages += 1
        for (index, slot) in listeners.enumerated() { watch(slot, index, []) }
        listensAgainAt = now + .milliseconds(100)
        return false
    }

    private func watch(_ slot: ListenerSlot, _ index: Int, _ interest: Interest) {
        // Changing what is watched already needs no memory; it cannot fail but by a bug of ours.
        do throws(Errno) {
            try poller.change(slot.listener.descriptor.raw, interest, userData: UInt64(index))
        } catch {
            preconditionFailure("a listener is watched: \(error)")
        }
    }

    // MARK: Guests

    /// Watches a descriptor of the host's for input and for its end; ``LoopHost/attended(_:at:)`` tells.
    ///
    /// - Parameter raw: stays the host's, who closes it after ``dismiss(_:)``.
    public func attend(_ raw: Int32) throws(Errno) {
        try poller.add(raw, .input, userData: Own.guests + UInt64(raw))
        guests.insert(raw)
    }

    /// Watches it no more.
    public func dismiss(_ raw: Int32) {
        guard guests.remove(raw) != nil else { return }
        // Its end was heard of by what is watched: to watch less cannot fail but by a bug of ours.
        do throws(Errno) { try poller.remove(raw) } catch { preconditionFailure("guest \(raw) is watched: \(error)") }
    }

    func listenAgain() {
        listensAgainAt = nil
        if reserve == nil { reserve = try? EventLoop.openReserve() }
        for (index, slot) in listeners.enumerated() { watch(slot, index, .input) }
    }

    // MARK: Bytes come

    @inline(__always)
    func read(_ id: ConnectionID, _ record: RecordPointer, _ ready: Interest, _ host: any LoopHost) {
        switch unsafe record.pointee.phase {
        case .handshaking, .calling:
            awaitHandshake(id)
        case .open:
            let marks = outbox.marks(id)
            guard marks.isDisjoint(with: [.readingPaused, .closeAfterFlush, .abort]),
                unsafe !record.pointee.throttle.contains(.unread)
            else { return unsafe readLess(id, record, ready, marks, host) }
            unsafe receive(id, record, host)
        case .closing, .draining:
            unsafe discard(id, record, host)
        case .departing:
            // Only the kernel's verdict is left to hear: nobody takes what waits.
            if !ready.isDisjoint(with: [.hangUp, .error]) { unsafe drop(id, record) }
        case .free, .dead:
            break
        }
    }

    @inline(__always)
    private func receive(_ id: ConnectionID, _ record: RecordPointer, _ host: any LoopHost) {
        if unsafe record.pointee.transport == .tls { return unsafe receiveSecurely(id, record, host) }
        figures.reads += 1
        switch unsafe Socket(raw: record.pointee.descriptor).receive(into: receiveBuffer, room: settings.receiveBytes) {
        case .bytes(let count) where count > 0:
            figures.bytesIn += count
            var bytes = unsafe MutableSpan<UInt8>(_unsafeStart: receiveBuffer, count: count)
            host.received(id, &bytes, at: now)
            if outbox.queuedBytes(id) >= settings.eagerFlushBytes { unsafe flush(id, record) }
        case .bytes:
            unsafe peerEnded(id, record, host, unreadInput: false)
        case .wouldBlock:
            break
        case .failed(let code):
            unsafe broke(id, record, code, host)
        }
    }

    /// Input that is not wanted now, or no more. It stays in the kernel, whose window then closes; what epoll would say again and again
    /// about it is taken off the watch, but only now: most pauses end before any input comes, and cost no call. An end that is not to be
    /// heard goes off the watch with it; `rewatch` puts both back, and the input is then read up to the end.
    private func readLess(
        _ id: ConnectionID, _ record: RecordPointer, _ ready: Interest, _ marks: Outbox.Marks, _ host: any LoopHost
    ) {
        if !ready.isDisjoint(with: [.hangUp, .error]) {
            let code = unsafe Socket(raw: record.pointee.descriptor).takeError()
            if code != 0 { return unsafe broke(id, record, code, host) }
        }
        let unheard: Interest = marks.contains(.endUnheard) ? [.input, .peerEnd] : .input
        if ready.isDisjoint(with: Interest([.hangUp, .error, .peerEnd]).subtracting(unheard)) {
            unsafe watch(id, record, watched(record).subtracting(unheard))
        } else {
            unsafe peerEnded(id, record, host, unreadInput: true)
        }
    }

    private func discard(_ id: ConnectionID, _ record: RecordPointer, _ host: any LoopHost) {
        figures.reads += 1
        let transfer = unsafe Socket(raw: record.pointee.descriptor).receive(into: receiveBuffer, room: settings.receiveBytes)
        if case .bytes(let count) = transfer, count > 0 {
            figures.bytesIn += count
            return
        }
        if transfer == .wouldBlock { return }
        switch unsafe record.pointee.phase {
        case .draining:
            unsafe drop(id, record)
        case .closing:
            // EIO: where the kernel deciphers, its word for a record that is no data, as the peer's last one is none.
            if case .failed(let code) = transfer, unsafe code != EIO || record.pointee.transport == .plain {
                return unsafe broke(id, record, code, host)
            }
            // The peer has said all it had to say and may still be reading what goes out: the host's part is over all the same.
            outbox.seal(id)
            unsafe record.pointee.phase = .departing
            unsafe watch(id, record, watched(record).intersection(.output))
            host.closed(id, .requested, at: now)
        case .free, .handshaking, .calling, .open, .departing, .dead:
            preconditionFailure("the input of connection \(id) is not thrown away")
        }
    }

    // MARK: The peer ends

    /// The peer ended its side; the host is told, and what waits for the peer still goes out.
    func peerEnded(
        _ id: ConnectionID, _ record: RecordPointer, _ host: any LoopHost, unreadInput: Bool
    ) {
        if outbox.queuedBytes(id) > 0 {
            outbox.seal(id)
            unsafe record.pointee.phase = .departing
            table.enter(&flushingLast, id, until: now + settings.lastFlushTimeout)
            unsafe watch(id, record, watched(record).intersection(.output))
        } else if unreadInput {
            // To close over unread input is to reset, and a reset can overtake answers that are still on their way.
            outbox.close(id)
            unsafe drain(id, record)
        } else {
            if unsafe record.pointee.transport == .tls { _ = session(id)?.sayFarewell() }
            unsafe die(id, record)
        }
        host.closed(id, .peerEnded, at: now)
    }

    func broke(_ id: ConnectionID, _ record: RecordPointer, _ code: Int32, _ host: any LoopHost) {
        unsafe drop(id, record)
        host.closed(id, .broken(errno: code), at: now)
    }
}
