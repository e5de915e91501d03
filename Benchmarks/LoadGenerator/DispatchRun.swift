// DispatchRun: both ends of the task dispatch: WebSocket workers that complete whatever they are given, and HTTP clients that submit
// tasks and want the result, or only the receipt. A task's number goes from the client through the server to a worker and back; a result
// with another number is an error, and every task that was taken in must reach a worker. Measures the server's part: a worker's work takes
// no time. Closed loop, or at a rate: then a task's time runs from when it was due, whether or not a client was free.
//
// Cost of a task: two messages here and two there, so about four system calls of 2 µs, which dominate; searches of 200 bytes.

import Base
import LoadSupport

final class DispatchRun {
    /// What a client waits for.
    private enum Client {
        case idle
        case submitted(number: Int, since: UInt64)
        case asked(number: Int, since: UInt64, identifier: [UInt8])
        case pausing(number: Int, since: UInt64, identifier: [UInt8])
    }

    private let links: Links
    private let workers: Workers
    private let options: Options
    private let request: TaskRequest
    private let poll: UInt64
    private let tally: Tally
    private var pace: Pace?
    private var responses: [ResponseStream]
    private var parser = ResponseParser()
    private var clients: [Client]
    /// Clients that have nothing to do.
    private var idle: [Int]
    /// Clients that pause, in the order in which they go on: the pause is the same for all.
    private var pauses: [(due: UInt64, client: Int)] = []
    private var nextPause = 0
    private var output = ByteWriter(capacity: 65_536)
    private var nextNumber = TaskMessage.firstNumber
    private var taken = 0
    private var polls = 0
    private var wrong = 0

    /// Wrong answers that are told in words; the rest is only counted.
    private static let notesMax = 3
    private static let turnNanoseconds: UInt64 = 20_000_000

    static func perform(_ options: Options) throws(RunError) -> Outcome {
        try Descriptors.demand(options.workers + options.clients)
        let dialer = try Dialer(options)
        let workers = try dialer.open(options.workers, upgradingAt: "/ws?group=\(options.group)")
        let clients = try dialer.open(options.clients, upgradingAt: nil)
        let run = try DispatchRun(options, workers + clients)
        // What came with the upgrade's response is the first word of the server.
        for (worker, dialed) in workers.enumerated() { run.hear(dialed.early.span, worker) }
        try run.workers.greet(run.links) { run.turn() }
        return try run.outcome()
    }

    private init(_ options: Options, _ dialed: [Dialed]) throws(RunError) {
        self.options = options
        links = try Links(dialed)
        poll = UInt64(options.pollMilliseconds) * 1_000_000
        let (members, concurrency) =
            switch options.wish {
            case .result: ("", options.concurrency)
            case .resultLater: (",\"async\":true", options.concurrency)
            // Workers hold so many tasks that no line ever fills.
            case .receipt: (",\"async\":true", Options.concurrencyMax)
            }
        request = TaskRequest(options, members: members)
        workers = Workers(count: options.workers, concurrency: concurrency)
        responses = Array(repeating: ResponseStream(), count: options.clients)
        clients = Array(repeating: .idle, count: options.clients)
        idle = Array((0..<options.clients).reversed())
        tally = try Tally(options)
    }

    private func outcome() throws(RunError) -> Outcome {
        try tally.restart(options)
        pace = options.rate.map { Pace(rate: $0, at: Clock.now()) }
        tally.run(until: { isDrained }) { turn() }
        let unanswered = clients.count { if case .idle = $0 { false } else { true } }
        let lost = unanswered + (options.wish == .receipt ? abs(taken - workers.tasks) : 0)
        var report = Report()
        report.add("command", options.command.rawValue)
        report.add("clients", options.clients)
        report.add("workers", options.workers)
        if let rate = options.rate { report.add("rate", rate) }
        tally.report("tasks", into: &report)
        report.add("polls", polls)
        report.add("worked", workers.tasks)
        report.add("other_messages", workers.others)
        report.add("unreadable_tasks", workers.unreadable)
        report.add("mismatches", wrong)
        report.add("lost", lost)
        report.add("errors", links.failures)
        return Outcome(report: report, faults: wrong + workers.unreadable + lost + links.failures + (tally.measured == 0 ? 1 : 0))
    }

    private var isDrained: Bool {
        if options.wish == .receipt, workers.tasks != taken { return false }
        return clients.indices.allSatisfy { index in
            if case .idle = clients[index] { return true }
            return !links.isOpen(workers.count + index)
        }
    }

    private func turn() {
        let now = Clock.now()
        submitWhatIsDue(at: now)
        resume(at: now)
        for index in 0..<links.wait(until: nextDue(after: now)) {
            let ready = links.ready(index)
            let link = ready.token
            if ready.isWritable { links.flush(link) }
            guard ready.isReadable, case .bytes(let count) = links.receive(link) else { continue }
            if link < workers.count {
                links.withReceived(count) { hear($0, link) }
            } else {
                let now = Clock.now()
                links.withReceived(count) { bytes in
                    let isSound = responses[link - workers.count].receive(bytes, by: &parser) { status, body in
                        answer(link - workers.count, status, body, at: now)
                    }
                    if !isSound { links.fail(link, "the server sent what is no response of a known length") }
                }
            }
        }
    }

    /// When something is to be done, whether or not anything comes.
    private func nextDue(after now: UInt64) -> UInt64 {
        var due = now + Self.turnNanoseconds
        if nextPause < pauses.count { due = min(due, pauses[nextPause].due) }
        if let pace, tally.goesOn, !idle.isEmpty { due = min(due, pace.due) }
        return due
    }

    // MARK: the worker's side

    private func hear(_ bytes: Span<UInt8>, _ worker: Int) {
        workers.hear(bytes, worker, links) { identifier, number, answer in
            TaskMessage.appendCompletion(of: identifier, number: number, to: &answer)
        }
    }

    // MARK: the client's side

    private func submitWhatIsDue(at now: UInt64) {
        guard workers.ready == workers.count else { return }
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
        request.append(number: nextNumber, to: &output)
        nextNumber += 1
        links.send(output, on: workers.count + client)
    }

    private func answer(_ client: Int, _ status: Int, _ body: Span<UInt8>, at now: UInt64) {
        switch clients[client] {
        case .idle, .pausing:
            complain(status, body)
        case .submitted(let number, let since):
            settle(client, number, since, status, body, nil, at: now)
        case .asked(let number, let since, let identifier):
            settle(client, number, since, status, body, identifier, at: now)
        }
    }

    private func settle(
        _ client: Int, _ number: Int, _ since: UInt64, _ status: Int, _ body: Span<UInt8>, _ identifier: [UInt8]?, at now: UInt64
    ) {
        let answer = status == 200 || (status == 202 && identifier == nil) ? TaskMessage.answer(body, number: number) : .wrong
        switch (answer, options.wish) {
        case (.completed, _), (.pending, .receipt):
            taken += 1
            tally.finish(now > since ? now - since : 0)
        case (.pending, .resultLater):
            let place = TaskMessage.taskIdentifier(in: body)
            let name = identifier ?? place.map { range in range.map { body[$0] } } ?? []
            clients[client] = .pausing(number: number, since: since, identifier: name)
            pauses.append((now + poll, client))
            return
        case (.pending, .result), (.wrong, _):
            complain(status, body)
        }
        clients[client] = .idle
        idle.append(client)
        // At once, and not at the end of the turn: the server is not to wait for our other clients.
        if pace == nil { submitWhatIsDue(at: now) }
    }

    /// Clients whose pause is over ask for their task.
    private func resume(at now: UInt64) {
        while nextPause < pauses.count, pauses[nextPause].due <= now {
            let client = pauses[nextPause].client
            nextPause += 1
            guard case .pausing(let number, let since, let identifier) = clients[client] else { continue }
            clients[client] = .asked(number: number, since: since, identifier: identifier)
            polls += 1
            output.removeAll()
            output.append("GET /api/task/")
            output.append(identifier.span)
            output.append(" HTTP/1.1\r\nHost: \(options.url.authority)\r\n\r\n")
            links.send(output, on: workers.count + client)
        }
        // Each client pauses at most once, so with what is past thrown away the list is never much longer than that of the clients.
        if nextPause > clients.count {
            pauses.removeFirst(nextPause)
            nextPause = 0
        }
    }

    private func complain(_ status: Int, _ body: Span<UInt8>) {
        wrong += 1
        guard wrong <= Self.notesMax else { return }
        let text = (0..<min(body.count, 200)).map { body[$0] }
        Notes.say("status \(status): \(String(decoding: text, as: UTF8.self))")
    }
}
