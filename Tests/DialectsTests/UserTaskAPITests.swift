// UserTaskAPITests: document N's answers over HTTP, and the query of a user's tasks.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct UserTaskAPITests {
    private func task(_ status: String, result: String = "", error: String = #""error":null"#, ended: String = "null") -> String {
        #"{"task_id":"interview_123","user_id":42,"project_id":"project-001","task_type":"interview","metadata":{"interview_id": 123.0},"#
            + #""status":\#(status),"step":null,"timestamp":"2026-01-20T10:30:00",\#(result)\#(error),"created_at":"2026-01-20T10:29:00","#
            + #""started_at":"2026-01-20T10:29:30","ended_at":\#(ended),"seq":7}"#
    }

    @Test("polling: success and the task, with its result or its error where it has ended")
    func polling() throws {
        func polled(_ state: TaskState, _ ending: TaskEvent? = nil) throws -> String {
            try written { UserTaskAPI.writeTask(Happenings.details(state, ending: ending, isFull: true), to: &$0) }
        }
        func answer(_ task: String) -> String { #"{"success":true,"data":\#(task)}"# }
        let ended = #""2026-01-20T10:30:00""#
        #expect(try polled(.executing) == answer(task(#""running","progress":50,"message":"运行中""#)))
        #expect(
            try polled(.completed, Happenings.completed(#"{"a": 1.0}"#))
                == answer(task(#""completed","progress":50,"message":"已完成""#, result: #""result":{"a": 1.0},"#, ended: ended)))
        #expect(
            try polled(.failed, Happenings.failed(.plain(SharedBytes("e")), type: "T"))
                == answer(task(#""failed","progress":50,"message":"失败""#, error: #""error":"e","error_type":"T""#, ended: ended)))
        #expect(
            try polled(.cancelled, .cancelled(reason: nil)) == answer(task(#""cancelled","progress":50,"message":"已取消""#, ended: ended)))
    }

    @Test("a user's tasks: the page, how many, and where the next begins")
    func list() throws {
        let details = Happenings.details(.executing, isFull: true)
        let one = task(#""running","progress":50,"message":"运行中""#)
        let next = UserTaskCursor(createdAt: details.snapshot.createdAt, id: SharedBytes("a\"b").task)
        #expect(
            try written { UserTaskAPI.writeTasks([details, details], next: next, to: &$0) }
                == #"{"success":true,"data":{"tasks":[\#(one),\#(one)],"count":2,"next_cursor":"1768904940987-a\"b"}}"#)
        #expect(
            try written { UserTaskAPI.writeTasks([], next: nil, to: &$0) }
                == #"{"success":true,"data":{"tasks":[],"count":0,"next_cursor":null}}"#)
    }

    @Test("removal, and every refusal with its status")
    func refusals() throws {
        #expect(
            try written { UserTaskAPI.writeRemoved(Happenings.id, to: &$0) } == #"{"success":true,"data":{"task_id":"interview_123"}}"#)
        var status = 0
        #expect(try written { status = UserTaskAPI.writeUnknownTask(to: &$0) } == #"{"success":false,"error":"Task not found"}"#)
        #expect(status == 404)
        #expect(try written { status = UserTaskAPI.writeNotEnded(to: &$0) } == #"{"success":false,"error":"Task has not ended"}"#)
        #expect(status == 409)
        #expect(
            try written { status = UserTaskAPI.write(.missing(member: "user_id"), to: &$0) }
                == #"{"success":false,"error":"Invalid request: user_id required"}"#)
        #expect(status == 400)
        #expect(try written { UserTaskAPI.writeRefusal("no \"token\"", to: &$0) } == #"{"success":false,"error":"no \"token\""}"#)
    }

    // MARK: The query

    private func query(_ status: String? = nil, _ limit: String? = nil, _ cursor: String? = nil) throws -> UserTaskQuery {
        try UserTaskAPI.readQuery(
            status: status.map { SharedBytes($0) }, limit: limit.map { SharedBytes($0) }, cursor: cursor.map { SharedBytes($0) })
    }

    @Test("a query without words asks for all, fifty a page")
    func emptyQuery() throws {
        #expect(try query() == UserTaskQuery(limit: 50))
        #expect(try query("", "", "") == UserTaskQuery(limit: 50))
    }

    @Test(
        "status is a word of the document",
        arguments: [
            ("pending", TaskState.queued), ("running", .executing), ("progress", .executing), ("completed", .completed),
            ("failed", .failed),
            ("cancelled", .cancelled),
        ])
    func states(_ word: String, _ state: TaskState) throws {
        #expect(try query(word).state == state)
    }

    @Test("what cannot be read is named")
    func badQuery() {
        #expect(
            problem { try query("queued") }
                == "Invalid request: status must be one of pending, running, progress, completed, failed, cancelled")
        #expect(problem { try query(nil, "x") } == "Invalid request: limit must be a whole number from 1 to 500")
        for cursor in ["x", "5", "5-", "-a", "1234567890123456-a", "5-\u{7}"] {
            #expect(problem { try query(nil, nil, cursor) } == "Invalid request: cursor must be the next_cursor of an earlier answer")
        }
    }

    @Test("the limit is at most 500")
    func limit() throws {
        #expect(try query(nil, "500").limit == 500)
        #expect(try query(nil, "501").limit == 500)
        #expect(try query(nil, "7").limit == 7)
    }

    @Test("a cursor reads back what it wrote")
    func roundTrip() throws {
        for name in ["interview_123", "a-b-c", "0-0", "1e9651fd-6aa1-4b2c-9d5e-0123456789ab", "任务"] {
            let cursor = UserTaskCursor(createdAt: Happenings.at, id: SharedBytes(name).task)
            var writer = ByteWriter()
            cursor.write(to: &writer)
            #expect(UserTaskCursor(writer.span) == cursor)
            #expect(try query(nil, nil, writer.seal().description).cursor == cursor)
        }
    }
}
