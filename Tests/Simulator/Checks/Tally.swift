// Tally: how often what happened. A run that never crashed, never came back and was never refused proves nothing, and the tally shows it.

struct Tally {
    enum Event: Int, CaseIterable {
        case runs, turns, connections, requests, replies, messages, jobs
        /// What went wrong around the server.
        case faults, crashes, restarts, failedStarts, unwrittenStops, resets, stalls, silences, clockSteps, diskFailures
        /// What became of tasks.
        case submissions, promises, results, refusals, fullQueues, notStored, cancellations
        case assignments, reassignments, acknowledgements, endings, recalls
        /// What became of completions.
        case completions, pieces, completionsEnded, completionsFailed, completionsCut
        /// What became of workers.
        case drains, workersReturned, workersForgot, leasesLost, staleResults, duplicateResults, refusedLeases, lateResults
        /// What watchers were told.
        case eventsHeard, endsHeard, streamEvents, returns, streamReturns, replays, replaysLost, gaps, slowConsumers
        /// What programs reported themselves.
        case reports, reportsConfirmed
        /// What became of clients of the hub, and of the fleet's.
        case hubEvents, hubReturns, hubReturnsRefused, hubTopicsLost, bulletins, polls, upgrades, recoveries, recoveriesRefused
        /// What operators did.
        case lettersRead, lettersReplayed, lettersRemoved, scrapes
    }

    private var counts = [Int](repeating: 0, count: Event.allCases.count)

    subscript(_ event: Event) -> Int {
        get { counts[event.rawValue] }
        set { counts[event.rawValue] = newValue }
    }

    /// Adds another run's.
    mutating func add(_ other: Tally) {
        for event in Event.allCases { self[event] += other[event] }
    }

    /// What never happened.
    var blind: [Event] { Event.allCases.filter { self[$0] == 0 } }
}

extension Tally: CustomStringConvertible {
    var description: String { Tally.Event.allCases.map { "\($0) \(self[$0])" }.joined(separator: ", ") }
}
