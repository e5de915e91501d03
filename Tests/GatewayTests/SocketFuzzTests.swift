// Goal: chance against sessions of Engine.IO and Socket.IO that know their names: packets right, nearly right and mutated, by either
// transport, upgrades, clients that come back, connections that break, time that passes: nothing traps, what the server says stays
// well-formed, and nothing grows or stays.
import Base
import Domain
import SocketIO
import TestSupport
import Testing

@testable import Gateway

@Suite("Chance, of sessions")
struct SocketFuzzTests {
    /// A connection whose peer reads by the rules.
    private final class Ear {
        let link: FakeNetwork.Link
        private var unread: [UInt8] = []
        private(set) var isWebSocket = false
        /// The session that its WebSocket may take over.
        var candidate: String?
        /// Whether it has asked to be let in.
        var isInside = false

        init(_ link: FakeNetwork.Link) { self.link = link }

        /// What came since, a text for each response, packet or frame.
        func listen() throws(MalformedReply) -> [String] {
            unread += link.takeOutput()
            var texts: [String] = []
            while !unread.isEmpty {
                if isWebSocket {
                    guard let frame = try Wire.frame(&unread) else { break }
                    texts.append(try Wire.describe(frame, nil))
                } else {
                    guard let reply = try Wire.reply(&unread, isHead: false) else { break }
                    if reply.status == 101 { isWebSocket = true }
                    texts += reply.body.components(separatedBy: "\u{1e}")
                }
            }
            return texts
        }
    }

    /// Everybody who speaks to the server, and what they know.
    private struct Crowd {
        var random: Seeded
        let network: FakeNetwork
        var ears: [Ear] = []
        /// By polling.
        var sessions: [String] = []
        var secrets: [String] = []
        /// Who has asked to be let in.
        var insiders: Set<String> = []

        mutating func roll(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }
        mutating func pick<Element>(_ list: [Element]) -> Element { list[roll(list.count)] }

        mutating func ear(_ isNew: Bool) -> Ear {
            let open = ears.filter { $0.link.state == .open && !$0.isWebSocket }
            if !isNew, !open.isEmpty { return pick(open) }
            let ear = Ear(network.open())
            ears.append(ear)
            return ear
        }

        mutating func send(_ bytes: [UInt8], on ear: Ear) {
            let chunking: Chunking = roll(4) == 0 ? .seeded(random.next()) : .whole
            network.send(bytes, on: ear.link, chunking)
        }

        @discardableResult
        mutating func request(_ text: String, isNew: Bool = true) -> Ear {
            let ear = ear(isNew)
            send(mutated(Stage.request(text).bytes), on: ear)
            return ear
        }

        mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
            guard roll(60) == 0, !bytes.isEmpty else { return bytes }
            var bytes = bytes
            let index = roll(bytes.count)
            switch roll(3) {
            case 0: bytes[index] = UInt8(roll(256))
            case 1: bytes.remove(at: index)
            default: bytes.insert(pick([0, 10, 0x1e, 34, 255]), at: index)
            }
            return bytes
        }

        mutating func listen() throws {
            for ear in ears {
                for text in try ear.listen() {
                    if text.hasPrefix("0{"), !ear.isWebSocket, let sid = SocketFuzzTests.value("sid", text) { sessions.append(sid) }
                    if text.hasPrefix("40{"), let pid = SocketFuzzTests.value("pid", text) { secrets.append(pid) }
                }
            }
            ears.removeAll { $0.link.state != .open }
            sessions = sessions.suffix(6)
            secrets = secrets.suffix(8)
        }

        mutating func entry() -> String {
            guard roll(3) > 0 else { return "40" }
            return "40{\"pid\":\"\(pick(secrets + ["x"]))\",\"offset\":\"\(roll(8) == 0 ? 99_999 : roll(200))\"}"
        }

        /// What a client says that is inside, mostly right.
        mutating func packet() -> String {
            let channel = pick(["system_resources", "model_status", "activity_stream", "system_alerts", "deployment_events", "all", "x"])
            let verb = pick(["subscribe", "subscribe", "unsubscribe"])
            switch roll(40) {
            case 0...29: return "42\(roll(3) == 0 ? "7" : "")[\"\(verb)_\(channel)\"]"
            case 30...32: return "3"
            case 33: return "41"
            case 34: return pick(["1", "6", "40/none", "430[]"])
            case 35: return "451-[\"x\",{\"_placeholder\":true,\"num\":0}]"
            case 36: return "42[\"\(String(repeating: "y", count: roll(600)))\"]"
            case 37: return entry()
            default: return pick(["2", "5", "9", "", "42[", "44{}", "b!", "bAQID"])
            }
        }

        mutating func step() throws {
            let path = "/socket.io/?EIO=4&transport="
            let sid = pick(sessions + ["none"])
            let upgrade = SocketPeer.upgrade
            switch roll(20) {
            case 0: request("GET \(pick([path + "polling", "/socket.io/?transport=polling&EIO=4"]))")
            case 1: request("GET \(path)websocket \(upgrade)")
            case 2: request("GET \(path)websocket&sid=\(sid) \(upgrade)").candidate = sid
            case 3, 4, 5: request("GET \(path)polling&sid=\(sid)", isNew: roll(2) == 0)
            case 6, 7, 8, 9:
                var packets = insiders.insert(sid).inserted ? [entry()] : []
                for _ in 0...roll(3) { packets.append(packet()) }
                request("POST \(path)polling&sid=\(sid) \(packets.joined(separator: "\u{1e}"))", isNew: roll(3) > 0)
            case 10, 11, 12, 13:
                let sockets = ears.filter(\.isWebSocket)
                guard !sockets.isEmpty else { break }
                let ear = pick(sockets)
                var frames = [packet()]
                if ear.candidate != nil, roll(5) > 0 {
                    frames = roll(3) > 0 ? ["2probe", "5"] : [pick(["2probe", "5"])]
                    ear.isInside = insiders.contains(ear.candidate ?? "")
                    ear.candidate = nil
                } else if !ear.isInside {
                    frames = [entry()] + frames
                    ear.isInside = true
                }
                for frame in frames { send(mutated(Wire.frame(roll(25) == 0 ? 2 : 1, Array(frame.utf8))), on: ear) }
            case 14: if !ears.isEmpty { network.leave(pick(ears).link, roll(2) == 0 ? .peerEnded : .broken(errno: 104)) }
            case 15:
                let span = roll(30) == 0 ? pick([46_000, 130_000]) : pick([1, 500, 2_000, 5_000, 12_000])
                #expect(network.wait(.milliseconds(Int64(span))), "a timer spins")
            case 16: if !ears.isEmpty { pick(ears).link.stalls = true }
            case 17: if !ears.isEmpty { network.read(pick(ears).link) }
            default: network.note("note", of: roll(3) == 0 ? "42" : nil)
            }
            if network.errands().contains("sample") { network.sample(memory: Double(roll(100))) }
            try listen()
        }
    }

    private static func value(_ key: String, _ text: String) -> String? {
        text.components(separatedBy: "\"\(key)\":\"").dropFirst().first.map { String($0.prefix { $0 != "\"" }) }
    }

    private static func settings(_ seed: Int) -> Settings {
        var settings = Settings()
        settings.limits.socketPayloadMax = 2_000
        settings.limits.socketQueuedBytesMax = seed % 3 == 0 ? 3_000 : 1 << 20
        settings.limits.pollingSessionsMax = 8
        settings.limits.recoverablesMax = seed % 4 == 0 ? 2 : 50
        settings.limits.bulletinsMax = seed % 2 == 0 ? 10 : 1_000
        settings.limits.socketPacketsPerSecondMax = seed % 5 == 0 ? 5 : 1_000
        return settings
    }

    @Test("seeded runs", arguments: 0..<40)
    func runs(_ seed: Int) throws {
        let network = FakeNetwork(Self.settings(seed), seed: UInt64(seed))
        var crowd = Crowd(random: Seeded(seed: UInt64(seed) &* 6_151 &+ 3), network: network)
        for _ in 0..<1_200 {
            try crowd.step()
            checkBounds(network)
        }
        if seed % 4 == 1 {
            network.server.stop(at: network.now)
            network.pump()
            for ear in crowd.ears { network.read(ear.link) }
            network.wait(network.limits.drainTimeout + network.limits.closeTimeout)
            #expect(network.server.isOver)
        }
        for ear in crowd.ears {
            network.read(ear.link)
            _ = try ear.listen()
        }
        let metrics = network.server.context.metrics
        #expect(metrics.socketSessionsOpened > 50 && metrics.pollsAnswered > 50 && metrics.samples > 5)
        #expect(metrics.socketReturns + metrics.socketUpgrades > 0, "the run passes by who comes back, and who moves")
        network.checkEnd()
    }

    private func checkBounds(_ network: FakeNetwork) {
        let (limits, context, sockets) = (network.limits, network.server.context, network.server.sockets)
        #expect(context.metrics.pollingSessions <= limits.pollingSessionsMax)
        #expect(sockets.recovery.count <= limits.recoverablesMax && sockets.ids.count == sockets.count)
        var watchers = 0
        var polling = 0
        for id in sockets.clients.keys {
            guard let client = sockets.client(id) else { continue }
            #expect(client.session.queuedBytes <= limits.socketQueuedBytesMax)
            #expect((client.session.transport == .webSocket) == (client.transport == .webSocket))
            if client.transport == .polling { polling += 1 }
            if let watcher = client.watcher, watcher.subscriber != nil { watchers += 1 }
        }
        #expect(polling == context.metrics.pollingSessions)
        // Who listens is somebody who is there.
        #expect(watchers == context.broker.hub.subscriberCount)
    }
}
