// Window: the part of a run that counts: after the warm-up, before the drain. Says when; what was spent in it, its Meter says. Knows
// nothing of what is counted.

import LoadSupport

struct Window {
    enum Phase {
        case warming, measuring, draining, over
    }

    /// A run that is over waits this long for what is still on its way; what is missing then is lost. The slowest servers take seconds for
    /// what 10,000 connections have in flight.
    private static let drain: UInt64 = 20_000_000_000

    private(set) var phase = Phase.warming
    private let start: UInt64
    private let length: UInt64
    private var meter: Meter

    init(_ options: Options, at now: UInt64) throws(RunError) {
        meter = try Meter(servers: options.pids)
        start = now + UInt64(options.warmup * 1e9)
        length = UInt64(options.seconds * 1e9)
    }

    /// Moves on when it is time; true when the phase is a new one.
    mutating func advance(to now: UInt64) -> Bool {
        switch phase {
        case .warming:
            guard now >= start else { return false }
            meter.begin()
            phase = .measuring
        case .measuring:
            guard let begun = meter.begun, now >= begun + length else { return false }
            meter.end()
            phase = .draining
        case .draining:
            guard let ended = meter.ended, now >= ended + Self.drain else { return false }
            phase = .over
        case .over:
            return false
        }
        return true
    }

    /// Adds the figures that every run has.
    /// - Parameters:
    ///   - noun: What was counted, in the plural.
    ///   - count: How many within the window.
    func report(_ noun: String, _ count: Int, _ latencies: LatencyHistogram, into report: inout Report) {
        meter.report(noun, count, latencies, into: &report)
    }
}
