// LivingTasks: a process that begins finds every task that lives, wherever the mark stands, and what a failed transaction did is undone.
import Base
import Domain
import TestSupport
import Testing

@testable import Storage

struct LivingTasksTests {
    private static let entry = LivingTasks.Entry(number: 1, hasPayloadBeside: false)

    @Test("what a transaction changed is as it was when it fails, and stays when it does not")
    func rollBack() {
        var tasks = LivingTasks(mark: 3, lastNumber: 7)
        tasks.insert(name(1), LivingTasksTests.entry)
        tasks.commit()
        #expect(tasks.nextNumber() == 8)
        let other = LivingTasks.Entry(number: 8, hasPayloadBeside: true)
        tasks.insert(name(1), other)
        tasks.insert(name(2), other)
        #expect(tasks.remove(name(1)) == other && tasks.remove(name(3)) == nil)
        tasks.moveMark()
        #expect(tasks.mark == 8 && tasks[name(1)] == nil && tasks[name(2)] == other)
        tasks.rollBack()
        #expect(tasks.mark == 3 && tasks.lastNumber == 7 && tasks[name(1)] == LivingTasksTests.entry && tasks[name(2)] == nil)
        tasks.remove(name(1))
        tasks.commit()
        tasks.rollBack()
        #expect(tasks[name(1)] == nil)
    }

    @Test("the last of all numbers has none behind it")
    func last() {
        var tasks = LivingTasks(lastNumber: .max)
        #expect(tasks.nextNumber() == nil && tasks.lastNumber == .max)
    }

    @Test("each process finds the tasks that live, in the order of their coming, however they came and went", arguments: 1...UInt64(40))
    func found(_ seed: UInt64) throws {
        let scratch = try Scratch()
        var settings = StorageSettings()
        settings.unmarkedTasksMax = 4
        settings.durability = .processEnd
        var seeded = Seeded(seed: seed)
        var wanted: [TaskID] = []
        var ended: [TaskID] = []
        var number = 0
        var entry: UInt64 = 0
        for _ in 0..<4 {
            let store = try Store(scratch.location, settings)
            #expect(try store.recover(endedSince: time(0), endedBytesMax: .max).live.map(\.id) == wanted)
            #expect(store.counts == TaskCounts(active: wanted.count, completed: ended.count))
            for _ in 0..<8 {
                var group: [RecordEntry] = []
                func add(_ record: Record) {
                    entry += 1
                    group.append(RecordEntry(number: entry, record: record))
                }
                for _ in 0...seeded.next() % 4 {
                    switch seeded.next() % 8 {
                    case 0, 1, 2, 3:
                        number += 1
                        add(.submitted(image(number)))
                        wanted.append(name(number))
                    case 4, 5, 6:
                        // The newest as often as any: it may be the mark.
                        guard let last = wanted.indices.last else { break }
                        let place = seeded.next() % 2 == 0 ? last : Int(seeded.next() % UInt64(wanted.count))
                        let id = wanted.remove(at: place)
                        add(.ended(TaskEnding(id: id, state: .completed, endedAt: time(2_000), sequence: 9)))
                        ended.append(id)
                    default:
                        if let id = seeded.next() % 2 == 0 ? wanted.popLast() : ended.popLast() { add(.removed(id)) }
                    }
                }
                try store.commit([group])
            }
            #expect(store.living.lastNumber - store.living.mark < 8)
            #expect(try store.database.number("SELECT count(*) FROM lingering_tasks") <= wanted.count + 1)
        }
    }

    @Test("a group that is refused leaves the tasks that live as they were, and their ends are taken later")
    func refused() throws {
        var settings = StorageSettings()
        settings.filePagesMax = 60
        let scratch = try Scratch()
        let store = try Store(scratch.location, settings)
        try store.commit([[RecordEntry(number: 1, record: .submitted(image(1)))]])
        let large = image(2, payload: 1 << 20)
        #expect(throws: StorageError.full) {
            try store.commit([[RecordEntry(number: 2, record: .ended(ending(1))), RecordEntry(number: 3, record: .submitted(large))]])
        }
        #expect(store.counts == TaskCounts(active: 1) && store.living[name(1)] != nil && store.living[name(2)] == nil)
        try store.commit([[RecordEntry(number: 2, record: .ended(ending(1)))]])
        #expect(store.counts == TaskCounts(completed: 1))
        #expect(try store.recover(endedSince: time(0), endedBytesMax: .max).ended.map(\.ending) == [ending(1)])
    }
}
