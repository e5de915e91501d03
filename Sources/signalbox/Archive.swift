// Archive: the journal as the loop sees it: batches and questions go to it, its words come back by a mailbox, and once in a while it is
// asked to forget. Translates between the machine's values and the storage's; decides nothing.
import Base
import Domain
import Gateway
import Glibc
import Reactor
import Storage

final class Archive {
    /// What comes home from the journal.
    private enum News: Sendable {
        case report(Journal.Report)
        case finding(Finding)
    }

    private let journal: Journal
    private let mailbox: Mailbox<News>
    private let log: Log
    private let memory: TimeSpan
    private var records: [RecordEntry] = []
    private var inquiries: [Inquiry] = []
    private var news: [News] = []
    private var nextSweep: Instant
    /// Of the last failure that was heard of; what was appended since one that was not waits here for the news.
    private var era = 0
    private var outdated: [RecordEntry] = []

    /// How often the journal is asked to forget what is too old.
    private static let sweepInterval = TimeSpan.seconds(60)

    /// - Parameters:
    ///   - memory: how long what has ended is kept.
    ///   - queue: where the journal does its work.
    ///   - patience: how long a folder that another process has in use is waited for.
    init(
        _ location: StorageLocation, _ settings: StorageSettings, memory: TimeSpan, on queue: any JournalQueue, doorbell: Doorbell,
        log: Log, patience: TimeSpan = .zero, at now: Instant
    ) throws(StorageError) {
        let mailbox = Mailbox<News>(doorbell: doorbell)
        journal = try Archive.open(location, settings, on: queue, until: now + patience) { mailbox.post(.report($0)) }
        self.mailbox = mailbox
        self.log = log
        self.memory = memory
        nextSweep = now
    }

    /// A process that was killed a moment ago may not have let go of its lock.
    static let lockPatience = TimeSpan.seconds(2)

    private static func open(
        _ location: StorageLocation, _ settings: StorageSettings, on queue: any JournalQueue, until end: Instant,
        _ report: @escaping @Sendable (Journal.Report) -> Void
    ) throws(StorageError) -> Journal {
        while true {
            do throws(StorageError) {
                return try Journal(location, settings, on: queue, report: report)
            } catch .inUse(let directory, let process) {
                guard SystemClock.now() < end else { throw .inUse(directory: directory, process: process) }
                usleep(20_000)
            }
        }
    }

    /// Gives the server what the last process left.
    func restore(_ server: Server, resultTTL: TimeSpan, endedBytesMax: Int, at now: Instant, wall: WallTime) throws(StorageError) {
        let since = WallTime(milliseconds: wall.milliseconds - resultTTL.milliseconds)
        let recovery = try journal.recover(endedSince: since, endedBytesMax: endedBytesMax)
        let (deployments, alerts) = (recovery.deployments, recovery.alerts)
        if !deployments.isEmpty || !alerts.isEmpty {
            log.info("fleet taken up again", ("deployments" as StaticString, deployments.count), ("alerts" as StaticString, alerts.count))
            server.restore(deployments: deployments, alerts: alerts, at: now)
        }
        if !recovery.letters.isEmpty {
            log.info("dead letters taken up again", ("letters" as StaticString, recovery.letters.count))
            server.restore(letters: recovery.letters, at: now)
        }
        if !recovery.revocations.isEmpty {
            log.info("revocations taken up again", ("users" as StaticString, recovery.revocations.count))
            server.restore(revocations: recovery.revocations)
        }
        guard !recovery.live.isEmpty || !recovery.ended.isEmpty else { return }
        log.info("tasks taken up again", ("live" as StaticString, recovery.live.count), ("ended" as StaticString, recovery.ended.count))
        server.restore(live: recovery.live, ended: recovery.ended, at: now)
        // Before anybody is told a number: should this process end at once, the next one must not begin with the same.
        collect(from: server, at: now)
        journal.flush()
    }

    // MARK: Out

    /// Hands over what the server wants written down and looked up.
    func collect(from server: Server, at now: Instant) {
        server.takeRecords(into: &records)
        if !records.isEmpty {
            do throws(StorageError) {
                try journal.append(records, era: era)
            } catch .outdated {
                outdated += records
            } catch {
                server.recordsFailed(records, reason: error.description, at: now)
            }
            // The batch is the journal's now: what is appended next belongs to another.
            records = []
        }
        server.takeInquiries(into: &inquiries)
        for inquiry in inquiries { ask(inquiry, for: server, at: now) }
        inquiries.removeAll(keepingCapacity: true)
    }

    private func ask(_ inquiry: Inquiry, for server: Server, at now: Instant) {
        let mailbox = mailbox
        do throws(StorageError) {
            switch inquiry.question {
            case .progress(let id, let limit):
                try journal.progress(of: id, limit: limit, from: .newest) { result in
                    mailbox.post(.finding(Finding(to: inquiry, result.map { .progress($0.rows) }.content)))
                }
            case .events(let id, let sequence, let limit):
                try journal.events(of: id, after: sequence, limit: limit) { result in
                    mailbox.post(.finding(Finding(to: inquiry, result.map { .events($0.rows, hasMore: $0.hasMore) }.content)))
                }
            case .activities(let question):
                try journal.activities(question) { result in
                    mailbox.post(.finding(Finding(to: inquiry, result.map { .activities($0.rows, hasMore: $0.hasMore) }.content)))
                }
            case .alerts(let question):
                try journal.alerts(question) { result in
                    mailbox.post(.finding(Finding(to: inquiry, result.map { .alerts($0.rows, hasMore: $0.hasMore) }.content)))
                }
            }
        } catch {
            server.found(Finding(to: inquiry, .failed(error.description)), at: now)
        }
    }

    // MARK: Home

    /// Tells the server what became of records and questions.
    func deliver(to server: Server, at now: Instant) {
        mailbox.drain(into: &news)
        for piece in news {
            switch piece {
            case .report(.committed(let number)): server.committed(upTo: number, at: now)
            case .report(.failed(let entries, let error, let era)):
                self.era = era
                server.recordsFailed(entries + outdated, reason: error.description, at: now)
                outdated = []
            case .finding(let finding): server.found(finding, at: now)
            }
        }
        news.removeAll(keepingCapacity: true)
    }

    // MARK: Time

    /// When `sweepDue` is wanted next.
    var nextDeadline: Instant { nextSweep }

    /// Has the journal forget what is too old.
    func sweepDue(at now: Instant, wall: WallTime) {
        nextSweep = now + Archive.sweepInterval
        journal.forget(before: WallTime(milliseconds: wall.milliseconds - memory.milliseconds))
    }

    /// Has everything written that the server still wants written, and lets go of the data.
    ///
    /// - Returns: whether all of it was.
    func close(_ server: Server, at now: Instant) -> Bool {
        server.retryRecords()
        collect(from: server, at: now)
        do throws(StorageError) {
            try journal.close()
        } catch {
            log.error("the database was not closed in order", ("reason", error.description))
        }
        deliver(to: server, at: now)
        return !server.hasUnwritten
    }
}

extension Result where Success == Finding.Content, Failure == StorageError {
    /// The answer, or why there is none.
    fileprivate var content: Finding.Content {
        switch self {
        case .success(let content): content
        case .failure(let error): .failed(error.description)
        }
    }
}
