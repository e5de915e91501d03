// GPUTaskAPI: document G over HTTP. Reads the body of POST /api/gpu/tasks, writes the answers of it, of GET /api/gpu/tasks/{task_id} and
// its cancellation, and of the two routes about connections. Knows no HTTP beyond the number of a status.
public import Base
public import Domain
public import JSON

/// One client of a task's socket.
public struct TaskConnection: Sendable {
    /// Who it is; nil on an open surface.
    public var user: SharedBytes?
    public var connectedAt: WallTime
    /// When it last said something; its arrival, where it said nothing yet.
    public var lastPing: WallTime

    public init(user: SharedBytes?, connectedAt: WallTime, lastPing: WallTime) {
        self.user = user
        self.connectedAt = connectedAt
        self.lastPing = lastPing
    }
}

public enum GPUTaskAPI {
    // MARK: Requests

    /// Reads the body of a submission: document D's, with `provider` and `type`; nobody waits for it, whatever it says.
    ///
    /// - Parameters: as of ``DispatchAPI/readOrder(_:_:key:limits:scratch:)``.
    public static func readOrder(
        _ body: Span<UInt8>, _ index: JSONIndex, key: SharedBytes?, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> Order {
        var order = try DispatchAPI.readOrder(body, index, key: key, limits: limits, scratch: &scratch)
        let members = try Members(index)
        let provider = try members.text("provider", bytesMax: limits.nameBytesMax, in: body, &scratch)
        let type = try members.text("type", bytesMax: limits.nameBytesMax, in: body, &scratch)
        order.submission.provider = DispatchAPI.named(provider)
        order.submission.type = DispatchAPI.named(type)
        order.isAsync = true
        return order
    }

    // MARK: A task

    /// The answer to a submission: `{"task_id":…,"status":"pending",…}`.
    public static func writeAccepted(_ task: TaskSnapshot, to writer: inout ByteWriter) {
        writer.object {
            $0.member("task_id", task.id)
            $0.member("status", string: TaskDialect.word(task.state))
            TaskDialect.writeStanding(task, to: &$0)
            $0.member("seq", sequence: task.sequence)
        }
    }

    /// The answer to GET /api/gpu/tasks/{task_id}: what a watcher is told first, and all else that is known.
    ///
    /// - Returns: the result to be put into the text, where there is one.
    public static func writeTask(_ task: TaskDetails, at now: WallTime, to writer: inout ByteWriter) -> Splice? {
        var splice: Splice?
        writer.object {
            $0.member("task_id", task.snapshot.id)
            $0.member("status", string: TaskDialect.word(task.snapshot.state))
            if let message = task.report?.message {
                $0.member("message", string: message)
            } else {
                $0.member("message", sentence: "Current task status: ", TaskDialect.word(task.snapshot.state))
            }
            TaskDialect.writeStanding(task.snapshot, to: &$0)
            writeOrigin(task, to: &$0)
            if let report = task.report { writeReport(report, to: &$0) }
            splice = writeEnding(task.ending, to: &$0)
            $0.member("timestamp", iso8601: now)
            $0.member("seq", sequence: task.snapshot.sequence)
        }
        return splice
    }

    private static func writeOrigin(_ task: TaskDetails, to object: inout JSONObjectWriter) {
        if let enqueuedAt = task.enqueuedAt { object.member("enqueued_at", iso8601: enqueuedAt) }
        if let endedAt = task.endedAt { object.member("completed_at", iso8601: endedAt) }
        if let updatedAt = task.updatedAt { object.member("updated_at", iso8601: updatedAt) }
        if let user = task.user { object.member("user_id", string: user) }
        if let project = task.project { object.member("project_id", string: project) }
        if let group = task.group { object.member("group", string: group) }
        if let model = task.model { object.member("model", string: model) }
        if let type = task.type { object.member("type", string: type) }
        if let worker = task.worker { object.member("worker_id", worker) }
        object.member("attempts", int: task.attempts)
        // In milliseconds, as it was ordered.
        if let timeout = task.timeout { object.member("timeout", int: timeout.milliseconds) }
        if let metadata = task.metadata { object.member("metadata", userValue: metadata) }
    }

    private static func writeReport(_ report: TaskEvent.Progress, to object: inout JSONObjectWriter) {
        if let step = report.step { object.member("step", string: step) }
        if let step = report.currentStep { object.member("current_step", string: step) }
        if let count = report.totalSteps { object.member("total_steps", int: count) }
        if let count = report.completedSteps { object.member("completed_steps", int: count) }
        object.member("step_info") { TaskDialect.writeStepInfo(report, to: &$0) }
    }

    private static func writeEnding(_ event: TaskEvent?, to object: inout JSONObjectWriter) -> Splice? {
        switch event {
        case .completed(let completion):
            TaskDialect.writeExpense(completion.executionTime, completion.cost, to: &object)
            guard !completion.result.isEmpty else {
                object.nullMember("result_data")
                return nil
            }
            var offset = 0
            object.member("result_data") { offset = $0.count }
            return Splice(offset: offset, value: completion.result)
        case .failed(let fault):
            TaskDialect.writeExpense(fault.executionTime, fault.cost, to: &object)
            TaskDialect.writeWords(of: fault, to: &object)
            if let details = fault.details { object.member("error_details", userValue: details) }
        case .cancelled(let reason):
            TaskDialect.writeReason(reason, to: &object)
        case .queued, .started, .progress, .log, .chunk, nil: break
        }
        return nil
    }

    /// The answer to a cancellation.
    ///
    /// - Returns: the status.
    public static func writeCancellation(_ cancellation: Cancellation, to writer: inout ByteWriter) -> Int {
        switch cancellation {
        case .cancelled(let task):
            writer.object {
                $0.member("task_id", task.id)
                $0.member("status", string: TaskDialect.word(task.state))
            }
            return 200
        case .alreadyEnded(let task):
            writer.object {
                $0.member("error", string: "Task already ended")
                $0.member("task_id", task.id)
                $0.member("status", string: TaskDialect.word(task.state))
            }
            return 409
        case .unknownTask:
            writeError(DispatchAPI.unknownTask, to: &writer)
            return 404
        }
    }

    // MARK: Connections

    /// The answer to GET /api/gpu/websocket/stats.
    ///
    /// - Parameters:
    ///   - totalConnections: clients of all tasks' sockets.
    ///   - activeTasks: tasks that have a client.
    ///   - eachTask: tells of every task that is to be listed, once, how many clients it has.
    public static func writeStatistics(
        totalConnections: Int, activeTasks: Int, at now: WallTime, to writer: inout ByteWriter,
        eachTask: (_ tell: (TaskID, Int) -> Void) -> Void
    ) {
        writer.object {
            $0.member("websocket_statistics") {
                $0.object {
                    $0.member("total_connections", int: totalConnections)
                    $0.member("active_tasks", int: activeTasks)
                    $0.member("task_connection_counts") {
                        $0.object { writeCounts(eachTask, to: &$0) }
                    }
                    $0.member("timestamp", iso8601: now)
                }
            }
            $0.member("timestamp", iso8601: now)
        }
    }

    private static func writeCounts(_ eachTask: (_ tell: (TaskID, Int) -> Void) -> Void, to object: inout JSONObjectWriter) {
        var name = ByteWriter(capacity: TaskID.bytesMax)
        eachTask { task, count in
            name.removeAll()
            task.write(to: &name)
            object.member(named: name.span) { $0.append(decimal: count) }
        }
    }

    /// The answer to GET /api/gpu/tasks/{task_id}/connections.
    ///
    /// - Parameters:
    ///   - count: clients of the task's socket, of which not all need be listed.
    ///   - eachConnection: tells of every client that is to be listed.
    public static func writeConnections(
        of task: TaskID, count: Int, at now: WallTime, to writer: inout ByteWriter,
        eachConnection: (_ tell: (TaskConnection) -> Void) -> Void
    ) {
        writer.object {
            $0.member("task_id", task)
            $0.member("connection_count", int: count)
            $0.member("has_active_connections", bool: count > 0)
            $0.member("connections") {
                $0.array { writeConnections(of: task, eachConnection, to: &$0) }
            }
            $0.member("timestamp", iso8601: now)
        }
    }

    private static func writeConnections(
        of task: TaskID, _ eachConnection: (_ tell: (TaskConnection) -> Void) -> Void, to array: inout JSONArrayWriter
    ) {
        eachConnection { connection in
            array.element {
                $0.object {
                    $0.member("task_id", task)
                    $0.member("user_id", stringOrNull: connection.user)
                    $0.member("connected_at", iso8601: connection.connectedAt)
                    $0.member("last_ping", iso8601: connection.lastPing)
                }
            }
        }
    }
}
