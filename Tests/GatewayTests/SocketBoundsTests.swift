// Goal: nobody takes more of the server by Socket.IO than its share: places, bytes of parts, packets a second, what waits; and what it
// took comes back when it goes, however it goes.
import Base
import Domain
import SocketIO
import TestSupport
import Testing

@testable import Gateway

@Suite("What one client of Socket.IO may take")
struct SocketBoundsTests {
    private typealias Words = SocketWords
    private static let path = SocketWords.path

    private static func settings(_ adjust: (inout Limits) -> Void) -> Settings {
        var settings = Settings()
        adjust(&settings.limits)
        return settings
    }

    private static func body(_ network: FakeNetwork, _ target: String) throws -> (status: Int, text: String) {
        let link = network.open()
        network.send(Stage.request("GET \(target)").bytes, on: link)
        var bytes = link.takeOutput()
        network.leave(link)
        let reply = try #require(try Wire.reply(&bytes, isHead: false))
        return (reply.status, reply.body)
    }

    /// Asks for a session by polling.
    private static func knock(_ network: FakeNetwork) throws -> Int { try body(network, path).status }

    // MARK: Places

    @Test("so many sessions by polling of one machine, whatever its ports; a place comes back when its session ends or upgrades")
    func places() throws {
        let network = FakeNetwork(Self.settings { $0.pollingSessionsPerAddressMax = 2 })
        network.origin = .v4(0x0a00_0001, port: 1)
        let first = try SocketPeer(network, .polling).connect()
        network.origin = .v4(0x0a00_0001, port: 2)
        let second = try SocketPeer(network, .polling).connect()
        #expect(try Self.knock(network) == 503)
        try first.upgrade()
        #expect(try Self.knock(network) == 200)
        #expect(try Self.knock(network) == 503)
        // It gave its place already.
        try first.cut()
        #expect(try Self.knock(network) == 503)
        try second.say("1")
        #expect(try Self.knock(network) == 200)
        #expect(try Self.knock(network) == 503)
        // Two that enter no namespace.
        network.wait(network.limits.socketConnectTimeout)
        #expect(try [Self.knock(network), Self.knock(network), Self.knock(network)] == [200, 200, 503])
        network.checkEnd()
    }

    @Test("another machine gets its own; WebSockets and who comes by a unix socket are not counted")
    func otherPlaces() throws {
        let network = FakeNetwork(Self.settings { $0.pollingSessionsPerAddressMax = 1 })
        for (high, low): (UInt64, UInt64) in [(0, 0xffff_0a00_0001), (0, 0xffff_0a00_0002), (1, 2), (2, 2)] {
            network.origin = PeerAddress(high: high, low: low, port: 7)
            #expect(try [Self.knock(network), Self.knock(network)] == [200, 503])
            #expect(try !SocketPeer(network, .webSocket).connect().name.isEmpty)
            #expect(try Self.knock(network) == 503)
        }
        network.origin = .unix
        #expect(try [Self.knock(network), Self.knock(network), Self.knock(network)] == [200, 200, 200])
        network.checkEnd()
    }

    @Test("who was let in nowhere and breaks the rules is gone at once, and nothing that came with it is heard", arguments: [
        "42[\"x\"]", "41", "49", "451-[\"x\",{\"_placeholder\":true,\"num\":0}]", "451-[]", "bAQID",
    ])
    func nowhere(_ packet: String) throws {
        for way in SocketPeer.Way.allCases {
            let network = FakeNetwork()
            let peer = try SocketPeer(network, way)
            peer.keepsPolling = false
            try peer.say(way == .polling ? packet + "\u{1e}40\u{1e}42[\"subscribe_all\"]" : packet)
            #expect(network.server.sockets.count == 0)
            #expect(network.server.sockets.gatheredBytes == 0)
            #expect(network.server.context.metrics.pollingSessions == 0)
            #expect(network.server.context.metrics.socketSessionsFailed == 1)
            #expect(network.server.context.broker.hub.subscriberCount == 0)
            network.checkEnd()
        }
    }

    @Test("so is who enters no namespace in time, whether it polls or not; who is inside learns of its end with its next poll")
    func late() throws {
        let network = FakeNetwork()
        let peer = try SocketPeer(network, .polling)
        peer.keepsPolling = false
        network.wait(.milliseconds(network.limits.socketConnectTimeout.milliseconds - 1))
        #expect(network.server.sockets.count == 1)
        network.wait(.milliseconds(1))
        #expect(network.server.sockets.count == 0)
        network.checkEnd()
        let stage = Stage()
        stage.play(Words.inside("p", "sid") + Words.post("q", "sid", "49"))
        #expect(stage.network.server.sockets.count == 1)
        stage.play(Words.poll("p", "sid") + "p < 200 1")
        #expect(stage.network.server.sockets.count == 0)
        stage.end()
    }

    // MARK: Binary parts

    private static let parts = #"452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#

    @Test("parts of all clients together have a bound; who goes beyond it loses its session, nobody else does", arguments: [0, 1])
    func parts(_ excess: Int) {
        let one = Self.parts.utf8.count - 1 + 300
        let stage = Stage(.whole, Self.settings { $0.attachmentBytesMax = 3 * one - excess })
        var gathered: Int { stage.network.server.sockets.gatheredBytes }
        stage.play(Words.entered("v", "a") + Words.entered("w", "b") + """
            v > \(Self.parts)
            v sends binary @300
            w > \(Self.parts)
            w sends binary @300
            \(Words.inside("p", "c"))
            """)
        #expect(gathered == 2 * one)
        let binary = "b" + String(repeating: "A", count: 400)
        stage.play(Words.post("q", "c", "\(Self.parts)\u{1e}\(binary)") + Words.poll("p", "c"))
        #expect(gathered == (3 - excess) * one)
        stage.play(excess > 0 ? "p < 200 1" : "p < nothing")
        // Done, gone, and late.
        stage.play("""
            v sends binary y
            v < 42["error",{"message":"Unknown event","event":"x"},"0"]
            """)
        #expect(gathered == (2 - excess) * one)
        stage.play("w leaves")
        #expect(gathered == (1 - excess) * one)
        stage.play(excess > 0 ? "* wait 20s" : """
            * wait 19999ms
            p < nothing
            * wait 1ms
            p < 200 1
            """)
        #expect(gathered == 0)
        stage.end()
    }

    @Test("nothing stays counted of a packet that is given up: late, or broken off by what is no part of it", arguments: [
        nil, "42[\"x\"]", "49", "41", "9",
    ])
    func givenUp(_ packet: String?) {
        for isPolling in [true, false] {
            let stage = Stage()
            var sockets: SocketService { stage.network.server.sockets }
            if isPolling {
                stage.play(Words.inside("p", "sid") + Words.post("q", "sid", Self.parts))
            } else {
                stage.play(Words.entered("w", "sid") + "w > " + Self.parts)
            }
            #expect(sockets.gatheredBytes == Self.parts.utf8.count - 1)
            switch packet {
            case nil: stage.play("* wait 20s")
            case let packet? where isPolling:
                // What comes behind is neither heard nor kept.
                stage.play("q > POST \(Self.path)&sid=$sid \(packet)\u{1e}\(Self.parts)")
                stage.play(packet == "9" ? "q < 400 {\"code\":3,\"message\":\"Bad request\"}" : "q < 200 ok")
            case let packet?: stage.play("w > \(packet)")
            }
            #expect(sockets.gatheredBytes == 0)
            // What is no packet of Engine.IO's ends the session at once.
            let goodbye = packet == "9" ? "p < 400 {\"code\":1,\"message\":\"Session ID unknown\"}" : "p < 200 1"
            stage.play(isPolling ? Words.poll("p", "sid") + goodbye : "w < close 1000 session is over")
            #expect(sockets.gatheredBytes == 0 && sockets.count == 0)
            stage.end()
        }
    }

    // MARK: Packets a second

    @Test("the largest packet is a second's worth: one is taken, the next when a second has earned it, to the millisecond")
    func largePackets() {
        let stage = Stage()
        // A message of maxPayload.
        let large = """
            > 42["@999994"]
            NAME < 42["error",{"message":"Unknown event","event":"@64"},"0"]
            """
        func play(_ name: String, _ text: String) { stage.play("\(name) " + text.components(separatedBy: "NAME").joined(separator: name)) }
        for name in ["u", "v", "w"] {
            stage.play(Words.entered(name, name))
            play(name, large)
        }
        stage.play("""
            u > 42["@999994"]
            u < close 1000 session is over
            * wait 979ms
            v > 42["@999994"]
            v < close 1000 session is over
            * wait 1ms
            """)
        play("w", large)
        #expect(stage.network.server.context.metrics.socketClientsTooFast == 2)
        stage.end()
    }

    @Test("a small packet counts as one; so does what is no message", arguments: ["6", "3", "42[\"subscribe_x\"]"])
    func smallPackets(_ packet: String) {
        let stage = Stage(.whole, Self.settings { $0.socketPacketsPerSecondMax = 10 })
        stage.play(Words.entered("w", "sid"))
        for _ in 0..<9 {
            stage.play("w > \(packet)")
            if packet.hasPrefix("4") { stage.play("w < 42[\"error\",…") }
        }
        stage.play("""
            w < nothing
            * wait 100ms
            w > 6
            w < nothing
            w > \(packet)
            w < close 1000 session is over
            """)
        #expect(stage.network.server.context.metrics.socketClientsTooFast == 1)
        stage.end()
    }

    // MARK: What waits

    @Test("one message that is larger than all that may wait is told alone, whether a poll is open or comes later")
    func largeMessage() throws {
        let network = FakeNetwork(Self.settings { $0.socketQueuedBytesMax = 400 })
        let peers = try (0..<3).map { _ in try SocketPeer(network, .polling).connect() }
        for peer in peers {
            try peer.subscribe("activity_stream")
            _ = peer.take()
        }
        network.note(String(repeating: "x", count: 1_000))
        for (number, peer) in peers.enumerated() {
            peer.keepsPolling = number == 0
            try peer.listen()
            #expect(peer.take().count == 1)
        }
        // The others have no poll open.
        network.note(String(repeating: "y", count: 1_000))
        peers[1].keepsPolling = true
        for peer in peers[0...1] {
            try peer.listen()
            #expect(peer.take().map { $0.argument.contains("yyy") } == [true])
        }
        #expect(network.server.context.metrics.socketSessionsSlow == 0)
        network.note("one more")
        #expect(network.server.context.metrics.socketSessionsSlow == 1)
        #expect(network.server.sockets.count == 2)
        network.checkEnd()
    }

    @Test("the page of figures tells of sessions that ended because too much waited, and because nobody answered")
    func figures() throws {
        let network = FakeNetwork(Self.settings { $0.socketQueuedBytesMax = 400 })
        func told(_ name: String) throws -> Bool { try Self.body(network, "/metrics").text.contains("socketio_sessions_\(name)\n") }
        #expect(try told("slow_total 0") && told("silent_total 0"))
        let slow = try SocketPeer(network, .polling).connect()
        let silent = try SocketPeer(network, .polling).connect()
        for peer in [slow, silent] { peer.keepsPolling = false }
        try slow.subscribe("activity_stream")
        for number in 0..<10 { network.note("message \(number)") }
        #expect(try told("slow_total 1") && told("silent_total 0"))
        network.wait(network.limits.socketPingInterval + network.limits.socketPingTimeout)
        #expect(try told("slow_total 1") && told("silent_total 1"))
        #expect(network.server.context.metrics.slowConsumers == 0 && network.server.context.metrics.silentSockets == 0)
        network.checkEnd()
    }
}
