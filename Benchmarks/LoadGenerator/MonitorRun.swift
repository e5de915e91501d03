// MonitorRun: Socket.IO clients that hear all of the fleet's events (document E), by WebSocket and by polling, and activities that are
// posted. Every activity has a number: to every client all of them must come, once and in order. A bounded number is in flight: the
// next is posted once the oldest has come to everybody. What the server counts as encodings is read before and after.
//
// Cost of a delivery: one recv of 2 µs, which dominates, unless several events come in one; 150 ns to read the stamp.

import Base
import LoadSupport

final class MonitorRun {
    private let options: Options
    private let authority: [UInt8]
    private let links: Links
    private let polling: PollingClients
    /// Of both kinds.
    private let clientCount: Int
    /// What comes to each WebSocket client.
    private var streams: [MessageStream]
    /// Of the WebSocket clients, and behind them of the polling ones.
    private let deliveries: Deliveries
    private var standing = 0
    /// What was posted before is another run's.
    private let start = Clock.now()

    // The publisher's link is the last.
    private var responses = ResponseStream()
    private var parser = ResponseParser()
    private var output = ByteWriter(capacity: 65_536)
    private var body = ByteWriter(capacity: 4096)
    /// The last answer that was no activity's, and how many there were.
    private var page: [UInt8] = []
    private var pages = 0
    private var accepted = 0
    private var refused = 0

    private var words = [UInt8(ascii: "x")]
    private var eventBytes = 0

    private var polledDeliveries = 0
    /// Events that came to the first client, of whatever kind, and those that came to anybody and were no activity of this run.
    private var heard = 0
    private var others = 0

    /// A run in which nothing comes for so long has lost what it waits for.
    private static let patience: UInt64 = 10_000_000_000
    /// What the server counts: texts that it wrote for events.
    private static let encodings = "signalbox_events_encoded_total"
    /// Events that are posted before anything counts, so that both sides are warm.
    private static let warmUp = 10

    static func perform(_ options: Options) throws(RunError) -> Outcome {
        try Descriptors.demand(options.subscribers + options.polling + 1)
        let run = try MonitorRun(options)
        try run.openClients()
        return try run.outcome()
    }

    private init(_ options: Options) throws(RunError) {
        self.options = options
        authority = Array(options.url.authority.utf8)
        links = try Links([])
        polling = PollingClients(options.url, count: options.polling)
        streams = Array(repeating: MessageStream(), count: options.subscribers)
        clientCount = options.subscribers + options.polling
        deliveries = Deliveries(Array(repeating: DeliveryCheck(first: 0, step: 1), count: clientCount), depth: options.depth)
    }

    // MARK: the beginning

    private func openClients() throws(RunError) {
        let dialer = try Dialer(options)
        let dialed = try dialer.open(options.subscribers, upgradingAt: MonitorMessage.webSocketPath)
        try links.add(dialed)
        let now = Clock.now()
        for (client, one) in dialed.enumerated() { hear(one.early.span, client, at: now) }
        try links.add(dialer.open(options.polling, upgradingAt: nil))
        for client in 0..<polling.count { polling.poll(client, streams.count + client, links) }
        try wait("\(standing) of \(clientCount) clients have subscribed") { standing == clientCount }
        // Last: a server does not wait long for the first request.
        try links.add(dialer.open(1, upgradingAt: nil))
    }

    /// Turns until something is so.
    private func wait(_ complaint: @autoclosure () -> String, until isDone: () -> Bool) throws(RunError) {
        var (progress, before) = (Clock.now(), standing)
        while !isDone() {
            if standing != before { (progress, before) = (Clock.now(), standing) }
            guard links.failures == 0, Clock.now() - progress < Self.patience else { throw RunError(complaint()) }
            turn()
        }
    }

    /// What the server has counted so far.
    private func encodings() throws(RunError) -> Int {
        let request = RequestRun.request(options.url, path: "/metrics", body: nil)
        let before = pages
        links.send(request.span, on: clientCount)
        try wait("the server does not show its figures") { pages > before }
        let text = page
        guard let count = MonitorMessage.counter(Self.encodings, in: text.span) else {
            throw RunError("the server's figures have no \(Self.encodings)")
        }
        return count
    }

    // MARK: the run

    private func outcome() throws(RunError) -> Outcome {
        // The first is as short as it can be and tells how long the others must be made; those that follow warm both sides up.
        run(1)
        words = Array(repeating: UInt8(ascii: "x"), count: max(1, options.size - eventBytes + 1))
        run(max(options.depth, Self.warmUp))
        var meter = try Meter(servers: options.pids)
        let encodedBefore = try encodings()
        deliveries.restart()
        let before = (deliveries.count, polledDeliveries, polling.answered, heard, others)
        meter.begin()
        run(options.publications)
        meter.end()
        let encoded = try encodings() - encodedBefore
        let sessions = pages + polling.count
        polling.leave(clientCount, links)
        try wait("the server does not end its polling sessions") { pages == sessions }
        let measured = deliveries.count - before.0
        var report = Report()
        report.add("command", "monitor")
        report.add("subscribers", options.subscribers)
        report.add("polling", options.polling)
        report.add("activities", options.publications)
        report.add("in_flight", options.depth)
        report.add("event_bytes", eventBytes)
        deliveries.report(measured, meter, into: &report)
        report.add("deliveries_by_polling", polledDeliveries - before.1)
        if options.polling > 0 {
            report.add("requests", polling.answered - before.2)
            // What the WebSockets cost is not told apart.
            if options.subscribers == 0 { meter.reportCost("requests", polling.answered - before.2, into: &report) }
        }
        report.add("events", heard - before.3)
        report.add("encodings", encoded)
        report.add("encodings_per_event", Double(encoded) / Double(heard - before.3), places: 3)
        report.add("other_deliveries", others - before.4)
        let faults = deliveries.reportFaults(into: &report) + refused + links.failures
        report.add("refused", refused + deliveries.published - accepted)
        report.add("errors", links.failures)
        return Outcome(report: report, faults: faults + (measured == 0 ? 1 : 0))
    }

    /// Posts and waits until everything has come to everybody, or nothing comes any more.
    private func run(_ activities: Int) {
        let end = deliveries.published + activities
        var progress = Clock.now()
        while deliveries.oldest < end || accepted + refused < end {
            publish(before: end)
            let before = deliveries.count + accepted
            turn()
            let now = Clock.now()
            if deliveries.count + accepted != before {
                progress = now
            } else if now - progress > Self.patience {
                return
            }
        }
    }

    private func publish(before end: Int) {
        guard deliveries.published < end, deliveries.mayPublish else { return }
        let (now, words, authority) = (Clock.now(), words, authority)
        output.removeAll()
        while deliveries.published < end, deliveries.mayPublish {
            let number = deliveries.publish(to: clientCount)
            body.removeAll()
            MonitorMessage.appendActivity(MonitorMessage.Stamp(number: number, sentAt: now), words: words.span, to: &body)
            output.append("POST /api/activities HTTP/1.1\r\nHost: ")
            output.append(authority.span)
            output.append("\r\nContent-Type: application/json\r\nContent-Length: ")
            output.append(decimal: body.count)
            output.append("\r\n\r\n")
            output.append(body.span)
        }
        links.send(output, on: clientCount)
    }

    private func turn() {
        for index in 0..<links.wait(milliseconds: 20) {
            let ready = links.ready(index)
            let link = ready.token
            if ready.isWritable { links.flush(link) }
            guard ready.isReadable, case .bytes(let count) = links.receive(link) else { continue }
            let now = Clock.now()
            if link < streams.count {
                links.withReceived(count) { hear($0, link, at: now) }
            } else if link < clientCount {
                links.withReceived(count) { bytes in
                    polling.hear(bytes, link - streams.count, link, links) { take($0, $1, link, at: now) }
                }
            } else {
                links.withReceived(count) { hearPublisher($0, link) }
            }
        }
    }

    // MARK: what comes

    private func hearPublisher(_ bytes: Span<UInt8>, _ link: Int) {
        let isSound = responses.receive(bytes, by: &parser) { status, body in
            switch status {
            case 200:
                page = (0..<body.count).map { body[$0] }
                pages += 1
            case 201: accepted += 1
            default:
                refused += 1
                links.fail(link, "an activity was refused: status \(status)")
            }
        }
        if !isSound { links.fail(link, "the server sent what is no response of a known length") }
    }

    /// A WebSocket client's side.
    private func hear(_ bytes: Span<UInt8>, _ client: Int, at now: UInt64) {
        streams[client].receive(bytes) { item, payload in
            switch item {
            case .message: hear(packet: payload, client, at: now)
            case .ping: reply(.pong, payload, client)
            case .close: links.fail(client, "the server sent a client a close frame")
            case .broken: links.fail(client, "the server sent a client a broken frame")
            }
        }
    }

    private func hear(packet: Span<UInt8>, _ client: Int, at now: UInt64) {
        let message = MonitorMessage.read(packet)
        switch message {
        case .opened: say(MonitorMessage.connect, client)
        case .connected: say(MonitorMessage.subscribe, client)
        case .ping: say(MonitorMessage.pong, client)
        case .refused: links.fail(client, "the server ended a session, or refused what it asked for")
        case .subscribed, .activity, .event: take(message, packet.count, client, at: now)
        case .other: break
        }
    }

    private func say(_ packet: [UInt8], _ client: Int) { reply(.text, packet.span, client) }

    private func reply(_ opcode: ClientFrame.Opcode, _ payload: Span<UInt8>, _ client: Int) {
        output.removeAll()
        ClientFrame.append(opcode, payload, to: &output)
        links.send(output, on: client)
    }

    /// An event, or the confirmation of a subscription, of `bytes` bytes.
    private func take(_ message: MonitorMessage.FromServer, _ bytes: Int, _ client: Int, at now: UInt64) {
        switch message {
        case .subscribed: standing += 1
        case .activity(let stamp):
            // A subscription begins with the last activities, those of other runs too.
            guard stamp.sentAt >= start else { return }
            if client == 0 { heard += 1 }
            eventBytes = bytes
            let before = deliveries.count
            deliveries.take(stamp.number, due: stamp.sentAt, by: client, at: now)
            if client >= streams.count { polledDeliveries += deliveries.count - before }
        case .event:
            if client == 0 { heard += 1 }
            others += 1
        case .opened, .connected, .ping, .refused, .other: break
        }
    }
}
