// Recorder: what is to be written down, in order, and who is told something only once it is: "Durability" of the plan. Nothing is promised
// that the end of the process could lose. Writes nothing itself, which is the journal's, and knows no database.
//
// What the disk did not take is tried again before anything newer, under the numbers that it had: a task's name may be another's by then,
// and an end that is written behind its successor's beginning would be the successor's end.
//
// Cost: a record is an append; a promise an append and a comparison. With nothing on its way a promise is kept at once.
internal import Base
internal import Domain

/// Something that is said only once everything before it is safe.
enum Promise {
    /// The answer of a request that waits as `storing`.
    case receipt(ExchangeID)
    /// The answer of a request that waits for the end of a task that is written down: the same is answered again, by whichever process.
    case outcome(ExchangeID, TaskRecord)
    /// A worker's result is stored.
    case acknowledgement(TaskID, Worker)
    /// A worker that asked to leave has empty hands: said behind what acknowledges its last result.
    case dismissal(Worker)
    /// The verdicts that a producer asked for on its socket.
    case verdicts(ConnectionID, [MarkedVerdict])
    /// Tasks that take the place of dead letters: these go, but for those whose tasks could not be written.
    case replays([Replay])
}

/// A dead letter, and the task that takes its place.
struct Replay {
    let letter: TaskID
    let task: TaskID
}

struct Recorder {
    private struct Pledge {
        /// What has to be safe before it.
        let number: UInt64
        let promise: Promise
    }

    /// Records that nobody has taken yet.
    private var entries: [RecordEntry] = []
    private var lastNumber: UInt64 = 0
    /// Everything up to here is written, or was given up.
    private var settledNumber: UInt64 = 0
    /// In the order of their numbers.
    private var pledges: [Pledge] = []
    private var pledgesHead = 0
    /// Promises of which somebody found out only after the domain had decided; their turn comes behind its records.
    private var requested: [Promise] = []
    /// What the disk did not take, in the order of its numbers. While there is any, nothing newer is given to it.
    private var unwritten: [RecordEntry] = []
    private(set) var unwrittenBytes = 0
    /// When the unwritten is tried again; nil while there is none.
    private(set) var retryTime: Instant?
    /// Records given up.
    private(set) var lost = 0

    /// Records that are not written yet.
    var waitingCount: Int { Int(lastNumber - settledNumber) }
    /// Whether nothing is on its way to the disk.
    var isSettled: Bool { lastNumber <= settledNumber }
    /// Promises that wait for them.
    var promiseCount: Int { pledges.count - pledgesHead }
    /// Whether the disk refused what it was given last.
    var isFailing: Bool { !unwritten.isEmpty }

    // MARK: In

    mutating func append(_ record: Record) {
        lastNumber += 1
        entries.append(RecordEntry(number: lastNumber, record: record))
    }

    /// Has the promise kept once everything that the domain has decided by now is safe.
    mutating func request(_ promise: Promise) { requested.append(promise) }

    var hasRequested: Bool { !requested.isEmpty }

    /// The promises that were requested since the last call: now all records before them are here.
    mutating func takeRequested() -> [Promise] {
        defer { requested = [] }
        return requested
    }

    /// - Returns: whether the promise may be kept at once; otherwise it is remembered.
    mutating func mayKeep(_ promise: Promise) -> Bool {
        guard !isSettled else { return true }
        pledges.append(Pledge(number: lastNumber, promise: promise))
        if !entries.isEmpty { entries[entries.count - 1].isAwaited = true }
        return false
    }

    // MARK: Out

    /// Moves the records that the disk may be given now to `list`.
    mutating func take(into list: inout [RecordEntry]) {
        list.empty()
        if unwritten.isEmpty { swap(&list, &entries) }
    }

    // MARK: What became of them

    /// Everything up to `number` is written, but for what was given up.
    ///
    /// - Returns: the promises to be kept now, in their order.
    mutating func committed(upTo number: UInt64) -> [Promise] {
        settledNumber = max(settledNumber, number)
        return takeDue()
    }

    /// These are not written. Tasks that were to be taken in are refused; the rest is tried again after a while, as far as there is room
    /// for what nobody was promised.
    ///
    /// - Returns: the tasks whose coming could not be written.
    mutating func failed(_ failures: [RecordEntry], bytesMax: Int, retryAt: Instant) -> [TaskImage] {
        var refused: [TaskImage] = []
        var names: Set<TaskID> = []
        for failure in failures {
            switch failure.record {
            case .submitted(let image):
                refused.append(image)
                names.insert(image.id)
            // What is said of a task that is not taken in has nowhere to stand.
            case let record where record.task.map(names.contains) ?? false: break
            // Who listens was told, and nothing builds upon it: what is newer need not wait for it.
            case .activityNoted: lost += 1
            case .ended, .removed, .resumed, .letterKept, .letterRemoved, .deploymentChanged, .deploymentRemoved, .revoked,
                .revocationRemoved:
                keep(failure)
            case .assigned, .requeued, .progressed, .logged, .happened, .progressCleared, .sessionOpened, .sessionTouched, .sessionClosed,
                .alertChanged:
                if unwrittenBytes <= bytesMax { keep(failure) } else { lost += 1 }
            }
        }
        unwritten.sort { $0.number < $1.number }
        // What was given up behind the last that is kept is settled with it: a promise may wait for that number.
        if let last = unwritten.last, let number = failures.last?.number, number > last.number {
            var covering = RecordEntry(number: number, record: last.record)
            covering.isAwaited = last.isAwaited
            unwritten[unwritten.count - 1] = covering
        }
        if unwritten.isEmpty {
            settledNumber = max(settledNumber, failures.last?.number ?? 0)
        } else if retryTime == nil {
            retryTime = retryAt
        }
        return refused
    }

    private mutating func keep(_ entry: RecordEntry) {
        unwritten.append(entry)
        unwrittenBytes += entry.record.heldBytes
    }

    /// The promises before which nothing waits any more, in their order.
    mutating func takeDue() -> [Promise] {
        var due: [Promise] = []
        while pledgesHead < pledges.count, pledges[pledgesHead].number <= settledNumber {
            due.append(pledges[pledgesHead].promise)
            pledgesHead += 1
        }
        trim()
        return due
    }

    /// The promises that can no longer be kept, however long they wait: whom they were given is told so now.
    mutating func takeBroken(_ isBroken: (Promise) -> Bool) -> [Promise] {
        pledges.removeFirst(pledgesHead)
        pledgesHead = 0
        var broken: [Promise] = []
        pledges.removeAll { pledge in
            guard isBroken(pledge.promise) else { return false }
            broken.append(pledge.promise)
            return true
        }
        return broken
    }

    /// Lets the disk be given again what it did not take, and behind it what came since.
    mutating func retry() {
        retryTime = nil
        unwrittenBytes = 0
        entries = unwritten + entries
        unwritten = []
    }

    private mutating func trim() {
        if pledgesHead == pledges.count {
            pledges.removeAll(keepingCapacity: pledges.count <= 1_024)
            pledgesHead = 0
        } else if pledgesHead > 1_024, pledgesHead * 2 > pledges.count {
            pledges.removeFirst(pledgesHead)
            pledgesHead = 0
        }
    }
}

extension Record {
    /// The task that it is about; nil for anything else.
    fileprivate var task: TaskID? {
        switch self {
        case .submitted(let image): image.id
        case .assigned(let assignment): assignment.id
        case .requeued(let requeue): requeue.id
        case .resumed(let id, _), .removed(let id), .progressCleared(let id), .letterRemoved(let id): id
        case .letterKept(let letter): letter.id
        case .progressed(let row): row.taskID
        case .logged(let row): row.taskID
        case .happened(let row): row.taskID
        case .ended(let ending): ending.id
        case .sessionOpened, .sessionTouched, .sessionClosed: nil
        case .activityNoted, .alertChanged, .deploymentChanged, .deploymentRemoved, .revoked, .revocationRemoved: nil
        }
    }
}
