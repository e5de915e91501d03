// FanoutRun: tasks that a worker tells of, and many watchers who hear it (document G), each on a socket of its own. Every publication has
// a number: at every watcher all of them must come, once and in order, with consecutive `seq`s. A bounded number is in flight: the next
// is sent once the oldest has come to everybody. With `--raw` a C loop passes the same messages on to the same watchers.
//
// Cost of a delivery: one recv of 2 µs, which dominates, unless several publications come in one; 150 ns to read the stamp.

import Base
import LoadSupport

final class FanoutRun {
    /// Who publishes about a task, and what the server calls it.
    private struct Task {
        let link: Int
        let identifier: [UInt8]
    }

    private let options: Options
    private let dialer: Dialer
    private let links: Links
    private let workers: Workers
    private var tasks: [Task?]
    /// What comes to each watcher.
    private var streams: [MessageStream]
    private var checks: [DeliveryCheck]
    /// What `seq` is ahead of the watcher's own count; nil before the first publication.
    private var sequenceOffsets: [Int?]
    /// The first watcher's link.
    private var firstLink = 0
    private var responses = ResponseStream()
    private var parser = ResponseParser()
    private var accepted = 0
    private var standing = 0

    /// Publications sent, and the number of the oldest that has not come to everybody.
    private var published = 0
    private var oldest = 0
    /// To how many watchers a publication in flight has not come, `depth` places.
    private var awaited: [Int]
    /// What the worker's links are to be sent at the end of a turn.
    private var outputs: [[UInt8]]
    private var output = ByteWriter(capacity: 4096)
    private var message = ByteWriter(capacity: 4096)
    private var words: [UInt8] = []
    private var messageBytes = 0

    private var latencies = LatencyHistogram()
    private var deliveries = 0
    private var twice = 0
    private var late = 0
    private var misnumbered = 0
    private var foreign = 0

    /// A run in which nothing comes for so long has lost what it waits for.
    private static let patience: UInt64 = 10_000_000_000
    /// Requests that are sent before the first of them is answered; far fewer than wait in a line.
    private static let requestsAtOnce = 128

    static func perform(_ options: Options) throws(RunError) -> Outcome {
        let workerCount = options.publisher == .raw ? 1 : (options.tasks + Workers.concurrencyMax - 1) / Workers.concurrencyMax
        try Descriptors.demand(options.subscribers + workerCount + 1)
        let run = try FanoutRun(options, workerCount)
        switch options.publisher {
        case .worker: try run.placeTasks()
        case .raw: try run.openPublisher()
        }
        try run.openWatchers()
        return try run.outcome()
    }

    private init(_ options: Options, _ workerCount: Int) throws(RunError) {
        self.options = options
        dialer = Dialer(target: options.url, inFlight: options.inFlight)
        links = try Links([])
        workers = Workers(count: workerCount, concurrency: Workers.concurrencyMax)
        tasks = Array(repeating: nil, count: options.tasks)
        streams = Array(repeating: MessageStream(), count: options.subscribers)
        checks = (0..<options.subscribers).map { DeliveryCheck(first: $0 % options.tasks, step: options.tasks) }
        sequenceOffsets = Array(repeating: nil, count: options.subscribers)
        awaited = Array(repeating: 0, count: options.depth)
        outputs = Array(repeating: [], count: workerCount)
    }

    // MARK: the beginning

    private func openPublisher() throws(RunError) {
        try links.add(dialer.open(1, upgradingAt: "/publish"))
        for task in tasks.indices { tasks[task] = Task(link: 0, identifier: []) }
        firstLink = 1
    }

    /// Gives the tasks in and has workers take them all.
    private func placeTasks() throws(RunError) {
        let dialed = try dialer.open(workers.count, upgradingAt: "/ws?group=\(options.group)")
        try links.add(dialed)
        for (worker, one) in dialed.enumerated() { hear(one.early.span, worker) }
        try workers.greet(links) { turn() }
        try links.add(dialer.open(1, upgradingAt: nil))
        firstLink = workers.count + 1
        let request = TaskRequest(options, members: ",\"async\":true,\"timeout\":600000")
        var next = 0
        while next < tasks.count {
            let end = min(next + Self.requestsAtOnce, tasks.count)
            output.removeAll()
            for task in next..<end { request.append(number: TaskMessage.firstNumber + task, to: &output) }
            links.send(output, on: workers.count)
            try wait("\(accepted) of \(tasks.count) tasks were taken") { accepted == end && workers.tasks == end }
            next = end
        }
        guard tasks.allSatisfy({ $0 != nil }) else { throw RunError("a task was given to a worker twice, and another to none") }
    }

    private func openWatchers() throws(RunError) {
        let (tasks, publisher) = (tasks, options.publisher)
        let dialed = try dialer.open(options.subscribers) { index in
            let task = index % tasks.count
            switch publisher {
            case .raw: return "/fan/\(task)"
            case .worker: return "/api/gpu/tasks/\(String(decoding: tasks[task]?.identifier ?? [], as: UTF8.self))/ws"
            }
        }
        try links.add(dialed)
        let now = Clock.now()
        for (watcher, one) in dialed.enumerated() { hear(one.early.span, watcher: watcher, at: now) }
        guard case .worker = publisher else { return }
        try wait("\(standing) of \(checks.count) watchers were told how their task stands") { standing == checks.count }
    }

    /// Turns until something is so.
    private func wait(_ complaint: @autoclosure () -> String, until isDone: () -> Bool) throws(RunError) {
        let start = Clock.now()
        while !isDone() {
            guard links.failures == 0, Clock.now() - start < Self.patience else { throw RunError(complaint()) }
            turn()
        }
    }

    // MARK: the run

    private func outcome() throws(RunError) -> Outcome {
        // The first is as short as it can be and tells how long the others must be made; those that follow warm both sides up.
        run(1)
        words = Array(repeating: UInt8(ascii: "x"), count: max(0, options.size - messageBytes))
        run(max(options.depth, tasks.count, options.publications / 10))
        var meter = try Meter(server: options.pid)
        latencies = LatencyHistogram()
        let before = deliveries
        meter.begin()
        run(options.publications)
        meter.end()
        var report = Report()
        report.add("command", "fanout")
        report.add("subscribers", options.subscribers)
        report.add("tasks", options.tasks)
        report.add("publications", options.publications)
        report.add("in_flight", options.depth)
        report.add("message_bytes", messageBytes)
        meter.report("deliveries", deliveries - before, latencies, into: &report)
        let lost = checks.reduce(0) { $0 + $1.lost(before: published) }
        report.add("lost", lost)
        report.add("twice", twice)
        report.add("out_of_order", late)
        report.add("misnumbered", misnumbered)
        report.add("foreign", foreign)
        report.add("unreadable_tasks", workers.unreadable)
        report.add("errors", links.failures)
        let faults = lost + twice + late + misnumbered + foreign + workers.unreadable + links.failures
        return Outcome(report: report, faults: faults + (deliveries == before ? 1 : 0))
    }

    /// Publishes and waits until everything has come to everybody, or nothing comes any more.
    private func run(_ publications: Int) {
        let end = published + publications
        var progress = Clock.now()
        while oldest < end {
            publish(before: end)
            let before = deliveries
            turn()
            let now = Clock.now()
            if deliveries != before {
                progress = now
            } else if now - progress > Self.patience {
                return
            }
        }
    }

    private func publish(before end: Int) {
        let (now, words) = (Clock.now(), words)
        while published < end, published - oldest < options.depth {
            let place = published % tasks.count
            guard let task = tasks[place] else { return }
            awaited[published % options.depth] = (checks.count - place + tasks.count - 1) / tasks.count
            message.removeAll()
            switch options.publisher {
            case .worker:
                FanoutMessage.appendReport(
                    of: task.identifier.span, number: published, sentAt: now, words: words.span, to: &message)
            case .raw:
                let stamp = FanoutMessage.Stamp(number: published, sentAt: now, sequence: published / tasks.count + 1)
                FanoutMessage.appendPublication(stamp, words: words.span, to: &message)
            }
            output.removeAll()
            ClientFrame.append(.text, message, to: &output)
            output.withSpan { unsafe $0.withUnsafeBufferPointer { unsafe outputs[task.link].append(contentsOf: $0) } }
            published += 1
        }
        for link in outputs.indices where !outputs[link].isEmpty {
            let bytes = outputs[link]
            links.send(bytes.span, on: link)
            outputs[link].removeAll(keepingCapacity: true)
        }
    }

    private func turn() {
        for index in 0..<links.wait(milliseconds: 20) {
            let ready = links.ready(index)
            let link = ready.token
            if ready.isWritable { links.flush(link) }
            guard ready.isReadable, case .bytes(let count) = links.receive(link) else { continue }
            if link >= firstLink, firstLink > 0 {
                let now = Clock.now()
                links.withReceived(count) { hear($0, watcher: link - firstLink, at: now) }
            } else if link < workers.count {
                links.withReceived(count) { hear($0, link) }
            } else {
                links.withReceived(count) { take($0, link) }
            }
        }
    }

    // MARK: what comes

    /// The worker's side: every task is kept, and its worker's link with it.
    private func hear(_ bytes: Span<UInt8>, _ worker: Int) {
        workers.hear(bytes, worker, links) { identifier, number, _ in
            let task = number - TaskMessage.firstNumber
            guard tasks.indices.contains(task) else { return }
            tasks[task] = Task(link: worker, identifier: (0..<identifier.count).map { identifier[$0] })
        }
    }

    /// The answers to the requests that gave the tasks in.
    private func take(_ bytes: Span<UInt8>, _ link: Int) {
        let isSound = responses.receive(bytes, by: &parser) { status, _ in
            if status == 200 || status == 202 { accepted += 1 } else { links.fail(link, "a task was refused: status \(status)") }
        }
        if !isSound { links.fail(link, "the server sent what is no response of a known length") }
    }

    private func hear(_ bytes: Span<UInt8>, watcher: Int, at now: UInt64) {
        let link = firstLink + watcher
        streams[watcher].receive(bytes) { item, payload in
            switch item {
            case .message: take(payload, watcher, at: now)
            case .ping: pong(payload, link)
            case .close: links.fail(link, "the server sent a watcher a close frame")
            case .broken: links.fail(link, "the server sent a watcher a broken frame")
            }
        }
    }

    private func take(_ payload: Span<UInt8>, _ watcher: Int, at now: UInt64) {
        switch FanoutMessage.read(payload) {
        case .standing: standing += 1
        case .other: break
        case .unreadable: foreign += 1
        case .publication(let stamp):
            messageBytes = payload.count
            switch checks[watcher].receive(stamp.number, before: published) {
            case .new: settle(stamp, at: now)
            case .late:
                late += 1
                settle(stamp, at: now)
            case .twice: twice += 1
            case .foreign: foreign += 1
            }
            let offset = stamp.sequence - checks[watcher].place(of: stamp.number)
            if let known = sequenceOffsets[watcher], known != offset { misnumbered += 1 }
            sequenceOffsets[watcher] = offset
        }
    }

    private func settle(_ stamp: FanoutMessage.Stamp, at now: UInt64) {
        deliveries += 1
        latencies.record(now > stamp.sentAt ? now - stamp.sentAt : 0)
        awaited[stamp.number % options.depth] -= 1
        while oldest < published, awaited[oldest % options.depth] == 0 { oldest += 1 }
    }

    private func pong(_ payload: Span<UInt8>, _ link: Int) {
        output.removeAll()
        ClientFrame.append(.pong, payload, to: &output)
        links.send(output, on: link)
    }
}
