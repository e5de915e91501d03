// KeyedTableTests: rows are found by their keys, changed in place and given up, over random comings and goings.
import Testing
import TestSupport

@testable import Domain

struct KeyedTableTests {
    private struct Row: Keyed {
        let key: Int
        var value: Int
    }

    @Test("random rows agree with a dictionary", arguments: 1...6)
    func chance(_ seed: Int) {
        var random = Seeded(seed: UInt64(seed))
        var table = KeyedTable<Row>()
        var expected: [Int: Int] = [:]
        let names = [4, 40, 2_000][seed % 3]
        for step in 0..<6_000 {
            let key = Int.random(in: 0..<names, using: &random)
            // The table grows first and shrinks then.
            let grows = Int.random(in: 0..<6_000, using: &random) > step
            #expect(table[key]?.value == expected[key])
            if expected[key] == nil {
                #expect(table.remove(key) == nil)
                if grows {
                    table.insert(Row(key: key, value: step))
                    expected[key] = step
                }
            } else if !grows {
                #expect(table.remove(key)?.value == expected.removeValue(forKey: key))
            } else {
                #expect(table.with(key) { row in row.value = -step } != nil)
                expected[key] = -step
            }
            #expect(table.count == expected.count && table.isEmpty == expected.isEmpty)
        }
        #expect(Dictionary(uniqueKeysWithValues: table.rows.map { ($0.key, $0.value) }) == expected)
        for key in expected.keys { table.remove(key) }
        #expect(table.isEmpty && table.rows.capacity == 0 && table.with(0) { _ in } == nil)
    }
}
