// DispatchRun: both ends of the task dispatch: WebSocket workers that complete whatever they are given, and HTTP clients that submit
// tasks and want the result. A task's number goes from the client through the server to a worker and back; a result with another
// number is an error. Measures the server's part: a worker's work takes no time.
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
    private var responses: [ResponseStream]
    private var parser = ResponseParser()
    private var clients: [Client]
    /// Clients that pause, in the order in which they go on: the pause is the same for all.
    private var pauses: [(due: UInt64, client: Int)] = []
    private var nextPause = 0
    private var output = ByteWriter(capacity: 65_536)
    private var latencies = LatencyHistogram()
    private var window: Window
    private var nextNumber = TaskMessage.firstNumber
    private var completed = 0
    private var measured = 0
    private var polls = 0
    private var wrong = 0

    /// Wrong answers that are told in words; the rest is only counted.
    private static let notesMax = 3

    static func perform(_ options: Options) throws(RunError) -> Outcome {
        try Descriptors.demand(options.workers + options.clients)
        let dialer = Dialer(target: options.url, inFlight: options.inFlight)
        let workers = try dialer.open(options.workers, upgradingAt: "/ws?group=\(options.group)")
        let clients = try dialer.open(options.clients, upgradingAt: nil)
        let run = try DispatchRun(options, workers + clients)
        // What came with the upgrade's response is the first word of the server.
        for (worker, dialed) in workers.enumerated() { run.hear(dialed.early.span, worker) }
        try run.workers.greet(run.links) { run.turn() }
        run.window = try Window(options, at: Clock.now())
        return run.outcome()
    }

    private init(_ options: Options, _ dialed: [Dialed]) throws(RunError) {
        self.options = options
        links = try Links(dialed)
        poll = UInt64(options.pollMilliseconds) * 1_000_000
        let mode =
            switch options.mode {
            case .waiting: ""
            case .polling: ",\"async\":true"
            }
        request = TaskRequest(options, members: mode)
        workers = Workers(count: options.workers, concurrency: 1)
        responses = Array(repeating: ResponseStream(), count: options.clients)
        clients = Array(repeating: .idle, count: options.clients)
        window = try Window(options, at: Clock.now())
    }

    private func outcome() -> Outcome {
        let now = Clock.now()
        for client in clients.indices { submit(client, at: now) }
        loop()
        let lost = clients.count { if case .idle = $0 { false } else { true } }
        var report = Report()
        report.add("command", "dispatch")
        report.add("clients", options.clients)
        report.add("workers", options.workers)
        window.report("tasks", measured, latencies, into: &report)
        report.add("polls", polls)
        report.add("worked", workers.tasks)
        report.add("other_messages", workers.others)
        report.add("unreadable_tasks", workers.unreadable)
        report.add("mismatches", wrong)
        report.add("lost", lost)
        report.add("errors", links.failures)
        return Outcome(report: report, faults: wrong + workers.unreadable + lost + links.failures + (measured == 0 ? 1 : 0))
    }

    private func loop() {
        var start = 0
        while true {
            let now = Clock.now()
            if window.advance(to: now) {
                switch window.phase {
                case .warming: break
                case .measuring:
                    latencies = LatencyHistogram()
                    start = completed
                case .draining: measured = completed - start
                case .over: return
                }
            }
            if case .draining = window.phase, isDrained { return }
            resume(at: now)
            turn()
        }
    }

    private var isDrained: Bool {
        clients.indices.allSatisfy { index in
            if case .idle = clients[index] { return true }
            return !links.isOpen(workers.count + index)
        }
    }

    private func turn() {
        for index in 0..<links.wait(milliseconds: nextPause < pauses.count ? 1 : 20) {
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

    // MARK: the worker's side

    private func hear(_ bytes: Span<UInt8>, _ worker: Int) {
        workers.hear(bytes, worker, links) { identifier, number, answer in
            TaskMessage.appendCompletion(of: identifier, number: number, to: &answer)
        }
    }

    // MARK: the client's side

    private func submit(_ client: Int, at now: UInt64) {
        clients[client] = .submitted(number: nextNumber, since: now)
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
        switch (answer, options.mode) {
        case (.completed, _):
            completed += 1
            switch window.phase {
            case .warming, .measuring: latencies.record(now - since)
            case .draining, .over: break
            }
        case (.pending, .polling):
            let place = TaskMessage.taskIdentifier(in: body)
            let name = identifier ?? place.map { range in range.map { body[$0] } } ?? []
            clients[client] = .pausing(number: number, since: since, identifier: name)
            pauses.append((now + poll, client))
            return
        case (.pending, .waiting), (.wrong, _):
            complain(status, body)
        }
        clients[client] = .idle
        switch window.phase {
        case .warming, .measuring: submit(client, at: now)
        case .draining, .over: break
        }
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
