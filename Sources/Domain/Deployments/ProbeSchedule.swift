// ProbeSchedule: which deployments are asked when, and how many at once. Asks nobody and judges no answer: it says whose turn it is, keeps
// the places, and gives a place back when its answer is lost.
//
// Cost: every step is a table operation and a timer; what is not due costs nothing.
import Base

struct ProbeSchedule {
    /// Where a deployment is between two answers.
    private enum Standing {
        /// Its next probe is not due.
        case waits(TimerTicket)
        /// It was never asked, and stands at this slot among those.
        case new(Int)
        /// Its probe is due, and stands in line at this slot.
        case due(Int)
        /// Its probe of this number is under way.
        case underWay(UInt64)
    }

    /// A probe that has a place.
    struct Flight {
        let deployment: SharedBytes
        /// Whose standing it is; nil behind ``forget(_:)``: the question is out and keeps its place, its answer is of no interest.
        fileprivate(set) var subject: Int?
        let begunAt: Instant
        fileprivate let loss: TimerTicket
    }

    private enum Timer {
        case due(Int)
        case lost(UInt64)
    }

    private var standings: [Int: Standing] = [:]
    private var flights: [UInt64: Flight] = [:]
    /// Those who wait for a place and were never asked, in the order of their coming. They go before all others: however many answer
    /// late or never, somebody new waits for no second question to any of them.
    private var newcomers = Chain<Int>()
    /// The others who wait for a place, the first due first.
    private var line = Chain<Int>()
    private var timers = TimerWheel<Timer>()
    private var fired: [Timer] = []
    private var lastNumber: UInt64 = 0

    /// Probes under way at once.
    let flightsMax: Int
    /// Behind it an answer is lost.
    let lossTime: TimeSpan

    init(flightsMax: Int, lossTime: TimeSpan) {
        self.flightsMax = flightsMax
        self.lossTime = lossTime
    }

    var underWay: Int { flights.count }

    /// When to call ``advance(to:lost:)`` next.
    var nextDeadline: Instant? { timers.nextDeadline }

    /// Sets when the subject is asked next; what was set for it, or is under way, counts no more.
    mutating func plan(_ subject: Int, for due: Instant, at now: Instant) {
        forget(subject)
        standings[subject] = due <= now ? .due(line.append(subject)) : .waits(timers.insert(due, .due(subject)))
    }

    /// Has the subject asked as soon as there is a place, as one that never was; what was set for it, or is under way, counts no more.
    mutating func planFirst(_ subject: Int) {
        forget(subject)
        standings[subject] = .new(newcomers.append(subject))
    }

    /// The subject is asked no more.
    mutating func forget(_ subject: Int) {
        switch standings.removeValue(forKey: subject) {
        case nil: break
        case .waits(let ticket): timers.cancel(ticket)
        case .new(let slot): newcomers.remove(slot)
        case .due(let slot): line.remove(slot)
        case .underWay(let number): flights[number]?.subject = nil
        }
    }

    /// Whose turn it is; nil while nobody's is, or no place is free.
    mutating func nextSubject() -> Int? {
        guard flights.count < flightsMax, let subject = newcomers[newcomers.first] ?? line[line.first] else { return nil }
        forget(subject)
        return subject
    }

    /// Takes a place for the subject that came from ``nextSubject()``.
    ///
    /// - Returns: the probe's number.
    mutating func begin(_ subject: Int, of deployment: SharedBytes, at now: Instant) -> UInt64 {
        lastNumber &+= 1
        let loss = timers.insert(now + lossTime, .lost(lastNumber))
        flights[lastNumber] = Flight(deployment: deployment, subject: subject, begunAt: now, loss: loss)
        standings[subject] = .underWay(lastNumber)
        return lastNumber
    }

    /// An answer came: its place is free.
    ///
    /// - Returns: what it is the answer to; nil where nobody waits for it.
    mutating func end(_ number: UInt64, of deployment: SharedBytes) -> Flight? {
        guard let flight = flights[number], flight.deployment == deployment else { return nil }
        timers.cancel(flight.loss)
        return close(number)
    }

    /// Puts in line who is due, and frees the places of lost answers, which are appended.
    mutating func advance(to now: Instant, lost: inout [Flight]) {
        timers.advance(to: now, into: &fired)
        for timer in fired {
            switch timer {
            case .due(let subject): standings[subject] = .due(line.append(subject))
            case .lost(let number): if let flight = close(number) { lost.append(flight) }
            }
        }
        fired.removeAll(keepingCapacity: true)
    }

    private mutating func close(_ number: UInt64) -> Flight? {
        guard let flight = flights.removeValue(forKey: number) else { return nil }
        if let subject = flight.subject { standings[subject] = nil }
        return flight
    }
}
