// HubDialect: document P over the hub's WebSocket: what happens to a task that somebody subscribed to. Every message is `type`, `task_id`
// and `payload`; a message about a task has `seq` in its payload. A log and a piece of a result are not in the document and are not sent.
// What clients say, and what is said to one client alone, stands in HubDialect+Client.swift.
//
// Cost: a message is written once however many listen: some 10 members, and a result copied once; in batches the result is looked
// through for line feeds.
public import Base
public import Domain
internal import JSON

public enum HubDialect {
    // MARK: What happens to a task

    /// How many messages tell of it: two of a failure, its status and its error; 0 for what the document has no message for.
    public static func messageCount(of event: TaskEvent) -> Int {
        switch event {
        case .queued, .started, .progress, .completed, .cancelled: 1
        case .failed: 2
        case .log, .chunk: 0
        }
    }

    /// Writes one of the event's messages.
    ///
    /// - Precondition: `part` is below the event's ``messageCount(of:)``.
    public static func write(_ publication: Publication, part: Int = 0, to writer: inout ByteWriter) {
        precondition(part >= 0 && part < messageCount(of: publication.event), "message \(part) of an event that has none of that number")
        let standing = Standing(publication)
        switch publication.event {
        case .progress(let report):
            write("progress", about: publication.task, to: &writer) { $0.progress(standing, report) }
        case .failed(let fault) where part == 1:
            write("error", about: publication.task, to: &writer) { $0.error(standing, fault) }
        case .queued, .started, .log, .chunk, .completed, .failed, .cancelled:
            write("status", about: publication.task, to: &writer) { $0.status(standing, publication.event) }
        }
    }

    /// Writes all of the event's messages as lines of one frame, a line feed between two.
    public static func writeLines(_ publication: Publication, to writer: inout ByteWriter) {
        for part in 0..<messageCount(of: publication.event) {
            if part > 0 { writer.append(lineFeed) }
            let start = writer.count
            write(publication, part: part, to: &writer)
            switch publication.event {
            case .completed: removeLineFeeds(from: start, in: &writer)
            // Nothing in these is written as its user gave it, but texts, in which a line feed is `\n`.
            case .queued, .started, .progress, .log, .chunk, .failed, .cancelled: break
            }
        }
    }

    /// What stands between two messages of one frame.
    public static let lineFeed = UInt8(ascii: "\n")

    /// Makes one line of the JSON that was written from `start` on: a control character can only stand between two values there
    /// (RFC 8259 §7), and becomes a space.
    public static func removeLineFeeds(from start: Int, in writer: inout ByteWriter) {
        var bytes = writer.mutableSpan
        for index in start..<bytes.count where bytes[index] == lineFeed || bytes[index] == UInt8(ascii: "\r") {
            bytes[index] = UInt8(ascii: " ")
        }
    }

    // MARK: How a task stands

    /// A `progress` message of how the task stands: what follows `subscribed`, and what stands for a history that is no longer held.
    ///
    /// Where the task's end follows, that has its number, and this the one before: a client that is cut off between the two, and says that
    /// it has this, is told the end.
    public static func writeProgress(of task: TaskDetails, to writer: inout ByteWriter) {
        let standing = endingCount(of: task) > 0 ? Standing(task).beforeItsEnd : Standing(task)
        write("progress", about: task.snapshot.id, to: &writer) { $0.progress(standing, task.report) }
    }

    /// How many messages tell how the task ended: as many as told of the event; 0 where it has not ended.
    public static func endingCount(of task: TaskDetails) -> Int {
        guard let ending = task.ending, ending.isTerminal else { return 0 }
        return messageCount(of: ending)
    }

    /// Writes one of the messages of the task's end, for a watcher that missed it.
    ///
    /// - Precondition: `part` is below the task's ``endingCount(of:)``.
    public static func writeEnding(of task: TaskDetails, part: Int = 0, to writer: inout ByteWriter) {
        precondition(part >= 0 && part < endingCount(of: task), "message \(part) of an end that has none of that number")
        guard let ending = task.ending else { return }
        let standing = Standing(task)
        switch ending {
        case .failed(let fault) where part == 1:
            write("error", about: standing.task, to: &writer) { $0.error(standing, fault) }
        case .queued, .started, .progress, .log, .chunk, .completed, .failed, .cancelled:
            write("status", about: standing.task, to: &writer) { $0.status(standing, ending) }
        }
    }

    // MARK: The envelope

    /// - Parameter task: nil writes no name, but the member stays.
    static func write(
        _ type: StaticString, about task: TaskID?, to writer: inout ByteWriter, _ payload: (inout JSONObjectWriter) -> Void
    ) {
        writer.object {
            $0.member("type", string: type)
            if let task { $0.member("task_id", task) } else { $0.member("task_id", string: "") }
            $0.member("payload", object: payload)
        }
    }

    /// How a task stands at the moment that a payload tells of.
    struct Standing {
        let task: TaskID
        let state: TaskState
        let progress: Double
        let at: WallTime
        var sequence: UInt64

        var beforeItsEnd: Standing {
            var standing = self
            standing.sequence -= min(sequence, 1)
            return standing
        }

        init(_ publication: Publication) {
            (task, state, progress) = (publication.task, publication.state, publication.progress)
            (at, sequence) = (publication.at, publication.sequence)
        }

        init(_ task: TaskDetails) {
            (self.task, state, progress) = (task.snapshot.id, task.snapshot.state, task.snapshot.progress)
            (at, sequence) = (task.lastChange, task.snapshot.sequence)
        }
    }
}

// MARK: Payloads

extension JSONObjectWriter {
    /// The document's progress object; where nobody said a value, its empty one.
    mutating func progress(_ standing: HubDialect.Standing, _ report: TaskEvent.Progress?) {
        progress(
            standing, currentStep: report?.currentStep ?? report?.step, totalSteps: report?.totalSteps,
            completedSteps: report?.completedSteps, message: report?.message.map { .plain($0) })
    }

    mutating func progress(
        _ standing: HubDialect.Standing, currentStep: SharedBytes?, totalSteps: Int?, completedSteps: Int?, message: TaskEvent.Words?
    ) {
        member("task_id", standing.task)
        // The document counts whole per cents: those that are full.
        member("progress", int: Int(min(max(standing.progress, 0), 100)))
        member("current_step", string: currentStep ?? .empty)
        member("total_steps", int: totalSteps ?? 0)
        member("completed_steps", int: completedSteps ?? 0)
        member("message", words: message ?? .plain(.empty))
        member("status", string: TaskDialect.word(standing.state))
        stamp(utc: standing.at)
        member("seq", sequence: standing.sequence)
    }

    /// The document's status object.
    fileprivate mutating func status(_ standing: HubDialect.Standing, _ event: TaskEvent) {
        member("task_id", standing.task)
        member("status", string: TaskDialect.word(standing.state))
        switch event {
        case .failed(let fault):
            member("error", words: fault.error)
            nullMember("result")
        case .completed(let completion):
            member("error", string: "")
            member("result", userValue: completion.result)
        case .cancelled(let reason):
            member("error", string: "")
            nullMember("result")
            if let reason { member("reason", string: reason) }
        case .queued, .started, .progress, .log, .chunk:
            member("error", string: "")
            nullMember("result")
        }
        stamp(utc: standing.at)
        member("seq", sequence: standing.sequence)
    }

    /// The document's error object.
    fileprivate mutating func error(_ standing: HubDialect.Standing, _ fault: TaskEvent.Fault) {
        member("execution_id", standing.task)
        member("step_id", string: fault.step ?? .empty)
        member("error", words: fault.error)
        stamp(utc: standing.at)
        member("seq", sequence: standing.sequence)
    }

    mutating func stamp(utc time: WallTime) { member("timestamp", seconds: time, zone: "Z") }
}
