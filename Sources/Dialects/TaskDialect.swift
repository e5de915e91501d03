// TaskDialect: document G's messages about a task, as they go out over a task's own socket: one JSON object a message, each with the
// task's id, the event's time and its number. What clients say, and what is said to one client alone, stands in TaskDialect+Client.swift.
// Knows no frame; every name and word is the document's, `seq` and `error_type` are added.
//
// Cost: a publication is written once for all its listeners; some 200 ns and its users' bytes copied once. Only a reporter's own
// step_info is looked into, which allocates an index.
public import Base
public import Domain
internal import JSON

public enum TaskDialect {
    /// How many messages tell of an event: none for a piece of a result, which the document does not know; two for an end without
    /// success, because listeners leave at `task_completed`.
    public static func messageCount(of event: TaskEvent) -> Int {
        switch event {
        case .chunk: 0
        case .queued, .started, .progress, .log, .completed: 1
        case .failed, .cancelled: 2
        }
    }

    public static func messageCount(of publication: Publication) -> Int { messageCount(of: publication.event) }

    /// The type of the message `part` of those that tell of an event.
    ///
    /// - Precondition: there is such a message.
    public static func type(of event: TaskEvent, part: Int = 0) -> StaticString {
        precondition(part >= 0 && part < messageCount(of: event), "no message \(part) tells of the event")
        switch event {
        case .queued, .started: return "task_status_update"
        case .progress: return "task_progress"
        case .log: return "task_logs"
        case .failed where part == 0: return "task_error"
        case .cancelled where part == 0: return "task_cancelled"
        case .completed, .failed, .cancelled: return "task_completed"
        case .chunk: preconditionFailure("no message tells of a chunk")
        }
    }

    /// Appends the message `part` of those that tell of a publication.
    ///
    /// - Precondition: there is such a message.
    public static func write(_ publication: Publication, part: Int = 0, to writer: inout ByteWriter) {
        let stamp = Stamp(task: publication.task, at: publication.at, sequence: publication.sequence)
        write(publication.event, part, stamp, publication.state, publication.progress, to: &writer)
    }

    /// Appends the message `part` of those that tell of a task's end: for a watcher that came after it, once the history has forgotten it.
    ///
    /// - Parameters:
    ///   - at: when it ended.
    /// - Precondition: there is such a message.
    public static func writeEnding(
        _ event: TaskEvent, of task: TaskSnapshot, part: Int = 0, at: WallTime, to writer: inout ByteWriter
    ) {
        let stamp = Stamp(task: task.id, at: at, sequence: task.sequence)
        write(event, part, stamp, task.state, task.progress, to: &writer)
    }

    /// Of which event of which task a message tells.
    private struct Stamp {
        let task: TaskID
        let at: WallTime
        let sequence: UInt64

        func write(to object: inout JSONObjectWriter) {
            object.member("timestamp", iso8601: at)
            object.member("seq", sequence: sequence)
        }
    }

    private static func write(
        _ event: TaskEvent, _ part: Int, _ stamp: Stamp, _ state: TaskState, _ progress: Double, to writer: inout ByteWriter
    ) {
        let type = type(of: event, part: part)
        writer.object { object in
            object.member("type", string: type)
            object.member("task_id", stamp.task)
            switch event {
            case .queued: writeStatus(state, progress, startedAt: nil, stamp, to: &object)
            case .started(let start): writeStatus(state, progress, startedAt: start.startedAt, stamp, to: &object)
            case .progress(let report): write(report, progress, stamp, to: &object)
            case .log(let log): write(log, stamp, to: &object)
            case .failed(let fault) where part == 0: writeError(fault, stamp, to: &object)
            case .failed(let fault):
                writeEnd(isSuccess: false, fault.executionTime, fault.cost, stamp, to: &object)
            case .completed(let completion):
                writeEnd(isSuccess: true, completion.executionTime, completion.cost, stamp, to: &object)
                object.member("result_data", userValue: completion.result)
            case .cancelled(let reason) where part == 0:
                writeReason(reason, to: &object)
                stamp.write(to: &object)
            case .cancelled: writeEnd(isSuccess: false, nil, nil, stamp, to: &object)
            case .chunk: break
            }
        }
    }

    private static func writeStatus(
        _ state: TaskState, _ progress: Double, startedAt: WallTime?, _ stamp: Stamp, to object: inout JSONObjectWriter
    ) {
        object.member("status", string: word(state))
        object.member("message", sentence: "Task status updated to ", word(state))
        object.member("progress", percent: progress)
        stamp.write(to: &object)
        object.member("data") {
            $0.object {
                $0.member("started_at", iso8601: startedAt)
                $0.member("updated_at", iso8601: stamp.at)
            }
        }
    }

    private static func write(
        _ report: TaskEvent.Progress, _ progress: Double, _ stamp: Stamp, to object: inout JSONObjectWriter
    ) {
        object.member("progress", percent: progress)
        if let message = report.message {
            object.member("message", string: message)
        } else {
            object.member("message") {
                $0.append("\"Task progress updated to ")
                $0.append(percent: progress)
                $0.append("%\"")
            }
        }
        stamp.write(to: &object)
        object.member("step_info") { writeStepInfo(report, to: &$0) }
    }

    private static func write(_ log: TaskEvent.Log, _ stamp: Stamp, to object: inout JSONObjectWriter) {
        object.member("logs", string: log.logs)
        if let level = log.level { object.member("level", string: level) } else { object.member("level", string: "INFO") }
        if let source = log.source { object.member("source", string: source) } else { object.member("source", string: "worker") }
        stamp.write(to: &object)
    }

    private static func writeError(_ fault: TaskEvent.Fault, _ stamp: Stamp, to object: inout JSONObjectWriter) {
        writeWords(of: fault, to: &object)
        stamp.write(to: &object)
        if let details = fault.details { object.member("error_details", userValue: details) }
    }

    private static func writeEnd(
        isSuccess: Bool, _ executionTime: TimeSpan?, _ cost: Cost?, _ stamp: Stamp, to object: inout JSONObjectWriter
    ) {
        object.member("success", bool: isSuccess)
        stamp.write(to: &object)
        writeExpense(executionTime, cost, to: &object)
    }

    // MARK: Pieces that the REST side has as well

    /// The state in the document's words.
    static func word(_ state: TaskState) -> StaticString {
        switch state {
        case .queued: "pending"
        case .executing: "running"
        case .completed: "completed"
        case .failed: "failed"
        case .cancelled: "cancelled"
        }
    }

    static func word(_ priority: Priority) -> StaticString {
        switch priority {
        case .high: "high"
        case .normal: "normal"
        case .low: "low"
        }
    }

    /// The error's words, code and type.
    static func writeWords(of fault: TaskEvent.Fault, to object: inout JSONObjectWriter) {
        object.member("error_message", words: fault.error)
        if let code = fault.code { object.member("error_code", string: code) }
        if let type = fault.type { object.member("error_type", string: type) }
    }

    static func writeReason(_ reason: SharedBytes?, to object: inout JSONObjectWriter) {
        if let reason {
            object.member("reason", string: reason)
        } else {
            object.member("reason", string: "Task was cancelled by user request")
        }
    }

    /// How long it took, in seconds, and what it cost, as far as both are known.
    static func writeExpense(_ executionTime: TimeSpan?, _ cost: Cost?, to object: inout JSONObjectWriter) {
        if let executionTime {
            // Milliseconds are what workers tell, and all that a clock across a network is worth.
            object.member("execution_time", double: (Double(executionTime.nanoseconds) / 1e6).rounded() / 1e3)
        }
        if let cost { object.member("cost_info", cost) }
    }

    /// What is known of the step: our members, then the reporter's own as they stand. A member that the reporter has is left to it.
    static func writeStepInfo(_ report: TaskEvent.Progress, to writer: inout ByteWriter) {
        let start = writer.count
        let info = report.stepInfo ?? .empty
        let index = info.isEmpty ? nil : try? JSONIndex(of: info)
        let kind = index.map { $0.kind(of: $0.root) } ?? .null
        // Deeper than an index goes: it is the user's, and stays whole.
        if index == nil, !info.isEmpty {
            writer.append(info)
            return
        }
        func isOurs(_ name: StaticString) -> Bool {
            guard let index else { return true }
            return index.member(name, of: index.root, in: info.span) == nil
        }
        writer.object {
            if let step = report.step, isOurs("step") { $0.member("step", string: step) }
            if let step = report.currentStep, isOurs("current_step") { $0.member("current_step", string: step) }
            if let count = report.totalSteps, isOurs("total_steps") { $0.member("total_steps", int: count) }
            if let count = report.completedSteps, isOurs("completed_steps") { $0.member("completed_steps", int: count) }
            if let figure = report.reported, isOurs("worker_progress") { $0.member("worker_progress", percent: figure) }
            switch kind {
            case .object, .null: break
            // The document has an object here; what is none becomes a member of one.
            case .array, .string, .number, .bool: $0.member("info", raw: info)
            }
        }
        guard let index, case .object = kind, index.members(of: index.root).contains(where: { _ in true }) else { return }
        let range = index.range(of: index.root)
        writer.truncate(to: writer.count - 1)
        if writer.count > start + 1 { writer.append(UInt8(ascii: ",")) }
        writer.append(info[range.lowerBound + 1..<range.upperBound])
    }
}

extension JSONObjectWriter {
    mutating func member(_ key: StaticString, iso8601 time: WallTime) {
        member(key) { writer in
            writer.append(UInt8(ascii: "\""))
            time.append(iso8601To: &writer)
            writer.append(UInt8(ascii: "\""))
        }
    }

    /// As above; null where there is none.
    mutating func member(_ key: StaticString, iso8601 time: WallTime?) {
        if let time { member(key, iso8601: time) } else { nullMember(key) }
    }

    mutating func member(_ key: StaticString, sequence: UInt64) { member(key, int: Int(clamping: sequence)) }

    /// A figure of 0 to 100.
    mutating func member(_ key: StaticString, percent: Double) { member(key) { $0.append(percent: percent) } }

    /// A text of two literals.
    mutating func member(_ key: StaticString, sentence beginning: StaticString, _ end: StaticString) {
        member(key) { writer in
            writer.append(UInt8(ascii: "\""))
            writer.append(beginning)
            writer.append(end)
            writer.append(UInt8(ascii: "\""))
        }
    }

    /// A user's JSON, byte for byte; null where nothing was given.
    mutating func member(_ key: StaticString, userValue value: SharedBytes) {
        if value.isEmpty { nullMember(key) } else { member(key, raw: value) }
    }
}

extension ByteWriter {
    /// Appends a figure of 0 to 100; a worker's zero may have come with a sign.
    fileprivate mutating func append(percent figure: Double) { JSONNumber.append(figure == 0 ? 0 : figure, to: &self) }
}
