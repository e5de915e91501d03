// UserDialectTests: document N's messages member by member, and the words of its clients.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct UserDialectTests {
    private func status(_ publication: Publication) throws -> String {
        #expect(UserDialect.messageCount(of: publication.event) == 1)
        return try written { UserDialect.write(publication, to: &$0) }
    }

    /// What stands between `task_id` and `seq` of a message of the task.
    private func message(_ rest: String, seq: Int = 7) -> String {
        #"{"type":"task_status","task_id":"interview_123",\#(rest),"seq":\#(seq)}"#
    }

    private let stamp = #""timestamp":"2026-01-20T10:30:00""#

    // MARK: What happens to a task

    @Test("the document's example of a report: a status of its own, its figure, message, step, time without a zone, and seq")
    func progress() throws {
        #expect(
            try status(Happenings.progress(message: "正在生成面试问题...", step: "Step 3/10"))
                == message(
                    #""status":"progress","progress":50,"message":"正在生成面试问题...","step":"Step 3/10",\#(stamp),"error":null"#))
    }

    @Test("what a report says beyond the document goes with it, the user's JSON byte for byte")
    func fullProgress() throws {
        let publication = Happenings.progress(
            12.5, message: "a\"b", step: "s", info: #"{ "n": 1.0,"n":2e0}"#, currentStep: "c", of: 10, done: 3)
        #expect(
            try status(publication)
                == message(
                    #""status":"progress","progress":12.5,"message":"a\"b","step":"s",\#(stamp),"#
                        + #""current_step":"c","total_steps":10,"completed_steps":3,"step_info":{ "n": 1.0,"n":2e0},"error":null"#))
    }

    @Test("the step is the step, else the one that is being done, else how many of how many, else none")
    func steps() throws {
        for (publication, step) in [
            (Happenings.progress(step: "s", currentStep: "c", of: 10, done: 3), #""s""#),
            (Happenings.progress(currentStep: "c", of: 10, done: 3), #""c""#),
            (Happenings.progress(of: 10, done: 3), #""Step 3/10""#),
            (Happenings.progress(of: 10), "null"),
            (Happenings.progress(), "null"),
        ] {
            let text = try status(publication)
            #expect(text.contains(#","step":\#(step),"timestamp""#), "\(text)")
        }
    }

    @Test("a stage that was passed has the state's word, a report of a task in hand the word progress")
    func stages() throws {
        #expect(try status(Happenings.progress(20, reported: nil)).contains(#""status":"running","progress":20,"message":"运行中""#))
        #expect(
            try status(Happenings.progress(5, reported: nil, .queued)).contains(#""status":"pending","progress":5,"message":"等待中""#))
        #expect(try status(Happenings.progress(5, message: "m", .queued)).contains(#""status":"pending","progress":5,"message":"m""#))
        for publication in [
            Happenings.progress(), Happenings.progress(reported: nil, of: 1), Happenings.progress(reported: nil, done: 1),
            Happenings.progress(reported: nil, info: "{}"), Happenings.progress(reported: nil, currentStep: "c"),
            Happenings.progress(reported: nil, step: "s"),
        ] {
            #expect(try status(publication).contains(#""status":"progress","progress":50,"message":"进行中""#))
        }
        #expect(try status(Happenings.progress(reported: nil, message: "m")).contains(#""status":"progress","progress":50,"message":"m""#))
    }

    @Test("pending and running")
    func beginnings() throws {
        #expect(
            try status(Happenings.queued)
                == message(#""status":"pending","progress":5,"message":"等待中","step":null,\#(stamp),"error":null"#, seq: 1))
        #expect(
            try status(Happenings.started)
                == message(#""status":"running","progress":10,"message":"运行中","step":null,\#(stamp),"error":null"#, seq: 2))
    }

    @Test("completed: the result byte for byte, null where there is none")
    func completed() throws {
        for (result, expected) in [(#"{ "b": 1.0,  "a":[1e2,"\u0041"] }"#, #"{ "b": 1.0,  "a":[1e2,"\u0041"] }"#), ("", "null")] {
            #expect(
                try status(Happenings.publication(Happenings.completed(result), .completed, progress: 100))
                    == message(
                        #""status":"completed","progress":100,"message":"已完成","step":null,\#(stamp),"result":\#(expected),"error":null"#))
        }
    }

    @Test(
        "failed: the error is a text, whatever the reporter gave, and error_type is there",
        arguments: [
            (TaskEvent.Words.plain(SharedBytes("处理\"失败")), #""处理\"失败""#), (.raw(SharedBytes(#""a\u0041""#)), #""a\u0041""#),
            (.raw(SharedBytes(#"{"code":5}"#)), #""{\"code\":5}""#), (.raw(.empty), #""Task failed""#),
        ])
    func failed(_ words: TaskEvent.Words, _ expected: String) throws {
        #expect(
            try status(Happenings.publication(Happenings.failed(words), .failed, progress: 45))
                == message(
                    #""status":"failed","progress":45,"message":"失败","step":null,\#(stamp),"error":\#(expected),"error_type":null"#))
    }

    @Test("failed: type, and beyond the document the code and details that were given")
    func fullFailure() throws {
        let event = Happenings.failed(
            .plain(SharedBytes("e")), code: "CUDA_OOM", type: "MemoryError", details: #"{"requested":"16GB", "n":1.0}"#, step: "step-3")
        #expect(
            try status(Happenings.publication(event, .failed, progress: 45))
                == message(
                    #""status":"failed","progress":45,"message":"失败","step":"step-3",\#(stamp),"error":"e","error_type":"MemoryError","#
                        + #""error_code":"CUDA_OOM","error_details":{"requested":"16GB", "n":1.0}"#))
    }

    @Test("a user's JSON of no bytes is null, and no trap")
    func emptyValues() throws {
        #expect(try status(Happenings.progress(info: "")).contains(#""step_info":null"#))
        let event = Happenings.failed(.raw(SharedBytes("")), details: "")
        #expect(try status(Happenings.publication(event, .failed)).contains(#""error_details":null"#))
    }

    @Test("cancelled: the reason is the message")
    func cancelled() throws {
        for (reason, expected) in [(nil, "已取消"), ("by user", "by user")] {
            #expect(
                try status(Happenings.publication(.cancelled(reason: reason.map { SharedBytes($0) }), .cancelled, progress: 45))
                    == message(#""status":"cancelled","progress":45,"message":"\#(expected)","step":null,\#(stamp),"error":null"#))
        }
    }

    @Test("a log and a piece of a result have no status and no message")
    func unsaid() {
        #expect(UserDialect.messageCount(of: Happenings.log.event) == 0)
        #expect(UserDialect.messageCount(of: Happenings.chunk.event) == 0)
    }

    @Test("the writer keeps what it has")
    func appended() throws {
        var writer = ByteWriter()
        writer.append("head")
        UserDialect.write(Happenings.queued, to: &writer)
        #expect(writer.seal().description.hasPrefix(#"head{"type":"task_status","#))
    }

    // MARK: Beginning, end and answers

    @Test("connected: type, connection_id, message, timestamp")
    func connected() throws {
        let uuid = (high: UInt64(0x1e96_51fd_6aa1_4b2c), low: UInt64(0x9d5e_0123_4567_89ab))
        #expect(
            try written { UserDialect.writeConnected(uuid, at: Happenings.at, to: &$0) }
                == #"{"type":"connected","connection_id":"1e9651fd-6aa1-4b2c-9d5e-0123456789ab","message":"WebSocket 连接已建立","#
                + #""timestamp":"2026-01-20T10:30:00"}"#)
    }

    @Test("active_tasks: the tasks and how many; each says who, what, and how it stands")
    func activeTasks() throws {
        let report = Happenings.report(message: "m", step: "s", of: 10, done: 3)
        let tasks = [Happenings.details(.executing, report: report, isFull: true), Happenings.details(.queued, progress: 5)]
        let first =
            #"{"task_id":"interview_123","user_id":42,"project_id":"project-001","task_type":"interview","#
            + #""metadata":{"interview_id": 123.0},"status":"running","progress":50,"message":"m","step":"s",\#(stamp),"total_steps":10,"#
            + #""completed_steps":3,"error":null,"created_at":"2026-01-20T10:29:00","started_at":"2026-01-20T10:29:30","ended_at":null,"#
            + #""seq":7}"#
        let second =
            #"{"task_id":"interview_123","user_id":null,"project_id":null,"task_type":null,"metadata":null,"status":"pending","#
            + #""progress":5,"message":"等待中","step":null,\#(stamp),"error":null,"created_at":"2026-01-20T10:29:00","started_at":null,"#
            + #""ended_at":null,"seq":7}"#
        #expect(
            try written { UserDialect.writeActiveTasks(tasks, to: &$0) }
                == #"{"type":"active_tasks","tasks":[\#(first),\#(second)],"count":2}"#)
        #expect(
            try written { UserDialect.writeActiveTasks([], to: &$0) } == #"{"type":"active_tasks","tasks":[],"count":0}"#)
    }

    @Test(
        "a user is a number where its name is one that every reader holds",
        arguments: [
            ("0", "0"), ("42", "42"), ("999999999999999", "999999999999999"), ("1000000000000000", #""1000000000000000""#),
            ("042", #""042""#),
            ("-1", #""-1""#), ("4 2", #""4 2""#), ("u\"", #""u\"""#), ("", #""""#),
        ])
    func users(_ user: String, _ expected: String) throws {
        var task = Happenings.details(.queued)
        task.user = SharedBytes(user)
        let text = try written { UserDialect.writeActiveTasks([task], to: &$0) }
        #expect(text.contains(#""user_id":\#(expected),"project_id""#))
    }

    @Test("how a task stands is a task_status like that of its last event")
    func standing() throws {
        func status(_ task: TaskDetails) throws -> String { try written { UserDialect.writeStatus(of: task, to: &$0) } }
        let report = Happenings.report(message: "m", currentStep: "c")
        #expect(
            try status(Happenings.details(.executing, report: report))
                == message(#""status":"running","progress":50,"message":"m","step":"c",\#(stamp),"current_step":"c","error":null"#))
        #expect(
            try status(Happenings.details(.completed, progress: 100, ending: Happenings.completed("[1.0]")))
                == message(
                    #""status":"completed","progress":100,"message":"已完成","step":null,\#(stamp),"result":[1.0],"error":null"#))
        let failure = Happenings.failed(.plain(SharedBytes("e")), type: "T")
        #expect(
            try status(Happenings.details(.failed, report: Happenings.report(message: "m", step: "s"), ending: failure))
                == message(
                    #""status":"failed","progress":50,"message":"失败","step":"s",\#(stamp),"error":"e","error_type":"T""#))
        #expect(
            try status(Happenings.details(.cancelled, ending: .cancelled(reason: SharedBytes("r"))))
                == message(#""status":"cancelled","progress":50,"message":"r","step":null,\#(stamp),"error":null"#))
    }

    @Test("subscribed, unsubscribed, pong, refreshed and error")
    func answers() throws {
        #expect(
            try written { UserDialect.writeSubscribed(Happenings.id, to: &$0) } == #"{"type":"subscribed","task_id":"interview_123"}"#)
        #expect(
            try written { UserDialect.writeUnsubscribed(Happenings.id, to: &$0) }
                == #"{"type":"unsubscribed","task_id":"interview_123"}"#)
        #expect(try written { UserDialect.writePong(at: Happenings.at, to: &$0) } == #"{"type":"pong",\#(stamp)}"#)
        #expect(try written { UserDialect.writeRefreshed(at: Happenings.at, to: &$0) } == #"{"type":"refreshed",\#(stamp)}"#)
        #expect(
            try written { UserDialect.writeProblem("no \"such\" thing", at: Happenings.at, to: &$0) }
                == #"{"type":"error","error":"no \"such\" thing",\#(stamp)}"#)
        #expect(
            try written { UserDialect.writeProblem("no", about: Happenings.id, at: Happenings.at, to: &$0) }
                == #"{"type":"error","task_id":"interview_123","error":"no",\#(stamp)}"#)
    }

    // MARK: What clients say

    private func said(_ text: String) throws -> String {
        let bytes = SharedBytes(text)
        let index = try JSONIndex(of: bytes)
        var scratch = ByteWriter()
        scratch.append("before")
        defer { #expect(scratch.count == 6, "the scratch is left as it was") }
        switch try UserDialect.read(bytes.span, index, scratch: &scratch) {
        case .subscribe(let id): return "subscribe \(id)"
        case .unsubscribe(let id): return "unsubscribe \(id)"
        case .ping: return "ping"
        case .refresh(let token): return "refresh \(token)"
        }
    }

    @Test(
        "every message of a client",
        arguments: [
            (#"{"type":"subscribe","task_id":"interview_123"}"#, "subscribe interview_123"),
            (#"{"task_id":"a\u002fb","type":"unsubscribe"}"#, "unsubscribe a/b"),
            (#"{"type":"ping"}"#, "ping"), (#"{"type":"ping","timestamp":5}"#, "ping"),
            (#"{"type":"refresh","token":"a.b.c"}"#, "refresh a.b.c"),
        ])
    func commands(_ text: String, _ expected: String) throws {
        #expect(try said(text) == expected)
    }

    @Test(
        "what cannot be read is named",
        arguments: [
            ("[]", "Invalid request: a JSON object is expected"), ("{}", "Invalid request: type required"),
            (#"{"type":5}"#, "Invalid request: type must be a text"), (#"{"type":"Ping"}"#, "Unknown message type: Ping"),
            (#"{"action":"ping"}"#, "Invalid request: type required"),
            (#"{"type":"subscribe"}"#, "Invalid request: task_id required"),
            (#"{"type":"subscribe","task_id":5}"#, "Invalid request: task_id must be a text"),
            (#"{"type":"unsubscribe","task_id":""}"#, "Invalid request: task_id must be 1 to 200 bytes of printable text"),
            (#"{"type":"unsubscribe","task_id":"\n"}"#, "Invalid request: task_id must be 1 to 200 bytes of printable text"),
            (#"{"type":"refresh"}"#, "Invalid request: token required"),
            (#"{"type":"refresh","token":""}"#, "Invalid request: token required"),
            (#"{"type":"refresh","token":{}}"#, "Invalid request: token must be a text"),
        ])
    func refused(_ text: String, _ sentence: String) {
        #expect(problem { try said(text) } == sentence)
    }

    @Test("names and tokens have their limits, and an unknown word is repeated in part only")
    func limits() throws {
        let name = String(repeating: #"\u0041"#, count: 200)
        #expect(try said(#"{"type":"subscribe","task_id":"\#(name)"}"#) == "subscribe " + String(repeating: "A", count: 200))
        #expect(
            problem { try said(#"{"type":"subscribe","task_id":"\#(name)A"}"#) }
                == "Invalid request: task_id must be 1 to 200 bytes of printable text")
        let token = String(repeating: "t", count: BearerToken.bytesMax)
        #expect(try said(#"{"type":"refresh","token":"\#(token)"}"#) == "refresh " + token)
        #expect(
            problem { try said(#"{"type":"refresh","token":"\#(token)t"}"#) } == "Invalid request: token must be at most 8192 bytes long")
        let long = String(repeating: "é", count: 500)
        #expect(problem { try said(#"{"type":"\#(long)"}"#) } == "Unknown message type: " + String(repeating: "é", count: 64))
    }
}
