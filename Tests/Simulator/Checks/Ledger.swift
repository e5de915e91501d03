// Ledger: every promise that somebody was given about a task, and by whom what was said of it: nothing that was confirmed is ever lost,
// ends twice, or changes once it has ended, whatever crashed in between. Written from what clients hear alone: it knows no server.
import Base
import Gateway

final class Ledger {
    /// How a task ended.
    struct Ending: Equatable, CustomStringConvertible {
        let state: String
        /// The result, or the error, as JSON; nil where whoever told it did not tell that.
        let content: String?

        /// Whether both can be the end of one task.
        func agrees(with other: Ending) -> Bool {
            state == other.state && (content == nil || other.content == nil || content == other.content)
        }

        var description: String { content.map { "\(state) \($0)" } ?? state }
    }

    private struct Entry {
        /// 0 where only its name was heard.
        var nonce: Int
        /// When it was confirmed that the task will be done; nil where nobody was told so.
        var promisedAt: Instant?
        /// Assignments, by their numbers: to whom, and in which life of the server.
        var leases: [(number: Int, worker: String, life: Int)] = []
        var retries = 0
        /// What workers sent under an assignment that was over, and the life of the server that had made the later one: another, begun
        /// before that was written down, may take it.
        var stale: [(content: String, life: Int)] = []
        /// The end, from whoever was told first; when, in which life.
        var ending: (ending: Ending, heardAt: Instant, life: Int)?
        /// The end that a worker's acknowledgement or a confirmed cancellation stands for.
        var kept: (ending: Ending, heardAt: Instant, lease: Int, life: Int)?
        var isReplayed = false

        var last: (number: Int, worker: String, life: Int)? { leases.max { $0.number < $1.number } }
    }

    unowned let world: Simulation
    private var entries: [String: Entry] = [:]
    /// In the order in which they were heard of: nothing here depends on how hashing goes.
    private(set) var names: [String] = []
    private var keys: [String: String] = [:]

    init(_ world: Simulation) { self.world = world }

    private func change(_ id: String, nonce: Int = 0, _ body: (inout Entry) -> Void) {
        if entries[id] == nil {
            entries[id] = Entry(nonce: nonce)
            names.append(id)
        }
        if var entry = entries[id] {
            if entry.nonce == 0 { entry.nonce = nonce }
            body(&entry)
            entries[id] = entry
        }
    }

    /// Tasks that were promised.
    var promised: [String] { names.filter { entries[$0]?.promisedAt != nil } }

    /// The number that its submitter gave it.
    func nonce(of id: String) -> Int { entries[id]?.nonce ?? 0 }

    func isEnded(_ id: String) -> Bool { entries[id]?.ending != nil }

    /// Tasks that run, or may.
    var open: [String] { names.filter { entries[$0]?.ending == nil } }

    // MARK: Promises

    /// A task was confirmed to whoever gave it in.
    func promised(_ id: String, nonce: Int, key: String?) {
        change(id, nonce: nonce) { $0.promisedAt = $0.promisedAt ?? world.now }
        if let entry = entries[id], entry.nonce != nonce, nonce != 0 {
            return world.fail("identity", "\(id) is task \(entry.nonce) and \(nonce)")
        }
        world.tally[.promises] += 1
        guard let key else { return }
        if let other = keys[key], other != id, let entry = entries[other], !entry.isReplayed, entry.ending?.ending.state != "cancelled" {
            world.fail("idempotency", "key \(key) names \(other), and now \(id)")
        }
        keys[key] = id
    }

    /// A worker was given a task.
    func assigned(_ id: String, nonce: Int, lease: Int, to worker: String, life: Int) {
        change(id, nonce: nonce) { entry in
            // What a slow connection brings late may have been given before the end; not in a later life, nor with a later number.
            if let kept = entry.kept, entry.promisedAt != nil, life > kept.life || lease > kept.lease {
                world.fail("terminal", "\(id) was kept as \(kept.ending), and \(worker) is given it")
            }
            // Two workers may hear of their assignments in another order than they were made, but none twice.
            if entry.leases.contains(where: { $0.number == lease }) { world.fail("lease", "\(id) is given out twice under \(lease)") }
            if !entry.leases.isEmpty { world.tally[.reassignments] += 1 }
            entry.leases.append((lease, worker, life))
        }
        if let entry = entries[id], entry.nonce != nonce { world.fail("identity", "\(id) is task \(entry.nonce) and \(nonce)") }
        world.tally[.assignments] += 1
    }

    /// Whether a worker can know that its assignment is over.
    func isStale(_ id: String, lease: Int) -> Bool { (entries[id]?.last?.number ?? 0) > lease }

    func sentStale(_ id: String, _ content: String) { change(id) { $0.stale.append((content, $0.last?.life ?? 0)) } }

    /// A worker's result was acknowledged: it is on the disk, where its task is.
    func acknowledged(_ id: String, _ ending: Ending, lease: Int, life: Int) {
        world.tally[.acknowledgements] += 1
        change(id) { entry in
            if entry.kept == nil { entry.kept = (ending, world.now, lease, life) }
            guard let last = entry.leases.filter({ $0.life == life }).map(\.number).max(), last > lease else { return }
            world.fail("lease", "\(id): a result under \(lease) is acknowledged, and \(last) was given out")
        }
        told(id, ending, life: life, askedAt: world.now)
    }

    /// A cancellation was confirmed.
    func cancelled(_ id: String, life: Int) {
        let ending = Ending(state: "cancelled", content: nil)
        change(id) { entry in
            if entry.kept == nil, entry.promisedAt != nil { entry.kept = (ending, world.now, .max, life) }
        }
        told(id, ending, life: life, askedAt: world.now)
    }

    func replayed(_ id: String) { change(id) { $0.isReplayed = true } }

    // MARK: What is told

    /// Somebody was told that a task has ended.
    ///
    /// - Parameter life: of the server that said so.
    func told(_ id: String, _ ending: Ending, life: Int, askedAt: Instant) {
        change(id) { entry in
            if let content = ending.content, entry.stale.contains(where: { $0.content == content && $0.life == life }) {
                world.fail("lease", "\(id) ended by a worker whose assignment was over: \(ending)")
            }
            if let kept = entry.kept, entry.promisedAt != nil, !kept.ending.agrees(with: ending) {
                world.fail("terminal", "\(id) was kept as \(kept.ending), and is \(ending)")
            }
            guard let known = entry.ending else {
                entry.ending = (ending, world.now, life)
                world.tally[.endings] += 1
                return
            }
            if known.life == life, !known.ending.agrees(with: ending) {
                world.fail("terminal", "\(id) ended as \(known.ending), and is \(ending)")
            }
            // A later life may know better, where nothing was confirmed; an earlier one is told of late.
            if known.life < life || known.ending.content == nil { entry.ending = (ending, world.now, life) }
        }
    }

    /// Somebody was told that a task has not ended.
    func toldAlive(_ id: String, _ state: String, life: Int, askedAt: Instant) {
        guard let entry = entries[id] else { return }
        if let kept = entry.kept, entry.promisedAt != nil, kept.heardAt < askedAt {
            world.fail("terminal", "\(id) was kept as \(kept.ending), and is \(state)")
        }
        if let known = entry.ending, known.life == life, known.heardAt < askedAt {
            world.fail("terminal", "\(id) ended as \(known.ending), and is \(state)")
        }
    }

    /// Somebody was told that there is no such task.
    func missed(_ id: String, askedAt: Instant) {
        guard let promisedAt = entries[id]?.promisedAt, promisedAt < askedAt else { return }
        // The wall's clock, by which a new process counts, may have been set a few times.
        let slack = TimeSpan.seconds(120)
        guard world.now + slack < promisedAt + world.fate.settings.limits.resultTTL else { return }
        world.fail("lost", "\(id) was promised, and is not there")
    }

    /// A task's submitter was answered with its end: what was it, and was it his?
    func answered(_ id: String, nonce: Int, _ ending: Ending, life: Int) {
        if let entry = entries[id], entry.nonce != nonce { world.fail("identity", "\(id) is task \(entry.nonce), not \(nonce)") }
        change(id, nonce: nonce) { _ in }
        told(id, ending, life: life, askedAt: world.now)
    }

    // MARK: The end

    /// Everything has come to an end, and everybody was asked: what was promised has ended.
    func close() {
        for id in names {
            guard let entry = entries[id], entry.promisedAt != nil else { continue }
            if entry.ending == nil { world.fail("lost", "\(id) was promised, and never ended") }
        }
    }
}
