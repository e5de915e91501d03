// Submitter: gives tasks in and wants results, by the dispatch document: waits, or asks for them later; pipelines, repeats itself under a
// key, cancels, and goes away. Each task carries a number of its own, by which its result is known again.
import Base

final class Submitter {
    unowned let world: Simulation
    private let name: String
    private let caller: Caller
    private let asker: Caller
    private var isDone = false
    /// Tasks that were confirmed and are asked after.
    private var watched: [String] = []

    init(_ world: Simulation, _ name: String) {
        self.world = world
        self.name = name
        caller = Caller(world, name)
        asker = Caller(world, name + "?")
    }

    func enter() { next() }
    func finish() { isDone = true }
    func leave() {
        caller.drop()
        asker.drop()
    }

    /// Whether nothing of its own is open.
    var isIdle: Bool { caller.openRequests == 0 && asker.openRequests == 0 }

    private func next() {
        world.after(world.chance.span(world.chance.pick([1...50, 10...1_500]))) { [self] in
            guard !isDone else { return }
            act()
            next()
        }
    }

    private func act() {
        switch world.chance.number(0...9) {
        case 0...2: submit(waits: true)
        case 3...6: submit(waits: false)
        case 7: if !watched.isEmpty { ask(world.chance.pick(watched)) }
        case 8: if !watched.isEmpty, world.chance.once(in: 3) { cancel(world.chance.pick(watched)) }
        case _: if world.chance.once(in: 4) { caller.drop() }
        }
    }

    // MARK: Giving in

    private func submit(waits: Bool) {
        // Who waits for an answer and asks for another one behind it pipelines.
        if caller.openRequests > 0, !world.chance.once(in: 6) { return }
        let nonce = world.nextNonce()
        var key: String?
        var (number, group) = (nonce, world.chance.pick(world.fate.groups))
        if !waits, world.chance.once(in: 4) {
            // What is given in under a key is the same each time.
            number = 1_000_000 + world.chance.number(0...5)
            key = "key\(number)"
            group = world.fate.groups[number % world.fate.groups.count]
        }
        var body = "{\"data\":{\"nonce\":\(number)"
        if world.chance.once(in: 10) { body += ",\"pad\":\"\(String(repeating: "p", count: world.chance.number(100...4_000)))\"" }
        body += "},\"group\":\"\(group)\",\"timeout\":\(world.chance.number(2_000...20_000)),\"retries\":\(world.chance.number(0...3))"
        body += ",\"priority\":\"\(world.chance.pick(["high", "normal", "low"]))\""
        if !waits { body += ",\"async\":true" }
        if let key { body += ",\"idempotencyKey\":\"\(key)\"" }
        world.tally[.submissions] += 1
        caller.call("POST", "/api/openai", body: body + "}") { [self] reply, life in
            guard let reply else { return }
            do {
                try answered(reply, nonce: number, key: key, waits: waits, life)
            } catch {
                world.fail("answer", "\(name): \(error)")
            }
        }
    }

    private func answered(_ reply: Reply, nonce: Int, key: String?, waits: Bool, _ life: Int) throws {
        let answer = try JSON(reply.body)
        switch reply.status {
        case 200, 500, 409:
            guard let id = answer["taskId"]?.text, let state = answer["status"]?.text else {
                if reply.status == 409 { return }
                throw Malformed("\(reply.status) \(reply.bodyText)")
            }
            if !waits {
                world.ledger.promised(id, nonce: nonce, key: key)
                if !watched.contains(id) { watched.append(id) }
                world.published(id)
            }
            guard ["completed", "failed", "cancelled"].contains(state) else {
                if waits { throw Malformed("who waits is told \(reply.bodyText)") }
                return
            }
            let content = (answer["result"] ?? answer["error"])
            if let told = content?["nonce"]?.integer, told != nonce {
                return world.fail("answer", "\(name) asked for \(nonce) and is given the result of \(told)")
            }
            world.tally[.results] += 1
            world.ledger.answered(id, nonce: nonce, Ledger.Ending(state: state, content: content?.written), life: life)
        case 503:
            world.tally[.refusals] += 1
            switch answer["error"]?.text {
            case "Queue is full": world.tally[.fullQueues] += 1
            case "Task could not be stored": world.tally[.notStored] += 1
            case _: break
            }
        case _: throw Malformed("\(reply.status) \(reply.bodyText)")
        }
    }

    // MARK: Asking

    /// Asks how a task stands.
    func ask(_ id: String) { Submitter.ask(world, asker, id) }

    static func ask(_ world: Simulation, _ caller: Caller, _ id: String) {
        let askedAt = world.now
        caller.call("GET", "/api/task/\(id)") { reply, life in
            guard let reply else { return }
            do {
                let answer = try JSON(reply.body)
                guard reply.status != 404 else { return world.ledger.missed(id, askedAt: askedAt) }
                guard reply.status == 200, answer["taskId"]?.text == id, let state = answer["status"]?.text else {
                    throw Malformed("\(reply.status) \(reply.bodyText)")
                }
                switch state {
                case "completed", "failed", "cancelled":
                    let content = (answer["result"] ?? answer["error"])?.written
                    world.ledger.told(id, Ledger.Ending(state: state, content: content), life: life, askedAt: askedAt)
                case _: world.ledger.toldAlive(id, state, life: life, askedAt: askedAt)
                }
            } catch {
                world.fail("answer", "\(caller.name): \(error)")
            }
        }
    }

    private func cancel(_ id: String) {
        asker.call("POST", "/api/task/\(id)/cancel") { [self] reply, life in
            guard let reply, reply.status == 200 else { return }
            world.tally[.cancellations] += 1
            world.ledger.cancelled(id, life: life)
        }
    }
}
