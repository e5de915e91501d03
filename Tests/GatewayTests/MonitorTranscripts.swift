// Document E played: who watches the fleet subscribes and is told how things stand and what happens, by either transport; figures are asked
// for only while somebody listens; activities reach those whom they concern; what goes out is written once.
import Base
import Domain
import SocketIO
import TestSupport
import Testing

@testable import Gateway

@Suite("The document of the fleet's vital signs")
struct MonitorTranscripts {
    private typealias Words = SocketWords

    private static func events(_ peer: SocketPeer) -> [String] { peer.take().map(\.name) }

    /// The document's words and what a confirmation calls them.
    private static let words = [
        ("system_resources", "System resources"), ("model_status", "Model status"), ("activity_stream", "Activity stream"),
        ("system_alerts", "System alerts"), ("deployment_events", "Deployment events"), ("all", "All events"),
        ("system_monitor", "System monitor"),
    ]

    private static func confirmation(_ word: String, _ title: String, _ verb: String, _ name: String) -> String {
        "{\"event_type\":\"\(word)\",\"message\":\"\(title) \(verb) successful\",\"session_id\":\"client_\(name)\"}"
    }

    // MARK: Subscriptions

    @Test("each word is confirmed, and so is its end; who asks is answered besides", arguments: SocketPeer.Way.allCases)
    func confirmations(_ way: SocketPeer.Way) throws {
        let network = FakeNetwork()
        let peer = try SocketPeer(network, way).connect()
        for (number, (word, title)) in Self.words.enumerated() {
            peer.forgetPackets()
            try peer.say("42\(number)[\"subscribe_\(word)\"]")
            let subscribed = Self.confirmation(word, title, "subscription", peer.name)
            #expect(peer.take().first.map { "\($0.name) \($0.argument)" } == "subscribed \(subscribed)")
            #expect(peer.packets.contains("43\(number)[\(subscribed)]"))
            #expect(peer.packets.firstIndex { $0.hasPrefix("43") } == 1)
            peer.forgetPackets()
            try peer.say("42\(number)[\"unsubscribe_\(word)\"]")
            let unsubscribed = Self.confirmation(word, title, "unsubscription", peer.name)
            #expect(peer.take().map { "\($0.name) \($0.argument)" } == ["unsubscribed \(unsubscribed)"])
            #expect(peer.packets.contains("43\(number)[\(unsubscribed)]"))
            #expect(network.server.context.broker.hub.subscriberCount == 0)
            // A second gives it a moment's rest: it may send so many packets and no more.
            network.wait(.seconds(1))
            try peer.listen()
            _ = peer.take()
        }
        network.checkEnd()
    }

    @Test("a subscription begins with how things stand", arguments: SocketPeer.Way.allCases)
    func pictures(_ way: SocketPeer.Way) throws {
        let network = FakeNetwork()
        try network.deploy("dep-1", starts: false)
        for number in 0..<12 { network.note("note \(number)") }
        network.sample(memory: 85)
        let peer = try SocketPeer(network, way).connect()
        try peer.subscribe("all")
        let events = peer.take()
        #expect(events.map(\.name) == ["subscribed", "system_resources_update", "model_status_update"]
            + Array(repeating: "activity_stream", count: 10) + ["system_alerts"])
        try #require(events.count == 14)
        #expect(events[1].argument.hasPrefix("""
            {"event_type":"system_resources_update","timestamp":"2023-11-14T22:13:20.000Z","data":{"cpu":{"usage_percent":45.2,"cores":8,\
            "frequency":3200,"status":"normal"},"memory":{"usage_percent":85.0,"total_gb":100.0,"available_gb":15.0,"status":"warning"},
            """))
        #expect(events[2].argument.hasPrefix("""
            {"event_type":"model_status_update","timestamp":"2023-11-14T22:13:20.000Z","data":{"total_models":1,"running_models":0,\
            "failed_models":0,"models":[{"deployment_id":"dep-1","model_id":"m","name":"m","status":"pending",
            """))
        // The sample's threshold is an activity too, or none: the newest are what people wrote, in their order.
        let messages = events[3..<13].compactMap { event in
            event.argument.components(separatedBy: "\"message\":\"").dropFirst().first.map { String($0.prefix { $0 != "\"" }) }
        }
        #expect(messages.filter { $0.hasPrefix("note") } == (0..<12).map { "note \($0)" }.suffix(messages.count { $0.hasPrefix("note") }))
        #expect(messages.count { $0.hasPrefix("note") } >= 9)
        #expect(events[13].argument.contains("\"type\":\"memory_threshold\"") && events[13].argument.contains("\"resolved\":false"))
        network.checkEnd()
    }

    @Test("who listens already is told so, and has the picture; a word for several channels shows those that are new",
        arguments: SocketPeer.Way.allCases)
    func again(_ way: SocketPeer.Way) throws {
        let network = FakeNetwork()
        try network.deploy("dep-1")
        network.note("note")
        network.sample(memory: 85)
        let peer = try SocketPeer(network, way).connect()
        try peer.subscribe("activity_stream")
        #expect(Self.events(peer).contains("activity_stream"))
        try peer.subscribe("activity_stream")
        #expect(Self.events(peer) == ["subscribed"])
        try peer.subscribe("all")
        let names = Self.events(peer)
        #expect(names.first == "subscribed")
        #expect(Set(names.dropFirst()) == ["system_resources_update", "model_status_update", "system_alerts", "deployment_events"])
        try peer.subscribe("all", "system_monitor", "model_status")
        #expect(Self.events(peer) == ["subscribed", "subscribed", "subscribed"])
        // Who left begins again.
        try peer.unsubscribe("model_status")
        try peer.subscribe("all")
        #expect(Self.events(peer) == ["unsubscribed", "subscribed", "model_status_update"])
        network.note("once")
        try peer.listen()
        #expect(Self.events(peer) == ["activity_stream"])
        network.checkEnd()
    }

    @Test("figures that are older than a period are no picture; the next ones come to all who listen")
    func oldFigures() throws {
        let network = FakeNetwork()
        network.sample()
        network.wait(.milliseconds(2_001))
        let peer = try SocketPeer(network, .webSocket).connect()
        try peer.subscribe("system_resources")
        #expect(Self.events(peer) == ["subscribed"])
        network.sample()
        try peer.listen()
        #expect(Self.events(peer) == ["system_resources_update"])
        network.checkEnd()
    }

    // MARK: When something is looked at

    @Test("nothing is sampled while nobody listens; once a period while anybody does, by whatever transport; not after the last one left")
    func sampling() throws {
        let network = FakeNetwork()
        let peers = try (0..<6).map { try SocketPeer(network, $0 % 2 == 0 ? .polling : .webSocket).connect() }
        for _ in 0..<10 {
            network.wait(.seconds(2))
            #expect(network.errands().isEmpty)
        }
        try peers[0].subscribe("system_resources")
        #expect(network.errands() == ["sample"])
        network.sample()
        for peer in peers.dropFirst() { try peer.subscribe("all") }
        #expect(network.errands().isEmpty)
        for _ in 0..<2 {
            for peer in peers {
                try peer.listen()
                _ = peer.take()
            }
            network.wait(.milliseconds(1_999))
            #expect(network.errands().isEmpty)
            network.wait(.milliseconds(1))
            #expect(network.errands() == ["sample"])
            network.sample()
            for peer in peers {
                try peer.listen()
                #expect(Self.events(peer) == ["system_resources_update"])
            }
        }
        // The ways to leave: the channel, all, the namespace, the session, the connection.
        try peers[0].unsubscribe("system_resources")
        try peers[1].unsubscribe("system_monitor")
        try peers[2].say("41")
        try peers[3].say("1")
        try peers[4].say("1")
        network.wait(.seconds(2))
        #expect(network.errands() == ["sample"])
        network.sample()
        try peers[5].cut()
        for _ in 0..<5 {
            network.wait(.seconds(2))
            #expect(network.errands().isEmpty)
        }
        // A pause is no reason to wait for somebody new.
        let late = try SocketPeer(network, .polling).connect()
        try late.subscribe("system_resources")
        #expect(network.errands() == ["sample"])
        network.checkEnd()
    }

    @Test("a machine that takes longer than the period is not asked twice")
    func slowMachine() throws {
        let network = FakeNetwork()
        let peer = try SocketPeer(network, .webSocket).connect()
        try peer.subscribe("system_resources")
        #expect(network.errands() == ["sample"])
        network.wait(.seconds(11))
        #expect(network.errands().isEmpty)
        network.sample()
        #expect(network.errands().isEmpty)
        network.wait(.seconds(2))
        #expect(network.errands() == ["sample"])
        network.checkEnd()
    }

    @Test("who listens to alerts alone has the machine looked at, and hears of an alert once and of its end",
        arguments: SocketPeer.Way.allCases)
    func alerts(_ way: SocketPeer.Way) throws {
        let network = FakeNetwork()
        let peer = try SocketPeer(network, way).connect()
        try peer.subscribe("system_alerts")
        _ = peer.take()
        var told: [String] = []
        for memory in [50.0, 85, 86, 84, 77, 74, 50] {
            network.wait(.seconds(2))
            network.sample(memory: memory)
            try peer.listen()
            told += peer.take().map { "\($0.name) \(memory) \($0.argument.contains("\"resolved\":true"))" }
        }
        #expect(told == ["system_alerts 85.0 false", "system_alerts 74.0 true"])
        #expect(network.errands().contains("sample"))
        network.checkEnd()
    }

    @Test("models are told every five seconds while somebody listens, and no longer", arguments: SocketPeer.Way.allCases)
    func models(_ way: SocketPeer.Way) throws {
        let network = FakeNetwork()
        let peer = try SocketPeer(network, way).connect()
        try peer.subscribe("model_status")
        #expect(Self.events(peer) == ["subscribed", "model_status_update"])
        for _ in 0..<2 {
            network.wait(.milliseconds(4_999))
            try peer.listen()
            #expect(Self.events(peer).isEmpty)
            network.wait(.milliseconds(1))
            try peer.listen()
            #expect(Self.events(peer) == ["model_status_update"])
        }
        try peer.unsubscribe("model_status")
        _ = peer.take()
        network.wait(.seconds(12))
        try peer.listen()
        #expect(Self.events(peer).isEmpty)
        #expect(network.errands().isEmpty)
        network.checkEnd()
    }

    @Test("deployments: what happens to one is told to those who listen to that, and is an activity")
    func deployments() throws {
        let network = FakeNetwork()
        let peer = try SocketPeer(network, .webSocket).connect()
        try peer.subscribe("deployment_events", "activity_stream")
        _ = peer.take()
        try network.deploy("dep-1")
        try peer.listen()
        let events = peer.take()
        #expect(events.contains { $0.name == "deployment_events" && $0.argument.contains("\"event\":\"deployment_started\"") })
        #expect(events.contains { $0.name == "activity_stream" && $0.argument.contains("\"resource_id\":\"dep-1\"") })
        #expect(events.compactMap(\.offset) == events.compactMap(\.offset).sorted())
        network.checkEnd()
    }

    // MARK: Who hears what

    @Test("an activity of a user is the user's and the admins'; where nobody is asked, everybody's", arguments: [
        Authentication.Mode.users, .all, .off,
    ])
    func visibility(_ mode: Authentication.Mode) throws {
        let network = FakeNetwork(try Tokens.settings(mode))
        func peer(_ way: SocketPeer.Way, _ token: String?) throws -> SocketPeer {
            let peer = try SocketPeer(network, way).connect(token.map { "{\"token\":\"\($0)\"}" } ?? "")
            try peer.subscribe("activity_stream")
            _ = peer.take()
            return peer
        }
        let own = try SocketPeer.Way.allCases.map { try peer($0, Tokens.token("42")) }
        let other = try SocketPeer.Way.allCases.map { try peer($0, Tokens.token("43")) }
        let admin = try SocketPeer.Way.allCases.map { try peer($0, Tokens.token("1", .admin)) }
        let nobody = mode == .all ? [] : try SocketPeer.Way.allCases.map { try peer($0, nil) }
        network.note("for all")
        network.note("of 42", of: "42")
        func heard(_ peers: [SocketPeer]) throws -> [[String]] {
            try peers.map { peer in
                try peer.listen()
                return peer.take().map { $0.argument.contains("of 42") ? "42" : "all" }
            }
        }
        let (everything, half) = ([["all", "42"], ["all", "42"]], [["all"], ["all"]])
        #expect(try heard(own) == everything)
        #expect(try heard(other) == (mode == .off ? everything : half))
        #expect(try heard(admin) == everything)
        #expect(try heard(nobody) == (mode == .all ? [] : mode == .off ? everything : half))
        // The picture has the same bounds.
        for (token, expected) in [(try Tokens.token("42"), 2), (try Tokens.token("43"), mode == .off ? 2 : 1)] {
            let late = try SocketPeer(network, .polling).connect("{\"token\":\"\(token)\"}")
            try late.subscribe("activity_stream")
            #expect(late.take().count { $0.name == "activity_stream" } == expected)
        }
        network.checkEnd()
    }

    @Test("where all need a token: it comes in the CONNECT or in the handshake, and the first goes before", arguments: Chunking.all)
    func tokens(_ chunking: Chunking) throws {
        let token = try Tokens.token("42")
        let path = SocketWords.path
        let begin = Words.polling("p", "sid") + Words.post("p", "sid", "40") + Words.poll("p", "sid")
        Stage.play(chunking, try Tokens.settings(.all), begin + """
            p < 200 44{"message":"A bearer token is needed"}
            \(Words.post("p", "sid", "40{\"token\":\"x\"}"))
            \(Words.poll("p", "sid"))
            p < 200 44{"message":"Invalid or expired token"}
            \(Words.post("p", "sid", "40{\"token\":\"\(token)\"}"))
            \(Words.poll("p", "sid"))
            p < 200 40{"sid":"$a","pid":"$b"}
            \(Words.polling("q", "second", path + "&token=" + token))
            \(Words.post("q", "second", "40"))
            \(Words.poll("q", "second"))
            q < 200 40{"sid":"$c","pid":"$d"}
            r > GET \(path) [Authorization: Bearer \(token)]
            r < 200 0{"sid":"$third","upgrades":["websocket"],\(Words.times)}
            \(Words.post("r", "third", "40{\"token\":\"wrong\"}"))
            \(Words.poll("r", "third"))
            r < 200 44{"message":"Invalid or expired token"}
            \(Words.post("r", "third", "40{\"other\":1}"))
            \(Words.poll("r", "third"))
            r < 200 40{"sid":"$e","pid":"$f"}
            \(Words.webSocket("w", "fourth", "/socket.io/?EIO=4&transport=websocket&token=" + token))
            w > 40
            w < 40{"sid":"$g","pid":"$h"}
            """)
    }

    @Test("a token that ends while its client is connected: it is sent away, its session closes, and it does not come back as who it was")
    func expiry() throws {
        let network = FakeNetwork(try Tokens.settings(.all))
        let token = "{\"token\":\"\(try Tokens.token("42", seconds: 10))\"}"
        let peers = try SocketPeer.Way.allCases.map { try SocketPeer(network, $0).connect(token) }
        // Thirty seconds are the clocks' leeway.
        for seconds in [15, 24] {
            network.wait(.seconds(Int64(seconds)))
            for peer in peers { try peer.listen() }
        }
        network.wait(.milliseconds(999))
        for peer in peers {
            try peer.listen()
            #expect(!peer.isOver)
        }
        network.wait(.milliseconds(1))
        for peer in peers {
            try peer.listen()
            #expect(peer.isOver)
            #expect(peer.packets.last == "41")
            let again = try SocketPeer(network, .webSocket).connect(
                "{\"token\":\"\(try Tokens.token("42"))\",\"pid\":\"\(peer.pid ?? "")\",\"offset\":\"0\"}")
            #expect(!again.name.isEmpty && again.name != peer.name)
        }
        network.checkEnd()
    }

    @Test("who may run what is run: a publisher, where all need a token", arguments: Chunking.all)
    func roles(_ chunking: Chunking) throws {
        func head(_ role: Role) throws -> String { "[Authorization: Bearer \(try Tokens.token("2", role))]" }
        Stage.play(chunking, try Tokens.settings(.all), """
            a > POST /api/deployments {"model_id":"m"}
            a < 401 {"error":"A bearer token is needed"}
            a > POST /api/deployments \(try head(.user)) {"model_id":"m"}
            a < 403 {"error":"This needs a token of role publisher"}
            a > POST /api/deployments \(try head(.worker)) {"model_id":"m"}
            a < 403 {"error":"This needs a token of role publisher"}
            a > DELETE /api/deployments/x \(try head(.user))
            a < 403 {"error":"This needs a token of role publisher"}
            a > DELETE /api/deployments/x \(try head(.admin))
            a < 404 {"error":"$words"}
            """)
    }

    // MARK: What it costs

    @Test("an event is written once for each of the two texts, however many listen to it, by whatever transport", arguments: [1, 2, 50])
    func encodings(_ count: Int) throws {
        let kinds: [[(SocketPeer.Way, Bool)]] = [
            [(.webSocket, true)], [(.polling, true)], [(.webSocket, false)], [(.polling, false)],
            [(.webSocket, true), (.polling, true)], [(.webSocket, false), (.polling, false)],
            [(.webSocket, true), (.polling, true), (.webSocket, false), (.polling, false)],
        ]
        for kind in kinds {
            let network = FakeNetwork()
            let peers = try (0..<count).flatMap { _ in
                try kind.map { way, omits in try SocketPeer(network, way, omitsOffset: omits).connect() }
            }
            for peer in peers {
                try peer.subscribe("activity_stream")
                _ = peer.take()
            }
            let before = network.server.context.metrics.encodings
            network.note("one")
            // The numbered text is a copy of the bare one.
            let isNumbered = kind.contains { !$0.1 }
            #expect(network.server.context.metrics.encodings - before == (isNumbered ? 2 : 1))
            var texts: Set<String> = []
            for (index, peer) in peers.enumerated() {
                try peer.listen()
                let events = peer.take()
                #expect(events.count == 1)
                #expect((events.first?.offset == nil) == kind[index % kind.count].1)
                texts.insert(events.first?.argument ?? "")
            }
            #expect(texts.count == 1)
            network.checkEnd()
        }
    }

    @Test("an event that nobody hears is not written")
    func unheard() throws {
        let network = FakeNetwork()
        let before = network.server.context.metrics.encodings
        network.note("one")
        network.sample()
        #expect(network.server.context.metrics.encodings == before)
        network.checkEnd()
    }

    @Test("an upgrade takes the subscriptions along, whatever happens meanwhile: nothing is lost and nothing comes twice", arguments: 0..<4)
    func upgrade(_ seed: UInt64) throws {
        var random = Seeded(seed: seed)
        let network = FakeNetwork()
        let peer = try SocketPeer(network, .polling).connect()
        try peer.subscribe("activity_stream", "deployment_events")
        _ = peer.take()
        var number = 0
        func notes() {
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                network.note("note \(number)")
                number += 1
            }
        }
        notes()
        try peer.upgrade { notes() }
        notes()
        try peer.listen()
        let events = peer.take()
        #expect(events.count == number)
        for (index, event) in events.enumerated() { #expect(event.argument.contains("\"note \(index)\"")) }
        #expect(events.compactMap(\.offset) == Array((3..<(3 + UInt64(number)))))
        // By polling nothing comes any more, and what many get is the socket's as it is.
        #expect(network.server.context.metrics.pollingSessions == 0)
        let hub = network.server.context.broker.hub
        #expect(hub.subscriberCount == 1)
        var formats: [Format] = []
        hub.deliver(.max, to: .channel(.activityStream)) { format, _ in formats.append(format) }
        #expect(formats == [.monitor])
        try peer.cut()
        #expect(hub.subscriberCount == 0)
        network.checkEnd()
    }
}
