// SocketService+Packets: what clients say in Socket.IO: they enter namespaces, and in the fleet's they subscribe. A client that breaks
// the protocol loses its session, nobody else does. Obeys the Socket.IO protocol, revision 5, and document E.
internal import Base
internal import Dialects
internal import Domain
internal import JSON
internal import SocketIO

extension SocketService {
    // MARK: Messages in

    func hear(_ kind: EngineFrame.Kind, _ bytes: Span<UInt8>, from client: SocketClient, at now: Instant) {
        switch client.door {
        case .echo: echo(kind, bytes, to: client, at: now)
        case .packets:
            // What came with the packet that ended the session is nobody's.
            guard clients.contains(client.id), !client.session.isClosing, admits(client, bytes: bytes.count, at: now) else { return }
            switch kind {
            case .text: hear(text: bytes, from: client, at: now)
            case .binary: hear(binary: bytes, from: client, at: now)
            }
            countGathered(of: client)
            if gatheredBytes > context.limits.attachmentBytesMax { fail(client, "too many attachments are due", at: now) }
            if client.gatheredBytes > 0, context.isInputOverfull {
                context.metrics.bounds.count(.inputMemory)
                fail(client, "too much unfinished input", at: now)
            }
        }
    }

    /// Counts what the client's packet holds by now: nothing, once the client is gone.
    func countGathered(of client: SocketClient) {
        let held = clients.contains(client.id) ? client.assembler.heldBytes : 0
        gatheredBytes += held - client.gatheredBytes
        context.inputBytes += held - client.gatheredBytes
        client.gatheredBytes = held
    }

    /// A packet below this counts as one.
    private static let paceBytes = 16 << 10

    /// Whether the client may send a packet of that size now; who sends too much loses its session.
    func admits(_ client: SocketClient, bytes: Int, at now: Instant) -> Bool {
        let perSecond = context.limits.socketPacketsPerSecondMax
        let unit = max(context.limits.socketPayloadMax / max(perSecond - 1, 1) + 1, SocketService.paceBytes)
        let weight = 1 + bytes / unit
        guard !settings.isTestMode, !client.pace.admits(pace, count: min(weight, perSecond), at: now) else { return true }
        if client.session.isOpen {
            context.metrics.socketClientsTooFast += 1
            context.metrics.bounds.count(.messagesPerSecond)
        }
        fail(client, "too many packets in a second", at: now)
        return false
    }

    private func echo(_ kind: EngineFrame.Kind, _ bytes: Span<UInt8>, to client: SocketClient, at now: Instant) {
        switch kind {
        case .text: tell(client, at: now) { $0.append(bytes) }
        case .binary: send(EngineFrame(.binary, SharedBytes(copying: bytes)), through: client, at: now)
        }
    }

    private func hear(text: Span<UInt8>, from client: SocketClient, at now: Instant) {
        // Nothing is kept of who is nowhere yet.
        guard client.namespaces.isAnywhere || !PacketKind.isBinary(text) else {
            return fail(client, "sent binary parts before it was let in", at: now)
        }
        do throws(PacketError) {
            switch try client.assembler.received(text: text, index: &context.index, at: now) {
            case .whole(let packet): act(upon: packet, text, [], from: client, at: now)
            case .gathering: break
            }
        } catch {
            fail(client, error.description, at: now)
        }
    }

    private func hear(binary: Span<UInt8>, from client: SocketClient, at now: Instant) {
        do throws(PacketError) {
            guard let whole = try client.assembler.received(binary: binary, at: now) else { return }
            if let payload = whole.packet.payload { try? context.index.build(from: whole.text.span.extracting(payload)) }
            act(upon: whole.packet, whole.text.span, whole.attachments, from: client, at: now)
        } catch {
            fail(client, error.description, at: now)
        }
    }

    /// Acts upon a packet; the index is its payload's.
    private func act(
        upon packet: Packet, _ text: Span<UInt8>, _ attachments: [SharedBytes], from client: SocketClient, at now: Instant
    ) {
        switch client.namespaces.received(packet, in: text) {
        case .none, .acknowledgement: break
        case .judge(let namespace):
            let credentials = text.extracting(packet.payload ?? 0..<0)
            if settings.isTestMode {
                admit(client, to: namespace, credentials, at: now)
            } else {
                judge(client, namespace, credentials, at: now)
            }
        case .refuseUnknown:
            guard case .named(let name) = packet.namespace else { return }
            tell(client, at: now) { PacketWriter.invalidNamespace(text.extracting(name), to: &$0) }
        case .event(let namespace):
            if settings.isTestMode {
                answer(packet, text, attachments, in: namespace, of: client, at: now)
            } else {
                obey(packet, text, of: client, at: now)
            }
        case .left:
            if let watcher = client.watcher { forget(client, watcher) }
        case .end(let reason): fail(client, "\(reason.sentence)", at: now)
        }
    }

    /// Ends the session of a client that breaks the protocol.
    private func fail(_ client: SocketClient, _ words: String, at now: Instant) {
        guard client.session.isOpen else { return }
        context.metrics.socketSessionsFailed += 1
        context.log.debug("session ended", ("peer", client.peer), ("reason", words))
        // What it did it does not recover from: it is no cut.
        if let watcher = client.watcher { forget(client, watcher) }
        client.assembler = PacketAssembler(limits: packetLimits)
        countGathered(of: client)
        // Who was never let in holds its place no longer; another one learns with its next poll that it was closed.
        if client.namespaces.isAnywhere { close(client, at: now) } else { abort(client, at: now) }
    }

    /// Looks whether a client is late with its first namespace, or with a packet's binary parts.
    func expirePackets(of client: SocketClient, at now: Instant) {
        guard client.door == .packets, client.session.isOpen else { return }
        do throws(PacketError) {
            try client.assembler.expire(at: now)
        } catch {
            return fail(client, error.description, at: now)
        }
        if case .end(let reason) = client.namespaces.expire(at: now) {
            context.metrics.bounds.count(.authenticationTime)
            fail(client, "\(reason.sentence)", at: now)
        }
    }

    // MARK: The fleet's namespace

    /// Judges who asks to be let in: by the token of its CONNECT, else by that of its handshake.
    private func judge(_ client: SocketClient, _ namespace: NamespaceID, _ credentials: Span<UInt8>, at now: Instant) {
        let authentication = context.settings.authentication
        var identity = client.identity
        let members = credentials.isEmpty ? nil : context.index.root
        if let members, let token = context.index.member("token", of: members, in: credentials),
            let contents = context.index.contents(of: token), !context.index.hasEscapes(token), !contents.isEmpty {
            identity = authentication.verify(credentials.extracting(contents), at: context.moment(now).wall)
        }
        // That of the handshake may have been revoked since.
        switch authentication.admit(context.screen(identity), to: .monitor) {
        case .refused(let refusal):
            guard client.namespaces.refuse(namespace) else { return }
            context.log.debug("client refused", ("peer", client.peer), ("reason", refusal.reason))
            tell(client, at: now) { PacketWriter.refused(namespace: Span(), message: refusal.words, to: &$0) }
        case .admitted(let principal):
            guard client.namespaces.accept(namespace) else { return }
            welcome(client, principal, MonitorReturn(credentials, context.index), at: now)
        }
    }

    /// Does what an event asks for.
    private func obey(_ packet: Packet, _ text: Span<UInt8>, of client: SocketClient, at now: Instant) {
        guard let watcher = client.watcher, let payload = packet.payload, let node = packet.eventName(in: context.index) else { return }
        let json = text.extracting(payload)
        let name = nameText(of: node, in: json)
        switch MonitorDialect.command(name.span) {
        case .subscribe(let subscription): subscribe(client, watcher, subscription, packet.ackID, at: now)
        case .unsubscribe(let subscription):
            monitor.leave(watcher, subscription.channels)
            confirm(client, watcher, .unsubscribed(subscription), packet.ackID, at: now)
        case nil:
            emit("error", to: client, offset: monitor.offset, at: now) {
                MonitorDialect.writeProblem("Unknown event", event: name.span, to: &$0)
            }
        }
    }

    /// An event's name, a string or a number.
    private func nameText(of node: JSONNode, in json: Span<UInt8>) -> SharedBytes {
        guard let contents = context.index.contents(of: node) else {
            return SharedBytes(copying: json.extracting(context.index.range(of: node)))
        }
        guard context.index.hasEscapes(node) else { return SharedBytes(copying: json.extracting(contents)) }
        context.scratch.removeAll()
        _ = context.index.decode(node, in: json, into: &context.scratch)
        return context.scratch.seal()
    }

    private func subscribe(
        _ client: SocketClient, _ watcher: MonitorWatcher, _ subscription: MonitorSubscription, _ ackID: UInt64?, at now: Instant
    ) {
        let joined = subscription.channels.subtracting(watcher.channels)
        guard monitor.listen(watcher, to: subscription.channels, client.format, target: client.target, at: now) else {
            return emit("error", to: client, offset: monitor.offset, at: now) {
                MonitorDialect.writeProblem("Too many subscribers", event: nil, to: &$0)
            }
        }
        confirm(client, watcher, .subscribed(subscription), joining: joined, ackID, at: now)
        // Who listens already has the picture, and what came since.
        for channel in Channel.allCases where joined.contains(channel) { showPicture(of: channel, to: client, watcher, at: now) }
    }

    /// Tells a client that what it asked for is done.
    private func confirm(
        _ client: SocketClient, _ watcher: MonitorWatcher, _ kind: MonitorWatcher.Note.Kind, joining joined: ChannelSet = [],
        _ ackID: UInt64?, at now: Instant
    ) {
        let offset = monitor.nextOffset()
        watcher.note(kind, joining: joined, offset: offset)
        confirm(client, watcher, kind, offset: offset, at: now)
        guard let ackID else { return }
        tell(client, at: now) { writer in
            PacketWriter.head(.ack, namespace: Span(), ackID: ackID, to: &writer)
            writer.append(UInt8(ascii: "["))
            SocketService.write(kind, watcher, to: &writer)
            writer.append(UInt8(ascii: "]"))
        }
    }

    private func confirm(
        _ client: SocketClient, _ watcher: MonitorWatcher, _ kind: MonitorWatcher.Note.Kind, offset: UInt64, at now: Instant
    ) {
        let name: StaticString
        switch kind {
        case .subscribed: name = "subscribed"
        case .unsubscribed: name = "unsubscribed"
        case .picture: return
        }
        emit(name, to: client, offset: offset, at: now) { SocketService.write(kind, watcher, to: &$0) }
    }

    /// Tells again what was noted, to a client that has everything up to the offset.
    ///
    /// - Parameter missed: what else the client is told that was away.
    func tellAgain(
        _ note: MonitorWatcher.Note, to client: SocketClient, _ watcher: MonitorWatcher, since offset: UInt64, besides missed: [Edition],
        at now: Instant
    ) {
        guard case .picture(let channel) = note.kind else {
            return confirm(client, watcher, note.kind, offset: note.offset, at: now)
        }
        // Of a picture it may have got the beginning. What is no part of it any more may have stood there: counted from the end nothing is
        // lost, and at worst an alert that it has comes again.
        let left = note.offset + note.count - max(note.offset, offset + 1)
        let editions = monitor.picture(of: channel, for: watcher, before: note.offset, besides: missed, at: now).suffix(Int(left))
        var place = note.offset + note.count - UInt64(editions.count)
        for edition in editions {
            send(edition, to: client, offset: place, at: now)
            place += 1
        }
    }

    private static func write(_ kind: MonitorWatcher.Note.Kind, _ watcher: MonitorWatcher, to writer: inout ByteWriter) {
        var session = ByteWriter(capacity: 40)
        session.append("client_")
        watcher.name.write(to: &session)
        switch kind {
        case .subscribed(let subscription): MonitorDialect.writeSubscribed(subscription, sessionID: session.take(), to: &writer)
        case .unsubscribed(let subscription): MonitorDialect.writeUnsubscribed(subscription, sessionID: session.take(), to: &writer)
        case .picture: break
        }
    }

    private func showPicture(of channel: Channel, to client: SocketClient, _ watcher: MonitorWatcher, at now: Instant) {
        let editions = monitor.picture(of: channel, for: watcher, at: now)
        guard !editions.isEmpty else { return }
        watcher.note(.picture(channel), offset: monitor.offset + 1, count: editions.count)
        for edition in editions { send(edition, to: client, offset: monitor.nextOffset(), at: now) }
    }

    /// Sends one client an edition at a place in the order that is its own.
    func send(_ edition: Edition, to client: SocketClient, offset: UInt64, at now: Instant) {
        let bare = edition.text(omittingOffset: true, context)
        let text = client.omitsOffset ? bare : Edition.number(bare, offset, context)
        send(text.frame, through: client, at: now)
    }

    /// Sends one client an event whose one argument `body` writes.
    func emit(
        _ name: StaticString, to client: SocketClient, offset: UInt64, at now: Instant, _ body: (inout ByteWriter) -> Void
    ) {
        context.text.removeAll()
        Edition.beginEvent(name, to: &context.text)
        body(&context.text)
        Edition.endEvent(offset: client.omitsOffset ? nil : offset, to: &context.text)
        let text = context.text.withSpan { SharedBytes(copying: $0) }
        send(EngineFrame(.text, text), through: client, at: now)
    }

    // MARK: The test mode

    /// Lets a client of the protocol's own test suite in, and gives its credentials back.
    private func admit(_ client: SocketClient, to namespace: NamespaceID, _ credentials: Span<UInt8>, at now: Instant) {
        guard client.namespaces.accept(namespace) else { return }
        let name = namespaces[namespace.place]
        let payload = SharedBytes(copying: credentials)
        let sid = SocketName(drawnFrom: &context.random).text
        tell(client, at: now) { PacketWriter.connected(namespace: name.span, sid: sid, to: &$0) }
        tell(client, at: now) { writer in
            PacketWriter.head(.event, namespace: name.span, to: &writer)
            writer.append("[\"auth\",")
            if payload.isEmpty { writer.append("{}") } else { writer.append(payload) }
            writer.append(UInt8(ascii: "]"))
        }
    }

    /// `message` comes back as `message-back`, `message-with-ack` as its acknowledgement, both with their arguments.
    private func answer(
        _ packet: Packet, _ text: Span<UInt8>, _ attachments: [SharedBytes], in namespace: NamespaceID, of client: SocketClient,
        at now: Instant
    ) {
        guard namespace.place == 0, let payload = packet.payload, let name = packet.eventName(in: context.index) else { return }
        let json = text.extracting(payload)
        let end = context.index.range(of: name).upperBound
        // From the comma behind the name on, the array's bracket included.
        let arguments = SharedBytes(copying: json.extracting(end..<json.count))
        let isBinary = !attachments.isEmpty
        if context.index.equals(name, "message", in: json) {
            tell(client, at: now) { writer in
                PacketWriter.head(isBinary ? .binaryEvent : .event, namespace: Span(), attachments: attachments.count, to: &writer)
                writer.append("[\"message-back\"")
                writer.append(arguments)
            }
        } else if context.index.equals(name, "message-with-ack", in: json), let ackID = packet.ackID {
            tell(client, at: now) { writer in
                let kind = isBinary ? PacketKind.binaryAck : .ack
                PacketWriter.head(kind, namespace: Span(), ackID: ackID, attachments: attachments.count, to: &writer)
                writer.append(UInt8(ascii: "["))
                let start = arguments.span.count > 0 && arguments.span[0] == UInt8(ascii: ",") ? 1 : 0
                writer.append(arguments[start..<arguments.count])
            }
        } else {
            return
        }
        for attachment in attachments { send(EngineFrame(.binary, attachment), through: client, at: now) }
    }
}
