// UserWatcher: watches all of a user's tasks on one socket, by document N: is told how they stand, and then what happens, but no logs. It
// has no numbers to come back with: what it missed shows in how things stand.
import Base

final class UserWatcher: Talker {
    private let user: Int
    private var threads: [String: Thread] = [:]

    init(_ world: Simulation, _ name: String, user: Int) {
        self.user = user
        super.init(world, name)
    }

    override var target: String { "/api/task/ws/task/\(user)" }
    override func joined() { threads = [:] }

    override func told(_ text: String) throws {
        let message = try JSON(text)
        switch message["type"]?.text {
        case "connected", "pong": break
        case "active_tasks":
            for task in message["tasks"]?.elements ?? [] {
                guard let id = task["task_id"]?.text, let sequence = task["seq"]?.integer else { throw Malformed(text) }
                stand(id, sequence)
            }
        case "task_status":
            guard let id = message["task_id"]?.text, let sequence = message["seq"]?.integer, let status = message["status"]?.text else {
                throw Malformed(text)
            }
            world.chronicle.told(.user, id, sequence, status, text, to: name, life: life)
            var thread = threads[id] ?? Thread(.user, id, name)
            thread.heard(sequence, closes: false, world.chronicle)
            threads[id] = thread
        case _: throw Malformed("a user's watcher is told \(text)")
        }
        if world.chance.once(in: 40) { say("{\"type\":\"ping\"}") }
        if world.chance.once(in: 60) {
            drop()
            connectLater(1...3_000)
        }
    }

    private func stand(_ id: String, _ sequence: Int) {
        var thread = Thread(.user, id, name)
        thread.stands(at: sequence, claimed: nil)
        threads[id] = thread
    }

    override func parted(_ code: Int?) {
        if code == 1_013 { world.tally[.slowConsumers] += 1 }
        connectLater(1...2_000)
    }

    override func refused(_ status: Int) { connectLater(100...1_000) }
}
