// DispatchAPITests: the body of POST /api/openai: which members it may have, what they may say, and which bytes go through untouched.
import Base
import Domain
import Testing

@testable import Dialects

struct DispatchAPITests {
    // MARK: Members

    @Test("a body with everything")
    func everything() throws {
        let order = try readOrder(
            #"""
            {"data":{"a":1},"messages":[{"role":"user"}],"model":"gpt-4","group":"gpu-cluster","timeout":120000,"async":true,
             "retries":3,"priority":"high","idempotencyKey":"k-1","unknown":{"group":5},"temperature":0.7}
            """#)
        #expect(order.isAsync)
        let submission = order.submission
        #expect(submission.payload.description == #"{"model":"gpt-4","messages":[{"role":"user"}],"data":{"a":1}}"#)
        #expect(submission.model == SharedBytes("gpt-4") && submission.group == SharedBytes("gpu-cluster"))
        #expect(submission.timeout == .seconds(120) && submission.retries == 3 && submission.priority == .high)
        #expect(submission.idempotencyKey == SharedBytes("k-1"))
    }

    @Test(
        "what a body leaves out has the document's defaults, and null is left out",
        arguments: [
            #"{"data":{}}"#,
            #"{"data":{},"messages":null,"model":null,"group":null,"timeout":null,"async":null,"retries":null,"priority":null,"#
                + #""idempotencyKey":null}"#,
        ])
    func defaults(_ body: String) throws {
        let order = try readOrder(body)
        #expect(!order.isAsync)
        let submission = order.submission
        #expect(submission.payload.description == #"{"model":"default","data":{}}"#)
        #expect(submission.model == nil && submission.group == nil && submission.timeout == nil && submission.retries == 0)
        #expect(submission.priority == .normal && submission.idempotencyKey == nil)
    }

    @Test("a member's name may be spelled with escapes")
    func escapedNames() throws {
        let order = try readOrder(#"{"d\u0061ta":{"a":1},"tim\u0065out":5000,"gro\u0075p":"g"}"#)
        #expect(order.submission.payload.description == #"{"model":"default","data":{"a":1}}"#)
        #expect(order.submission.timeout == .seconds(5) && order.submission.group == SharedBytes("g"))
    }

    @Test(
        "data or messages is needed",
        arguments: [
            "{}", #"{"data":null}"#, #"{"data":null,"messages":null}"#, #"{"model":"m","group":"g"}"#, #"{"Data":{},"DATA":{}}"#,
        ])
    func nothingToDo(_ body: String) {
        #expect(problem { try readOrder(body) } == "Invalid request: data or messages required")
    }

    @Test(
        "either of them is enough, also an empty one",
        arguments: [
            (#"{"data":{}}"#, #"{"model":"default","data":{}}"#), (#"{"messages":[]}"#, #"{"model":"default","messages":[]}"#),
            (#"{"messages":[],"data":null}"#, #"{"model":"default","messages":[]}"#),
        ])
    func either(_ body: String, _ payload: String) throws {
        #expect(try readOrder(body).submission.payload.description == payload)
    }

    @Test("a body is an object", arguments: ["[]", "5", "null", #""data""#, "true", #"[{"data":{}}]"#])
    func notAnObject(_ body: String) {
        #expect(problem { try readOrder(body) } == "Invalid request: a JSON object is expected")
    }

    /// Values of every kind, and of which kinds each member is.
    private static let values = [
        ("object", "{}"), ("array", "[]"), ("text", #""x""#), ("number", "5"), ("truth", "true"), ("truth", "false"),
    ]
    private static let members = [
        ("data", "object", "an object"), ("messages", "array", "an array"), ("model", "text", "a text"), ("group", "text", "a text"),
        ("timeout", "number", "a number"), ("async", "truth", "true or false"), ("retries", "number", "a number"),
        ("idempotencyKey", "text", "a text"),
    ]

    @Test("a known member of a wrong type is named", arguments: members)
    func wrongTypes(_ name: String, _ kind: String, _ expected: String) {
        for (other, value) in Self.values {
            // The member that is tested counts as the last of two.
            let answer = problem { try readOrder(#"{"data":{},"messages":[],"\#(name)":\#(value)}"#) }
            #expect(answer == (other == kind ? nil : "Invalid request: \(name) must be \(expected)"), "\(name): \(value)")
        }
    }

    @Test(
        "a priority is one of three words",
        arguments: [
            (#""low""#, .low), (#""normal""#, .normal), (#""high""#, .high), (#""h\u0069gh""#, .high), (#""High""#, nil), (#""""#, nil),
            (#""urgent""#, nil), ("1", nil), ("true", nil), ("[]", nil),
        ] as [(String, Priority?)])
    func priorities(_ value: String, _ expected: Priority?) {
        let body = #"{"data":{},"priority":\#(value)}"#
        if let expected {
            #expect((try? readOrder(body))?.submission.priority == expected)
        } else {
            #expect(problem { try readOrder(body) } == "Invalid request: priority must be one of low, normal, high")
        }
    }

    @Test("of equal members the last one counts, in the order and in what the worker gets")
    func duplicates() throws {
        let order = try readOrder(#"{"data":{"a":1},"group":5,"model":"m","data":{"b":2},"group":"g","m\u006fdel":"n"}"#)
        #expect(order.submission.payload.description == #"{"model":"n","data":{"b":2}}"#)
        #expect(order.submission.group == SharedBytes("g") && order.submission.model == SharedBytes("n"))
    }

    @Test("an empty group is the default group, as in a worker's address")
    func emptyGroup() throws {
        #expect(try readOrder(#"{"data":{},"group":""}"#).submission.group == nil)
    }

    @Test("a member may be written with escapes")
    func escapedMembers() throws {
        #expect(try readOrder(#"{"d\u0061ta":{},"\u0061sync":true}"#).isAsync)
    }

    // MARK: Bytes that go through

    @Test(
        "values of the user reach the worker byte for byte",
        arguments: [
            #"{"n":1.0,"m":1e2,"big":123456789012345678901234567890,"neg":-0.0,"tiny":1E-999,"exp":1.50e+10}"#,
            #"{"a":"\u00e9\/\n\ud83d\ude00","b":"é💡","c":"\ud800"}"#,
            #"{ "z" : 1 , "a" : [ 1 ,2,  3 ] , "a" : null }"#,
            "{\n\t\"nested\": {\"deep\": [[[{}]]]}\r\n}",
        ])
    func verbatimData(_ data: String) throws {
        #expect(try readOrder(#"{"data": \#(data) }"#).submission.payload.description == #"{"model":"default","data":\#(data)}"#)
        #expect(
            try readOrder(#"{"messages":[\#(data) ]}"#).submission.payload.description == #"{"model":"default","messages":[\#(data) ]}"#)
    }

    @Test("a model reaches the worker as it was written, and is compared as what it says")
    func verbatimModel() throws {
        let submission = try readOrder(#"{"data":{},"model":"jimeng\u002d4.0\/\u00e9"}"#).submission
        #expect(submission.model == SharedBytes("jimeng-4.0/é"))
        #expect(submission.payload.description == #"{"model":"jimeng\u002d4.0\/\u00e9","data":{}}"#)
    }

    // MARK: Numbers

    @Test(
        "a timeout is any number of milliseconds; the broker clamps it",
        arguments: [
            ("5000", 5_000), ("5000.9", 5_000), ("5e3", 5_000), ("0", 5_000), ("-5", 5_000), ("-1e400", 5_000), ("-0.0", 5_000),
            ("1e400", 600_000), ("1e-400", 5_000), ("9223372036854775808", 600_000), ("1e18", 600_000), ("7000", 7_000),
            ("123456789012345678901234567890", 600_000), ("600000.5", 600_000),
        ] as [(String, Int64)])
    func timeouts(_ written: String, _ milliseconds: Int64) throws {
        let task = try Desk().submit(#"{"data":{},"timeout":\#(written)}"#)
        #expect(task.timeout == .milliseconds(milliseconds))
    }

    @Test(
        "retries are a whole number within the limit",
        arguments: [
            ("0", 0), ("1", 1), ("100", 100), ("1e2", 100), ("2.0", 2), ("-0", 0), ("-0.0", 0), ("101", nil), ("-1", nil), ("0.5", nil),
            ("1e400", nil), ("-1e400", nil), ("1e18", nil), ("1e-400", 0), ("99999999999999999999", nil),
        ] as [(String, Int?)])
    func retries(_ written: String, _ count: Int?) {
        let body = #"{"data":{},"retries":\#(written)}"#
        #expect((try? readOrder(body))?.submission.retries == count)
        if count == nil { #expect(problem { try readOrder(body) } == "Invalid request: retries must be a whole number from 0 to 100") }
    }

    // MARK: Lengths

    @Test(
        "names and keys have their limits, in bytes of what they say",
        arguments: [
            ("model", 200), ("group", 200), ("idempotencyKey", 255),
        ])
    func lengths(_ name: String, _ bytesMax: Int) {
        func answer(_ value: String) -> String? { problem { try readOrder(#"{"data":{},"\#(name)":"\#(value)"}"#) } }
        let sentence = "Invalid request: \(name) must be at most \(bytesMax) bytes long"
        #expect(answer(String(repeating: "x", count: bytesMax)) == nil)
        #expect(answer(String(repeating: "x", count: bytesMax + 1)) == sentence)
        // Six bytes of an escape are one of the text.
        #expect(answer(String(repeating: #"\u0041"#, count: bytesMax)) == nil)
        #expect(answer(String(repeating: #"\u0041"#, count: bytesMax + 1)) == sentence)
        #expect(answer(String(repeating: #"\n"#, count: bytesMax + 1)) == sentence)
        #expect(answer(String(repeating: "é", count: bytesMax / 2)) == nil)
        #expect(answer(String(repeating: "é", count: bytesMax / 2 + 1)) == sentence)
    }

    @Test("the limits are the ones given")
    func limits() {
        var limits = Limits()
        limits.nameBytesMax = 3
        limits.retriesMax = 1
        limits.idempotencyKeyBytesMax = 2
        for (member, sentence) in [
            (#""group":"four""#, "group must be at most 3 bytes long"), (#""model":"four""#, "model must be at most 3 bytes long"),
            (#""retries":2"#, "retries must be a whole number from 0 to 1"),
            (#""idempotencyKey":"abc""#, "idempotencyKey must be at most 2 bytes long"),
        ] {
            #expect(problem { try readOrder(#"{"data":{},\#(member)}"#, limits) } == "Invalid request: " + sentence)
        }
    }

    // MARK: Idempotency keys

    @Test(
        "the member goes before the header, the header before nothing",
        arguments: [
            (#""m""#, "h", "m"), (#""m""#, nil, "m"), ("null", "h", "h"), ("null", nil, nil),
        ] as [(String, String?, String?)])
    func keys(_ member: String, _ header: String?, _ expected: String?) throws {
        let order = try readOrder(#"{"data":{},"idempotencyKey":\#(member)}"#, key: header)
        #expect(order.submission.idempotencyKey == expected.map { SharedBytes($0) })
    }

    @Test("an empty key is no key: whoever leaves it empty does not mean everybody else's task")
    func emptyKeys() throws {
        #expect(try readOrder(#"{"data":{},"idempotencyKey":""}"#).submission.idempotencyKey == nil)
        #expect(try readOrder(#"{"data":{}}"#, key: "").submission.idempotencyKey == nil)
        #expect(try readOrder(#"{"data":{},"idempotencyKey":""}"#, key: "h").submission.idempotencyKey == SharedBytes("h"))
    }
}
