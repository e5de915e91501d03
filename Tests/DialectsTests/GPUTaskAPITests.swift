// GPUTaskAPITests: document G over HTTP: the body of a submission, a task as it is read, and who is connected.
import Base
import JSON
import Testing

@testable import Dialects
@testable import Domain

struct GPUTaskAPITests {
    private func read(_ body: String, key: String? = nil) throws -> Order {
        let bytes = SharedBytes(body)
        let index = try JSONIndex(of: bytes)
        var scratch = ByteWriter()
        scratch.append("before")
        defer { #expect(scratch.count == 6, "the scratch is left as it was") }
        return try GPUTaskAPI.readOrder(
            bytes.span, index, key: key.map { SharedBytes($0) }, limits: Limits(), scratch: &scratch)
    }

    private func task(_ details: TaskDetails) throws -> String {
        try written { GPUTaskAPI.writeTask(details, at: TaskSample.time(0), to: &$0) }
    }

    // MARK: Submission

    @Test("a body with everything")
    func everything() throws {
        let order = try read(
            #"""
            {"data":{"a": 1.0},"model":"m","group":"g","provider":"runpod","priority":"high","type":"tr\u0061ining","timeout":120000,
             "retries":2,"async":false,"idempotencyKey":"k"}
            """#, key: "header")
        #expect(order.submission.provider == SharedBytes("runpod") && order.submission.type == SharedBytes("training"))
        let submission = order.submission
        #expect(submission.payload.description == #"{"model":"m","data":{"a": 1.0}}"#)
        #expect(submission.priority == .high && submission.group == SharedBytes("g") && submission.model == SharedBytes("m"))
        #expect(submission.timeout == .seconds(120) && submission.retries == 2 && submission.idempotencyKey == SharedBytes("k"))
    }

    @Test(
        "what is left out, null or empty is none",
        arguments: [
            #"{"data":{}}"#, #"{"data":{},"provider":null,"type":null,"priority":null}"#, #"{"messages":[],"provider":"","type":""}"#,
        ])
    func defaults(_ body: String) throws {
        let order = try read(body)
        #expect(order.submission.provider == nil && order.submission.type == nil && order.submission.priority == .normal)
    }

    @Test(
        "what cannot be read is named",
        arguments: [
            ("[]", "Invalid request: a JSON object is expected"), (#"{"provider":"x"}"#, "Invalid request: data or messages required"),
            (#"{"data":{},"provider":5}"#, "Invalid request: provider must be a text"),
            (#"{"data":{},"type":[]}"#, "Invalid request: type must be a text"),
            (#"{"data":{},"priority":"urgent"}"#, "Invalid request: priority must be one of low, normal, high"),
            (
                #"{"data":{},"provider":"\#(String(repeating: "x", count: 201))"}"#,
                "Invalid request: provider must be at most 200 bytes long"
            ),
        ])
    func problems(_ body: String, _ expected: String) {
        #expect(problem { try read(body) } == expected)
    }

    @Test("the answer to a submission")
    func accepted() throws {
        let task = TaskSnapshot(
            id: TaskSample.id, state: .queued, progress: 5, sequence: 1, priority: .low, provider: SharedBytes("runpod"),
            createdAt: TaskSample.time(0))
        #expect(
            try written { GPUTaskAPI.writeAccepted(task, to: &$0) }
                == #"{"task_id":"task-uuid","status":"pending","progress":5,"created_at":"2024-01-01T10:00:00.000Z","started_at":null,"#
                + #""provider":"runpod","priority":"low","seq":1}"#)
    }

    // MARK: A task

    @Test("a task of which little is known has the members of current_status")
    func bareTask() throws {
        #expect(
            try task(TaskDetails(TaskSample.snapshot()))
                == #"{"task_id":"task-uuid","status":"running","message":"Current task status: running","progress":45,"#
                + #""created_at":"2024-01-01T09:00:00.000Z","started_at":"2024-01-01T09:05:00.000Z","provider":"runpod","#
                + #""priority":"normal","attempts":0,"timestamp":"2024-01-01T10:00:00.000Z","seq":7}"#)
    }

    @Test("a task of which everything is known, its user's JSON byte for byte")
    func wholeTask() throws {
        let result = #"{ "x": 1e2, "x": "\u00e9" }"#
        let details = TaskDetails(
            TaskSample.snapshot(.completed, progress: 100), user: SharedBytes("user-123"), project: SharedBytes("p\"1"),
            group: SharedBytes("default"), model: SharedBytes("m"), type: SharedBytes("training"), metadata: SharedBytes(#"{"k": 1.0 }"#),
            worker: WorkerID(number: 3, suffix: 0x1234_abcd), attempts: 2, timeout: .seconds(60), enqueuedAt: TaskSample.time(-3_500),
            endedAt: TaskSample.time(-5), updatedAt: TaskSample.time(-4),
            report: TaskEvent.Progress(
                reported: 90, message: SharedBytes("almost"), step: SharedBytes("save"), stepInfo: SharedBytes(#"{"f": 1}"#),
                currentStep: SharedBytes("4"), totalSteps: 5, completedSteps: 4),
            ending: .completed(
                TaskEvent.Completion(
                    result: SharedBytes(result), executionTime: .milliseconds(900_500),
                    cost: .raw(SharedBytes(#"{"total_cost": 2.450}"#)))))
        #expect(
            try task(details)
                == #"{"task_id":"task-uuid","status":"completed","message":"almost","progress":100,"#
                + #""created_at":"2024-01-01T09:00:00.000Z","started_at":"2024-01-01T09:05:00.000Z","provider":"runpod","#
                + #""priority":"normal","enqueued_at":"2024-01-01T09:01:40.000Z","completed_at":"2024-01-01T09:59:55.000Z","#
                + #""updated_at":"2024-01-01T09:59:56.000Z","#
                + #""user_id":"user-123","project_id":"p\"1","group":"default","model":"m","type":"training","#
                + #""worker_id":"W3-1234abcd","attempts":2,"timeout":60000,"metadata":{"k": 1.0 },"step":"save","current_step":"4","#
                + #""total_steps":5,"completed_steps":4,"step_info":{"step":"save","current_step":"4","total_steps":5,"#
                + #""completed_steps":4,"worker_progress":90,"f": 1},"execution_time":900.5,"cost_info":{"total_cost": 2.450},"#
                + #""result_data":\#(result),"timestamp":"2024-01-01T10:00:00.000Z","seq":7}"#)
    }

    @Test("a task that an outside program reports: whose and what it is, and no group, no worker, no timeout")
    func reportedTask() throws {
        let details = TaskDetails(
            TaskSnapshot(id: TaskSample.id, state: .executing, progress: 45, sequence: 7, createdAt: TaskSample.time(-3_600)),
            user: SharedBytes("42"), project: SharedBytes("project-001"), type: SharedBytes("interview"),
            metadata: SharedBytes(#"{"interview_id": 123.0}"#), updatedAt: TaskSample.time(-1))
        #expect(
            try task(details)
                == #"{"task_id":"task-uuid","status":"running","message":"Current task status: running","progress":45,"#
                + #""created_at":"2024-01-01T09:00:00.000Z","started_at":null,"provider":null,"priority":"normal","#
                + #""updated_at":"2024-01-01T09:59:59.000Z","user_id":"42","project_id":"project-001","type":"interview","attempts":0,"#
                + #""metadata":{"interview_id": 123.0},"timestamp":"2024-01-01T10:00:00.000Z","seq":7}"#)
    }

    @Test("a task whose worker told what its hour costs: the sum, and its currency")
    func meteredTask() throws {
        let cost = Cost.metered(Rate(perHour: 9.8, currency: SharedBytes("USD")), .seconds(900))
        let completion = TaskEvent.Completion(result: SharedBytes("1"), executionTime: .seconds(900), cost: cost)
        #expect(
            try task(TaskDetails(TaskSample.snapshot(.completed), ending: .completed(completion)))
                .contains(#""execution_time":900,"cost_info":{"total_cost":2.45,"currency":"USD"},"result_data":1,"#))
    }

    @Test("a result is named, not copied; one that is nothing is null")
    func splicedResult() throws {
        func splice(_ result: String) -> Splice? {
            var writer = ByteWriter()
            let ending = TaskEvent.completed(TaskEvent.Completion(result: SharedBytes(result)))
            return GPUTaskAPI.writeTask(
                TaskDetails(TaskSample.snapshot(.completed), ending: ending), at: TaskSample.time(0), to: &writer)
        }
        #expect(splice("[1]")?.value == SharedBytes("[1]"))
        #expect(splice("") == nil)
        let ending = TaskEvent.completed(TaskEvent.Completion(result: .empty))
        #expect(try task(TaskDetails(TaskSample.snapshot(.completed), ending: ending)).contains(#""result_data":null,"#))
    }

    @Test("a task that failed")
    func failedTask() throws {
        let fault = TaskEvent.Fault(
            error: .raw(SharedBytes(#"{"why": 5}"#)), code: SharedBytes("E5"), type: SharedBytes("T"), details: SharedBytes("[ 1]"),
            executionTime: .seconds(2))
        #expect(
            try task(TaskDetails(TaskSample.snapshot(.failed), ending: .failed(fault)))
                .contains(
                    #""execution_time":2,"error_message":"{\"why\": 5}","error_code":"E5","error_type":"T","error_details":[ 1],"#))
    }

    @Test("a task that was cancelled")
    func cancelledTask() throws {
        let text = try task(TaskDetails(TaskSample.snapshot(.cancelled), ending: .cancelled(reason: nil)))
        #expect(text.contains(#""status":"cancelled","#) && text.contains(#""reason":"Task was cancelled by user request","#))
    }

    @Test("a cancellation: done, too late, of nothing")
    func cancellation() throws {
        let desk = Desk()
        let id = try desk.submit().id
        func answer(_ cancellation: Cancellation) throws -> String {
            var status = 0
            let text = try written { (writer: inout ByteWriter) in status = GPUTaskAPI.writeCancellation(cancellation, to: &writer) }
            return "\(status) \(text)"
        }
        #expect(try answer(desk.broker.cancel(id, at: desk.now)) == #"200 {"task_id":"\#(id)","status":"cancelled"}"#)
        #expect(
            try answer(desk.broker.cancel(id, at: desk.now))
                == #"409 {"error":"Task already ended","task_id":"\#(id)","status":"cancelled"}"#)
        #expect(try answer(.unknownTask) == #"404 {"error":"Task not found or expired"}"#)
    }

    // MARK: Connections

    @Test("the document's statistics")
    func statistics() throws {
        let counts = [("task-1", 2), ("task-2", 1), ("task-3", 2)]
        let text = try written { (writer: inout ByteWriter) in
            GPUTaskAPI.writeStatistics(totalConnections: 5, activeTasks: 3, at: TaskSample.time(0), to: &writer) { tell in
                for (name, count) in counts { tell(TaskSample.id(name), count) }
            }
        }
        #expect(
            text == #"{"websocket_statistics":{"total_connections":5,"active_tasks":3,"#
                + #""task_connection_counts":{"task-1":2,"task-2":1,"task-3":2},"timestamp":"2024-01-01T10:00:00.000Z"},"#
                + #""timestamp":"2024-01-01T10:00:00.000Z"}"#)
    }

    @Test("statistics of nobody, and a task whose name needs escapes")
    func otherStatistics() throws {
        #expect(
            try written { GPUTaskAPI.writeStatistics(totalConnections: 0, activeTasks: 0, at: TaskSample.time(0), to: &$0) { _ in } }
                .contains(#""task_connection_counts":{},"#))
        let name = TaskSample.id(#"a"b"#)
        #expect(
            try written {
                GPUTaskAPI.writeStatistics(totalConnections: 1, activeTasks: 1, at: TaskSample.time(0), to: &$0) { $0(name, 1) }
            }.contains(#""task_connection_counts":{"a\"b":1},"#))
    }

    @Test("the document's connections of a task, and one of nobody in particular")
    func connections() throws {
        let user = TaskConnection(
            user: SharedBytes("user-123"), connectedAt: TaskSample.time(-300), lastPing: TaskSample.time(0))
        let anonymous = TaskConnection(user: nil, connectedAt: TaskSample.time(-1), lastPing: TaskSample.time(-1))
        let text = try written { (writer: inout ByteWriter) in
            GPUTaskAPI.writeConnections(of: TaskSample.id, count: 2, at: TaskSample.time(0), to: &writer) { tell in
                tell(user)
                tell(anonymous)
            }
        }
        #expect(
            text == #"{"task_id":"task-uuid","connection_count":2,"has_active_connections":true,"connections":["#
                + #"{"task_id":"task-uuid","user_id":"user-123","connected_at":"2024-01-01T09:55:00.000Z","#
                + #""last_ping":"2024-01-01T10:00:00.000Z"},"#
                + #"{"task_id":"task-uuid","user_id":null,"connected_at":"2024-01-01T09:59:59.000Z","#
                + #""last_ping":"2024-01-01T09:59:59.000Z"}],"timestamp":"2024-01-01T10:00:00.000Z"}"#)
    }

    @Test("a task that nobody watches")
    func noConnections() throws {
        #expect(
            try written { GPUTaskAPI.writeConnections(of: TaskSample.id, count: 0, at: TaskSample.time(0), to: &$0) { _ in } }
                == #"{"task_id":"task-uuid","connection_count":0,"has_active_connections":false,"connections":[],"#
                + #""timestamp":"2024-01-01T10:00:00.000Z"}"#)
    }
}
