// WorkerDialect: document D over the worker's WebSocket. One JSON object a message, told apart by `type`; what a worker says becomes a
// WorkerMessage, what it is told is written here. No state beyond one message.
//
// Cost: a message is indexed once and its members looked up by name; a result is copied once, out of the receive buffer.
public import Base
public import Domain
public import JSON

/// What a worker says.
public enum WorkerMessage: Sendable {
    case ready(concurrency: Int?, models: [SharedBytes]?)
    /// The result as the worker sent it.
    case complete(TaskID, result: SharedBytes)
    /// The worker's words as it sent them.
    case failed(TaskID, error: SharedBytes)
    case progress(TaskID, ProgressReport)
    case logs(TaskID)
    case chunk(TaskID)
    /// Its own state: GPUs, memory, load.
    case status
    case drain
    case ping
}

public enum WorkerDialect {
    // MARK: From the worker

    public static func read(
        _ text: Span<UInt8>, _ index: JSONIndex, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> WorkerMessage {
        let members = try Members(index)
        guard let type = members.node("type", in: text) else { throw .missing(member: "type") }
        guard index.kind(of: type) == .string else { throw .wrongType(member: "type", expected: "a text") }
        if index.equals(type, "task_complete", in: text) {
            let result = members.node("result", in: text).map { SharedBytes(copying: text.extracting(index.range(of: $0))) }
            return .complete(try taskID(members, text, &scratch), result: result ?? null)
        }
        if index.equals(type, "task_progress", in: text) {
            return .progress(try taskID(members, text, &scratch), try report(members, text, limits, &scratch))
        }
        if index.equals(type, "task_chunk", in: text) { return .chunk(try taskID(members, text, &scratch)) }
        if index.equals(type, "task_logs", in: text) { return .logs(try taskID(members, text, &scratch)) }
        if index.equals(type, "task_error", in: text) {
            let words = members.node("error", in: text).map { SharedBytes(copying: text.extracting(index.range(of: $0))) }
            return .failed(try taskID(members, text, &scratch), error: words ?? unsaid)
        }
        if index.equals(type, "ready", in: text) { return try ready(members, text, limits, &scratch) }
        if index.equals(type, "ping", in: text) { return .ping }
        if index.equals(type, "worker_status", in: text) { return .status }
        if index.equals(type, "drain", in: text) { return .drain }
        let word = index.string(type, in: text) ?? ""
        throw .unknownType(String(word.unicodeScalars.prefix(64).map(Character.init)))
    }

    private static let null = SharedBytes("null")
    /// A failure without words.
    private static let unsaid = SharedBytes("\"Task failed\"")

    private static func taskID(_ members: Members, _ text: Span<UInt8>, _ scratch: inout ByteWriter) throws(RequestProblem) -> TaskID {
        guard let node = members.node("taskId", in: text) else { throw .missing(member: "taskId") }
        guard let contents = members.index.contents(of: node) else { throw .wrongType(member: "taskId", expected: "a text") }
        let id: TaskID?
        if members.index.hasEscapes(node) {
            let start = scratch.count
            _ = members.index.decode(node, in: text, into: &scratch)
            id = TaskID(scratch.span.extracting(start..<scratch.count))
            scratch.truncate(to: start)
        } else {
            id = TaskID(text.extracting(contents))
        }
        guard let id else { throw .outOfRange(member: "taskId", expected: "1 to \(TaskID.bytesMax) bytes of printable text") }
        return id
    }

    private static func report(
        _ members: Members, _ text: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> ProgressReport {
        let percent = try members.number("progress", in: text)
        return ProgressReport(
            percent: percent.map { min(max($0, 0), 100) },
            message: try members.text("message", bytesMax: limits.progressTextBytesMax, in: text, &scratch),
            step: try members.text("step", bytesMax: limits.progressTextBytesMax, in: text, &scratch))
    }

    private static func ready(
        _ members: Members, _ text: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> WorkerMessage {
        var concurrency: Int?
        if let number = try members.number("concurrency", in: text) {
            guard number >= 1, number <= Double(limits.concurrencyMax), number == number.rounded() else {
                throw .outOfRange(member: "concurrency", expected: "a whole number from 1 to \(limits.concurrencyMax)")
            }
            concurrency = Int(number)
        }
        var models: [SharedBytes]?
        if let node = members.node("models", in: text) {
            guard members.index.kind(of: node) == .array else { throw .wrongType(member: "models", expected: "an array of texts") }
            var names: [SharedBytes] = []
            for (count, element) in members.index.elements(of: node).enumerated() {
                guard count < limits.modelsMax else {
                    throw .outOfRange(member: "models", expected: "at most \(limits.modelsMax) names")
                }
                let name = try members.text(element, "models", bytesMax: limits.nameBytesMax, in: text, &scratch)
                if !names.contains(name) { names.append(name) }
            }
            models = names
        }
        return .ready(concurrency: concurrency, models: models)
    }

    // MARK: To the worker

    public static func writeConnected(_ id: WorkerID, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "connected")
            $0.member("workerId", id)
            $0.member("message", string: "Connected to Task Dispatcher")
        }
    }

    /// A task for the worker; the payload is left out of the text and named in the splice.
    public static func writeTask(_ task: TaskRecord, to writer: inout ByteWriter) -> Splice {
        var offset = 0
        writer.object {
            $0.member("type", string: "task")
            $0.member("taskId", task.id)
            $0.member("payload") { offset = $0.count }
        }
        return Splice(offset: offset, value: task.payload)
    }

    public static func writeCancel(_ id: TaskID, to writer: inout ByteWriter) { write("cancel", id, to: &writer) }

    /// The worker's result is stored.
    public static func writeAcknowledgement(_ id: TaskID, to writer: inout ByteWriter) { write("task_ack", id, to: &writer) }

    public static func writePong(to writer: inout ByteWriter) { writer.append("{\"type\":\"pong\"}") }

    /// The worker, which asked to leave, may.
    public static func writeDrain(to writer: inout ByteWriter) { writer.append("{\"type\":\"drain\"}") }

    public static func write(_ refusal: ReportRefusal, of id: TaskID, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "error")
            switch refusal {
            case .unknownTask: $0.member("error", string: DispatchAPI.unknownTask)
            case .notYours: $0.member("error", string: "Task is not assigned to this worker")
            case .ended(let state): $0.member("error", string: "Task already \(state.word)")
            }
            $0.member("taskId", id)
        }
    }

    public static func write(_ problem: RequestProblem, to writer: inout ByteWriter) { writeProblem(problem.sentence, to: &writer) }

    public static func writeProblem(_ words: String, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "error")
            $0.member("error", string: words)
        }
    }

    private static func write(_ type: StaticString, _ id: TaskID, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: type)
            $0.member("taskId", id)
        }
    }
}
