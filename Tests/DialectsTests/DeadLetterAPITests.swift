// DeadLetterAPITests: what may be asked about failed tasks, and how they and their replays are told.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct DeadLetterAPITests {
    private static let id = TaskID(high: 0x1e96_51fd_6aa1_4b2c, low: 0x9d5e_0123_4567_89ab)
    private static let name = "1e9651fd-6aa1-4b2c-9d5e-0123456789ab"

    private func question(
        limit: String? = nil, cursor: String? = nil, group: String? = nil
    ) throws -> DeadLetterAPI.Question {
        func text(_ text: String?) -> SharedBytes? { text.map { SharedBytes($0) } }
        return try DeadLetterAPI.readQuestion(limit: text(limit), cursor: text(cursor), group: text(group))
    }

    private func letter(_ failure: FailureKind, _ words: String? = nil) -> DeadLetter {
        let submission = Submission(
            payload: SharedBytes("{\"model\": 1.0}"), group: SharedBytes("g"), priority: .high, timeout: .seconds(60), retries: 2)
        return DeadLetter(
            number: 7, id: Self.id, submission: submission, attempts: 3, createdAt: WallTime(milliseconds: 5),
            failedAt: WallTime(milliseconds: 9), failure: failure, words: words.map { SharedBytes($0) })
    }

    private func fields(_ reason: String, _ error: String) -> String {
        #""taskId":"\#(Self.name)","group":"g","model":null,"priority":"high","timeout":60000,"retries":2,"attempts":3,"#
            + #""reason":"\#(reason)","error":\#(error),"enqueuedAt":5,"failedAt":9,"payloadBytes":14"#
    }

    @Test("a question without parameters asks for the newest; each parameter narrows it")
    func questions() throws {
        #expect(try question() == DeadLetterAPI.Question(limit: 50))
        #expect(try question(limit: "", cursor: "", group: "") == DeadLetterAPI.Question(limit: 50))
        let narrow = DeadLetterAPI.Question(limit: 500, before: .max, group: SharedBytes("g"))
        #expect(try question(limit: "999", cursor: "18446744073709551615", group: "g") == narrow)
        for cursor in ["x", "-1", "1 ", "18446744073709551616", "99999999999999999999999"] {
            #expect(
                problem { try question(cursor: cursor) } == "Invalid request: cursor must be the nextCursor of an earlier answer",
                "\(cursor)")
        }
        #expect(problem { try question(limit: "0") } == "Invalid request: limit must be a whole number from 1 to 500")
    }

    @Test("each reason has its word and its sentence; a reporter's words stay as they came")
    func reasons() throws {
        for (letter, reason, error) in [
            (letter(.timeout), "timeout", #""Task timeout""#),
            (letter(.workerDisconnected), "worker_disconnected", #""Worker disconnected""#),
            (letter(.reported, #"{"code": 5.0}"#), "task_error", #"{"code": 5.0}"#),
            (letter(.reported, ""), "task_error", "null"), (letter(.reported), "task_error", "null"),
            (letter(.reportedPlainly, "a\"b"), "task_error", #""a\"b""#),
        ] {
            #expect(
                try text { DeadLetterAPI.write([letter], hasMore: false, to: &$0) }
                    == #"{"deadLetters":[{\#(fields(reason, error))}],"count":1,"nextCursor":null}"#)
        }
    }

    @Test("a page leads on by the number of its last letter, and one letter has its payload, byte for byte")
    func pages() throws {
        let words = #""no""#
        #expect(
            try text { DeadLetterAPI.write([letter(.reported, words)], hasMore: true, to: &$0) }
                == #"{"deadLetters":[{\#(fields("task_error", words))}],"count":1,"nextCursor":"7"}"#)
        #expect(try text { DeadLetterAPI.write([], hasMore: false, to: &$0) } == #"{"deadLetters":[],"count":0,"nextCursor":null}"#)
        #expect(
            try written { DeadLetterAPI.write(letter(.reported, words), to: &$0) }
                == #"{\#(fields("task_error", words)),"payload":{"model": 1.0}}"#)
    }

    @Test("what a task is told to be of besides is told where it was said")
    func kinds() throws {
        var letter = letter(.timeout)
        (letter.submission.model, letter.submission.provider) = (SharedBytes("m"), SharedBytes("p"))
        letter.submission.type = SharedBytes("t")
        let seen = try text { DeadLetterAPI.write([letter], hasMore: false, to: &$0) }
        #expect(seen.contains(#""model":"m","priority":"high","provider":"p","type":"t","timeout""#))
    }

    @Test("what became of replays and removals")
    func answers() throws {
        let task = TaskID(high: 0, low: 1)
        #expect(
            try text { DeadLetterAPI.writeReplay(of: Self.id, by: task, .queued, to: &$0) }
                == #"{"taskId":"\#(task)","replayOf":"\#(Self.name)","status":"queued"}"#)
        #expect(
            try text { DeadLetterAPI.writeReplays(3, refused: 2, remaining: 4, to: &$0) } == #"{"replayed":3,"refused":2,"remaining":4}"#)
        #expect(try text { DeadLetterAPI.writeRemoved(Self.id, to: &$0) } == #"{"taskId":"\#(Self.name)","removed":true}"#)
        for (refusal, status, words) in [
            (.unknownLetter, 404, "Dead letter not found"), (.underWay, 409, "Dead letter is being replayed"),
            (.notTaken(.noWorker), 503, "No worker available"), (.notTaken(.queueFull), 503, "Queue is full"),
        ] as [(LetterRefusal, Int, String)] {
            var answered = 0
            #expect(try text { answered = DeadLetterAPI.write(refusal, to: &$0) } == #"{"error":"\#(words)"}"#)
            #expect(answered == status)
        }
    }

    @Test("all letters are replayed, or those of a group")
    func replayAll() throws {
        func group(_ body: String) throws -> String? {
            let bytes = SharedBytes(body)
            let index = try JSONIndex(of: bytes, limits: JSONLimits(depthMax: 9, bytesMax: 999))
            var scratch = ByteWriter()
            return try DeadLetterAPI.readReplay(bytes.span, index, limits: Limits(), scratch: &scratch)?.description
        }
        #expect(try group("{}") == nil && group(#"{"group":""}"#) == nil && group(#"{"group":null}"#) == nil)
        #expect(try group(#"{"group":"g\u0031"}"#) == "g1")
        #expect(problem { try group(#"{"group":1}"#) } == "Invalid request: group must be a text")
        #expect(problem { try group("[]") } == "Invalid request: a JSON object is expected")
    }
}
