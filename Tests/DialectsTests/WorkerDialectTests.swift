// WorkerDialectTests: what workers say, type by type, and what they are told, byte by byte.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct WorkerDialectTests {
    private static let uuid = "1e9651fd-6aa1-4b2c-9d5e-0123456789ab"

    /// A message as a line, for comparing.
    private func said(_ text: String, _ limits: Limits = Limits()) throws -> String {
        switch try readMessage(text, limits) {
        case .ready(let concurrency, let models, let rate, let held):
            "ready \(concurrency.map(String.init) ?? "-") \(models.map { $0.map(\.description).joined(separator: "|") } ?? "-")"
                + (rate.map { " \($0.perHour) \($0.currency)" } ?? "")
                + (held.map { " holds \($0.map(\.description).joined(separator: "|"))" } ?? "")
        case .complete(let about, let completion): "complete \(name(about)) \(completion.result)"
        case .failed(let about, let fault): "failed \(name(about)) \(fault.error.bytes)"
        case .progress(let about, let report):
            "progress \(name(about)) \(report.reported.map { "\($0)" } ?? "-") \(report.message?.description ?? "-") "
                + (report.step?.description ?? "-")
        case .logs(let about, let log): "logs \(name(about)) \(log.logs)"
        case .chunk(let about, let piece): "chunk \(name(about)) \(piece)"
        case .status: "status"
        case .drain: "drain"
        case .ping: "ping"
        case .refresh(let token): "refresh \(token)"
        }
    }

    private func name(_ about: Assignment) -> String { about.task.description + (about.lease.map { "@\($0)" } ?? "") }

    // MARK: What workers say

    @Test(
        "every type of message, with what it needs and with what it may have beside",
        arguments: [
            (#"{"type":"ready"}"#, "ready - -"),
            (#"{"type":"ready","concurrency":4,"models":["m1","m\u0032"],"cost_per_hour":1.5,"currency":"EUR"}"#, "ready 4 m1|m2 1.5 EUR"),
            (#"{"type":"ready","concurrency":null,"models":null}"#, "ready - -"),
            (#"{"type":"ready","models":[]}"#, "ready - "),
            (#"{"type":"ready","cost_per_hour":0.25}"#, "ready - - 0.25 USD"),
            (#"{"type":"ready","cost_per_hour":2,"currency":null}"#, "ready - - 2.0 USD"),
            (#"{"type":"ready","cost_per_hour":-0,"currency":""}"#, "ready - - 0.0 USD"),
            (#"{"type":"ready","cost_per_hour":1e9,"currency":"\u20ac"}"#, "ready - - 1000000000.0 €"),
            (#"{"type":"ready","cost_per_hour":null,"currency":"EUR"}"#, "ready - -"),
            (#"{"type":"ready","currency":"EUR"}"#, "ready - -"),
            (#"{"type":"ready","tasks":[]}"#, "ready - - holds "),
            (#"{"type":"ready","tasks":["a","\#(uuid)","\u0061"]}"#, "ready - - holds a|\(uuid)"),
            (#"{"type":"ready","tasks":null}"#, "ready - -"),
            (#"{"type":"task_complete","taskId":"t","lease":7}"#, "complete t@7 null"),
            (#"{"type":"task_complete","taskId":"t","lease":9007199254740992}"#, "complete t@9007199254740992 null"),
            (#"{"type":"task_complete","taskId":"t","lease":null}"#, "complete t null"),
            (#"{"type":"task_error","lease":2e0,"taskId":"t","error":1}"#, "failed t@2 1"),
            (#"{"type":"task_progress","taskId":"t","lease":3,"step":"s"}"#, "progress t@3 - - s"),
            (#"{"type":"task_logs","taskId":"t","lease":3,"logs":"x"}"#, "logs t@3 x"),
            (#"{"type":"task_chunk","taskId":"t","lease":3,"chunk":1}"#, "chunk t@3 1"),
            (#"{"type":"task_complete","taskId":"t","result":{"a": 1.0},"duration":2000}"#, #"complete t {"a": 1.0}"#),
            (#"{"result":[1e2],"duration":null,"taskId":"t","type":"task_complete"}"#, "complete t [1e2]"),
            (#"{"type":"task_complete","taskId":"t"}"#, "complete t null"),
            (#"{"type":"task_complete","taskId":"t","result":null}"#, "complete t null"),
            (#"{"type":"task_complete","taskId":"t","result":"\u00e9"}"#, #"complete t "\u00e9""#),
            (#"{"type":"task_error","taskId":"t","error":"错误信息","duration":1000}"#, #"failed t "错误信息""#),
            (#"{"type":"task_error","taskId":"t","error":{"code":5},"error_code":5}"#, #"failed t {"code":5}"#),
            (#"{"type":"task_error","taskId":"t"}"#, #"failed t "Task failed""#),
            (#"{"type":"task_error","taskId":"t","error":null}"#, #"failed t "Task failed""#),
            (#"{"type":"task_progress","taskId":"t","progress":50}"#, "progress t 50.0 - -"),
            (#"{"type":"task_progress","taskId":"t","step":"load"}"#, "progress t - - load"),
            (
                #"{"type":"task_progress","taskId":"t","progress":12.5,"message":"a\nb","step":"s","step_info":{}}"#,
                "progress t 12.5 a\nb s"
            ),
            (#"{"type":"task_logs","taskId":"t","logs":"x\ny","level":"INFO","source":"gpu"}"#, "logs t x\ny"),
            (#"{"type":"task_chunk","taskId":"t","chunk":{"x": 1.0}}"#, #"chunk t {"x": 1.0}"#),
            (#"{"type":"worker_status","gpus":[{}]}"#, "status"),
            (#"{"type":"drain"}"#, "drain"),
            (#"{"type":"ping"}"#, "ping"),
            (#"{"type":"refresh","token":"a.b.c"}"#, "refresh a.b.c"),
            (#"{ "type" : "p\u0069ng" }"#, "ping"),
            (#"{"type":"ping","type":"drain"}"#, "drain"),
        ])
    func messages(_ text: String, _ expected: String) throws {
        #expect(try said(text) == expected)
    }

    @Test(
        "what cannot be read is named",
        arguments: [
            ("[]", "Invalid request: a JSON object is expected"),
            (#""ping""#, "Invalid request: a JSON object is expected"),
            (#"{"type":"refresh","token":""}"#, "Invalid request: token required"),
            ("{}", "Invalid request: type required"),
            (#"{"type":null}"#, "Invalid request: type required"),
            (#"{"type":5}"#, "Invalid request: type must be a text"),
            (#"{"type":"Ping"}"#, "Unknown message type: Ping"),
            (#"{"type":""}"#, "Unknown message type: "),
            (#"{"type":"task_complete"}"#, "Invalid request: taskId required"),
            (#"{"type":"task_error","taskId":null}"#, "Invalid request: taskId required"),
            (#"{"type":"task_progress","progress":5}"#, "Invalid request: taskId required"),
            (#"{"type":"task_logs"}"#, "Invalid request: taskId required"),
            (#"{"type":"task_logs","taskId":"t"}"#, "Invalid request: logs required"),
            (#"{"type":"task_logs","taskId":"t","logs":["x"]}"#, "Invalid request: logs must be a text"),
            (
                #"{"type":"task_progress","taskId":"t","total_steps":1.5}"#,
                "Invalid request: total_steps must be a whole number from 0 to 1000000000"
            ),
            (#"{"type":"task_chunk"}"#, "Invalid request: taskId required"),
            (#"{"type":"task_complete","taskId":5}"#, "Invalid request: taskId must be a text"),
            (#"{"type":"task_complete","taskId":""}"#, "Invalid request: taskId must be 1 to 200 bytes of printable text"),
            (#"{"type":"task_complete","taskId":"a\u0000"}"#, "Invalid request: taskId must be 1 to 200 bytes of printable text"),
            (#"{"type":"task_complete","taskId":"a\u0085"}"#, "Invalid request: taskId must be 1 to 200 bytes of printable text"),
            (#"{"type":"task_progress","taskId":"t","progress":"5"}"#, "Invalid request: progress must be a number"),
            (#"{"type":"task_progress","taskId":"t","progress":5,"message":5}"#, "Invalid request: message must be a text"),
            (#"{"type":"task_progress","taskId":"t","progress":5,"step":[]}"#, "Invalid request: step must be a text"),
            (#"{"type":"ready","concurrency":"4"}"#, "Invalid request: concurrency must be a number"),
            (#"{"type":"ready","concurrency":0}"#, "Invalid request: concurrency must be a whole number from 1 to 1024"),
            (#"{"type":"ready","concurrency":1.5}"#, "Invalid request: concurrency must be a whole number from 1 to 1024"),
            (#"{"type":"ready","concurrency":1025}"#, "Invalid request: concurrency must be a whole number from 1 to 1024"),
            (#"{"type":"ready","concurrency":1e400}"#, "Invalid request: concurrency must be a whole number from 1 to 1024"),
            (#"{"type":"ready","concurrency":-1e400}"#, "Invalid request: concurrency must be a whole number from 1 to 1024"),
            (#"{"type":"ready","models":"m"}"#, "Invalid request: models must be an array of texts"),
            (#"{"type":"ready","models":["m",5]}"#, "Invalid request: models must be an array of texts"),
            (#"{"type":"ready","cost_per_hour":"2"}"#, "Invalid request: cost_per_hour must be a number"),
            (#"{"type":"ready","cost_per_hour":-0.01}"#, "Invalid request: cost_per_hour must be a number from 0 to 1000000000"),
            (#"{"type":"ready","cost_per_hour":1000000000.1}"#, "Invalid request: cost_per_hour must be a number from 0 to 1000000000"),
            (#"{"type":"ready","cost_per_hour":1e999}"#, "Invalid request: cost_per_hour must be a number from 0 to 1000000000"),
            (#"{"type":"ready","cost_per_hour":1,"currency":5}"#, "Invalid request: currency must be a text"),
            (#"{"type":"ready","tasks":"t"}"#, "Invalid request: tasks must be an array of texts"),
            (#"{"type":"ready","tasks":["t",5]}"#, "Invalid request: tasks must be an array of texts"),
            (#"{"type":"ready","tasks":[""]}"#, "Invalid request: tasks must be 1 to 200 bytes of printable text"),
            (#"{"type":"task_complete","taskId":"t","lease":"7"}"#, "Invalid request: lease must be a number"),
            (#"{"type":"task_complete","taskId":"t","lease":0}"#, "Invalid request: lease must be the number that came with the task"),
            (#"{"type":"task_complete","taskId":"t","lease":1.5}"#, "Invalid request: lease must be the number that came with the task"),
            (#"{"type":"task_complete","taskId":"t","lease":1e99}"#, "Invalid request: lease must be the number that came with the task"),
            (#"{"type":"ready","models":[null]}"#, "Invalid request: models must be an array of texts"),
        ])
    func refused(_ text: String, _ sentence: String) {
        #expect(problem { try readMessage(text) } == sentence)
    }

    @Test("an unknown type is repeated in part only")
    func longType() {
        let long = String(repeating: "é", count: 500)
        #expect(
            problem { try readMessage(#"{"type":"\#(long)"}"#) } == "Unknown message type: " + String(repeating: "é", count: 64))
    }

    @Test("a task's name is what its text says, escapes or not")
    func escapedTaskID() throws {
        for text in [Self.uuid, #"1e9651fd\u002d6aa1-4b2c-9d5e-0123456789\u0061b"#] {
            guard case .complete(let about, _) = try readMessage(#"{"type":"task_complete","taskId":"\#(text)"}"#) else {
                Issue.record("no completion")
                return
            }
            #expect(about.task == TaskID(high: 0x1e96_51fd_6aa1_4b2c, low: 0x9d5e_0123_4567_89ab))
        }
        #expect(try said(#"{"type":"task_logs","taskId":"a\/b \ud83d\ude00","logs":"l"}"#) == "logs a/b 😀 l")
    }

    @Test("a name's 200 bytes are bytes of what it says")
    func taskIDLength() throws {
        let escaped = String(repeating: #"\u0041"#, count: 200)
        #expect(try said(#"{"type":"task_logs","taskId":"\#(escaped)","logs":"l"}"#) == "logs \(String(repeating: "A", count: 200)) l")
        #expect(problem { try readMessage(#"{"type":"task_logs","taskId":"\#(escaped)A"}"#) } != nil)
    }

    @Test(
        "a progress beyond 0-100 is clamped",
        arguments: [
            ("-5", 0), ("-1e400", 0), ("0", 0), ("100", 100), ("100.1", 100), ("1e400", 100), ("1e-400", 0), ("33.3", 33.3),
        ])
    func clamped(_ number: String, _ percent: Double) throws {
        guard case .progress(_, let report) = try readMessage(#"{"type":"task_progress","taskId":"t","progress":\#(number)}"#) else {
            Issue.record("no progress")
            return
        }
        #expect(report.reported == percent)
    }

    @Test("a worker's words, models and places have their limits")
    func limits() throws {
        var limits = Limits()
        limits.progressTextBytesMax = 5
        limits.modelsMax = 2
        limits.nameBytesMax = 3
        limits.concurrencyMax = 8
        let progress = #"{"type":"task_progress","taskId":"t","progress":5,"#
        #expect(try said(progress + #""message":"12345","step":"12345"}"#, limits) == "progress t 5.0 12345 12345")
        let tooLong = "must be at most 5 bytes long"
        #expect(problem { try readMessage(progress + #""message":"123456"}"#, limits) } == "Invalid request: message \(tooLong)")
        #expect(problem { try readMessage(progress + #""step":"123456"}"#, limits) } == "Invalid request: step \(tooLong)")
        #expect(try said(#"{"type":"ready","concurrency":8,"models":["abc","b"]}"#, limits) == "ready 8 abc|b")
        #expect(
            problem { try readMessage(#"{"type":"ready","models":["a","b","a"]}"#, limits) }
                == "Invalid request: models must be at most 2 names")
        #expect(
            problem { try readMessage(#"{"type":"ready","models":["abcd"]}"#, limits) }
                == "Invalid request: models must be at most 3 bytes long")
        #expect(try said(#"{"type":"ready","cost_per_hour":1,"currency":"USD"}"#, limits) == "ready - - 1.0 USD")
        #expect(
            problem { try readMessage(#"{"type":"ready","cost_per_hour":1,"currency":"EURO"}"#, limits) }
                == "Invalid request: currency must be at most 3 bytes long")
        #expect(
            problem { try readMessage(#"{"type":"ready","concurrency":9}"#, limits) }
                == "Invalid request: concurrency must be a whole number from 1 to 8")
    }

    @Test(
        "what a task cost is as the worker wrote it, whatever it is; nothing where it said nothing",
        arguments: [
            (#","cost_info":{ "total_cost" : 1.50 }"#, #"{ "total_cost" : 1.50 }"#), (#","cost_info":5"#, "5"),
            (#","cost_info":null"#, nil), ("", nil),
        ] as [(String, String?)])
    func cost(_ member: String, _ expected: String?) throws {
        for type in ["task_complete", "task_error"] {
            let cost: Cost? =
                switch try readMessage(#"{"type":"\#(type)","taskId":"t"\#(member)}"#) {
                case .complete(_, let completion): completion.cost
                case .failed(_, let fault): fault.cost
                case .ready, .progress, .logs, .chunk, .status, .drain, .ping, .refresh: nil
                }
            #expect(cost == expected.map { .raw(SharedBytes($0)) })
        }
    }

    @Test("a model that is named twice is declared once")
    func repeatedModels() throws {
        #expect(try said(#"{"type":"ready","models":["a","b","a","\u0062"]}"#) == "ready - a|b")
    }

    @Test("a list of models has its limit, by what is in it and not by what it comes down to")
    func manyModels() throws {
        func ready(_ count: Int) -> String {
            #"{"type":"ready","models":["# + [String](repeating: #""m""#, count: count).joined(separator: ",") + "]}"
        }
        #expect(try said(ready(64)) == "ready - m")
        #expect(problem { try readMessage(ready(65)) } == "Invalid request: models must be at most 64 names")
    }

    // MARK: What workers are told

    @Test("connected: type, workerId, message, and how long a message may be")
    func connected() throws {
        let id = WorkerID(number: 1, suffix: 0x1234_abcd)
        let greeting = #"{"type":"connected","workerId":"W1-1234abcd","message":"Connected to Task Dispatcher","maxMessageBytes":65536}"#
        #expect(try written { WorkerDialect.writeConnected(id, messageBytesMax: 65_536, to: &$0) } == greeting)
    }

    @Test("a worker that came back names as many tasks as it may hold, and no more")
    func heldMax() throws {
        func ready(_ count: Int) -> String { list(Array(repeating: "\"t\"", count: count)) }
        func list(_ names: [String]) -> String { #"{"type":"ready","tasks":[\#(names.joined(separator: ","))]}"# }
        var limits = Limits()
        limits.concurrencyMax = 3
        let names = ["a", "b", "c", "d"].map { "\"\($0)\"" }
        #expect(try said(list(Array(names.prefix(3))), limits) == "ready - - holds a|b|c")
        #expect(try said(ready(3), limits) == "ready - - holds t")
        #expect(problem { try readMessage(list(names), limits) } == "Invalid request: tasks must be at most 3 names")
    }

    @Test("task: type, taskId, the number of its assignment, payload with the client's own bytes")
    func task() throws {
        let desk = Desk()
        let task = try desk.submit(#"{"data":{"n": 1.0},"messages":[ ],"model":"m\u0031"}"#)
        #expect(
            try written { WorkerDialect.writeTask(task, to: &$0) }
                == #"{"type":"task","taskId":"\#(task.id)","lease":\#(task.lease),"#
                    + #""payload":{"model":"m\u0031","messages":[ ],"data":{"n": 1.0}}}"#)
    }

    @Test("cancel, task_ack, pong, drain and refreshed")
    func words() throws {
        let id = TaskID(high: 0x1e96_51fd_6aa1_4b2c, low: 0x9d5e_0123_4567_89ab)
        #expect(try written { WorkerDialect.writeCancel(id, to: &$0) } == #"{"type":"cancel","taskId":"\#(Self.uuid)"}"#)
        #expect(try written { WorkerDialect.writeAcknowledgement(id, to: &$0) } == #"{"type":"task_ack","taskId":"\#(Self.uuid)"}"#)
        #expect(try written { WorkerDialect.writePong(to: &$0) } == #"{"type":"pong"}"#)
        #expect(try written { WorkerDialect.writeRefreshed(to: &$0) } == #"{"type":"refreshed"}"#)
        #expect(try written { WorkerDialect.writeDrain(to: &$0) } == #"{"type":"drain"}"#)
    }

    @Test(
        "a report that is not taken: type error, why, and the task's name, escaped as it must be",
        arguments: [
            (.unknownTask, "Task not found or expired"), (.notYours, "Task is not assigned to this worker"),
            (.leaseOver, "Task was assigned anew: this lease is over"),
            (.ended(.completed), "Task already completed"), (.ended(.failed), "Task already failed"),
            (.ended(.cancelled), "Task already cancelled"),
        ] as [(ReportRefusal, String)])
    func refusals(_ refusal: ReportRefusal, _ words: String) throws {
        let name = SharedBytes("a\"b\\💡")
        let id = TaskID(name.span) ?? TaskID(high: 0, low: 0)
        #expect(
            try written { WorkerDialect.write(refusal, of: id, to: &$0) }
                == #"{"type":"error","error":"\#(words)","taskId":"a\"b\\💡"}"#)
    }

    @Test("a message that cannot be read: type error and the sentence")
    func problems() throws {
        #expect(
            try written { WorkerDialect.write(RequestProblem.unknownType("a\"b"), to: &$0) }
                == #"{"type":"error","error":"Unknown message type: a\"b"}"#)
        #expect(try written { WorkerDialect.writeProblem("no\n", to: &$0) } == #"{"type":"error","error":"no\n"}"#)
    }
}
