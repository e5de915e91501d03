// HubClient: follows many tasks on one socket, by document P: subscribes and unsubscribes, and comes back under its old name with the
// number that it has of each, so that it hears every event once; what is lost it is told to be lost.
import Base

final class HubClient: Talker {
    private var clientID: String?
    /// What it listens to; the tasks' order is that of their names, so that nothing depends on hashing.
    private var threads: [String: Thread] = [:]
    /// Tasks whose state is told before anything else.
    private var fresh: Set<String> = []
    /// Where it stood in tasks of which it was told that what followed is lost.
    private var lostFrom: [String: Int] = [:]
    /// Tasks that it has asked for on this socket and has heard nothing of.
    private var asked: Set<String> = []
    private var isFinishing = false

    func enter() {
        connectLater(0...1_500)
        next()
    }

    func finish() { isFinishing = true }

    private func next() {
        world.after(world.chance.span(50...1_500)) { [self] in
            guard !hasLeft, !isFinishing else { return }
            act()
            next()
        }
    }

    private func act() {
        guard isTalking, clientID != nil else { return }
        switch world.chance.number(0...9) {
        case 0...5:
            guard let task = world.notices.suffix(8).randomElement(using: &world.chance), threads[task] == nil,
                asked.insert(task).inserted
            else { return }
            say("{\"action\":\"subscribe\",\"task_id\":\"\(task)\"}")
        case 6:
            guard let task = threads.keys.sorted().randomElement(using: &world.chance) else { return }
            say("{\"action\":\"unsubscribe\",\"task_id\":\"\(task)\"}")
        case 7: say("{\"type\":\"ping\"}")
        case 8:
            drop()
            connectLater(1...3_000)
        case _: break
        }
    }

    override var target: String {
        guard let clientID else { return "/api/v1/ws?user_id=1" }
        let seen = threads.keys.sorted().compactMap { task in
            fresh.contains(task) ? nil : threads[task]?.last.map { "\(task):\($0)" }
        }
        return "/api/v1/ws/reconnect?user_id=1&old_client_id=\(clientID)" + (seen.isEmpty ? "" : "&last_seq=" + seen.joined(separator: ","))
    }

    override func joined() { (asked, lostFrom) = ([], [:]) }

    // MARK: What it hears

    override func told(_ text: String) throws {
        let message = try JSON(text)
        guard let type = message["type"]?.text, let payload = message["payload"] else { throw Malformed(text) }
        switch type {
        case "connected":
            if clientID != nil { world.tally[.hubReturnsRefused] += 1 }
            clientID = payload["client_id"]?.text
            (threads, fresh) = ([:], [])
        case "reconnected": came(back: payload)
        case "subscribed", "unsubscribed": listens(to: payload["topics"]?.elements.compactMap(\.text) ?? [])
        case "pong": break
        case "gap":
            guard let task = message["task_id"]?.text, let first = payload["first_seq"]?.integer, let last = payload["last_seq"]?.integer
            else { throw Malformed(text) }
            threads[task]?.gap(from: first, through: last, world.chronicle)
        case "progress", "status", "error":
            guard let task = message["task_id"]?.text, let sequence = payload["seq"]?.integer else {
                // The hub refuses a word of a client with the same name.
                return type == "error" ? world.fail("hub", "\(name) is told \(text)") : ()
            }
            try happened(type, task, sequence, text)
        case _: throw Malformed("a client of the hub is told \(text)")
        }
    }

    private func came(back payload: JSON) {
        world.tally[.hubReturns] += 1
        clientID = payload["client_id"]?.text
        let topics = payload["subscribed"]?.members.map(\.name) ?? []
        let lost = Set(payload["recovered"]?.members.map(\.name) ?? [])
        for task in threads.keys.sorted() where !topics.contains(task) {
            threads[task] = nil
            fresh.remove(task)
        }
        for task in topics {
            if threads[task] == nil { threads[task] = Thread(.hub, task, name) }
            if lost.contains(task) {
                world.tally[.hubTopicsLost] += 1
                if !fresh.contains(task) { lostFrom[task] = threads[task]?.last }
            }
            if lost.contains(task) || threads[task]?.last == nil {
                threads[task]?.begin()
                fresh.insert(task)
            } else if !fresh.contains(task) {
                threads[task]?.resume()
            }
        }
    }

    private func listens(to topics: [String]) {
        for task in threads.keys.sorted() where !topics.contains(task) {
            threads[task] = nil
            fresh.remove(task)
        }
        // Who asks before it was greeted may listen already, and is told the state once more.
        for task in topics where asked.remove(task) != nil && threads[task] != nil {
            threads[task]?.begin()
            fresh.insert(task)
        }
        for task in topics where threads[task] == nil {
            threads[task] = Thread(.hub, task, name)
            fresh.insert(task)
        }
    }

    private func happened(_ type: String, _ task: String, _ sequence: Int, _ text: String) throws {
        guard var thread = threads[task] else { return world.fail("hub", "\(name) does not listen, and is told \(text)") }
        world.tally[.hubEvents] += 1
        if fresh.remove(task) != nil, type == "progress" {
            thread.stands(at: sequence, claimed: nil)
            if let from = lostFrom.removeValue(forKey: task) { world.chronicle.lost(task, from: from, to: sequence, by: name) }
        } else {
            world.chronicle.told(.hub, task, sequence, type, text, to: name, life: life)
            thread.heard(sequence, closes: type != "progress", world.chronicle)
        }
        threads[task] = thread
    }

    override func parted(_ code: Int?) {
        if code == 1_013 { world.tally[.slowConsumers] += 1 }
        connectLater(1...2_000)
    }

    override func refused(_ status: Int) { connectLater(100...1_000) }
}
