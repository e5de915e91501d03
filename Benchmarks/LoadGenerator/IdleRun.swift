// IdleRun: WebSockets that are opened and left alone, and what each of them weighs in the server's memory. Answers pings, and at the
// end a sample must still echo. Says nothing of the kernel's memory for sockets, which no server can help.

import Base
import LoadSupport

final class IdleRun {
    private let links: Links
    private let options: Options
    private let payload = EchoPayload(size: 64, opcode: .text)
    private var readers: [ServerFrameReader]
    private var output = ByteWriter(capacity: 1024)
    private var pings = 0
    private var mismatches = 0
    /// Which of the links still owes the reply to the sample's message.
    private var owing: Set<Int> = []

    /// A server echoes a sample of some thousand messages well within this time.
    private static let patience: UInt64 = 10_000_000_000

    static func perform(_ options: Options) throws(RunError) -> Outcome {
        try Descriptors.demand(options.connections + 1)
        let dialer = try Dialer(options)
        let server = options.pids.first.map { ServerProcess(identifier: $0) }
        // One connection goes before, so that what a server allocates once, at its first message, is not counted as a connection's.
        let first = try IdleRun(options, dialer.open(1, upgradingAt: options.url.path))
        first.echo(on: [0])
        let before = server?.memory()
        let start = Clock.now()
        let dialed = try dialer.open(options.connections, upgradingAt: options.url.path)
        let opened = Double(Clock.now() - start) / 1e9
        let run = try IdleRun(options, dialed)
        run.turn(until: Clock.now() + UInt64(options.hold * 1e9)) { true }
        let after = server?.memory()
        run.echo(on: run.sample)
        var report = Report()
        report.add("command", "idle")
        report.add("connections", options.connections)
        report.add("handshakes_per_s", Double(options.connections) / opened, places: 0)
        report.add("deflate", options.compression == .none ? "no" : "yes")
        report.add("hold_s", options.hold, places: 1)
        if let before, let after {
            let count = Double(options.connections)
            report.add("rss_before_kib", before.resident / 1024)
            report.add("rss_after_kib", after.resident / 1024)
            report.add("rss_bytes_per_connection", Double(after.resident - before.resident) / count, places: 0)
            report.add("anonymous_bytes_per_connection", Double(after.anonymous - before.anonymous) / count, places: 0)
        } else if let first = options.pids.first {
            throw RunError("the memory of process \(first) cannot be read")
        }
        report.add("pings", run.pings)
        report.add("sample", run.sample.count)
        let mismatches = first.mismatches + run.mismatches
        let lost = first.owing.count + run.owing.count
        let errors = first.links.failures + run.links.failures
        report.add("mismatches", mismatches)
        report.add("lost", lost)
        report.add("errors", errors)
        return Outcome(report: report, faults: mismatches + lost + errors)
    }

    private init(_ options: Options, _ dialed: [Dialed]) throws(RunError) {
        self.options = options
        links = try Links(dialed)
        readers = Array(repeating: ServerFrameReader(extended: options.compression != .none), count: dialed.count)
    }

    /// Links spread evenly over all of them.
    private var sample: [Int] {
        let size = min(options.sample, links.count)
        return (0..<size).map { $0 * links.count / size }
    }

    /// Sends one message on each of `chosen` and waits for the replies.
    private func echo(on chosen: [Int]) {
        owing = Set(chosen)
        for link in chosen {
            output.removeAll()
            payload.appendFrame(connection: UInt32(link), sequence: 0, to: &output)
            links.send(output, on: link)
        }
        turn(until: Clock.now() + Self.patience) { !owing.isEmpty }
    }

    private func turn(until end: UInt64, while goesOn: () -> Bool) {
        while goesOn(), Clock.now() < end {
            for index in 0..<links.wait(milliseconds: 20) {
                let ready = links.ready(index)
                if ready.isWritable { links.flush(ready.token) }
                guard ready.isReadable, case .bytes(let count) = links.receive(ready.token) else { continue }
                links.withReceived(count) { hear($0, ready.token) }
            }
        }
    }

    private func hear(_ bytes: Span<UInt8>, _ link: Int) {
        var position = 0
        while links.isOpen(link) {
            switch readers[link].next(in: bytes, from: &position) {
            case .incomplete:
                return
            case .payload(let range, let offset, let isLast):
                let piece = bytes.extracting(range)
                let isDue = owing.contains(link)
                // What is compressed is not looked into: that is EchoRun's.
                let isGood =
                    readers[link].isCompressed
                    || payload.matches(piece, at: offset, connection: UInt32(link), sequence: 0)
                        && (!isLast || offset + range.count == payload.size)
                if !isDue || !isGood { mismatches += 1 }
                if isLast { owing.remove(link) }
            case .control(.ping):
                pings += 1
                output.removeAll()
                ClientFrame.append(.pong, readers[link].controlPayload.span, to: &output)
                links.send(output, on: link)
            case .control(.pong):
                continue
            case .control:
                links.fail(link, "the server sent a close frame")
            case .broken:
                links.fail(link, "the server sent a broken frame")
            }
        }
    }
}
