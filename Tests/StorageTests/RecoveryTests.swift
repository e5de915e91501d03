// Recovery: which tasks come back, in which order, and with what.
import Base
import Domain
import Testing

@testable import Storage

struct RecoveryTests {
    @Test("live tasks come in the order of submission, ended ones in the order of their ends")
    func order() throws {
        var rig = try Rig()
        for number in [5, 2, 9, 1, 7] { try rig.write(.submitted(image(number))) }
        try rig.write(.assigned(TaskAssignment(id: name(9), worker: .empty, startedAt: time(1), attempts: 1, sequence: 2)))
        try rig.write(.ended(ending(7, at: 3_000)), .ended(ending(2, at: 4_000)), .ended(ending(1, at: 3_000)))
        try rig.write(.requeued(TaskRequeue(id: name(9), retriesLeft: 0, sequence: 3)))
        let found = try rig.recover()
        #expect(found.live.map(\.id) == [5, 9].map(name))
        #expect(found.ended.map(\.id) == [1, 7, 2].map(name))
    }

    @Test("of the ended tasks those within the time come back, and of these the newest that have room")
    func bounds() throws {
        var rig = try Rig()
        for number in 1...4 { try rig.write(.submitted(image(number)), .ended(ending(number, at: number * 1_000))) }
        #expect(try rig.recover(since: 2_000).ended.map(\.id) == [2, 3, 4].map(name))
        #expect(try rig.recover(since: 4_001).ended.isEmpty)
        #expect(try rig.recover(bytesMax: 1_200).ended.map(\.id) == [3, 4].map(name))
        #expect(try rig.recover(bytesMax: 0).ended.isEmpty)
    }

    @Test("a task comes back with its last progress")
    func lastProgress() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)), .submitted(image(2)), .progressed(progress(1, 10)), .progressed(progress(1, 30)))
        #expect(try rig.recover().live.map(\.progress) == [progress(1, 30), nil])
    }

    @Test("after the file was closed and opened everything is there, and sessions that were open count as closed")
    func reopened() throws {
        let scratch = try Scratch()
        do {
            var rig = try Rig(scratch.location)
            try rig.write(.submitted(image(1, payload: 100_000)), .submitted(image(2)), .ended(ending(2)), .happened(event(1, 2)))
            try rig.write(.sessionOpened(session("a")), .sessionOpened(session("b")))
            try rig.write(.sessionClosed(SessionTouch(clientID: SharedBytes("b"), at: time(5_000), messageCount: 1)))
            try rig.journal.close()
        }
        let rig = try Rig(scratch.location)
        let found = try rig.recover()
        #expect(found.live.map(\.id) == [name(1)] && found.live.first?.payload.count == 100_000)
        #expect(found.ended.map(\.ending) == [ending(2)])
        #expect(try rig.events(name(1)).rows == [event(1, 2)])
        let sessions = try Rig.ask { try rig.journal.sessions(of: nil, limit: 9, $0) }
        #expect(sessions.rows.map(\.disconnectedAt) == [time(1_000), time(5_000)])
    }
}
