// Host: introduces the machine to its performers: the loop's events go to the server, the server's jobs to the worker pool, and what
// comes of them back by way of the mailbox. Decides only when the process ends.
import Base
import Dispatch
import Gateway
import Glibc
import Reactor
import Storage
import Vitals

final class Host: LoopHost {
    private let server: Server
    private let loop: EventLoop
    private let pool: WorkPool
    private let mailbox: Mailbox<Completion>
    /// Closed once another process has it.
    private let archive: Archive
    private var door: TakeoverDoor?
    private let courier: Courier
    private let limits: Limits
    private let tlsFiles: TLSFiles?
    private let log: Log
    private let supervisor: Supervisor?
    /// Nil where there is no mark to hold it against, or the kernel does not tell.
    private var memory: ProcessMemory?
    private var memoryDue = Instant(nanoseconds: 0)
    /// How often memory is looked at while the loop turns: at a gigabyte a second, a tenth of that comes in between.
    private static let memoryPeriod = TimeSpan.milliseconds(100)
    private var wall = WallTime(milliseconds: 0)
    private var hasWarnedOfShortage = false
    private var jobs: [Job] = []
    private var completions: [Completion] = []

    /// Makes the machine and its performers, and gives it what the last process left.
    init(_ configuration: Configuration, loop: EventLoop, outbox: Outbox, supervisor: Supervisor?, log: Log) throws(StorageError) {
        self.loop = loop
        self.log = log
        self.supervisor = supervisor
        limits = configuration.settings.limits
        tlsFiles = configuration.tlsFiles
        memory = limits.memoryHighBytes > 0 ? ProcessMemory() : nil
        pool = WorkPool(width: configuration.workThreads)
        mailbox = Mailbox(doorbell: loop.doorbell)
        server = Server(settings: configuration.settings, outbox: outbox, log: log, random: .system())
        courier = Courier(configuration, loop: loop, log: log)
        let now = SystemClock.now()
        archive = try Archive(
            StorageLocation(configuration.data), configuration.storage, memory: configuration.historyTTL,
            on: DispatchQueue(label: "storage"), doorbell: loop.doorbell, log: log,
            patience: configuration.takeover == nil ? .zero : Archive.lockPatience, at: now)
        observeWall(at: now)
        try archive.restore(server, resultTTL: limits.resultTTL, endedBytesMax: limits.endedBytesMax, at: now, wall: wall)
    }

    /// Ends what the loop does not: to be called once it has.
    ///
    /// - Returns: whether everything was written that had to be.
    func close() -> Bool { server.hasHandedOver ? isAllWritten : archive.close(server, at: SystemClock.now()) }

    private var isAllWritten = true

    /// Lets another process take over from now on.
    func open(_ door: TakeoverDoor) { self.door = door }

    private func observeWall(at now: Instant) {
        wall = WallTime(milliseconds: SystemClock.wallMilliseconds())
        log.now = wall
        server.observe(wall, at: now)
    }

    // MARK: LoopHost

    func turnBegan(at now: Instant) {
        observeWall(at: now)
        if memory != nil, now >= memoryDue { lookAtMemory(at: now) }
    }

    private func lookAtMemory(at now: Instant) {
        memoryDue = now + Host.memoryPeriod
        if server.takeRelieved() { ProcessMemory.giveBack() }
        if let inUse = memory?.inUse() { server.memory(inUse: inUse, at: now) }
        loop.isShort = server.refusesConnections
    }

    func opened(_ id: ConnectionID, from peer: PeerAddress, at now: Instant) {
        server.opened(id, from: peer, certificate: asksForCertificates ? loop.certificate(of: id) : nil, at: now)
        loop.isShort = server.refusesConnections
    }

    func turnedAway(_ peer: PeerAddress, _ rejection: Rejection, at now: Instant) { server.turnedAway(peer, rejection, at: now) }

    func received(_ id: ConnectionID, _ bytes: inout MutableSpan<UInt8>, at now: Instant) { server.received(id, &bytes, at: now) }

    func closed(_ id: ConnectionID, _ cause: CloseCause, at now: Instant) {
        server.closed(id, cause, at: now)
        loop.isShort = server.refusesConnections
    }

    func completionsArrived(at now: Instant) {
        mailbox.drain(into: &completions)
        for completion in completions { server.finished(completion, at: now) }
        completions.removeAll(keepingCapacity: true)
        if !server.hasHandedOver { archive.deliver(to: server, at: now) }
        courier.deliver(to: server, at: now)
    }

    var nextDeadline: Instant? {
        var first = server.hasHandedOver ? Instant(nanoseconds: .max) : archive.nextDeadline
        if let deadline = door?.nextDeadline { first = min(first, deadline) }
        if let deadline = server.nextDeadline { first = min(first, deadline) }
        if let deadline = courier.nextDeadline { first = min(first, deadline) }
        if let deadline = supervisor?.nextBeat { first = min(first, deadline) }
        // A loop that sleeps takes no memory: only the end of a shortage is waited for.
        if memory != nil, server.isShortOfMemory { first = min(first, memoryDue) }
        return first
    }

    func timersDue(at now: Instant) {
        supervisor?.beat(at: now)
        door?.timersDue(at: now)
        if !server.hasHandedOver, archive.nextDeadline <= now { archive.sweepDue(at: now, wall: wall) }
        courier.timersDue(for: server, at: now)
        server.timersDue(at: now)
    }

    func signalled(_ signal: Int32, at now: Instant) {
        if signal == SIGHUP {
            supervisor?.reloading(at: now)
            readTLSAnew()
            supervisor?.ready(server.endWords ?? Host.servingWords)
            return
        }
        guard signal == SIGTERM || signal == SIGINT else { return }
        let name: StaticString = signal == SIGTERM ? "TERM" : "INT"
        guard server.endWords == nil else {
            log.info("stopping faster", ("signal", name))
            return server.hasten(at: now)
        }
        log.info("stopping", ("signal", name))
        door?.close()
        loop.stopAccepting()
        server.stop(at: now)
        supervisor?.stopping(server.endWords ?? "")
    }

    static let servingWords = "Serving"

    /// New connections get the new certificate; those that there are keep what they began with, and so do all where a file is wrong.
    private func readTLSAnew() {
        guard let tlsFiles else { return log.info("nothing to be read anew", ("reason", "TLS is not spoken" as StaticString)) }
        do throws(TLSMistake) {
            let tls = try TLSContext(tlsFiles)
            for warning in tls.warnings { log.warning("tls", ("reason", warning)) }
            loop.tls = tls
            log.info("certificate read anew", ("file", tlsFiles.certificate))
        } catch {
            log.error("the certificate stays as it was", ("reason", error.sentence))
        }
    }

    private var asksForCertificates: Bool { tlsFiles?.clientAuthorities != nil }

    /// What somebody hears who speaks plain HTTP where TLS is spoken (RFC 9110 §15.5.1).
    static let answerToPlainText: [UInt8] = {
        let body = "This port speaks TLS: use https or wss\n"
        let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
        return Array((head + body).utf8)
    }()

    /// What somebody hears who is not let in: RFC 9110 §15.6.4. Whoever asks again at once would be one of those who made it necessary.
    static let answersToRefused: [Rejection: [UInt8]] = {
        func answer(_ words: String) -> [UInt8] {
            let body = "{\"error\":\"\(words)\"}"
            return Array((
                "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
                + "Retry-After: \(Server.retryAfterSeconds)\r\nConnection: close\r\n\r\n" + body).utf8)
        }
        return [
            .connections: answer("Too many connections"),
            .address: answer("Too many connections from this address"),
            .memory: answer("\(Server.shortOfMemory)"),
        ]
    }()

    func turnEnded(at now: Instant, lastTurn: TurnFigures) {
        warnOfShortage(lastTurn)
        server.turnEnded(
            TurnReport(
                duration: lastTurn.duration, bytesIn: lastTurn.bytesIn, bytesOut: lastTurn.bytesOut,
                refused: lastTurn.refused + lastTurn.descriptorShortages, handshakes: Int(lastTurn.handshakes),
                handshakesFailed: Int(lastTurn.handshakesFailed)),
            at: now)
        performWishes(at: now)
        if server.hasYielded { handOver(at: now) }
        if let words = server.endWords { supervisor?.tell(words, at: now) }
        if server.isOver { loop.stop() }
    }

    func roomCame(at now: Instant) {
        server.roomCame(at: now)
        performWishes(at: now)
    }

    /// Starts what the server wants done elsewhere.
    private func performWishes(at now: Instant) {
        courier.collect(from: server, at: now)
        startJobs(at: now)
        if !server.hasHandedOver { archive.collect(from: server, at: now) }
    }

    // MARK: Another process

    func attended(_ raw: Int32, at now: Instant) {
        switch door?.attended(raw, isServing: server.endWords == nil, at: now) {
        case .giveWay:
            log.info("giving way to another process")
            loop.pauseAccepting()
            server.yield(at: now)
        case .serveOn: serveOn(at: now)
        case .some(.none), nil: break
        }
    }

    private func serveOn(at now: Instant) {
        server.callOff(at: now)
        loop.resumeAccepting()
        supervisor?.tell(Host.servingWords, at: now)
        log.warning("serving on")
    }

    /// The data goes to the other process, which begins to accept; the connections that there are end.
    private func handOver(at now: Instant) {
        guard !server.hasUnwritten else {
            door?.refuse("what has to be written cannot be")
            return serveOn(at: now)
        }
        isAllWritten = archive.close(server, at: now)
        server.handOver(at: now)
        loop.leaveListeners()
        let isTold = door?.sayYours() ?? false
        log.info("handed over", ("milliseconds", SystemClock.now() - now), ("told", isTold))
        supervisor?.stopping(server.endWords ?? "")
        // What came of the last records, and the ends of connections, go out with this turn.
        startJobs(at: now)
    }

    /// Told once, and again only after a turn that accepted somebody without one.
    private func warnOfShortage(_ turn: TurnFigures) {
        if turn.descriptorShortages > 0, !hasWarnedOfShortage {
            hasWarnedOfShortage = true
            log.warning("out of descriptors", ("connections", loop.connectionCount))
        } else if turn.accepted > 0, turn.descriptorShortages == 0 {
            hasWarnedOfShortage = false
        }
    }

    private func startJobs(at now: Instant) {
        server.takeJobs(into: &jobs)
        for job in jobs {
            let limits = limits
            let mailbox = mailbox
            let isRunning = pool.run { mailbox.post(job.perform(limits: limits)) }
            // A pool whose line is full leaves the work to the loop: slower for everybody, lost for nobody.
            if !isRunning { mailbox.post(job.perform(limits: limits)) }
        }
        jobs.empty()
    }
}
