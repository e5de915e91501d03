// Tally: what was finished within a run's window, and how long each took; and the loop that all runs of a window share. What is finished,
// and what a turn does, is the run's affair. Pace is the open loop's clock: when the next one is due, whatever became of those before.

import LoadSupport

final class Tally {
    private var window: Window
    private var latencies = LatencyHistogram()
    private var finished = 0
    private var before = 0
    /// Finished within the window.
    private(set) var measured = 0

    init(_ options: Options) throws(RunError) { window = try Window(options, at: Clock.now()) }

    /// Begins the warm-up anew.
    func restart(_ options: Options) throws(RunError) { window = try Window(options, at: Clock.now()) }

    /// Whether new ones are to be begun.
    var goesOn: Bool {
        switch window.phase {
        case .warming, .measuring: true
        case .draining, .over: false
        }
    }

    /// Counts one, and the nanoseconds that it took.
    func finish(_ latency: UInt64) {
        finished += 1
        if goesOn { latencies.record(latency) }
    }

    /// Turns until the window is over and everything has come home, or nothing more comes.
    func run(until isDrained: () -> Bool, _ turn: () -> Void) {
        while true {
            advance()
            switch window.phase {
            case .warming, .measuring: turn()
            case .draining:
                if isDrained() { return }
                turn()
            case .over: return
            }
        }
    }

    /// Moves the window on when it is time.
    func advance() {
        guard window.advance(to: Clock.now()) else { return }
        switch window.phase {
        case .measuring:
            latencies = LatencyHistogram()
            before = finished
        case .draining: measured = finished - before
        case .warming, .over: break
        }
    }

    /// Adds the figures that every run has.
    /// - Parameter noun: What was counted, in the plural.
    func report(_ noun: String, into report: inout Report) { window.report(noun, measured, latencies, into: &report) }
}

struct Pace {
    private let start: UInt64
    private let interval: Double
    private var passed = 0

    /// - Parameter rate: A second.
    init(rate: Int, at now: UInt64) {
        start = now
        interval = 1e9 / Double(rate)
    }

    /// When the next one is due. What is late is late from here on, so that no wait of ours is left out.
    var due: UInt64 { start + UInt64(Double(passed) * interval) }

    mutating func pass() { passed += 1 }
}
