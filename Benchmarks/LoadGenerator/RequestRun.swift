// RequestRun: keep-alive HTTP/1.1 connections with a number of pipelined requests on each; counts responses and checks their status
// (RFC 9112 §9.3.2: responses come in the order of the requests). Closed loop, as EchoRun is.
//
// Cost: a response whose head is the one before costs a compare and a copy of nothing; the system calls dominate.

import Base
import LoadSupport

final class RequestRun {
    private let links: Links
    private let request: [UInt8]
    private let depth: Int
    private let status: Int
    private var parser = ResponseParser()
    private var stream: [ResponseStream]
    private var sent: [Int]
    private var answered: [Int]
    /// When each request in flight was sent, `depth` places a link.
    private var times: [UInt64]
    private var output = ByteWriter(capacity: 65_536)
    private let tally: Tally
    private var wrong = 0

    static func perform(_ options: Options) throws(RunError) -> Outcome {
        try Descriptors.demand(options.connections)
        return try RequestRun(options, Dialer(options).open(options.connections, upgradingAt: nil)).outcome(options)
    }

    private init(_ options: Options, _ dialed: [Dialed]) throws(RunError) {
        links = try Links(dialed)
        request = Self.request(options.url, path: options.url.path, body: options.body)
        depth = options.depth
        status = options.status
        stream = Array(repeating: ResponseStream(), count: dialed.count)
        sent = Array(repeating: 0, count: dialed.count)
        answered = Array(repeating: 0, count: dialed.count)
        times = Array(repeating: 0, count: dialed.count * options.depth)
        tally = try Tally(options)
    }

    /// A whole request: GET, or POST where there is a body.
    static func request(_ target: Target, path: String, body: String?, type: String = "application/json") -> [UInt8] {
        guard let body else { return Array("GET \(path) HTTP/1.1\r\nHost: \(target.authority)\r\n\r\n".utf8) }
        let fields = "Content-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n"
        return Array("POST \(path) HTTP/1.1\r\nHost: \(target.authority)\r\n\(fields)\r\n\(body)".utf8)
    }

    private func outcome(_ options: Options) -> Outcome {
        let now = Clock.now()
        for link in 0..<links.count { send(depth, on: link, at: now) }
        tally.run(until: { isDrained }) { turn() }
        let lost = (0..<links.count).reduce(0) { $0 + sent[$1] - answered[$1] }
        var report = Report()
        report.add("command", "http")
        report.add("connections", options.connections)
        report.add("depth", depth)
        tally.report("requests", into: &report)
        report.add("wrong_status", wrong)
        report.add("lost", lost)
        report.add("errors", links.failures)
        return Outcome(report: report, faults: wrong + lost + links.failures + (tally.measured == 0 ? 1 : 0))
    }

    private func turn() {
        for index in 0..<links.wait(milliseconds: 20) {
            let ready = links.ready(index)
            if ready.isWritable { links.flush(ready.token) }
            if ready.isReadable { receive(ready.token) }
        }
    }

    private var isDrained: Bool {
        (0..<links.count).allSatisfy { !links.isOpen($0) || sent[$0] == answered[$0] }
    }

    private func receive(_ link: Int) {
        guard case .bytes(let count) = links.receive(link) else { return }
        let now = Clock.now()
        let before = answered[link]
        links.withReceived(count) { bytes in
            let isSound = stream[link].receive(bytes, by: &parser) { status, _ in finish(link, status, at: now) }
            if !isSound { links.fail(link, "the server sent what is no response of a known length") }
        }
        if tally.goesOn { send(answered[link] - before, on: link, at: now) }
    }

    private func finish(_ link: Int, _ status: Int, at now: UInt64) {
        guard answered[link] < sent[link] else {
            wrong += 1
            return
        }
        if status != self.status { wrong += 1 }
        tally.finish(now - times[link * depth + answered[link] % depth])
        answered[link] += 1
    }

    private func send(_ requests: Int, on link: Int, at now: UInt64) {
        guard requests > 0 else { return }
        output.removeAll()
        let request = request
        for _ in 0..<requests {
            times[link * depth + sent[link] % depth] = now
            output.append(request.span)
            sent[link] += 1
        }
        links.send(output, on: link)
    }
}
