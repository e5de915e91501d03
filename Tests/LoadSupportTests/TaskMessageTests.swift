// TaskMessageTests: a task's number comes through, and a result that is not the client's own is noticed.

import Base
import LoadSupport
import Testing

@Suite struct TaskMessageTests {
    private func read(_ text: String) -> TaskMessage.FromServer {
        let bytes = Array(text.utf8)
        return TaskMessage.read(bytes.span)
    }

    private func answer(_ text: String, _ number: Int) -> TaskMessage.Answer {
        let bytes = Array(text.utf8)
        return TaskMessage.answer(bytes.span, number: number)
    }

    @Test("what a server says to a worker")
    func fromServer() {
        #expect(read(#"{"type":"connected","workerId":"W1"}"#) == .connected)
        #expect(read(#"{"type":"task_ack","taskId":"t1"}"#) == .other)
        #expect(read(#"{"type":"pong"}"#) == .pong)
        let task = read(#"{"type":"task","taskId":"t1","payload":{"data":{"n":1000000007}}}"#)
        #expect(task == .task(identifier: 25..<27, number: 1_000_000_007))
        #expect(read(#"{"type":"task","taskId":"t1","payload":{}}"#) == .unreadable)
        #expect(read(#"{"type":"task","taskId":"","payload":{"n":1}}"#) == .unreadable)
        #expect(read(#"{"type":"task","taskId":"t"#) == .unreadable)
    }

    @Test("what a worker says first")
    func ready() {
        var output = ByteWriter()
        TaskMessage.appendReady(concurrency: 1024, to: &output)
        TaskMessage.appendPing(to: &output)
        let text = String(decoding: (0..<output.count).map { output.span[$0] }, as: UTF8.self)
        #expect(text == #"{"type":"ready","concurrency":1024}{"type":"ping"}"#)
    }

    @Test("what a worker answers")
    func completion() {
        var output = ByteWriter()
        let identifier = Array("t1".utf8)
        TaskMessage.appendCompletion(of: identifier.span, number: 42, to: &output)
        let text = String(decoding: (0..<output.count).map { output.span[$0] }, as: UTF8.self)
        #expect(text == #"{"type":"task_complete","taskId":"t1","result":{"ok":true,"n":42},"duration":1}"#)
    }

    @Test("what a client reads out of a response")
    func answers() {
        #expect(answer(#"{"taskId":"t1","status":"completed","result":{"ok":true,"n":42}}"#, 42) == .completed)
        #expect(answer(#"{"taskId":"t1","status":"completed","result":{"ok":true,"n":42}}"#, 43) == .wrong)
        #expect(answer(#"{"taskId":"t1","status":"completed","result":{"ok":false}}"#, 42) == .wrong)
        #expect(answer(#"{"taskId":"t1","status":"queued"}"#, 42) == .pending)
        #expect(answer(#"{"taskId":"t1","status":"failed","error":"x"}"#, 42) == .wrong)
        #expect(answer(#"{"error":"No worker available"}"#, 42) == .wrong)
    }
}
