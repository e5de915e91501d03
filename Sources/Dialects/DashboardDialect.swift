// DashboardDialect: what the dashboard is told, and the little that it says. The picture is made of sections, each a JSON value of its
// own, so that only those are told again that have changed. Lists are the first few of what there is; `counts` has how many there are.
public import Base
public import Domain
public import JSON

/// What a dashboard says.
public enum DashboardMessage: Sendable, Equatable {
    case ping
    /// Everything about one task.
    case task(TaskID)
}

/// A request and its answer, as the log of the dashboard has them.
public struct ExchangeLine: Sendable {
    public var number: UInt64
    public var at: WallTime
    public var method: StaticString
    public var path: SharedBytes
    public var status: Int
    public var elapsed: TimeSpan
    /// Their beginnings.
    public var request: SharedBytes
    public var response: SharedBytes
    public var requestBytes: Int
    public var responseBytes: Int

    public init(
        number: UInt64, at: WallTime, method: StaticString, path: SharedBytes, status: Int, elapsed: TimeSpan,
        request: SharedBytes, response: SharedBytes, requestBytes: Int, responseBytes: Int
    ) {
        self.number = number
        self.at = at
        self.method = method
        self.path = path
        self.status = status
        self.elapsed = elapsed
        self.request = request
        self.response = response
        self.requestBytes = requestBytes
        self.responseBytes = responseBytes
    }
}

public enum DashboardDialect {
    /// A part of the picture.
    public enum Section: Int, CaseIterable, Sendable {
        case counts, connections, groups, workers, waiting, executing, ended, letters, trend

        var word: StaticString {
            switch self {
            case .counts: "counts"
            case .connections: "connections"
            case .groups: "groups"
            case .workers: "workers"
            case .waiting: "waiting"
            case .executing: "executing"
            case .ended: "ended"
            case .letters: "letters"
            case .trend: "trend"
            }
        }
    }

    /// How much of a payload or a result stands in a list, and in the details of one task.
    static let excerptBytesMax = 300
    static let detailBytesMax = 256 << 10

    // MARK: From the page

    /// - Parameter scratch: used and left as it was.
    public static func read(
        _ text: Span<UInt8>, _ index: JSONIndex, scratch: inout ByteWriter
    ) throws(RequestProblem) -> DashboardMessage {
        let members = try Members(index)
        guard let type = members.node("type", in: text) else { throw .missing(member: "type") }
        guard index.kind(of: type) == .string else { throw .wrongType(member: "type", expected: "a text") }
        if index.equals(type, "ping", in: text) { return .ping }
        if index.equals(type, "task", in: text) { return .task(try members.taskID("task_id", in: text, &scratch)) }
        throw members.unknownType(type, in: text)
    }

    // MARK: To the page

    /// The sections that are told, and what was asked of the server since the last message.
    ///
    /// - Parameters:
    ///   - isWhole: whether it is a picture, of which nothing before counts.
    ///   - leftOut: requests of which there were too many to be told.
    public static func write(
        isWhole: Bool, version: StaticString, _ sections: [(section: Section, value: SharedBytes)], _ log: [ExchangeLine], leftOut: Int,
        at now: WallTime, to writer: inout ByteWriter
    ) {
        writer.object {
            $0.member("type", string: isWhole ? "picture" : "change")
            $0.member("at", int: now.milliseconds)
            if isWhole { $0.member("version", string: version) }
            for (section, value) in sections { $0.member(section.word, raw: value) }
            if isWhole || !log.isEmpty {
                $0.member("log", array: { list in for line in log { list.element(object: { $0.exchange(line) }) } })
            }
            if leftOut > 0 { $0.member("log_left_out", int: leftOut) }
        }
    }

    public static func writePong(at now: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "pong")
            $0.member("at", int: now.milliseconds)
        }
    }

    public static func writeProblem(_ words: String, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "error")
            $0.member("error", string: words)
        }
    }

    /// Everything about one task, its values byte for byte where they are no longer than a person reads.
    ///
    /// - Parameter letter: what is kept of it, where it failed and may be tried again.
    public static func write(_ task: TaskRecord, _ letter: DeadLetter?, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "task")
            $0.taskFields(task)
            $0.member("priority", string: TaskDialect.word(task.priority))
            $0.member("provider", stringOrNull: task.provider)
            $0.member("kind", stringOrNull: task.type)
            $0.member("timeout", int: task.timeout.milliseconds)
            $0.member("lease", int: Int(clamping: task.lease))
            $0.member("seq", int: Int(clamping: task.sequence))
            if let info = task.report?.stepInfo { $0.value("step_info", info) }
            $0.value("payload", letter?.submission.payload ?? task.payload)
            $0.outcome(task) { $0.value($1, $2) }
        }
    }

    public static func writeGone(_ id: TaskID, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "task")
            $0.member("task_id", id)
            $0.member("gone", bool: true)
        }
    }

    // MARK: Sections

    public static func write(waiting: [(task: TaskRecord, position: Int)], to writer: inout ByteWriter) {
        writer.array { list in
            for (task, position) in waiting {
                list.element(object: {
                    $0.taskFields(task)
                    $0.member("position", int: position)
                    $0.member("priority", string: TaskDialect.word(task.priority))
                    $0.member("payload_bytes", int: task.payload.count)
                })
            }
        }
    }

    public static func write(executing: [TaskRecord], to writer: inout ByteWriter) {
        writer.array { list in
            for task in executing {
                list.element(object: {
                    $0.taskFields(task)
                    $0.member("request", excerptOf: task.payload, bytesMax: excerptBytesMax)
                    $0.member("payload_bytes", int: task.payload.count)
                })
            }
        }
    }

    /// - Parameter isKept: whether it is a dead letter, and may be tried again.
    public static func write(ended: [TaskRecord], _ isKept: (TaskID) -> Bool, to writer: inout ByteWriter) {
        writer.array { list in
            for task in ended {
                list.element(object: {
                    $0.taskFields(task)
                    $0.outcome(task) { $0.member($1, excerptOf: $2, bytesMax: excerptBytesMax) }
                    if task.state == .failed { $0.member("retryable", bool: isKept(task.id)) }
                })
            }
        }
    }

    public static func write(letters: [DeadLetter], to writer: inout ByteWriter) {
        writer.array { list in for letter in letters { list.element(object: { $0.letterFields(letter) }) } }
    }

    public static func write(workers: [FleetMember], to writer: inout ByteWriter) {
        writer.array { list in for worker in workers { list.element(object: { $0.fleetMember(worker) }) } }
    }

    public static func write(groups: [Group], to writer: inout ByteWriter) {
        writer.array { list in
            for group in groups {
                list.element(object: {
                    $0.member("group", string: group.name)
                    $0.member("workers", int: group.workerCount)
                    $0.member("waiting", int: group.waitingCount)
                })
            }
        }
    }

    /// The steps of the last hour as rows: number, submitted, completed, failed, cancelled, and microseconds that half, and nineteen of
    /// twenty, took at most. Steps in which nothing happened are left out.
    ///
    /// - Parameter number: the step that goes on.
    public static func write(trend steps: [HourTrend.Step], number: Int64, to writer: inout ByteWriter) {
        writer.object {
            $0.member("step_seconds", int: HourTrend.stepSeconds)
            $0.member("now", int: number)
            $0.member(
                "steps",
                array: { list in
                    for step in steps {
                        list.element(array: {
                            $0.element(int: step.number)
                            $0.element(int: step.submitted)
                            $0.element(int: step.completed)
                            $0.element(int: step.failed)
                            $0.element(int: step.cancelled)
                            $0.element(int: step.median.nanoseconds / 1_000)
                            $0.element(int: step.slowest.nanoseconds / 1_000)
                        })
                    }
                })
        }
    }
}

extension JSONObjectWriter {
    /// What every list tells of a task.
    fileprivate mutating func taskFields(_ task: TaskRecord) {
        member("task_id", task.id)
        member("status", string: task.state.word)
        member("group", stringOrNull: task.group?.name)
        member("model", stringOrNull: task.model)
        member("user", stringOrNull: task.user)
        member("attempts", int: task.attempts)
        member("progress", double: task.progress)
        if let step = task.report?.step { member("step", string: step) }
        if let message = task.report?.message { member("message", string: message) }
        if let worker = task.lastWorker { member("worker_id", worker) }
        member("created_at", int: task.createdAt.milliseconds)
        if let startedAt = task.startedAt { member("started_at", int: startedAt.milliseconds) }
        if let endedAt = task.endedAt { member("ended_at", int: endedAt.milliseconds) }
    }

    /// How the task ended, where it has.
    fileprivate mutating func outcome(_ task: TaskRecord, _ put: (inout JSONObjectWriter, StaticString, SharedBytes) -> Void) {
        switch task.outcome {
        case .completed(let result): put(&self, "result", result)
        case .failed(.reported(.raw(let value))): put(&self, "error", value)
        case .failed(.reported(.plain(let text))): member("error", string: text)
        case .failed(.timeout): member("error", string: "Task timeout")
        case .failed(.workerDisconnected): member("error", string: "Worker disconnected")
        case .cancelled, nil: break
        }
    }

    /// A user's JSON byte for byte, or the beginning of it as a text where it is long.
    fileprivate mutating func value(_ key: StaticString, _ value: SharedBytes) {
        if value.count > DashboardDialect.detailBytesMax {
            member(key, excerptOf: value, bytesMax: DashboardDialect.detailBytesMax)
            member("is_cut", bool: true)
        } else {
            member(key, userValue: value)
        }
    }

    fileprivate mutating func exchange(_ line: ExchangeLine) {
        member("number", int: Int(clamping: line.number))
        member("at", int: line.at.milliseconds)
        member("method", string: line.method)
        member("path", excerptOf: line.path, bytesMax: DashboardDialect.excerptBytesMax)
        member("status", int: line.status)
        member("ms", double: Double(line.elapsed.nanoseconds / 10_000) / 100)
        member("request", excerptOf: line.request, bytesMax: line.request.count)
        member("response", excerptOf: line.response, bytesMax: line.response.count)
        member("request_bytes", int: line.requestBytes)
        member("response_bytes", int: line.responseBytes)
    }
}
