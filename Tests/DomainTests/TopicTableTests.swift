// TopicTableTests: names are found, kept apart and given up, over random comings and goings; an empty table holds nothing.
import Base
import Testing
import TestSupport

@testable import Domain

struct TopicTableTests {
    private static func topic(_ number: Int) -> Topic {
        switch number % 4 {
        case 0: .task(TaskID(high: 0, low: UInt64(number)))
        case 1: .user(SharedBytes("name-\(number / 4)"))
        case 2: .project(SharedBytes("name-\(number / 4)"))
        default: .task(TaskID(SharedBytes("name-\(number / 4)").span) ?? TaskID(high: 0, low: 0))
        }
    }

    @Test("random topics agree with a dictionary", arguments: 1...6)
    func chance(_ seed: Int) {
        var random = Seeded(seed: UInt64(seed))
        var table = TopicTable()
        var expected: [Int: UInt32] = [:]
        let names = [4, 40, 2_000][seed % 3]
        for step in 0..<6_000 {
            let number = Int.random(in: 0..<names, using: &random)
            // The table grows first and shrinks then.
            let grows = Int.random(in: 0..<6_000, using: &random) > step
            #expect(table.slot(of: Self.topic(number)) == expected[number])
            if let slot = expected[number] {
                if !grows {
                    table.remove(slot)
                    expected[number] = nil
                }
            } else if grows {
                let slot = table.insert(Self.topic(number))
                expected[number] = slot
            }
            #expect(table.count == expected.count)
            if step % 500 == 0 {
                #expect((0..<names).allSatisfy { table.slot(of: Self.topic($0)) == expected[$0] })
                #expect(Set(expected.values).count == expected.count)
            }
        }
        for slot in expected.values { table.remove(slot) }
        #expect(table.count == 0 && table.tableBytes == 0)
    }

    @Test("a name is kept in bytes of its own")
    func owned() {
        var table = TopicTable()
        let message = SharedBytes(String(repeating: " ", count: 1_000) + "user")
        let slot = table.insert(.user(message[1_000..<1_004]))
        guard case .user(let name) = table[slot].topic else {
            Issue.record("not a user")
            return
        }
        #expect(name == SharedBytes("user"))
        let (kept, given) = (address(name), address(message))
        #expect(kept < given || kept >= given + 1_004)
    }

    private func address(_ bytes: SharedBytes) -> UInt {
        unsafe bytes.span.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
    }
}
