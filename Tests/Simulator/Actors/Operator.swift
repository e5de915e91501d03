// Operator: looks after the server over HTTP: reads its metrics, and what failed for good; gives some of it in again, and forgets some.
import Base

final class Operator {
    unowned let world: Simulation
    private let caller: Caller
    private var isFinishing = false

    init(_ world: Simulation, _ name: String) {
        self.world = world
        caller = Caller(world, name)
    }

    func enter() { next() }
    func finish() { isFinishing = true }
    func leave() { caller.drop() }

    private func next() {
        world.after(world.chance.span(300...4_000)) { [self] in
            guard !isFinishing else { return }
            if world.chance.once(in: 4) { scrape() } else { read() }
            next()
        }
    }

    private func scrape() {
        caller.call("GET", world.chance.pick(["/metrics", "/healthz", "/readyz", "/api/fleet"])) { [self] reply, _ in
            guard let reply else { return }
            world.tally[.scrapes] += 1
            guard reply.status == 200 || reply.status == 503 else { return world.fail("operator", "\(reply.status) \(reply.bodyText)") }
            let isMetrics = reply.field("Content-Type")?.hasPrefix("text/plain") == true
            if !isMetrics, (try? JSON(reply.body)) == nil { world.fail("operator", "no JSON: \(reply.bodyText)") }
        }
    }

    private func read() {
        caller.call("GET", "/api/dead-letters?limit=5") { [self] reply, _ in
            guard let reply, reply.status == 200 else { return }
            guard let list = (try? JSON(reply.body))?["deadLetters"] else {
                return world.fail("operator", "no letters: \(reply.bodyText)")
            }
            world.tally[.lettersRead] += 1
            let letters = list.elements.compactMap { $0["taskId"]?.text }
            guard let letter = letters.randomElement(using: &world.chance) else { return }
            if world.chance.once(in: 4) { remove(letter) } else { replay(letter) }
        }
    }

    private func replay(_ letter: String) {
        // Whatever becomes of it: the key, where it had one, may name another task from now on.
        world.ledger.replayed(letter)
        caller.call("POST", "/api/dead-letters/\(letter)/replay") { [self] reply, _ in
            guard let reply, [200, 404, 409, 503].contains(reply.status), let answer = try? JSON(reply.body) else { return }
            guard reply.status == 200 else { return }
            guard let id = answer["taskId"]?.text, answer["replayOf"]?.text == letter, id != letter else {
                return world.fail("operator", "a replay of \(letter): \(reply.bodyText)")
            }
            world.tally[.lettersReplayed] += 1
            world.ledger.promised(id, nonce: world.ledger.nonce(of: letter), key: nil)
            world.published(id)
        }
    }

    private func remove(_ letter: String) {
        caller.call("DELETE", "/api/dead-letters/\(letter)") { [self] reply, _ in
            if reply?.status == 200 { world.tally[.lettersRemoved] += 1 }
        }
    }
}
