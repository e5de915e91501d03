// The journal: order and grouping of commits, what happens when they fail, its bounds, and its end.
import Base
import Dispatch
import Domain
import Glibc
import Testing

@testable import Storage

struct JournalTests {
    @Test("reports come in the order of the numbers, and everything reported is there", arguments: [1, 7, 4_096])
    func order(_ commitRecordsMax: Int) throws {
        var rig = try Rig { $0.commitRecordsMax = commitRecordsMax }
        var last: UInt64 = 0
        for batch in 0..<100 { last = try rig.append((0..<3).map { .submitted(image(batch * 3 + $0)) }) }
        rig.listener.wait(for: last)
        let committed = rig.listener.committed
        #expect(committed == committed.sorted() && Set(committed).count == committed.count)
        #expect(committed.last == 300 && rig.listener.failures.isEmpty)
        // A batch is never cut.
        #expect(committed.allSatisfy { $0 % 3 == 0 })
        #expect(try rig.recover().live.map(\.id) == (0..<300).map(name))
        #expect(rig.journal.backlog == (0, 0))
    }

    @Test("whoever waits for it finds everything written, and told")
    func flush() throws {
        var rig = try Rig { $0.commitRecordsMax = 10 }
        for number in 1...100 { try rig.append([.submitted(image(number))]) }
        rig.journal.flush()
        #expect(rig.listener.committed.last == 100 && rig.journal.backlog == (0, 0))
        rig.journal.flush()
        #expect(rig.listener.committed.last == 100)
    }

    /// Holds the journal's queue at the answer to a question until it is let go.
    private func holding<Result>(_ journal: Journal, _ body: () throws -> Result) throws -> Result {
        let held = DispatchSemaphore(value: 0)
        let gate = DispatchSemaphore(value: 0)
        try journal.counts { _ in
            held.signal()
            gate.wait()
        }
        held.wait()
        defer { gate.signal() }
        return try body()
    }

    @Test("what gathers while the queue is busy is one commit, up to its records and bytes")
    func groups() throws {
        var rig = try Rig {
            $0.commitRecordsMax = 10
            $0.commitBytesMax = 100_000
        }
        var last: UInt64 = 0
        try holding(rig.journal) {
            for number in 1...20 { last = try rig.append([.submitted(image(number))]) }
            for number in 21...23 { last = try rig.append([.submitted(image(number, payload: 60_000))]) }
        }
        rig.listener.wait(for: last)
        #expect(rig.listener.committed == [10, 20, 21, 22, 23])
    }

    @Test("the backlog is bounded in bytes; a batch that does not fit is refused whole, and fits later")
    func backlog() throws {
        var rig = try Rig { $0.backlogBytesMax = 10_000 }
        let large = Record.submitted(image(1, payload: 8_000))
        try holding(rig.journal) {
            // One that is larger than everything passes when nothing waits.
            try rig.append([.submitted(image(1, payload: 50_000))])
            #expect(throws: StorageError.backlogFull) { try rig.append([.removed(name(9))]) }
            #expect(rig.journal.backlog.records == 1 && rig.journal.backlog.bytes > 50_000)
        }
        rig.listener.wait(for: 1)
        try rig.write(large)
        #expect(rig.listener.committed.last == 2)
        #expect(rig.journal.backlog == (0, 0))
    }

    @Test("questions are bounded too")
    func questions() throws {
        let rig = try Rig { $0.waitingQueriesMax = 2 }
        let answered = DispatchSemaphore(value: 0)
        try holding(rig.journal) {
            for _ in 0..<2 { try rig.journal.counts { _ in answered.signal() } }
            #expect(throws: StorageError.backlogFull) { try rig.journal.counts { _ in } }
        }
        for _ in 0..<2 { answered.wait() }
        #expect(try rig.counts().total == 0)
    }

    @Test("a question sees what was appended before it, however much waits")
    func questionsSee() throws {
        var rig = try Rig { $0.commitRecordsMax = 1 }
        try rig.append([.submitted(image(1))])
        for sequence in [UInt64](1...200) { try rig.append([.happened(event(1, sequence))]) }
        #expect(try rig.events(name(1)).rows.count == 200)
    }

    @Test("a full disk fails the whole batch, tells which, and takes later ones again when there is room")
    func full() throws {
        let scratch = try Scratch()
        var rig = try Rig(scratch.location) { $0.filePagesMax = 80 }
        try rig.write(.submitted(image(1)), .submitted(image(2, payload: 100_000)))
        try rig.write(.submitted(image(3)), .submitted(image(4, payload: 500_000)))
        #expect(rig.listener.failures.map(\.numbers) == [[3, 4]])
        #expect(rig.listener.failures.map(\.error) == [.full])
        #expect(rig.listener.committed == [2])
        #expect(try rig.counts() == TaskCounts(active: 2))
        try rig.write(.ended(ending(2)))
        try rig.write(.submitted(image(5, payload: 90_000)))
        #expect(rig.listener.failures.count == 1 && rig.listener.committed == [2, 5, 6])
        #expect(try rig.recover().live.map(\.id) == [1, 5].map(name))
        try rig.journal.close()
    }

    @Test("a busy database fails the batch, and takes later ones again when it is free")
    func busy() throws {
        let scratch = try Scratch()
        var rig = try Rig(scratch.location) { $0.busyTimeout = .zero }
        var other = try Database(scratch.file)
        try other.execute("BEGIN IMMEDIATE")
        try rig.write(.submitted(image(1)))
        #expect(rig.listener.failures.map(\.error) == [.busy] && rig.listener.failures.map(\.numbers) == [[1]])
        #expect(rig.journal.forget(before: time(1)))
        try other.execute("COMMIT")
        try rig.write(.submitted(image(1)))
        #expect(rig.listener.committed == [2])
        #expect(try rig.recover().live.map(\.id) == [name(1)])
    }

    @Test("a failure fails what stands behind it, in one report; nothing passes that does not know of it; questions go on")
    func order() throws {
        let scratch = try Scratch()
        var rig = try Rig(scratch.location) {
            $0.busyTimeout = .zero
            $0.commitRecordsMax = 1
        }
        var other = try Database(scratch.file)
        try other.execute("BEGIN IMMEDIATE")
        try holding(rig.journal) {
            for number in 1...3 { try rig.append([.submitted(image(number))], era: 0) }
        }
        rig.listener.wait(for: 3)
        #expect(rig.listener.failures.map(\.numbers) == [[1, 2, 3]])
        #expect(rig.journal.backlog == (0, 0))
        try other.execute("COMMIT")
        #expect(throws: StorageError.outdated) { try rig.append([.submitted(image(4))], era: 0) }
        // The same numbers again, and what is newer behind them.
        let again = (1...4).map { RecordEntry(number: UInt64($0), record: .submitted(image($0))) }
        try rig.journal.append(again, era: 1)
        #expect(try rig.counts() == TaskCounts(active: 4))
        #expect(try rig.recover().live.map(\.id) == (1...4).map(name))
        try rig.journal.close()
    }

    @Test("what somebody waits for is forced to the disk, whatever it is")
    func awaited() throws {
        let scratch = try Scratch()
        let store = try Store(scratch.location, StorageSettings())
        var entry = RecordEntry(number: 1, record: .progressCleared(name(1)))
        try store.commit([[entry]])
        #expect(!store.isSynchronous)
        entry.isAwaited = true
        try store.commit([[entry]])
        #expect(store.isSynchronous)
        try store.close()
    }

    @Test("records of both durabilities mix, and the order stays", arguments: Durability.allCases)
    func durabilities(_ durability: Durability) throws {
        let scratch = try Scratch()
        var rig = try Rig(scratch.location) {
            $0.durability = durability
            $0.checkpointPages = 1
        }
        for number in 1...20 {
            try rig.write(.submitted(image(number)))
            try rig.write(.happened(event(number, 1)))
            try rig.write(.progressed(progress(number, 2)))
        }
        #expect(rig.listener.committed == Array(1...60))
    }

    @Test("closing writes what waits, reports it, and refuses everything afterwards; twice is once")
    func close() throws {
        let scratch = try Scratch()
        var rig = try Rig(scratch.location) { $0.commitRecordsMax = 2 }
        var last: UInt64 = 0
        for number in 1...50 { last = try rig.append([.submitted(image(number))]) }
        try rig.journal.close()
        #expect(rig.listener.committed.last == last)
        #expect(throws: StorageError.closed) { try rig.append([.removed(name(1))]) }
        #expect(throws: StorageError.closed) { try rig.journal.counts { _ in } }
        #expect(!rig.journal.forget(before: time(1)))
        #expect(throws: StorageError.closed) { try rig.recover() }
        try rig.journal.close()
        #expect(try Rig(scratch.location).recover().live.count == 50)
    }

    @Test("one sweep at a time")
    func sweeps() throws {
        let rig = try Rig()
        try holding(rig.journal) {
            #expect(rig.journal.forget(before: time(1)))
            #expect(!rig.journal.forget(before: time(1)))
        }
        _ = try rig.counts()
        #expect(try rig.forget(before: 1) == 0)
    }

    @Test(":memory: keeps the tables in memory, where the oldest history gives way when the room is full")
    func memory() throws {
        #expect(StorageLocation(":memory:") == .memory && StorageLocation("./data") == .directory("./data"))
        var rig = try Rig { $0.memoryPagesMax = 600 }
        try rig.write(.submitted(image(0)))
        for number in 1...200 {
            try rig.write(
                .submitted(image(number)), .ended(ending(number, .completed(result: SharedBytes([UInt8](repeating: 1, count: 50_000))))))
        }
        #expect(rig.listener.failures.isEmpty)
        let found = try rig.recover()
        #expect(found.live.map(\.id) == [name(0)])
        #expect(found.ended.last?.id == name(200))
        #expect(found.ended.count > 5 && found.ended.count < 60)
        // What lives does not give way: then it is full.
        for number in 201...300 { try rig.write(.submitted(image(number, payload: 50_000))) }
        #expect(rig.listener.failures.last?.error == .full)
        #expect(try rig.counts().active > 10)
    }
}
