// ProducerDialect: document N's service for outside programs that run tasks themselves: events, alone or many, over HTTP and over one
// WebSocket. Reads each by itself, so that one that is wrong spoils no other; ProducerVerdict.swift writes the answers. No state beyond
// one message.
//
// Cost: a message is indexed once and its members looked up by name; what is kept is copied once, out of the receive buffer.
public import Base
public import Domain
public import JSON

/// Where events are looked for.
public enum ProducerForm: Sendable {
    /// A message over the WebSocket: one event, or an array of them.
    case message
    /// A batch over HTTP: `{"events":[…]}`.
    case batch
}

/// One event of a message as it was read.
public struct ProducerWord: Sendable {
    /// Under which mark an event wants to be answered.
    public enum Mark: Sendable {
        /// It wants no answer of its own.
        case none
        /// Its `ack` as it came.
        case number(SharedBytes)
        /// It wants one, and cannot have it.
        case unreadable(RequestProblem)
    }

    /// What it says, or what is wrong with it.
    public let event: Result<ProducerEvent, RequestProblem>
    public let mark: Mark
}

public enum ProducerDialect {
    /// Events of one message: what its answers cost stays in proportion to the message.
    public static let eventsMax = 10_000
    /// The digits of a mark that is to be acknowledged.
    public static let markBytesMax = 64
    /// Steps of one task.
    public static let stepsMax = 1_000_000_000

    // MARK: Where the events are

    /// The events of one message, in their order.
    public struct Events: Sequence, IteratorProtocol {
        private var one: JSONNode?
        private var many: JSONElements?

        fileprivate init(one: JSONNode) { self.one = one }
        fileprivate init(many: JSONElements) { self.many = many }

        public mutating func next() -> JSONNode? { many?.next() ?? one.take() }
    }

    /// The events of a message over the WebSocket: one object, or an array of them.
    public static func events(ofMessage index: JSONIndex) throws(RequestProblem) -> Events {
        index.kind(of: index.root) == .array ? try events(of: index.root, index) : Events(one: index.root)
    }

    /// The events of a batch over HTTP: `{"events":[…]}`.
    public static func events(ofBatch body: Span<UInt8>, _ index: JSONIndex) throws(RequestProblem) -> Events {
        guard let node = try Members(index).node("events", in: body) else { throw .missing(member: "events") }
        guard index.kind(of: node) == .array else { throw .wrongType(member: "events", expected: "an array of objects") }
        return try events(of: node, index)
    }

    private static func events(of array: JSONNode, _ index: JSONIndex) throws(RequestProblem) -> Events {
        var count = 0
        for _ in index.elements(of: array) {
            count += 1
            if count > eventsMax { throw .outOfRange(member: "events", expected: "at most \(eventsMax) objects") }
        }
        return Events(many: index.elements(of: array))
    }

    /// Reads every event of a message, each by itself.
    ///
    /// - Parameter scratch: used and left as it was.
    /// - Throws: where no events can be found.
    public static func words(
        _ form: ProducerForm, in text: Span<UInt8>, _ index: JSONIndex, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> [ProducerWord] {
        let events =
            switch form {
            case .message: try events(ofMessage: index)
            case .batch: try events(ofBatch: text, index)
            }
        var words: [ProducerWord] = []
        for event in events { words.append(word(form, event, in: text, index, limits: limits, scratch: &scratch)) }
        return words
    }

    private static func word(
        _ form: ProducerForm, _ event: JSONNode, in text: Span<UInt8>, _ index: JSONIndex, limits: Limits, scratch: inout ByteWriter
    ) -> ProducerWord {
        do throws(RequestProblem) {
            var mark = ProducerWord.Mark.none
            // Each event of a batch is answered anyway.
            if case .message = form, let number = try self.mark(of: event, in: text, index) { mark = .number(number) }
            do throws(RequestProblem) {
                let event = try read(event, in: text, index, limits: limits, scratch: &scratch)
                return ProducerWord(event: .success(event), mark: mark)
            } catch {
                return ProducerWord(event: .failure(error), mark: mark)
            }
        } catch {
            return ProducerWord(event: .failure(error), mark: .unreadable(error))
        }
    }

    /// The newer token of a message that brings one instead of events: `{"type":"refresh","token":…}`; nil for any other.
    ///
    /// - Parameter scratch: used and left as it was.
    public static func token(
        in text: Span<UInt8>, _ index: JSONIndex, scratch: inout ByteWriter
    ) throws(RequestProblem) -> SharedBytes? {
        guard index.kind(of: index.root) == .object else { return nil }
        let members = try Members(index)
        guard let type = members.node("type", in: text), index.equals(type, "refresh", in: text), members.node("event", in: text) == nil
        else { return nil }
        return try members.token(in: text, &scratch)
    }

    // MARK: One event

    /// The mark with which an event wants to be answered: its `ack` as it came; nil where it wants no answer.
    public static func mark(of event: JSONNode, in text: Span<UInt8>, _ index: JSONIndex) throws(RequestProblem) -> SharedBytes? {
        guard index.kind(of: event) == .object, let node = try Members(index, of: event).node("ack", in: text) else { return nil }
        guard index.kind(of: node) == .number else { throw .wrongType(member: "ack", expected: "a number") }
        let range = index.range(of: node)
        guard range.count <= markBytesMax else { throw .outOfRange(member: "ack", expected: "at most \(markBytesMax) bytes long") }
        return SharedBytes(copying: text.extracting(range))
    }

    /// Reads an event that says itself what it is, in `event`, and of which task, in `task_id`.
    ///
    /// - Parameter scratch: used and left as it was.
    public static func read(
        _ event: JSONNode, in text: Span<UInt8>, _ index: JSONIndex, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> ProducerEvent {
        let members = try Members(index, of: event)
        guard let word = members.node("event", in: text) else { throw .missing(member: "event") }
        guard index.kind(of: word) == .string else { throw .wrongType(member: "event", expected: "a text") }
        guard let verb = ProducerVerb.allCases.first(where: { index.equals(word, $0.word, in: text) }) else {
            throw members.unknownType(word, in: text)
        }
        let id = try members.taskID("task_id", in: text, &scratch)
        return try Reader(members: members, limits: limits).event(verb, id, in: text, &scratch)
    }

    /// Reads the body of a request whose path says what it is and of which task. For `register` the path names no task: the body does.
    ///
    /// - Parameters:
    ///   - id: the task of the path; nil where it names none.
    ///   - scratch: used and left as it was.
    public static func read(
        _ verb: ProducerVerb, _ id: TaskID?, _ body: Span<UInt8>, _ index: JSONIndex, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> ProducerEvent {
        let members = try Members(index)
        let named = if let id { id } else { try members.taskID("task_id", in: body, &scratch) }
        return try Reader(members: members, limits: limits).event(verb, named, in: body, &scratch)
    }

    /// What a request with an empty body says; nil for what needs more words.
    public static func event(_ verb: ProducerVerb, _ id: TaskID) -> ProducerEvent? {
        switch verb {
        case .started: .started(id)
        case .completed: .completed(id, result: Reader.null)
        case .failed: .failed(id, TaskEvent.Fault(error: .plain(Reader.unsaid)))
        case .cancelled: .cancelled(id, reason: nil)
        case .register, .progress, .log: nil
        }
    }
}

/// Reads the members of one event.
private struct Reader {
    let members: Members
    let limits: Limits

    static let null = SharedBytes("null")
    /// A failure without words.
    static let unsaid = SharedBytes("Task failed")

    func event(
        _ verb: ProducerVerb, _ id: TaskID, in text: Span<UInt8>, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> ProducerEvent {
        switch verb {
        case .register: return .register(try registration(id, text, &scratch))
        case .started: return .started(id)
        case .progress: return .progress(id, try progress(text, &scratch))
        case .log: return .log(id, try log(text, &scratch))
        case .completed: return .completed(id, result: value("result", text) ?? Reader.null)
        case .failed: return .failed(id, try fault(text, &scratch))
        case .cancelled:
            return .cancelled(id, reason: try words("reason", text, &scratch))
        }
    }

    private func registration(_ id: TaskID, _ text: Span<UInt8>, _ scratch: inout ByteWriter) throws(RequestProblem) -> TaskRegistration {
        TaskRegistration(
            id: id, user: try user(text, &scratch), project: try members.textOrNumber("project_id", Principal.userBytesMax, text, &scratch),
            type: try members.text("task_type", bytesMax: limits.nameBytesMax, in: text, &scratch), metadata: try object("metadata", text))
    }

    private func user(_ text: Span<UInt8>, _ scratch: inout ByteWriter) throws(RequestProblem) -> SharedBytes {
        guard let user = try members.textOrNumber("user_id", Principal.userBytesMax, text, &scratch) else {
            throw .missing(member: "user_id")
        }
        // A task without an owner is everybody's, and nobody could open a socket under a name that no path can have.
        guard TaskID(user.span) != nil else {
            throw .outOfRange(member: "user_id", expected: "1 to \(Principal.userBytesMax) bytes of printable text")
        }
        return user
    }

    private func progress(_ text: Span<UInt8>, _ scratch: inout ByteWriter) throws(RequestProblem) -> TaskEvent.Progress {
        TaskEvent.Progress(
            reported: try members.number("progress", in: text).map { min(max($0, 0), 100) },
            message: try words("message", text, &scratch), step: try words("step", text, &scratch),
            stepInfo: try object("step_info", text).map { info throws(RequestProblem) in try info.bounded("step_info", limits) },
            currentStep: try members.textOrNumber("current_step", limits.progressTextBytesMax, text, &scratch),
            totalSteps: try count("total_steps", text), completedSteps: try count("completed_steps", text))
    }

    private func log(_ text: Span<UInt8>, _ scratch: inout ByteWriter) throws(RequestProblem) -> TaskEvent.Log {
        guard let logs = try members.text("logs", bytesMax: limits.logBytesMax, in: text, &scratch) else {
            throw .missing(member: "logs")
        }
        return TaskEvent.Log(
            logs: logs, level: try members.text("level", bytesMax: limits.nameBytesMax, in: text, &scratch),
            source: try members.text("source", bytesMax: limits.nameBytesMax, in: text, &scratch))
    }

    private func fault(_ text: Span<UInt8>, _ scratch: inout ByteWriter) throws(RequestProblem) -> TaskEvent.Fault {
        TaskEvent.Fault(
            error: value("error", text).map { .raw($0) } ?? .plain(Reader.unsaid),
            code: try members.textOrNumber("error_code", limits.nameBytesMax, text, &scratch),
            type: try members.text("error_type", bytesMax: limits.nameBytesMax, in: text, &scratch),
            details: value("error_details", text))
    }

    // MARK: Values

    /// Any JSON value, byte for byte.
    private func value(_ name: StaticString, _ text: Span<UInt8>) -> SharedBytes? {
        members.node(name, in: text).map { SharedBytes(copying: text.extracting(members.index.range(of: $0))) }
    }

    private func object(_ name: StaticString, _ text: Span<UInt8>) throws(RequestProblem) -> SharedBytes? {
        guard let range = try members.raw(name, .object, "an object", in: text) else { return nil }
        return SharedBytes(copying: text.extracting(range))
    }

    private func words(_ name: StaticString, _ text: Span<UInt8>, _ scratch: inout ByteWriter) throws(RequestProblem) -> SharedBytes? {
        try members.text(name, bytesMax: limits.progressTextBytesMax, in: text, &scratch)
    }

    private func count(_ name: StaticString, _ text: Span<UInt8>) throws(RequestProblem) -> Int? {
        guard let number = try members.number(name, in: text) else { return nil }
        guard number >= 0, number <= Double(ProducerDialect.stepsMax), number == number.rounded() else {
            throw .outOfRange(member: name, expected: "a whole number from 0 to \(ProducerDialect.stepsMax)")
        }
        return Int(number)
    }
}
