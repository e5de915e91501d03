// Deliveries: the publications of a run that are in flight, and who has got which: each must come to each of its receivers once and in
// order. Knows numbers and times; how a publication is written and read, the runs know.
//
// Cost of a delivery: a compare, two additions and a step of the histogram, 10 ns.

import LoadSupport

final class Deliveries {
    private let depth: Int
    private var checks: [DeliveryCheck]
    /// To how many receivers a publication in flight has not come, `depth` places.
    private var awaited: [Int]
    private var latencies = LatencyHistogram()
    private var twice = 0
    private var late = 0
    private var foreign = 0

    /// Publications sent, and the number of the oldest that has not come to everybody.
    private(set) var published = 0
    private(set) var oldest = 0
    /// What came, once each.
    private(set) var count = 0

    /// - Parameter depth: Publications in flight at once.
    init(_ checks: [DeliveryCheck], depth: Int) {
        self.checks = checks
        self.depth = depth
        awaited = Array(repeating: 0, count: depth)
    }

    var mayPublish: Bool { published - oldest < depth }

    /// A publication is on its way to so many receivers; its number.
    func publish(to receivers: Int) -> Int {
        awaited[published % depth] = receivers
        published += 1
        return published - 1
    }

    /// One came to a receiver.
    /// - Parameter due: When it was sent, or was to be.
    func take(_ number: Int, due: UInt64, by receiver: Int, at now: UInt64) {
        switch checks[receiver].receive(number, before: published) {
        case .new: settle(number, due, now)
        case .late:
            late += 1
            settle(number, due, now)
        case .twice: twice += 1
        case .foreign: foreign += 1
        }
    }

    /// Something came that is no publication of this run.
    func takeForeign() { foreign += 1 }

    /// The number of a publication in its receiver's own count.
    func place(of number: Int, for receiver: Int) -> Int { checks[receiver].place(of: number) }

    /// Forgets how long the ones so far took.
    func restart() { latencies = LatencyHistogram() }

    /// Adds the figures of the span of time.
    func report(_ measured: Int, _ meter: Meter, into report: inout Report) {
        meter.report("deliveries", measured, latencies, into: &report)
    }

    /// Adds what went wrong, and returns how much that is.
    func reportFaults(into report: inout Report) -> Int {
        let lost = checks.reduce(0) { $0 + $1.lost(before: published) }
        report.add("lost", lost)
        report.add("twice", twice)
        report.add("out_of_order", late)
        report.add("foreign", foreign)
        return lost + twice + late + foreign
    }

    private func settle(_ number: Int, _ due: UInt64, _ now: UInt64) {
        count += 1
        latencies.record(now > due ? now - due : 0)
        awaited[number % depth] -= 1
        while oldest < published, awaited[oldest % depth] == 0 { oldest += 1 }
    }
}
