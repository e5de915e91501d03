// SubscriberListTests: a list stays bucketed by format, and every move of an entry is told, over random comings and goings.
import Base
import Testing
import TestSupport

@testable import Domain

struct SubscriberListTests {
    private static func entry(_ slot: UInt32, _ format: Format, joined: UInt64 = 0) -> SubscriberList.Entry {
        SubscriberList.Entry(joined: joined, slot: slot, index: 0, format: format)
    }

    private static func slots(_ list: SubscriberList, _ format: Format) -> Set<UInt32> {
        var slots: [UInt32] = []
        list.forEach(in: format) { slots.append($0.slot) }
        #expect(Set(slots).count == slots.count)
        return Set(slots)
    }

    @Test("one listener needs no memory of its own")
    func lone() {
        #expect(MemoryLayout<SubscriberList>.stride == 24)
        var list = SubscriberList()
        #expect(list.isEmpty && list.formats == [] && list.latestJoin == 0)
        let position = list.insert(Self.entry(7, .hub, joined: 5)) { _, _ in Issue.record("nobody else is there") }
        #expect(position == 0 && list.count == 1 && list.formats == FormatSet(.hub) && list.latestJoin == 5)
        #expect(Self.slots(list, .hub) == [7] && Self.slots(list, .task) == [])
        list.setIndex(3, at: 0)
        list.setJoined(8, at: 0)
        #expect(list[0].index == 3 && list[0].joined == 8 && list.latestJoin == 8)
        list.remove(at: 0) { _, _ in Issue.record("nobody else is there") }
        #expect(list.isEmpty && list.count == 0)
    }

    @Test("random listeners agree with a dictionary", arguments: 1...9)
    func chance(_ seed: Int) {
        var random = Seeded(seed: UInt64(seed))
        var list = SubscriberList()
        var expected: [UInt32: (format: Format, position: Int)] = [:]
        var next: UInt32 = 0
        let crowd = [3, 30, 200][seed % 3]
        for step in 0..<1_000 {
            let grows = expected.count < crowd / 2 || expected.count < crowd && Bool.random(using: &random)
            if grows, step < 700 {
                let format = Format.allCases[Int.random(in: 0..<5, using: &random)]
                let position = list.insert(Self.entry(next, format, joined: UInt64(step))) { expected[$0.slot]?.position = $1 }
                expected[next] = (format, position)
                next += 1
                #expect(list.latestJoin == UInt64(step))
            } else if let (slot, found) = expected.randomElement(using: &random) {
                #expect(list[found.position].slot == slot)
                expected[slot] = nil
                list.remove(at: found.position) { expected[$0.slot]?.position = $1 }
            }
            #expect(list.count == expected.count && list.isEmpty == expected.isEmpty)
            var formats: FormatSet = []
            for format in Format.allCases {
                let slots = Set(expected.filter { $0.value.format == format }.keys)
                if !slots.isEmpty { formats.insert(FormatSet(format)) }
                #expect(Self.slots(list, format) == slots)
            }
            #expect(list.formats == formats)
            #expect(expected.allSatisfy { list[$1.position].slot == $0 })
        }
        #expect(list.isEmpty)
    }
}
