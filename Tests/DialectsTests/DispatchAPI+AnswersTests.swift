// DispatchAPI+AnswersTests: the document's answers, member by member in its order, and the user's value in its place.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct DispatchAPIAnswersTests {
    private func task(_ desk: Desk, _ task: TaskRecord) throws -> String {
        try written { DispatchAPI.writeTask(task, position: desk.broker.position(of: task), to: &$0) }
    }

    private func outcome(_ task: TaskRecord) throws -> (status: Int, text: String) {
        var status = 0
        let text = try written { writer in
            let answer = DispatchAPI.writeOutcome(of: task, to: &writer)
            status = answer.status
            return answer.splice
        }
        return (status, text)
    }

    // MARK: GET /api/task/{taskId}

    @Test("a waiting task: taskId, status, enqueuedAt, position")
    func queued() throws {
        let desk = Desk(isReady: false)
        _ = try desk.submit()
        desk.pass(5)
        let second = try desk.submit()
        desk.pass(7)
        #expect(
            try task(desk, second)
                == #"{"taskId":"\#(second.id)","status":"queued","enqueuedAt":1700000000005,"position":2}"#)
    }

    @Test("a running task: taskId, status, workerId, startedAt")
    func executing() throws {
        let desk = Desk(isReady: false)
        let running = try desk.submit()
        desk.pass(250)
        desk.broker.workerReady(desk.worker, concurrency: nil, models: nil, at: desk.now)
        #expect(
            try task(desk, running)
                == #"{"taskId":"\#(running.id)","status":"executing","workerId":"\#(desk.worker.id)","startedAt":1700000000250}"#)
    }

    @Test("a position is counted only for a task that waits")
    func positionOnDemand() throws {
        let desk = Desk()
        let running = try desk.submit()
        _ = try written {
            DispatchAPI.writeTask(
                running,
                position: {
                    Issue.record("counted"); return 0
                }(), to: &$0)
        }
    }

    @Test("a running task whose worker has spoken: its progress and words follow")
    func progress() throws {
        let desk = Desk()
        let running = try desk.submit()
        let report = TaskEvent.Progress(reported: 50, message: SharedBytes("half \"done\"\n"), step: SharedBytes("encode"))
        try desk.broker.progress(running.id, by: desk.worker, report, at: desk.now)
        let start = #"{"taskId":"\#(running.id)","status":"executing","workerId":"\#(desk.worker.id)","startedAt":1700000000000,"#
        #expect(try task(desk, running) == start + #""progress":60,"step":"encode","message":"half \"done\"\n"}"#)
        try desk.broker.progress(running.id, by: desk.worker, TaskEvent.Progress(reported: 51), at: desk.now)
        #expect(try task(desk, running) == start + #""progress":60.4,"step":"encode","message":"half \"done\"\n"}"#)
    }

    @Test(
        "a completed task: taskId, status, result, completedAt; the result as the worker sent it",
        arguments: [
            #"{"success":true,"data":"结果"}"#, "null", "1.50e+10", #"[ 1 , 2 ]"#, #""\u00e9""#,
            "\"" + String(repeating: "x", count: 50_000) + "\"",
        ])
    func completed(_ result: String) throws {
        let desk = Desk()
        let done = try desk.submit()
        desk.pass(40)
        try desk.complete(done, result)
        #expect(
            try task(desk, done) == #"{"taskId":"\#(done.id)","status":"completed","result":\#(result),"completedAt":1700000000040}"#)
    }

    @Test(
        "a failed task: taskId, status, error, failedAt; the error in the worker's words",
        arguments: [
            #""错误信息""#, #"{"code":5}"#, "null", "17",
        ])
    func failed(_ words: String) throws {
        let desk = Desk()
        let failed = try desk.submit()
        desk.pass(40)
        try desk.fail(failed, words)
        #expect(try task(desk, failed) == #"{"taskId":"\#(failed.id)","status":"failed","error":\#(words),"failedAt":1700000000040}"#)
    }

    @Test("a task that timed out, or lost its worker, says so", arguments: [true, false])
    func failedWithoutWords(_ isTimeout: Bool) throws {
        let desk = Desk()
        let failed = try desk.submit()
        desk.pass(isTimeout ? 60_000 : 10)
        desk.gone()
        let (error, time) = isTimeout ? ("Task timeout", "1700000060000") : ("Worker disconnected", "1700000000010")
        #expect(try task(desk, failed) == #"{"taskId":"\#(failed.id)","status":"failed","error":"\#(error)","failedAt":\#(time)}"#)
    }

    @Test("a cancelled task: taskId, status, error, cancelledAt")
    func cancelled() throws {
        let desk = Desk()
        let cancelled = try desk.submit()
        desk.cancel(cancelled)
        #expect(
            try task(desk, cancelled)
                == #"{"taskId":"\#(cancelled.id)","status":"cancelled","error":"Task cancelled","cancelledAt":1700000000000}"#)
    }

    @Test("a task that waits again after its worker vanished is a waiting task")
    func requeued() throws {
        let desk = Desk()
        let again = try desk.submit(#"{"data":{},"retries":1}"#)
        try desk.broker.progress(again.id, by: desk.worker, TaskEvent.Progress(reported: 50), at: desk.now)
        desk.gone()
        #expect(try task(desk, again) == #"{"taskId":"\#(again.id)","status":"queued","enqueuedAt":1700000000000,"position":1}"#)
    }

    // MARK: A task that an outside program reports

    @Test("it has no worker and stands in no line: what it has is told, to its end")
    func reported() throws {
        let desk = Desk()
        let id = SharedBytes("nightly").task
        let reported = try desk.broker.register(TaskRegistration(id: id, user: SharedBytes("42")), at: desk.now)
        #expect(try task(desk, reported) == #"{"taskId":"nightly","status":"queued","enqueuedAt":1700000000000}"#)
        desk.pass(5)
        _ = try desk.broker.report(.started, of: id, at: desk.now)
        let start = #"{"taskId":"nightly","status":"executing","startedAt":1700000000005"#
        #expect(try task(desk, reported) == start + "}")
        let report = TaskEvent.Progress(reported: 30, message: SharedBytes("so far"), step: SharedBytes("load"))
        _ = try desk.broker.report(.progress(report), of: id, at: desk.now)
        #expect(try task(desk, reported) == start + #","progress":30,"step":"load","message":"so far"}"#)
        let fault = TaskEvent.Fault(error: .plain(SharedBytes(#"no "disk""#)))
        _ = try desk.broker.report(.failed(fault), of: id, at: desk.now)
        #expect(
            try task(desk, reported) == #"{"taskId":"nightly","status":"failed","error":"no \"disk\"","failedAt":1700000000005}"#)
    }

    @Test("its result, its failure in JSON, and its cancellation, as of any task")
    func reportedEnds() throws {
        let desk = Desk()
        func ended(_ report: OutsideReport) throws -> String {
            let id = SharedBytes("t").task
            let reported = try desk.broker.register(TaskRegistration(id: id, user: SharedBytes("42")), at: desk.now)
            _ = try desk.broker.report(.started, of: id, at: desk.now)
            _ = try desk.broker.report(report, of: id, at: desk.now)
            return try task(desk, reported)
        }
        #expect(
            try ended(.completed(result: SharedBytes("[1.0]")))
                == #"{"taskId":"t","status":"completed","result":[1.0],"completedAt":1700000000000}"#)
        #expect(
            try ended(.completed(result: .empty)) == #"{"taskId":"t","status":"completed","result":null,"completedAt":1700000000000}"#)
        #expect(
            try ended(.failed(TaskEvent.Fault(error: .raw(SharedBytes("{}")))))
                == #"{"taskId":"t","status":"failed","error":{},"failedAt":1700000000000}"#)
        #expect(
            try ended(.cancelled(reason: nil))
                == #"{"taskId":"t","status":"cancelled","error":"Task cancelled","cancelledAt":1700000000000}"#)
    }

    // MARK: POST /api/openai

    @Test("a submission that does not wait: taskId and status, nothing else")
    func accepted() throws {
        let desk = Desk()
        let running = try desk.submit()
        let waiting = try desk.submit()
        func accepted(_ task: TaskRecord) throws -> String {
            try written { (writer: inout ByteWriter) in DispatchAPI.writeAccepted(task.id, task.state, to: &writer) }
        }
        #expect(try accepted(running) == #"{"taskId":"\#(running.id)","status":"executing"}"#)
        #expect(try accepted(waiting) == #"{"taskId":"\#(waiting.id)","status":"queued"}"#)
    }

    @Test("200 with the result")
    func outcomeCompleted() throws {
        let desk = Desk()
        let done = try desk.submit()
        try desk.complete(done, #"{"x": 1.0}"#)
        #expect(try outcome(done) == (200, #"{"taskId":"\#(done.id)","status":"completed","result":{"x": 1.0}}"#))
    }

    @Test("500 with the worker's words, or the server's")
    func outcomeFailed() throws {
        let desk = Desk()
        let failed = try desk.submit()
        try desk.fail(failed, #""no memory""#)
        #expect(try outcome(failed) == (500, #"{"taskId":"\#(failed.id)","status":"failed","error":"no memory"}"#))
        let late = try desk.submit()
        desk.pass(60_000)
        #expect(try outcome(late) == (500, #"{"taskId":"\#(late.id)","status":"failed","error":"Task timeout"}"#))
        desk.broker.workerReady(desk.worker, concurrency: nil, models: nil, at: desk.now)
        let lost = try desk.submit()
        desk.gone()
        #expect(try outcome(lost) == (500, #"{"taskId":"\#(lost.id)","status":"failed","error":"Worker disconnected"}"#))
    }

    @Test("409 for a task that somebody else cancelled, 200 for one that goes on")
    func outcomeOther() throws {
        let desk = Desk()
        let running = try desk.submit()
        #expect(try outcome(running) == (200, #"{"taskId":"\#(running.id)","status":"executing"}"#))
        desk.cancel(running)
        #expect(try outcome(running) == (409, #"{"error":"Task cancelled"}"#))
    }

    @Test(
        "503 for a submission that is refused, in the document's words",
        arguments: [
            (.noWorker, "No worker available"), (.queueFull, "Queue is full"), (.closing, "Server is shutting down"),
        ] as [(SubmissionRefusal, String)])
    func refusals(_ refusal: SubmissionRefusal, _ words: String) throws {
        var status = 0
        #expect(try written { status = DispatchAPI.write(refusal, to: &$0) } == #"{"error":"\#(words)"}"#)
        #expect(status == 503)
    }

    // MARK: POST /api/task/{taskId}/cancel

    @Test("a cancellation: 200, 409 for what has ended, 404 for what is unknown")
    func cancellations() throws {
        let desk = Desk()
        let running = try desk.submit()
        let id = running.id
        func cancel() throws -> (status: Int, text: String) {
            var status = 0
            let text = try written { status = DispatchAPI.writeCancellation(desk.broker.cancel(id, at: desk.now), to: &$0) }
            return (status, text)
        }
        #expect(try cancel() == (200, #"{"taskId":"\#(id)","status":"cancelled"}"#))
        #expect(try cancel() == (409, #"{"error":"Task already ended","taskId":"\#(id)","status":"cancelled"}"#))
        desk.pass(300_000)
        #expect(try cancel() == (404, #"{"error":"Task not found or expired"}"#))
    }

    // MARK: Words and places

    @Test("errors are one member, their words escaped")
    func errors() throws {
        #expect(try written { writeError("a \"b\"\n", to: &$0) } == #"{"error":"a \"b\"\n"}"#)
        #expect(try written { writeError("\(1) \"b\"", to: &$0) } == #"{"error":"1 \"b\""}"#)
    }

    @Test("a splice's offset is where the value belongs, after the colon of its member")
    func spliceOffset() throws {
        let desk = Desk()
        let done = try desk.submit()
        try desk.complete(done, "7")
        var writer = ByteWriter()
        let splice = DispatchAPI.writeTask(done, position: 0, to: &writer) ?? Splice(offset: 0, value: .empty)
        let text = writer.take()
        #expect(splice.value == SharedBytes("7"))
        #expect(text[0..<splice.offset].description.hasSuffix(#""result":"#))
        #expect(text[splice.offset..<text.count].description.hasPrefix(#","completedAt""#))
    }

    @Test(
        "each state has the document's word",
        arguments: [
            (.queued, "queued"), (.executing, "executing"), (.completed, "completed"), (.failed, "failed"), (.cancelled, "cancelled"),
        ] as [(TaskState, String)])
    func words(_ state: TaskState, _ word: String) {
        #expect("\(state.word)" == word)
    }
}
