// UserTaskAPI: document N over HTTP, for those who poll: one task, all of a user's tasks page by page, and the end of a record. Every
// answer is `success` with `data` or with `error`. Knows no HTTP beyond the number of a status and the texts of a query.
public import Base
public import Domain
internal import JSON

/// Which of a user's tasks are asked for.
public struct UserTaskQuery: Sendable, Equatable {
    /// Only tasks in this state; nil for all.
    public var state: TaskState?
    /// How many at most.
    public var limit: Int
    /// Only tasks behind this place; nil from the beginning.
    public var cursor: UserTaskCursor?

    public init(state: TaskState? = nil, limit: Int, cursor: UserTaskCursor? = nil) {
        self.state = state
        self.limit = limit
        self.cursor = cursor
    }
}

/// A place in the list of a user's tasks, newest first: the last task that was shown. It stays where it is when tasks come and go.
public struct UserTaskCursor: Sendable, Equatable {
    public let createdAt: WallTime
    public let id: TaskID

    public init(createdAt: WallTime, id: TaskID) {
        self.createdAt = createdAt
        self.id = id
    }

    /// Reads what ``write(to:)`` wrote: milliseconds, a hyphen, the name.
    public init?(_ text: Span<UInt8>) {
        var milliseconds: Int64 = 0
        var at = 0
        // 15 digits reach the year 33658, and cannot overflow.
        while at < text.count, at < 15, text[at] &- UInt8(ascii: "0") < 10 {
            milliseconds = milliseconds * 10 + Int64(text[at] - UInt8(ascii: "0"))
            at += 1
        }
        guard at > 0, at < text.count, text[at] == UInt8(ascii: "-"), let id = TaskID(text.extracting(at + 1..<text.count)) else {
            return nil
        }
        self.init(createdAt: WallTime(milliseconds: milliseconds), id: id)
    }

    func write(to writer: inout ByteWriter) {
        writer.append(decimal: Int(max(createdAt.milliseconds, 0)))
        writer.append(UInt8(ascii: "-"))
        id.write(to: &writer)
    }
}

public enum UserTaskAPI {
    // MARK: Requests

    /// Tasks that are answered where `?limit=` says nothing, and the most that are answered at all: a page that a person reads, and what
    /// is still a short answer.
    public static let limitDefault = 50
    public static let limitMax = 500

    /// Reads the query of GET /api/task/tasks; an empty value counts as none.
    ///
    /// - Parameters: percent-decoded; nil where there is none.
    public static func readQuery(
        status: SharedBytes?, limit: SharedBytes?, cursor: SharedBytes?
    ) throws(RequestProblem) -> UserTaskQuery {
        var query = UserTaskQuery(limit: try QueryLimit.read(limit, default: limitDefault, max: limitMax))
        if let status, !status.isEmpty { query.state = try state(status) }
        if let cursor, !cursor.isEmpty {
            guard let place = UserTaskCursor(cursor.span) else {
                throw .outOfRange(member: "cursor", expected: "the next_cursor of an earlier answer")
            }
            query.cursor = place
        }
        return query
    }

    private static func state(_ word: SharedBytes) throws(RequestProblem) -> TaskState {
        switch word.description {
        case "pending": return .queued
        // Whether the last that was heard is a report makes no difference to where a task stands.
        case "running", "progress": return .executing
        case "completed": return .completed
        case "failed": return .failed
        case "cancelled": return .cancelled
        default: throw .outOfRange(member: "status", expected: "one of pending, running, progress, completed, failed, cancelled")
        }
    }

    // MARK: Answers

    /// The answer to GET /api/task/task/{task_id}/status.
    public static func writeTask(_ task: TaskDetails, to writer: inout ByteWriter) {
        succeed(to: &writer) { $0.task(task) }
    }

    /// The answer to GET /api/task/tasks.
    ///
    /// - Parameters:
    ///   - tasks: newest first.
    ///   - next: the last of them where more follow.
    public static func writeTasks(_ tasks: some Sequence<TaskDetails>, next: UserTaskCursor?, to writer: inout ByteWriter) {
        succeed(to: &writer) { data in
            var count = 0
            data.member(
                "tasks",
                array: { list in
                    for task in tasks {
                        list.element(object: { $0.task(task) })
                        count += 1
                    }
                })
            data.member("count", int: count)
            if let next {
                var text = ByteWriter(capacity: 64)
                next.write(to: &text)
                data.member("next_cursor", string: text.span)
            } else {
                data.nullMember("next_cursor")
            }
        }
    }

    /// The answer to DELETE /api/task/task/{task_id}, whose record is gone.
    public static func writeRemoved(_ id: TaskID, to writer: inout ByteWriter) {
        succeed(to: &writer) { $0.member("task_id", id) }
    }

    // MARK: Refusals

    /// - Returns: the status.
    public static func writeUnknownTask(to writer: inout ByteWriter) -> Int {
        fail("Task not found", to: &writer)
        return 404
    }

    /// The task cannot be removed yet.
    ///
    /// - Returns: the status.
    public static func writeNotEnded(to writer: inout ByteWriter) -> Int {
        fail("Task has not ended", to: &writer)
        return 409
    }

    /// - Returns: the status.
    public static func write(_ problem: RequestProblem, to writer: inout ByteWriter) -> Int {
        fail(problem.sentence, to: &writer)
        return 400
    }

    /// Whatever else there is to refuse, as for want of a token.
    public static func writeRefusal(_ words: String, to writer: inout ByteWriter) { fail(words, to: &writer) }

    static func succeed(to writer: inout ByteWriter, _ data: (inout JSONObjectWriter) -> Void) {
        writer.object {
            $0.member("success", bool: true)
            $0.member("data", object: data)
        }
    }

    static func fail(_ words: String, to writer: inout ByteWriter) {
        writer.object {
            $0.member("success", bool: false)
            $0.member("error", string: words)
        }
    }
}
