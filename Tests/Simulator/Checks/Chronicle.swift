// Chronicle: what watchers were told of tasks' lives, all of them together. The same event is the same message to everybody who hears it in
// one dialect, live, out of memory or out of the database; and where a watcher's numbers jump, the database knows, in the end, whether an
// event lay between that it should have heard.
import Base
import Gateway

final class Chronicle {
    enum Dialect: String {
        case task, user, hub

        /// Whether an event of that kind, as the database has it, is told in the dialect.
        func tells(_ kind: Int) -> Bool {
            switch self {
            case .task: true
            case .user, .hub: kind != Chronicle.log
            }
        }
    }

    private static let progress = 3
    private static let log = 4

    /// A watcher heard nothing between two events.
    private struct Jump {
        let dialect: Dialect
        let who: String
        let task: String
        let after: Int
        let before: Int
    }

    unowned let world: Simulation
    private struct Telling {
        let text: String
        let life: Int
        /// Whether the task was confirmed to somebody by then.
        let isKept: Bool
    }

    private var tellings: [String: Telling] = [:]
    private var jumps: [Jump] = []
    private var losses: [Jump] = []

    init(_ world: Simulation) { self.world = world }

    /// An event was told.
    ///
    /// - Parameter part: tells the messages of one event apart.
    func told(_ dialect: Dialect, _ task: String, _ sequence: Int, _ part: String, _ text: String, to who: String, life: Int) {
        world.tally[.eventsHeard] += 1
        let key = "\(dialect.rawValue) \(task) \(sequence) \(part)"
        let known = tellings.updateValue(Telling(text: text, life: life, isKept: world.isPublished(task)), forKey: key)
        guard let known, known.text != text else { return }
        // What nobody was promised a crash takes back, its numbers too.
        guard known.life == life || known.isKept else { return }
        world.fail("chronicle", "\(who) is told \(text), and somebody else was told \(known.text)")
    }

    func jumped(_ dialect: Dialect, _ task: String, after: Int, before: Int, by who: String) {
        if before > after + 1 { jumps.append(Jump(dialect: dialect, who: who, task: task, after: after, before: before)) }
    }

    /// A watcher came back, and was told how the task stands instead of what it missed.
    func lost(_ task: String, from: Int, to: Int, by who: String) {
        world.tally[.replaysLost] += 1
        if to > from, world.isPublished(task) { losses.append(Jump(dialect: .task, who: who, task: task, after: from, before: to)) }
    }

    /// What is written down whole is told whole, unless it was not written yet because the disk did not take it.
    private func check(_ loss: Jump, _ events: [(sequence: Int, kind: Int)]) {
        guard world.tally[.diskFailures] == 0 else { return }
        let missed = events.map(\.sequence).filter { $0 > loss.after && $0 <= loss.before }
        guard missed.count == loss.before - loss.after else { return }
        world.fail("watcher", "\(loss.who) of \(loss.task) came back from \(loss.after), and \(missed) are written down and lost to it")
    }

    /// Holds the jumps against what was written down.
    ///
    /// - Parameter events: all that the database has: tasks, numbers, kinds.
    func close(_ events: [(task: String, sequence: Int, kind: Int)]) {
        var kinds: [String: [(sequence: Int, kind: Int)]] = [:]
        for event in events { kinds[event.task, default: []].append((event.sequence, event.kind)) }
        for loss in losses { check(loss, kinds[loss.task] ?? []) }
        // A reader that is slow is told less, by design: of progress only the newest, and of logs that there was a gap.
        let mayConflate = world.fate.isTight
        for jump in jumps {
            for event in kinds[jump.task] ?? [] where event.sequence > jump.after && event.sequence < jump.before {
                guard jump.dialect.tells(event.kind), !(mayConflate && event.kind == Chronicle.progress) else { continue }
                let way = "from \(jump.after) to \(jump.before), and missed \(event.sequence)"
                return world.fail("watcher", "\(jump.who) of \(jump.task) came \(way), of kind \(event.kind)")
            }
        }
    }
}

/// Where a watcher stands in one task's events, and what may come next.
struct Thread {
    private enum Place {
        /// It knows nothing, or what it knew is no more to be continued.
        case nowhere
        /// It said that it has this, and was told how the task stands: either all that lies between comes, or nothing of it.
        case returning(from: Int, to: Int)
        case at(Int)
    }

    private var place = Place.nowhere
    /// The last number that was heard.
    private(set) var last: Int?
    private let dialect: Chronicle.Dialect
    private let task: String
    private let who: String

    init(_ dialect: Chronicle.Dialect, _ task: String, _ who: String) {
        (self.dialect, self.task, self.who) = (dialect, task, who)
    }

    /// A new conversation begins, in which nothing is known yet.
    mutating func begin() { place = .nowhere }

    /// A new conversation begins behind what was heard: what comes next is what follows, however long ago it was.
    mutating func resume() { if let last { place = .at(last) } }

    /// It is told how the task stands.
    ///
    /// - Parameter claimed: the number with which it came back.
    mutating func stands(at sequence: Int, claimed: Int?) {
        if let claimed, claimed < sequence {
            place = .returning(from: claimed, to: sequence)
        } else {
            place = .at(sequence)
            last = max(last ?? 0, sequence)
        }
    }

    /// It is told an event.
    ///
    /// - Parameter closes: whether the event is an end, which is told again to those who come late, and in two messages.
    mutating func heard(_ sequence: Int, closes: Bool, _ chronicle: Chronicle) {
        switch place {
        case .nowhere: break
        case .returning(let from, let to) where sequence > to || closes && sequence == to:
            if sequence == from + 1 { chronicle.world.tally[.replays] += 1 } else { chronicle.lost(task, from: from, to: to, by: who) }
            if sequence > to { chronicle.jumped(dialect, task, after: to, before: sequence, by: who) }
        case .returning(let from, _):
            chronicle.world.tally[.replays] += 1
            guard sequence > from else {
                return chronicle.world.fail("watcher", "\(who) of \(task) came back with \(from), and is told \(sequence)")
            }
            chronicle.jumped(dialect, task, after: from, before: sequence, by: who)
        case .at(let before):
            if closes, sequence == before { break }
            guard sequence > before else {
                return chronicle.world.fail("watcher", "\(who) of \(task) is told \(sequence) behind \(before)")
            }
            chronicle.jumped(dialect, task, after: before, before: sequence, by: who)
        }
        place = .at(sequence)
        last = max(last ?? 0, sequence)
    }

    /// It is told that logs were left out.
    mutating func gap(from first: Int, through end: Int, _ chronicle: Chronicle) {
        chronicle.world.tally[.gaps] += 1
        if case .at(let before) = place {
            guard first > before else {
                return chronicle.world.fail("watcher", "\(who) of \(task) is told of a gap from \(first) behind \(before)")
            }
            chronicle.jumped(dialect, task, after: before, before: first, by: who)
        }
        place = .at(end)
        last = max(last ?? 0, end)
    }

    /// Forgets what it has not told the server of: as a client that counts an event only once it is whole.
    mutating func rewind(to sequence: Int?) { last = sequence }
}
