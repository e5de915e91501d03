// Goal: clients of the hub that are cut off at random moments and come back, again and again, while several tasks report: each has in the
// end heard every event of every task that it listens to, in order; and none twice where it says how far it is, or where nothing was on
// its way when it was cut off. The client of the test is written from the document, and knows nothing of the server.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

/// A client as the document has it: keeps its name, its topics, and the last number of each.
private final class Listener {
    /// Nil while it has none.
    var link: FakeNetwork.Link?
    private var unread: [UInt8] = []
    private var isOpen = false
    var name: String?
    /// The last number of each task that it listens to; nil where it waits for the task's state.
    var seen: [String: Int?] = [:]
    /// Where the events of this socket are; none before the first.
    private var cursor: [String: Int] = [:]
    /// Whether an event may come twice: not all that was on its way went out.
    var mayRepeat = false
    /// Whether what went out was lost on its way: nobody but the client itself can know.
    var mustSay = false
    /// Whether a task's state may have been lost so.
    var mayLackState = false
    let isBatched: Bool
    private(set) var returns = 0
    private(set) var lost = 0
    private(set) var faults: [String] = []

    init(isBatched: Bool) { self.isBatched = isBatched }

    /// How far it is, as it says when it comes back.
    var positions: String {
        seen.compactMap { task, last in last.flatMap { $0 }.map { "\(task):\($0)" } }.sorted().joined(separator: ",")
    }

    func connected(_ link: FakeNetwork.Link) {
        self.link = link
        unread = []
        isOpen = false
        cursor = [:]
    }

    /// Reads what has come.
    func read() {
        guard let link else { return }
        unread += link.takeOutput()
        if !isOpen {
            guard let reply = try? Wire.reply(&unread, isHead: false) else { return }
            if reply.status != 101 { faults.append("got \(reply.status) \(reply.body)") }
            isOpen = true
        }
        while let frame = try? Wire.frame(&unread) {
            guard frame.first & 0x0f == 1 else { continue }
            let text = String(decoding: frame.payload, as: UTF8.self)
            for line in isBatched ? text.components(separatedBy: "\n") : [text] { hear(line) }
        }
    }

    private func member(_ key: String, of text: String) -> String? {
        guard let part = text.components(separatedBy: "\"\(key)\":").dropFirst().last else { return nil }
        if part.hasPrefix("\"") { return String(part.dropFirst().prefix { $0 != "\"" }) }
        return String(part.prefix { $0 != "," && $0 != "}" })
    }

    /// The names in `"key":{"a":true,…}`.
    private func names(in key: String, of text: String) -> Set<String> {
        guard let part = text.components(separatedBy: "\"\(key)\":{").dropFirst().first else { return [] }
        return Set(part.prefix { $0 != "}" }.split(separator: ",").map { String($0.dropFirst().prefix { $0 != "\"" }) })
    }

    private func hear(_ text: String) {
        if text.contains("connected\"") { mustSay = false }
        guard let type = text.components(separatedBy: "{\"type\":\"").dropFirst().first?.prefix(while: { $0 != "\"" }) else {
            return faults.append("no message: \(text)")
        }
        switch type {
        case "connected":
            name = member("client_id", of: text)
            seen = [:]
            mayRepeat = false
        case "reconnected":
            returns += 1
            name = text.components(separatedBy: "\"client_id\":\"").dropFirst().first.map { String($0.prefix { $0 != "\"" }) }
            let topics = names(in: "subscribed", of: text)
            for task in seen.keys where !topics.contains(task) { seen[task] = nil }
            let gone = names(in: "recovered", of: text)
            lost += gone.count
            for task in topics where seen[task] == nil || gone.contains(task) { seen[task] = .some(nil) }
        case "subscribed", "unsubscribed":
            guard let list = text.components(separatedBy: "\"topics\":[").dropFirst().first?.prefix(while: { $0 != "]" }) else { return }
            let topics = Set(list.split(separator: ",").map { String($0.dropFirst().dropLast()) })
            for task in seen.keys where !topics.contains(task) { seen[task] = nil }
            for task in topics where seen[task] == nil { seen[task] = .some(nil) }
        case "progress", "status", "error":
            guard let task = member("task_id", of: text) ?? member("execution_id", of: text),
                let sequence = member("seq", of: text).flatMap({ Int($0) })
            else { return faults.append("no event: \(text)") }
            event(task, sequence, text)
        default: faults.append("what is this: \(text)")
        }
    }

    private func event(_ task: String, _ sequence: Int, _ text: String) {
        guard let known = seen[task] else { return faults.append("nobody asked for \(text)") }
        defer { cursor[task] = sequence }
        guard let last = known else {
            seen[task] = sequence
            return
        }
        // A state and the end it tells of, or the two messages of one failure.
        if cursor[task] == sequence { return }
        if let before = cursor[task] {
            if sequence != before + 1 { faults.append("\(task): \(sequence) after \(before)") }
        } else if sequence > last + 1 || sequence <= last && !mayRepeat {
            faults.append("\(task): came back at \(last), began with \(sequence)")
        }
        seen[task] = max(last, sequence)
    }
}

@Suite("Clients of the hub that come back, at random")
struct HubReturnChanceTests {
    private static let tasks = (0..<5).map { "t\($0)" }

    /// The world of one run.
    private final class World {
        let stage: Stage
        var network: FakeNetwork { stage.network }
        var random: Seeded
        var listeners: [Listener] = []
        private var live: Set<String> = []

        init(_ seed: Int) {
            var settings = Settings()
            settings.limits.historyLengthMax = seed % 2 == 0 ? 100 : 8
            // Who reads slowly is told less, by design: not here.
            settings.limits.conflatedBytesMin = settings.limits.queuedBytesMax
            settings.limits.resultTTL = .seconds(3_000)
            stage = Stage([Chunking.whole, .seeded(UInt64(seed))][seed % 2], settings, seed: UInt64(seed))
            random = Seeded(seed: UInt64(seed))
            for index in 0..<5 { listeners.append(Listener(isBatched: index == 4)) }
        }

        func record(_ id: String) -> TaskRecord? { TaskID(SharedBytes(id).span).flatMap { network.server.context.broker.task($0) } }

        /// Something happens to some task; several things at once, now and then.
        func report() {
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                guard let task = HubReturnChanceTests.tasks.randomElement(using: &random) else { return }
                if !live.contains(task) {
                    stage.register(task, of: "u")
                    live.insert(task)
                } else {
                    switch Int.random(in: 0..<40, using: &random) {
                    case 0:
                        stage.report(task, .failed(TaskEvent.Fault(error: .plain(SharedBytes("no")))))
                        live.remove(task)
                    case 1:
                        stage.report(task, .completed(result: SharedBytes("{\n}")))
                        live.remove(task)
                    default: stage.progress(task, Double.random(in: 0...100, using: &random))
                    }
                }
            }
        }

        func connect(_ listener: Listener) {
            cut(listener)
            let link = network.open()
            var query = "user_id=u" + (listener.isBatched ? "&batch=ndjson" : "")
            if let name = listener.name { query += "&old_client_id=\(name)" }
            if Bool.random(using: &random) || listener.mustSay, listener.name != nil, !listener.positions.isEmpty {
                query += "&last_seq=\(listener.positions)"
                listener.mayRepeat = false
            }
            let head = "GET /api/v1/ws?\(query) HTTP/1.1\r\nHost: signalbox.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            listener.connected(link)
            if Int.random(in: 0..<4, using: &random) == 0 { link.stalls = true }
            network.send(Array((head + key).utf8), on: link)
        }

        /// The socket is gone: at once, or so that only the client knows.
        func cut(_ listener: Listener) {
            guard let link = listener.link else { return }
            if Bool.random(using: &random) { network.read(link) }
            if Bool.random(using: &random) { listener.read() }
            // What the server still holds is lost, and it knows; what it has sent and nobody read is lost, and it does not know.
            if network.outbox.queuedBytes(link.id) > 0 { listener.mayRepeat = true }
            if !link.takeOutput().isEmpty {
                listener.mustSay = true
                listener.mayLackState = true
            }
            listener.link = nil
            guard Bool.random(using: &random) else { return network.leave(link) }
            // The server goes on sending, and nobody reads.
            listener.mustSay = true
            listener.mayLackState = true
        }

        func say(_ listener: Listener) {
            guard let link = listener.link, link.state == .open, let task = HubReturnChanceTests.tasks.randomElement(using: &random) else {
                return
            }
            let word = Int.random(in: 0..<3, using: &random) == 0 ? "unsubscribe" : "subscribe"
            listener.read()
            guard (listener.seen[task] != nil) == (word == "unsubscribe") else { return }
            network.send(Wire.frame(1, Array(#"{"action":"\#(word)","task_id":"\#(task)"}"#.utf8)), on: link)
        }

        func step() {
            guard let listener = listeners.randomElement(using: &random) else { return }
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<10: report()
            case 10..<13: say(listener)
            case 13..<15: connect(listener)
            case 15: cut(listener)
            case 16: listener.link?.stalls = true
            case 17: if let link = listener.link { network.read(link) }
            default: listener.read()
            }
        }
    }

    @Test("hundreds of times cut off, and nothing is missed", arguments: 1...12)
    func chance(_ seed: Int) {
        let world = World(seed)
        for _ in 0..<900 {
            world.step()
            guard world.listeners.allSatisfy(\.faults.isEmpty) else { break }
        }
        // Everybody comes back once more, and reads to the end.
        for listener in world.listeners {
            world.connect(listener)
            if let link = listener.link { world.network.read(link) }
        }
        world.report()
        var returns = 0
        for (index, listener) in world.listeners.enumerated() {
            if let link = listener.link { world.network.read(link) }
            listener.read()
            #expect(listener.faults.isEmpty, "seed \(seed), listener \(index): \(listener.faults.prefix(3))")
            for (task, last) in listener.seen {
                let there = world.record(task).map { Int($0.sequence) }
                if last == nil, listener.mayLackState { continue }
                #expect(last == there, "seed \(seed), listener \(index): \(task)")
            }
            returns += listener.returns
        }
        #expect(returns > 30, "nobody came back: \(returns)")
        for task in Self.tasks where world.record(task).map({ !$0.state.isTerminal }) ?? false {
            world.stage.report(task, .cancelled(reason: nil))
        }
        for link in world.network.links { world.network.leave(link) }
        #expect(world.network.server.context.broker.hub.subscriberCount == 0)
        #expect(world.network.server.context.metrics.hubClients == 0)
    }
}
