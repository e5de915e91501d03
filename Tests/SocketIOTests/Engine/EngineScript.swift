// EngineScript: a session with its workspace and a hand on the clock, whose actions read as lines of text. For the tests of EngineSession.
import Base

@testable import SocketIO

/// A session under test. Times are milliseconds since its handshake; `|` stands for the byte 0x1e.
final class EngineScript {
    static let settings = EngineSettings(
        pingInterval: .milliseconds(300), pingTimeout: .milliseconds(200), upgradeTimeout: .milliseconds(100), maxPayload: 64,
        packetsPerPayloadMax: 8, queuedBytesMax: 1_000)

    let workspace: EngineWorkspace
    var session: EngineSession
    var milliseconds: Int64 = 0
    private var row: [EngineAction] = []
    private var input: [UInt8] = []

    init(_ transport: EngineTransport, _ settings: EngineSettings = EngineScript.settings, keepsHandshake: Bool = false) {
        workspace = EngineWorkspace(settings)
        session = EngineSession(transport, sid: Array("s".utf8).span, at: Instant(nanoseconds: 0), workspace)
        if !keepsHandshake { workspace.drain(into: &row) }
    }

    var now: Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    /// When the session wants to be woken, in milliseconds.
    var deadline: Int64? { session.deadline.map { $0.nanoseconds / 1_000_000 } }

    // MARK: What happens; each answers with the actions that follow

    func poll() -> [String] { attempt { session, workspace, now, _ throws(EngineError) in try session.polled(at: now, workspace) } }

    func post(_ text: String) -> [String] { post(text.utf8.map { $0 == UInt8(ascii: "|") ? 0x1e : $0 }) }

    func post(_ bytes: [UInt8]) -> [String] {
        input = bytes
        return attempt { session, workspace, now, input throws(EngineError) in try session.posted(input.span, at: now, workspace) }
    }

    func attach() -> [String] {
        attempt { session, workspace, now, _ throws(EngineError) in try session.webSocketAttached(at: now, workspace) }
    }

    func text(_ text: String) -> [String] {
        input = Array(text.utf8)
        session.received(text: input.span, at: now, workspace)
        return lines()
    }

    func binary(_ bytes: [UInt8]) -> [String] {
        input = bytes
        session.received(binary: input.span, workspace)
        return lines()
    }

    func pollLost() -> [String] {
        session.pollLost(workspace)
        return lines()
    }

    func webSocketLost() -> [String] {
        session.webSocketLost(workspace)
        return lines()
    }

    func send(_ text: String, flush: Bool = true) -> [String] { send(EngineFrame(.text, SharedBytes("4" + text)), flush: flush) }

    func send(_ bytes: [UInt8]) -> [String] { send(EngineFrame(.binary, SharedBytes(bytes)), flush: true) }

    private func send(_ frame: EngineFrame, flush: Bool) -> [String] {
        session.send(frame, workspace)
        if flush { session.flush(workspace) }
        return lines()
    }

    func flush() -> [String] {
        session.flush(workspace)
        return lines()
    }

    func close() -> [String] {
        session.close(at: now, workspace)
        return lines()
    }

    func abort() -> [String] {
        session.abort(workspace)
        return lines()
    }

    /// Lets the clock show `milliseconds`.
    func advance(_ milliseconds: Int64) -> [String] {
        self.milliseconds = milliseconds
        session.advance(to: now, workspace)
        return lines()
    }

    // MARK: Actions as text

    private func attempt(
        _ body: (inout EngineSession, EngineWorkspace, Instant, [UInt8]) throws(EngineError) -> Void
    ) -> [String] {
        do throws(EngineError) {
            try body(&session, workspace, now, input)
            return lines()
        } catch { return lines() + ["refused \(error)"] }
    }

    func lines() -> [String] {
        workspace.drain(into: &row)
        return row.map { action in
            switch action {
            case .deliver(let message): "deliver " + describe(message.kind, bytes(of: message))
            case .answerPoll(let bytes): "answer " + bytes.description.map { $0 == "\u{1e}" ? "|" : String($0) }.joined()
            case .send(let frame): "send " + describe(frame.kind, frame.bytes)
            case .closeWebSocket: "close WebSocket"
            case .ended(let cause): "ended \(cause)"
            }
        }
    }

    private func bytes(of message: EngineMessage) -> SharedBytes {
        let input = input
        switch message.place {
        case .received: return SharedBytes(copying: input.span.extracting(message.range))
        case .decoded: return workspace.withDecoded { SharedBytes(copying: $0.extracting(message.range)) }
        }
    }

    private func describe(_ kind: EngineFrame.Kind, _ bytes: SharedBytes) -> String {
        switch kind {
        case .text: bytes.description
        case .binary: (0..<bytes.count).map { "\(bytes.span[$0])" }.joined(separator: " ")
        }
    }
}
