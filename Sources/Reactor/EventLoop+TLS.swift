// The loop's TLS: connections that shake hands before the host hears of them, a few at a time; and bytes that go through a session on
// their way in and out. What a session does with them is TLSSession's. Connections without TLS pay one compare a read and a flush.
public import Base
import CLinux
import Glibc

extension EventLoop {
    // MARK: Handshakes

    /// The certificate that the peer has shown, signed by an authority of ours; nil for one that has shown none.
    public func certificate(of id: ConnectionID) -> PeerCertificate? {
        unsafe table.find(id) == nil ? nil : session(id)?.peerCertificate
    }

    /// The session of a connection that is there.
    func session(_ id: ConnectionID) -> TLSSession? { id.slot < sessions.count ? sessions[id.slot] : nil }

    /// Gives an accepted connection its session; the host hears of it once hands are shaken.
    ///
    /// - Returns: false where there is no memory for it.
    func beginHandshake(_ id: ConnectionID, _ record: RecordPointer, from peer: PeerAddress) -> Bool {
        guard let tls, let session = unsafe TLSSession(tls, descriptor: record.pointee.descriptor, peer: peer) else { return false }
        if handshakesOpen >= settings.handshakesMax, let head = table.head(handshaking), let oldest = unsafe table.find(head.id) {
            // Who has something to say is served within a few turns: the oldest of so many has nothing, or dawdles.
            figures.handshakesFailed += 1
            unsafe drop(head.id, oldest)
        }
        enter(session, id)
        unsafe record.pointee.transport = .tls
        unsafe record.pointee.phase = .handshaking
        handshakesOpen += 1
        ledger.countHandshake(id.slot, 1)
        table.enter(&handshaking, id, until: now + settings.handshakeTimeout)
        return true
    }

    func enter(_ session: TLSSession, _ id: ConnectionID) {
        if id.slot >= sessions.count { sessions += Array(repeating: nil, count: max(sessions.count, id.slot + 1 - sessions.count, 64)) }
        sessions[id.slot] = session
    }

    /// The host will hear of nobody else.
    func giveUpHandshakes() {
        while let head = table.head(handshaking), let record = unsafe table.find(head.id) {
            figures.handshakesFailed += 1
            unsafe drop(head.id, record)
        }
    }

    func endHandshake(_ id: ConnectionID) {
        handshakesOpen -= 1
        ledger.countHandshake(id.slot, -1)
        table.leave(&handshaking, id)
    }

    /// Something came for a handshake: its turn comes behind everybody else's events.
    func awaitHandshake(_ id: ConnectionID) {
        guard let session = session(id), !session.isDue else { return }
        session.isDue = true
        handshakesDue.append(id)
    }

    /// Phase 3, its end: handshakes for as long as a slice of time lasts, one at least, and reads that epoll does not know of.
    func serveSessions(_ host: any LoopHost) {
        if !sessionsUnread.isEmpty { readOn(host) }
        if !handshakesDue.isEmpty { shakeHands(host) }
    }

    private func shakeHands(_ host: any LoopHost) {
        let end = SystemClock.now() + settings.handshakeSlice
        var done = 0
        repeat {
            let id = handshakesDue[done]
            done += 1
            if let record = unsafe table.find(id) { unsafe shakeHands(id, record, host) }
        } while done < handshakesDue.count && SystemClock.now() < end
        handshakesDue.removeFirst(done)
        figures.handshakesLeft = Int32(handshakesDue.count)
        // Epoll would name those again in each turn, and they are known.
        for id in handshakesDue {
            guard let record = unsafe table.find(id) else { continue }
            switch unsafe record.pointee.phase {
            case .handshaking, .calling: unsafe watch(id, record, [])
            case .free, .open, .closing, .departing, .draining, .dead: break
            }
        }
    }

    private func shakeHands(_ id: ConnectionID, _ record: RecordPointer, _ host: any LoopHost) {
        guard let session = session(id) else { return }
        switch unsafe record.pointee.phase {
        case .handshaking: break
        case .calling: return unsafe call(id, record, session, host)
        case .free, .open, .closing, .departing, .draining, .dead: return
        }
        session.isDue = false
        switch session.shakeHands() {
        case .wantsInput:
            unsafe watch(id, record, [.input, .peerEnd])
        case .wantsOutput:
            unsafe watch(id, record, .output)
        case .done:
            endHandshake(id)
            figures.handshakes += 1
            unsafe record.pointee.phase = .open
            outbox.open(id)
            unsafe watch(id, record, [.input, .peerEnd])
            host.opened(id, from: session.peer, at: now)
            // What came in one piece with the handshake's end lies in the session already.
            unsafe read(id, record, .input, host)
        case .plainText:
            var answer = settings.answerToPlainText
            if !answer.isEmpty {
                unsafe answer.withUnsafeMutableBytes { bytes in
                    var slice = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                    // What does not fit into an empty socket is lost.
                    _ = unsafe Socket(raw: record.pointee.descriptor).send(&slice, count: 1)
                }
            }
            unsafe refuse(id, record)
        case .refused:
            unsafe refuse(id, record)
        case .gone:
            figures.handshakesFailed += 1
            unsafe drop(id, record)
        }
    }

    /// Ends a handshake so that the peer can still read why.
    private func refuse(_ id: ConnectionID, _ record: RecordPointer) {
        figures.handshakesFailed += 1
        endHandshake(id)
        unsafe drain(id, record)
    }

    // MARK: Input

    /// One read through the session: all records that are there, or as many as the buffer holds, told as one.
    func receiveSecurely(_ id: ConnectionID, _ record: RecordPointer, _ host: any LoopHost) {
        guard let session = session(id) else { preconditionFailure("connection \(id) has no session") }
        figures.reads += 1
        session.hasMore = false
        if session.stall == .sendingNeedsInput {
            session.stall = .none
            unsafe record.pointee.throttle.insert(.writable)
            outbox.touch(id)
        }
        var count = 0
        var outcome = SecureTransfer.wantsInput
        while count < settings.receiveBytes {
            outcome = unsafe session.receive(into: receiveBuffer + count, room: settings.receiveBytes - count)
            guard case .bytes(let more) = outcome else { break }
            count += more
            // Nothing is left in the session: of what the kernel has, epoll tells.
            if !session.holdsInput { break }
        }
        if count > 0 {
            // Of what is left in the session epoll tells nothing; an end, or a failure, is found there again.
            switch outcome {
            case .bytes where !session.holdsInput, .wantsInput: break
            case .wantsOutput: unsafe awaitRoomToRead(id, record, session)
            case .bytes, .ended, .failed: readLater(id, session)
            }
            figures.bytesIn += count
            var bytes = unsafe MutableSpan<UInt8>(_unsafeStart: receiveBuffer, count: count)
            host.received(id, &bytes, at: now)
            if outbox.queuedBytes(id) >= settings.eagerFlushBytes { unsafe flush(id, record) }
            return
        }
        switch outcome {
        case .bytes, .wantsInput: break
        case .wantsOutput: unsafe awaitRoomToRead(id, record, session)
        case .ended: unsafe peerEnded(id, record, host, unreadInput: false)
        case .failed(let code): unsafe broke(id, record, code, host)
        }
    }

    private func awaitRoomToRead(_ id: ConnectionID, _ record: RecordPointer, _ session: TLSSession) {
        session.stall = .readingNeedsRoom
        unsafe watch(id, record, watched(record).union(.output))
    }

    private func readLater(_ id: ConnectionID, _ session: TLSSession) {
        session.hasMore = true
        guard !session.isUnread else { return }
        session.isUnread = true
        sessionsUnread.append(id)
    }

    /// Reads those again whose last read left something in the session.
    private func readOn(_ host: any LoopHost) {
        var line: [ConnectionID] = []
        swap(&line, &sessionsUnread)
        for id in line {
            guard let record = unsafe table.find(id), let session = session(id) else { continue }
            session.isUnread = false
            guard session.hasMore, unsafe record.pointee.phase == .open else { continue }
            // One that is not to be read now comes back with its watch.
            let marks = outbox.marks(id)
            if marks.isDisjoint(with: [.readingPaused, .closeAfterFlush, .abort]), unsafe !record.pointee.throttle.contains(.unread) {
                unsafe receiveSecurely(id, record, host)
            }
        }
    }

    // MARK: Output

    /// The socket takes bytes again.
    func roomCameSecurely(_ id: ConnectionID, _ record: RecordPointer) {
        switch unsafe record.pointee.phase {
        case .handshaking, .calling: return awaitHandshake(id)
        case .free, .open, .closing, .departing, .draining, .dead: break
        }
        guard let session = session(id), session.stall == .readingNeedsRoom else { return }
        session.stall = .none
        readLater(id, session)
    }

    /// Sends records, each gathered into one piece, for as long as the kernel takes them.
    ///
    /// - Returns: whether the connection is still there.
    func sendSecurely(_ id: ConnectionID, _ record: RecordPointer) -> Bool {
        guard let session = session(id), let first = unsafe slices.baseAddress else { return true }
        var room = settings.flushBytesMax
        while room > 0 {
            // Never less than last time, should the last record not have found room.
            let count = unsafe outbox.gather(id, into: slices, bytesMax: TLSSession.recordBytes)
            guard count > 0 else { return true }
            var offered = 0
            for index in 0..<count { unsafe offered += first[index].iov_len }
            figures.writes += 1
            let outcome =
                unsafe count == 1 ? session.send(first.pointee.iov_base, count: offered) : sendJoined(session, first, count, offered)
            switch outcome {
            case .bytes(let sent):
                figures.bytesOut += sent
                outbox.consume(id, sent)
                room -= sent
            case .wantsOutput:
                return true
            case .wantsInput:
                session.stall = .sendingNeedsInput
                return true
            case .ended:
                unsafe end(id, record, .broken(errno: EPIPE))
                return false
            case .failed(let code):
                unsafe end(id, record, .broken(errno: code))
                return false
            }
        }
        return true
    }

    private func sendJoined(_ session: TLSSession, _ slices: UnsafeMutablePointer<iovec>, _ count: Int, _ offered: Int) -> SecureTransfer {
        var filled = 0
        for index in 0..<count {
            let slice = unsafe slices[index]
            unsafe UnsafeMutableRawPointer(recordBuffer + filled).copyMemory(from: slice.iov_base, byteCount: slice.iov_len)
            unsafe filled += slice.iov_len
        }
        return unsafe session.send(recordBuffer, count: offered)
    }

    /// What a session's stall adds to what its connection is watched for, or takes away; and what it still holds is read once it may be.
    func secureInterest(_ id: ConnectionID, _ record: RecordPointer, _ wanted: Interest) -> Interest {
        guard let session = session(id) else { return wanted }
        if session.hasMore, wanted.contains(.input), unsafe record.pointee.phase == .open { readLater(id, session) }
        switch session.stall {
        case .none: return wanted
        case .readingNeedsRoom: return wanted.union(.output)
        case .sendingNeedsInput: return wanted.subtracting(.output)
        }
    }
}
