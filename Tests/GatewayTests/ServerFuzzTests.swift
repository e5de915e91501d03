// Goal: chance against the whole machine: nearly right requests and frames on many connections, which end whenever they like, with jobs
// that come home in any order and clocks that jump: nothing traps, what the server says stays well-formed, and nothing grows or stays.
import Base
import Domain
import SocketIO
import TestSupport
import Testing

@testable import Gateway
@testable import WebSockets

/// A peer that reads what it gets by the rules, without knowing what it should have got.
private final class Listener {
    let link: FakeNetwork.Link
    /// Whether it sends whole and valid requests alone, each of which is owed an answer.
    let isHonest: Bool
    var requests = 0
    private(set) var replies = 0
    private var unread: [UInt8] = []
    private var isWebSocket = false
    private var isOver = false
    private var inflater: InflateContext?
    /// Sessions of Engine.IO that were spoken of, and what clients of Socket.IO come back with.
    private(set) var sessions: [String] = []
    private(set) var secrets: [String] = []

    init(_ link: FakeNetwork.Link, isHonest: Bool) {
        self.link = link
        self.isHonest = isHonest
    }

    private var wasSlow = false

    func stall() {
        link.stalls = true
        wasSlow = true
    }

    /// - Parameter bytes: how many it takes in one turn.
    func take(_ bytes: Int) {
        link.takes = bytes
        wasSlow = wasSlow || bytes < .max
    }

    /// - Returns: the tasks that were spoken of.
    func listen() throws(MalformedReply) -> [String] {
        unread += link.takeOutput()
        var tasks: [String] = []
        while !unread.isEmpty {
            let text: String
            if isWebSocket {
                guard let frame = try Wire.frame(&unread) else { break }
                if isOver { throw MalformedReply("a frame behind the close frame") }
                text = try Wire.describe(frame, inflater)
                if frame.first & 0x0f == 8 { isOver = true }
            } else {
                guard let reply = try Wire.reply(&unread, isHead: false) else { break }
                if isOver { throw MalformedReply("a response behind the last one") }
                text = reply.body
                if reply.status == 101 {
                    isWebSocket = true
                    if reply.field("Sec-WebSocket-Extensions") != nil { inflater = InflateContext(windowBits: 15) }
                } else if reply.status >= 200 {
                    replies += 1
                    isOver = reply.field("Connection") == "close"
                }
            }
            if let part = text.components(separatedBy: "\"taskId\":\"").dropFirst().first { tasks.append(String(part.prefix(36))) }
            if text.hasPrefix("0{"), let part = text.components(separatedBy: "\"sid\":\"").dropFirst().first {
                sessions.append(String(part.prefix(32)))
            }
            for part in text.components(separatedBy: "\"pid\":\"").dropFirst() { secrets.append(String(part.prefix(32))) }
        }
        return tasks
    }

    func takeNames() -> (sessions: [String], secrets: [String]) {
        defer { (sessions, secrets) = ([], []) }
        return (sessions, secrets)
    }

    /// What it was promised and did not get.
    var debt: String? {
        // Who reads too slowly may be cut off in the middle.
        if !wasSlow, link.state != .endedByPeer, !unread.isEmpty { return "half a reply at the end: \(unread.count) bytes" }
        if isHonest, link.state != .endedByPeer, replies != requests { return "\(replies) replies to \(requests) requests" }
        return nil
    }
}

/// What peers say, right and nearly right.
private struct Babble {
    var random: Seeded
    var tasks: [String] = ["none"]
    var sessions: [String] = ["0123456789abcdef0123456789abcdef"]
    var secrets: [String] = ["0123456789abcdef0123456789abcdef"]

    mutating func pick<Element>(_ list: [Element]) -> Element { list[Int.random(in: 0..<list.count, using: &random)] }
    mutating func chance(_ outOf: Int) -> Bool { Int.random(in: 0..<outOf, using: &random) == 0 }

    mutating func request() -> [UInt8] {
        if chance(2) { return socketRequest() }
        let size = pick([1, 10, 150, 300, 2_000])
        let text = pick([
            "GET /healthz", "GET /readyz", "GET /metrics", "GET /api/task/\(pick(tasks))", "POST /api/task/\(pick(tasks))/cancel",
            "GET /nowhere?a=b", "OPTIONS /ws", "DELETE /ws",
            "POST /api/openai {\"data\":{\"x\":\"\(String(repeating: "y", count: size))\"},\"timeout\":5000,\"retries\":1}",
            "POST /api/openai {\"messages\":[{\"a\":[1,2]}],\"async\":true,\"model\":\"m\",\"priority\":\"high\"}",
            "POST /api/openai [Idempotency-Key: k\(Int.random(in: 0..<4, using: &random))] {\"data\":{}}",
            "POST /api/openai {\"data\":{},\"group\":\"g\",\"idempotencyKey\":\"\"}",
            "POST /api/openai [Expect: 100-continue] {\"data\":{}}", "POST /api/openai {\"data\"}", "POST /api/openai [Origin: null] {}",
        ])
        return Stage.request(text).bytes
    }

    /// A request of a session of Engine.IO.
    mutating func socketRequest() -> [UInt8] {
        let door = "/socket.io/?EIO=4&transport=polling"
        let session = door + "&sid=" + pick(sessions)
        var packets: [String] = []
        for _ in 0..<Int.random(in: 1...3, using: &random) { packets.append(socketPacket()) }
        let text = pick([
            "GET \(door)", "GET \(door)", "GET /socket.io/?transport=polling&EIO=4", "GET \(session)", "GET \(session)",
            "POST \(session) \(packets.joined(separator: "\u{1e}"))", "POST \(session) \(packets.joined(separator: "\u{1e}"))",
            "POST \(session) 40", "POST \(session)", "POST \(session) @", "PUT \(session)", "OPTIONS \(door)", "GET \(door) [Origin: null]",
            "GET /socket.io/?EIO=3&transport=polling", "POST /api/activities {\"activity_type\":\"user_operation\",\"message\":\"m\"}",
            "POST /api/deployments {\"model_id\":\"m\",\"start\":false}", "GET /api/fleet",
        ])
        return Stage.request(text).bytes
    }

    /// What a client of Socket.IO says, right and nearly right.
    mutating func socketPacket() -> String {
        let word = pick(["system_resources", "model_status", "activity_stream", "system_alerts", "deployment_events", "all", "none"])
        return pick([
            "3", "40", "40{\"pid\":\"\(pick(secrets))\",\"offset\":\"\(pick([0, 1, 9, 99]))\"}", "40/none", "41",
            "1", "2", "2probe", "5", "6", "9", "",
            "42[\"subscribe_\(word)\"]", "42[\"subscribe_\(word)\"]", "4217[\"subscribe_\(word)\"]", "42[\"unsubscribe_\(word)\"]",
            "42[\"dance\",{}]", "42[", "451-[\"x\",{\"_placeholder\":true,\"num\":0}]", "bAQID", "b!", "44{}", "430[]",
        ])
    }

    mutating func handshake() -> [UInt8] {
        let socket = "/socket.io/?EIO=4&transport=websocket"
        let target = pick([
            "/ws", "/ws?group=g", "/ws?ready=explicit", "/echo", "/echo", "/ws?group=%00", socket, socket,
            socket + "&sid=" + pick(sessions),
        ])
        let deflate = chance(2) ? " [Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits]" : ""
        return Stage.request(
            "GET \(target) [Upgrade: websocket] [Connection: Upgrade] [Sec-WebSocket-Version: 13] "
                + "[Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]\(deflate)").bytes
    }

    mutating func frame() -> [UInt8] {
        let task = pick(tasks)
        let size = pick([1, 100, 250, 1_500, 5_000])
        if chance(2) { return socketFrame() }
        let text = pick([
            "{\"type\":\"ready\"}",
            "{\"type\":\"ready\",\"concurrency\":3,\"models\":[\"m\"]}", "{\"type\":\"ping\"}", "{\"type\":\"drain\"}",
            "{\"type\":\"task_complete\",\"taskId\":\"\(task)\",\"result\":{\"x\":\"\(String(repeating: "z", count: size))\"}}",
            "{\"type\":\"task_error\",\"taskId\":\"\(task)\",\"error\":{\"e\":1}}",
            "{\"type\":\"task_progress\",\"taskId\":\"\(task)\",\"progress\":1e9,\"message\":\"\\u00e9\"}",
            "{\"type\":\"task_chunk\",\"taskId\":\"\(task)\"}", "[1,", String(repeating: "世", count: size / 3),
        ])
        switch Int.random(in: 0..<12, using: &random) {
        case 0: return Wire.frame(9, Array("ping".utf8))
        case 1: return Wire.frame(10, [])
        case 2: return Wire.frame(2, Array(text.utf8))
        case 3: return Wire.frame(1, Array(text.utf8.prefix(20)), isFinal: false)
        case 4: return Wire.frame(0, Array(text.utf8.prefix(20)), isFinal: chance(2))
        case 5: return chance(3) ? Wire.close(pick([1000, 1001, 1005, 4999]), "bye") : Wire.frame(1, Array(text.utf8), reserved: 0x40)
        default: return Wire.frame(1, Array(text.utf8))
        }
    }

    /// A client's part of a session that moves to its WebSocket, or lives there.
    private mutating func socketFrame() -> [UInt8] {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: Wire.frame(2, Array("binary".utf8))
        case 1: Wire.frame(1, Array("2probe".utf8)) + Wire.frame(1, Array("5".utf8))
        case 2, 3: Wire.frame(1, Array("40".utf8))
        default: Wire.frame(1, Array(socketPacket().utf8))
        }
    }

    mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: index)
            case 2: bytes.insert(pick([0, 10, 13, 32, 58, 255]), at: index)
            default: bytes.removeLast(min(bytes.count - 1, Int.random(in: 0..<20, using: &random)))
            }
        }
        return bytes
    }

    mutating func chunking() -> Chunking { pick([.whole, .whole, .seeded(random.next())] + (chance(10) ? [.byteByByte] : [])) }
}

@Suite("Chance")
struct ServerFuzzTests {
    /// Whether connections are closed that ask for more than they read; then nobody's requests are all owed an answer.
    private static func floods(_ seed: Int) -> Bool { seed % 4 == 3 }

    private static func settings(_ seed: Int) -> Settings {
        var settings = Settings(echoPath: SharedBytes("/echo"))
        settings.limits.bodyBytesMax = 4_000
        settings.limits.messageBytesMax = 4_000
        settings.limits.inlineWorkBytes = 200
        settings.limits.spliceBytesMin = 300
        settings.limits.pipelinedBytesMax = 1_000
        settings.limits.queuedBytesMax = 30_000
        settings.limits.pauseReadingBytes = floods(seed) ? 10_000 : 1 << 20
        settings.limits.queueLengthMax = 5
        settings.limits.endedBytesMax = 20_000
        settings.limits.socketPayloadMax = 3_000
        settings.limits.socketQueuedBytesMax = seed % 2 == 0 ? 4_000 : 1 << 20
        settings.limits.pollingSessionsMax = 12
        settings.limits.recoverablesMax = 6
        settings.limits.bulletinsMax = 20
        settings.deflate = [.off, DeflatePolicy(), DeflatePolicy(keepsServerContext: true, keepsClientContext: true)][seed % 3]
        return settings
    }

    @Test("seeded runs over the whole server", arguments: 0..<40)
    func whole(_ seed: Int) throws {
        var babble = Babble(random: Seeded(seed: UInt64(seed) &* 7_919 &+ 1))
        let network = FakeNetwork(Self.settings(seed), seed: UInt64(seed))
        network.pool = seed % 2 == 0 ? .holding : .eager
        var listeners: [Listener] = []
        var stops = false
        for step in 0..<400 {
            if listeners.isEmpty || listeners.count < 8 && babble.chance(6) {
                let listener = Listener(network.open(), isHonest: !Self.floods(seed) && babble.chance(4))
                if !listener.isHonest, !babble.chance(3) { network.send(babble.handshake(), on: listener.link, babble.chunking()) }
                listeners.append(listener)
            }
            let listener = babble.pick(listeners)
            switch Int.random(in: 0..<20, using: &babble.random) {
            case 0: network.leave(listener.link, babble.chance(2) ? .peerEnded : .broken(errno: 104))
            case 1:
                #expect(network.wait(.milliseconds(Int64(babble.pick([1, 500, 1_000, 3_000, 12_000, 31_000])))), "a timer spins")
            case 2, 3, 4:
                if !network.held.isEmpty { network.perform(held: Int.random(in: 0..<network.held.count, using: &babble.random)) }
            case 5:
                if !listener.isHonest { listener.stall() }
            case 6: network.read(listener.link)
            case 7:
                if !listener.isHonest { listener.take(babble.pick([1, 7, 100, .max])) }
            case _ where listener.isHonest:
                if listener.link.state == .open, !stops { listener.requests += 1 } else { break }
                network.send(babble.request(), on: listener.link, babble.chunking())
            default:
                var bytes = babble.chance(3) ? babble.request() : babble.frame()
                if babble.chance(8) { bytes = babble.mutate(bytes) }
                if babble.chance(50) { bytes = babble.handshake() }
                network.send(bytes, on: listener.link, babble.chunking())
            }
            if step == 380, seed % 5 == 0 {
                stops = true
                network.server.stop(at: network.now)
                network.pump()
            }
            for listener in listeners {
                let spokenOf = try listener.listen()
                let names = listener.takeNames()
                if !names.sessions.isEmpty { babble.sessions = Array((babble.sessions + names.sessions).suffix(6)) }
                if !names.secrets.isEmpty { babble.secrets = Array((babble.secrets + names.secrets).suffix(6)) }
                if !spokenOf.isEmpty { babble.tasks = Array((babble.tasks + spokenOf).suffix(12)) }
            }
            if babble.chance(10), network.errands().contains("sample") { network.sample(memory: babble.pick([10, 95])) }
            checkBounds(network)
            listeners.removeAll { listener in
                guard listener.link.state != .open else { return false }
                if let debt = listener.debt, !stops { Issue.record("seed \(seed), step \(step): \(debt)") }
                return true
            }
        }
        network.pool = .eager
        while !network.held.isEmpty { network.perform(held: 0) }
        for listener in listeners {
            listener.link.takes = .max
            network.read(listener.link)
        }
        // A task without a timeout of its own takes a minute, and one may wait behind the other.
        for _ in 0..<60 {
            #expect(network.wait(.seconds(62)), "a timer spins")
            for listener in listeners { _ = try listener.listen() }
            if listeners.allSatisfy({ $0.debt == nil }) { break }
        }
        for listener in listeners {
            if let debt = listener.debt, !stops { Issue.record("seed \(seed), at the end: \(debt)") }
        }
        if stops { #expect(network.server.isOver) }
        network.checkEnd()
    }

    /// What one connection may hold, times the connections; and one session.
    private func checkBounds(_ network: FakeNetwork) {
        let limits = network.limits
        let sockets = network.server.sockets
        #expect(network.server.context.metrics.pollingSessions <= limits.pollingSessionsMax)
        #expect(sockets.recovery.count <= limits.recoverablesMax && sockets.ids.count == sockets.count)
        for id in sockets.clients.keys {
            guard let client = sockets.client(id) else { continue }
            #expect(client.session.queuedBytes <= limits.socketQueuedBytesMax)
        }
        for conversation in network.server.context.allConversations {
            let queued = network.outbox.queuedBytes(conversation.id)
            let allowed = limits.queuedBytesMax + limits.pauseReadingBytes + (64 << 10)
            #expect(queued <= allowed, "\(queued) bytes wait for one connection")
            switch conversation {
            case .http(let http):
                let waiting = http.leftover.count + (http.body?.count ?? 0)
                let allowed = limits.headerBytesMax + limits.pipelinedBytesMax + limits.bodyBytesMax + 8_000
                #expect(waiting <= allowed, "\(waiting) bytes came early")
            case .webSocket(let socket):
                #expect(socket.leftoverCount <= 8_000 && socket.socket.pendingBytes <= limits.messageBytesMax)
            case .probe: break
            }
        }
    }

    @Test("the same bytes on one connection say the same, however they are cut", arguments: 0..<60)
    func cuts(_ seed: Int) {
        var babble = Babble(random: Seeded(seed: UInt64(seed) &* 104_729 &+ 5))
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...6, using: &babble.random) { bytes += babble.request() }
        if seed % 2 == 0 {
            bytes += babble.handshake()
            for _ in 0..<12 { bytes += babble.frame() }
        }
        if seed % 3 != 0 { bytes = babble.mutate(bytes) }
        var outputs: [[UInt8]] = []
        for chunking in Chunking.all {
            var settings = Self.settings(seed)
            // An answer's length does not follow from the clock here; a page of figures does follow from the number of turns.
            settings.limits.queuedBytesMax = 1 << 20
            settings.limits.pauseReadingBytes = 1 << 20
            // A pong waits for no message that is with the pool: which of them it overtakes is the network's doing.
            if settings.deflate.isEnabled { settings.limits.inlineWorkBytes = 1 << 20 }
            let network = FakeNetwork(settings)
            let link = network.open()
            network.send(bytes, on: link, chunking)
            outputs.append(Self.withoutFigures(link.takeOutput()))
            network.checkEnd()
        }
        for (chunking, output) in zip(Chunking.all, outputs) {
            #expect(output == outputs[0], "seed \(seed), \(chunking)")
        }
    }

    /// The output less the lines of the metrics page and its length, which count turns.
    private static func withoutFigures(_ bytes: [UInt8]) -> [UInt8] {
        let isText = bytes.starts(with: Array("HTTP/1.1".utf8))
        guard isText, bytes.count > 5_000 else { return bytes }
        var kept: [UInt8] = []
        for line in bytes.split(separator: 10, omittingEmptySubsequences: false) {
            if line.starts(with: Array("signalbox_".utf8)) || line.starts(with: Array("Content-Length".utf8)) { continue }
            kept += line + [10]
        }
        return kept
    }
}
