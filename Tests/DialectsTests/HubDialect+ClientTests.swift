// HubDialect+ClientTests: document P's words between the hub and one client.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct HubDialectClientTests {
    private let stamp = #""timestamp":"2026-01-20T10:30:00Z""#

    private func message(_ type: String, _ payload: String, task: String = "") -> String {
        #"{"type":"\#(type)","task_id":"\#(task)","payload":{\#(payload)}}"#
    }

    // MARK: To one client

    private static let client = ClientID(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210)
    private static let old = ClientID(high: 0, low: 1)

    @Test("connected: client_id, message, timestamp")
    func connected() throws {
        #expect(
            try written { HubDialect.writeConnected(Self.client, at: Happenings.at, to: &$0) }
                == message(
                    "connected", #""client_id":"client-0123456789abcdeffedcba9876543210","message":"WebSocket连接成功",\#(stamp)"#))
    }

    @Test("reconnected: the document's members, and what is lost for good where something is")
    func reconnected() throws {
        let (first, second) = (SharedBytes("task-\"1").task, TaskID(high: 0x1e96_51fd_6aa1_4b2c, low: 0x9d5e_0123_4567_89ab))
        func reconnected(_ tasks: [HubDialect.Resumption]) throws -> String {
            try written { HubDialect.writeReconnected(Self.client, formerly: Self.old, tasks, at: Happenings.at, to: &$0) }
        }
        func expected(_ rest: String) -> String {
            message(
                "reconnected",
                #""client_id":"client-0123456789abcdeffedcba9876543210","old_client_id":"client-00000000000000000000000000000001","#
                    + #""message":"WebSocket重连成功",\#(rest),\#(stamp)"#)
        }
        let both = #""subscribed":{"task-\"1":true,"1e9651fd-6aa1-4b2c-9d5e-0123456789ab":true}"#
        #expect(try reconnected([]) == expected(#""subscribed":{}"#))
        #expect(try reconnected([.init(first, isRecovered: true), .init(second, isRecovered: true)]) == expected(both))
        #expect(
            try reconnected([.init(first, isRecovered: true), .init(second, isRecovered: false)])
                == expected(both + #","recovered":{"1e9651fd-6aa1-4b2c-9d5e-0123456789ab":false}"#))
    }

    @Test("subscribed and unsubscribed name every topic")
    func topics() throws {
        let topics = [SharedBytes("task-001").task, SharedBytes("t\"").task, TaskID(high: 0, low: 5)]
        let payload = #""topics":["task-001","t\"","00000000-0000-0000-0000-000000000005"]"#
        #expect(try written { HubDialect.writeSubscribed(topics, to: &$0) } == message("subscribed", payload))
        #expect(try written { HubDialect.writeUnsubscribed(topics, to: &$0) } == message("unsubscribed", payload))
        #expect(try written { HubDialect.writeUnsubscribed([], to: &$0) } == message("unsubscribed", #""topics":[]"#))
    }

    @Test("pong has a number of seconds; refreshed and error a text")
    func answers() throws {
        #expect(try written { HubDialect.writePong(at: Happenings.at, to: &$0) } == message("pong", #""timestamp":1768905000"#))
        #expect(try written { HubDialect.writeRefreshed(at: Happenings.at, to: &$0) } == message("refreshed", stamp))
        #expect(
            try written { HubDialect.writeProblem("no\"", at: Happenings.at, to: &$0) }
                == message("error", #""execution_id":"","step_id":"","error":"no\"",\#(stamp)"#))
        #expect(
            try written { HubDialect.writeProblem("no", about: Happenings.id, at: Happenings.at, to: &$0) }
                == message("error", #""execution_id":"interview_123","step_id":"","error":"no",\#(stamp)"#, task: "interview_123"))
    }

    // MARK: What clients say

    private func said(_ text: String) throws -> String {
        let bytes = SharedBytes(text)
        let index = try JSONIndex(of: bytes)
        var scratch = ByteWriter()
        scratch.append("before")
        defer { #expect(scratch.count == 6, "the scratch is left as it was") }
        switch try HubDialect.read(bytes.span, index, scratch: &scratch) {
        case .subscribe(let id): return "subscribe \(id)"
        case .unsubscribe(let id): return "unsubscribe \(id)"
        case .ping: return "ping"
        case .refresh(let token): return "refresh \(token)"
        }
    }

    @Test(
        "a command's word stands in action or in type",
        arguments: [
            (#"{"action":"subscribe","task_id":"task-001"}"#, "subscribe task-001"),
            (#"{"type":"subscribe","task_id":"task-001"}"#, "subscribe task-001"),
            (#"{"action":"unsubscribe","task_id":"task-001"}"#, "unsubscribe task-001"),
            (#"{"type":"unsubscribe","task_id":"task-001"}"#, "unsubscribe task-001"),
            (#"{"type":"ping"}"#, "ping"), (#"{"action":"ping"}"#, "ping"), (#"{"action":null,"type":"ping"}"#, "ping"),
            (#"{"action":"ping","type":"subscribe"}"#, "ping"),
            (#"{"type":"refresh","token":"a.b.c"}"#, "refresh a.b.c"), (#"{"action":"refresh","token":"a.b.c"}"#, "refresh a.b.c"),
        ])
    func commands(_ text: String, _ expected: String) throws {
        #expect(try said(text) == expected)
    }

    @Test(
        "what cannot be read is named",
        arguments: [
            ("5", "Invalid request: a JSON object is expected"), ("{}", "Invalid request: action required"),
            (#"{"action":5,"type":"ping"}"#, "Invalid request: action must be a text"),
            (#"{"type":[]}"#, "Invalid request: type must be a text"), (#"{"action":"list"}"#, "Unknown message type: list"),
            (#"{"action":"subscribe"}"#, "Invalid request: task_id required"),
            (#"{"action":"unsubscribe","task_id":[]}"#, "Invalid request: task_id must be a text"),
            (#"{"action":"refresh"}"#, "Invalid request: token required"),
        ])
    func refused(_ text: String, _ sentence: String) {
        #expect(problem { try said(text) } == sentence)
    }
}
