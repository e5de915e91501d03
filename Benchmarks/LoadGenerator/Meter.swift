// Meter: what a span of a run took: time, and the CPU time of both sides. Takes all clocks at the span's two edges, so that CPU time and
// messages belong to exactly the same span of time. When that is, the run says.

import LoadSupport

struct Meter {
    private struct Edge {
        let time: UInt64
        let own: UInt64
        let server: UInt64?
    }

    private let servers: [Int32]
    private var first: Edge?
    private var last: Edge?

    /// - Parameter servers: The processes whose CPU time is taken together; it is not taken where there are none.
    init(servers: [Int32]) throws(RunError) {
        self.servers = servers
        for server in servers where Clock.cpu(of: server) == nil { throw RunError("there is no process \(server)") }
    }

    var begun: UInt64? { first?.time }
    var ended: UInt64? { last?.time }

    mutating func begin() { first = edge() }
    mutating func end() { last = edge() }

    private func edge() -> Edge {
        let times = servers.compactMap { Clock.cpu(of: $0) }
        let isWhole = !times.isEmpty && times.count == servers.count
        return Edge(time: Clock.now(), own: Clock.ownCPU(), server: isWhole ? times.reduce(0, +) : nil)
    }

    /// Adds the figures that every run has.
    /// - Parameters:
    ///   - noun: What was counted, in the plural.
    ///   - count: How many between the edges.
    func report(_ noun: String, _ count: Int, _ latencies: LatencyHistogram, into report: inout Report) {
        guard let first, let last, last.time > first.time else { return }
        let seconds = Double(last.time - first.time) / 1e9
        let own = Double(last.own - first.own) / 1e9
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
        guard let before = first.server, let after = last.server else { return }
        let spent = Double(after - before) / 1e9
        report.add("server_cpu_s", spent, places: 3)
        report.add("server_cpu_share", spent / seconds, places: 3)
        reportCost(noun, count, into: &report)
    }

    /// Adds how many there were for a second of the server's CPU time.
    func reportCost(_ noun: String, _ count: Int, into report: inout Report) {
        guard let before = first?.server, let after = last?.server else { return }
        report.add(noun + "_per_server_cpu_s", Double(count) * 1e9 / Double(after - before), places: 0)
    }
}
