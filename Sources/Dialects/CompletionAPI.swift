// CompletionAPI: the routes of OpenAI's clients: reads the bodies of /v1/chat/completions, /v1/completions and /v1/embeddings, writes
// errors and lists of models in their shape. The answer itself is the worker's result, byte for byte. Knows no HTTP beyond the number of a
// status; the pieces of a stream are CompletionStream's.
public import Base
public import Domain
public import JSON

/// What is asked for.
public enum CompletionEndpoint: Sendable, Hashable, CaseIterable {
    case chat, text, embeddings

    /// Its path, which the worker is told as well.
    public var path: StaticString {
        switch self {
        case .chat: "/v1/chat/completions"
        case .text: "/v1/completions"
        case .embeddings: "/v1/embeddings"
        }
    }
}

/// A model as `/v1/models` lists it.
public struct ListedModel: Sendable {
    public var name: SharedBytes
    public var createdAt: WallTime
    /// The group whose workers have it.
    public var owner: SharedBytes

    public init(name: SharedBytes, createdAt: WallTime, owner: SharedBytes) {
        self.name = name
        self.createdAt = createdAt
        self.owner = owner
    }
}

public enum CompletionAPI {
    // MARK: Requests

    /// Reads the body of a request. The worker gets it whole, byte for byte, as `request`; `group`, `timeout`, `priority`, `retries` and
    /// `idempotencyKey` are read as ``DispatchAPI`` reads them, and a priority that is no text is the worker's business.
    ///
    /// - Parameters:
    ///   - key: the Idempotency-Key field, which the member `idempotencyKey` goes before.
    ///   - group: the X-Group field, which the member `group` goes before.
    ///   - scratch: used and left as it was.
    public static func readOrder(
        _ endpoint: CompletionEndpoint, _ body: Span<UInt8>, _ index: JSONIndex, key: SharedBytes?, group field: SharedBytes?,
        limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> Order {
        let members = try Members(index)
        let model = try members.text("model", bytesMax: limits.nameBytesMax, in: body, &scratch)
        guard let model, !model.isEmpty, let modelNode = members.node("model", in: body) else { throw .missing(member: "model") }
        let messages = try readInput(endpoint, members, in: body)
        let isStreamed = endpoint == .embeddings ? false : try members.bool("stream", in: body) ?? false
        if let field, field.count > limits.nameBytesMax {
            throw .outOfRange(member: "X-Group", expected: "at most \(limits.nameBytesMax) bytes long")
        }
        let group = try members.text("group", bytesMax: limits.nameBytesMax, in: body, &scratch)
        let timeout = try members.number("timeout", in: body).map(DispatchAPI.milliseconds)
        let retries = try members.number("retries", in: body) ?? 0
        guard retries >= 0, retries <= Double(limits.retriesMax), retries == retries.rounded() else {
            throw .outOfRange(member: "retries", expected: "a whole number from 0 to \(limits.retriesMax)")
        }
        let isWord = members.node("priority", in: body).map { index.kind(of: $0) == .string } ?? false
        let priority = isWord ? try DispatchAPI.readPriority(members, in: body) : .normal
        let memberKey = try members.text("idempotencyKey", bytesMax: limits.idempotencyKeyBytesMax, in: body, &scratch)
        let start = scratch.count
        scratch.object {
            $0.member("model", raw: body.extracting(index.range(of: modelNode)))
            if let messages { $0.member("messages", raw: body.extracting(messages)) }
            $0.member("endpoint", string: endpoint.path)
            $0.member("request", raw: body.extracting(index.range(of: index.root)))
        }
        let payload = SharedBytes(copying: scratch.span.extracting(start..<scratch.count))
        scratch.truncate(to: start)
        let submission = Submission(
            payload: payload, group: DispatchAPI.named(group) ?? DispatchAPI.named(field), model: model, priority: priority,
            timeout: timeout,
            // What a second worker would send cannot follow what the first one has sent.
            retries: isStreamed ? 0 : Int(retries),
            idempotencyKey: DispatchAPI.named(memberKey) ?? DispatchAPI.named(key))
        return Order(submission: submission, isAsync: false, isStreamed: isStreamed)
    }

    /// Sees to it that there is something to work on.
    ///
    /// - Returns: where the messages of a chat stand.
    private static func readInput(
        _ endpoint: CompletionEndpoint, _ members: Members, in body: Span<UInt8>
    ) throws(RequestProblem) -> Range<Int>? {
        let name: StaticString
        switch endpoint {
        case .chat:
            guard let messages = try members.raw("messages", .array, "an array", in: body) else { throw .missing(member: "messages") }
            return messages
        case .text: name = "prompt"
        case .embeddings: name = "input"
        }
        guard let input = members.node(name, in: body) else { throw .missing(member: name) }
        switch members.index.kind(of: input) {
        case .string, .array: return nil
        case .object, .number, .bool, .null: throw .wrongType(member: name, expected: "a text or an array")
        }
    }

    // MARK: Errors

    /// Appends `{"error":{"message":…,"type":…,"param":…,"code":…}}`, with the type and code that OpenAI's clients expect with the status.
    public static func writeError(
        _ status: Int, _ message: StaticString, code: StaticString? = nil, param: StaticString? = nil, to writer: inout ByteWriter
    ) {
        write(status, code: code, param: param, to: &writer) { $0.member("message", string: message) }
    }

    public static func writeError(_ problem: RequestProblem, _ status: Int = 400, to writer: inout ByteWriter) {
        write(status, code: nil, param: problem.member, to: &writer) { $0.member("message", string: problem.sentence) }
    }

    /// Nobody has the model.
    public static func writeUnknownModel(_ name: SharedBytes, to writer: inout ByteWriter) {
        write(404, code: "model_not_found", param: "model", to: &writer) { error in
            error.member("message") { writer in
                var words = ByteWriter(capacity: name.count + 32)
                words.append("The model '")
                words.append(name)
                words.append("' does not exist")
                writer.jsonString(words.span)
            }
        }
    }

    /// - Returns: the status.
    public static func write(_ refusal: SubmissionRefusal, to writer: inout ByteWriter) -> Int {
        switch refusal {
        case .noWorker:
            writeError(503, "No worker available", code: "no_worker", to: &writer)
            return 503
        case .queueFull:
            writeError(429, "Queue is full", code: "rate_limit_exceeded", to: &writer)
            return 429
        case .closing:
            writeError(503, "Server is shutting down", code: "shutting_down", to: &writer)
            return 503
        }
    }

    /// Appends why a task has no result. A worker that says more than words has its say: an object with a `message` is the error as it
    /// stands, and a number from 400 to 599 as `error_code` is the status.
    ///
    /// - Parameter index: used.
    /// - Returns: the status.
    public static func writeFailure(
        of task: TaskRecord, _ index: inout JSONIndex, to writer: inout ByteWriter
    ) -> Int {
        switch task.outcome {
        case .failed(.timeout):
            writeError(504, "Task timeout", code: "timeout", to: &writer)
            return 504
        case .failed(.workerDisconnected):
            writeError(500, "Worker disconnected", code: "worker_disconnected", to: &writer)
            return 500
        case .failed(.reported(let words)):
            var fault: TaskEvent.Fault?
            if case .failed(let told) = task.ending { fault = told }
            return writeFault(words, fault, &index, to: &writer)
        case .cancelled, .completed, nil:
            writeError(409, "Task cancelled", code: "cancelled", to: &writer)
            return 409
        }
    }

    private static func writeFault(
        _ words: TaskEvent.Words, _ fault: TaskEvent.Fault?, _ index: inout JSONIndex, to writer: inout ByteWriter
    ) -> Int {
        let told = fault?.code.flatMap { code in code.span.decimal(at: 0..<code.count) }
        let status = told.map { Int(clamping: $0) }.flatMap { (400...599).contains($0) ? $0 : nil } ?? 500
        switch words {
        case .plain(let text): write(status, fault, to: &writer) { $0.member("message", string: text) }
        case .raw(let value):
            let text = value.span
            guard (try? index.build(from: text)) != nil else {
                write(status, fault, to: &writer) { $0.member("message", string: text) }
                return status
            }
            switch index.kind(of: index.root) {
            case .object where index.member("message", of: index.root, in: text) != nil:
                writer.object { $0.member("error", raw: text) }
            case .string:
                write(status, fault, to: &writer) { error in
                    // A string of the worker's JSON is one of ours.
                    error.member("message", raw: text)
                }
            case .object, .array, .number, .bool, .null: write(status, fault, to: &writer) { $0.member("message", string: text) }
            }
        }
        return status
    }

    /// The kind of error that OpenAI's documents name with a status.
    private static func type(of status: Int) -> StaticString {
        switch status {
        case 401: "authentication_error"
        case 403: "permission_error"
        case 429: "rate_limit_error"
        case 500...: "server_error"
        default: "invalid_request_error"
        }
    }

    private static func write(
        _ status: Int, code: StaticString?, param: StaticString?, to writer: inout ByteWriter, _ message: (inout JSONObjectWriter) -> Void
    ) {
        writer.object {
            $0.member(
                "error",
                object: { error in
                    message(&error)
                    error.member("type", string: type(of: status))
                    if let param { error.member("param", string: param) } else { error.nullMember("param") }
                    if let code { error.member("code", string: code) } else { error.nullMember("code") }
                })
        }
    }

    /// As a worker told it.
    private static func write(
        _ status: Int, _ fault: TaskEvent.Fault?, to writer: inout ByteWriter, _ message: (inout JSONObjectWriter) -> Void
    ) {
        writer.object {
            $0.member(
                "error",
                object: { error in
                    message(&error)
                    if let type = fault?.type { error.member("type", string: type) } else { error.member("type", string: type(of: status)) }
                    error.nullMember("param")
                    if let code = fault?.code { error.member("code", string: code) } else { error.nullMember("code") }
                })
        }
    }

    // MARK: Models

    /// The answer to GET /v1/models.
    public static func write(_ models: [ListedModel], to writer: inout ByteWriter) {
        writer.object {
            $0.member("object", string: "list")
            $0.member("data", array: { list in for model in models { list.element(object: { write(model, to: &$0) }) } })
        }
    }

    /// The answer to GET /v1/models/{model}.
    public static func write(_ model: ListedModel, to writer: inout ByteWriter) { writer.object { write(model, to: &$0) } }

    private static func write(_ model: ListedModel, to object: inout JSONObjectWriter) {
        object.member("id", string: model.name)
        object.member("object", string: "model")
        object.member("created", int: model.createdAt.milliseconds / 1_000)
        object.member("owned_by", string: model.owner)
    }
}
