// MonitorMessage: the few words of document E's run: what a client of Engine.IO (revision 4) and Socket.IO (revision 5) says to hear all
// of the fleet's events, and what it hears. An activity carries its own number and the time at which it was sent in its `extra_data`,
// whose bytes go through a server unchanged. Not a JSON reader: it looks for members as a server without white space writes them.
//
// Cost: an event is known by its name and read from its end, so that some 130 of its 300 bytes are looked at, about 150 ns.

public import Base

/// What the clients of a monitor run say and hear.
public enum MonitorMessage {
    /// What a server says to a client, one packet.
    public enum FromServer: Equatable, Sendable {
        /// The session is open; its name lies in this range.
        case opened(session: Range<Int>)
        /// The client is in the fleet's namespace.
        case connected
        /// The client hears everything from here on.
        case subscribed
        /// An activity of a run.
        case activity(Stamp)
        /// Any other event: figures, models, an activity that no run posted.
        case event
        /// To be answered by a pong.
        case ping
        /// The session is over, or the server did not do what was asked.
        case refused
        /// Nothing that a client answers or counts.
        case other
    }

    /// What tells one activity from another.
    public struct Stamp: Equatable, Sendable {
        /// The activity's number in the run.
        public var number: Int
        /// When it was sent, in nanoseconds. Tells activities of earlier runs from those of this one, too.
        public var sentAt: UInt64

        public init(number: Int, sentAt: UInt64) {
            self.number = number
            self.sentAt = sentAt
        }
    }

    /// Path and query of a WebSocket client's handshake, and of a polling client's.
    public static let webSocketPath = "/socket.io/?EIO=4&transport=websocket"
    public static let pollingPath = "/socket.io/?EIO=4&transport=polling"

    /// What a client sends: it enters the namespace, wants all events, answers a ping, and ends its session.
    public static let connect = Array("40".utf8)
    public static let subscribe = Array(#"42["subscribe_all"]"#.utf8)
    public static let pong = Array("3".utf8)
    public static let close = Array("1".utf8)

    /// What separates the packets of an answer to a poll.
    private static let separator: UInt8 = 0x1e

    private static let session = Array("\"sid\":\"".utf8)
    private static let event = Array("42[\"".utf8)
    private static let activity = Array("42[\"activity_stream\",".utf8)
    private static let subscribed = Array("42[\"subscribed\",".utf8)
    private static let error = Array("42[\"error\",".utf8)
    private static let refusal = Array("44".utf8)
    private static let stamp = Array("\"extra_data\":{\"n\":".utf8)
    private static let time = Array(",\"t\":".utf8)

    /// All of a stamp lies within so many bytes from the packet's end.
    private static let stampBytesMax = 112

    /// Reads a packet.
    public static func read(_ packet: Span<UInt8>) -> FromServer {
        guard packet.count > 0 else { return .other }
        switch packet[0] {
        case UInt8(ascii: "0"): return sessionName(in: packet).map { .opened(session: $0) } ?? .refused
        case UInt8(ascii: "1"): return .refused
        case UInt8(ascii: "2"): return .ping
        case UInt8(ascii: "4"): break
        default: return .other
        }
        guard packet.hasPrefix(event) else {
            if packet.hasPrefix(connect) { return .connected }
            return packet.hasPrefix(refusal) ? .refused : .other
        }
        if packet.hasPrefix(activity) { return read(activity: packet) }
        if packet.hasPrefix(subscribed) { return .subscribed }
        return packet.hasPrefix(error) ? .refused : .event
    }

    private static func read(activity packet: Span<UInt8>) -> FromServer {
        let start = max(0, packet.count - stampBytesMax)
        guard let place = packet.firstIndex(of: stamp, from: start), let number = packet.decimal(at: place + stamp.count),
            let timePlace = packet.firstIndex(of: time, from: place), let time = packet.decimal(at: timePlace + time.count)
        else { return .event }
        return .activity(Stamp(number: number, sentAt: UInt64(time)))
    }

    private static func sessionName(in packet: Span<UInt8>) -> Range<Int>? {
        guard let place = packet.firstIndex(of: session) else { return nil }
        let start = place + session.count
        var end = start
        while end < packet.count, packet[end] != UInt8(ascii: "\"") { end += 1 }
        return end < packet.count && end > start ? start..<end : nil
    }

    /// Hands on the packets of an answer to a poll, one by one.
    public static func forEachPacket(in payload: Span<UInt8>, _ take: (Span<UInt8>) -> Void) {
        var start = 0
        for index in 0..<payload.count where payload[index] == separator {
            take(payload.extracting(start..<index))
            start = index + 1
        }
        if start < payload.count { take(payload.extracting(start...)) }
    }

    /// Appends the body of a request that posts an activity, of which the server makes an event.
    /// - Parameter words: What the activity says, to make it long; at least one, without quotes and backslashes.
    public static func appendActivity(_ stamp: Stamp, words: Span<UInt8>, to output: inout ByteWriter) {
        output.append("{\"activity_type\":\"user_operation\",\"message\":\"")
        output.append(words)
        output.append("\",\"extra_data\":{\"n\":")
        output.append(decimal: stamp.number)
        output.append(",\"t\":")
        output.append(decimal: Int(clamping: stamp.sentAt))
        output.append("}}")
    }

    /// The value of a counter on the page of figures; nil when it is not there.
    /// - Parameter name: In full, without labels.
    public static func counter(_ name: String, in page: Span<UInt8>) -> Int? {
        let line = Array("\n\(name) ".utf8)
        return page.firstIndex(of: line).flatMap { page.decimal(at: $0 + line.count) }
    }
}
