// DeadLetterAPI: the failed tasks that may be tried again, over HTTP, in document D's words: reads what is asked for, writes pages, letters
// and what became of replays. Knows no HTTP beyond the number of a status and the texts of a query.
public import Base
public import Domain
public import JSON

public enum DeadLetterAPI {
    /// Letters that are answered where `?limit=` says nothing, and the most that are answered at all.
    public static let limitDefault = 50
    public static let limitMax = 500
    /// A page ends behind the letter whose words reach this: reporters may say much.
    public static let wordsBytesMax = 1 << 20

    public static let unknownLetter: StaticString = "Dead letter not found"

    // MARK: Requests

    /// What a page shows.
    public struct Question: Sendable, Equatable {
        public var limit: Int
        /// Only letters before that number.
        public var before: UInt64?
        public var group: SharedBytes?
    }

    /// Reads the query of GET /api/dead-letters; an empty value counts as none.
    ///
    /// - Parameters: percent-decoded; nil where there is none.
    public static func readQuestion(
        limit: SharedBytes?, cursor: SharedBytes?, group: SharedBytes?
    ) throws(RequestProblem) -> Question {
        Question(
            limit: try QueryLimit.read(limit, default: limitDefault, max: limitMax),
            before: try QueryLimit.readCursor(cursor, expected: "the nextCursor of an earlier answer"), group: DispatchAPI.named(group))
    }

    /// Reads the body of POST /api/dead-letters/replay.
    ///
    /// - Returns: the group; nil for all.
    public static func readReplay(
        _ body: Span<UInt8>, _ index: JSONIndex, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> SharedBytes? {
        DispatchAPI.named(try Members(index).text("group", bytesMax: limits.nameBytesMax, in: body, &scratch))
    }

    // MARK: Answers

    /// The answer to GET /api/dead-letters: what is known of each, but for its payload.
    ///
    /// - Parameter letters: newest first.
    public static func write(_ letters: [DeadLetter], hasMore: Bool, to writer: inout ByteWriter) {
        writer.object {
            $0.member(
                "deadLetters",
                array: { list in
                    for letter in letters { list.element(object: { $0.letterFields(letter) }) }
                })
            $0.member("count", int: letters.count)
            if hasMore, let last = letters.last {
                $0.member("nextCursor") { writer in
                    writer.append(UInt8(ascii: "\""))
                    writer.append(decimal: Int(clamping: last.number))
                    writer.append(UInt8(ascii: "\""))
                }
            } else {
                $0.nullMember("nextCursor")
            }
        }
    }

    /// The answer to GET /api/dead-letters/{task_id}; the payload is left out of the text and named in the splice.
    public static func write(_ letter: DeadLetter, to writer: inout ByteWriter) -> Splice {
        var offset = 0
        writer.object {
            $0.letterFields(letter)
            $0.member("payload") { offset = $0.count }
        }
        return Splice(offset: offset, value: letter.submission.payload)
    }

    /// The answer to POST /api/dead-letters/{task_id}/replay.
    ///
    /// - Parameter state: how the new task stood when it was taken in.
    public static func writeReplay(of letter: TaskID, by task: TaskID, _ state: TaskState, to writer: inout ByteWriter) {
        writer.object {
            $0.member("taskId", task)
            $0.member("replayOf", letter)
            $0.member("status", string: state.word)
        }
    }

    /// The answer to POST /api/dead-letters/replay.
    public static func writeReplays(_ replayed: Int, refused: Int, remaining: Int, to writer: inout ByteWriter) {
        writer.object {
            $0.member("replayed", int: replayed)
            $0.member("refused", int: refused)
            $0.member("remaining", int: remaining)
        }
    }

    /// The answer to DELETE /api/dead-letters/{task_id}.
    public static func writeRemoved(_ id: TaskID, to writer: inout ByteWriter) {
        writer.object {
            $0.member("taskId", id)
            $0.member("removed", bool: true)
        }
    }

    /// - Returns: the status.
    public static func write(_ refusal: LetterRefusal, to writer: inout ByteWriter) -> Int {
        switch refusal {
        case .unknownLetter:
            writeError(unknownLetter, to: &writer)
            return 404
        case .underWay:
            writeError("Dead letter is being replayed", to: &writer)
            return 409
        case .notTaken(let refusal): return DispatchAPI.write(refusal, to: &writer)
        }
    }
}

extension JSONObjectWriter {
    mutating func letterFields(_ letter: DeadLetter) {
        let submission = letter.submission
        member("taskId", letter.id)
        member("group", string: letter.group)
        member("model", stringOrNull: submission.model)
        member("priority", string: TaskDialect.word(submission.priority))
        if let provider = submission.provider { member("provider", string: provider) }
        if let type = submission.type { member("type", string: type) }
        member("timeout", int: submission.timeout?.milliseconds ?? 0)
        member("retries", int: submission.retries)
        member("attempts", int: letter.attempts)
        member("reason", string: letter.failure.reason)
        switch letter.failure {
        case .timeout: member("error", string: "Task timeout")
        case .workerDisconnected: member("error", string: "Worker disconnected")
        case .reportedPlainly: member("error", string: letter.words ?? .empty)
        case .reported: member("error", userValue: letter.words ?? .empty)
        }
        member("enqueuedAt", int: letter.createdAt.milliseconds)
        member("failedAt", int: letter.failedAt.milliseconds)
        member("payloadBytes", int: submission.payload.count)
    }
}

extension FailureKind {
    /// The word for programs; the sentence beside it is for people.
    fileprivate var reason: StaticString {
        switch self {
        case .reported, .reportedPlainly: "task_error"
        case .timeout: "timeout"
        case .workerDisconnected: "worker_disconnected"
        }
    }
}
