// Goal: what is remembered for those who come back has bounds, each its own: a channel's noise costs the listeners of another nothing, who
// cannot be told everything begins anew, and nobody is told what came before it listened.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("What is remembered for those who come back")
struct SocketReturnBoundsTests {
    private static func comeBack(_ peer: SocketPeer, _ way: SocketPeer.Way = .webSocket) throws -> SocketPeer {
        try SocketPeer(peer.network, way).connect("{\"pid\":\"\(peer.pid ?? "")\",\"offset\":\"\(peer.offset ?? 0)\"}")
    }

    private static func messages(_ events: [SocketPeer.Event]) -> [String] {
        events.filter { $0.name == "activity_stream" }.compactMap { event in
            event.argument.components(separatedBy: "\"message\":\"").dropFirst().first.map { String($0.prefix { $0 != "\"" }) }
        }
    }

    @Test("each channel has its own history: more activities than are kept end no watch of alerts or deployments")
    func channels() throws {
        var settings = Settings()
        settings.limits.bulletinsMax = 4
        let network = FakeNetwork(settings)
        let words = [["system_alerts"], ["deployment_events"], ["activity_stream"], ["system_alerts", "activity_stream"]]
        let peers = try words.map { words in
            let peer = try SocketPeer(network, .webSocket).connect()
            for word in words { try peer.subscribe(word) }
            return peer
        }
        for peer in peers { try peer.cut() }
        network.sample(memory: 85)
        for number in 0..<5 { network.note("note \(number)") }
        try network.deploy("dep-1")
        let returned = try peers.map { try Self.comeBack($0) }
        #expect(zip(peers, returned).map { $0.name == $1.name } == [true, true, false, false])
        #expect(returned[0].events.map(\.name) == ["system_alerts"])
        #expect(Set(returned[1].events.map(\.name)) == ["deployment_events"])
        network.checkEnd()
    }

    @Test("a watch of the machine's figures and of models never ends by their number: the last of them is enough", arguments: [3, 4, 40])
    func pictures(_ count: Int) throws {
        var settings = Settings()
        settings.limits.bulletinsMax = 4
        settings.limits.modelPeriod = .seconds(2)
        let network = FakeNetwork(settings)
        let witness = try SocketPeer(network, .webSocket).connect()
        let peer = try SocketPeer(network, .webSocket).connect()
        for peer in [witness, peer] { try peer.subscribe("system_resources", "model_status", "deployment_events") }
        try peer.cut()
        _ = witness.take()
        for number in 0..<count {
            network.sample(memory: Double(number % 50))
            network.wait(.seconds(2))
            try witness.listen()
        }
        let again = try Self.comeBack(peer)
        #expect(again.name == peer.name)
        let missed = witness.take()
        #expect(missed.count == 2 * count)
        for name in ["system_resources_update", "model_status_update"] {
            #expect(again.events.filter { $0.name == name } == missed.filter { $0.name == name }.suffix(4))
        }
        #expect(again.events.compactMap(\.offset) == again.events.compactMap(\.offset).sorted())
        network.checkEnd()
    }

    @Test("who began to listen and did not hear of it is told the picture and what came behind, and of what came before nothing besides",
        arguments: SocketPeer.Way.allCases, [false, true])
    func joined(_ way: SocketPeer.Way, _ listenedOnce: Bool) throws {
        let network = FakeNetwork()
        let peer = try SocketPeer(network, .webSocket).connect()
        try peer.subscribe("system_alerts")
        if listenedOnce {
            try peer.subscribe("activity_stream", "deployment_events")
            try peer.unsubscribe("activity_stream", "deployment_events")
        }
        network.note("before")
        try network.deploy("dep-1")
        peer.shout("42[\"subscribe_activity_stream\"]")
        peer.shout("42[\"subscribe_deployment_events\"]")
        network.note("behind")
        try peer.cut(unheard: true)
        network.note("later")
        let again = try Self.comeBack(peer, way)
        #expect(again.name == peer.name)
        let events = again.take()
        #expect(events.first?.name == "subscribed")
        let told = Self.messages(events)
        for word in ["before", "behind", "later"] { #expect(told.count { $0 == word } == 1, "\(word)") }
        let deployments = events.filter { $0.name == "deployment_events" }.map(\.argument)
        #expect(!deployments.isEmpty && Set(deployments).count == deployments.count)
        #expect(events.compactMap(\.offset) == events.compactMap(\.offset).sorted())
        #expect(Set(events.compactMap(\.offset)).count == events.count)
        network.checkEnd()
    }

    @Test("who missed more answers of its own than are noted begins anew", arguments: [(15, true), (16, true), (17, false), (40, false)])
    func notes(_ count: Int, _ returns: Bool) throws {
        let network = FakeNetwork()
        let peer = try SocketPeer(network, .webSocket).connect()
        try peer.subscribe("activity_stream")
        for _ in 0..<count { peer.shout("42[\"unsubscribe_deployment_events\"]") }
        try peer.cut(unheard: true)
        let again = try Self.comeBack(peer)
        #expect((again.name == peer.name) == returns)
        #expect(again.take().map(\.name) == (returns ? Array(repeating: "unsubscribed", count: count) : []))
        network.checkEnd()
    }

    @Test("an old session that does not poll is over at once when its client is back elsewhere")
    func formerSession() {
        let stage = Stage()
        stage.play(SocketWords.inside("p", "sid") + SocketWords.webSocket("w", "other") + """
            w > 40{"pid":"$sidpid","offset":"0"}
            w < 40{"sid":"$sidname","pid":"$sidpid"}
            """)
        #expect(stage.network.server.sockets.count == 1)
        #expect(stage.network.server.context.metrics.pollingSessions == 0)
        stage.play(SocketWords.poll("p", "sid") + "p < 400 {\"code\":1,\"message\":\"Session ID unknown\"}")
        stage.end()
    }
}
