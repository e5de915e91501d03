// Questions: order, limits in rows and bytes, and both ends of a history.
import Base
import Domain
import Testing

@testable import Storage

struct HistoryQueriesTests {
    @Test("events come in order from after a number, each with its kind and bytes")
    func events() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)), .submitted(image(2)))
        for sequence in [UInt64](1...9) { try rig.write(.happened(event(1, sequence)), .happened(event(2, sequence, kind: 200))) }
        #expect(try rig.events(name(1)).rows == (1...9).map { event(1, $0) })
        #expect(try rig.events(name(2), after: 6) == HistoryPage(rows: (7...9).map { event(2, $0, kind: 200) }, hasMore: false))
        #expect(try rig.events(name(1), after: 2, limit: 3) == HistoryPage(rows: (3...5).map { event(1, $0) }, hasMore: true))
        #expect(try rig.events(name(1), after: 6, limit: 3).hasMore == false)
        #expect(try rig.events(name(1), after: .max).rows == [])
        #expect(try rig.events(name(3)).rows == [])
    }

    @Test("two events of one number differ in kind, and one that is written twice is one")
    func sameNumber() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)), .happened(event(1, 5)), .happened(event(1, 5, kind: 2)))
        try rig.write(.happened(event(1, 5, kind: 2, bytes: SharedBytes("again"))))
        #expect(try rig.events(name(1)).rows == [event(1, 5), event(1, 5, kind: 2, bytes: SharedBytes("again"))])
    }

    @Test("progress comes oldest first, whichever end the limit counts from")
    func progressEnds() throws {
        var rig = try Rig()
        for figure in 1...5 { try rig.write(.progressed(progress(1, figure)), .progressed(progress(2, 99))) }
        #expect(try rig.progress(name(1), limit: 2, from: .oldest) == HistoryPage(rows: [progress(1, 1), progress(1, 2)], hasMore: true))
        #expect(try rig.progress(name(1), limit: 2, from: .newest) == HistoryPage(rows: [progress(1, 4), progress(1, 5)], hasMore: true))
        #expect(try rig.progress(name(1), limit: 5, from: .newest).hasMore == false)
        #expect(try rig.progress(name(1), limit: 0) == HistoryPage(rows: [], hasMore: true))
        #expect(try rig.progress(name(1), limit: -1).rows == [] && rig.progress(name(1), limit: .max).rows.count == 5)
    }

    @Test("every column of a progress row comes back")
    func progressColumns() throws {
        var rig = try Rig()
        let row = ProgressRow(
            taskID: name(1), progress: 45, currentStep: SharedBytes("处理视频片段"), totalSteps: 10, completedSteps: 4,
            message: SharedBytes("正在处理第4个片段..."), status: SharedBytes("running"), metadata: SharedBytes(#"{"a":1}"#),
            createdAt: time(1_700_000_000_123), sequence: 7)
        try rig.write(.progressed(row))
        #expect(try rig.progress(name(1)).rows == [row])
    }

    @Test("logs come oldest first, whichever end the limit counts from")
    func logs() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)))
        for number in [UInt64](1...4) { try rig.write(.logged(log(1, number, "line \(number)\0'"))) }
        let all = [UInt64](1...4).map { log(1, $0, "line \($0)\0'") }
        #expect(try rig.logs(name(1)).rows == all)
        #expect(try rig.logs(name(1), limit: 1, from: .newest) == HistoryPage(rows: [all[3]], hasMore: true))
        #expect(try rig.logs(name(1), limit: 1, from: .oldest) == HistoryPage(rows: [all[0]], hasMore: true))
    }

    @Test("an answer ends at its bytes, after at least one row, and says that there is more")
    func answerBytes() throws {
        var rig = try Rig { $0.answerBytesMax = 3_000 }
        try rig.write(.submitted(image(1)))
        let large = SharedBytes([UInt8](repeating: 1, count: 2_000))
        for sequence in [UInt64](1...3) { try rig.write(.happened(event(1, sequence, bytes: large))) }
        var found: [UInt64] = []
        while true {
            let page = try rig.events(name(1), after: found.last ?? 0)
            found += page.rows.map(\.sequence)
            #expect(page.rows.count == 1)
            if !page.hasMore { break }
        }
        #expect(found == [1, 2, 3])
    }

    @Test("sessions come by user or all together, the newest by the limit")
    func sessions() throws {
        var rig = try Rig()
        for (client, user) in [("a", "u"), ("b", "v"), ("c", "u"), ("d", "u")] {
            try rig.write(.sessionOpened(session(client, user: user)))
        }
        func clients(_ user: String?, _ limit: Int) throws -> [String] {
            try Rig.ask { try rig.journal.sessions(of: user.map { SharedBytes($0) }, limit: limit, $0) }.rows.map(\.clientID.description)
        }
        #expect(try clients(nil, 9) == ["a", "b", "c", "d"])
        #expect(try clients("u", 2) == ["c", "d"])
        #expect(try clients("w", 2) == [])
    }
}
