// EngineSession+Input: what clients send, and what becomes of it: polls, POST bodies, WebSocket messages, and transports that come and go.
// A request that breaks a rule of the session is refused; a payload that breaks one of the protocol ends the session besides.
// Obeys the Engine.IO protocol, revision 4, "Transports", "Upgrade" and "Heartbeat".
public import Base

extension EngineSession {
    // MARK: HTTP long-polling

    /// A poll came (GET). It stays open until an `answerPoll` among these or later actions.
    ///
    /// - Throws: `concurrentPoll`, which ends the session and answers the poll before with a close packet; `pollingAfterUpgrade`;
    ///   `sessionEnded`.
    public mutating func polled(at now: Instant, _ workspace: EngineWorkspace) throws(EngineError) {
        switch state {
        case .polling(let poll), .attached(let poll, _):
            switch poll {
            case .open:
                end(.violation(.concurrentPoll), workspace)
                throw .concurrentPoll
            case .absent: break
            }
            // The timer may come after the poll that it would have refused.
            if isGone(at: now) {
                end(.pingTimeout, workspace)
                throw .sessionEnded
            }
            if case .attached(_, let until) = state {
                state = .attached(.open, until: until)
            } else {
                state = .polling(.open)
            }
            flush(workspace)
        case .probed: answerPoll(workspace)
        case .webSocket: throw .pollingAfterUpgrade
        case .closing: answerLastPoll(workspace)
        case .ended: throw .sessionEnded
        }
    }

    /// The connection of the open poll is gone, and the session with it: nobody can tell what of the last answers came through. The
    /// official test suite asks for it.
    public mutating func pollLost(_ workspace: EngineWorkspace) {
        guard hasOpenPoll else { return }
        switch state {
        case .polling: state = .polling(.absent)
        case .attached(_, let until): state = .attached(.absent, until: until)
        case .probed, .webSocket, .closing, .ended: break
        }
        end(.transportLost, workspace)
    }

    /// A payload came (POST), whole. Where this returns, answer it with `ok`.
    ///
    /// A payload is taken whole or not at all: nothing of a malformed one is delivered.
    ///
    /// - Throws: what is wrong with the payload, which ends the session; `pollingAfterUpgrade`; `sessionEnded`.
    public mutating func posted(_ body: Span<UInt8>, at now: Instant, _ workspace: EngineWorkspace) throws(EngineError) {
        switch state {
        case .polling, .attached, .probed: break
        case .webSocket: throw .pollingAfterUpgrade
        // Nobody listens any more.
        case .closing: return
        case .ended: throw .sessionEnded
        }
        do throws(EngineError) {
            try EngineSession.check(body, workspace)
            try take(body, at: now, workspace)
        } catch {
            end(.violation(error), workspace)
            throw error
        }
    }

    /// Checks all of a payload, and decodes its binary messages.
    private static func check(_ body: Span<UInt8>, _ workspace: EngineWorkspace) throws(EngineError) {
        workspace.decoded.removeAll(retaining: workspace.settings.maxPayload)
        guard body.count <= workspace.settings.maxPayload else { throw .payloadTooLarge }
        guard UTF8Validator.isValid(body) else { throw .invalidUTF8 }
        var reader = EnginePayloadReader(packetsMax: workspace.settings.packetsPerPayloadMax)
        while let item = try reader.next(body) {
            switch item {
            case .packet(let packet): try expect(packet)
            case .binary(let base64): try EngineBase64.decode(body, base64, into: &workspace.decoded)
            }
        }
    }

    /// Which packets a client may send outside of an upgrade. The heartbeat goes from server to client since revision 4.
    private static func expect(_ packet: EnginePacket) throws(EngineError) {
        switch packet.kind {
        case .message, .pong, .close, .noop: break
        case .open, .ping, .upgrade: throw .unexpectedPacket
        }
    }

    /// Takes a payload that was checked.
    private mutating func take(_ body: Span<UInt8>, at now: Instant, _ workspace: EngineWorkspace) throws(EngineError) {
        var reader = EnginePayloadReader(packetsMax: workspace.settings.packetsPerPayloadMax)
        var decoded = 0
        while let item = try reader.next(body) {
            switch item {
            case .packet(let packet):
                take(packet, at: now, workspace)
                // What follows a close packet does not count.
                if case .ended = state { return }
            case .binary(let base64):
                guard let count = EngineBase64.decodedCount(body, base64) else { throw .invalidBase64 }
                workspace.actions.append(.deliver(EngineMessage(.binary, .decoded, decoded..<(decoded + count))))
                decoded += count
            }
        }
    }

    private mutating func take(_ packet: EnginePacket, at now: Instant, _ workspace: EngineWorkspace) {
        switch packet.kind {
        case .message: workspace.actions.append(.deliver(EngineMessage(.text, .received, packet.content)))
        case .pong:
            switch heartbeat {
            case .awaiting: heartbeat = .resting(pingAt: now + workspace.settings.pingInterval)
            // Nobody asked: it must not put the ping off.
            case .resting, .owed: break
            }
        case .close: end(.closedByClient, workspace)
        case .open, .ping, .upgrade, .noop: break
        }
    }

    // MARK: WebSocket

    /// A WebSocket names this session.
    ///
    /// - Throws: `secondWebSocket`, `sessionEnded`: close that WebSocket; the session is as it was.
    public mutating func webSocketAttached(at now: Instant, _ workspace: EngineWorkspace) throws(EngineError) {
        switch state {
        case .polling(let poll): state = .attached(poll, until: now + workspace.settings.upgradeTimeout)
        case .attached, .probed, .webSocket: throw .secondWebSocket
        case .closing, .ended: throw .sessionEnded
        }
    }

    /// A text message came over the session's WebSocket. Its UTF-8 is checked already (RFC 6455 §8.1).
    public mutating func received(text: Span<UInt8>, at now: Instant, _ workspace: EngineWorkspace) {
        switch state {
        case .attached:
            guard EngineSession.isProbe(text) else { return dropCandidate(workspace) }
            workspace.actions.append(.send(.probeAnswer))
            // The client completes the upgrade only when its poll has come back.
            if hasOpenPoll { answerPoll(workspace) }
            state = .probed(until: now + workspace.settings.upgradeTimeout)
        case .probed:
            guard text.count == 1, text[0] == EnginePacket.Kind.upgrade.rawValue else { return dropCandidate(workspace) }
            moveToWebSocket(workspace)
        case .webSocket:
            do throws(EngineError) {
                guard text.count <= workspace.settings.maxPayload else { throw .payloadTooLarge }
                let packet = try EnginePacket.read(text)
                try EngineSession.expect(packet)
                take(packet, at: now, workspace)
            } catch {
                end(.violation(error), workspace)
            }
        // Sent before the client saw that its WebSocket is closed.
        case .polling, .closing, .ended: break
        }
    }

    /// A binary message came over the session's WebSocket.
    public mutating func received(binary: Span<UInt8>, _ workspace: EngineWorkspace) {
        switch state {
        case .attached, .probed: dropCandidate(workspace)
        case .webSocket:
            guard binary.count <= workspace.settings.maxPayload else { return end(.violation(.payloadTooLarge), workspace) }
            workspace.actions.append(.deliver(EngineMessage(.binary, .received, 0..<binary.count)))
        case .polling, .closing, .ended: break
        }
    }

    /// The session's WebSocket is gone.
    public mutating func webSocketLost(_ workspace: EngineWorkspace) {
        switch state {
        case .attached, .probed: candidateGone()
        case .webSocket: end(.transportLost, workspace)
        case .polling, .closing, .ended: break
        }
    }

    private static func isProbe(_ text: Span<UInt8>) -> Bool {
        let probe: InlineArray<6, UInt8> = [0x32, 0x70, 0x72, 0x6f, 0x62, 0x65]
        guard text.count == probe.count else { return false }
        for index in 0..<probe.count where text[index] != probe[index] { return false }
        return true
    }
}
