// SubmitRun: clients that give tasks in, one behind the other, and do not wait for their ends; workers complete them at once. Counts
// what the server has acknowledged, which is what it must not forget; every task that it acknowledged must reach a worker. Closed
// loop, as EchoRun is. Anything but an acknowledgement is an error: workers hold so many tasks that no line ever fills.
//
// Cost of a task: a send and a recv of 2 µs each here, which dominate; what the workers do is shared by all tasks of one read.

import Base
import LoadSupport

final class SubmitRun {
    private enum Client {
        case idle
        case submitted(since: UInt64)
    }

    private let links: Links
    private let workers: Workers
    private let options: Options
    private let request: TaskRequest
    private var responses: [ResponseStream]
    private var parser = ResponseParser()
    private var clients: [Client]
    private var output = ByteWriter(capacity: 1024)
    private var latencies = LatencyHistogram()
    private var window: Window
    private var nextNumber = TaskMessage.firstNumber
    private var acknowledged = 0
    private var measured = 0
    private var wrong = 0

    /// Wrong answers that are told in words; the rest is only counted.
    private static let notesMax = 3

    static func perform(_ options: Options) throws(RunError) -> Outcome {
        try Descriptors.demand(options.workers + options.connections)
        let dialer = Dialer(target: options.url, inFlight: options.inFlight)
        let workers = try dialer.open(options.workers, upgradingAt: "/ws?group=\(options.group)")
        let clients = try dialer.open(options.connections, upgradingAt: nil)
        let run = try SubmitRun(options, workers + clients)
        for (worker, dialed) in workers.enumerated() { run.hear(dialed.early.span, worker) }
        try run.workers.greet(run.links) { run.turn() }
        run.window = try Window(options, at: Clock.now())
        return run.outcome()
    }

    private init(_ options: Options, _ dialed: [Dialed]) throws(RunError) {
        self.options = options
        links = try Links(dialed)
        workers = Workers(count: options.workers, concurrency: Workers.concurrencyMax)
        request = TaskRequest(options, members: ",\"async\":true")
        responses = Array(repeating: ResponseStream(), count: options.connections)
        clients = Array(repeating: .idle, count: options.connections)
        window = try Window(options, at: Clock.now())
    }

    private func outcome() -> Outcome {
        let now = Clock.now()
        for client in clients.indices { submit(client, at: now) }
        loop()
        let unanswered = clients.count { if case .idle = $0 { false } else { true } }
        let lost = unanswered + abs(acknowledged - workers.tasks)
        var report = Report()
        report.add("command", "submit")
        report.add("connections", options.connections)
        report.add("workers", options.workers)
        window.report("submits", measured, latencies, into: &report)
        report.add("worked", workers.tasks)
        report.add("unreadable_tasks", workers.unreadable)
        report.add("refused", wrong)
        report.add("lost", lost)
        report.add("errors", links.failures)
        return Outcome(report: report, faults: wrong + workers.unreadable + lost + links.failures + (measured == 0 ? 1 : 0))
    }

    private func loop() {
        var start = 0
        while true {
            if window.advance(to: Clock.now()) {
                switch window.phase {
                case .warming: break
                case .measuring:
                    latencies = LatencyHistogram()
                    start = acknowledged
                case .draining: measured = acknowledged - start
                case .over: return
                }
            }
            if case .draining = window.phase, isDrained { return }
            turn()
        }
    }

    private var isDrained: Bool {
        workers.tasks == acknowledged
            && clients.indices.allSatisfy { index in
                if case .idle = clients[index] { return true }
                return !links.isOpen(workers.count + index)
            }
    }

    private func turn() {
        for index in 0..<links.wait(milliseconds: 20) {
            let ready = links.ready(index)
            let link = ready.token
            if ready.isWritable { links.flush(link) }
            guard ready.isReadable, case .bytes(let count) = links.receive(link) else { continue }
            guard link >= workers.count else {
                links.withReceived(count) { hear($0, link) }
                continue
            }
            let (client, now) = (link - workers.count, Clock.now())
            links.withReceived(count) { bytes in
                let isSound = responses[client].receive(bytes, by: &parser) { status, body in answer(client, status, body, at: now) }
                if !isSound { links.fail(link, "the server sent what is no response of a known length") }
            }
        }
    }

    private func hear(_ bytes: Span<UInt8>, _ worker: Int) {
        workers.hear(bytes, worker, links) { identifier, number, answer in
            TaskMessage.appendCompletion(of: identifier, number: number, to: &answer)
        }
    }

    private func submit(_ client: Int, at now: UInt64) {
        clients[client] = .submitted(since: now)
        output.removeAll()
        request.append(number: nextNumber, to: &output)
        nextNumber += 1
        links.send(output, on: workers.count + client)
    }

    private func answer(_ client: Int, _ status: Int, _ body: Span<UInt8>, at now: UInt64) {
        guard case .submitted(let since) = clients[client], status == 200 || status == 202, TaskMessage.taskIdentifier(in: body) != nil
        else { return complain(client, status, body) }
        acknowledged += 1
        clients[client] = .idle
        switch window.phase {
        case .warming, .measuring:
            latencies.record(now - since)
            submit(client, at: now)
        case .draining, .over: break
        }
    }

    /// A client that was refused gives nothing more in: the run has failed.
    private func complain(_ client: Int, _ status: Int, _ body: Span<UInt8>) {
        clients[client] = .idle
        wrong += 1
        guard wrong <= Self.notesMax else { return }
        let text = (0..<min(body.count, 200)).map { body[$0] }
        Notes.say("status \(status): \(String(decoding: text, as: UTF8.self))")
    }
}
