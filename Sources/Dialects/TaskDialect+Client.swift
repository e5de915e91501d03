// TaskDialect+Client: document G's conversation with one client of a task's socket: what the client may say, and what it alone is told.
// The messages that everybody gets stand in TaskDialect.swift.
public import Base
public import Domain
public import JSON

/// What a client of a task's socket says.
public enum TaskClientMessage: Sendable, Equatable {
    case ping
    case getStatus
    /// A newer token than the one it came with.
    case refresh(token: SharedBytes)
}

extension TaskDialect {
    // MARK: From the client

    /// Reads one message. What is wrong with one is told by ``writeError(_:at:to:)``, and the connection stays.
    ///
    /// - Parameter scratch: used and left as it was.
    public static func read(
        _ text: Span<UInt8>, _ index: JSONIndex, scratch: inout ByteWriter
    ) throws(RequestProblem) -> TaskClientMessage {
        let members = try Members(index)
        guard let type = members.node("type", in: text) else { throw .missing(member: "type") }
        guard index.kind(of: type) == .string else { throw .wrongType(member: "type", expected: "a text") }
        if index.equals(type, "ping", in: text) { return .ping }
        if index.equals(type, "get_status", in: text) { return .getStatus }
        if index.equals(type, "refresh", in: text) { return .refresh(token: try members.token(in: text, &scratch)) }
        throw members.unknownType(type, in: text)
    }

    // MARK: To the client

    /// The first message on a socket.
    ///
    /// - Parameter number: which connection of this server's life it is.
    public static func writeConnected(number: UInt64, to task: TaskID, at now: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "connection_established")
            $0.member("connection_id") { writer in
                writer.append("\"conn_")
                writer.append(decimal: Int(clamping: number))
                writer.append(UInt8(ascii: "_"))
                writer.append(decimal: Int(now.seconds))
                writer.append(UInt8(ascii: "\""))
            }
            $0.member("task_id", task)
            $0.member("timestamp", iso8601: now)
            $0.member("message", string: "WebSocket connection established")
        }
    }

    /// The second message on a socket: how the task stands.
    public static func writeCurrentStatus(_ task: TaskSnapshot, at now: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "current_status")
            $0.member("task_id", task.id)
            $0.member("status", string: word(task.state))
            $0.member("message", sentence: "Current task status: ", word(task.state))
            writeStanding(task, to: &$0)
            $0.member("timestamp", iso8601: now)
            $0.member("seq", sequence: task.sequence)
        }
    }

    /// Progress, times, provider and priority; null where something is not known, so that every reader finds its member.
    static func writeStanding(_ task: TaskSnapshot, to object: inout JSONObjectWriter) {
        object.member("progress", percent: task.progress)
        object.member("created_at", iso8601: task.createdAt)
        object.member("started_at", iso8601: task.startedAt)
        object.member("provider", stringOrNull: task.provider)
        object.member("priority", string: word(task.priority))
    }

    /// The answer to `get_status`.
    public static func writeStatusResponse(_ task: TaskSnapshot, at now: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "status_response")
            $0.member("task_id", task.id)
            $0.member("status", string: word(task.state))
            $0.member("timestamp", iso8601: now)
            $0.member("seq", sequence: task.sequence)
        }
    }

    /// What stands for logs that a client read too slowly to get: those among the events from `first` to `last`.
    ///
    /// - Parameter at: when the last of them was said.
    public static func writeGap(
        of task: TaskID, from first: UInt64, through last: UInt64, at: WallTime, to writer: inout ByteWriter
    ) {
        writer.object {
            $0.member("type", string: "gap")
            $0.member("task_id", task)
            $0.member("first_seq", sequence: first)
            $0.member("last_seq", sequence: last)
            $0.member("timestamp", iso8601: at)
        }
    }

    /// The same for every client of a task.
    public static func writeHeartbeat(_ task: TaskID, at now: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "heartbeat")
            $0.member("task_id", task)
            $0.member("timestamp", iso8601: now)
        }
    }

    /// The answer to `ping`.
    public static func writePong(at now: WallTime, to writer: inout ByteWriter) { write("pong", at: now, to: &writer) }

    /// The answer to `refresh`, where the token was taken.
    public static func writeRefreshed(at now: WallTime, to writer: inout ByteWriter) { write("refreshed", at: now, to: &writer) }

    /// The answer to a message that could not be read.
    public static func writeError(_ problem: RequestProblem, at now: WallTime, to writer: inout ByteWriter) {
        switch problem {
        case .malformed: writeError("Invalid JSON format", at: now, to: &writer)
        case .notAnObject, .nothingToDo, .wrongType, .outOfRange, .missing, .unknownType:
            writeError(problem.sentence, at: now, to: &writer)
        }
    }

    /// The answer to a message that led to nothing, for the reason that the words give.
    public static func writeError(_ words: String, at now: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "error")
            $0.member("message", string: "Error processing message: \(words)")
            $0.member("timestamp", iso8601: now)
        }
    }

    private static func write(_ type: StaticString, at now: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: type)
            $0.member("timestamp", iso8601: now)
        }
    }
}
