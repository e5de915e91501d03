// SlotTable: finds what is there, never what was there; its rows may be values that cannot be copied.
@testable import Base
import TestSupport
import Testing

@Suite struct SlotTableTests {
    /// A row that says when it ends.
    struct Guest: ~Copyable {
        final class Log { var ended: [Int] = [] }

        var name: Int
        let log: Log
        deinit { log.ended.append(name) }
    }

    @Test("a late key names nobody, whoever has the slot now")
    func lateKey() {
        var table = SlotTable<ConnectionID, String>(countMax: 10)
        let first = table.insert("first")
        #expect(table.remove(first) == "first")
        let second = table.insert("second")
        #expect(second.slot == first.slot)
        #expect(second.generation == first.generation + 1)
        #expect(table.contains(first) == false)
        #expect(table.element(first) == nil)
        #expect(table.remove(first) == nil)
        #expect(table[second] == "second")
        #expect(table.contains(ConnectionID(slot: 99, generation: 1)) == false)
        #expect(table.contains(ConnectionID(raw: 0)) == false, "a key of zeros names nobody")
    }

    @Test("the slot that was freed last is used first")
    func lastFreedFirst() {
        var table = SlotTable<ConnectionID, Int>(countMax: 10)
        let keys = (0..<4).map { table.insert($0) }
        table.remove(keys[1])
        table.remove(keys[3])
        #expect(table.insert(5).slot == 3)
        #expect(table.insert(6).slot == 1)
        #expect(table.insert(7).slot == 4)
    }

    @Test("a slot whose generations are used up is never used again")
    func retirement() {
        var table = SlotTable<ConnectionID, Int>(countMax: 4)
        let key = table.insert(1)
        table.remove(key)
        table.slots[0].generation = .max
        let last = table.insert(2)
        #expect(last.slot == 0 && last.generation == .max)
        #expect(table.remove(last) == 2)
        #expect(table.contains(last) == false)
        #expect(table.keys.isEmpty)
        #expect(table.insert(3).slot == 1)
        #expect(table.remove(last) == nil)
    }

    @Test("rows change in place")
    func inPlace() {
        var table = SlotTable<ConnectionID, [Int]>(countMax: 4)
        let key = table.insert([1])
        table[key].append(2)
        #expect(table.with(key) { $0.append(3); return $0.count } == 3)
        #expect(table.with(ConnectionID(slot: 0, generation: 9)) { $0.count } == nil)
        table.forEachInPlace { _, row in row.append(4) }
        #expect(table[key] == [1, 2, 3, 4])
    }

    @Test("rows that cannot be copied are moved by growth, and ended once")
    func uncopyable() {
        let log = Guest.Log()
        do {
            var table = SlotTable<ConnectionID, Guest>(countMax: 100)
            var keys: [ConnectionID] = []
            for name in 0..<50 { keys.append(table.insert(Guest(name: name, log: log))) }
            #expect(log.ended.isEmpty)
            _ = table.remove(keys[7])
            #expect(log.ended == [7])
            #expect(table[keys[49]].name == 49)
            table[keys[49]].name = 1_000
        }
        #expect(log.ended.sorted() == (0..<49).map { $0 } + [1_000])
    }

    @Test("agrees with a dictionary through random inserts and removals", arguments: UInt64(0)..<10)
    func oracle(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        var table = SlotTable<ConnectionID, UInt64>(countMax: 200)
        var oracle: [ConnectionID: UInt64] = [:]
        var everSeen: Set<ConnectionID> = []
        var keys: [ConnectionID] = []
        for _ in 0..<5_000 {
            if !table.isFull, Bool.random(using: &random) {
                let value = random.next()
                let key = table.insert(value)
                #expect(everSeen.insert(key).inserted, "a key came twice")
                oracle[key] = value
                keys.append(key)
            } else if let key = keys.randomElement(using: &random) {
                #expect(table.remove(key) == oracle.removeValue(forKey: key))
            }
            if let key = keys.randomElement(using: &random) { #expect(table.element(key) == oracle[key]) }
            #expect(table.count == oracle.count)
        }
        var seen: [ConnectionID: UInt64] = [:]
        table.forEach { seen[$0] = $1 }
        #expect(seen == oracle)
        #expect(Set(table.keys) == Set(oracle.keys))
        #expect(table.slotCount <= 200)
    }

    @Test("a full table traps: whoever inserts asks first")
    func full() async {
        await #expect(processExitsWith: .failure) {
            var table = SlotTable<ConnectionID, Int>(countMax: 1)
            _ = table.insert(1)
            _ = table.insert(2)
        }
    }

    @Test("a late key in brackets traps")
    func lateSubscript() async {
        await #expect(processExitsWith: .failure) {
            var table = SlotTable<ConnectionID, Int>(countMax: 1)
            let key = table.insert(1)
            table.remove(key)
            table[key] += 1
        }
    }
}
