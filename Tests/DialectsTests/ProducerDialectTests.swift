// ProducerDialectTests: what outside programs report, event by event, alone and in batches.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct ProducerDialectTests {
    // MARK: Reading

    /// An event as a line, for comparing.
    private func line(_ event: ProducerEvent) -> String {
        func text(_ bytes: SharedBytes?) -> String { bytes?.description ?? "-" }
        switch event {
        case .register(let task):
            return "register \(task.id) user=\(task.user) \(text(task.project)) \(text(task.type)) \(text(task.metadata))"
        case .started(let id): return "started \(id)"
        case .progress(let id, let report):
            let steps = "\(report.totalSteps.map { "\($0)" } ?? "-") \(report.completedSteps.map { "\($0)" } ?? "-")"
            return "progress \(id) \(report.reported.map { "\($0)" } ?? "-") \(text(report.message)) \(text(report.step)) "
                + "\(text(report.currentStep)) \(steps) \(text(report.stepInfo))"
        case .log(let id, let log): return "log \(id) \(log.logs) \(text(log.level)) \(text(log.source))"
        case .completed(let id, let result): return "completed \(id) \(result)"
        case .failed(let id, let fault):
            return "failed \(id) \(fault.error) \(text(fault.type)) \(text(fault.code)) \(text(fault.details))"
        case .cancelled(let id, let reason): return "cancelled \(id) \(text(reason))"
        }
    }

    private func withScratch<Value>(_ body: (inout ByteWriter) throws -> Value) rethrows -> Value {
        var scratch = ByteWriter()
        scratch.append("before")
        defer { #expect(scratch.count == 6, "the scratch is left as it was") }
        return try body(&scratch)
    }

    /// The one event of a message.
    private func read(_ text: String, _ limits: Limits = Limits()) throws -> String {
        let bytes = SharedBytes(text)
        let index = try JSONIndex(of: bytes)
        return try withScratch { scratch in
            line(try ProducerDialect.read(index.root, in: bytes.span, index, limits: limits, scratch: &scratch))
        }
    }

    /// The body of a request whose path says the rest.
    private func read(_ verb: ProducerVerb, _ id: String?, _ text: String) throws -> String {
        let bytes = SharedBytes(text)
        let index = try JSONIndex(of: bytes)
        return try withScratch { scratch in
            line(
                try ProducerDialect.read(
                    verb, id.map { SharedBytes($0).task }, bytes.span, index, limits: Limits(), scratch: &scratch))
        }
    }

    @Test(
        "every event, with what it needs and with what it may have beside; users' JSON byte for byte",
        arguments: [
            (
                #"{"event":"register","task_id":"interview_123","user_id":1,"task_type":"interview_generation","metadata":{"id": 123.0}}"#,
                #"register interview_123 user=1 - interview_generation {"id": 123.0}"#
            ),
            (#"{"event":"register","task_id":"t","user_id":"u\u0041","project_id":"p"}"#, "register t user=uA p - -"),
            (#"{"event":"register","task_id":"t","user_id":4.2e1,"project_id":7,"metadata":null}"#, "register t user=42 7 - -"),
            (#"{"event":"started","task_id":"t"}"#, "started t"),
            (
                #"{"event":"progress","task_id":"t","progress":50,"message":"正在生成问题..."}"#,
                "progress t 50.0 正在生成问题... - - - - -"
            ),
            (
                #"{"event":"progress","task_id":"t","progress":12.5,"message":"m","step":"s","current_step":"c","total_steps":10,"#
                    + #""completed_steps":4,"step_info":{ "n": 1.0 }}"#,
                "progress t 12.5 m s c 10 4 { \"n\": 1.0 }"
            ),
            (#"{"event":"progress","task_id":"t","current_step":3,"total_steps":0}"#, "progress t - - - 3 0 - -"),
            (#"{"event":"progress","task_id":"t"}"#, "progress t - - - - - - -"),
            (#"{"event":"log","task_id":"t","logs":"a\nb","level":"WARN","source":"gpu"}"#, "log t a\nb WARN gpu"),
            (#"{"event":"log","task_id":"t","logs":""}"#, "log t  - -"),
            (#"{"event":"completed","task_id":"t","result":{ "b":1e2, "a":1.0}}"#, #"completed t { "b":1e2, "a":1.0}"#),
            (#"{"event":"completed","task_id":"t","result":"x\u0041"}"#, #"completed t "x\u0041""#),
            (#"{"event":"completed","task_id":"t"}"#, "completed t null"),
            (
                #"{"event":"failed","task_id":"t","error":"e\n","error_type":"T","error_code":"C","error_details":[1.0]}"#,
                #"failed t raw("e\n") T C [1.0]"#
            ),
            (#"{"event":"failed","task_id":"t","error":{"a":1},"error_code":-5}"#, #"failed t raw({"a":1}) - -5 -"#),
            (#"{"event":"failed","task_id":"t"}"#, "failed t plain(Task failed) - - -"),
            (#"{"event":"cancelled","task_id":"t","reason":"r"}"#, "cancelled t r"),
            (#"{"event":"cancelled","task_id":"t"}"#, "cancelled t -"),
            (#"{"event":"st\u0061rted","task_id":"a\/b","unknown":[]}"#, "started a/b"),
        ])
    func events(_ text: String, _ expected: String) throws {
        #expect(try read(text) == expected)
    }

    @Test(
        "a figure is kept as it is reported, within 0 and 100",
        arguments: [
            ("0", "0.0"), ("100", "100.0"), ("-5", "0.0"), ("100.5", "100.0"), ("1e400", "100.0"), ("-1e400", "0.0"), ("33.25", "33.25"),
        ])
    func figures(_ number: String, _ expected: String) throws {
        #expect(
            try read(#"{"event":"progress","task_id":"t","progress":\#(number)}"#) == "progress t \(expected) - - - - - -")
    }

    @Test(
        "what cannot be read is named",
        arguments: [
            ("[]", "Invalid request: a JSON object is expected"), ("{}", "Invalid request: event required"),
            (#"{"event":5,"task_id":"t"}"#, "Invalid request: event must be a text"),
            (#"{"event":"begin","task_id":"t"}"#, "Unknown message type: begin"),
            (#"{"event":"started"}"#, "Invalid request: task_id required"),
            (#"{"event":"started","task_id":5}"#, "Invalid request: task_id must be a text"),
            (#"{"event":"started","task_id":""}"#, "Invalid request: task_id must be 1 to 200 bytes of printable text"),
            (#"{"event":"register","task_id":"t"}"#, "Invalid request: user_id required"),
            (#"{"event":"register","task_id":"t","user_id":""}"#, "Invalid request: user_id must be 1 to 200 bytes of printable text"),
            (#"{"event":"register","task_id":"t","user_id":1.5}"#, "Invalid request: user_id must be a text or a whole number"),
            (#"{"event":"register","task_id":"t","user_id":true}"#, "Invalid request: user_id must be a text or a whole number"),
            (
                #"{"event":"register","task_id":"t","user_id":1,"project_id":{}}"#,
                "Invalid request: project_id must be a text or a whole number"
            ),
            (#"{"event":"register","task_id":"t","user_id":1,"task_type":5}"#, "Invalid request: task_type must be a text"),
            (#"{"event":"register","task_id":"t","user_id":1,"metadata":[]}"#, "Invalid request: metadata must be an object"),
            (#"{"event":"progress","task_id":"t","progress":"50"}"#, "Invalid request: progress must be a number"),
            (#"{"event":"progress","task_id":"t","message":5}"#, "Invalid request: message must be a text"),
            (#"{"event":"progress","task_id":"t","step":5}"#, "Invalid request: step must be a text"),
            (#"{"event":"progress","task_id":"t","current_step":[]}"#, "Invalid request: current_step must be a text or a whole number"),
            (#"{"event":"progress","task_id":"t","step_info":"x"}"#, "Invalid request: step_info must be an object"),
            (#"{"event":"progress","task_id":"t","total_steps":"5"}"#, "Invalid request: total_steps must be a number"),
            (
                #"{"event":"progress","task_id":"t","total_steps":1.5}"#,
                "Invalid request: total_steps must be a whole number from 0 to 1000000000"
            ),
            (
                #"{"event":"progress","task_id":"t","completed_steps":-1}"#,
                "Invalid request: completed_steps must be a whole number from 0 to 1000000000"
            ),
            (
                #"{"event":"progress","task_id":"t","completed_steps":1e400}"#,
                "Invalid request: completed_steps must be a whole number from 0 to 1000000000"
            ),
            (#"{"event":"log","task_id":"t"}"#, "Invalid request: logs required"),
            (#"{"event":"log","task_id":"t","logs":["a"]}"#, "Invalid request: logs must be a text"),
            (#"{"event":"log","task_id":"t","logs":"a","level":5}"#, "Invalid request: level must be a text"),
            (#"{"event":"log","task_id":"t","logs":"a","source":5}"#, "Invalid request: source must be a text"),
            (#"{"event":"failed","task_id":"t","error_type":5}"#, "Invalid request: error_type must be a text"),
            (#"{"event":"failed","task_id":"t","error_code":1.5}"#, "Invalid request: error_code must be a text or a whole number"),
            (#"{"event":"cancelled","task_id":"t","reason":{}}"#, "Invalid request: reason must be a text"),
        ])
    func refused(_ text: String, _ sentence: String) {
        #expect(problem { try read(text) } == sentence)
    }

    @Test("texts have their limits")
    func limits() throws {
        var limits = Limits()
        limits.progressTextBytesMax = 5
        limits.nameBytesMax = 3
        func sentence(_ members: String) -> String? { problem { try read("{\"task_id\":\"t\",\(members)}", limits) } }
        #expect(sentence(#""event":"progress","message":"12345","step":"12345","current_step":"12345""#) == nil)
        for member in ["message", "step", "current_step"] {
            #expect(sentence(#""event":"progress","\#(member)":"123456""#) == "Invalid request: \(member) must be at most 5 bytes long")
        }
        #expect(sentence(#""event":"cancelled","reason":"123456""#) == "Invalid request: reason must be at most 5 bytes long")
        for member in ["level", "source"] {
            #expect(sentence(#""event":"log","logs":"","\#(member)":"1234""#) == "Invalid request: \(member) must be at most 3 bytes long")
        }
        for member in ["error_type", "error_code"] {
            #expect(sentence(#""event":"failed","\#(member)":"1234""#) == "Invalid request: \(member) must be at most 3 bytes long")
        }
        #expect(
            sentence(#""event":"register","user_id":1,"task_type":"1234""#) == "Invalid request: task_type must be at most 3 bytes long")
        let long = String(repeating: "x", count: 201)
        for member in ["user_id", "project_id"] {
            #expect(
                sentence(#""event":"register","user_id":1,"\#(member)":"\#(long)""#)
                    == "Invalid request: \(member) must be at most 200 bytes long")
        }
        let logs = String(repeating: "x", count: Limits().logBytesMax)
        #expect(sentence(#""event":"log","logs":"\#(logs)""#) == nil)
        #expect(sentence(#""event":"log","logs":"\#(logs)x""#) == "Invalid request: logs must be at most 65536 bytes long")
    }

    @Test("over HTTP the path says what it is and of which task, but for register")
    func paths() throws {
        #expect(try read(.progress, "t", #"{"progress":5,"task_id":"other","event":"failed"}"#) == "progress t 5.0 - - - - - -")
        #expect(try read(.register, nil, #"{"task_id":"t","user_id":1}"#) == "register t user=1 - - -")
        #expect(problem { try read(.register, nil, "{}") } == "Invalid request: task_id required")
        #expect(problem { try read(.log, "t", "{}") } == "Invalid request: logs required")
        #expect(problem { try read(.log, "t", "[]") } == "Invalid request: a JSON object is expected")
    }

    @Test("an empty body is enough where nothing has to be said")
    func emptyBody() {
        let lines = ProducerVerb.allCases.map { verb in ProducerDialect.event(verb, Happenings.id).map { line($0) } }
        #expect(
            lines == [
                nil, "started interview_123", nil, nil, "completed interview_123 null",
                "failed interview_123 plain(Task failed) - - -", "cancelled interview_123 -",
            ])
    }

    @Test("every event names its task")
    func tasks() throws {
        for verb in ProducerVerb.allCases {
            let bytes = SharedBytes(#"{"event":"\#(verb.word)","task_id":"interview_123","user_id":1,"logs":""}"#)
            let index = try JSONIndex(of: bytes)
            let event = try withScratch {
                try ProducerDialect.read(index.root, in: bytes.span, index, limits: Limits(), scratch: &$0)
            }
            #expect(event.task == Happenings.id)
        }
    }

    // MARK: Many at once

    /// The events of a message, each by itself: what it says, or what is wrong with it, and its mark.
    private func messages(_ text: String, isBatch: Bool = false) throws -> [String] {
        let bytes = SharedBytes(text)
        let index = try JSONIndex(of: bytes)
        let events =
            isBatch ? try ProducerDialect.events(ofBatch: bytes.span, index) : try ProducerDialect.events(ofMessage: index)
        return withScratch { scratch in
            events.map { node in
                let mark: String
                do throws(RequestProblem) {
                    mark = try ProducerDialect.mark(of: node, in: bytes.span, index)?.description ?? "-"
                } catch {
                    mark = error.sentence
                }
                do throws(RequestProblem) {
                    let event = try ProducerDialect.read(node, in: bytes.span, index, limits: Limits(), scratch: &scratch)
                    return "\(mark) \(line(event))"
                } catch {
                    return "\(mark) \(error.sentence)"
                }
            }
        }
    }

    @Test("a message is one event or an array of them; one that is wrong spoils no other")
    func message() throws {
        #expect(try messages(#"{"event":"started","task_id":"t"}"#) == ["- started t"])
        #expect(try messages("[]") == [])
        #expect(
            try messages(#"[{"event":"started","task_id":"a","ack":1},5,{"event":"x","ack":2},[],{"event":"cancelled","task_id":"b"}]"#)
                == [
                    "1 started a", "- Invalid request: a JSON object is expected", "2 Unknown message type: x",
                    "- Invalid request: a JSON object is expected", "- cancelled b -",
                ])
        #expect(try messages("5") == ["- Invalid request: a JSON object is expected"])
    }

    @Test("a batch is an object with events")
    func batch() throws {
        #expect(
            try messages(#"{"events":[{"event":"started","task_id":"a"},{"event":"started"}]}"#, isBatch: true) == [
                "- started a", "- Invalid request: task_id required",
            ])
        #expect(try messages(#"{"events":[]}"#, isBatch: true) == [])
        #expect(problem { try messages("[]", isBatch: true) } == "Invalid request: a JSON object is expected")
        #expect(problem { try messages("{}", isBatch: true) } == "Invalid request: events required")
        #expect(problem { try messages(#"{"events":{}}"#, isBatch: true) } == "Invalid request: events must be an array of objects")
    }

    @Test("a message has at most so many events")
    func manyEvents() throws {
        func list(_ count: Int) -> String { "[" + [String](repeating: "0", count: count).joined(separator: ",") + "]" }
        let sentence = "Invalid request: events must be at most 10000 objects"
        #expect(try messages(list(10_000)).count == 10_000)
        #expect(problem { try messages(list(10_001)) } == sentence)
        #expect(try messages("{\"events\":\(list(10_000))}", isBatch: true).count == 10_000)
        #expect(problem { try messages("{\"events\":\(list(10_001))}", isBatch: true) } == sentence)
    }

    @Test(
        "a mark is a number, and comes back as it came",
        arguments: [
            ("7", "7"), ("1.50", "1.50"), ("-0", "-0"), ("null", "-"), ("\"7\"", "Invalid request: ack must be a number"),
            ("true", "Invalid request: ack must be a number"),
            (String(repeating: "1", count: 64), String(repeating: "1", count: 64)),
            (String(repeating: "1", count: 65), "Invalid request: ack must be at most 64 bytes long"),
        ])
    func marks(_ value: String, _ expected: String) throws {
        #expect(try messages(#"{"event":"started","task_id":"t","ack":\#(value)}"#) == ["\(expected) started t"])
    }
}
