// FleetVisitor: a client of Socket.IO (document E) as the stock ones are: begins by polling and moves to a WebSocket, or by the WebSocket
// at once; subscribes, answers pings, and comes back with its secret and the last offset that it heard. Whether it was recovered it is
// told, and then it has missed nothing: each offset is one event, the same for everybody.
import Base

final class FleetVisitor: Talker {
    private enum Way { case polling, webSocket }

    private enum Upgrade {
        case none
        /// The WebSocket is asked whether it is one.
        case probing
        /// It is; what is still under way by polling comes first.
        case pausing
    }

    private var way = Way.webSocket
    private var session: String?
    private var upgrade = Upgrade.none
    private let poller: Caller
    private let poster: Caller
    private var secret: String?
    private var offset: Int?
    private var lastName: String?
    private var isIn = false
    private var isFinishing = false
    /// Grows with each session: what belongs to an older one is overlooked.
    private var visit = 0

    override init(_ world: Simulation, _ name: String) {
        poller = Caller(world, name)
        poster = Caller(world, name + "+")
        super.init(world, name)
    }

    func enter() {
        beginLater(0...1_500)
        next()
    }

    func finish() { isFinishing = true }

    func goAway() {
        leave()
        visit += 1
        poller.drop()
        poster.drop()
    }

    private func next() {
        world.after(world.chance.span(500...5_000)) { [self] in
            guard !hasLeft, !isFinishing else { return }
            if isIn {
                switch world.chance.number(0...5) {
                case 0: say(packet: "42[\"subscribe_\(world.chance.pick(["all", "activity_stream", "model_status"]))\"]")
                case 1: say(packet: "42[\"unsubscribe_system_resources\"]")
                case 2: begin(again: true)
                case _: note()
                }
            }
            next()
        }
    }

    /// Has something happen that others hear of.
    private func note() {
        let body = "{\"activity_type\":\"user_operation\",\"message\":\"\(name) \(world.nextNonce())\"}"
        poster.call("POST", "/api/activities", body: body) { [self] reply, _ in
            if let reply, ![200, 201, 503].contains(reply.status) { world.fail("fleet", "\(reply.status) \(reply.bodyText)") }
        }
    }

    // MARK: Sessions

    private func beginLater(_ milliseconds: ClosedRange<Int>) {
        let visit = visit
        world.after(world.chance.span(milliseconds)) { [self] in if visit == self.visit { begin(again: false) } }
    }

    private func begin(again: Bool) {
        guard !hasLeft else { return }
        visit += 1
        (isIn, upgrade, session) = (false, .none, nil)
        drop(world.chance.once(in: 2) ? .reset : .inOrder)
        poller.drop()
        if again { return beginLater(1...3_000) }
        way = world.chance.once(in: 2) ? .polling : .webSocket
        guard case .polling = way else { return connect() }
        let visit = visit
        poller.call("GET", "/socket.io/?EIO=4&transport=polling") { [self] reply, _ in
            guard visit == self.visit else { return }
            take(polled: reply)
        }
    }

    /// It was cut off, and comes back.
    private func cut() { if !hasLeft { begin(again: true) } }

    override var target: String { "/socket.io/?EIO=4&transport=websocket" + (session.map { "&sid=\($0)" } ?? "") }

    override func joined() { if case .probing = upgrade { say("2probe") } }

    override func parted(_ code: Int?) {
        switch (upgrade, way) {
        // An upgrade that fails leaves the polls as they were.
        case (.probing, _): upgrade = .none
        case (.pausing, _), (.none, .webSocket): cut()
        case (.none, .polling): break
        }
    }

    override func refused(_ status: Int) { parted(nil) }

    // MARK: Polling

    private func poll() {
        guard let session, case .polling = way else { return }
        let visit = visit
        world.tally[.polls] += 1
        poller.call("GET", "/socket.io/?EIO=4&transport=polling&sid=\(session)") { [self] reply, _ in
            guard visit == self.visit else { return }
            take(polled: reply)
        }
    }

    private func take(polled reply: Reply?) {
        guard let reply, reply.status == 200 else { return cut() }
        let visit = visit
        for packet in reply.bodyText.split(separator: "\u{1e}", omittingEmptySubsequences: false) {
            world.trace.note(world.now, name) { "< \(packet)" }
            do {
                try take(packet: String(packet))
            } catch {
                world.fail("wire", "\(name): \(error)")
            }
            guard visit == self.visit else { return }
        }
        if case .pausing = upgrade { return confirm() }
        if isIn, case .none = upgrade, world.chance.once(in: 4) {
            upgrade = .probing
            connect()
        }
        poll()
    }

    private func say(packet: String) {
        if case .webSocket = way { return say(packet) }
        guard let session else { return }
        if case .pausing = upgrade { return }
        let visit = visit
        let target = "/socket.io/?EIO=4&transport=polling&sid=\(session)"
        poster.call("POST", target, ["Content-Type: text/plain;charset=UTF-8"], body: packet) { [self] reply, _ in
            guard visit == self.visit else { return }
            if reply?.status != 200 { cut() } else if case .pausing = upgrade { confirm() }
        }
    }

    override func told(_ text: String) throws {
        guard case .probing = upgrade else { return try take(packet: text) }
        guard text == "3probe" else { throw Malformed("a probe is answered by \(text)") }
        upgrade = .pausing
        confirm()
    }

    /// The WebSocket is the way, once nothing is under way by the other.
    private func confirm() {
        guard poller.openRequests == 0, poster.openRequests == 0 else { return }
        (way, upgrade) = (.webSocket, .none)
        say("5")
        world.tally[.upgrades] += 1
    }

    // MARK: Packets

    private func take(packet: String) throws {
        switch packet.first {
        case "0":
            session = try JSON(packet.dropFirst().utf8)["sid"]?.text
            var connect = "40"
            if let secret, let offset { connect += "{\"pid\":\"\(secret)\",\"offset\":\"\(offset)\"}" }
            say(packet: connect)
        case "1": cut()
        case "2": say(packet: "3")
        case "6": break
        case "4":
            switch packet.dropFirst().first {
            case "0": try welcomed(packet)
            case "1": cut()
            case "2": try event(packet)
            case _: throw Malformed("a packet \(packet)")
            }
        case _: throw Malformed("a packet \(packet)")
        }
    }

    private func welcomed(_ packet: String) throws {
        let answer = try JSON(packet.dropFirst(2).utf8)
        isIn = true
        if let lastName {
            let isRecovered = answer["sid"]?.text == lastName
            world.tally[isRecovered ? .recoveries : .recoveriesRefused] += 1
            world.bulletins.came(back: name, isRecovered: isRecovered)
            if isRecovered { return secret = answer["pid"]?.text }
        }
        world.bulletins.begins(name, life: socket?.life ?? world.life)
        (lastName, secret, offset) = (answer["sid"]?.text, answer["pid"]?.text, nil)
        for channel in ["activity_stream", "system_resources", "model_status"] where !world.chance.once(in: 4) {
            say(packet: "42[\"subscribe_\(channel)\"]")
        }
    }

    private func event(_ packet: String) throws {
        let parts = try JSON(packet.dropFirst(2).utf8).elements
        guard let event = parts.first?.text, parts.count > 1 else { throw Malformed("an event \(packet)") }
        if event == "error" { return world.fail("fleet", "\(name) is told \(packet)") }
        guard parts.count == 3, let offset = parts[2].text.flatMap({ Int($0) }) else {
            throw Malformed("an event without offset: \(packet)")
        }
        world.tally[.bulletins] += 1
        if let last = self.offset, offset <= last { world.fail("fleet", "\(name) is told \(offset) behind \(last): \(packet)") }
        self.offset = offset
        world.bulletins.told(name, event, offset, packet)
    }
}
