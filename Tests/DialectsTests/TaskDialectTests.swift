// TaskDialectTests: every message of document G about a task, member by member in its order, with `seq`; and users' JSON byte for byte.
import Base
import JSON
import Testing

@testable import Dialects
@testable import Domain

struct TaskDialectTests {
    private func written(_ publication: Publication, part: Int = 0) throws -> String {
        try DialectsTests.written { TaskDialect.write(publication, part: part, to: &$0) }
    }

    /// A progress message's `step_info`.
    private func stepInfo(_ report: TaskEvent.Progress) throws -> String {
        let text = try written(TaskSample.publication(.progress(report), progress: 50))
        let bytes = SharedBytes(text)
        let index = try JSONIndex(of: bytes)
        let found = index.member("step_info", of: index.root, in: bytes.span)
        let node = try #require(found)
        return bytes[index.range(of: node)].description
    }

    // MARK: Status

    @Test("task_status_update: a task that was started")
    func started() throws {
        let event = TaskEvent.started(TaskEvent.Start(startedAt: TaskSample.time(-1)))
        #expect(
            try written(TaskSample.publication(event, progress: 25))
                == #"{"type":"task_status_update","task_id":"task-uuid","status":"running","message":"Task status updated to running","#
                + #""progress":25,"timestamp":"2024-01-01T10:00:00.000Z","seq":7,"#
                + #""data":{"started_at":"2024-01-01T09:59:59.000Z","updated_at":"2024-01-01T10:00:00.000Z"}}"#)
    }

    @Test("task_status_update: a task that waits, and has no start to tell")
    func queued() throws {
        #expect(
            try written(TaskSample.publication(.queued, .queued, progress: 5))
                == #"{"type":"task_status_update","task_id":"task-uuid","status":"pending","message":"Task status updated to pending","#
                + #""progress":5,"timestamp":"2024-01-01T10:00:00.000Z","seq":7,"#
                + #""data":{"started_at":null,"updated_at":"2024-01-01T10:00:00.000Z"}}"#)
    }

    @Test("the five states have the document's words")
    func words() {
        let words = TaskState.allCases.map { TaskDialect.word($0).description }
        #expect(words == ["pending", "running", "completed", "failed", "cancelled"])
        #expect(Priority.allCases.map { TaskDialect.word($0).description } == ["high", "normal", "low"])
    }

    @Test("a random task's name is written as a UUID, a chosen one is escaped")
    func names() throws {
        let random = TaskID(high: 0x1e96_51fd_6aa1_4b2c, low: 0x9d5e_0123_4567_89ab)
        #expect(
            try written(TaskSample.publication(.queued, .queued, progress: 0, task: random))
                .contains(#""task_id":"1e9651fd-6aa1-4b2c-9d5e-0123456789ab""#))
        let chosen = TaskSample.id(#"a"b\/é"#)
        #expect(try written(TaskSample.publication(.queued, .queued, progress: 0, task: chosen)).contains(#""task_id":"a\"b\\/é""#))
    }

    // MARK: Progress

    @Test("task_progress: the document's message, the worker's own figure beside its step_info")
    func progress() throws {
        let report = TaskEvent.Progress(
            reported: 63.75, message: SharedBytes("Processing data batch 3/4"), step: SharedBytes("data_processing"),
            stepInfo: SharedBytes(#"{"current_batch": 3,"total_batches": 4,"external_job_id":"runpod-job-456"}"#))
        #expect(
            try written(TaskSample.publication(.progress(report), progress: 65.5))
                == #"{"type":"task_progress","task_id":"task-uuid","progress":65.5,"message":"Processing data batch 3/4","#
                + #""timestamp":"2024-01-01T10:00:00.000Z","seq":7,"step_info":{"step":"data_processing","worker_progress":63.75,"#
                + #""current_batch": 3,"total_batches": 4,"external_job_id":"runpod-job-456"}}"#)
    }

    @Test("task_progress: a stage that was passed has every member too")
    func stage() throws {
        #expect(
            try written(TaskSample.publication(.progress(TaskEvent.Progress()), progress: 20))
                == #"{"type":"task_progress","task_id":"task-uuid","progress":20,"message":"Task progress updated to 20%","#
                + #""timestamp":"2024-01-01T10:00:00.000Z","seq":7,"step_info":{}}"#)
        #expect(
            try written(TaskSample.publication(.progress(TaskEvent.Progress()), progress: 40.5))
                .contains(#""message":"Task progress updated to 40.5%""#))
    }

    @Test(
        "step_info: the reporter's members stand after ours, as they were written",
        arguments: [
            ("{}", #"{"worker_progress":50}"#),
            ("{ \n}", #"{"worker_progress":50}"#),
            (#"{"a":1.0,"b":1e2,"a":[ 1 ,2]}"#, #"{"worker_progress":50,"a":1.0,"b":1e2,"a":[ 1 ,2]}"#),
            (#"{ "z" : "\u00e9\/" , "n" : null }"#, #"{"worker_progress":50, "z" : "\u00e9\/" , "n" : null }"#),
            ("{\n\t\"deep\": {\"x\": [{}]}\r\n}", "{\"worker_progress\":50,\n\t\"deep\": {\"x\": [{}]}\r\n}"),
            (#"{"big":123456789012345678901234567890}"#, #"{"worker_progress":50,"big":123456789012345678901234567890}"#),
            ("null", #"{"worker_progress":50}"#),
            ("[1, 2]", #"{"worker_progress":50,"info":[1, 2]}"#),
            (#""a}b""#, #"{"worker_progress":50,"info":"a}b"}"#),
            ("5e0", #"{"worker_progress":50,"info":5e0}"#),
            ("false", #"{"worker_progress":50,"info":false}"#),
        ])
    func verbatimStepInfo(_ given: String, _ expected: String) throws {
        #expect(try stepInfo(TaskEvent.Progress(reported: 50, stepInfo: SharedBytes(given))) == expected)
    }

    @Test("step_info: a member that the reporter has is the reporter's, and none stands twice")
    func reportersMembers() throws {
        let given = #"{"step":"mine","worker_progress":"half","current_step":1,"total_steps":2,"completed_steps":3}"#
        let report = TaskEvent.Progress(
            reported: 50, step: SharedBytes("ours"), stepInfo: SharedBytes(given), currentStep: SharedBytes("ours"), totalSteps: 9,
            completedSteps: 8)
        #expect(try stepInfo(report) == given)
    }

    @Test("step_info: steps that were counted, and a text's escapes")
    func countedSteps() throws {
        let report = TaskEvent.Progress(step: SharedBytes("a\n\"b\""), currentStep: SharedBytes("3"), totalSteps: 4, completedSteps: 2)
        #expect(try stepInfo(TaskEvent.Progress(reported: -0.0)) == #"{"worker_progress":0}"#)
        #expect(try stepInfo(report) == #"{"step":"a\n\"b\"","current_step":"3","total_steps":4,"completed_steps":2}"#)
    }

    @Test("step_info: one that is nested deeper than an index goes stays whole")
    func deepStepInfo() throws {
        let depth = JSONLimits().depthMax + 1
        let given = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        let report = TaskEvent.Progress(reported: 50, stepInfo: SharedBytes(given))
        var writer = ByteWriter()
        TaskDialect.write(TaskSample.publication(.progress(report), progress: 50), to: &writer)
        #expect(writer.seal().description.hasSuffix(#""step_info":\#(given)}"#))
    }

    // MARK: Logs

    @Test(
        "task_logs: what has no level and no source is INFO, from the worker",
        arguments: [
            (nil, nil, #""level":"INFO","source":"worker""#), ("ERROR", nil, #""level":"ERROR","source":"worker""#),
            (nil, "gpu\t0", #""level":"INFO","source":"gpu\t0""#),
        ] as [(String?, String?, String)])
    func logs(_ level: String?, _ source: String?, _ expected: String) throws {
        let log = TaskEvent.Log(
            logs: SharedBytes("Model training started with batch size 32"), level: level.map { SharedBytes($0) },
            source: source.map { SharedBytes($0) })
        #expect(
            try written(TaskSample.publication(.log(log), progress: 50))
                == #"{"type":"task_logs","task_id":"task-uuid","logs":"Model training started with batch size 32","#
                + expected + #","timestamp":"2024-01-01T10:00:00.000Z","seq":7}"#)
    }

    // MARK: The end

    @Test("task_completed: cost and result byte for byte")
    func completed() throws {
        let cost = "{\n    \"total_cost\": 2.450,\n    \"currency\": \"USD\"\n  }"
        let result = #"{ "exit_code": 0, "external_job_id": "runpod-job-456", "provider": "runpod", "n": 1E-999 }"#
        let event = TaskEvent.completed(
            TaskEvent.Completion(result: SharedBytes(result), executionTime: .milliseconds(900_500), cost: .raw(SharedBytes(cost))))
        #expect(
            try written(TaskSample.publication(event, .completed, progress: 100))
                == #"{"type":"task_completed","task_id":"task-uuid","success":true,"timestamp":"2024-01-01T10:00:00.000Z","seq":7,"#
                + #""execution_time":900.5,"cost_info":\#(cost),"result_data":\#(result)}"#)
    }

    @Test("task_completed: what is not known is left out, a result that is nothing is null", arguments: ["null", ""])
    func bareCompletion(_ result: String) throws {
        let event = TaskEvent.completed(TaskEvent.Completion(result: SharedBytes(result)))
        #expect(
            try written(TaskSample.publication(event, .completed, progress: 100))
                == #"{"type":"task_completed","task_id":"task-uuid","success":true,"timestamp":"2024-01-01T10:00:00.000Z","seq":7,"#
                + #""result_data":null}"#)
    }

    @Test(
        "execution_time is in seconds, to the millisecond",
        arguments: [(0, "0"), (2_000_000_000, "2"), (1_234_567_891, "1.235"), (400_000, "0"), (86_400_001_000_000, "86400.001")])
    func executionTime(_ nanoseconds: Int64, _ expected: String) throws {
        let time = TimeSpan(nanoseconds: nanoseconds)
        let event = TaskEvent.completed(TaskEvent.Completion(result: SharedBytes("1"), executionTime: time))
        #expect(try written(TaskSample.publication(event, .completed, progress: 100)).contains(#""execution_time":\#(expected),"#))
    }

    @Test("a failure: task_error, then task_completed without success")
    func failed() throws {
        let details = #"{"requested_memory": "16GB","available_memory": "8GB"}"#
        let fault = TaskEvent.Fault(
            error: .raw(SharedBytes(#""GPU memory allocation failed""#)), code: SharedBytes("CUDA_OUT_OF_MEMORY"),
            type: SharedBytes("RuntimeError"), details: SharedBytes(details), step: SharedBytes("load"),
            executionTime: .milliseconds(1_500),
            cost: .raw(SharedBytes(#"{"total_cost":0.1}"#)))
        let publication = TaskSample.publication(.failed(fault), .failed, progress: 60)
        #expect(TaskDialect.messageCount(of: publication) == 2)
        #expect(
            try written(publication, part: 0)
                == #"{"type":"task_error","task_id":"task-uuid","error_message":"GPU memory allocation failed","#
                + #""error_code":"CUDA_OUT_OF_MEMORY","error_type":"RuntimeError","timestamp":"2024-01-01T10:00:00.000Z","seq":7,"#
                + #""error_details":\#(details)}"#)
        #expect(
            try written(publication, part: 1)
                == #"{"type":"task_completed","task_id":"task-uuid","success":false,"timestamp":"2024-01-01T10:00:00.000Z","seq":7,"#
                + #""execution_time":1.5,"cost_info":{"total_cost":0.1}}"#)
    }

    @Test("a failure of which little is known")
    func bareFailure() throws {
        let publication = TaskSample.publication(
            .failed(TaskEvent.Fault(error: .plain(SharedBytes("Task timeout")))), .failed, progress: 60)
        #expect(
            try written(publication, part: 0)
                == #"{"type":"task_error","task_id":"task-uuid","error_message":"Task timeout","#
                + #""timestamp":"2024-01-01T10:00:00.000Z","seq":7}"#)
        #expect(
            try written(publication, part: 1)
                == #"{"type":"task_completed","task_id":"task-uuid","success":false,"timestamp":"2024-01-01T10:00:00.000Z","seq":7}"#)
    }

    @Test(
        "error_message is always a text: the reporter's byte for byte, other values as their JSON",
        arguments: [
            (#""\u00e9\n错误""#, #""\u00e9\n错误""#), (#"{"code": 5}"#, #""{\"code\": 5}""#), ("[1,\n2]", #""[1,\n2]""#),
            ("5.0", #""5.0""#), ("null", #""null""#), ("", #""Task failed""#),
        ])
    func errorWords(_ words: String, _ expected: String) throws {
        let event = TaskEvent.failed(TaskEvent.Fault(error: .raw(SharedBytes(words))))
        #expect(try written(TaskSample.publication(event, .failed, progress: 60)).contains(#""error_message":\#(expected),"#))
    }

    @Test(
        "a cancellation: task_cancelled, then task_completed without success",
        arguments: [(nil, "Task was cancelled by user request"), ("out of \"budget\"", #"out of \"budget\""#)] as [(String?, String)])
    func cancelled(_ reason: String?, _ expected: String) throws {
        let publication = TaskSample.publication(.cancelled(reason: reason.map { SharedBytes($0) }), .cancelled, progress: 60)
        #expect(TaskDialect.messageCount(of: publication) == 2)
        #expect(
            try written(publication, part: 0)
                == #"{"type":"task_cancelled","task_id":"task-uuid","reason":"\#(expected)","#
                + #""timestamp":"2024-01-01T10:00:00.000Z","seq":7}"#)
        #expect(
            try written(publication, part: 1)
                == #"{"type":"task_completed","task_id":"task-uuid","success":false,"timestamp":"2024-01-01T10:00:00.000Z","seq":7}"#)
    }

    @Test("a watcher that comes after the end reads the same as one that was there", arguments: TaskSample.ends)
    func lateWatcher(_ end: TaskSample.End) throws {
        let publication = TaskSample.publication(end.event, end.state, progress: 60)
        let snapshot = TaskSample.snapshot(end.state, progress: 60)
        for part in 0..<TaskDialect.messageCount(of: end.event) {
            let late = try DialectsTests.written {
                TaskDialect.writeEnding(end.event, of: snapshot, part: part, at: TaskSample.time(0), to: &$0)
            }
            #expect(late == (try written(publication, part: part)))
        }
    }

    // MARK: All together

    @Test("each message's type is the one that it is announced with", arguments: TaskSample.all)
    func types(_ end: TaskSample.End) throws {
        let publication = TaskSample.publication(end.event, end.state, progress: 60)
        var types: [String] = []
        for part in 0..<TaskDialect.messageCount(of: publication) {
            let type = TaskDialect.type(of: end.event, part: part)
            types.append("\(type)")
            #expect(try written(publication, part: part).hasPrefix(#"{"type":"\#(type)","task_id":"task-uuid","#))
        }
        #expect(types == end.types)
    }

    @Test("a message is appended to what the writer holds")
    func appended() throws {
        var writer = ByteWriter()
        writer.append("before")
        TaskDialect.write(TaskSample.publication(.queued, .queued, progress: 0), to: &writer)
        #expect(writer.seal().description.hasPrefix(#"before{"type":"task_status_update""#))
    }
}

/// Tasks and events for the tests of document G.
enum TaskSample {
    struct End: Sendable {
        let event: TaskEvent
        let state: TaskState
        let types: [String]
    }

    static let ends = [
        End(event: .completed(TaskEvent.Completion(result: SharedBytes(#"{"a": 1.0}"#))), state: .completed, types: ["task_completed"]),
        End(
            event: .failed(TaskEvent.Fault(error: .plain(SharedBytes("Worker disconnected")))), state: .failed,
            types: ["task_error", "task_completed"]),
        End(event: .cancelled(reason: nil), state: .cancelled, types: ["task_cancelled", "task_completed"]),
    ]

    static let all =
        ends + [
            End(event: .queued, state: .queued, types: ["task_status_update"]),
            End(event: .started(TaskEvent.Start(startedAt: time(0))), state: .executing, types: ["task_status_update"]),
            End(event: .progress(TaskEvent.Progress()), state: .executing, types: ["task_progress"]),
            End(event: .log(TaskEvent.Log(logs: SharedBytes("line"))), state: .executing, types: ["task_logs"]),
            End(event: .chunk(SharedBytes(#"{"delta":"x"}"#)), state: .executing, types: []),
        ]

    /// The document's moment, 2024-01-01T10:00:00Z, and so many seconds.
    static func time(_ seconds: Int64) -> WallTime { WallTime(milliseconds: (1_704_103_200 + seconds) * 1_000) }

    static let id = id("task-uuid")

    static func id(_ name: String) -> TaskID {
        guard let id = TaskID(SharedBytes(name).span) else { preconditionFailure("\(name) is no task's name") }
        return id
    }

    static func publication(
        _ event: TaskEvent, _ state: TaskState = .executing, progress: Double, task: TaskID = id, sequence: UInt64 = 7
    ) -> Publication {
        let stream = TaskStream(task: task, user: nil, project: nil, epoch: 5, sequence: 0)
        return Publication(
            number: 1_000, origin: stream.origin, sequence: sequence, at: time(0), event: event, state: state, progress: progress)
    }

    static func snapshot(_ state: TaskState = .executing, progress: Double = 45) -> TaskSnapshot {
        TaskSnapshot(
            id: id, state: state, progress: progress, sequence: 7, provider: SharedBytes("runpod"), createdAt: time(-3_600),
            startedAt: time(-3_300))
    }
}
