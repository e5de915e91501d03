// EngineHandshake: the open packet, by which the server tells a client its session and its times. Makes no session identifier and reads
// no query. Obeys the Engine.IO protocol, revision 4, "Handshake".
public import Base
import JSON

/// How packets travel.
public enum EngineTransport: UInt8, Sendable, CaseIterable {
    /// HTTP long-polling.
    case polling
    case webSocket
}

/// The bounds and times of all sessions. Bytes are bytes, times are `TimeSpan`s.
public struct EngineSettings: Sendable {
    /// From the handshake or a pong to the next ping.
    public var pingInterval: TimeSpan
    /// From a ping to the end of a session that does not answer it.
    public var pingTimeout: TimeSpan
    /// From a session's second transport to the end of its upgrade; after it the WebSocket is closed and polling goes on.
    public var upgradeTimeout: TimeSpan
    /// One POST body, one WebSocket message, and one poll's answer unless a single message is larger.
    public var maxPayload: Int
    /// Packets in one payload: a bound on work.
    public var packetsPerPayloadMax: Int
    /// Whether a session that begins by polling is told that it may move to a WebSocket.
    public var offersUpgrade: Bool
    /// Bytes of messages that may wait for a poll, each with `EngineSession.messageOverhead` more; beyond it the session ends.
    public var queuedBytesMax: Int

    public init(
        pingInterval: TimeSpan, pingTimeout: TimeSpan, upgradeTimeout: TimeSpan, maxPayload: Int, packetsPerPayloadMax: Int,
        queuedBytesMax: Int, offersUpgrade: Bool = true
    ) {
        precondition(maxPayload > 0 && packetsPerPayloadMax > 0, "a payload has room for a packet")
        self.pingInterval = pingInterval
        self.pingTimeout = pingTimeout
        self.upgradeTimeout = upgradeTimeout
        self.maxPayload = maxPayload
        self.packetsPerPayloadMax = packetsPerPayloadMax
        self.queuedBytesMax = queuedBytesMax
        self.offersUpgrade = offersUpgrade
    }
}

/// The open packet.
public enum EngineHandshake {
    /// Appends the open packet, its digit included.
    ///
    /// - Parameters:
    ///   - sid: the session's identifier in UTF-8.
    ///   - transport: what the session begins with; only polling can be upgraded.
    public static func write(
        sid: Span<UInt8>, _ transport: EngineTransport, _ settings: EngineSettings, into writer: inout ByteWriter
    ) {
        EnginePacket.write(.open, into: &writer)
        writer.object {
            $0.member("sid", string: sid)
            $0.member("upgrades", array: {
                switch transport {
                case .polling where settings.offersUpgrade: $0.element(string: "websocket" as StaticString)
                case .polling, .webSocket: break
                }
            })
            $0.member("pingInterval", int: settings.pingInterval.milliseconds)
            $0.member("pingTimeout", int: settings.pingTimeout.milliseconds)
            $0.member("maxPayload", int: settings.maxPayload)
        }
    }
}
