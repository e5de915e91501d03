// Forgetting: what is old goes, in steps; what is young and what lives stays.
import Base
import Domain
import Testing

@testable import Storage

struct RetentionTests {
    @Test("rows before the cutoff go, in as many steps as it takes; the others stay", arguments: [1, 3, 500])
    func steps(_ rows: Int) throws {
        var rig = try Rig { $0.sweepRows = rows }
        for number in 1...10 {
            let at = number * 100
            try rig.write(
                .submitted(image(number, at: at)), .happened(event(number, 1, at: at)), .logged(log(number, 2, at: at)),
                .progressed(progress(number, 3, at: at)), .ended(ending(number, at: at)), .sessionOpened(session("\(number)", at: at)),
                .sessionClosed(SessionTouch(clientID: SharedBytes("\(number)"), at: time(at), messageCount: 0)))
        }
        // Five tasks, five progress rows, five sessions; events and logs go by themselves or with their tasks.
        let forgotten = try rig.forget(before: 501)
        #expect(forgotten >= 15 && forgotten <= 25)
        #expect(try rig.counts() == TaskCounts(completed: 5))
        for number in 1...10 {
            let wanted = number > 5 ? 1 : 0
            #expect(try rig.events(name(number)).rows.count == wanted)
            #expect(try rig.logs(name(number)).rows.count == wanted)
            #expect(try rig.progress(name(number)).rows.count == wanted)
        }
        #expect(try Rig.ask { try rig.journal.sessions(of: nil, limit: 99, $0) }.rows.count == 5)
        #expect(try rig.forget(before: 501) == 0)
    }

    @Test("a sweep goes on until every table has had its last", arguments: [1, 3, 500])
    func everyTable(_ rows: Int) throws {
        var rig = try Rig { $0.sweepRows = rows }
        try rig.write(.submitted(image(1)))
        for number in 1...10 {
            try rig.write(
                .progressed(progress(2, number)), .logged(log(1, UInt64(number))), .happened(event(1, UInt64(number))),
                .sessionOpened(session("\(number)")),
                .sessionClosed(SessionTouch(clientID: SharedBytes("\(number)"), at: time(1_500), messageCount: 0)))
        }
        #expect(try rig.forget(before: 1_600) == 40)
        #expect(try rig.counts() == TaskCounts(active: 1))
    }

    @Test("a task that has not ended stays, and so does a session that is open; the task's old events go")
    func living() throws {
        var rig = try Rig()
        try rig.write(
            .submitted(image(1, at: 1)), .happened(event(1, 6, at: 1)), .happened(event(1, 7, at: 900)), .sessionOpened(session("a", at: 1))
        )
        #expect(try rig.forget(before: 500) == 1)
        #expect(try rig.events(name(1)).rows.map(\.sequence) == [7])
        #expect(try rig.forget(before: 1_000) == 1)
        #expect(try rig.recover().live.map(\.sequence) == [7])
        #expect(try Rig.ask { try rig.journal.sessions(of: nil, limit: 9, $0) }.rows.count == 1)
    }

    @Test("nothing that stands beside a task is left when it goes")
    func leftovers() throws {
        let scratch = try Scratch()
        var rig = try Rig(scratch.location)
        var task = image(1, payload: 2_000)
        task.metadata = SharedBytes("{}")
        try rig.write(.submitted(task), .ended(ending(1)), .happened(event(1, 1, at: 9_000)), .logged(log(1, 2, at: 9_000)))
        _ = try rig.forget(before: 5_000)
        try rig.journal.close()
        var database = try Database(scratch.file)
        for table in ["tasks", "ended_tasks", "task_payloads", "task_metadata", "task_events", "task_logs"] {
            #expect(try database.number("SELECT count(*) FROM \(table)") == 0, "\(table)")
        }
    }
}
