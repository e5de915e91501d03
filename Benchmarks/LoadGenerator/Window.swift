// Window: the part of a run that counts: after the warm-up, before the drain. Takes the CPU clocks at its two edges, so that CPU time
// and messages belong to exactly the same span of time. Knows nothing of what is counted.

import LoadSupport

struct Window {
    enum Phase {
        case warming, measuring, draining, over
    }

    /// A run that is over waits this long for what is still on its way; what is missing then is lost.
    private static let drain: UInt64 = 3_000_000_000

    private struct Edge {
        let time: UInt64
        let own: UInt64
        let server: UInt64?
    }

    private(set) var phase = Phase.warming
    private let server: Int32?
    private let start: UInt64
    private let length: UInt64
    private var begin: Edge?
    private var end: Edge?

    init(_ options: Options, at now: UInt64) throws(RunError) {
        server = options.pid
        if let server, Clock.cpu(of: server) == nil { throw RunError("there is no process \(server)") }
        start = now + UInt64(options.warmup * 1e9)
        length = UInt64(options.seconds * 1e9)
    }

    /// Moves on when it is time; true when the phase is a new one.
    mutating func advance(to now: UInt64) -> Bool {
        switch phase {
        case .warming:
            guard now >= start else { return false }
            begin = edge()
            phase = .measuring
        case .measuring:
            guard let begin, now >= begin.time + length else { return false }
            end = edge()
            phase = .draining
        case .draining:
            guard let end, now >= end.time + Self.drain else { return false }
            phase = .over
        case .over:
            return false
        }
        return true
    }

    private func edge() -> Edge {
        Edge(time: Clock.now(), own: Clock.ownCPU(), server: server.flatMap { Clock.cpu(of: $0) })
    }

    /// Adds the figures that every run has.
    /// - Parameters:
    ///   - noun: What was counted, in the plural.
    ///   - count: How many within the window.
    func report(_ noun: String, _ count: Int, _ latencies: LatencyHistogram, into report: inout Report) {
        guard let begin, let end, end.time > begin.time else { return }
        let seconds = Double(end.time - begin.time) / 1e9
        let own = Double(end.own - begin.own) / 1e9
        report.add("measured_s", seconds, places: 3)
        report.add(noun, count)
        report.add(noun + "_per_s", Double(count) / seconds, places: 0)
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
            report.add("latency_\(name)_us", Double(latencies.quantile(share)) / 1000, places: 1)
        }
        report.add("latency_max_us", Double(latencies.largest) / 1000, places: 1)
        report.add("client_cpu_s", own, places: 3)
        report.add("client_cpu_share", own / seconds, places: 3)
        report.add(noun + "_per_client_cpu_s", Double(count) / own, places: 0)
        guard let first = begin.server, let last = end.server else { return }
        let spent = Double(last - first) / 1e9
        report.add("server_cpu_s", spent, places: 3)
        report.add("server_cpu_share", spent / seconds, places: 3)
        report.add(noun + "_per_server_cpu_s", Double(count) / spent, places: 0)
    }
}
