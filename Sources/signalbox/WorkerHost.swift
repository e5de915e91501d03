// WorkerHost: `signalbox worker` at its work: keeps one WebSocket to the server, runs the command for each task, tells what it says, and
// comes back when the connection ends. The loop's host in this process, as Host is the server's. Protocol: WorkerTongue; processes:
// CommandRun.
import Base
import Dialects
import Domain
import Glibc
import JSON
import Reactor
import WebSockets

final class WorkerHost: LoopHost {
    private let settings: WorkerSettings
    /// Nil where TLS is not spoken.
    private let trust: TLSTrust?
    private let environment: [String]
    private let loop: EventLoop
    private let outbox: Outbox
    private let log: Log
    private var random: Randomness
    private var client: ClientConnection
    private var index = JSONIndex()
    private var text = ByteWriter(capacity: 4 << 10)

    private enum Link {
        /// There is no connection until then.
        case away(until: Instant)
        /// The handshake, and the server's greeting, are awaited until then.
        case coming(ConnectionID, until: Instant)
        case here(ConnectionID)
    }

    private var link: Link
    private var pause = WorkerHost.pauseMin
    private var workerID: SharedBytes?
    private var lastHeard = Instant(nanoseconds: 0)
    private var runs: [CommandRun] = []
    /// Results that were not confirmed, oldest first.
    private var results: [(task: TaskID, lease: UInt64?, message: SharedBytes)] = []
    /// The longest message that the server takes, as far as it said.
    private var takenBytesMax = Int.max
    private var isDraining = false
    /// What the process ends with.
    private(set) var code: Int32 = 0

    private static let pauseMin = TimeSpan.seconds(1)
    private static let pauseMax = TimeSpan.seconds(30)
    private static let connectTimeout = TimeSpan.seconds(10)
    /// The server pings every third of a lease; one that is silent for longer than this is not there.
    private static let silenceMax = TimeSpan.seconds(90)
    /// Beyond this commands that have much to say wait until it is read.
    private static let roomBytes = 1 << 20
    private static let messageBytesMax = 64 << 20

    init(
        _ settings: WorkerSettings, _ trust: TLSTrust?, environment: [String], loop: EventLoop, outbox: Outbox, log: Log, at now: Instant
    ) {
        self.settings = settings
        self.trust = trust
        self.environment = environment
        self.loop = loop
        self.outbox = outbox
        self.log = log
        random = .system()
        outbox.roomBytes = WorkerHost.roomBytes
        client = ClientConnection(random: .system(), messageBytesMax: WorkerHost.messageBytesMax)
        link = .away(until: now)
    }

    // MARK: The connection

    private func connect(at now: Instant) {
        do throws(Resolver.Refusal) {
            // A name is looked up in place: nobody else is served by this process.
            let server = settings.server
            let address = try Resolver.lookUp(SharedBytes(server.host), port: server.port)
            do throws(Errno) {
                let id: ConnectionID
                if let trust {
                    id = try loop.connect(to: address, as: server.certifiedName, trust)
                } else {
                    id = try loop.connect(to: address)
                }
                client = ClientConnection(random: .system(), messageBytesMax: WorkerHost.messageBytesMax)
                let target = settings.target(resuming: workerID?.description)
                outbox.write(to: id) {
                    client.writeRequest(target: target, authority: server.authority, token: settings.token, to: &$0)
                }
                link = .coming(id, until: now + WorkerHost.connectTimeout)
            } catch {
                lost(error.description, at: now)
            }
        } catch {
            lost(error.reason, at: now)
        }
    }

    private var connection: ConnectionID? {
        switch link {
        case .away: nil
        case .coming(let id, _), .here(let id): id
        }
    }

    /// There is no connection any more, or could not be one.
    private func lost(_ reason: String, at now: Instant) {
        let wait = TimeSpan(nanoseconds: pause.nanoseconds + Int64.random(in: 0...pause.nanoseconds / 4, using: &random))
        link = .away(until: now + wait)
        pause = min(TimeSpan(nanoseconds: pause.nanoseconds * 2), WorkerHost.pauseMax)
        // What waited to be told to the server is not told, and nobody waits for it.
        for run in runs where !run.attendsWords { attendWords(of: run) }
        guard !isDone else { return loop.stop() }
        log.warning("not connected", ("reason", reason), ("milliseconds", wait))
    }

    private var isDone: Bool { isDraining && runs.isEmpty && results.isEmpty }

    private func send(_ write: (inout ByteWriter) -> Void) {
        guard case .here(let id) = link else { return }
        text.removeAll()
        write(&text)
        // A piece or a line that the server does not take would end the connection.
        guard text.count <= takenBytesMax else { return log.warning("not sent: longer than the server takes", ("bytes", text.count)) }
        text.withSpan { text in outbox.write(to: id) { client.writeText(text, to: &$0) } }
    }

    // MARK: LoopHost

    func turnBegan(at now: Instant) { log.now = WallTime(milliseconds: SystemClock.wallMilliseconds()) }

    func opened(_ id: ConnectionID, from peer: PeerAddress, at now: Instant) {}

    func received(_ id: ConnectionID, _ bytes: inout MutableSpan<UInt8>, at now: Instant) {
        guard id == connection else { return }
        lastHeard = now
        client.receive(bytes.span)
        do throws(ClientError) {
            while true {
                switch try client.next() {
                case .needMore: return
                case .opened, .pong, .binary: break
                case .text(let message): hear(message, at: now)
                case .ping(let payload): outbox.write(to: id) { client.writePong(payload, to: &$0) }
                case .close(let code):
                    if code == .messageTooBig { giveUpLargest() }
                    outbox.write(to: id) { client.writeClose(code, to: &$0) }
                    outbox.closeAfterFlush(id)
                    return
                }
            }
        } catch {
            refused(error, id)
        }
    }

    private func refused(_ error: ClientError, _ id: ConnectionID) {
        switch error {
        case .refused(let status, let body):
            log.error("the server refuses", ("status", status), ("answer", body[0..<min(body.count, 300)].description))
            // What is wrong with the first request does not become right by itself.
            if workerID == nil, (400..<500).contains(status), status != 429 {
                code = 1
                loop.stop()
            }
        case .notWebSocket: log.error("what answers is no server of workers", ("address", settings.server.authority))
        case .violation(let code): outbox.write(to: id) { client.writeClose(code, to: &$0) }
        }
        outbox.closeAfterFlush(id)
    }

    func closed(_ id: ConnectionID, _ cause: CloseCause, at now: Instant) {
        guard id == connection else { return }
        guard let refusal = loop.refusal(of: id) else { return lost("the connection is closed", at: now) }
        let sentence = refusal.sentence(of: settings.server.certifiedName)
        // As with a request that is refused: what is wrong from the first is not made right by waiting.
        if workerID == nil {
            log.error("the server is not spoken to", ("reason", sentence))
            code = 1
            return loop.stop()
        }
        lost(sentence, at: now)
    }

    func completionsArrived(at now: Instant) {}

    var nextDeadline: Instant? {
        var first: Instant
        switch link {
        case .away(let until), .coming(_, let until): first = until
        case .here: first = lastHeard + WorkerHost.silenceMax
        }
        for run in runs { if let killAt = run.killAt { first = min(first, killAt) } }
        return first
    }

    func timersDue(at now: Instant) {
        for run in runs { if let killAt = run.killAt, killAt <= now { run.force() } }
        switch link {
        case .away(let until): if until <= now { connect(at: now) }
        case .coming(let id, let until): if until <= now { outbox.abort(id) }
        case .here(let id): if lastHeard + WorkerHost.silenceMax <= now { outbox.abort(id) }
        }
    }

    func signalled(_ signal: Int32, at now: Instant) {
        guard signal != SIGCHLD else { return reap(at: now) }
        let count = runs.count
        guard !isDraining else {
            log.warning("ended at once", ("tasks", count))
            for run in runs { run.force() }
            code = 1
            return loop.stop()
        }
        isDraining = true
        log.info("draining", ("tasks", count))
        send { WorkerTongue.writeDrain(to: &$0) }
        if isDone, connection == nil { loop.stop() }
    }

    func attended(_ raw: Int32, at now: Instant) {
        if let run = runs.first(where: { $0.process.output == raw }) {
            if !run.readOutput() { dismissOutput(of: run) }
            if run.isTooLarge { run.end(grace: settings.grace, at: now) }
        } else if let run = runs.first(where: { $0.process.words == raw }) {
            guard hasRoom else {
                dismissWords(of: run)
                if let connection { outbox.awaitRoom(connection) }
                return
            }
            if readWords(of: run) == .ended { dismissWords(of: run) }
        }
    }

    func turnEnded(at now: Instant, lastTurn: TurnFigures) {}

    func roomCame(at now: Instant) {
        var roomy: [ConnectionID] = []
        outbox.takeRoomy(into: &roomy)
        for run in runs where !run.attendsWords { attendWords(of: run) }
    }

    /// Whether what a command says can be told on; to a server that is away nothing is told, and the command goes on.
    private var hasRoom: Bool {
        guard case .here(let id) = link else { return true }
        return outbox.queuedBytes(id) < WorkerHost.roomBytes
    }

    // MARK: The server's words

    private func hear(_ message: SharedBytes, at now: Instant) {
        guard let order = WorkerTongue.read(message.span, &index) else { return }
        switch order {
        case .connected(let name, let bytesMax): greeted(name, takes: bytesMax)
        case .task(let id, let lease, let payload): begin(id, lease, payload, at: now)
        case .cancel(let id): cancel(id, "cancelled", at: now)
        case .acknowledged(let id): results.removeAll { $0.task == id }
        case .error(let words, let id):
            log.warning("the server objects", ("words", words), ("task", id.map { "\($0)" } ?? "none"))
            guard let id else { return }
            results.removeAll { $0.task == id }
            cancel(id, "lost", at: now)
        case .drain:
            guard isDraining, runs.isEmpty, case .here(let id) = link else { return }
            results = []
            outbox.write(to: id) { client.writeClose(.normal, to: &$0) }
            outbox.closeAfterFlush(id)
        case .other: break
        }
    }

    private func greeted(_ name: SharedBytes, takes bytesMax: Int?) {
        guard case .coming(let id, _) = link else { return }
        link = .here(id)
        takenBytesMax = bytesMax ?? .max
        for place in results.indices where results[place].message.count > takenBytesMax { giveUp(at: place) }
        pause = WorkerHost.pauseMin
        workerID = name
        log.info("connected", ("worker", name), ("group", settings.group))
        let held = runs.filter { !$0.isUnwanted }.map(\.task) + results.map(\.task)
        send { WorkerTongue.writeReady(concurrency: settings.concurrency, models: settings.models, held: held, to: &$0) }
        for result in results { outbox.write(to: id) { client.writeText(result.message.span, to: &$0) } }
        if isDraining { send { WorkerTongue.writeDrain(to: &$0) } }
    }

    // MARK: Tasks

    private func begin(_ id: TaskID, _ lease: UInt64?, _ payload: SharedBytes, at now: Instant) {
        // One that comes anew is another assignment: what is left of the one before is nobody's.
        for run in runs where run.task == id {
            run.isUnwanted = true
            run.end(grace: settings.grace, at: now)
        }
        results.removeAll { $0.task == id }
        do throws(Errno) {
            let process = try ChildProcess(settings.command, input: payload, environment: environment + ["SIGNALBOX_TASK_ID=\(id)"])
            let run = CommandRun(id, lease: lease, process, at: now)
            runs.append(run)
            run.attendsOutput = true
            try loop.attend(process.output)
            attendWords(of: run)
            log.info("working", ("task", id), ("process", Int(process.identity)))
        } catch {
            log.error("cannot run the command", ("reason", error.description))
            finish(id, lease) {
                let words = "cannot run \(settings.command[0]): \(error.description)"
                WorkerTongue.writeFailed(id, lease, error: SharedBytes(words).span, code: nil, milliseconds: 0, to: &$0)
            }
        }
    }

    private func cancel(_ id: TaskID, _ words: StaticString, at now: Instant) {
        guard let run = runs.first(where: { $0.task == id && !$0.isUnwanted }) else { return }
        log.info(words, ("task", id))
        run.isUnwanted = true
        run.end(grace: settings.grace, at: now)
    }

    private func attendWords(of run: CommandRun) {
        guard (try? loop.attend(run.process.words)) != nil else { return }
        run.attendsWords = true
    }

    private func dismissWords(of run: CommandRun) {
        loop.dismiss(run.process.words)
        run.attendsWords = false
    }

    private func dismissOutput(of run: CommandRun) {
        loop.dismiss(run.process.output)
        run.attendsOutput = false
    }

    private func readWords(of run: CommandRun) -> ChildProcess.Reading {
        run.readWords { line in
            let kind = WorkerTongue.read(line: line.span, &index)
            if kind == .log { run.remember(line) }
            guard !run.isUnwanted else { return }
            switch kind {
            case .progress(let percent, let message):
                send { WorkerTongue.writeProgress(run.task, run.lease, percent, message, to: &$0) }
            case .chunk(let chunk): send { WorkerTongue.writeChunk(run.task, run.lease, chunk, to: &$0) }
            case .log: send { WorkerTongue.writeLog(run.task, run.lease, line.span, to: &$0) }
            }
        }
    }

    /// Looks which commands have ended. What they said last is still in their pipes; what somebody else holds open is not waited for.
    private func reap(at now: Instant) {
        for run in runs {
            guard let end = run.process.takeEnd() else { continue }
            _ = run.readOutput()
            for _ in 0..<CommandRun.readsMax where readWords(of: run) != .some { break }
            dismissOutput(of: run)
            dismissWords(of: run)
            conclude(run, end, at: now)
        }
    }

    private func conclude(_ run: CommandRun, _ end: ChildProcess.End, at now: Instant) {
        runs.removeAll { $0 === run }
        // Ended at once: the server hears that its worker is gone, and not that the command failed.
        guard code == 0 else { return }
        let milliseconds = (now - run.began).milliseconds
        log.info("done", ("task", run.task), ("end", "\(end)"), ("milliseconds", now - run.began))
        guard !run.isUnwanted else {
            // The server keeps the room of a task that it took back until its worker speaks of it.
            return send {
                let words = SharedBytes("cancelled")
                WorkerTongue.writeFailed(run.task, run.lease, error: words.span, code: nil, milliseconds: milliseconds, to: &$0)
            }
        }
        finish(run.task, run.lease) { writer in
            switch end {
            case .exited(0) where !run.isTooLarge:
                var result = ByteWriter(capacity: run.output.count + 64)
                run.output.withSpan { WorkerTongue.writeResult($0, &index, to: &result) }
                WorkerTongue.writeComplete(run.task, run.lease, result: result.span, milliseconds: milliseconds, to: &writer)
            case .exited(let code):
                WorkerTongue.writeFailed(
                    run.task, run.lease, error: words(of: run, "exit code \(code)").span, code: code, milliseconds: milliseconds,
                    to: &writer)
            case .killed(let signal):
                let words = words(of: run, "killed by signal \(signal)")
                WorkerTongue.writeFailed(run.task, run.lease, error: words.span, code: nil, milliseconds: milliseconds, to: &writer)
            }
        }
    }

    /// Why a command failed, in its last words.
    private func words(of run: CommandRun, _ otherwise: String) -> SharedBytes {
        if run.isTooLarge { return SharedBytes("the result is larger than \(CommandRun.outputBytesMax) bytes") }
        guard !run.lastLines.isEmpty else { return SharedBytes(otherwise) }
        var words = ByteWriter()
        for (number, line) in run.lastLines.enumerated() {
            if number > 0 { words.append(UInt8(ascii: "\n")) }
            words.append(line)
        }
        return words.take()
    }

    /// Sends a result, and keeps it until it is confirmed.
    private func finish(_ id: TaskID, _ lease: UInt64?, _ write: (inout ByteWriter) -> Void) {
        var message = ByteWriter()
        write(&message)
        let result = message.take()
        results.append((id, lease, result))
        guard case .here(let connection) = link else { return }
        if result.count > takenBytesMax { giveUp(at: results.count - 1) }
        if let message = results.last?.message { outbox.write(to: connection) { client.writeText(message.span, to: &$0) } }
    }

    /// A server that had not said so takes no message so long: the longest of those that wait fails, or it would end one connection after
    /// the other.
    private func giveUpLargest() {
        guard let place = results.indices.max(by: { results[$0].message.count < results[$1].message.count }) else { return }
        giveUp(at: place)
    }

    /// A result that the server does not take is a failure.
    private func giveUp(at place: Int) {
        let (task, lease, result) = results[place]
        log.warning("the result is longer than the server takes", ("task", task), ("bytes", result.count))
        var message = ByteWriter()
        let words = SharedBytes("the result is longer than the server takes")
        WorkerTongue.writeFailed(task, lease, error: words.span, code: nil, milliseconds: 0, to: &message)
        results[place].message = message.take()
    }
}

/// `signalbox worker`, from its arguments to its exit code.
func work(_ arguments: ArraySlice<String>, environment: (String) -> String?) -> Int32 {
    let options = arguments.prefix { $0 != "--" }
    if options.contains(where: { $0 == "--help" || $0 == "-h" }) {
        print(WorkerSettings.help, to: STDOUT_FILENO)
        return 0
    }
    let settings: WorkerSettings
    let trust: TLSTrust?
    do throws(Mistake) {
        settings = try WorkerSettings(arguments, environment: environment)
        do throws(TLSMistake) { trust = try settings.trust() } catch { throw Mistake(sentence: error.sentence) }
    } catch {
        print("signalbox: \(error.sentence)\n", to: STDERR_FILENO)
        return 2
    }
    let log = Log(level: .info, format: .text) { line in writeAll(line.span, to: STDERR_FILENO) }
    let awaited = [SIGTERM, SIGINT, SIGHUP, SIGCHLD]
    Signals.block(awaited)
    do throws(Errno) {
        var loopSettings = EventLoop.Settings()
        loopSettings.signals = awaited
        loopSettings.connectionsMax = 4
        let outbox = Outbox()
        let loop = try EventLoop(outbox: outbox, settings: loopSettings)
        let host = WorkerHost(
            settings, trust, environment: ChildProcess.environment, loop: loop, outbox: outbox, log: log, at: SystemClock.now())
        try loop.run(host)
        return host.code
    } catch {
        log.error("cannot work", ("reason", error.description))
        return 1
    }
}
