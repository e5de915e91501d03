// HubDialectTests: document P's messages member by member, and its frames of several lines.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct HubDialectTests {
    private let stamp = #""timestamp":"2026-01-20T10:30:00Z""#

    private func message(_ type: String, _ payload: String, task: String = "interview_123") -> String {
        #"{"type":"\#(type)","task_id":"\#(task)","payload":{\#(payload)}}"#
    }

    private func messages(_ publication: Publication) throws -> [String] {
        try (0..<HubDialect.messageCount(of: publication.event)).map { part in
            try written { HubDialect.write(publication, part: part, to: &$0) }
        }
    }

    private func status(_ word: String, error: String = #""""#, result: String = "null", rest: String = "", seq: Int = 7) -> String {
        message(
            "status",
            #""task_id":"interview_123","status":"\#(word)","error":\#(error),"result":\#(result)\#(rest),\#(stamp),"seq":\#(seq)"#)
    }

    // MARK: What happens to a task

    @Test("the document's example of a progress message, and seq")
    func progress() throws {
        let publication = Happenings.progress(45, message: "正在处理第4个片段...", currentStep: "处理视频片段", of: 10, done: 4)
        #expect(
            try messages(publication) == [
                message(
                    "progress",
                    #""task_id":"interview_123","progress":45,"current_step":"处理视频片段","total_steps":10,"completed_steps":4,"#
                        + #""message":"正在处理第4个片段...","status":"running",\#(stamp),"seq":7"#)
            ])
    }

    @Test("what nobody said is empty, the step stands for the current one, and per cents are whole")
    func bareProgress() throws {
        #expect(
            try messages(Happenings.progress(99.9, step: "s\"")) == [
                message(
                    "progress",
                    #""task_id":"interview_123","progress":99,"current_step":"s\"","total_steps":0,"completed_steps":0,"message":"","#
                        + #""status":"running",\#(stamp),"seq":7"#)
            ])
        #expect(try messages(Happenings.progress(5, reported: nil, .queued))[0].contains(#""message":"","status":"pending""#))
    }

    @Test("every change of the state: pending, running, completed with the result byte for byte, cancelled")
    func states() throws {
        #expect(try messages(Happenings.queued) == [status("pending", seq: 1)])
        #expect(try messages(Happenings.started) == [status("running", seq: 2)])
        let result = #"{"output":  "...", "n": 1.0}"#
        #expect(try messages(Happenings.publication(Happenings.completed(result), .completed)) == [status("completed", result: result)])
        #expect(try messages(Happenings.publication(Happenings.completed(""), .completed)) == [status("completed")])
        #expect(try messages(Happenings.publication(.cancelled(reason: nil), .cancelled)) == [status("cancelled")])
        #expect(
            try messages(Happenings.publication(.cancelled(reason: SharedBytes("by\nuser")), .cancelled)) == [
                status("cancelled", rest: #","reason":"by\nuser""#)
            ])
    }

    @Test("a failure is a status and an error with the same number")
    func failure() throws {
        let event = Happenings.failed(.raw(SharedBytes(#""处理失败：网络超时""#)), step: "step-3")
        #expect(
            try messages(Happenings.publication(event, .failed)) == [
                status("failed", error: #""处理失败：网络超时""#),
                message(
                    "error", #""execution_id":"interview_123","step_id":"step-3","error":"处理失败：网络超时",\#(stamp),"seq":7"#),
            ])
        let bare = Happenings.failed(.raw(SharedBytes("[1]")))
        #expect(
            try messages(Happenings.publication(bare, .failed)) == [
                status("failed", error: #""[1]""#),
                message("error", #""execution_id":"interview_123","step_id":"","error":"[1]",\#(stamp),"seq":7"#),
            ])
    }

    @Test("a log and a piece of a result have no message")
    func unsaid() {
        #expect(HubDialect.messageCount(of: Happenings.log.event) == 0)
        #expect(HubDialect.messageCount(of: Happenings.chunk.event) == 0)
    }

    // MARK: Frames of several lines

    private func lines(_ publication: Publication) -> String {
        var writer = ByteWriter()
        // What stands before is not this message's.
        writer.append("before\n")
        HubDialect.writeLines(publication, to: &writer)
        let text = writer.seal().description
        #expect(text.hasPrefix("before\n"))
        return String(text.dropFirst(7))
    }

    @Test("a user's line feeds become spaces, those within texts stay, and nothing else changes")
    func lineFeeds() throws {
        let result = "{\n  \"a\":\r\n 1.0, \"b\": \"x\\ny\",\t\"c\":[\n]\n}"
        let flat = "{   \"a\":   1.0, \"b\": \"x\\ny\",\t\"c\":[ ] }"
        let publication = Happenings.publication(Happenings.completed(result), .completed)
        #expect(try messages(publication) == [status("completed", result: result)])
        #expect(lines(publication) == status("completed", result: flat))
    }

    @Test("every event is as many lines as messages, each of them JSON")
    func everyEventInLines() throws {
        for publication in [
            Happenings.queued, Happenings.started, Happenings.progress(message: "a\nb", step: "\n"), Happenings.log, Happenings.chunk,
            Happenings.publication(Happenings.completed("[\n]"), .completed),
            Happenings.publication(Happenings.failed(.raw(SharedBytes("{\n}"))), .failed),
            Happenings.publication(Happenings.failed(.plain(SharedBytes("a\nb")), step: "\n"), .failed),
            Happenings.publication(.cancelled(reason: SharedBytes("\n")), .cancelled),
        ] {
            let lines = lines(publication).split(separator: "\n", omittingEmptySubsequences: false)
            let count = HubDialect.messageCount(of: publication.event)
            #expect(lines.count == max(count, 1))
            for line in lines where count > 0 { _ = try JSONIndex(of: SharedBytes(String(line))) }
        }
    }

    // MARK: How a task stands

    @Test("a progress message of how a task stands")
    func standing() throws {
        let report = Happenings.report(message: "m", step: "s", of: 10, done: 4)
        #expect(
            try written { HubDialect.writeProgress(of: Happenings.details(.executing, progress: 45.7, report: report), to: &$0) }
                == message(
                    "progress",
                    #""task_id":"interview_123","progress":45,"current_step":"s","total_steps":10,"completed_steps":4,"message":"m","#
                        + #""status":"running",\#(stamp),"seq":7"#))
        #expect(
            try written { HubDialect.writeProgress(of: Happenings.details(.queued, progress: 5), to: &$0) }
                == message(
                    "progress",
                    #""task_id":"interview_123","progress":5,"current_step":"","total_steps":0,"completed_steps":0,"message":"","#
                        + #""status":"pending",\#(stamp),"seq":7"#))
    }

    @Test("a watcher that missed the end gets what told of it")
    func endings() throws {
        for (event, state) in [
            (Happenings.completed("[1.0]"), TaskState.completed), (Happenings.failed(.plain(SharedBytes("e")), step: "s"), .failed),
            (.cancelled(reason: SharedBytes("r")), .cancelled),
        ] {
            let task = Happenings.details(state, ending: event)
            let missed = try (0..<HubDialect.endingCount(of: task)).map { part in
                try written { HubDialect.writeEnding(of: task, part: part, to: &$0) }
            }
            #expect(try missed == messages(Happenings.publication(event, state)))
        }
        #expect(HubDialect.endingCount(of: Happenings.details(.executing)) == 0)
        #expect(HubDialect.endingCount(of: Happenings.details(.executing, ending: .queued)) == 0)
    }
}
