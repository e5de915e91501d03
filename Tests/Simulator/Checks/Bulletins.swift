// Bulletins: what visitors of the fleet were told, held together: an offset is one event, the same to all; and from its subscription to the
// last activity that a visitor heard, recovered as often as it was, it heard all that anybody did. What a subscription begins with is told
// to its visitor alone, under offsets of its own.
import Base

final class Bulletins {
    /// One visitor's hearing, from its beginning for as long as it is recovered.
    private struct Hearing {
        let who: String
        let life: Int
        /// Activities that were told to all: their offsets.
        var activities: [Int] = []
        /// The names of all activities, however they were told.
        var names: Set<String> = []
        var subscribedAt: Int?
        /// The last offset of a subscription's beginning; what follows it at once belongs to that.
        var pictureEnd = 0
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
        case "subscribed":
            if ["activity_stream", "all"].contains(where: { packet.contains("\"event_type\":\"\($0)\"") }) {
                hearings[index].subscribedAt = hearings[index].subscribedAt ?? offset
            }
            hearings[index].pictureEnd = offset
        case _ where offset <= hearings[index].pictureEnd + 1:
            hearings[index].pictureEnd = max(offset, hearings[index].pictureEnd)
            if event == "activity_stream" { hearings[index].names.insert(Bulletins.name(in: packet)) }
        case "activity_stream":
            hearings[index].activities.append(offset)
            hearings[index].names.insert(Bulletins.name(in: packet))
            let key = "\(hearings[index].life) \(offset)"
            if let known = texts.updateValue(packet, forKey: key), known != packet {
                world.fail("fleet", "\(who) is told \(packet), and somebody else was told \(known)")
            }
        case _: break
        }
    }

    /// The name of the activity that a packet tells of.
    private static func name(in packet: String) -> String {
        guard let start = packet.firstRange(of: "\"id\":\"act-")?.upperBound else { return "" }
        return String(packet[start...].prefix(36))
    }

    func close() {
        var all: [Int: Set<Int>] = [:]
        for hearing in hearings { all[hearing.life, default: []].formUnion(hearing.activities) }
        for hearing in hearings {
            guard let first = hearing.subscribedAt, let last = hearing.activities.last else { continue }
            for offset in (all[hearing.life] ?? []).sorted() where offset > first && offset < last {
                let packet = texts["\(hearing.life) \(offset)"] ?? ""
                guard !hearing.names.contains(Bulletins.name(in: packet)) else { continue }
                return world.fail("fleet", "\(hearing.who) heard \(first) to \(last), and missed \(packet)")
            }
        }
    }
}
