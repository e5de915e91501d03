// SocketPeer: a stock client of Socket.IO in a test: speaks by either transport, keeps a poll open, answers pings, gathers what it is told.
// Judges nothing beyond the form of what comes. Beside it: the words that transcripts about Socket.IO have in common.
import Base
import Domain
import Testing

@testable import Gateway

final class SocketPeer {
    enum Way: CaseIterable { case polling, webSocket }

    /// An event as the fleet's namespace tells it.
    struct Event: Equatable {
        let name: String
        /// The argument, as JSON.
        let argument: String
        let offset: UInt64?
    }

    let network: FakeNetwork
    let way: Way
    private var poll: FakeNetwork.Link
    private var socket: FakeNetwork.Link?
    private var unread: [UInt8] = []
    private var frames: [UInt8] = []
    private(set) var sid = ""
    private(set) var name = ""
    private(set) var pid: String?
    /// Everything behind the handshake, in order, pings and noops left out.
    private(set) var packets: [String] = []
    private(set) var events: [Event] = []
    /// Statuses of refused requests.
    private(set) var refusals: [Int] = []
    private(set) var isOver = false
    private(set) var pings = 0
    private var isPolling = false
    /// Whether a poll is sent as soon as the one before is answered.
    var keepsPolling = true
    var answersPings = true

    /// The greatest offset that it was told.
    var offset: UInt64? { events.compactMap(\.offset).last }

    /// - Parameter query: what stands before the transport's name; `EIO=4` alone for a stock client of JavaScript.
    init(_ network: FakeNetwork, _ way: Way, omitsOffset: Bool = false, fields: String = "", query: String = "") throws {
        self.network = network
        self.way = way
        let word = way == .polling ? "polling" : "websocket"
        let target = "/socket.io/?" + (omitsOffset ? "transport=\(word)&EIO=4" : "EIO=4&transport=\(word)") + query
        poll = network.open()
        switch way {
        case .polling:
            network.send(Stage.request("GET \(target) \(fields)").bytes, on: poll)
            unread += poll.takeOutput()
            guard let reply = try Wire.reply(&unread, isHead: false), reply.status == 200 else { throw MalformedReply("no handshake") }
            sid = SocketPeer.value("sid", in: reply.body) ?? ""
        case .webSocket:
            try open(target, fields)
            guard let frame = try Wire.frame(&frames) else { throw MalformedReply("no handshake") }
            sid = SocketPeer.value("sid", in: try Wire.describe(frame, nil)) ?? ""
        }
    }

    private func open(_ target: String, _ fields: String = "") throws {
        let link = network.open()
        network.send(Stage.request("GET \(target) \(SocketPeer.upgrade)\(fields)").bytes, on: link)
        frames += link.takeOutput()
        guard let reply = try Wire.reply(&frames, isHead: false), reply.status == 101 else { throw MalformedReply("no WebSocket") }
        socket = link
    }

    static let upgrade = """
        [Upgrade: websocket] [Connection: Upgrade] [Sec-WebSocket-Version: 13] [Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]
        """

    private static func value(_ key: String, in text: String) -> String? {
        text.components(separatedBy: "\"\(key)\":\"").dropFirst().first.map { String($0.prefix { $0 != "\"" }) }
    }

    private var target: String { "/socket.io/?EIO=4&transport=polling&sid=\(sid)" }

    // MARK: What it says

    /// Enters the fleet's namespace.
    @discardableResult
    func connect(_ payload: String = "") throws -> SocketPeer {
        try say("40\(payload)")
        guard let answer = packets.first(where: { $0.hasPrefix("40{") }) else { return self }
        name = SocketPeer.value("sid", in: answer) ?? ""
        pid = SocketPeer.value("pid", in: answer)
        return self
    }

    func subscribe(_ channels: String...) throws { for channel in channels { try say("42[\"subscribe_\(channel)\"]") } }
    func unsubscribe(_ channels: String...) throws { for channel in channels { try say("42[\"unsubscribe_\(channel)\"]") } }

    /// Sends a packet, and hears what comes of it.
    func say(_ packet: String) throws {
        if let socket {
            network.send(Wire.frame(1, Array(packet.utf8)), on: socket)
        } else {
            let link = network.open()
            network.send(Stage.request("POST \(target) [Content-Type: text/plain] \(packet)").bytes, on: link)
            var bytes = link.takeOutput()
            guard let reply = try Wire.reply(&bytes, isHead: false) else { throw MalformedReply("a POST without an answer") }
            if reply.status != 200 { refusals.append(reply.status) }
            network.leave(link)
        }
        try listen()
    }

    /// Sends a packet over its WebSocket, and hears nothing.
    func shout(_ packet: String) {
        if let socket { network.send(Wire.frame(1, Array(packet.utf8)), on: socket) }
    }

    // MARK: What it hears

    /// Hears what has come, and polls on.
    func listen() throws {
        if let socket { try hear(socket) }
        while socket == nil, !isOver {
            unread += poll.takeOutput()
            while let reply = try Wire.reply(&unread, isHead: false) {
                isPolling = false
                guard reply.status == 200 else {
                    refusals.append(reply.status)
                    isOver = true
                    return
                }
                for packet in reply.body.components(separatedBy: "\u{1e}") { try take(packet) }
            }
            guard !isPolling, keepsPolling, !isOver else { return }
            try beginPoll()
        }
    }

    private func beginPoll() throws {
        if poll.state != .open { poll = network.open() }
        isPolling = true
        network.send(Stage.request("GET \(target)").bytes, on: poll)
    }

    private func hear(_ socket: FakeNetwork.Link) throws {
        frames += socket.takeOutput()
        while let frame = try Wire.frame(&frames) {
            let text = try Wire.describe(frame, nil)
            if text.hasPrefix("close") { isOver = true } else { try take(text) }
        }
        if socket.state != .open { isOver = true }
    }

    private func take(_ packet: String) throws {
        switch packet {
        case "2":
            pings += 1
            if answersPings { try say("3") }
        case "6": break
        case "1": isOver = true
        default:
            packets.append(packet)
            if packet.hasPrefix("42[\"") { events.append(SocketPeer.event(packet)) }
        }
    }

    /// Takes `42["name",{…},"7"]` apart.
    static func event(_ packet: String) -> Event {
        let rest = packet.dropFirst(4)
        let name = String(rest.prefix { $0 != "\"" })
        var argument = rest.dropFirst(name.count + 1).dropLast()
        if argument.hasPrefix(",") { argument = argument.dropFirst() }
        var offset: UInt64?
        if argument.hasSuffix("\""), let start = argument.lastIndex(of: ","), argument[..<start].hasSuffix("}") {
            offset = UInt64(argument[start...].dropFirst(2).dropLast())
            argument = argument[..<start]
        }
        return Event(name: name, argument: String(argument), offset: offset)
    }

    func take() -> [Event] {
        defer { events = [] }
        return events
    }

    func forgetPackets() { packets = [] }

    // MARK: Transports

    /// Moves to a WebSocket as stock clients do: probes, lets the poll come back, confirms.
    func upgrade(meanwhile body: () throws -> Void = {}) throws {
        try open("/socket.io/?EIO=4&transport=websocket&sid=\(sid)")
        guard let link = socket else { return }
        socket = nil
        try body()
        network.send(Wire.frame(1, Array("2probe".utf8)), on: link)
        frames += link.takeOutput()
        guard let frame = try Wire.frame(&frames), try Wire.describe(frame, nil) == "3probe" else { throw MalformedReply("no probe") }
        keepsPolling = false
        try listen()
        guard !isPolling else { throw MalformedReply("the poll stays open behind the probe") }
        try body()
        network.send(Wire.frame(1, Array("5".utf8)), on: link)
        socket = link
        try listen()
    }

    /// The network between the two breaks.
    ///
    /// - Parameter unheard: whether what the server sent last is lost on the way.
    func cut(unheard: Bool = false) throws {
        if !unheard { try listen() }
        _ = socket?.takeOutput()
        _ = poll.takeOutput()
        if let socket { network.leave(socket, .broken(errno: 104)) }
        network.leave(poll, .broken(errno: 104))
        isOver = true
        isPolling = false
    }
}

// MARK: What happens

extension FakeNetwork {
    /// The server is asked to do this, and what comes of it is sent.
    func act(_ body: (Server, Moment) throws -> Void) rethrows {
        try body(server, server.context.moment(now))
        server.timersDue(at: now)
        pump()
    }

    /// What the server wants done outside, as words.
    func errands() -> [String] {
        var errands: [Errand] = []
        server.takeErrands(into: &errands)
        return errands.map { errand in
            switch errand {
            case .sample: "sample"
            case .connect(let probe): "probe \(probe.deployment)"
            }
        }
    }

    /// The machine's figures come.
    ///
    /// - Parameter gpus: how busy they are.
    func sample(memory: Double = 50, gpus: [Double] = []) {
        let gigabyte: UInt64 = 1 << 30
        let total = 100 * gigabyte
        server.sampled(
            ResourceSample(
                processor: ResourceSample.Processor(usage: 45.2, cores: 8, frequency: 3_200),
                memory: ResourceSample.Space(total: total, available: UInt64((100 - memory) * Double(gigabyte))),
                disk: ResourceSample.Space(total: total, available: 90 * gigabyte), 
                gpus: gpus.isEmpty ? nil : gpus.enumerated().map {
                    GPU(id: $0.offset, name: SharedBytes("gpu"), usage: $0.element, memoryUsage: 0, temperature: 40)
                },
                network: ResourceSample.Network(bytesSent: 1, bytesReceived: 2, packetsSent: 3, packetsReceived: 4)),
            at: now)
        pump()
    }

    @discardableResult
    func note(_ message: String, of owner: String? = nil) -> String {
        var id = ""
        act { server, moment in
            id = server.context.monitor.note(
                ActivityDraft(kind: .userOperation, message: SharedBytes(message), owner: owner.map { SharedBytes($0) }), at: moment
            ).id.description
        }
        return id
    }

    /// A deployment of which nobody says where it is.
    func deploy(_ id: String, starts: Bool = true) throws {
        try act { server, moment in
            let form = Deployment.Form(modelID: SharedBytes("m"), name: SharedBytes("m"), startTimeout: .seconds(30))
            _ = try server.context.monitor.register(form, id: SharedBytes(id), starts: starts, by: nil, at: moment)
        }
    }
}

// MARK: Words of transcripts

enum SocketWords {
    static let path = "/socket.io/?EIO=4&transport=polling"
    static let times = #""pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000"#

    /// A session by polling begins.
    static func polling(_ peer: String, _ sid: String, _ path: String = path) -> String {
        """
        \(peer) > GET \(path)
        \(peer) < 200 [Content-Type: text/plain; charset=UTF-8] 0{"sid":"$\(sid)","upgrades":["websocket"],\(times)}

        """
    }

    static func poll(_ peer: String, _ sid: String, _ path: String = path) -> String { "\(peer) > GET \(path)&sid=$\(sid)\n" }

    static func post(_ peer: String, _ sid: String, _ body: String, _ path: String = path) -> String {
        """
        \(peer) > POST \(path)&sid=$\(sid) [Content-Type: text/plain;charset=UTF-8] \(body)
        \(peer) < 200 [Content-Type: text/html] ok

        """
    }

    /// A session by polling that is in the main namespace.
    static func inside(_ peer: String, _ sid: String) -> String {
        polling(peer, sid) + post(peer, sid, "40") + poll(peer, sid) + "\(peer) < 200 40{\"sid\":\"$\(sid)name\",\"pid\":\"$\(sid)pid\"}\n"
    }

    static func webSocket(_ peer: String, _ sid: String, _ target: String = "/socket.io/?EIO=4&transport=websocket") -> String {
        """
        \(peer) upgrades \(target)
        \(peer) < 0{"sid":"$\(sid)","upgrades":[],\(times)}

        """
    }

    /// A session by WebSocket that is in the main namespace.
    static func entered(_ peer: String, _ sid: String) -> String {
        webSocket(peer, sid) + """
            \(peer) > 40
            \(peer) < 40{"sid":"$\(sid)name","pid":"$\(sid)pid"}

            """
    }

    static func subscribed(_ event: String, _ title: String, _ name: String, _ offset: Int) -> String {
        """
        42["subscribed",{"event_type":"\(event)","message":"\(title) subscription successful","session_id":"client_$\(name)"},"\(offset)"]
        """
    }
}
