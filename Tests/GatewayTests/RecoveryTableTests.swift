// Goal: who may come back is found for as long as it may, and no longer; the oldest give way; nothing is kept of who came back or left.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Who may come back")
struct RecoveryTableTests {
    private static func time(_ seconds: Int64) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

    private static func watcher(_ random: inout Randomness) -> MonitorWatcher {
        MonitorWatcher(name: SocketName(drawnFrom: &random), secret: SocketName(drawnFrom: &random), principal: .anonymous)
    }

    private static func client(_ slot: UInt32) -> EngineID { EngineID(slot: slot, generation: 1) }

    /// What was found, in a word.
    private static func word(_ returner: RecoveryTable.Returner) -> String {
        switch returner {
        case .nobody: "nobody"
        case .present(let id): "present \(id.slot)"
        case .parked(let watcher): "parked \(watcher.name.text)"
        }
    }

    @Test("present, gone for a while, forgotten to the nanosecond")
    func life() {
        var random = Randomness(seed: 1)
        var table = RecoveryTable(countMax: 10)
        let watcher = Self.watcher(&random)
        #expect(Self.word(table.find(watcher.secret, at: Self.time(0))) == "nobody")
        table.enter(watcher.secret, Self.client(3))
        #expect(Self.word(table.find(watcher.secret, at: Self.time(0))) == "present 3")
        #expect(table.nextDeadline == nil && table.count == 0)
        table.park(watcher, until: Self.time(5))
        #expect(table.nextDeadline == Self.time(5) && table.count == 1)
        let last = Instant(nanoseconds: Self.time(5).nanoseconds - 1)
        #expect(Self.word(table.find(watcher.secret, at: last)) == "parked \(watcher.name.text)")
        #expect(Self.word(table.find(watcher.secret, at: Self.time(5))) == "nobody")
        table.expire(at: last)
        #expect(table.count == 1)
        table.expire(at: Self.time(5))
        #expect(table.count == 0 && table.nextDeadline == nil)
    }

    @Test("where nobody may come back, nobody is kept")
    func none() {
        var random = Randomness(seed: 1)
        var table = RecoveryTable(countMax: 0)
        let watcher = Self.watcher(&random)
        table.enter(watcher.secret, Self.client(0))
        table.park(watcher, until: Self.time(5))
        #expect(Self.word(table.find(watcher.secret, at: Self.time(0))) == "nobody")
        #expect(table.count == 0 && table.nextDeadline == nil)
    }

    @Test("of those who are gone some may not come back after all; who is there stays")
    func removed() {
        var random = Randomness(seed: 1)
        var table = RecoveryTable(countMax: 10)
        let watchers = (0..<4).map { _ in Self.watcher(&random) }
        for watcher in watchers { table.enter(watcher.secret, Self.client(3)) }
        for watcher in watchers.dropLast() { table.park(watcher, until: Self.time(5)) }
        #expect(table.remove { $0 !== watchers[1] } == 2)
        #expect(table.count == 1)
        #expect(watchers.map { Self.word(table.find($0.secret, at: Self.time(1))).prefix(6) } == ["nobody", "parked", "nobody", "presen"])
        table.expire(at: Self.time(5))
        #expect(table.count == 0 && table.nextDeadline == nil)
    }

    /// A table as a list: who was parked first stands first.
    private struct Plain {
        var present: [SocketName: EngineID] = [:]
        var parked: [(secret: SocketName, until: Instant)] = []

        func find(_ watcher: MonitorWatcher, at now: Instant) -> String {
            if let id = present[watcher.secret] { return "present \(id.slot)" }
            let place = parked.first { $0.secret == watcher.secret }
            return place.map { now < $0.until } == true ? "parked \(watcher.name.text)" : "nobody"
        }
    }

    @Test("seeded runs against a list: entering, leaving, parking, coming back, time", arguments: 0..<40)
    func oracle(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        var names = Randomness(seed: seed)
        let countMax = Int.random(in: 1...30, using: &random)
        var table = RecoveryTable(countMax: countMax)
        var plain = Plain()
        let watchers = (0..<60).map { _ in Self.watcher(&names) }
        var now: Int64 = 0
        for step in 0..<1_500 {
            let watcher = watchers[Int.random(in: 0..<watchers.count, using: &random)]
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1, 2:
                guard case .present = table.find(watcher.secret, at: Self.time(now)) else {
                    // Comes, or comes back.
                    table.remove(watcher.secret)
                    table.enter(watcher.secret, Self.client(UInt32(step)))
                    plain.parked.removeAll { $0.secret == watcher.secret }
                    plain.present[watcher.secret] = Self.client(UInt32(step))
                    break
                }
                table.park(watcher, until: Self.time(now + 100))
                plain.present[watcher.secret] = nil
                plain.parked.append((watcher.secret, Self.time(now + 100)))
                if plain.parked.count > countMax { plain.parked.removeFirst() }
            case 3:
                table.remove(watcher.secret)
                plain.present[watcher.secret] = nil
                plain.parked.removeAll { $0.secret == watcher.secret }
            case 4:
                now += Int64.random(in: 1...20, using: &random)
                table.expire(at: Self.time(now))
                plain.parked.removeAll { $0.until <= Self.time(now) }
            default:
                #expect(Self.word(table.find(watcher.secret, at: Self.time(now))) == plain.find(watcher, at: Self.time(now)))
            }
            #expect(table.count == plain.parked.count)
            if let first = plain.parked.first { #expect((table.nextDeadline ?? Self.time(.max / 2_000_000_000)) <= first.until) }
        }
        table.expire(at: Self.time(now + 1_000))
        #expect(table.count == 0 && table.nextDeadline == nil)
    }
}
