// SocketService+Return: clients that are let into the fleet's namespace, that leave it, and that come back as who they were: connection
// state recovery as the official server has it (`pid`, `offset`). Who comes back is told what it missed, in order, none of it twice;
// where that is not known any more it begins anew.
internal import Base
internal import Dialects
internal import Domain
internal import JSON
internal import SocketIO

/// What a CONNECT says of an earlier session.
struct MonitorReturn {
    let secret: SocketName
    /// The last event that the client has.
    let offset: UInt64

    /// Reads a CONNECT's payload; nil where it says nothing of the kind, or something that this server never gave.
    init?(_ payload: Span<UInt8>, _ index: JSONIndex) {
        guard !payload.isEmpty, let pid = index.member("pid", of: index.root, in: payload), let secret = index.contents(of: pid),
            let name = SocketName(payload.extracting(secret)), let node = index.member("offset", of: index.root, in: payload),
            let digits = index.contents(of: node), !digits.isEmpty, digits.count <= 19
        else { return nil }
        var offset: UInt64 = 0
        for place in digits {
            guard payload[place].isASCIIDigit else { return nil }
            offset = offset * 10 + UInt64(payload[place] - UInt8(ascii: "0"))
        }
        self.secret = name
        self.offset = offset
    }
}

extension SocketService {
    /// Lets a client in, as who it was if it can come back.
    func welcome(_ client: SocketClient, _ principal: Principal, _ returning: MonitorReturn?, at now: Instant) {
        if let returning, let watcher = recall(returning, principal, at: now) {
            return resume(client, watcher, principal, returning.offset, at: now)
        }
        let watcher = MonitorWatcher(
            name: SocketName(drawnFrom: &context.random), secret: SocketName(drawnFrom: &context.random), principal: principal)
        client.watcher = watcher
        recovery.enter(watcher.secret, client.id)
        greet(client, watcher, at: now)
    }

    private func greet(_ client: SocketClient, _ watcher: MonitorWatcher, at now: Instant) {
        let recovers = context.limits.recoverablesMax > 0 && context.limits.recoveryTime > .zero
        tell(client, at: now) {
            PacketWriter.connected(namespace: Span(), sid: watcher.name.text, pid: recovers ? watcher.secret.text : nil, to: &$0)
        }
    }

    // MARK: Coming back

    /// Finds who comes back, and ends what is left of its old session. It must be the same user, whose token was checked anew.
    private func recall(_ returning: MonitorReturn, _ principal: Principal, at now: Instant) -> MonitorWatcher? {
        switch recovery.find(returning.secret, at: now) {
        case .nobody: return nil
        case .parked(let watcher):
            guard watcher.principal.user == principal.user, monitor.missed(by: watcher, since: returning.offset) != nil else { return nil }
            recovery.remove(returning.secret)
            return watcher
        case .present(let id):
            guard let former = client(id), let watcher = former.watcher, watcher.principal.user == principal.user,
                monitor.missed(by: watcher, since: returning.offset) != nil
            else { return nil }
            monitor.release(watcher)
            former.watcher = nil
            abort(former, at: now)
            return watcher
        }
    }

    private func resume(
        _ client: SocketClient, _ watcher: MonitorWatcher, _ principal: Principal, _ offset: UInt64, at now: Instant
    ) {
        context.metrics.socketReturns += 1
        watcher.principal = principal
        client.watcher = watcher
        recovery.enter(watcher.secret, client.id)
        let missed = monitor.missed(by: watcher, since: offset) ?? []
        if !watcher.channels.isEmpty {
            _ = monitor.listen(watcher, to: watcher.channels, client.format, target: client.target, at: now)
        }
        greet(client, watcher, at: now)
        replay(missed, to: client, watcher, since: offset, at: now)
    }

    /// Tells what was missed, and what the client alone was told and has not got, in their one order.
    private func replay(_ missed: [Edition], to client: SocketClient, _ watcher: MonitorWatcher, since offset: UInt64, at now: Instant) {
        var notes = watcher.notes(since: offset)[...]
        for edition in missed {
            while let note = notes.first, note.offset < edition.bulletin.offset {
                notes.removeFirst()
                tellAgain(note, to: client, watcher, since: offset, besides: missed, at: now)
            }
            context.metrics.eventsReplayed += 1
            send(edition.text(omittingOffset: client.omitsOffset, context).frame, through: client, at: now)
        }
        for note in notes { tellAgain(note, to: client, watcher, since: offset, besides: missed, at: now) }
    }

    // MARK: Going

    /// The session has ended: its client may come back, unless it left by itself or broke the rules.
    func part(_ client: SocketClient, _ cause: EngineEnd, at now: Instant) {
        guard let watcher = client.watcher else { return }
        client.watcher = nil
        monitor.release(watcher)
        // Who is told no offset has nothing to come back with.
        guard !client.omitsOffset, !context.revocations.covers(watcher.principal) else { return recovery.remove(watcher.secret) }
        switch cause {
        case .transportLost, .pingTimeout, .overloaded, .closedByClient, .closedByServer:
            recovery.park(watcher, until: now + context.limits.recoveryTime)
        case .violation: recovery.remove(watcher.secret)
        }
    }

    /// The client is in the namespace no more, and does not come back.
    func forget(_ client: SocketClient, _ watcher: MonitorWatcher) {
        client.watcher = nil
        monitor.release(watcher)
        recovery.remove(watcher.secret)
    }

    /// Sends away the clients whose tokens were revoked; those that are gone do not come back.
    ///
    /// - Returns: how many there were.
    func dismissRevoked(at now: Instant) -> Int {
        var count = recovery.remove { context.revocations.covers($0.principal) }
        for id in clients.keys {
            guard let client = client(id), let watcher = client.watcher, context.revocations.covers(watcher.principal) else { continue }
            count += 1
            guard client.session.isOpen else {
                forget(client, watcher)
                continue
            }
            emit("error", to: client, offset: monitor.offset, at: now) {
                MonitorDialect.writeProblem(TokenProblem.revoked.words, event: nil, to: &$0)
            }
            // What is told to a client that reads too slowly may be its end.
            if client.watcher === watcher { dismiss(client, watcher, at: now) }
        }
        return count
    }

    /// A client whose token is over is sent away.
    func dismiss(_ client: SocketClient, _ watcher: MonitorWatcher, at now: Instant) {
        forget(client, watcher)
        if client.namespaces.dismiss(NamespaceID(place: 0)) {
            tell(client, at: now) { PacketWriter.disconnect(namespace: Span(), to: &$0) }
        }
        close(client, at: now)
    }
}
