// DispatchAPI: document D over HTTP. Reads the body of POST /api/openai, writes the answers of it and of GET /api/task/{taskId}. Every
// status, word and member is the document's. Knows no HTTP beyond the number of a status.
public import Base
public import Domain
public import JSON

/// What a client ordered.
public struct Order: Sendable {
    public var submission: Submission
    /// Whether the answer is to come at once, not at the end.
    public var isAsync: Bool
    /// Whether the result is wanted in pieces, as the worker sends them.
    public var isStreamed = false
}

public enum DispatchAPI {
    // MARK: Requests

    /// Reads the body of a submission.
    ///
    /// - Parameters:
    ///   - key: the Idempotency-Key header, which the member `idempotencyKey` goes before.
    ///   - scratch: used and left as it was.
    public static func readOrder(
        _ body: Span<UInt8>, _ index: JSONIndex, key: SharedBytes?, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> Order {
        let members = try Members(index)
        let data = try members.raw("data", .object, "an object", in: body)
        let messages = try members.raw("messages", .array, "an array", in: body)
        guard data != nil || messages != nil else { throw .nothingToDo }
        let model = try members.text("model", bytesMax: limits.nameBytesMax, in: body, &scratch)
        let group = try members.text("group", bytesMax: limits.nameBytesMax, in: body, &scratch)
        let isAsync = try members.bool("async", in: body) ?? false
        let timeout = try members.number("timeout", in: body).map(milliseconds)
        let retries = try members.number("retries", in: body) ?? 0
        guard retries >= 0, retries <= Double(limits.retriesMax), retries == retries.rounded() else {
            throw .outOfRange(member: "retries", expected: "a whole number from 0 to \(limits.retriesMax)")
        }
        let priority = try readPriority(members, in: body)
        let bytesMax = limits.idempotencyKeyBytesMax
        let memberKey = try members.text("idempotencyKey", bytesMax: bytesMax, in: body, &scratch)
        let submission = Submission(
            payload: payload(model: members.node("model", in: body).map { index.range(of: $0) }, messages, data, of: body, &scratch),
            group: named(group), model: model, priority: priority, timeout: timeout, retries: Int(retries),
            idempotencyKey: named(memberKey) ?? named(key))
        return Order(submission: submission, isAsync: isAsync)
    }

    /// An empty name is none: an empty key would be everybody's, and an empty `?group=` is the default group too.
    static func named(_ name: SharedBytes?) -> SharedBytes? { name?.isEmpty == true ? nil : name }

    static func readPriority(_ members: Members, in body: Span<UInt8>) throws(RequestProblem) -> Priority {
        guard let node = members.node("priority", in: body) else { return .normal }
        if members.index.equals(node, "normal", in: body) { return .normal }
        if members.index.equals(node, "high", in: body) { return .high }
        if members.index.equals(node, "low", in: body) { return .low }
        throw .wrongType(member: "priority", expected: "one of low, normal, high")
    }

    /// The broker clamps the timeout; here it only becomes whole nanoseconds without overflowing.
    static func milliseconds(_ count: Double) -> TimeSpan {
        .milliseconds(Int64(min(max(count, 0), 1e12)))
    }

    /// What the worker gets as `payload`: the client's own bytes of each value, the default model's name where it named none.
    private static func payload(
        model: Range<Int>?, _ messages: Range<Int>?, _ data: Range<Int>?, of body: Span<UInt8>, _ scratch: inout ByteWriter
    ) -> SharedBytes {
        let start = scratch.count
        scratch.object {
            if let model { $0.member("model", raw: body.extracting(model)) } else { $0.member("model", string: "default") }
            if let messages { $0.member("messages", raw: body.extracting(messages)) }
            if let data { $0.member("data", raw: body.extracting(data)) }
        }
        let payload = SharedBytes(copying: scratch.span.extracting(start..<scratch.count))
        scratch.truncate(to: start)
        return payload
    }

    // MARK: Answers

    /// The answer to a submission that does not wait, or that found its task under way: `{"taskId":…,"status":…}`.
    public static func writeAccepted(_ id: TaskID, _ state: TaskState, to writer: inout ByteWriter) {
        writer.object {
            $0.member("taskId", id)
            $0.member("status", word: state.word)
        }
    }

    /// The answer to a submission whose task has ended.
    ///
    /// - Returns: the status, and the user's value to be put into the text.
    public static func writeOutcome(of task: TaskRecord, to writer: inout ByteWriter) -> (status: Int, splice: Splice?) {
        switch task.outcome {
        case .completed(let result):
            return (200, writeSpliced(task, "result", result, to: &writer) { _ in })
        case .failed(let failure):
            return (500, writeFailed(task, failure, to: &writer) { _ in })
        case .cancelled:
            writeError("Task cancelled", to: &writer)
            return (409, nil)
        case nil:
            writeAccepted(task.id, task.state, to: &writer)
            return (200, nil)
        }
    }

    /// The answer to GET /api/task/{taskId}.
    ///
    /// - Parameter position: the task's place in the line, asked for only while it waits for a worker.
    public static func writeTask(_ task: TaskRecord, position: @autoclosure () -> Int, to writer: inout ByteWriter) -> Splice? {
        let endedAt = task.endedAt?.milliseconds ?? 0
        switch task.outcome {
        case .completed(let result):
            return writeSpliced(task, "result", result, to: &writer) { $0.member("completedAt", int: endedAt) }
        case .failed(let failure):
            return writeFailed(task, failure, to: &writer) { $0.member("failedAt", int: endedAt) }
        case .cancelled:
            writer.object {
                $0.member("taskId", task.id)
                $0.member("status", word: task.state.word)
                $0.member("error", string: "Task cancelled")
                $0.member("cancelledAt", int: endedAt)
            }
        case nil:
            writer.object {
                $0.member("taskId", task.id)
                $0.member("status", word: task.state.word)
                if task.state == .executing {
                    // Who has it in hand; after a restart, whose it was and may be again. What an outside program runs has no worker.
                    if let worker = task.lastWorker { $0.member("workerId", worker) }
                    $0.member("startedAt", int: task.startedAt?.milliseconds ?? 0)
                    writeProgress(task, to: &$0)
                } else {
                    $0.member("enqueuedAt", int: task.enqueuedAt.milliseconds)
                    if task.origin == .dispatched { $0.member("position", int: position()) }
                }
            }
        }
        return nil
    }

    /// What the worker said on the way, where it said anything.
    private static func writeProgress(_ task: TaskRecord, to object: inout JSONObjectWriter) {
        guard let report = task.report else { return }
        object.member("progress", double: task.progress)
        if let step = report.step { object.member("step", string: step) }
        if let message = report.message { object.member("message", string: message) }
    }

    /// The answer to a cancellation.
    public static func writeCancellation(_ cancellation: Cancellation, to writer: inout ByteWriter) -> Int {
        switch cancellation {
        case .cancelled(let task):
            writeAccepted(task.id, task.state, to: &writer)
            return 200
        case .alreadyEnded(let task):
            writer.object {
                $0.member("error", string: "Task already ended")
                $0.member("taskId", task.id)
                $0.member("status", word: task.state.word)
            }
            return 409
        case .unknownTask:
            writeError(unknownTask, to: &writer)
            return 404
        }
    }

    public static func write(_ refusal: SubmissionRefusal, to writer: inout ByteWriter) -> Int {
        switch refusal {
        case .noWorker: writeError("No worker available", to: &writer)
        case .queueFull: writeError("Queue is full", to: &writer)
        case .closing: writeError("Server is shutting down", to: &writer)
        }
        return 503
    }

    private static let null = SharedBytes("null")

    public static let unknownTask: StaticString = "Task not found or expired"

    private static func writeFailed(
        _ task: TaskRecord, _ failure: Failure, to writer: inout ByteWriter, _ rest: (inout JSONObjectWriter) -> Void
    ) -> Splice? {
        switch failure {
        case .reported(.raw(let value)): return writeSpliced(task, "error", value, to: &writer, rest)
        case .reported(.plain(let text)): writeFailed(task, to: &writer, { $0.member("error", string: text) }, rest)
        case .timeout: writeFailed(task, "Task timeout", to: &writer, rest)
        case .workerDisconnected: writeFailed(task, "Worker disconnected", to: &writer, rest)
        }
        return nil
    }

    private static func writeFailed(
        _ task: TaskRecord, _ words: StaticString, to writer: inout ByteWriter, _ rest: (inout JSONObjectWriter) -> Void
    ) {
        writeFailed(task, to: &writer, { $0.member("error", string: words) }, rest)
    }

    private static func writeFailed(
        _ task: TaskRecord, to writer: inout ByteWriter, _ error: (inout JSONObjectWriter) -> Void,
        _ rest: (inout JSONObjectWriter) -> Void
    ) {
        writer.object {
            $0.member("taskId", task.id)
            $0.member("status", word: task.state.word)
            error(&$0)
            rest(&$0)
        }
    }

    /// An object with a user's value in it, which is left out of the text and named in the splice. Where nothing was given, or nothing of
    /// it was kept, it is null.
    private static func writeSpliced(
        _ task: TaskRecord, _ name: StaticString, _ given: SharedBytes, to writer: inout ByteWriter,
        _ rest: (inout JSONObjectWriter) -> Void
    ) -> Splice {
        let value = given.isEmpty ? null : given
        var offset = 0
        writer.object {
            $0.member("taskId", task.id)
            $0.member("status", word: task.state.word)
            $0.member(name) { offset = $0.count }
            rest(&$0)
        }
        return Splice(offset: offset, value: value)
    }
}

extension TaskState {
    /// The document's word.
    var word: StaticString {
        switch self {
        case .queued: "queued"
        case .executing: "executing"
        case .completed: "completed"
        case .failed: "failed"
        case .cancelled: "cancelled"
        }
    }
}

extension JSONObjectWriter {
    @inline(__always)
    mutating func member(_ key: StaticString, _ id: TaskID) {
        if let name = id.name {
            member(key, string: name)
        } else {
            member(key) { writer in
                writer.append(UInt8(ascii: "\""))
                id.write(to: &writer)
                writer.append(UInt8(ascii: "\""))
            }
        }
    }

    mutating func member(_ key: StaticString, _ id: WorkerID) {
        member(key) { writer in
            writer.append(UInt8(ascii: "\""))
            id.write(to: &writer)
            writer.append(UInt8(ascii: "\""))
        }
    }
}

/// Appends `{"error":"…"}`.
public func writeError(_ words: StaticString, to writer: inout ByteWriter) {
    writer.object { $0.member("error", string: words) }
}

/// Appends `{"error":"…"}`, of words that were put together.
public func writeError(_ words: String, to writer: inout ByteWriter) {
    writer.object { $0.member("error", string: words) }
}
