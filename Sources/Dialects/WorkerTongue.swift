// WorkerTongue: document D as a worker speaks it: reads what the server says to a worker, writes what a worker says; and reads what a
// command that does a worker's work writes to its standard error. The server's side is WorkerDialect. No state beyond one message.
public import Base
public import Domain
public import JSON

/// What the server says to a worker.
public enum WorkerOrder: Equatable, Sendable {
    /// The name under which the worker is known, and the longest message that the server takes, where it says so.
    case connected(SharedBytes, messageBytesMax: Int?)
    /// A task, the number of its assignment, and its payload as JSON.
    case task(TaskID, lease: UInt64?, payload: SharedBytes)
    case cancel(TaskID)
    /// The result is stored.
    case acknowledged(TaskID)
    /// Something that was said was not taken; of which task, where it was of one.
    case error(SharedBytes, TaskID?)
    /// The server has nothing more for a worker that wanted to leave.
    case drain
    /// Anything else, which a worker passes over.
    case other
}

/// What a command says on the way, a line each.
public enum CommandNote: Equatable, Sendable {
    /// A number from 0 to 100 and words, either of which may be left out.
    case progress(Double?, SharedBytes?)
    /// A piece of the result: JSON.
    case chunk(SharedBytes)
    /// For the task's log.
    case log
}

public enum WorkerTongue {
    // MARK: From the server

    /// - Returns: nil for what is no message at all.
    public static func read(_ text: Span<UInt8>, _ index: inout JSONIndex) -> WorkerOrder? {
        guard (try? index.build(from: text)) != nil, let members = try? Members(index), let type = members.node("type", in: text) else {
            return nil
        }
        let id = members.node("taskId", in: text).flatMap { taskID($0, index, text) }
        if index.equals(type, "task", in: text), let id, let payload = members.node("payload", in: text) {
            let lease = index.int("lease", of: index.root, in: text).flatMap { UInt64(exactly: $0) }
            return .task(id, lease: lease, payload: SharedBytes(copying: text.extracting(index.range(of: payload))))
        }
        if index.equals(type, "cancel", in: text), let id { return .cancel(id) }
        if index.equals(type, "task_ack", in: text), let id { return .acknowledged(id) }
        if index.equals(type, "drain", in: text) { return .drain }
        if index.equals(type, "connected", in: text) {
            let bytesMax = index.int("maxMessageBytes", of: index.root, in: text).flatMap { $0 > 0 ? Int(exactly: $0) : nil }
            return .connected(SharedBytes(index.string("workerId", of: index.root, in: text) ?? ""), messageBytesMax: bytesMax)
        }
        if index.equals(type, "error", in: text) {
            return .error(SharedBytes(index.string("error", of: index.root, in: text) ?? ""), id)
        }
        return .other
    }

    private static func taskID(_ node: JSONNode, _ index: JSONIndex, _ text: Span<UInt8>) -> TaskID? {
        index.string(node, in: text).flatMap { TaskID(SharedBytes($0).span) }
    }

    // MARK: From the command

    /// Reads a line of the command's standard error: `progress 40 words`, or a JSON object with `progress`, `message` or `chunk`.
    public static func read(line: Span<UInt8>, _ index: inout JSONIndex) -> CommandNote {
        if line.count > 0, line[0] == UInt8(ascii: "{") {
            guard (try? index.build(from: line)) != nil, let members = try? Members(index) else { return .log }
            if let chunk = members.node("chunk", in: line) { return .chunk(SharedBytes(copying: line.extracting(index.range(of: chunk)))) }
            let percent = index.double("progress", of: index.root, in: line).flatMap { $0.isFinite ? $0 : nil }
            let message = index.string("message", of: index.root, in: line).map { SharedBytes($0) }
            return percent == nil ? .log : .progress(percent, message)
        }
        guard line.hasPrefix("progress ") else { return .log }
        var rest = SharedBytes(copying: line.extracting(9..<line.count)).description[...]
        let number = rest.prefix { $0 != " " }
        guard let percent = Double(number.hasSuffix("%") ? number.dropLast() : number), percent.isFinite else { return .log }
        rest = rest.dropFirst(number.count).drop { $0 == " " }
        return .progress(percent, rest.isEmpty ? nil : SharedBytes(String(rest)))
    }

    /// A command's output as a result: JSON where it is some, else the text of it.
    public static func writeResult(_ output: Span<UInt8>, _ index: inout JSONIndex, to writer: inout ByteWriter) {
        if (try? index.build(from: output)) != nil {
            writer.append(output.extracting(index.range(of: index.root)))
        } else {
            // The line that a program ends with is none of its words'.
            var end = output.count
            if end > 0, output[end - 1] == UInt8(ascii: "\n") { end -= 1 }
            writeText(output.extracting(0..<end), to: &writer)
        }
    }

    /// Appends a text of whatever bytes as a JSON string.
    private static func writeText(_ bytes: Span<UInt8>, to writer: inout ByteWriter) {
        if UTF8Validator.isValid(bytes) { writer.jsonString(bytes) } else { writer.jsonString(SharedBytes(copying: bytes).description) }
    }

    // MARK: To the server

    /// - Parameter held: what the worker has in hand: who comes back says so.
    public static func writeReady(concurrency: Int, models: [String], held: [TaskID], to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "ready")
            $0.member("concurrency", int: concurrency)
            if !models.isEmpty { $0.member("models", array: { list in for model in models { list.element(string: model) } }) }
            $0.member(
                "tasks",
                array: { list in
                    for id in held {
                        list.element(value: { writer in
                            if let name = id.name { return writer.jsonString(name.span) }
                            writer.append(UInt8(ascii: "\""))
                            id.write(to: &writer)
                            writer.append(UInt8(ascii: "\""))
                        })
                    }
                })
        }
    }

    public static func writeDrain(to writer: inout ByteWriter) { writer.append("{\"type\":\"drain\"}") }

    /// - Parameter result: JSON.
    public static func writeComplete(
        _ id: TaskID, _ lease: UInt64?, result: Span<UInt8>, milliseconds: Int64, to writer: inout ByteWriter
    ) {
        write("task_complete", id, lease, to: &writer) {
            $0.member("result", raw: result)
            $0.member("duration", int: milliseconds)
        }
    }

    /// - Parameter code: the command's exit code, where it had one.
    public static func writeFailed(
        _ id: TaskID, _ lease: UInt64?, error: Span<UInt8>, code: Int32?, milliseconds: Int64, to writer: inout ByteWriter
    ) {
        write("task_error", id, lease, to: &writer) { object in
            object.member("error") { writeText(error, to: &$0) }
            if let code { object.member("error_code", int: Int(code)) }
            object.member("duration", int: milliseconds)
        }
    }

    public static func writeProgress(
        _ id: TaskID, _ lease: UInt64?, _ percent: Double?, _ message: SharedBytes?, to writer: inout ByteWriter
    ) {
        write("task_progress", id, lease, to: &writer) {
            if let percent { $0.member("progress", double: percent) }
            if let message { $0.member("message", string: message) }
        }
    }

    public static func writeLog(_ id: TaskID, _ lease: UInt64?, _ line: Span<UInt8>, to writer: inout ByteWriter) {
        write("task_logs", id, lease, to: &writer) { object in
            object.member("logs") { writeText(line, to: &$0) }
            object.member("source", string: "stderr")
        }
    }

    public static func writeChunk(_ id: TaskID, _ lease: UInt64?, _ chunk: SharedBytes, to writer: inout ByteWriter) {
        write("task_chunk", id, lease, to: &writer) { $0.member("chunk", raw: chunk) }
    }

    private static func write(
        _ type: StaticString, _ id: TaskID, _ lease: UInt64?, to writer: inout ByteWriter, _ rest: (inout JSONObjectWriter) -> Void
    ) {
        writer.object {
            $0.member("type", string: type)
            $0.member("taskId", id)
            if let lease { $0.member("lease", int: Int(clamping: lease)) }
            rest(&$0)
        }
    }
}
