// ProgressAPI: document P over HTTP: a task's progress and its history, counts, and subscriptions of a hub client. Every word and member
// is the document's; `seq` is added to what tells of a task. Knows no HTTP beyond the numbers of a query.
public import Base
public import Domain
internal import JSON

public enum ProgressAPI {
    // MARK: Requests

    /// Entries of a history that are answered where `?limit=` says nothing, and the most that are answered at all: what memory keeps of a
    /// task, and ten times that from the database.
    public static let memoryLimitDefault = 20
    public static let memoryLimitMax = 100
    public static let databaseLimitDefault = 100
    public static let databaseLimitMax = 1_000

    /// Where a history comes from.
    public enum Source: Sendable {
        case memory, database

        var word: StaticString {
            switch self {
            case .memory: "memory"
            case .database: "database"
            }
        }
    }

    /// Reads `?limit=`; one above the most counts as the most.
    ///
    /// - Parameter text: percent-decoded; nil where there is none.
    public static func readLimit(_ text: SharedBytes?, from source: Source) throws(RequestProblem) -> Int {
        switch source {
        case .memory: try QueryLimit.read(text, default: memoryLimitDefault, max: memoryLimitMax)
        case .database: try QueryLimit.read(text, default: databaseLimitDefault, max: databaseLimitMax)
        }
    }

    // MARK: A task

    /// The answer to GET /api/v1/progress/:task_id.
    public static func writeProgress(of task: TaskDetails, to writer: inout ByteWriter) {
        writer.object { $0.progress(HubDialect.Standing(task), task.report) }
    }

    /// The answer to GET /api/v1/progress/:task_id/history.
    ///
    /// - Parameters:
    ///   - publications: oldest first. An entry that says nothing of the steps has those of the entry before.
    ///   - limit: how many entries are answered, the newest; those before only lend their steps.
    public static func writeHistory(
        of id: TaskID, _ publications: some Collection<Publication>, last limit: Int = .max, to writer: inout ByteWriter
    ) {
        var excess = max(publications.count { HubDialect.messageCount(of: $0.event) > 0 } - limit, 0)
        write(id, .memory, to: &writer) { list in
            var last = TaskEvent.Progress()
            for publication in publications {
                var message: TaskEvent.Words?
                switch publication.event {
                case .log, .chunk: continue
                case .queued, .started, .completed: break
                case .progress(let report):
                    last = report.following(last)
                    message = report.message.map { .plain($0) }
                case .failed(let fault): message = fault.error
                case .cancelled(let reason): message = reason.map { .plain($0) }
                }
                guard excess == 0 else {
                    excess -= 1
                    continue
                }
                list.element(object: {
                    $0.progress(
                        HubDialect.Standing(publication), currentStep: last.currentStep, totalSteps: last.totalSteps,
                        completedSteps: last.completedSteps, message: message ?? last.message.map { .plain($0) })
                })
            }
        }
    }

    /// The answer to GET /api/v1/progress/:task_id/history/db.
    ///
    /// - Parameter rows: oldest first.
    public static func writeHistory(of id: TaskID, _ rows: some Sequence<ProgressRow>, to writer: inout ByteWriter) {
        write(id, .database, to: &writer) { list in
            for row in rows {
                list.element(object: {
                    $0.member("task_id", row.taskID)
                    $0.member("progress", int: row.progress)
                    $0.member("current_step", string: row.currentStep)
                    $0.member("total_steps", int: row.totalSteps)
                    $0.member("completed_steps", int: row.completedSteps)
                    $0.member("message", string: row.message)
                    $0.member("status", string: row.status)
                    $0.stamp(utc: row.createdAt)
                    $0.member("seq", sequence: row.sequence)
                })
            }
        }
    }

    private static func write(
        _ id: TaskID, _ source: Source, to writer: inout ByteWriter, _ history: (inout JSONArrayWriter) -> Void
    ) {
        writer.object {
            $0.member("task_id", id)
            $0.member("source", string: source.word)
            $0.member("history", array: history)
        }
    }

    /// The answer to DELETE /api/v1/progress/:task_id/history.
    public static func writeCleared(_ id: TaskID, to writer: inout ByteWriter) {
        writer.object {
            $0.member("message", string: "历史已清除")
            $0.member("task_id", id)
        }
    }

    // MARK: Subscriptions of a client

    public static func writeSubscribed(_ id: TaskID, _ client: ClientID, to writer: inout ByteWriter) {
        write("订阅成功", id, client, to: &writer)
    }

    public static func writeUnsubscribed(_ id: TaskID, _ client: ClientID, to writer: inout ByteWriter) {
        write("取消订阅成功", id, client, to: &writer)
    }

    private static func write(_ message: StaticString, _ id: TaskID, _ client: ClientID, to writer: inout ByteWriter) {
        writer.object {
            $0.member("message", string: message)
            $0.member("task_id", id)
            $0.member("client_id", client)
        }
    }

    // MARK: Counts

    /// The answer to GET /api/v1/progress/stats. Cancelled tasks are in the total alone.
    public static func writeStatistics(total: Int, active: Int, completed: Int, failed: Int, to writer: inout ByteWriter) {
        writer.object {
            $0.member("total_tasks", int: total)
            $0.member("active_tasks", int: active)
            $0.member("completed_tasks", int: completed)
            $0.member("failed_tasks", int: failed)
        }
    }

    /// Shows every name and its count, to the closure that it is given.
    public typealias Counts = ((SharedBytes, Int) -> Void) -> Void

    /// The answer to GET /api/v1/progress/active.
    public static func writeActive(clients: Int, byUser: Counts, byProject: Counts, to writer: inout ByteWriter) {
        writeClients("connected_clients", clients, byUser, byProject, to: &writer)
    }

    /// The answer to GET /api/v1/websocket/stats.
    public static func writeWebSockets(clients: Int, byUser: Counts, byProject: Counts, to writer: inout ByteWriter) {
        writeClients("total_clients", clients, byUser, byProject, to: &writer)
    }

    private static func writeClients(
        _ key: StaticString, _ count: Int, _ byUser: Counts, _ byProject: Counts, to writer: inout ByteWriter
    ) {
        writer.object { object in
            object.member(key, int: count)
            object.member(
                "by_user",
                object: { counts in
                    byUser { name, count in counts.member(named: name.span) { $0.append(decimal: count) } }
                })
            object.member(
                "by_project",
                object: { counts in
                    byProject { name, count in counts.member(named: name.span) { $0.append(decimal: count) } }
                })
        }
    }

    // MARK: Refusals

    /// - Returns: the status.
    public static func writeUnknownTask(to writer: inout ByteWriter) -> Int {
        writeError("Task not found", to: &writer)
        return 404
    }

    /// - Returns: the status.
    public static func writeUnknownClient(to writer: inout ByteWriter) -> Int {
        writeError("Client not found", to: &writer)
        return 404
    }

    /// - Returns: the status.
    public static func write(_ problem: RequestProblem, to writer: inout ByteWriter) -> Int {
        writeError(problem.sentence, to: &writer)
        return 400
    }
}

extension TaskEvent.Progress {
    /// What is known of the steps after this report: what it says, and of the rest what was said before.
    fileprivate func following(_ earlier: TaskEvent.Progress) -> TaskEvent.Progress {
        TaskEvent.Progress(
            message: message ?? earlier.message, currentStep: currentStep ?? step ?? earlier.currentStep,
            totalSteps: totalSteps ?? earlier.totalSteps, completedSteps: completedSteps ?? earlier.completedSteps)
    }
}
