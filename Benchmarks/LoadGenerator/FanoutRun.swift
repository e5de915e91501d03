// FanoutRun: tasks that are told of, and many watchers who hear it, each on a socket of its own: documents G, N and P, or a server that
// passes on what it is given. Every publication has a number: at every watcher all of them must come, once and in order, with consecutive
// `seq`s. A bounded number is in flight: the next is sent once the oldest has come to everybody. Or they are sent at a rate: then a
// delivery's time runs from when its publication was due.
//
// Cost of a delivery: one recv of 2 µs, which dominates, unless several publications come in one; 150 ns to read the stamp.

import Base
import Glibc
import LoadSupport

final class FanoutRun {
    /// Who publishes about a task, and what it is called.
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
    private let deliveries: Deliveries
    /// What `seq` is ahead of the watcher's own count; nil before the first publication.
    private var sequenceOffsets: [Int?]
    /// The first watcher's link.
    private var firstLink = 0
    private var responses = ResponseStream()
    private var parser = ResponseParser()
    private var accepted = 0
    private var standing = 0

    private var pace: Pace?
    /// What the worker's links are to be sent at the end of a turn.
    private var outputs: [[UInt8]]
    private var output = ByteWriter(capacity: 4096)
    private var message = ByteWriter(capacity: 4096)
    private var words: [UInt8] = []
    private var messageBytes = 0

    private var misnumbered = 0

    /// A run in which nothing comes for so long has lost what it waits for.
    private static let patience: UInt64 = 10_000_000_000
    /// Requests that are sent before the first of them is answered; far fewer than wait in a line.
    private static let requestsAtOnce = 128
    /// Publications that may be late at a rate.
    private static let flightMax = 65_536
    private static let turnNanoseconds: UInt64 = 20_000_000

    static func perform(_ options: Options) throws(RunError) -> Outcome {
        let publisherCount =
            switch options.publisher {
            case .worker, .hub: (options.tasks + Options.concurrencyMax - 1) / Options.concurrencyMax
            case .user, .raw: 1
            }
        try Descriptors.demand(options.subscribers + publisherCount + 1)
        let run = try FanoutRun(options, publisherCount)
        switch options.publisher {
        case .worker, .hub: try run.placeTasks()
        case .user: try run.registerTasks()
        case .raw: try run.openPublisher(at: options.publishPath)
        }
        try run.openWatchers()
        if options.beginning == .whenTold { try run.waitToBeTold() }
        return try run.outcome()
    }

    private init(_ options: Options, _ publisherCount: Int) throws(RunError) {
        self.options = options
        dialer = try Dialer(options)
        links = try Links([])
        workers = Workers(count: publisherCount, concurrency: Options.concurrencyMax)
        tasks = Array(repeating: nil, count: options.tasks)
        streams = Array(repeating: MessageStream(), count: options.subscribers)
        let checks = (0..<options.subscribers).map { DeliveryCheck(first: $0 % options.tasks, step: options.tasks) }
        deliveries = Deliveries(checks, depth: options.rate == nil ? options.depth : Self.flightMax)
        sequenceOffsets = Array(repeating: nil, count: options.subscribers)
        outputs = Array(repeating: [], count: publisherCount)
    }

    // MARK: the beginning

    /// Says that all is ready, and waits for a line. Pings are answered meanwhile: it may be minutes until the others are ready too.
    private func waitToBeTold() throws(RunError) {
        print("ready")
        fflush(nil)
        var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        while unsafe poll(&input, 1, 0) == 0 { turn() }
        guard readLine() != nil else { throw RunError("nobody said when to begin") }
    }

    private func openPublisher(at path: String) throws(RunError) {
        try links.add(dialer.open(1, upgradingAt: path))
        for task in tasks.indices { tasks[task] = Task(link: 0, identifier: []) }
        firstLink = 1
    }

    /// Makes tasks known that run elsewhere, each of a user of its own.
    private func registerTasks() throws(RunError) {
        try openPublisher(at: "/api/task/ws/producer")
        try links.add(dialer.open(1, upgradingAt: nil))
        firstLink = 2
        // What an earlier run left is another user's.
        let run = Clock.now()
        let target = options.url
        try give(links: 1) { task, output in
            let name = "fan-\(run)-\(task)"
            tasks[task] = Task(link: 0, identifier: Array(name.utf8))
            let body = "{\"task_id\":\"\(name)\",\"user_id\":\"\(name)\"}"
            output.append(RequestRun.request(target, path: "/api/task/register", body: body).span)
        }
        links.close(1)
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
        try give(links: workers.count) { task, output in request.append(number: TaskMessage.firstNumber + task, to: &output) }
        guard tasks.allSatisfy({ $0 != nil }) else { throw RunError("a task was given to a worker twice, and another to none") }
        // A server ends a connection that asks for nothing.
        links.close(workers.count)
    }

    /// Sends a request for each task, and waits until all are answered.
    private func give(links link: Int, _ request: (Int, inout ByteWriter) -> Void) throws(RunError) {
        var next = 0
        while next < tasks.count {
            let end = min(next + Self.requestsAtOnce, tasks.count)
            var requests = ByteWriter(capacity: 65_536)
            for task in next..<end { request(task, &requests) }
            links.send(requests, on: link)
            try wait("\(accepted) of \(tasks.count) tasks were taken") {
                accepted == end && (workers.ready == 0 || workers.tasks == end)
            }
            next = end
        }
    }

    private func openWatchers() throws(RunError) {
        let names = tasks.map { String(decoding: $0?.identifier ?? [], as: UTF8.self) }
        let options = options
        let dialed = try dialer.open(options.subscribers) { index in
            let task = index % names.count
            return switch options.publisher {
            case .raw: options.watchPath.split(separator: "%", omittingEmptySubsequences: false).joined(separator: String(task))
            case .worker: "/api/gpu/tasks/\(names[task])/ws"
            case .hub: "/api/v1/ws"
            case .user: "/api/task/ws/task/\(names[task])"
            }
        }
        try links.add(dialed)
        if options.publisher == .hub {
            for watcher in streams.indices {
                message.removeAll()
                message.append("{\"action\":\"subscribe\",\"task_id\":\"\(names[watcher % names.count])\"}")
                output.removeAll()
                ClientFrame.append(.text, message, to: &output)
                links.send(output, on: firstLink + watcher)
            }
        }
        let now = Clock.now()
        for (watcher, one) in dialed.enumerated() { hear(one.early.span, watcher: watcher, at: now) }
        guard options.publisher != .raw else { return }
        try wait("\(standing) of \(streams.count) watchers were told how their task stands") { standing == streams.count }
    }

    /// Turns until something is so.
    private func wait(_ complaint: @autoclosure () -> String, until isDone: () -> Bool) throws(RunError) {
        var (progress, before) = (Clock.now(), standing + accepted)
        while !isDone() {
            if standing + accepted != before { (progress, before) = (Clock.now(), standing + accepted) }
            guard links.failures == 0, Clock.now() - progress < Self.patience else { throw RunError(complaint()) }
            turn()
        }
    }

    // MARK: the run

    private func outcome() throws(RunError) -> Outcome {
        // The first is as short as it can be and tells how long the others must be made; those that follow warm both sides up.
        run(1)
        words = Array(repeating: UInt8(ascii: "x"), count: max(0, options.size - messageBytes))
        run(max(options.depth, tasks.count, options.publications / 10))
        var meter = try Meter(servers: options.pids)
        deliveries.restart()
        let before = deliveries.count
        pace = options.rate.map { Pace(rate: $0, at: Clock.now()) }
        meter.begin()
        run(options.publications)
        meter.end()
        var report = Report()
        report.add("command", "fanout")
        report.add("publisher", options.publisher.rawValue)
        report.add("subscribers", options.subscribers)
        report.add("tasks", options.tasks)
        report.add("publications", options.publications)
        if let rate = options.rate { report.add("rate", rate) } else { report.add("in_flight", options.depth) }
        report.add("message_bytes", messageBytes)
        deliveries.report(deliveries.count - before, meter, into: &report)
        let faults = deliveries.reportFaults(into: &report) + misnumbered + workers.unreadable + links.failures
        report.add("misnumbered", misnumbered)
        report.add("unreadable_tasks", workers.unreadable)
        report.add("errors", links.failures)
        return Outcome(report: report, faults: faults + (deliveries.count == before ? 1 : 0))
    }

    /// Publishes and waits until everything has come to everybody, or nothing comes any more.
    private func run(_ publications: Int) {
        let end = deliveries.published + publications
        var progress = Clock.now()
        while deliveries.oldest < end {
            publish(before: end)
            let before = deliveries.count
            turn(publishingBefore: end)
            let now = Clock.now()
            if deliveries.count != before || deliveries.oldest == deliveries.published {
                progress = now
            } else if now - progress > Self.patience {
                return
            }
        }
    }

    private func publish(before end: Int) {
        let (now, words) = (Clock.now(), words)
        while deliveries.published < end, deliveries.mayPublish {
            let due = pace?.due ?? now
            guard due <= now else { break }
            pace?.pass()
            let place = deliveries.published % tasks.count
            guard let task = tasks[place] else { return }
            let number = deliveries.publish(to: (streams.count - place + tasks.count - 1) / tasks.count)
            message.removeAll()
            switch options.publisher {
            case .worker, .hub:
                FanoutMessage.appendReport(of: task.identifier.span, number: number, sentAt: due, words: words.span, to: &message)
            case .user:
                FanoutMessage.appendEvent(of: task.identifier.span, number: number, sentAt: due, words: words.span, to: &message)
            case .raw:
                let stamp = FanoutMessage.Stamp(number: number, sentAt: due, sequence: number / tasks.count + 1)
                FanoutMessage.appendPublication(stamp, words: words.span, to: &message)
            }
            output.removeAll()
            ClientFrame.append(.text, message, to: &output)
            output.withSpan { unsafe $0.withUnsafeBufferPointer { unsafe outputs[task.link].append(contentsOf: $0) } }
        }
        for link in outputs.indices where !outputs[link].isEmpty {
            let bytes = outputs[link]
            links.send(bytes.span, on: link)
            outputs[link].removeAll(keepingCapacity: true)
        }
    }

    private func turn(publishingBefore end: Int = 0) {
        var due = Clock.now() + Self.turnNanoseconds
        if let pace, deliveries.published < end { due = min(due, pace.due) }
        for index in 0..<links.wait(until: due) {
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
            if (200...202).contains(status) { accepted += 1 } else { links.fail(link, "a task was refused: status \(status)") }
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
        case .unreadable: deliveries.takeForeign()
        case .publication(let stamp):
            messageBytes = payload.count
            deliveries.take(stamp.number, due: stamp.sentAt, by: watcher, at: now)
            let offset = stamp.sequence - deliveries.place(of: stamp.number, for: watcher)
            if let known = sequenceOffsets[watcher], known != offset { misnumbered += 1 }
            sequenceOffsets[watcher] = offset
        }
    }

    private func pong(_ payload: Span<UInt8>, _ link: Int) {
        output.removeAll()
        ClientFrame.append(.pong, payload, to: &output)
        links.send(output, on: link)
    }
}
