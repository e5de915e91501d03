// RecoveryTable: who may come back as who it was: clients that are there, by their secrets, and for a while those that are gone. A client
// that comes back while its old session still seems alive takes its place.
internal import Base

struct RecoveryTable {
    private enum Place {
        case present(EngineID)
        case parked(MonitorWatcher, until: Instant)
    }

    private var places: [SocketName: Place] = [:]
    /// Who was parked, in the order of it; some have come back since.
    private var line: [(secret: SocketName, until: Instant)] = []
    private var head = 0
    private var parkedCount = 0
    private let countMax: Int

    /// - Parameter countMax: clients that may come back; the oldest give way.
    init(countMax: Int) { self.countMax = countMax }

    /// Clients that are gone and may come back.
    var count: Int { parkedCount }

    mutating func enter(_ secret: SocketName, _ client: EngineID) { places[secret] = .present(client) }

    /// The client left for good.
    mutating func remove(_ secret: SocketName) {
        if case .parked = places.removeValue(forKey: secret) { parkedCount -= 1 }
    }

    /// Clients that are gone may not come back after all.
    ///
    /// - Returns: how many there were.
    mutating func remove(where isMeant: (MonitorWatcher) -> Bool) -> Int {
        let before = parkedCount
        for (secret, place) in places {
            if case .parked(let watcher, _) = place, isMeant(watcher) { remove(secret) }
        }
        return before - parkedCount
    }

    /// The client is gone and may come back.
    mutating func park(_ watcher: MonitorWatcher, until deadline: Instant) {
        guard countMax > 0 else { return remove(watcher.secret) }
        places[watcher.secret] = .parked(watcher, until: deadline)
        parkedCount += 1
        line.append((watcher.secret, deadline))
        while parkedCount > countMax { dropFirst() }
        // Who comes back and goes again stands in the line twice, and only the last time counts.
        if line.count - head > 2 * parkedCount + 1_024 { tidy() }
    }

    /// Who comes back.
    enum Returner {
        case nobody
        /// Its old session has not ended yet.
        case present(EngineID)
        case parked(MonitorWatcher)
    }

    func find(_ secret: SocketName, at now: Instant) -> Returner {
        switch places[secret] {
        case .present(let client): .present(client)
        case .parked(let watcher, let until): now < until ? .parked(watcher) : .nobody
        case nil: .nobody
        }
    }

    // MARK: Time

    var nextDeadline: Instant? { head < line.count ? line[head].until : nil }

    /// Forgets who did not come back in time.
    mutating func expire(at now: Instant) {
        while head < line.count, line[head].until <= now { dropFirst() }
    }

    private mutating func tidy() {
        line = line[head...].filter { entry in
            if case .parked(_, entry.until) = places[entry.secret] { true } else { false }
        }
        head = 0
    }

    /// Forgets who was parked first, unless it came back.
    private mutating func dropFirst() {
        guard head < line.count else { return }
        let (secret, until) = line[head]
        head += 1
        if case .parked(_, until) = places[secret] {
            places[secret] = nil
            parkedCount -= 1
        }
        guard head > 64, head * 2 > line.count else { return }
        line.removeFirst(head)
        head = 0
    }
}
