// EventStreamDialectTests: a task's events as lines of a text/event-stream, read back as a browser reads them.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct EventStreamDialectTests {
    /// What a browser makes of a stream (HTML, "Interpreting an event stream").
    private struct Message: Equatable {
        var id: String
        var event: String
        var data: String
    }

    private func streamed(_ write: (inout ByteWriter) -> Void) -> String {
        var writer = ByteWriter()
        write(&writer)
        return writer.seal().description
    }

    private func messages(_ stream: String) -> [Message] {
        var messages: [Message] = []
        var lastID = ""
        var event = ""
        var data: [String] = []
        // A line ends with a line feed, a carriage return or both; Swift takes both for one character.
        for line in stream.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r" || $0 == "\r\n" }) {
            if line.isEmpty {
                if !data.isEmpty { messages.append(Message(id: lastID, event: event, data: data.joined(separator: "\n"))) }
                event = ""
                data = []
            } else if line.hasPrefix("id: ") {
                lastID = String(line.dropFirst(4))
            } else if line.hasPrefix("event: ") {
                event = String(line.dropFirst(7))
            } else if line.hasPrefix("data: ") {
                data.append(String(line.dropFirst(6)))
            } else if !line.hasPrefix(":") {
                Issue.record("a line that is no field: \(line)")
            }
        }
        return messages
    }

    // MARK: Messages

    @Test("an event: its number, its type, and the message of the task's socket")
    func event() throws {
        let publication = TaskSample.publication(.queued, .queued, progress: 5)
        let message = try written { TaskDialect.write(publication, to: &$0) }
        #expect(
            streamed { EventStreamDialect.write(publication, to: &$0) } == "id: 7\nevent: task_status_update\ndata: \(message)\n\n")
    }

    @Test("every message of every event", arguments: TaskSample.all)
    func events(_ end: TaskSample.End) throws {
        let publication = TaskSample.publication(end.event, end.state, progress: 60)
        let read = messages(streamed { EventStreamDialect.write(publication, to: &$0) })
        #expect(read.map(\.event) == end.types)
        for (part, message) in read.enumerated() {
            #expect(message.data == (try written { TaskDialect.write(publication, part: part, to: &$0) }))
            // The event is seen once its last message is.
            #expect(message.id == (part == end.types.count - 1 ? "7" : ""))
        }
    }

    @Test("a watcher that comes after the end reads the same", arguments: TaskSample.ends)
    func lateWatcher(_ end: TaskSample.End) {
        let publication = TaskSample.publication(end.event, end.state, progress: 60)
        let snapshot = TaskSample.snapshot(end.state, progress: 60)
        #expect(
            streamed { EventStreamDialect.writeEnding(end.event, of: snapshot, at: TaskSample.time(0), to: &$0) }
                == streamed { EventStreamDialect.write(publication, to: &$0) })
    }

    @Test(
        "a user's JSON stays on one line: white space between values becomes spaces, nothing else changes",
        arguments: [
            ("{\n  \"a\": 1.0,\n  \"b\": [\n    1e2\n  ]\n}", "{   \"a\": 1.0,   \"b\": [     1e2   ] }"),
            ("{\r\n\"a\"\r:\r1\r\n}", "{  \"a\" : 1  }"),
            (#"{"text":"line\nline\r\u000a", "é":"💡"}"#, #"{"text":"line\nline\r\u000a", "é":"💡"}"#),
            // U+2028 and U+0085 end no line here.
            ("{\"a\":\"\u{2028}\u{85}\"}", "{\"a\":\"\u{2028}\u{85}\"}"),
        ])
    func oneLine(_ result: String, _ expected: String) throws {
        let event = TaskEvent.completed(TaskEvent.Completion(result: SharedBytes(result)))
        let read = messages(
            streamed {
                // What stands before is not the message's, and stays.
                $0.append(":\r\n\r\n")
                EventStreamDialect.write(TaskSample.publication(event, .completed, progress: 100), to: &$0)
            })
        #expect(read.count == 1)
        let data = try #require(read.first).data
        #expect(data.hasSuffix(#","result_data":\#(expected)}"#))
        _ = try JSONIndex(of: SharedBytes(data))
    }

    @Test("what stands in the writer before an event is left as it was")
    func before() {
        let stream = streamed {
            $0.append("\r\n")
            EventStreamDialect.write(TaskSample.publication(.queued, .queued, progress: 5), to: &$0)
        }
        #expect(stream.utf8.starts(with: "\r\nid: 7\n".utf8))
    }

    @Test("how the task stands")
    func currentStatus() throws {
        let read = messages(streamed { EventStreamDialect.writeCurrentStatus(TaskSample.snapshot(), at: TaskSample.time(0), to: &$0) })
        let message = try written { TaskDialect.writeCurrentStatus(TaskSample.snapshot(), at: TaskSample.time(0), to: &$0) }
        #expect(read == [Message(id: "7", event: "current_status", data: message)])
    }

    @Test("logs that were left out count as seen")
    func gap() throws {
        let read = messages(
            streamed { EventStreamDialect.writeGap(of: TaskSample.id, from: 5, through: 9, at: TaskSample.time(0), to: &$0) })
        let message = try written { TaskDialect.writeGap(of: TaskSample.id, from: 5, through: 9, at: TaskSample.time(0), to: &$0) }
        #expect(read == [Message(id: "9", event: "gap", data: message)])
    }

    @Test("comments and the time to wait")
    func others() {
        #expect(streamed { EventStreamDialect.writeHeartbeat(to: &$0) } == ": heartbeat\n\n")
        #expect(streamed { EventStreamDialect.writeRetry(.seconds(3), to: &$0) } == "retry: 3000\n\n")
        #expect(streamed { EventStreamDialect.writeRetry(.seconds(-3), to: &$0) } == "retry: 0\n\n")
    }

    // MARK: Positions

    @Test(
        "a position is digits, and no more than fit",
        arguments: [
            ("7", 7), ("0", 0), ("007", 7), ("9223372036854775807", 9_223_372_036_854_775_807), ("9223372036854775808", nil),
            ("99999999999999999999999", nil), ("", nil), ("-1", nil), ("+1", nil), (" 7", nil), ("7 ", nil), ("7.0", nil), ("0x7", nil),
            ("٧", nil),
        ] as [(String, UInt64?)])
    func positions(_ text: String, _ expected: UInt64?) {
        #expect(EventStreamDialect.position(SharedBytes(text).span) == expected)
    }
}
