// The connection table: slots, generations, and the lines through the records.
import Base
import Testing

@testable import Reactor

struct ConnectionTableTests {
    @Test("an idle connection costs 32 bytes")
    func recordSize() {
        #expect(MemoryLayout<ConnectionTable.Record>.stride == 32)
    }

    @Test("a slot is used again, its generation not, and generation 0 is nobody's")
    func generations() {
        var table = ConnectionTable(capacity: 2)
        let first = table.insert(descriptor: 3, interest: .input)
        let second = table.insert(descriptor: 4, interest: .input)
        #expect(table.count == 2)
        #expect(first.generation == 1 && second.generation == 1)
        #expect(table.remove(first) == 3)
        #expect(unsafe table.find(first) == nil)
        let third = table.insert(descriptor: 5, interest: .input)
        #expect(third.slot == first.slot && third.generation == 2)
        #expect(unsafe table.find(first) == nil)
        #expect(unsafe table.find(third)?.pointee.descriptor == 5)
        #expect(unsafe table.find(ConnectionID(slot: 7, generation: 1)) == nil)
        if let record = unsafe table.find(third) { unsafe record.pointee.generation = .max }
        #expect(table.remove(ConnectionID(slot: UInt32(third.slot), generation: .max)) == 5)
        #expect(table.insert(descriptor: 6, interest: .input).generation == 1)
    }

    @Test("a line keeps its order, whoever leaves", arguments: [0, 1, 2])
    func lines(_ leaving: Int) {
        var table = ConnectionTable(capacity: 3)
        var line = ConnectionTable.Line()
        let ids = (0..<3).map { table.insert(descriptor: Int32($0), interest: .input) }
        for (index, id) in ids.enumerated() { table.enter(&line, id, until: Instant(nanoseconds: Int64(index))) }
        table.leave(&line, ids[leaving])
        var order: [ConnectionID] = []
        while let head = table.head(line) {
            #expect(head.deadline == Instant(nanoseconds: Int64(head.id.slot)))
            order.append(head.id)
            table.leave(&line, head.id)
        }
        var expected = ids
        expected.remove(at: leaving)
        #expect(order == expected)
        #expect(line.last == ConnectionTable.none)
    }
}
