// TaskDialect+ClientTests: what a client of a task's socket says, and what it alone is told, as document G shows it.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct TaskDialectClientTests {
    private func read(_ text: String) throws -> TaskClientMessage {
        let bytes = SharedBytes(text)
        let index = try JSONIndex(of: bytes)
        var scratch = ByteWriter()
        scratch.append("before")
        defer { #expect(scratch.count == 6, "the scratch is left as it was") }
        return try TaskDialect.read(bytes.span, index, scratch: &scratch)
    }

    // MARK: From the client

    @Test(
        "every type of message",
        arguments: [
            (#"{"type": "ping","timestamp": "2024-01-01T10:05:00Z"}"#, .ping), (#"{"type":"p\u0069ng","timestamp":5}"#, .ping),
            (#"{"type": "get_status","timestamp": "2024-01-01T10:05:00Z" }"#, .getStatus),
            (#"{"type":"refresh","token":"a.b.c"}"#, .refresh(token: SharedBytes("a.b.c"))),
            (#"{"token":"a\u002eb.c","type":"refresh"}"#, .refresh(token: SharedBytes("a.b.c"))),
        ] as [(String, TaskClientMessage)])
    func messages(_ text: String, _ expected: TaskClientMessage) throws {
        #expect(try read(text) == expected)
    }

    @Test(
        "what cannot be read is named",
        arguments: [
            ("[]", "Invalid request: a JSON object is expected"), (#""ping""#, "Invalid request: a JSON object is expected"),
            ("{}", "Invalid request: type required"), (#"{"type":null}"#, "Invalid request: type required"),
            (#"{"type":5}"#, "Invalid request: type must be a text"), (#"{"type":"PING"}"#, "Unknown message type: PING"),
            (#"{"type":"subscribe"}"#, "Unknown message type: subscribe"), (#"{"type":"refresh"}"#, "Invalid request: token required"),
            (#"{"type":"refresh","token":5}"#, "Invalid request: token must be a text"),
        ])
    func problems(_ text: String, _ expected: String) {
        #expect(problem { try read(text) } == expected)
    }

    @Test("an unknown type is not repeated at any length, and neither is a token")
    func longWords() {
        let word = String(repeating: "x", count: 65)
        #expect(problem { try read(#"{"type":"\#(word)"}"#) } == "Unknown message type: \(word.dropLast())")
        let token = String(repeating: "x", count: BearerToken.bytesMax + 1)
        #expect(
            problem { try read(#"{"type":"refresh","token":"\#(token)"}"#) } == "Invalid request: token must be at most 8192 bytes long")
        #expect(problem { try read(#"{"type":"refresh","token":"\#(token.dropLast())"}"#) } == nil)
    }

    // MARK: To the client

    @Test("connection_established")
    func connected() throws {
        #expect(
            try written { TaskDialect.writeConnected(number: 123, to: TaskSample.id, at: TaskSample.time(0), to: &$0) }
                == #"{"type":"connection_established","connection_id":"conn_123_1704103200","task_id":"task-uuid","#
                + #""timestamp":"2024-01-01T10:00:00.000Z","message":"WebSocket connection established"}"#)
    }

    @Test("current_status of a task that runs")
    func currentStatus() throws {
        #expect(
            try written { TaskDialect.writeCurrentStatus(TaskSample.snapshot(), at: TaskSample.time(0), to: &$0) }
                == #"{"type":"current_status","task_id":"task-uuid","status":"running","message":"Current task status: running","#
                + #""progress":45,"created_at":"2024-01-01T09:00:00.000Z","started_at":"2024-01-01T09:05:00.000Z","#
                + #""provider":"runpod","priority":"normal","timestamp":"2024-01-01T10:00:00.000Z","seq":7}"#)
    }

    @Test("current_status of a task that waits: what is not known is null")
    func waitingStatus() throws {
        let task = TaskSnapshot(
            id: TaskSample.id, state: .queued, progress: 5, sequence: 1, priority: .high, createdAt: TaskSample.time(-1))
        #expect(
            try written { TaskDialect.writeCurrentStatus(task, at: TaskSample.time(0), to: &$0) }
                == #"{"type":"current_status","task_id":"task-uuid","status":"pending","message":"Current task status: pending","#
                + #""progress":5,"created_at":"2024-01-01T09:59:59.000Z","started_at":null,"provider":null,"priority":"high","#
                + #""timestamp":"2024-01-01T10:00:00.000Z","seq":1}"#)
    }

    @Test("status_response, in each state", arguments: zip(TaskState.allCases, ["pending", "running", "completed", "failed", "cancelled"]))
    func statusResponse(_ state: TaskState, _ word: String) throws {
        #expect(
            try written { TaskDialect.writeStatusResponse(TaskSample.snapshot(state), at: TaskSample.time(1), to: &$0) }
                == #"{"type":"status_response","task_id":"task-uuid","status":"\#(word)","timestamp":"2024-01-01T10:00:01.000Z","seq":7}"#)
    }

    @Test("logs that were left out")
    func gap() throws {
        #expect(
            try written { TaskDialect.writeGap(of: TaskSample.id, from: 5, through: 9, at: TaskSample.time(30), to: &$0) }
                == #"{"type":"gap","task_id":"task-uuid","first_seq":5,"last_seq":9,"timestamp":"2024-01-01T10:00:30.000Z"}"#)
    }

    @Test("heartbeat")
    func heartbeat() throws {
        #expect(
            try written { TaskDialect.writeHeartbeat(TaskSample.id, at: TaskSample.time(30), to: &$0) }
                == #"{"type":"heartbeat","task_id":"task-uuid","timestamp":"2024-01-01T10:00:30.000Z"}"#)
    }

    @Test("pong, and the answer to refresh")
    func pong() throws {
        #expect(
            try written { TaskDialect.writePong(at: TaskSample.time(0), to: &$0) }
                == #"{"type":"pong","timestamp":"2024-01-01T10:00:00.000Z"}"#)
        #expect(
            try written { TaskDialect.writeRefreshed(at: TaskSample.time(0), to: &$0) }
                == #"{"type":"refreshed","timestamp":"2024-01-01T10:00:00.000Z"}"#)
    }

    @Test(
        "error: the document's sentence for what is no JSON, a clear one for the rest",
        arguments: [
            (.malformed(JSONError(.expectedValue, at: 5)), "Invalid JSON format"),
            (.unknownType("a\"b"), #"Unknown message type: a\"b"#), (.missing(member: "type"), "Invalid request: type required"),
            (.notAnObject, "Invalid request: a JSON object is expected"),
        ] as [(RequestProblem, String)])
    func errors(_ problem: RequestProblem, _ words: String) throws {
        #expect(
            try written { TaskDialect.writeError(problem, at: TaskSample.time(0), to: &$0) }
                == #"{"type":"error","message":"Error processing message: \#(words)","timestamp":"2024-01-01T10:00:00.000Z"}"#)
    }
}
