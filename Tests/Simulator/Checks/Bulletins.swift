// Bulletins: what visitors of the fleet were told, held together: an offset is one event, the same to all; and between the first and the
// last activity that a visitor heard, recovered as often as it was, it heard all that anybody did.
import Base

final class Bulletins {
    /// One visitor's hearing, from its beginning for as long as it is recovered.
    private struct Hearing {
        let who: String
        let life: Int
        /// Activities: their offsets.
        var activities: [Int] = []
    }

    unowned let world: Simulation
    private var hearings: [Hearing] = []
    private var current: [String: Int] = [:]
    private var texts: [String: String] = [:]

    init(_ world: Simulation) { self.world = world }

    func begins(_ who: String, life: Int) {
        current[who] = hearings.count
        hearings.append(Hearing(who: who, life: life))
    }

    func came(back who: String, isRecovered: Bool) { if !isRecovered { current[who] = nil } }

    func told(_ who: String, _ event: String, _ offset: Int, _ packet: String) {
        guard let index = current[who] else { return }
        switch event {
        case "subscribed", "unsubscribed": break
        case "activity_stream":
            hearings[index].activities.append(offset)
            let key = "\(hearings[index].life) \(offset)"
            if let known = texts.updateValue(packet, forKey: key), known != packet {
                world.fail("fleet", "\(who) is told \(packet), and somebody else was told \(known)")
            }
        case _: break
        }
    }

    func close() {
        var all: [Int: Set<Int>] = [:]
        for hearing in hearings { all[hearing.life, default: []].formUnion(hearing.activities) }
        for hearing in hearings {
            guard let first = hearing.activities.first, let last = hearing.activities.last else { continue }
            let heard = Set(hearing.activities)
            let missed = (all[hearing.life] ?? []).filter { $0 > first && $0 < last && !heard.contains($0) }.sorted()
            if let miss = missed.first { world.fail("fleet", "\(hearing.who) heard \(first) to \(last), and missed \(miss)") }
        }
    }
}
