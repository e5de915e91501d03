// WorkerPool: the workers of one group, and who of them gets the next task: most free room first, then the one whose room has not
// changed for longest. Knows nothing of waiting tasks beyond holding their line.
//
// Cost: a choice, a reservation and a release are constant for tasks that name no declared model; a declared one is looked for.
public import Base

/// One connected worker.
public final class Worker {
    public let id: WorkerID
    /// The same as text, which each of its tasks is written down with.
    let name: SharedBytes
    public let group: Group
    /// The connection it speaks on.
    public let connection: ConnectionID
    public let connectedAt: WallTime

    enum Phase {
        /// Connected, and not yet taking tasks.
        case settling
        case ready
        /// Takes no new tasks.
        case draining
        case gone
    }

    var phase = Phase.settling
    /// How many tasks it may hold.
    public internal(set) var concurrency = 1
    /// The models it declared.
    public internal(set) var models: [SharedBytes] = []
    /// The tasks it has in hand.
    public internal(set) var hands: [TaskRecord] = []
    /// Those that it got by its name when it came back: whether they ever reached it, only the worker knows, and says once.
    var unconfirmed: Set<TaskID> = []
    /// What its hour costs; nil where it never said.
    public internal(set) var rate: Rate?
    /// Tasks that ended without it (cancelled, timed out) while it may still be busy with them: each keeps its room until the worker
    /// speaks of it, or until its grace is over.
    var abandoned: [TaskID: TimerTicket] = [:]
    var readyTimer: TimerTicket?

    var next: Worker?
    var previous: Worker?
    /// The room it is listed with; 0 while it is on no list.
    var listedRoom = 0

    init(id: WorkerID, group: Group, connection: ConnectionID, at now: Moment) {
        self.id = id
        name = id.text
        self.group = group
        self.connection = connection
        connectedAt = now.wall
    }

    /// How many more tasks it may hold now.
    public var room: Int { phase == .ready ? max(concurrency - hands.count - abandoned.count, 0) : 0 }
    public var isDraining: Bool { phase == .draining }

    func declares(_ model: SharedBytes) -> Bool { models.contains(model) }
}

/// The workers and the waiting tasks that share a name.
public final class Group {
    public let name: SharedBytes
    var line = WaitingLine()
    /// Workers that count for new tasks: connected and not draining.
    var staffCount = 0
    var workers: [WorkerID: Worker] = [:]
    /// Tasks whose worker of an earlier process may still come back.
    var orphanCount = 0
    /// Tasks that wait for the time of their next try.
    var pausedCount = 0
    private var declared: [SharedBytes: Int] = [:]
    /// Ready workers with room, listed by how much; within a list, the one whose room changed first is first.
    private var lists: [(first: Worker?, last: Worker?)] = []
    private var widest = 0

    init(name: SharedBytes) { self.name = name }

    public var waitingCount: Int { line.count }
    public var workerCount: Int { workers.count }
    public var allWorkers: [Worker] { Array(workers.values) }
    /// The models that its workers declare.
    public var models: [SharedBytes] { Array(declared.keys) }

    func isDeclared(_ model: SharedBytes) -> Bool { declared[model] != nil }

    /// Counts the worker's models as declared, or no longer.
    func declare(_ models: [SharedBytes], by change: Int) {
        for model in models {
            let count = declared[model, default: 0] + change
            declared[model] = count > 0 ? count : nil
        }
    }

    /// The worker for a task of this model; nil where none that may take it has room.
    func choose(for model: SharedBytes?) -> Worker? {
        while widest > 0, lists[widest].first == nil { widest -= 1 }
        guard widest > 0 else { return nil }
        guard let model, isDeclared(model) else { return lists[widest].first }
        for room in stride(from: widest, through: 1, by: -1) {
            var candidate = lists[room].first
            while let worker = candidate {
                if worker.declares(model) { return worker }
                candidate = worker.next
            }
        }
        return nil
    }

    func mayServe(_ worker: Worker, _ model: SharedBytes?) -> Bool {
        guard let model, isDeclared(model) else { return true }
        return worker.declares(model)
    }

    /// Lists the worker where its room now belongs: to be called after every change of it.
    func relist(_ worker: Worker) {
        let room = worker.room
        guard room != worker.listedRoom else { return }
        if worker.listedRoom > 0 { unlink(worker) }
        if room > 0 { link(worker, room) }
    }

    private func link(_ worker: Worker, _ room: Int) {
        while lists.count <= room { lists.append((nil, nil)) }
        worker.listedRoom = room
        worker.previous = lists[room].last
        if let last = lists[room].last { last.next = worker } else { lists[room].first = worker }
        lists[room].last = worker
        widest = max(widest, room)
    }

    private func unlink(_ worker: Worker) {
        let room = worker.listedRoom
        if let previous = worker.previous { previous.next = worker.next } else { lists[room].first = worker.next }
        if let next = worker.next { next.previous = worker.previous } else { lists[room].last = worker.previous }
        worker.next = nil
        worker.previous = nil
        worker.listedRoom = 0
    }
}
