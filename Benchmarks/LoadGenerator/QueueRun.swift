// QueueRun: the dispatch of tasks by a peer, in the peer's own protocol: clients that give tasks in and want the result, or only the
// receipt, and workers that complete one task at a time at once. What is compared:
//   gearman  SUBMIT_JOB until WORK_COMPLETE, or SUBMIT_JOB_BG until JOB_CREATED; a worker sends its result and asks for the next job in
//            one write, and sleeps by PRE_SLEEP.
//   redis    a queue that loses no task when a worker vanishes: LPUSH by the client, BLMOVE into the worker's own list, and when it is
//            done LPUSH of the result into the client's list, LREM from the worker's and the next BLMOVE, in one write. A client waits by
//            BRPOP, sent together with its LPUSH. Leases, timeouts, groups and cancellation are not there, and nobody pays for them.
//
// Cost of a task: as DispatchRun's.

import Base
import LoadSupport

final class QueueRun {
    private enum Client {
        case idle
        case submitted(number: Int, since: UInt64)
    }

    private let links: Links
    private let options: Options
    private let tally: Tally
    private var pace: Pace?
    private var clients: [Client]
    private var idle: [Int]
    /// What came on a link and is not whole.
    private var partial: [[UInt8]]
    private var output = ByteWriter(capacity: 65_536)
    private var arguments = ByteWriter(capacity: 1024)
    private var nextNumber = TaskMessage.firstNumber
    private var worked = 0
    private var taken = 0
    private var wrong = 0
    /// The lists of Redis are of one run: what an earlier one left is nobody's.
    private let run = Array(String(Clock.now()).utf8)

    private static let function = Array("bench\0".utf8)
    private static let start = Array("{\"n\":".utf8)
    private static let result = Array("{\"ok\":true,\"n\":".utf8)
    private static let turnNanoseconds: UInt64 = 20_000_000

    static func perform(_ options: Options) throws(RunError) -> Outcome {
        try Descriptors.demand(options.workers + options.clients)
        let run = try QueueRun(options, Dialer(options).open(options.workers + options.clients, upgradingAt: nil))
        return run.outcome()
    }

    private init(_ options: Options, _ dialed: [Dialed]) throws(RunError) {
        self.options = options
        links = try Links(dialed)
        tally = try Tally(options)
        clients = Array(repeating: .idle, count: options.clients)
        idle = Array((0..<options.clients).reversed())
        partial = Array(repeating: [], count: dialed.count)
    }

    private func outcome() -> Outcome {
        for worker in 0..<options.workers {
            output.removeAll()
            switch options.queue {
            case .gearman:
                Gearman.append(.canDo, Self.function.span.extracting(..<(Self.function.count - 1)), to: &output)
                Gearman.append(.grabJob, to: &output)
            case .redis: askRedis(worker)
            }
            links.send(output, on: worker)
        }
        pace = options.rate.map { Pace(rate: $0, at: Clock.now()) }
        tally.run(until: { isDrained }) { turn() }
        let unanswered = clients.count { if case .idle = $0 { false } else { true } }
        let lost = unanswered + abs(taken - worked)
        var report = Report()
        report.add("command", "queue")
        report.add("queue", options.queue.rawValue)
        report.add("clients", options.clients)
        report.add("workers", options.workers)
        if let rate = options.rate { report.add("rate", rate) }
        tally.report("tasks", into: &report)
        report.add("worked", worked)
        report.add("mismatches", wrong)
        report.add("lost", lost)
        report.add("errors", links.failures)
        return Outcome(report: report, faults: wrong + lost + links.failures + (tally.measured == 0 ? 1 : 0))
    }

    private var isDrained: Bool { idle.count == clients.count && worked == taken }

    private func turn() {
        let now = Clock.now()
        submitWhatIsDue(at: now)
        var due = now + Self.turnNanoseconds
        if let pace, tally.goesOn, !idle.isEmpty { due = min(due, pace.due) }
        for index in 0..<links.wait(until: due) {
            let ready = links.ready(index)
            let link = ready.token
            if ready.isWritable { links.flush(link) }
            guard ready.isReadable, case .bytes(let count) = links.receive(link) else { continue }
            let now = Clock.now()
            links.withReceived(count) { hear($0, link, at: now) }
        }
    }

    /// Takes a read, and what an earlier one left.
    private func hear(_ bytes: Span<UInt8>, _ link: Int, at now: UInt64) {
        output.removeAll()
        if partial[link].isEmpty {
            let rest = consume(bytes, link, at: now)
            unsafe bytes.extracting(rest...).withUnsafeBufferPointer { unsafe partial[link].append(contentsOf: $0) }
        } else {
            unsafe bytes.withUnsafeBufferPointer { unsafe partial[link].append(contentsOf: $0) }
            let whole = partial[link]
            partial[link].removeFirst(consume(whole.span, link, at: now))
        }
        if output.count > 0 { links.send(output, on: link) }
    }

    /// Where the first packet begins that is not whole.
    private func consume(_ bytes: Span<UInt8>, _ link: Int, at now: UInt64) -> Int {
        var place = 0
        while links.isOpen(link) {
            let end =
                switch options.queue {
                case .gearman: gearman(bytes, place, link, now)
                case .redis: redis(bytes, place, link, now)
                }
            guard let end else { return place }
            place = end
        }
        return bytes.count
    }

    // MARK: gearman

    private func gearman(_ bytes: Span<UInt8>, _ place: Int, _ link: Int, _ now: UInt64) -> Int? {
        switch Gearman.read(bytes, from: place) {
        case .incomplete: return nil
        case .broken:
            links.fail(link, "gearmand sent what is no packet that was asked for")
            return nil
        case .packet(let kind, let range):
            let arguments = bytes.extracting(range)
            switch kind {
            case .jobAssign: work(arguments)
            case .noJob: Gearman.append(.preSleep, to: &output)
            case .noop: Gearman.append(.grabJob, to: &output)
            case .jobCreated: if options.wish == .receipt { finish(link - options.workers, nil, now) }
            case .workComplete: finish(link - options.workers, number(in: arguments), now)
            case .canDo, .preSleep, .submitJob, .grabJob, .submitJobBackground: links.fail(link, "gearmand sent a client's packet")
            }
            return range.upperBound
        }
    }

    private func work(_ job: Span<UInt8>) {
        guard let end = job.firstIndex(of: [0]) else { return }
        worked += 1
        arguments.removeAll()
        arguments.append(job.extracting(..<(end + 1)))
        appendResult(number(in: job))
        Gearman.append(.workComplete, arguments, to: &output)
        Gearman.append(.grabJob, to: &output)
    }

    // MARK: redis

    private func redis(_ bytes: Span<UInt8>, _ place: Int, _ link: Int, _ now: UInt64) -> Int? {
        switch RedisReply.read(bytes, from: place) {
        case .incomplete: return nil
        case .refused:
            links.fail(link, "redis refused a command")
            return nil
        case .done(let end):
            if link >= options.workers, options.wish == .receipt { finish(link - options.workers, nil, now) }
            return end
        case .pair(_, let text, let end):
            finish(link - options.workers, number(in: bytes.extracting(text)), now)
            return end
        case .text(let job, let end):
            worked += 1
            let text = job.map { bytes[$0] }
            if options.wish == .result, let mark = text.firstIndex(of: UInt8(ascii: "#")) {
                arguments.removeAll()
                appendResult(number(in: text.span))
                command(["LPUSH"], name("r") + text[(mark + 1)...], written)
            }
            command(["LREM"], name("p") + Array(String(link).utf8), Array("1".utf8), text)
            askRedis(link)
            return end
        }
    }

    private func askRedis(_ worker: Int) {
        command(["BLMOVE"], name("q"), name("p") + Array(String(worker).utf8), Array("RIGHT".utf8), Array("LEFT".utf8), Array("0".utf8))
    }

    /// The bytes of `arguments`.
    private var written: [UInt8] { arguments.withSpan { bytes in (0..<bytes.count).map { bytes[$0] } } }

    private func name(_ list: String) -> [UInt8] { Array(list.utf8) + run + [UInt8(ascii: ":")] }

    private func command(_ words: [String], _ more: [UInt8]...) {
        RedisReply.append(command: words.map { Array($0.utf8) } + more, to: &output)
    }

    // MARK: the client's side

    private func submitWhatIsDue(at now: UInt64) {
        while tally.goesOn, let client = idle.last {
            let since = pace?.due ?? now
            guard since <= now else { return }
            pace?.pass()
            idle.removeLast()
            submit(client, since: since)
        }
    }

    private func submit(_ client: Int, since: UInt64) {
        clients[client] = .submitted(number: nextNumber, since: since)
        output.removeAll()
        arguments.removeAll()
        switch options.queue {
        case .gearman:
            arguments.append(Self.function.span)
            arguments.append(0)
            appendTask(nextNumber)
            Gearman.append(options.wish == .receipt ? .submitJobBackground : .submitJob, arguments, to: &output)
        case .redis:
            appendTask(nextNumber)
            arguments.append("#")
            arguments.append(decimal: client)
            command(["LPUSH"], name("q"), written)
            if options.wish == .result { command(["BRPOP"], name("r") + Array(String(client).utf8), Array("0".utf8)) }
        }
        nextNumber += 1
        links.send(output, on: options.workers + client)
        output.removeAll()
    }

    private func appendTask(_ number: Int) {
        arguments.append(Self.start.span)
        arguments.append(decimal: number)
        arguments.append("}")
    }

    private func appendResult(_ number: Int?) {
        arguments.append(Self.result.span)
        arguments.append(decimal: number ?? 0)
        arguments.append("}")
    }

    private func number(in text: Span<UInt8>) -> Int? {
        let name = Array("\"n\":".utf8)
        return text.firstIndex(of: name).flatMap { text.decimal(at: $0 + name.count) }
    }

    /// - Parameter number: The result's; nil where there is only a receipt.
    private func finish(_ client: Int, _ number: Int?, _ now: UInt64) {
        guard case .submitted(let wanted, let since) = clients[client], number == wanted || options.wish == .receipt else {
            wrong += 1
            return
        }
        taken += 1
        tally.finish(now > since ? now - since : 0)
        clients[client] = .idle
        idle.append(client)
        if pace == nil { submitWhatIsDue(at: now) }
    }
}
