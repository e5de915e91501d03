// Goal: who comes back as who it was gets what it missed, all of it, in order and once, by whatever transport and however often; and who
// may not, or is too late, begins anew without harm to anybody.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Coming back to the fleet's channels")
struct SocketReturnTests {
    private static func credentials(_ peer: SocketPeer, _ offset: UInt64?, token: String? = nil) -> String {
        var members = ["\"pid\":\"\(peer.pid ?? "")\"", "\"offset\":\"\(offset ?? 0)\""]
        if let token { members.append("\"token\":\"\(token)\"") }
        return "{\(members.joined(separator: ","))}"
    }

    /// A client that listens to activities and deployments and has heard of one.
    private static func watcher(_ network: FakeNetwork, _ way: SocketPeer.Way, token: String? = nil) throws -> SocketPeer {
        let peer = try SocketPeer(network, way).connect(token.map { "{\"token\":\"\($0)\"}" } ?? "")
        try peer.subscribe("activity_stream", "deployment_events")
        network.note("heard")
        try peer.listen()
        #expect(peer.events.last?.argument.contains("\"heard\"") == true)
        return peer
    }

    private static func messages(_ peer: SocketPeer) -> [String] {
        peer.take().filter { $0.name == "activity_stream" }.compactMap { event in
            event.argument.components(separatedBy: "\"message\":\"").dropFirst().first.map { String($0.prefix { $0 != "\"" }) }
        }
    }

    // MARK: Who may

    @Test("within the time, to the millisecond; by either transport", arguments: [
        (SocketPeer.Way.webSocket, 119_999, true), (.webSocket, 120_000, false), (.polling, 119_999, true), (.polling, 120_000, false),
    ])
    func time(_ way: SocketPeer.Way, _ wait: Int64, _ returns: Bool) throws {
        let network = FakeNetwork()
        let peer = try Self.watcher(network, .webSocket)
        let offset = peer.offset
        try peer.cut()
        network.note("missed")
        network.wait(.milliseconds(wait))
        let again = try SocketPeer(network, way).connect(Self.credentials(peer, offset))
        #expect((again.name == peer.name) == returns)
        #expect((again.pid == peer.pid) == returns)
        #expect(Self.messages(again) == (returns ? ["missed"] : []))
        network.note("later")
        try again.listen()
        #expect(Self.messages(again) == (returns ? ["later"] : []))
        #expect(network.server.context.metrics.socketReturns == (returns ? 1 : 0))
        network.checkEnd()
    }

    @Test("a session that polls no more is parked when its ping goes unanswered")
    func pollerGone() throws {
        let network = FakeNetwork()
        let peer = try Self.watcher(network, .polling)
        let offset = peer.offset
        peer.keepsPolling = false
        network.note("missed")
        network.wait(.milliseconds(44_999))
        #expect(network.server.sockets.count == 1)
        network.wait(.milliseconds(1))
        #expect(network.server.sockets.count == 0)
        network.note("missed too")
        network.wait(.milliseconds(119_999))
        let again = try SocketPeer(network, .polling).connect(Self.credentials(peer, offset))
        #expect(again.name == peer.name)
        #expect(Self.messages(again) == ["missed", "missed too"])
        network.checkEnd()
    }

    @Test("whose old session is still there takes its place: the old one closes and hears nothing more", arguments: [
        (SocketPeer.Way.polling, SocketPeer.Way.polling), (.polling, .webSocket), (.webSocket, .polling), (.webSocket, .webSocket),
    ])
    func present(_ old: SocketPeer.Way, _ new: SocketPeer.Way) throws {
        let network = FakeNetwork()
        let peer = try Self.watcher(network, old)
        let offset = peer.offset
        network.note("missed")
        let again = try SocketPeer(network, new).connect(Self.credentials(peer, offset))
        #expect(again.name == peer.name)
        #expect(Self.messages(again) == ["missed"])
        network.note("later")
        try again.listen()
        #expect(Self.messages(again) == ["later"])
        _ = peer.take()
        try peer.listen()
        #expect(peer.isOver)
        #expect(!Self.messages(peer).contains("later"))
        #expect(network.server.sockets.count == 1)
        #expect(network.server.context.broker.hub.subscriberCount == 1)
        // The old one's end takes nothing from the new one.
        network.wait(.seconds(20))
        let third = try SocketPeer(network, old).connect(Self.credentials(again, again.offset))
        #expect(third.name == peer.name)
        network.checkEnd()
    }

    @Test("another user, or nobody, does not; the one whose it is still does")
    func otherUser() throws {
        let network = FakeNetwork(try Tokens.settings(.users))
        let token = try Tokens.token("42")
        let peer = try Self.watcher(network, .webSocket, token: token)
        let offset = peer.offset
        try peer.cut()
        network.note("mine", of: "42")
        for other in [try Tokens.token("43"), nil] {
            let thief = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, offset, token: other))
            #expect(!thief.name.isEmpty && thief.name != peer.name && thief.pid != peer.pid)
            #expect(Self.messages(thief).isEmpty)
        }
        let again = try SocketPeer(network, .polling).connect(Self.credentials(peer, offset, token: token))
        #expect(again.name == peer.name)
        #expect(Self.messages(again) == ["mine"])
        // While it is there, too.
        let thief = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, offset, token: try Tokens.token("43")))
        #expect(thief.name != peer.name)
        try again.listen()
        #expect(!again.isOver)
        network.checkEnd()
    }

    @Test("a token is checked anew, and what it may hear is what the new one may")
    func newToken() throws {
        let network = FakeNetwork(try Tokens.settings(.all))
        let peer = try Self.watcher(network, .webSocket, token: try Tokens.token("42"))
        let offset = peer.offset
        try peer.cut()
        network.note("of 43", of: "43")
        let refused = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, offset, token: "x"))
        #expect(refused.packets.first?.hasPrefix("44{") == true)
        let again = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, offset, token: try Tokens.token("42", .admin)))
        #expect(again.name == peer.name)
        #expect(Self.messages(again) == ["of 43"])
        network.checkEnd()
    }

    // MARK: Where there is nothing to come back to

    @Test("an offset that is too old, or of the future, begins anew; the one who was there may still come back")
    func unknownOffsets() throws {
        var settings = Settings()
        settings.limits.bulletinsMax = 8
        let network = FakeNetwork(settings)
        let peer = try Self.watcher(network, .webSocket)
        let offset = try #require(peer.offset)
        try peer.cut()
        for number in 0..<8 { network.note("note \(number)") }
        let future = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, offset + 9))
        #expect(future.name != peer.name && future.events.isEmpty)
        let huge = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, 9_999_999_999_999_999_999))
        #expect(huge.name != peer.name)
        let again = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, offset))
        #expect(again.name == peer.name)
        #expect(Self.messages(again) == (0..<8).map { "note \($0)" })
        let last = again.offset
        try again.cut()
        for number in 0..<9 { network.note("note \(number)") }
        let late = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, last))
        #expect(late.name != peer.name && late.events.isEmpty)
        network.checkEnd()
    }

    @Test("what is no credential of this server's is overlooked", arguments: [
        #"{"pid":"x","offset":"1"}"#, #"{"pid":1,"offset":"1"}"#, #"{"pid":"0123456789abcdef0123456789abcdef","offset":"1"}"#,
        #"{"offset":"1"}"#, #"{"pid":"PID"}"#, #"{"pid":"PID","offset":1}"#, #"{"pid":"PID","offset":""}"#, #"{"pid":"PID","offset":"-1"}"#,
        #"{"pid":"PID","offset":"12345678901234567890"}"#, #"{"pid":"PID","offset":"1x"}"#, #"{"pid":null,"offset":null}"#,
    ])
    func strange(_ payload: String) throws {
        let network = FakeNetwork()
        let peer = try Self.watcher(network, .webSocket)
        try peer.cut()
        let parts = payload.components(separatedBy: "PID")
        let again = try SocketPeer(network, .webSocket).connect(parts.joined(separator: peer.pid ?? ""))
        #expect(!again.name.isEmpty && again.name != peer.name)
        network.checkEnd()
    }

    @Test("who left the namespace, or broke the protocol, left for good", arguments: ["41", "42[]", "49", "9"])
    func left(_ packet: String) throws {
        for way in SocketPeer.Way.allCases {
            let network = FakeNetwork()
            let peer = try Self.watcher(network, way)
            let offset = peer.offset
            try peer.say(packet)
            try peer.cut()
            let again = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, offset))
            #expect(!again.name.isEmpty && again.name != peer.name)
            network.checkEnd()
        }
    }

    @Test("who closes its session without a word may come back")
    func closed() throws {
        for way in SocketPeer.Way.allCases {
            let network = FakeNetwork()
            let peer = try Self.watcher(network, way)
            let offset = peer.offset
            try peer.say("1")
            let again = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, offset))
            #expect(again.name == peer.name)
            network.checkEnd()
        }
    }

    @Test("a client that names its transport first is told no offset, and is not kept", arguments: SocketPeer.Way.allCases)
    func omitsOffset(_ way: SocketPeer.Way) throws {
        let network = FakeNetwork()
        let peer = try SocketPeer(network, way, omitsOffset: true).connect()
        try peer.subscribe("all")
        network.note("one")
        try peer.say("42[\"dance\"]")
        #expect(peer.events.count >= 4)
        #expect(peer.events.allSatisfy { $0.offset == nil })
        try peer.say("1")
        let again = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, 1))
        #expect(again.name != peer.name)
        network.checkEnd()
    }

    @Test("where the operator wants no recovery there is no pid, and nobody is kept", arguments: [true, false])
    func switchedOff(_ byCount: Bool) throws {
        var settings = Settings()
        if byCount { settings.limits.recoverablesMax = 0 } else { settings.limits.recoveryTime = .zero }
        let network = FakeNetwork(settings)
        let peer = try SocketPeer(network, .webSocket).connect()
        #expect(!peer.name.isEmpty && peer.pid == nil)
        try peer.subscribe("all")
        try peer.cut()
        network.checkEnd()
    }

    @Test("as many are kept as may be, and the oldest give way")
    func oldest() throws {
        var settings = Settings()
        settings.limits.recoverablesMax = 2
        let network = FakeNetwork(settings)
        let peers = try (0..<3).map { _ in try Self.watcher(network, .webSocket) }
        for peer in peers { try peer.cut() }
        let names = try peers.map { peer in
            try SocketPeer(network, .webSocket).connect(Self.credentials(peer, peer.offset)).name
        }
        #expect(names[0] != peers[0].name && names[1] == peers[1].name && names[2] == peers[2].name)
        network.checkEnd()
    }

    // MARK: What is told again

    @Test("what a client alone was told and did not get is told again: its confirmation, its picture, once, before what came behind")
    func unheardConfirmation() throws {
        for way in SocketPeer.Way.allCases {
            let network = FakeNetwork()
            network.note("old")
            let peer = try SocketPeer(network, .webSocket).connect()
            let witness = try SocketPeer(network, .webSocket).connect()
            try witness.subscribe("deployment_events")
            let offset = try #require(witness.offset)
            // The client's words come to the server, the server's answers are lost.
            peer.shout("42[\"subscribe_activity_stream\"]")
            peer.shout("42[\"subscribe_system_alerts\"]")
            network.note("first")
            network.sample(memory: 85)
            network.note("second")
            try peer.cut(unheard: true)
            network.note("third")
            let again = try SocketPeer(network, way).connect(Self.credentials(peer, offset))
            #expect(again.name == peer.name)
            let events = again.take()
            #expect(events.first?.name == "subscribed")
            #expect(events.count { $0.name == "subscribed" } == 2)
            let notes = events.compactMap { event in ["old", "first", "second", "third"].first { event.argument.contains("\"\($0)\"") } }
            #expect(notes == ["old", "first", "second", "third"])
            #expect(events.count { $0.name == "system_alerts" } == 1)
            #expect(events.compactMap(\.offset) == events.compactMap(\.offset).sorted())
            network.checkEnd()
        }
    }

    @Test("a picture of which only a part came is told from there on")
    func brokenPicture() throws {
        let network = FakeNetwork()
        for number in 0..<10 { network.note("note \(number)") }
        let peer = try SocketPeer(network, .webSocket).connect()
        try peer.subscribe("activity_stream")
        let events = peer.take()
        try #require(events.count == 11)
        network.note("behind")
        for heard in 1...11 {
            let again = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, events[heard - 1].offset))
            #expect(again.name == peer.name)
            let expected = (0..<10).map { "note \($0)" } + ["behind"]
            #expect(Self.messages(again) == Array(expected.dropFirst(heard - 1)), "\(heard) heard")
        }
        network.checkEnd()
    }

    @Test("of a picture of alerts that came in part nothing is lost, whichever of them ended meanwhile; what they are now is told once",
        arguments: 0..<4, 0..<5)
    func brokenAlerts(_ ended: Int, _ heard: Int) throws {
        let network = FakeNetwork()
        network.sample(gpus: [85, 85, 85, 85])
        let peer = try SocketPeer(network, .webSocket).connect()
        try peer.subscribe("system_alerts")
        func alert(_ event: SocketPeer.Event) -> String {
            let id = event.argument.components(separatedBy: "\"alert_id\":\"").dropFirst().first.map { String($0.prefix { $0 != "\"" }) }
            return (id ?? "") + (event.argument.contains("\"resolved\":true") ? " resolved" : "")
        }
        let events = peer.take()
        let alerts = events.dropFirst().map(alert)
        try #require(Set(alerts).count == 4)
        try peer.cut()
        network.sample(gpus: (0..<4).map { $0 == ended ? 10 : 85 })
        let again = try SocketPeer(network, .webSocket).connect(Self.credentials(peer, events[heard].offset))
        let told = again.take().map(alert)
        for (number, alert) in alerts.enumerated() where number >= heard && number != ended { #expect(told.count { $0 == alert } == 1) }
        #expect(told.last == "\(alerts[ended]) resolved" && !told.contains(alerts[ended]))
        network.checkEnd()
    }

    // MARK: Chance

    /// One who watches through all its sessions.
    private final class Watcher {
        var peer: SocketPeer
        var log: [SocketPeer.Event] = []
        var offset: UInt64?
        let first: SocketPeer
        let token: String?

        init(_ peer: SocketPeer, token: String?) {
            self.peer = peer
            self.token = token
            first = peer
        }

        func hear() throws {
            try peer.listen()
            let events = peer.take()
            log += events
            if let last = events.compactMap(\.offset).last { offset = last }
        }
    }

    @Test("seeded runs of several clients whose connections break at any time: each has what was published for it, in order, once",
        arguments: 0..<30)
    func chance(_ seed: UInt64) throws {
        var random = Seeded(seed: seed &+ 77)
        func roll(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }
        let network = FakeNetwork(try Tokens.settings(.users), seed: seed)
        let witness = try SocketPeer(network, .webSocket).connect("{\"token\":\"\(try Tokens.token("root", .admin))\"}")
        try witness.subscribe("all")
        _ = witness.take()
        var watchers: [Watcher] = []
        for number in 0..<4 {
            let token = number == 0 ? nil : try Tokens.token(number == 3 ? "root" : "u\(number)", number == 3 ? .admin : .user)
            let way = SocketPeer.Way.allCases[roll(2)]
            let peer = try SocketPeer(network, way).connect(token.map { "{\"token\":\"\($0)\"}" } ?? "")
            try peer.subscribe("activity_stream", "deployment_events", "system_resources")
            let watcher = Watcher(peer, token: token)
            try watcher.hear()
            watcher.log = []
            watchers.append(watcher)
        }
        var told = 0
        func publish() throws {
            told += 1
            switch roll(6) {
            case 0: try network.deploy("dep-\(told)", starts: Bool.random(using: &random))
            case 1: network.sample(memory: Double(roll(100)))
            case 2, 3: network.note("note \(told)", of: "u\(1 + roll(2))")
            default: network.note("note \(told)")
            }
        }
        func comeBack(_ watcher: Watcher) throws {
            let again = try SocketPeer(network, SocketPeer.Way.allCases[roll(2)]).connect(
                Self.credentials(watcher.first, watcher.offset, token: watcher.token))
            #expect(again.name == watcher.first.name, "seed \(seed): anew")
            watcher.peer = again
            try watcher.hear()
        }
        for _ in 0..<120 {
            let watcher = watchers[roll(watchers.count)]
            switch roll(12) {
            case 0, 1, 2, 3, 4: try publish()
            case 5: network.wait(.milliseconds(Int64(roll(3_000))))
            case 6, 7: try watcher.hear()
            case 8:
                // Some of what came is lost on the way.
                if roll(2) == 0 { try watcher.hear() }
                try watcher.peer.cut(unheard: true)
                for _ in 0..<roll(4) { try publish() }
                try comeBack(watcher)
            case 9:
                // The server has not noticed.
                for _ in 0..<roll(4) { try publish() }
                try comeBack(watcher)
            case 10 where watcher.peer.way == .polling && watcher.peer.keepsPolling:
                try watcher.hear()
                try watcher.peer.upgrade { if Bool.random(using: &random) { try publish() } }
            case 10: break
            default:
                // Back, and gone again before it heard anything.
                try watcher.hear()
                try watcher.peer.cut()
                for _ in 0..<roll(3) { try publish() }
                let hasty = try SocketPeer(network, .webSocket)
                hasty.shout("40" + Self.credentials(watcher.first, watcher.offset, token: watcher.token))
                try hasty.cut(unheard: true)
                for _ in 0..<roll(3) { try publish() }
                try comeBack(watcher)
            }
            for watcher in watchers { try watcher.hear() }
            try witness.listen()
        }
        for watcher in watchers { try comeBack(watcher) }
        let published = witness.take().filter { $0.name != "model_status_update" && $0.name != "system_alerts" }
        #expect(published.count > 20)
        let offsets = published.compactMap(\.offset)
        #expect(offsets == offsets.sorted() && Set(offsets).count == offsets.count)
        for (number, watcher) in watchers.enumerated() {
            let expected = published.filter { event in
                guard number < 3, event.name == "activity_stream" else { return true }
                return !Self.isOfAnother(event, than: "u\(number)", in: network)
            }
            #expect(watcher.log.map(\.offset) == expected.map(\.offset), "seed \(seed), watcher \(number)")
            #expect(watcher.log == expected, "seed \(seed), watcher \(number)")
        }
        #expect(network.server.context.metrics.socketSessionsFailed == 0)
        network.checkEnd()
    }

    /// Whether an activity is one of somebody else, as the journal has it.
    private static func isOfAnother(_ event: SocketPeer.Event, than user: String, in network: FakeNetwork) -> Bool {
        for case .activityNoted(let activity) in network.disk.written
        where activity.owner != nil && event.argument.contains("\"id\":\"\(activity.id)\"") {
            return activity.owner?.description != user
        }
        return false
    }
}
