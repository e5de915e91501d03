// Journal: the queue in front of the store. Takes batches of records without waiting, writes what has gathered as one transaction, and says
// what is safe and what is not. Questions and forgetting stand in the same queue, between two commits. Obeys "Durability" of the plan:
// nothing is acknowledged that the end of the process could lose, and nothing that failed is dropped in silence.
//
// Cost: an append is a lock, an array's reference and, if the queue sleeps, a wake (1 µs). While one commit runs the next group gathers,
// so the fsync's time divides itself among all that came meanwhile; there is no timer.
public import Base
public import Dispatch
public import Domain
import Synchronization

/// What is remembered, and the way there.
public final class Journal: Sendable {
    /// What became of records, told on the journal's own queue, in the order of their numbers.
    public enum Report: Sendable {
        /// Everything up to this number that was not reported as failed is written.
        case committed(upTo: UInt64)
        /// These are not written, and will not be by themselves: whoever still wants one appends it again under a new number.
        ///
        /// - Parameter era: to be given with what is appended from now on.
        case failed([RecordEntry], StorageError, era: Int)
    }

    private struct Batch {
        var entries: [RecordEntry]
        var bytes: Int
    }

    private struct Line {
        var batches: [Batch] = []
        /// How many of `batches` have been taken.
        var head = 0
        /// Bytes and records of what waits and of what is being written.
        var bytes = 0
        var records = 0
        var lastNumber: UInt64 = 0
        /// Batches that were appended, and those of them that are written or failed.
        var appended = 0
        var settled = 0
        /// Failures so far: a batch of an earlier era does not know of the last one.
        var era = 0
        var isScheduled = false
        var queries = 0
        var isSweeping = false
        var isClosed = false

        var isEmpty: Bool { head == batches.count }
    }

    private let queue: any JournalQueue
    private let line = Mutex(Line())
    /// Only the queue takes this lock; it lends the compiler the proof that nobody else does.
    private let store: Mutex<Store?>
    private let settings: StorageSettings
    private let report: @Sendable (Report) -> Void

    /// Opens the data, makes it where it is missing, and brings it to this version.
    ///
    /// - Parameters:
    ///   - queue: where the journal's work is done; a thread of its own, but in a simulation.
    ///   - report: called on the journal's queue.
    public init(
        _ location: StorageLocation, _ settings: StorageSettings = StorageSettings(),
        on queue: any JournalQueue = DispatchQueue(label: "storage"), report: @escaping @Sendable (Report) -> Void
    ) throws(StorageError) {
        store = Mutex(try Store(location, settings))
        self.queue = queue
        self.settings = settings
        self.report = report
    }

    // MARK: Start

    /// Reads back what the last process left. Before the first record is appended; the caller waits.
    public func recover(endedSince since: WallTime, endedBytesMax: Int) throws(StorageError) -> Recovery {
        try onQueue { held { store throws(StorageError) in try store.recover(endedSince: since, endedBytesMax: endedBytesMax) } }.get()
    }

    // MARK: Records

    /// Takes a batch in; it is written soon, as a whole or not at all. Any thread; does not wait.
    ///
    /// - Parameter era: of the last failure that the caller was told of, 0 before the first; nil for one to whom it is all the same.
    /// - Precondition: numbers ascend, within the batch and from batch to batch, but that what failed may be appended again.
    /// - Throws: `backlogFull`, `closed`, or `outdated` where something before it has failed that the caller does not know of; then nothing
    ///   of the batch is taken.
    public func append(_ batch: [RecordEntry], era: Int? = nil) throws(StorageError) {
        guard let first = batch.first, let last = batch.last else { return }
        let bytes = batch.reduce(0) { $0 + $1.record.heldBytes }
        let starts = try line.withLock { line throws(StorageError) in
            if line.isClosed { throw .closed }
            guard era == nil || era == line.era else { throw .outdated }
            // A batch larger than the whole backlog passes when nothing else waits.
            if line.bytes > 0, line.bytes + bytes > settings.backlogBytesMax { throw .backlogFull }
            precondition(first.number > line.lastNumber && last.number >= first.number, "record \(first.number) after \(line.lastNumber)")
            line.batches.append(Batch(entries: batch, bytes: bytes))
            line.bytes += bytes
            line.records += batch.count
            line.appended += 1
            line.lastNumber = last.number
            defer { line.isScheduled = true }
            return !line.isScheduled
        }
        if starts { queue.add { self.drain() } }
    }

    /// Writes everything that was appended, or says that it cannot be written. The caller waits; the reports come before this returns.
    public func flush() {
        queue.wait {
            while !self.line.withLock({ $0.isEmpty }) { self.commitNext() }
        }
    }

    /// Records that wait or are being written, and the bytes that they hold.
    public var backlog: (records: Int, bytes: Int) { line.withLock { ($0.records, $0.bytes) } }

    /// Writes one group; what else stands in the queue has its turn before the next.
    private func drain() {
        commitNext()
        let isDone = line.withLock { line in
            if line.isEmpty { line.isScheduled = false }
            return line.isEmpty
        }
        if !isDone { queue.add { self.drain() } }
    }

    /// Writes one group: what has gathered, up to the size of a transaction.
    private func commitNext() {
        let (group, records, bytes) = line.withLock { line in takeGroup(&line) }
        guard let last = group.last?.last?.number else { return }
        let result = held { store throws(StorageError) in try store.commit(group) }
        switch result {
        case .success:
            line.withLock { line in
                line.settled += group.count
                line.records -= records
                line.bytes -= bytes
            }
            report(.committed(upTo: last))
        case .failure(let error):
            let (failures, era) = line.withLock { line in fail(group, &line) }
            report(.failed(failures, error, era: era))
        }
        // After the report, because nobody waits for it. Should it fail, the log grows, and the next commit says what is wrong.
        _ = held { store throws(StorageError) in try store.tidy() }
    }

    /// Gives up a group, and with it everything behind: what is tried again must not come behind what is newer.
    private func fail(_ group: [[RecordEntry]], _ line: inout Line) -> (failures: [RecordEntry], era: Int) {
        let waiting = line.batches[line.head...].map(\.entries)
        let failures = Array((group + waiting).joined())
        line.batches = []
        line.head = 0
        line.bytes = 0
        line.records = 0
        line.settled = line.appended
        line.lastNumber = failures.first.map { $0.number - 1 } ?? line.lastNumber
        line.era += 1
        return (failures, line.era)
    }

    private func takeGroup(_ line: inout Line) -> (group: [[RecordEntry]], records: Int, bytes: Int) {
        var group: [[RecordEntry]] = []
        var records = 0
        var bytes = 0
        while line.head < line.batches.count {
            let batch = line.batches[line.head]
            let fits = records + batch.entries.count <= settings.commitRecordsMax && bytes + batch.bytes <= settings.commitBytesMax
            guard group.isEmpty || fits else { break }
            group.append(batch.entries)
            line.batches[line.head].entries = []
            line.head += 1
            records += batch.entries.count
            bytes += batch.bytes
        }
        if line.isEmpty {
            line.batches.removeAll(keepingCapacity: line.batches.count <= 1_024)
            line.head = 0
        } else if line.head > 64, line.head * 2 > line.batches.count {
            line.batches.removeFirst(line.head)
            line.head = 0
        }
        return (group, records, bytes)
    }

    // MARK: Questions

    /// Events of a task whose number is above `sequence`, oldest first.
    ///
    /// Every question sees what was appended before it was asked. The answer comes on the journal's queue.
    /// - Throws: `backlogFull` where too many questions wait, `closed`; then there is no answer.
    public func events(
        of id: TaskID, after sequence: UInt64, limit: Int,
        _ answer: @escaping @Sendable (Result<HistoryPage<EventRow>, StorageError>) -> Void
    ) throws(StorageError) {
        try ask(answer) { store throws(StorageError) in try store.events(of: id, after: sequence, limit: limit) }
    }

    /// Progress rows of a task, oldest first; the limit counts from `end`.
    public func progress(
        of id: TaskID, limit: Int, from end: HistoryEnd,
        _ answer: @escaping @Sendable (Result<HistoryPage<ProgressRow>, StorageError>) -> Void
    ) throws(StorageError) {
        try ask(answer) { store throws(StorageError) in try store.progress(of: id, limit: limit, from: end) }
    }

    /// Log rows of a task, oldest first; the limit counts from `end`.
    public func logs(
        of id: TaskID, limit: Int, from end: HistoryEnd, _ answer: @escaping @Sendable (Result<HistoryPage<LogRow>, StorageError>) -> Void
    ) throws(StorageError) {
        try ask(answer) { store throws(StorageError) in try store.logs(of: id, limit: limit, from: end) }
    }

    /// A session; nil where there is none.
    public func session(
        _ clientID: SharedBytes, _ answer: @escaping @Sendable (Result<SessionRow?, StorageError>) -> Void
    ) throws(StorageError) {
        try ask(answer) { store throws(StorageError) in try store.session(clientID) }
    }

    /// The newest sessions, of one user or of all, oldest first.
    public func sessions(
        of userID: SharedBytes?, limit: Int, _ answer: @escaping @Sendable (Result<HistoryPage<SessionRow>, StorageError>) -> Void
    ) throws(StorageError) {
        try ask(answer) { store throws(StorageError) in try store.sessions(of: userID, limit: limit) }
    }

    /// Activities, newest first.
    public func activities(
        _ question: ActivityQuestion, _ answer: @escaping @Sendable (Result<HistoryPage<Activity>, StorageError>) -> Void
    ) throws(StorageError) {
        try ask(answer) { store throws(StorageError) in try store.activities(question) }
    }

    /// Alerts, those raised last first.
    public func alerts(
        _ question: AlertQuestion, _ answer: @escaping @Sendable (Result<HistoryPage<Alert>, StorageError>) -> Void
    ) throws(StorageError) {
        try ask(answer) { store throws(StorageError) in try store.alerts(question) }
    }

    /// How many tasks are remembered, by how they stand; no table is read.
    public func counts(_ answer: @escaping @Sendable (Result<TaskCounts, StorageError>) -> Void) throws(StorageError) {
        try ask(answer) { store throws(StorageError) in store.counts }
    }

    private func ask<Answer: Sendable>(
        _ answer: @escaping @Sendable (Result<Answer, StorageError>) -> Void,
        _ question: @escaping @Sendable (Store) throws(StorageError) -> Answer
    ) throws(StorageError) {
        let mark = try line.withLock { line throws(StorageError) in
            if line.isClosed { throw .closed }
            if line.queries >= settings.waitingQueriesMax { throw .backlogFull }
            line.queries += 1
            return line.appended
        }
        queue.add {
            while self.line.withLock({ $0.settled < mark }) { self.commitNext() }
            let result = self.held(question)
            self.line.withLock { $0.queries -= 1 }
            answer(result)
        }
    }

    // MARK: Forgetting

    /// Forgets what is older than `cutoff`, in small steps between commits. One sweep at a time: while one goes on, another is not begun.
    ///
    /// - Parameter done: told, on the journal's queue, how many rows went.
    /// - Returns: whether a sweep was begun.
    @discardableResult
    public func forget(before cutoff: WallTime, _ done: @escaping @Sendable (Result<Int, StorageError>) -> Void = { _ in }) -> Bool {
        let begins = line.withLock { line in
            guard !line.isClosed, !line.isSweeping else { return false }
            line.isSweeping = true
            return true
        }
        if begins { queue.add { self.sweep(cutoff, 0, done) } }
        return begins
    }

    private func sweep(_ cutoff: WallTime, _ before: Int, _ done: @escaping @Sendable (Result<Int, StorageError>) -> Void) {
        switch held({ store throws(StorageError) in try store.forget(before: cutoff) }) {
        case .success((let rows, false)):
            queue.add { self.sweep(cutoff, before + rows, done) }
        case .success((let rows, true)):
            line.withLock { $0.isSweeping = false }
            done(.success(before + rows))
        case .failure(let error):
            line.withLock { $0.isSweeping = false }
            done(.failure(error))
        }
    }

    // MARK: End

    /// Writes everything that was appended, moves it into the one file and lets go of the directory. The caller waits; the reports come
    /// before this returns. A second call does nothing.
    public func close() throws(StorageError) {
        line.withLock { $0.isClosed = true }
        let result = onQueue {
            while !self.line.withLock({ $0.isEmpty }) { self.commitNext() }
            return self.store.withLock { store -> Result<Void, StorageError> in
                defer { store = nil }
                do throws(StorageError) {
                    try store?.close()
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
        }
        try result.get()
    }

    /// Does something on the queue, behind what stands there, and waits for it.
    private func onQueue<Value: Sendable>(_ body: @Sendable () -> Value) -> Value {
        let value = Mutex<Value?>(nil)
        queue.wait { value.withLock { $0 = body() } }
        guard let value = value.withLock({ $0 }) else { preconditionFailure("a queue does what it is waited for") }
        return value
    }

    /// Does something with the store, on the queue.
    private func held<Value: Sendable>(_ body: (Store) throws(StorageError) -> Value) -> Result<Value, StorageError> {
        store.withLock { store in
            guard let store else { return .failure(.closed) }
            do throws(StorageError) {
                return .success(try body(store))
            } catch {
                return .failure(error)
            }
        }
    }
}
