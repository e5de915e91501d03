// UserDialect: document N over the user's WebSocket: what happens to every task of one user, and the few words of the client. A log and a
// piece of a result are none of the document's statuses and are not sent. No state beyond one message.
//
// Cost: a message is written once however many listen: some 15 members, and a result copied once.
public import Base
public import Domain
public import JSON

/// What a client says.
public enum UserCommand: Sendable {
    case subscribe(TaskID)
    case unsubscribe(TaskID)
    case ping
    /// The client has a new token, and wants to go on with it.
    case refresh(token: SharedBytes)
}

public enum UserDialect {
    // MARK: From the client

    /// Reads one message.
    ///
    /// - Parameter scratch: used and left as it was.
    public static func read(
        _ text: Span<UInt8>, _ index: JSONIndex, scratch: inout ByteWriter
    ) throws(RequestProblem) -> UserCommand {
        let members = try Members(index)
        guard let type = members.node("type", in: text) else { throw .missing(member: "type") }
        guard index.kind(of: type) == .string else { throw .wrongType(member: "type", expected: "a text") }
        if index.equals(type, "ping", in: text) { return .ping }
        if index.equals(type, "subscribe", in: text) { return .subscribe(try members.taskID("task_id", in: text, &scratch)) }
        if index.equals(type, "unsubscribe", in: text) { return .unsubscribe(try members.taskID("task_id", in: text, &scratch)) }
        if index.equals(type, "refresh", in: text) { return .refresh(token: try members.token(in: text, &scratch)) }
        throw members.unknownType(type, in: text)
    }

    // MARK: What happens to a task

    /// How many messages tell of it: 0 for what the document has no status for.
    public static func messageCount(of event: TaskEvent) -> Int {
        switch event {
        case .queued, .started, .progress, .completed, .failed, .cancelled: 1
        case .log, .chunk: 0
        }
    }

    /// Writes a `task_status`.
    ///
    /// - Precondition: `part` is below the event's ``messageCount(of:)``.
    public static func write(_ publication: Publication, part: Int = 0, to writer: inout ByteWriter) {
        precondition(part >= 0 && part < messageCount(of: publication.event), "message \(part) of an event that has none of that number")
        writer.object {
            $0.member("type", string: "task_status")
            $0.member("task_id", publication.task)
            let (state, figure) = (publication.state, publication.progress)
            switch publication.event {
            case .queued, .started, .log, .chunk: $0.state(state, figure, nil)
            case .progress(let report): $0.state(state, figure, report, isReport: state == .executing && report.saysSomething)
            case .completed: $0.state(state, figure, nil)
            case .failed(let fault): $0.state(state, figure, nil, step: fault.step)
            case .cancelled(let reason): $0.state(state, figure, nil, message: reason)
            }
            $0.stamp(publication.at)
            $0.outcome(of: publication.event)
            $0.member("seq", sequence: publication.sequence)
        }
    }

    /// Writes a `task_status` of how the task stands: for a watcher that comes late, or missed something.
    public static func writeStatus(of task: TaskDetails, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "task_status")
            $0.member("task_id", task.snapshot.id)
            $0.standing(task)
            $0.member("seq", sequence: task.snapshot.sequence)
        }
    }

    // MARK: Beginning and end

    /// The first message on a socket.
    ///
    /// - Parameter connection: a UUID's two halves.
    public static func writeConnected(_ connection: (high: UInt64, low: UInt64), at now: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "connected")
            // A task's random name is a UUID too, and is written as one.
            $0.member("connection_id", TaskID(high: connection.high, low: connection.low))
            $0.member("message", string: "WebSocket 连接已建立")
            $0.stamp(now)
        }
    }

    /// The user's tasks that have not ended, in the order given.
    public static func writeActiveTasks(_ tasks: some Sequence<TaskDetails>, to writer: inout ByteWriter) {
        var count = 0
        writer.object {
            $0.member("type", string: "active_tasks")
            $0.member(
                "tasks",
                array: { list in
                    for task in tasks {
                        list.element(object: { $0.task(task) })
                        count += 1
                    }
                })
            $0.member("count", int: count)
        }
    }

    // MARK: Answers

    public static func writeSubscribed(_ id: TaskID, to writer: inout ByteWriter) { write("subscribed", id, to: &writer) }

    public static func writeUnsubscribed(_ id: TaskID, to writer: inout ByteWriter) { write("unsubscribed", id, to: &writer) }

    public static func writePong(at now: WallTime, to writer: inout ByteWriter) { write("pong", at: now, to: &writer) }

    /// The new token is taken.
    public static func writeRefreshed(at now: WallTime, to writer: inout ByteWriter) { write("refreshed", at: now, to: &writer) }

    /// What was asked for is refused.
    ///
    /// - Parameter id: the task that it was asked for; nil where it was about none.
    public static func writeProblem(_ words: String, about id: TaskID? = nil, at now: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "error")
            if let id { $0.member("task_id", id) }
            $0.member("error", string: words)
            $0.stamp(now)
        }
    }

    private static func write(_ type: StaticString, _ id: TaskID, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: type)
            $0.member("task_id", id)
        }
    }

    private static func write(_ type: StaticString, at now: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: type)
            $0.stamp(now)
        }
    }
}

// MARK: Parts of messages

extension TaskEvent.Progress {
    /// Whether it is a report, and not only a stage that was passed.
    fileprivate var saysSomething: Bool {
        reported != nil || message != nil || step != nil || stepInfo != nil || currentStep != nil || totalSteps != nil
            || completedSteps != nil
    }
}

extension JSONObjectWriter {
    /// `status`, `progress`, `message` and `step`, as the document's table has them; where nobody said a message, its word for the status.
    fileprivate mutating func state(
        _ state: TaskState, _ progress: Double, _ report: TaskEvent.Progress?, isReport: Bool = false, message: SharedBytes? = nil,
        step: SharedBytes? = nil
    ) {
        member("status", string: isReport ? "progress" : TaskDialect.word(state))
        member("progress", percent: progress)
        if let message = message ?? report?.message {
            member("message", string: message)
        } else {
            member("message", string: isReport ? "进行中" : state.description)
        }
        if let step = step ?? report?.step ?? report?.currentStep {
            member("step", string: step)
        } else if let completed = report?.completedSteps, let total = report?.totalSteps {
            member("step") { writer in
                writer.append("\"Step ")
                writer.append(decimal: completed)
                writer.append(UInt8(ascii: "/"))
                writer.append(decimal: total)
                writer.append(UInt8(ascii: "\""))
            }
        } else {
            nullMember("step")
        }
    }

    fileprivate mutating func stamp(_ time: WallTime) { member("timestamp", seconds: time, zone: "") }

    /// Beyond the document's members: what the reporter gave, and only where it did.
    fileprivate mutating func reported(_ report: TaskEvent.Progress) {
        if let currentStep = report.currentStep { member("current_step", string: currentStep) }
        if let total = report.totalSteps { member("total_steps", int: total) }
        if let completed = report.completedSteps { member("completed_steps", int: completed) }
        if let info = report.stepInfo { member("step_info", userValue: info) }
    }

    /// What came of it: `result` where it was completed, and `error`; with a report, what it says.
    fileprivate mutating func outcome(of event: TaskEvent) {
        switch event {
        case .queued, .started, .log, .chunk, .cancelled: nullMember("error")
        case .progress(let report):
            reported(report)
            nullMember("error")
        case .completed(let completion):
            member("result", userValue: completion.result)
            nullMember("error")
        case .failed(let fault):
            member("error", words: fault.error)
            member("error_type", stringOrNull: fault.type)
            if let code = fault.code { member("error_code", string: code) }
            if let details = fault.details { member("error_details", userValue: details) }
        }
    }

    /// How a task stands: from `status` to `error`. What was said of a step says nothing of the end.
    fileprivate mutating func standing(_ task: TaskDetails) {
        let (state, progress, step) = (task.snapshot.state, task.snapshot.progress, task.report?.step)
        switch task.ending {
        case .failed(let fault): self.state(state, progress, nil, step: fault.step ?? step)
        case .cancelled(let reason): self.state(state, progress, nil, message: reason, step: step)
        case .completed: self.state(state, progress, nil, step: step)
        case .queued, .started, .progress, .log, .chunk, nil: self.state(state, progress, task.report)
        }
        stamp(task.lastChange)
        if let report = task.report { reported(report) }
        if let ending = task.ending { outcome(of: ending) } else { nullMember("error") }
    }

    /// A task in a list, or alone: who and what it is, and how it stands.
    mutating func task(_ task: TaskDetails) {
        member("task_id", task.snapshot.id)
        user(task.user)
        member("project_id", stringOrNull: task.project)
        member("task_type", stringOrNull: task.type)
        member("metadata", userValue: task.metadata ?? .empty)
        standing(task)
        stamp("created_at", task.snapshot.createdAt)
        stamp("started_at", task.snapshot.startedAt)
        stamp("ended_at", task.endedAt)
        member("seq", sequence: task.snapshot.sequence)
    }

    private mutating func stamp(_ key: StaticString, _ time: WallTime?) {
        if let time { member(key, seconds: time, zone: "") } else { nullMember(key) }
    }

    /// The document's users are whole numbers; a user whose name is none is a text.
    private mutating func user(_ user: SharedBytes?) {
        guard let user else {
            nullMember("user_id")
            return
        }
        if user.isWholeNumber { member("user_id", raw: user) } else { member("user_id", string: user) }
    }
}

extension SharedBytes {
    /// Whether it is digits without a leading zero, and a number that every reader of JSON can hold (RFC 8259 §6: below 2^53).
    fileprivate var isWholeNumber: Bool {
        let digits = span
        guard digits.count >= 1, digits.count <= 15, digits[0] != UInt8(ascii: "0") || digits.count == 1 else { return false }
        for index in digits.indices where digits[index] &- UInt8(ascii: "0") > 9 { return false }
        return true
    }
}

extension TaskState {
    /// The document's description of the status.
    fileprivate var description: StaticString {
        switch self {
        case .queued: "等待中"
        case .executing: "运行中"
        case .completed: "已完成"
        case .failed: "失败"
        case .cancelled: "已取消"
        }
    }
}
