// Worker: does tasks, by the dispatch document: some at once, some slowly, some badly, some never. It forgets, comes back under its old
// name with what it has in hand, delivers late, twice, or under an assignment that is over; it never lies about whose result it is.
import Base

final class Worker: Talker {
    private struct Held {
        let nonce: Int
        /// Whether it is a completion, whose pieces are numbered; and how many were said.
        let isCompletion: Bool
        var pieces = 0
        let lease: Int
        /// The worker's connection, by number, over which it came.
        let connection: Int
        /// Whether the server has said that nobody wants it.
        var isCancelled = false
        /// What was sent as its end.
        var sent: Ledger.Ending?

        var isWanted: Bool { !isCancelled && sent == nil }
    }

    private let group: String
    private let concurrency: Int
    private var workerID: String?
    private var hands: [String: Held] = [:]
    private var order: [String] = []
    /// What it has forgotten to have in hand, and yet goes on computing: assignments by task.
    private var leftovers: [String: Int] = [:]
    private var serial = 0
    private var connection = 0
    private var isDraining = false
    private var isHonest = false

    init(_ world: Simulation, _ name: String, group: String) {
        self.group = group
        concurrency = world.chance.pick([1, 1, 2, 4])
        super.init(world, name)
    }

    override var target: String {
        var target = "/ws?group=\(group)"
        if let workerID { target += "&worker_id=\(workerID)" }
        // Who has something in hand wants nothing more before it was heard.
        if !order.isEmpty { target += "&ready=explicit" }
        return target
    }

    /// From now on it does what it is given, and well.
    func settleDown() { isHonest = true }

    /// Tasks that it was given and that nobody has taken back.
    var heldCount: Int { order.count { hands[$0]?.isWanted == true } }

    /// The numbers of those.
    var wanted: [Int] { order.compactMap { hands[$0] }.filter(\.isWanted).map(\.nonce) }

    // MARK: Coming and going

    override func told(_ text: String) throws {
        let message = try JSON(text)
        switch message["type"]?.text {
        case "connected":
            if let id = message["workerId"]?.text {
                if id == workerID { world.tally[.workersReturned] += 1 }
                workerID = id
            }
            connection += 1
            begin()
        case "task": try take(message)
        case "task_ack": acknowledged(message["taskId"]?.text ?? "")
        case "cancel":
            let id = message["taskId"]?.text ?? ""
            world.tally[.recalls] += 1
            hands[id]?.isCancelled = true
            // Most stop at once, some go on and say so too late.
            if hands[id]?.sent == nil, !world.chance.once(in: 4) { forget(id) }
        case "error": refused(message["error"]?.text ?? "", message["taskId"]?.text)
        case "drain":
            isDraining = false
            // What it brought along may be somebody else's by now: that it is told once its list was heard.
            let given = order.count { hands[$0].map { $0.connection == connection && $0.isWanted } ?? false }
            if given > 0 { world.fail("worker", "\(name) is dismissed with \(given) tasks in hand") }
            drop()
            workerID = nil
            connectLater(10...2_000)
        case "pong": break
        case _: throw Malformed("a worker is told \(text)")
        }
    }

    private func begin() {
        if !order.isEmpty, world.chance.once(in: 4) {
            // It was started anew, and remembers nothing.
            world.tally[.workersForgot] += 1
            for id in order {
                leftovers[id] = hands[id]?.lease
                forget(id)
            }
        }
        var ready = "{\"type\":\"ready\",\"concurrency\":\(concurrency)"
        let tasks = order.filter { hands[$0]?.isCancelled == false }
        if world.chance.once(in: 2) || !tasks.isEmpty { ready += ",\"tasks\":[\(tasks.map { "\"\($0)\"" }.joined(separator: ","))]" }
        say(ready + "}")
        // What was sent and never acknowledged is sent again.
        for id in tasks { if let sent = hands[id]?.sent { deliver(id, sent) } }
    }

    override func parted(_ code: Int?) {
        if code == 1_008 { world.tally[.leasesLost] += 1 }
        isDraining = false
        if world.chance.once(in: 5) { workerID = nil }
        connectLater(isHonest ? 10...500 : 10...4_000)
    }

    override func refused(_ status: Int) { connectLater(200...1_000) }

    private func forget(_ id: String) {
        hands[id] = nil
        order.removeAll { $0 == id }
    }

    // MARK: Working

    private func take(_ message: JSON) throws {
        guard let id = message["taskId"]?.text, let lease = message["lease"]?.integer,
            let payload = message["payload"], let nonce = (payload["data"] ?? payload["request"])?["nonce"]?.integer
        else { throw Malformed("a task without its members") }
        world.ledger.assigned(id, nonce: nonce, lease: lease, to: name, life: life)
        forget(id)
        if let old = leftovers.removeValue(forKey: id), old < lease { deliverLeftover(id, nonce, old) }
        let held = heldCount
        if held >= concurrency { world.fail("concurrency", "\(name) has \(held) of \(concurrency), and is given \(id)") }
        order.append(id)
        hands[id] = Held(nonce: nonce, isCompletion: payload["endpoint"] != nil, lease: lease, connection: connection)
        work(id, lease, steps: isHonest ? world.chance.number(0...1) : world.chance.number(0...(world.fate.isTight ? 40 : 6)))
        if !isHonest, !isDraining, world.chance.once(in: 60) {
            isDraining = true
            world.tally[.drains] += 1
            say("{\"type\":\"drain\"}")
        }
    }

    private func work(_ id: String, _ lease: Int, steps: Int) {
        // Where those who read slowly are told less, there has to be much to tell.
        let pause = isHonest ? 1...300 : world.fate.isTight ? 5...250 : world.chance.pick([1...20, 1...600, 50...6_000])
        world.after(world.chance.span(pause)) { [self] in
            guard let held = hands[id], held.lease == lease, held.sent == nil else { return }
            if steps > 0 {
                report(id, held)
                hands[id]?.pieces += 1
                return work(id, lease, steps: steps - 1)
            }
            // Some are never done.
            if !isHonest, world.chance.once(in: 25) { return }
            finish(id, held)
        }
    }

    private func report(_ id: String, _ held: Held) {
        serial += 1
        let head = "\"taskId\":\"\(id)\",\"lease\":\(held.lease)"
        switch world.chance.number(0...(world.fate.isTight ? 2 : 4)) {
        case 0:
            let padding = world.fate.isTight ? String(repeating: "l", count: world.chance.number(0...900)) : ""
            say("{\"type\":\"task_logs\",\(head),\"logs\":\"\(name) line \(serial)\(padding)\"}")
        case 1 where held.isCompletion:
            say("{\"type\":\"task_chunk\",\(head),\"chunk\":{\"nonce\":\(held.nonce),\"piece\":\(held.pieces + 1)}}")
        case 1: say("{\"type\":\"task_chunk\",\(head),\"chunk\":\"\(name) \(serial)\"}")
        case 2: say("{\"type\":\"task_progress\",\(head),\"message\":\"\(name) step \(serial)\"}")
        case _: say("{\"type\":\"task_progress\",\(head),\"progress\":\(world.chance.number(0...100)),\"message\":\"\(name) \(serial)\"}")
        }
    }

    private func finish(_ id: String, _ held: Held) {
        serial += 1
        let padding = world.chance.once(in: 8) ? String(repeating: "x", count: world.chance.number(100...3_000)) : ""
        let content = "{\"nonce\":\(held.nonce),\"by\":\"\(name)\",\"serial\":\(serial),\"pad\":\"\(padding)\"}"
        let isGood = !world.chance.once(in: 5)
        let ending = Ledger.Ending(state: isGood ? "completed" : "failed", content: content)
        if world.ledger.isStale(id, lease: held.lease) {
            world.tally[.staleResults] += 1
            world.ledger.sentStale(id, content)
        }
        hands[id]?.sent = ending
        deliver(id, ending)
        if world.chance.once(in: 15) {
            world.tally[.duplicateResults] += 1
            deliver(id, ending)
        }
        if held.isCancelled { forget(id) }
    }

    private func deliver(_ id: String, _ ending: Ledger.Ending) {
        guard let held = hands[id], let content = ending.content else { return }
        let (type, member) = ending.state == "completed" ? ("task_complete", "result") : ("task_error", "error")
        say("{\"type\":\"\(type)\",\"taskId\":\"\(id)\",\"lease\":\(held.lease),\"\(member)\":\(content)}")
    }

    /// What an assignment that is over has brought.
    private func deliverLeftover(_ id: String, _ nonce: Int, _ lease: Int) {
        serial += 1
        let content = "{\"nonce\":\(nonce),\"by\":\"\(name)\",\"serial\":\(serial),\"pad\":\"stale\"}"
        world.tally[.staleResults] += 1
        world.ledger.sentStale(id, content)
        say("{\"type\":\"task_complete\",\"taskId\":\"\(id)\",\"lease\":\(lease),\"result\":\(content)}")
    }

    private func acknowledged(_ id: String) {
        guard let held = hands[id] else { return }
        guard let sent = held.sent else { return world.fail("worker", "\(name) hears that \(id) is stored, and has sent nothing") }
        world.ledger.acknowledged(id, sent, lease: held.lease, life: life)
        forget(id)
    }

    private func refused(_ error: String, _ id: String?) {
        switch error {
        case "Task was assigned anew: this lease is over":
            // What it has in hand now is another assignment's.
            return world.tally[.refusedLeases] += 1
        case "Task is not assigned to this worker": world.tally[.refusedLeases] += 1
        case "Task not found or expired", "Task already completed", "Task already failed", "Task already cancelled":
            world.tally[.lateResults] += 1
        case _: return world.fail("worker", "\(name) is told \(error)")
        }
        if let id { forget(id) }
    }
}
