// ProgressAPITests: document P's answers over HTTP, member by member.
import Base
import JSON
import Testing

@testable import Dialects
@testable import Domain

struct ProgressAPITests {
    private let stamp = #""timestamp":"2026-01-20T10:30:00Z""#

    private func entry(
        _ progress: Int, _ step: String, _ total: Int, _ done: Int, _ message: String, _ status: String, seq: Int = 7
    ) -> String {
        #"{"task_id":"interview_123","progress":\#(progress),"current_step":"\#(step)","total_steps":\#(total),"completed_steps":\#(done),"#
            + #""message":"\#(message)","status":"\#(status)",\#(stamp),"seq":\#(seq)}"#
    }

    @Test("the document's example of a task's progress, and seq")
    func progress() throws {
        let report = Happenings.report(message: "正在处理第4个片段...", currentStep: "处理视频片段", of: 10, done: 4)
        #expect(
            try written { ProgressAPI.writeProgress(of: Happenings.details(.executing, progress: 45, report: report), to: &$0) }
                == entry(45, "处理视频片段", 10, 4, "正在处理第4个片段...", "running"))
        #expect(
            try written { ProgressAPI.writeProgress(of: Happenings.details(.completed, progress: 100), to: &$0) }
                == entry(100, "", 0, 0, "", "completed"))
    }

    @Test("history in memory: in the order given, steps carried on, without logs and pieces")
    func memoryHistory() throws {
        let publications = [
            Happenings.queued, Happenings.started, Happenings.log,
            Happenings.progress(40, message: "m1", currentStep: "c", of: 10, done: 4), Happenings.chunk,
            Happenings.progress(45, step: "s", done: 5),
            Happenings.progress(45, message: "m2"), Happenings.progress(45, message: "m1"),
            Happenings.publication(Happenings.failed(.raw(SharedBytes(#""boom""#))), .failed, progress: 45, sequence: 8),
            Happenings.publication(.cancelled(reason: SharedBytes("r")), .cancelled, progress: 45, sequence: 9),
            Happenings.publication(.cancelled(reason: nil), .cancelled, progress: 45, sequence: 10),
            Happenings.publication(Happenings.completed("{}"), .completed, progress: 100, sequence: 11),
        ]
        let entries = [
            entry(5, "", 0, 0, "", "pending", seq: 1), entry(10, "", 0, 0, "", "running", seq: 2), entry(40, "c", 10, 4, "m1", "running"),
            entry(45, "s", 10, 5, "m1", "running"),
            entry(45, "s", 10, 5, "m2", "running"), entry(45, "s", 10, 5, "m1", "running"), entry(45, "s", 10, 5, "boom", "failed", seq: 8),
            entry(45, "s", 10, 5, "r", "cancelled", seq: 9), entry(45, "s", 10, 5, "m1", "cancelled", seq: 10),
            entry(100, "s", 10, 5, "m1", "completed", seq: 11),
        ]
        #expect(
            try written { ProgressAPI.writeHistory(of: Happenings.id, publications, to: &$0) }
                == #"{"task_id":"interview_123","source":"memory","history":[\#(entries.joined(separator: ","))]}"#)
    }

    @Test("history in the database: the rows as they are")
    func databaseHistory() throws {
        let row = ProgressRow(
            taskID: Happenings.id, progress: 45, currentStep: SharedBytes("c"), totalSteps: 10, completedSteps: 4,
            message: SharedBytes("m\n"), status: SharedBytes("running"), metadata: SharedBytes("{}"), createdAt: Happenings.at, sequence: 7)
        #expect(
            try written { ProgressAPI.writeHistory(of: Happenings.id, [row], to: &$0) }
                == #"{"task_id":"interview_123","source":"database","history":[\#(entry(45, "c", 10, 4, #"m\n"#, "running"))]}"#)
        #expect(
            try written { ProgressAPI.writeHistory(of: Happenings.id, [ProgressRow](), to: &$0) }
                == #"{"task_id":"interview_123","source":"database","history":[]}"#)
    }

    @Test("clear, subscribe and unsubscribe")
    func words() throws {
        let client = ClientID(high: 0, low: 1)
        let name = "client-00000000000000000000000000000001"
        #expect(
            try written { ProgressAPI.writeCleared(Happenings.id, to: &$0) } == #"{"message":"历史已清除","task_id":"interview_123"}"#)
        #expect(
            try written { ProgressAPI.writeSubscribed(Happenings.id, client, to: &$0) }
                == #"{"message":"订阅成功","task_id":"interview_123","client_id":"\#(name)"}"#)
        #expect(
            try written { ProgressAPI.writeUnsubscribed(Happenings.id, client, to: &$0) }
                == #"{"message":"取消订阅成功","task_id":"interview_123","client_id":"\#(name)"}"#)
    }

    @Test("statistics: the document's four figures")
    func statistics() throws {
        #expect(
            try written { ProgressAPI.writeStatistics(total: 100, active: 5, completed: 90, failed: 5, to: &$0) }
                == #"{"total_tasks":100,"active_tasks":5,"completed_tasks":90,"failed_tasks":5}"#)
    }

    @Test("connected clients, by user and by project, under the name that each answer has for them")
    func clients() throws {
        func users(_ body: (SharedBytes, Int) -> Void) {
            body(SharedBytes("user-001"), 3)
            body(SharedBytes("u\"2"), 2)
        }
        func projects(_ body: (SharedBytes, Int) -> Void) { body(SharedBytes("project-001"), 5) }
        let rest = #""by_user":{"user-001":3,"u\"2":2},"by_project":{"project-001":5}}"#
        #expect(
            try written { ProgressAPI.writeActive(clients: 10, byUser: users, byProject: projects, to: &$0) }
                == #"{"connected_clients":10,\#(rest)"#)
        #expect(
            try written { ProgressAPI.writeWebSockets(clients: 10, byUser: users, byProject: projects, to: &$0) }
                == #"{"total_clients":10,\#(rest)"#)
        var tally = Tally()
        tally.add(SharedBytes("a"))
        #expect(
            try written { ProgressAPI.writeActive(clients: 1, byUser: tally.forEach, byProject: { _ in }, to: &$0) }
                == #"{"connected_clients":1,"by_user":{"a":1},"by_project":{}}"#)
    }

    @Test("refusals: their status, and the error in words")
    func refusals() throws {
        var status = 0
        #expect(try written { status = ProgressAPI.writeUnknownTask(to: &$0) } == #"{"error":"Task not found"}"#)
        #expect(status == 404)
        #expect(try written { status = ProgressAPI.writeUnknownClient(to: &$0) } == #"{"error":"Client not found"}"#)
        #expect(status == 404)
        #expect(
            try written { status = ProgressAPI.write(.missing(member: "client_id"), to: &$0) }
                == #"{"error":"Invalid request: client_id required"}"#)
        #expect(status == 400)
    }

    @Test("limit: digits, with a default and a most that depend on where the history lies")
    func limits() throws {
        for (text, memory, database) in [
            (nil, 20, 100), ("", 20, 100), ("1", 1, 1), ("007", 7, 7), ("100", 100, 100), ("101", 100, 101), ("1001", 100, 1_000),
            ("99999999999999999999999999999999999999", 100, 1_000),
        ] {
            #expect(try ProgressAPI.readLimit(text.map { SharedBytes($0) }, from: .memory) == memory)
            #expect(try ProgressAPI.readLimit(text.map { SharedBytes($0) }, from: .database) == database)
        }
        for text in ["0", "-1", "1.5", "+1", "abc", " 1", "１"] {
            #expect(
                problem { try ProgressAPI.readLimit(SharedBytes(text), from: .memory) }
                    == "Invalid request: limit must be a whole number from 1 to 100")
        }
    }
}
