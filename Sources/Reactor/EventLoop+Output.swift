// The loop's output: flushing, what a connection is watched for, and how connections end. The host is not called from here but in
// `reap`, so that nothing joins the outbox's arena between a write and the end of the turn.
import Base
import CLinux
import Glibc

extension EventLoop {
    typealias RecordPointer = UnsafeMutablePointer<ConnectionTable.Record>

    // MARK: Phase 7

    /// One gathered write for each dirty connection, for as long as a slice of time lasts; the rest come first in the next turn.
    func flush() {
        var firstNew = 0
        if flushHead == flushLine.count {
            flushHead = 0
            guard outbox.hasDirty || !flushLine.isEmpty else { return outbox.endTurn() }
            outbox.takeDirty(into: &flushLine)
        } else {
            flushLine.removeFirst(flushHead)
            flushHead = 0
            firstNew = flushLine.count
            outbox.takeDirty(into: &newlyDirty)
            flushLine.append(contentsOf: newlyDirty)
        }
        let end = now + settings.flushSlice
        while flushHead < flushLine.count {
            let id = flushLine[flushHead]
            flushHead += 1
            if let record = unsafe table.find(id) { unsafe flush(id, record) }
            // Some 32 writes take 100 µs: a finer look at the clock would tell no more.
            if flushHead & 31 == 0, SystemClock.now() > end { break }
        }
        // Who was left over by earlier turns has nothing in this turn's arena, unless it stands among the new ones again.
        for index in max(flushHead, firstNew)..<max(flushHead, firstNew, flushLine.count) { outbox.settle(flushLine[index]) }
        outbox.endTurn()
    }

    /// Sends what waits for one connection, and does what its marks ask.
    func flush(_ id: ConnectionID, _ record: RecordPointer) {
        switch unsafe record.pointee.phase {
        case .open, .closing, .departing: break
        case .calling: return unsafe wait(id, record)
        case .free, .handshaking, .draining, .dead: return
        }
        let marks = outbox.marks(id)
        if marks.contains(.abort) { return unsafe end(id, record, .requested) }
        let isBlocked = unsafe watched(record).contains(.output) && !record.pointee.throttle.contains(.writable)
        unsafe record.pointee.throttle.remove(.writable)
        if !isBlocked, unsafe !send(id, record) { return }

        var waiting = outbox.queuedBytes(id)
        let isEnding = unsafe marks.contains(.closeAfterFlush) || record.pointee.phase == .departing
        // TLS's own end is the last of what is sent, and may have to wait for room.
        if waiting == 0, isEnding, unsafe record.pointee.transport == .tls, session(id)?.sayFarewell() == false { waiting = 1 }
        if waiting > 0 {
            outbox.settle(id)
            if marks.contains(.closeAfterFlush), unsafe record.pointee.phase == .open {
                unsafe record.pointee.phase = .closing
                table.enter(&flushingLast, id, until: now + settings.lastFlushTimeout)
            }
        } else if isEnding {
            return unsafe allSent(id, record)
        } else if unsafe record.pointee.isAtRest, marks.isDisjoint(with: [.readingPaused, .endUnheard]) {
            return
        }
        unsafe holdBack(record, marks, waiting)
        unsafe rewatch(id, record, marks, waiting)
    }

    /// - Returns: whether the connection is still there.
    @inline(__always)
    private func send(_ id: ConnectionID, _ record: RecordPointer) -> Bool {
        if unsafe record.pointee.transport == .tls { return unsafe sendSecurely(id, record) }
        let socket = unsafe Socket(raw: record.pointee.descriptor)
        var room = settings.flushBytesMax
        guard let first = unsafe slices.baseAddress else { return true }
        while room > 0 {
            let count = unsafe outbox.gather(id, into: slices, bytesMax: room)
            guard count > 0 else { return true }
            var offered = 0
            for index in 0..<count { unsafe offered += first[index].iov_len }
            figures.writes += 1
            switch unsafe socket.send(first, count: count) {
            case .bytes(let sent):
                figures.bytesOut += sent
                outbox.consume(id, sent)
                if sent < offered { return true }
                room -= sent
                // Fewer slices than there is room for: that was all, or all that it may send.
                if count < EventLoop.slicesMax { return true }
            case .wouldBlock:
                return true
            case .failed(let code):
                unsafe end(id, record, .broken(errno: code))
                return false
            }
        }
        return true
    }

    /// A connection whose input makes its output is not read while its output waits.
    @inline(__always)
    private func holdBack(_ record: RecordPointer, _ marks: Outbox.Marks, _ waiting: Int) {
        if unsafe record.pointee.throttle.contains(.unread) {
            if waiting < settings.pauseReadingBytes / 2 || !marks.contains(.answersItself) {
                unsafe record.pointee.throttle.remove(.unread)
            }
        } else if waiting > settings.pauseReadingBytes, marks.contains(.answersItself) {
            unsafe record.pointee.throttle.insert(.unread)
        }
    }

    // MARK: What a connection is watched for

    @inline(__always)
    func watched(_ record: RecordPointer) -> Interest { unsafe Interest(rawValue: UInt32(record.pointee.interest)) }

    /// Output is watched while something waits; input and the peer's end, where they are wanted, are put back on the watch. They are
    /// taken off only when they come.
    @inline(__always)
    private func rewatch(_ id: ConnectionID, _ record: RecordPointer, _ marks: Outbox.Marks, _ waiting: Int) {
        var interest = unsafe watched(record)
        if waiting > 0 { interest.insert(.output) } else { interest.remove(.output) }
        switch unsafe record.pointee.phase {
        case .open:
            if !marks.contains(.readingPaused), unsafe !record.pointee.throttle.contains(.unread) { interest.insert(.input) }
            if !marks.contains(.endUnheard) { interest.insert(.peerEnd) }
        case .closing:
            // Its input is thrown away.
            interest.insert(.input)
        case .departing, .draining, .dead, .free, .handshaking, .calling:
            break
        }
        if unsafe record.pointee.transport == .tls { interest = unsafe secureInterest(id, record, interest) }
        unsafe watch(id, record, interest)
    }

    @inline(__always)
    func watch(_ id: ConnectionID, _ record: RecordPointer, _ interest: Interest) {
        if unsafe interest != watched(record) { unsafe changeWatch(id, record, interest) }
    }

    private func changeWatch(_ id: ConnectionID, _ record: RecordPointer, _ interest: Interest) {
        figures.interestChanges += 1
        unsafe record.pointee.interest = UInt16(interest.rawValue)
        do throws(Errno) {
            unsafe try poller.change(record.pointee.descriptor, interest, userData: id.raw)
        } catch {
            preconditionFailure("connection \(id) is watched: \(error)")
        }
    }

    // MARK: The end of a connection

    /// Everything has gone out to the kernel. RFC 9112 §9.6: to close now, with input unread or still coming, could reset the connection
    /// and destroy the last answer before the peer has read it; so our side is shut first, and the peer read until it ends or time is up.
    private func allSent(_ id: ConnectionID, _ record: RecordPointer) {
        switch unsafe record.pointee.phase {
        case .open:
            endings.append((id, .requested))
        case .closing:
            endings.append((id, .requested))
            table.leave(&flushingLast, id)
        case .departing:
            table.leave(&flushingLast, id)
        case .free, .handshaking, .calling, .draining, .dead:
            preconditionFailure("connection \(id) had nothing more to send")
        }
        outbox.close(id)
        unsafe drain(id, record)
    }

    func drain(_ id: ConnectionID, _ record: RecordPointer) {
        if unsafe record.pointee.transport == .tls { _ = session(id)?.sayFarewell() }
        unsafe Socket(raw: record.pointee.descriptor).shutdownOutput()
        unsafe record.pointee.phase = .draining
        table.enter(&draining, id, until: now + settings.lingerTimeout)
        unsafe watch(id, record, [.input, .peerEnd])
    }

    /// Ends a connection that the host knows; it is told in phase 8.
    func end(_ id: ConnectionID, _ record: RecordPointer, _ cause: CloseCause) {
        if unsafe record.pointee.phase != .departing { endings.append((id, cause)) }
        unsafe drop(id, record)
    }

    /// Ends a connection, whatever waits, and takes it out of the line that it is in.
    func drop(_ id: ConnectionID, _ record: RecordPointer) {
        switch unsafe record.pointee.phase {
        case .closing, .departing: table.leave(&flushingLast, id)
        case .draining: table.leave(&draining, id)
        case .handshaking: endHandshake(id)
        case .calling: table.leave(&calling, id)
        case .open, .free, .dead: break
        }
        unsafe die(id, record)
    }

    func die(_ id: ConnectionID, _ record: RecordPointer) {
        outbox.close(id)
        unsafe record.pointee.phase = .dead
        dead.append(id)
    }

    /// Phase 5: those whose last while is over, and listeners that have rested.
    func endLastWhiles(_ host: any LoopHost) {
        while let head = table.head(flushingLast), head.deadline <= now, let record = unsafe table.find(head.id) {
            unsafe end(head.id, record, .requested)
        }
        while let head = table.head(draining), head.deadline <= now, let record = unsafe table.find(head.id) {
            unsafe drop(head.id, record)
        }
        while let head = table.head(handshaking), head.deadline <= now, let record = unsafe table.find(head.id) {
            figures.handshakesFailed += 1
            let peer = session(head.id)?.peer ?? .unix
            unsafe drop(head.id, record)
            host.turnedAway(peer, .handshakeTime, at: now)
        }
        while let head = table.head(calling), head.deadline <= now, let record = unsafe table.find(head.id) {
            unsafe end(head.id, record, .broken(errno: ETIMEDOUT))
        }
        if let listensAgainAt, listensAgainAt <= now { listenAgain() }
    }

    // MARK: Phase 8

    /// Tells the ends that the flush has found, and closes descriptors: only here, so that no event of the turn meets a number reused.
    func reap(_ host: any LoopHost) {
        // What the host makes of it has its turn at once.
        hasMore = !endings.isEmpty
        for ending in endings { host.closed(ending.id, ending.cause, at: now) }
        endings.empty()
        for id in dead { close(id) }
        figures.reaped = dead.count
        dead.empty()
    }

    func close(_ id: ConnectionID) {
        if id.slot < sessions.count { sessions[id.slot] = nil }
        ledger.leave(id.slot)
        if let record = unsafe table.find(id), unsafe record.pointee.throttle.contains(.turnedAway) { turnedAway -= 1 }
        FileDescriptor.close(table.remove(id))
    }
}
