// ActivityAPITests: what may be posted as an activity, what may be asked for, and how a page of them is answered.
import Base
import Domain
import Testing

@testable import Dialects

struct ActivityAPITests {
    private func draft(_ body: String, owner: String? = nil, _ limits: Limits = Limits()) throws -> ActivityDraft {
        let owner = owner.map { SharedBytes($0) }
        return try readBody(body) { body, index, scratch throws(RequestProblem) in
            try ActivityAPI.readDraft(body, index, owner: owner, limits: limits, scratch: &scratch)
        }
    }

    private func question(
        limit: String? = nil, cursor: String? = nil, kind: String? = nil, severity: String? = nil
    ) throws -> ActivityQuestion {
        func text(_ text: String?) -> SharedBytes? { text.map { SharedBytes($0) } }
        return try ActivityAPI.readQuestion(
            limit: text(limit), cursor: text(cursor), kind: text(kind), severity: text(severity), visibility: .owned(by: SharedBytes("42")))
    }

    // MARK: Posts

    @Test("an activity needs a type and a message; the rest is nothing in particular")
    func least() throws {
        let draft = try draft(#"{"activity_type":"download_task","message":"a\nb","severity":null,"extra_data":null,"id":7}"#)
        #expect(draft.kind == .downloadTask)
        #expect(draft.message == SharedBytes("a\nb"))
        #expect(draft.severity == .info)
        #expect(draft.resourceType == nil && draft.resourceID == nil && draft.owner == nil)
        #expect(draft.extra.isEmpty)
    }

    @Test("an activity may say everything; what stands beside it is kept byte for byte")
    func most() throws {
        let draft = try draft(
            """
            {"activity_type":"user_operation","message":"m","severity":"critical","resource_type":"task","resource_id":"t-1",
            "extra_data":{"n": 1.0}}
            """, owner: "42")
        #expect(draft.kind == .userOperation && draft.severity == .critical)
        #expect(draft.resourceType == SharedBytes("task") && draft.resourceID == SharedBytes("t-1"))
        #expect(draft.extra == SharedBytes(#"{"n": 1.0}"#))
        #expect(draft.owner == SharedBytes("42"))
    }

    private static let types = "one of model_deployment, model_health_check, system_resource_threshold, download_task, user_operation"

    @Test(
        "what is wrong is refused by name, and with the words that there are", arguments: [
            ("[]", "a JSON object is expected"), (#"{"message":"m"}"#, "activity_type required"),
            (#"{"activity_type":"x","message":"m"}"#, "activity_type must be " + types),
            (#"{"activity_type":"","message":"m"}"#, "activity_type must be " + types),
            (#"{"activity_type":1,"message":"m"}"#, "activity_type must be a text"),
            (#"{"activity_type":"download_task"}"#, "message required"),
            (#"{"activity_type":"download_task","message":""}"#, "message required"),
            (#"{"activity_type":"download_task","message":"123456789"}"#, "message must be at most 8 bytes long"),
            (#"{"activity_type":"user_operation","message":"m","severity":"x"}"#, "severity must be one of info, warning, error, critical"),
            (#"{"activity_type":"download_task","message":"m","resource_type":1}"#, "resource_type must be a text"),
            (#"{"activity_type":"download_task","message":"m","resource_id":1}"#, "resource_id must be a text"),
            (#"{"activity_type":"download_task","message":"m","extra_data":[]}"#, "extra_data must be an object"),
            (#"{"activity_type":"download_task","message":"m","extra_data":{"a":12345}}"#, "extra_data must be at most 10 bytes long"),
        ])
    func refused(_ body: String, _ words: String) {
        var limits = Limits()
        limits.activityMessageBytesMax = 8
        limits.activityExtraBytesMax = 10
        #expect(problem { try draft(body, limits) } == "Invalid request: " + words)
    }

    private func draft(_ body: String, _ limits: Limits) throws -> ActivityDraft { try draft(body, owner: nil, limits) }

    // MARK: Questions

    @Test("a question without parameters asks for the newest; each parameter narrows it")
    func questions() throws {
        let visibility = ActivityQuestion.Visibility.owned(by: SharedBytes("42"))
        #expect(try question() == ActivityQuestion(visibility: visibility, limit: 50))
        #expect(try question(limit: "", cursor: "", kind: "", severity: "") == ActivityQuestion(visibility: visibility, limit: 50))
        #expect(
            try question(limit: "5000", cursor: "act-9", kind: "model_health_check", severity: "error")
                == ActivityQuestion(
                    before: SharedBytes("act-9"), kind: .modelHealthCheck, severity: .error, visibility: visibility, limit: 1_000))
        #expect(problem { try question(limit: "0") } == "Invalid request: limit must be a whole number from 1 to 1000")
        #expect(problem { try question(kind: "info") } == "Invalid request: activity_type must be \(Self.types)")
        #expect(problem { try question(severity: "INFO") } == "Invalid request: severity must be one of info, warning, error, critical")
    }

    // MARK: Answers

    @Test("one activity, and a page that says where the next begins")
    func answers() throws {
        let one = #"{"id":"act-456","activity_type":"model_deployment","message":"Model LLaMA2-7B deployment started","severity":"info","#
            + #""resource_type":"deployment","resource_id":"dep-123","created_at":"2025-01-01T12:00:00.000Z","#
            + #""extra_data":{"model_id":"llama2-7b","port":8000}}"#
        let activity = FleetExamples.activity
        #expect(try text { ActivityAPI.write(activity, to: &$0) } == one)
        #expect(
            try text { ActivityAPI.write([activity, activity], hasMore: true, to: &$0) }
                == #"{"activities":[\#(one),\#(one)],"count":2,"next_cursor":"act-456"}"#)
        #expect(
            try text { ActivityAPI.write([activity], hasMore: false, to: &$0) }
                == #"{"activities":[\#(one)],"count":1,"next_cursor":null}"#)
        #expect(try text { ActivityAPI.write([], hasMore: false, to: &$0) } == #"{"activities":[],"count":0,"next_cursor":null}"#)
    }
}
