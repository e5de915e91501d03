// EchoRun: WebSockets that keep a number of messages in flight and check every byte that comes back (RFC 6455). Closed loop: a reply
// is what sends the next message, so the rate is the server's, and latency is not that of a server under a given rate.
//
// Cost of a message of 64 bytes: 40 ns of our own; with one in flight a recv and a send of 2 µs each dominate. All that one read
// brought is answered by one send, and the clock is read once a read: a message's time runs from the read that made room for it.

import Base
import LoadSupport

final class EchoRun {
    private let links: Links
    private let payload: EchoPayload
    private let depth: Int
    private let opcode: ClientFrame.Opcode

    private enum Verdict {
        case good, bad
    }

    private var readers: [ServerFrameReader]
    /// Sequence of the next message to be sent, and of the next expected back; what lies between is in flight.
    private var sent: [UInt32]
    private var expected: [UInt32]
    private var verdicts: [Verdict]
    /// When each message in flight was sent, `depth` places a link.
    private var times: [UInt64]
    private var output = ByteWriter(capacity: 65_536)
    private let tally: Tally
    /// Where messages go through zlib: what came of each link's message, and room for one that is whole or is to be sent.
    private let deflate: MessageDeflate?
    private var partial: [[UInt8]]
    private var whole = ByteWriter(capacity: 65_536)
    private var mismatches = 0

    static func perform(_ options: Options) throws(RunError) -> Outcome {
        try Descriptors.demand(options.connections)
        let dialed = try Dialer(options).open(options.connections, upgradingAt: options.url.path)
        guard dialed.allSatisfy({ $0.early.isEmpty }) else { throw RunError("the server spoke before it was spoken to") }
        return try EchoRun(options, dialed).outcome(options)
    }

    private init(_ options: Options, _ dialed: [Dialed]) throws(RunError) {
        links = try Links(dialed)
        payload = EchoPayload(size: options.size, opcode: options.opcode)
        depth = options.depth
        opcode = options.opcode
        switch options.compression {
        case .none: deflate = nil
        case .deflate:
            deflate = MessageDeflate()
            guard deflate != nil else { throw RunError("zlib gets no memory") }
        }
        readers = Array(repeating: ServerFrameReader(extended: deflate != nil), count: dialed.count)
        partial = Array(repeating: [], count: deflate == nil ? 0 : dialed.count)
        sent = Array(repeating: 0, count: dialed.count)
        expected = Array(repeating: 0, count: dialed.count)
        verdicts = Array(repeating: .good, count: dialed.count)
        times = Array(repeating: 0, count: dialed.count * options.depth)
        tally = try Tally(options)
    }

    private func outcome(_ options: Options) -> Outcome {
        let now = Clock.now()
        for link in 0..<links.count { send(depth, on: link, at: now) }
        tally.run(until: { isDrained }) { turn() }
        let lost = (0..<links.count).reduce(0) { $0 + Int(sent[$1] &- expected[$1]) }
        var report = Report()
        report.add("command", "echo")
        report.add("connections", options.connections)
        report.add("size", options.size)
        report.add("depth", depth)
        tally.report("messages", into: &report)
        report.add("mismatches", mismatches)
        report.add("lost", lost)
        report.add("errors", links.failures)
        return Outcome(report: report, faults: mismatches + lost + links.failures + (tally.measured == 0 ? 1 : 0))
    }

    private func turn() {
        for index in 0..<links.wait(milliseconds: 20) {
            let ready = links.ready(index)
            if ready.isWritable { links.flush(ready.token) }
            if ready.isReadable { receive(ready.token) }
        }
    }

    private var isDrained: Bool {
        (0..<links.count).allSatisfy { !links.isOpen($0) || sent[$0] == expected[$0] }
    }

    private func receive(_ link: Int) {
        guard case .bytes(let count) = links.receive(link) else { return }
        let now = Clock.now()
        let before = expected[link]
        links.withReceived(count) { check($0, link, now) }
        if tally.goesOn { send(Int(expected[link] &- before), on: link, at: now) }
    }

    private func check(_ bytes: Span<UInt8>, _ link: Int, _ now: UInt64) {
        var position = 0
        while links.isOpen(link) {
            switch readers[link].next(in: bytes, from: &position) {
            case .incomplete:
                return
            case .payload(let range, let offset, let isLast):
                let sequence = expected[link]
                guard deflate == nil else {
                    gather(bytes.extracting(range), link)
                    if isLast { finish(link, sequence, count: inflated(link, sequence), at: now) }
                    continue
                }
                if case .good = verdicts[link],
                    !payload.matches(bytes.extracting(range), at: offset, connection: UInt32(link), sequence: sequence)
                {
                    verdicts[link] = .bad
                }
                guard isLast else { continue }
                finish(link, sequence, count: offset + range.count, at: now)
            case .control(.ping):
                pong(link)
            case .control(.pong):
                continue
            case .control:
                links.fail(link, "the server sent a close frame")
            case .broken:
                links.fail(link, "the server sent a broken frame")
            }
        }
    }

    private func gather(_ piece: Span<UInt8>, _ link: Int) {
        unsafe piece.withUnsafeBufferPointer { unsafe partial[link].append(contentsOf: $0) }
    }

    /// The bytes of a link's message, which is whole; those that differ from what was sent make it a bad one.
    private func inflated(_ link: Int, _ sequence: UInt32) -> Int {
        whole.removeAll()
        let message = partial[link]
        partial[link].removeAll(keepingCapacity: true)
        let isSound =
            if readers[link].isCompressed { deflate?.inflate(message.span, into: &whole) ?? false } else { true }
        if !readers[link].isCompressed { whole.append(message.span) }
        let payload = payload
        let matches = whole.withSpan { payload.matches($0, at: 0, connection: UInt32(link), sequence: sequence) }
        if !isSound || !matches { verdicts[link] = .bad }
        return whole.count
    }

    private func finish(_ link: Int, _ sequence: UInt32, count: Int, at now: UInt64) {
        guard sequence != sent[link] else {
            links.fail(link, "the server sent a message that nobody asked for")
            mismatches += 1
            return
        }
        if verdicts[link] == .bad || count != payload.size || readers[link].opcode != opcode { mismatches += 1 }
        verdicts[link] = .good
        expected[link] = sequence &+ 1
        tally.finish(now - times[link * depth + Int(sequence) % depth])
    }

    private func send(_ messages: Int, on link: Int, at now: UInt64) {
        guard messages > 0 else { return }
        output.removeAll()
        for _ in 0..<messages {
            let sequence = sent[link]
            times[link * depth + Int(sequence) % depth] = now
            append(link, sequence)
            sent[link] = sequence &+ 1
        }
        links.send(output, on: link)
    }

    private func append(_ link: Int, _ sequence: UInt32) {
        guard let deflate else { return payload.appendFrame(connection: UInt32(link), sequence: sequence, to: &output) }
        var message = ByteWriter(capacity: payload.size)
        payload.appendMessage(connection: UInt32(link), sequence: sequence, to: &message)
        whole.removeAll()
        deflate.deflate(message.span, into: &whole)
        ClientFrame.append(opcode, whole, isCompressed: true, to: &output)
    }

    private func pong(_ link: Int) {
        output.removeAll()
        ClientFrame.append(.pong, readers[link].controlPayload.span, to: &output)
        links.send(output, on: link)
    }
}
