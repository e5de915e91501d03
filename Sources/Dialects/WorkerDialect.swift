// WorkerDialect: document D over the worker's WebSocket. One JSON object a message, told apart by `type`; what a worker says becomes a
// WorkerMessage, what it is told is written here. No state beyond one message.
//
// Cost: a message is indexed once and its members looked up by name; a result is copied once, out of the receive buffer.
public import Base
public import Domain
public import JSON

/// What a worker says.
public enum WorkerMessage: Sendable {
    /// How many tasks it takes at a time, for which models, what its hour costs and what it has in hand, as far as it says.
    case ready(concurrency: Int?, models: [SharedBytes]?, rate: Rate?, held: [TaskID]?)
    /// The result and the cost as the worker sent them; its own time for the task, where it told it.
    case complete(Assignment, TaskEvent.Completion)
    /// The worker's words as it sent them.
    case failed(Assignment, TaskEvent.Fault)
    case progress(Assignment, TaskEvent.Progress)
    case logs(Assignment, TaskEvent.Log)
    case chunk(Assignment, SharedBytes)
    /// How its machine does.
    case status(WorkerVitals)
    case drain
    case ping
    /// A newer token takes the older one's place.
    case refresh(token: SharedBytes)
}

/// What a worker's report is about: a task and, where it says so, which of its assignments.
public struct Assignment: Sendable, Equatable {
    public var task: TaskID
    public var lease: UInt64?

    public init(_ task: TaskID, lease: UInt64? = nil) {
        self.task = task
        self.lease = lease
    }
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
            return .complete(
                try assignment(members, text, &scratch),
                TaskEvent.Completion(
                    result: raw("result", members, text) ?? null, executionTime: duration(members, text),
                    cost: raw("cost_info", members, text).map { .raw($0) }))
        }
        if index.equals(type, "task_progress", in: text) {
            return .progress(try assignment(members, text, &scratch), try report(members, text, limits, &scratch))
        }
        if index.equals(type, "task_chunk", in: text) {
            return .chunk(try assignment(members, text, &scratch), raw("chunk", members, text) ?? null)
        }
        if index.equals(type, "task_logs", in: text) {
            return .logs(try assignment(members, text, &scratch), try log(members, text, limits, &scratch))
        }
        if index.equals(type, "task_error", in: text) {
            return .failed(try assignment(members, text, &scratch), fault(members, text, limits, &scratch))
        }
        if index.equals(type, "ready", in: text) { return try ready(members, text, limits, &scratch) }
        if index.equals(type, "ping", in: text) { return .ping }
        if index.equals(type, "refresh", in: text) { return .refresh(token: try members.token(in: text, &scratch)) }
        if index.equals(type, "worker_status", in: text) { return .status(try vitals(members, text, limits, &scratch)) }
        if index.equals(type, "drain", in: text) { return .drain }
        let word = index.string(type, in: text) ?? ""
        throw .unknownType(String(word.unicodeScalars.prefix(64).map(Character.init)))
    }

    private static let null = SharedBytes("null")
    /// A failure without words.
    private static let unsaid = SharedBytes("\"Task failed\"")

    private static func assignment(
        _ members: Members, _ text: Span<UInt8>, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> Assignment {
        guard let node = members.node("taskId", in: text) else { throw .missing(member: "taskId") }
        return Assignment(try taskID(node, "taskId", members, text, &scratch), lease: try lease(members, text))
    }

    /// The assignment's number. One that cannot have been given is a mistake, rather than no number: a result must not be taken for that
    /// of another assignment.
    private static func lease(_ members: Members, _ text: Span<UInt8>) throws(RequestProblem) -> UInt64? {
        guard let number = try members.number("lease", in: text) else { return nil }
        guard number >= 1, number <= leaseMax, number == number.rounded() else {
            throw .outOfRange(member: "lease", expected: "the number that came with the task")
        }
        return UInt64(number)
    }

    /// Up to here every whole number is one that all readers of JSON can hold.
    private static let leaseMax = 9_007_199_254_740_992.0

    private static func taskID(
        _ node: JSONNode, _ member: StaticString, _ members: Members, _ text: Span<UInt8>, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> TaskID {
        guard let contents = members.index.contents(of: node) else { throw .wrongType(member: member, expected: "a text") }
        let id: TaskID?
        if members.index.hasEscapes(node) {
            let start = scratch.count
            _ = members.index.decode(node, in: text, into: &scratch)
            id = TaskID(scratch.span.extracting(start..<scratch.count))
            scratch.truncate(to: start)
        } else {
            id = TaskID(text.extracting(contents))
        }
        guard let id else { throw .outOfRange(member: member, expected: "1 to \(TaskID.bytesMax) bytes of printable text") }
        return id
    }

    /// A value as it stands in the text, in a block of its own.
    private static func raw(_ name: StaticString, _ members: Members, _ text: Span<UInt8>) -> SharedBytes? {
        members.node(name, in: text).map { SharedBytes(copying: text.extracting(members.index.range(of: $0))) }
    }

    /// The worker's own figure, in milliseconds. One that is no number is passed over: a result is not lost for what stands beside it.
    private static func duration(_ members: Members, _ text: Span<UInt8>) -> TimeSpan? {
        guard let node = members.node("duration", in: text), let milliseconds = members.index.double(node, in: text) else { return nil }
        return .microseconds(Int64(min(max(milliseconds, 0), 1e12) * 1_000))
    }

    /// A word of a failure, or its number; anything else, or one that is too long, is passed over, for the same reason.
    private static func word(
        _ name: StaticString, _ members: Members, _ text: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) -> SharedBytes? {
        guard let node = members.node(name, in: text) else { return nil }
        if members.index.kind(of: node) == .number { return SharedBytes(copying: text.extracting(members.index.range(of: node))) }
        return try? members.text(node, name, bytesMax: limits.nameBytesMax, in: text, &scratch)
    }

    private static func log(
        _ members: Members, _ text: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> TaskEvent.Log {
        guard let logs = try members.text("logs", bytesMax: limits.logBytesMax, in: text, &scratch) else { throw .missing(member: "logs") }
        return TaskEvent.Log(
            logs: logs, level: try members.text("level", bytesMax: limits.nameBytesMax, in: text, &scratch),
            source: try members.text("source", bytesMax: limits.nameBytesMax, in: text, &scratch))
    }

    private static func fault(
        _ members: Members, _ text: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) -> TaskEvent.Fault {
        TaskEvent.Fault(
            error: .raw(raw("error", members, text) ?? unsaid),
            code: word("error_code", members, text, limits, &scratch),
            type: word("error_type", members, text, limits, &scratch),
            details: raw("error_details", members, text), executionTime: duration(members, text),
            cost: raw("cost_info", members, text).map { .raw($0) })
    }

    private static func report(
        _ members: Members, _ text: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> TaskEvent.Progress {
        let percent = try members.number("progress", in: text)
        return TaskEvent.Progress(
            reported: percent.map { min(max($0, 0), 100) },
            message: try members.text("message", bytesMax: limits.progressTextBytesMax, in: text, &scratch),
            step: try members.text("step", bytesMax: limits.progressTextBytesMax, in: text, &scratch),
            stepInfo: try raw("step_info", members, text).map { info throws(RequestProblem) in try info.bounded("step_info", limits) },
            currentStep: try members.text("current_step", bytesMax: limits.progressTextBytesMax, in: text, &scratch),
            totalSteps: try count("total_steps", members, text), completedSteps: try count("completed_steps", members, text))
    }

    private static func count(_ name: StaticString, _ members: Members, _ text: Span<UInt8>) throws(RequestProblem) -> Int? {
        guard let number = try members.number(name, in: text) else { return nil }
        guard number >= 0, number <= 1e9, number == number.rounded() else {
            throw .outOfRange(member: name, expected: "a whole number from 0 to 1000000000")
        }
        return Int(number)
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
                guard members.index.kind(of: element) == .string else {
                    throw .wrongType(member: "models", expected: "an array of texts")
                }
                let name = try members.text(element, "models", bytesMax: limits.nameBytesMax, in: text, &scratch)
                if !names.contains(name) { names.append(name) }
            }
            models = names
        }
        return .ready(
            concurrency: concurrency, models: models, rate: try rate(members, text, limits, &scratch),
            held: try held(members, text, limits, &scratch))
    }

    /// What a worker that came back has in hand, each task once.
    private static func held(
        _ members: Members, _ text: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> [TaskID]? {
        guard let node = members.node("tasks", in: text) else { return nil }
        guard members.index.kind(of: node) == .array else { throw .wrongType(member: "tasks", expected: "an array of texts") }
        var held: [TaskID] = []
        var seen: Set<TaskID> = []
        for element in members.index.elements(of: node) {
            guard held.count < limits.concurrencyMax else {
                throw .outOfRange(member: "tasks", expected: "at most \(limits.concurrencyMax) names")
            }
            guard members.index.kind(of: element) == .string else { throw .wrongType(member: "tasks", expected: "an array of texts") }
            let id = try taskID(element, "tasks", members, text, &scratch)
            if seen.insert(id).inserted { held.append(id) }
        }
        return held
    }

    /// What an hour may cost, in whatever currency: a bound that keeps every sum a number that all readers of JSON can hold.
    static let costPerHourMax = 1e9
    private static let defaultCurrency = SharedBytes("USD")

    private static func rate(
        _ members: Members, _ text: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> Rate? {
        let currency = try members.text("currency", bytesMax: limits.nameBytesMax, in: text, &scratch)
        guard let perHour = try members.number("cost_per_hour", in: text) else { return nil }
        guard perHour >= 0, perHour <= costPerHourMax else {
            throw .outOfRange(member: "cost_per_hour", expected: "a number from 0 to \(Int(costPerHourMax))")
        }
        return Rate(perHour: perHour == 0 ? 0 : perHour, currency: DispatchAPI.named(currency) ?? defaultCurrency)
    }

    // MARK: To the worker

    /// The greeting.
    ///
    /// - Parameter messageBytesMax: the longest message that is taken: a worker that reads it need not lose its connection to learn it.
    public static func writeConnected(_ id: WorkerID, messageBytesMax: Int, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "connected")
            $0.member("workerId", id)
            $0.member("message", string: "Connected to Task Dispatcher")
            $0.member("maxMessageBytes", int: messageBytesMax)
        }
    }

    /// A task for the worker; the payload is left out of the text and named in the splice.
    public static func writeTask(_ task: TaskRecord, to writer: inout ByteWriter) -> Splice {
        var offset = 0
        writer.object {
            $0.member("type", word: "task")
            $0.member("taskId", task.id)
            $0.member("lease", int: Int(task.lease))
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

    /// The answer to `refresh`, where the token was taken.
    public static func writeRefreshed(to writer: inout ByteWriter) { writer.append("{\"type\":\"refreshed\"}") }

    public static func write(_ refusal: ReportRefusal, of id: TaskID, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "error")
            switch refusal {
            case .unknownTask: $0.member("error", string: DispatchAPI.unknownTask)
            case .notYours: $0.member("error", string: "Task is not assigned to this worker")
            case .leaseOver: $0.member("error", string: "Task was assigned anew: this lease is over")
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
            $0.member("type", word: type)
            $0.member("taskId", id)
        }
    }
}
