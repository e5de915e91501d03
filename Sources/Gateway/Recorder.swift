// Recorder: what is to be written down, in order, and who is told something only once it is: "Durability" of the plan. Nothing is promised
// that the end of the process could lose. Writes nothing itself, which is the journal's, and knows no database.
//
// Cost: a record is an append; a promise an append and a comparison. With nothing on its way a promise is kept at once.
internal import Base
internal import Domain

/// Something that is said only once everything before it is safe.
enum Promise {
    /// The answer of a request that waits as `storing`.
    case receipt(ExchangeID)
    /// A worker's result is stored.
    case acknowledgement(TaskID, Worker)
    /// A worker that asked to leave has empty hands: said behind what acknowledges its last result.
    case dismissal(Worker)
    /// The verdicts that a producer asked for on its socket.
    case verdicts(ConnectionID, [MarkedVerdict])
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
    /// Everything up to here is written, or has failed and was dealt with.
    private var settledNumber: UInt64 = 0
    private var pledges: [Pledge] = []
    private var pledgesHead = 0
    /// Promises of which somebody found out only after the domain had decided; their turn comes behind its records.
    private var requested: [Promise] = []
    /// What could not be written and has to be, and who waits for it.
    private var unwritten: [Record] = []
    private var delayed: [Promise] = []
    private(set) var unwrittenBytes = 0
    /// When the unwritten is tried again; nil while there is none.
    private(set) var retryTime: Instant?
    /// Records given up.
    private(set) var lost = 0

    /// Records on their way to the disk.
    var onTheirWay: UInt64 { lastNumber - settledNumber }
    var promiseCount: Int { pledges.count - pledgesHead + delayed.count }

    // MARK: In

    mutating func append(_ record: Record) {
        lastNumber += 1
        entries.append(RecordEntry(number: lastNumber, record: record))
    }

    /// Has the promise kept once everything that the domain has decided by now is safe.
    mutating func request(_ promise: Promise) { requested.append(promise) }

    /// The promises that were requested since the last call: now all records before them are here.
    mutating func takeRequested() -> [Promise] {
        guard !requested.isEmpty else { return [] }
        defer { requested = [] }
        return requested
    }

    /// - Returns: whether the promise may be kept at once; otherwise it is remembered.
    mutating func mayKeep(_ promise: Promise) -> Bool {
        guard lastNumber > settledNumber || !unwritten.isEmpty else { return true }
        pledges.append(Pledge(number: lastNumber, promise: promise))
        return false
    }

    // MARK: Out

    /// Moves the records that were appended since the last call to `list`.
    mutating func take(into list: inout [RecordEntry]) {
        list.removeAll(keepingCapacity: true)
        swap(&list, &entries)
    }

    // MARK: What became of them

    /// Everything up to `number` is written, but for what was told to have failed.
    ///
    /// - Returns: the promises to be kept now, in their order.
    mutating func committed(upTo number: UInt64) -> [Promise] {
        settledNumber = max(settledNumber, number)
        var due: [Promise] = []
        while pledgesHead < pledges.count, pledges[pledgesHead].number <= settledNumber {
            due.append(pledges[pledgesHead].promise)
            pledgesHead += 1
        }
        trim()
        return due
    }

    /// These are not written. What was promised to somebody or ends a task is tried again after a while; the rest is lost.
    ///
    /// - Returns: the tasks whose coming could not be written, and the promises that are now to be judged: those that depended on it.
    mutating func failed(_ failures: [RecordEntry], bytesMax: Int, retryAt: Instant) -> (tasks: [TaskID], promises: [Promise]) {
        guard let last = failures.last?.number else { return ([], []) }
        var tasks: [TaskID] = []
        for failure in failures {
            switch failure.record {
            case .submitted(let image): tasks.append(image.id)
            case .ended, .removed, .resumed:
                guard unwrittenBytes <= bytesMax else {
                    lost += 1
                    break
                }
                unwritten.append(failure.record)
                unwrittenBytes += failure.record.heldBytes
            case .assigned, .requeued, .progressed, .logged, .happened, .progressCleared, .sessionOpened, .sessionTouched, .sessionClosed:
                lost += 1
            }
        }
        if !unwritten.isEmpty, retryTime == nil { retryTime = retryAt }
        settledNumber = max(settledNumber, last)
        var judged: [Promise] = []
        while pledgesHead < pledges.count, pledges[pledgesHead].number <= last {
            judged.append(pledges[pledgesHead].promise)
            pledgesHead += 1
        }
        trim()
        return (tasks, judged)
    }

    /// Keeps a promise back until what could not be written is.
    mutating func delay(_ promise: Promise) { delayed.append(promise) }

    var hasUnwritten: Bool { !unwritten.isEmpty }

    /// Tries again what could not be written.
    mutating func retry() {
        retryTime = nil
        unwrittenBytes = 0
        for record in unwritten { append(record) }
        unwritten = []
        for promise in delayed { pledges.append(Pledge(number: lastNumber, promise: promise)) }
        delayed = []
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
