// EngineIOCheck: no bytes make a packet, a payload or a session trap; packets lie in their payload in order; a payload that was written
// is read as the same; a session ends once and is silent then, and what waits for a poll stays within its bound.
import Base
import SocketIO

private let settings = EngineSettings(
    pingInterval: .milliseconds(30), pingTimeout: .milliseconds(20), upgradeTimeout: .milliseconds(10), maxPayload: 1 << 10,
    packetsPerPayloadMax: 32, queuedBytesMax: 1 << 11)

func checkEngineIO(_ input: FuzzInput) {
    read(input.bytes)
    var life = Life(input.choice & 0x80 == 0 ? .polling : .webSocket)
    for message in input.messages { life.happens(message) }
}

/// Reads a payload, and what was written of it again.
private func read(_ payload: [UInt8]) {
    var reader = EnginePayloadReader(packetsMax: settings.packetsPerPayloadMax)
    var again = ByteWriter()
    var contents: [[UInt8]] = []
    var end = 0
    do {
        while let item = try reader.next(payload.span) {
            let range =
                switch item {
                case .packet(let packet): packet.content
                case .binary(let base64): base64
                }
            require(range.lowerBound > end - 1 && range.upperBound <= payload.count, "\(range) behind \(end) of \(payload.count)")
            end = range.upperBound
            guard case .packet(let packet) = item, packet.kind == .message else { continue }
            let bytes = Array(payload[packet.content])
            contents.append(bytes)
            EnginePayload.write(EngineFrame(.text, SharedBytes([EnginePacket.Kind.message.rawValue] + bytes)), into: &again)
        }
    } catch {
        return
    }
    guard !contents.isEmpty else { return }
    let written = array(again.span)
    var second = EnginePayloadReader(packetsMax: settings.packetsPerPayloadMax)
    do {
        for content in contents {
            guard case .packet(let packet) = try second.next(written.span), packet.kind == .message else {
                fatalError("a message that was written is none")
            }
            require(Array(written[packet.content]) == content, "a message that was written is read as another")
        }
    } catch {
        fatalError("a payload that was written cannot be read: \(error)")
    }
}

/// A session, and whatever happens to it.
private struct Life {
    private let workspace = EngineWorkspace(settings)
    private var session: EngineSession
    private var now = Instant(nanoseconds: 0)
    private var row: [EngineAction] = []
    private var isOver = false
    /// What the largest message counted for: one that is larger than all may waits alone.
    private var largest = 0

    init(_ transport: EngineTransport) {
        session = EngineSession(transport, sid: Span(), at: now, workspace)
        settle([])
    }

    /// The first byte says what, the others are what comes.
    mutating func happens(_ piece: [UInt8]) {
        let bytes = Array(piece.dropFirst())
        do {
            switch (piece.first ?? 0) % 11 {
            case 0, 1: try session.posted(bytes.span, at: now, workspace)
            case 2, 3: session.received(text: bytes.span, at: now, workspace)
            case 4: session.received(binary: bytes.span, workspace)
            case 5: try session.polled(at: now, workspace)
            case 6: try session.webSocketAttached(at: now, workspace)
            case 7: session.pollLost(workspace)
            case 8:
                largest = max(largest, bytes.count + EngineSession.messageOverhead)
                session.send(EngineFrame(.binary, SharedBytes(bytes)), workspace)
            case 9:
                now = now + .milliseconds(Int64(bytes.first ?? 0) % 40)
                session.advance(to: now, workspace)
            default: if bytes.count % 8 == 0 { session.close(at: now, workspace) } else { session.flush(workspace) }
            }
        } catch {
            require(!error.sentence.description.isEmpty, "an error without words")
        }
        settle(bytes)
    }

    private mutating func settle(_ bytes: [UInt8]) {
        workspace.drain(into: &row)
        for action in row {
            switch action {
            case .deliver(let message):
                switch message.place {
                case .received: require(message.range.upperBound <= bytes.count, "a message beyond the bytes")
                case .decoded: workspace.withDecoded { require(message.range.upperBound <= $0.count, "a message beyond what was decoded") }
                }
            case .answerPoll(let text): require(!text.isEmpty, "an empty answer")
            case .send, .closeWebSocket: break
            case .ended:
                require(!isOver, "it ended twice")
                isOver = true
            }
        }
        require(session.queuedBytes <= max(settings.queuedBytesMax, largest), "\(session.queuedBytes) bytes wait")
        require((session.deadline == nil) == isOver && (session.transport == nil) == isOver, "over and not over")
    }
}
