// TaskMessage: the few bytes of the dispatch protocol that a load run needs: the number that a client puts into its task and wants
// to find in the result, so that a result that reaches the wrong client is noticed. Not a JSON reader: it looks for members as a
// server without white space writes them, and as the bytes of payload and result go through unchanged.

public import Base

/// The worker's and the client's words of a dispatch run.
public enum TaskMessage {
    /// Numbers begin here and have ten digits, so that all requests of a run are of one length.
    public static let firstNumber = 1_000_000_000

    private static let type = Array("\"type\":\"task\"".utf8)
    private static let connected = Array("\"type\":\"connected\"".utf8)
    private static let pong = Array("\"type\":\"pong\"".utf8)
    private static let identifier = Array("\"taskId\":\"".utf8)
    private static let number = Array("\"n\":".utf8)
    private static let completed = Array("\"status\":\"completed\"".utf8)
    private static let failed = Array("\"status\":\"failed\"".utf8)
    private static let result = Array("\"result\":{\"ok\":true,\"n\":".utf8)

    /// What a server says to a worker.
    public enum FromServer: Equatable, Sendable {
        case connected
        /// A task: where its identifier lies, and the client's number.
        case task(identifier: Range<Int>, number: Int)
        /// A task that lacks the identifier or the number.
        case unreadable
        /// The answer to a ping: everything said before it was read.
        case pong
        /// An acknowledgement or anything else that a worker may ignore.
        case other
    }

    /// Reads a message to a worker.
    public static func read(_ message: Span<UInt8>) -> FromServer {
        guard message.firstIndex(of: type) != nil else {
            if message.firstIndex(of: connected) != nil { return .connected }
            return message.firstIndex(of: pong) == nil ? .other : .pong
        }
        guard let identifier = taskIdentifier(in: message),
            let place = message.firstIndex(of: number),
            let number = message.decimal(at: place + number.count)
        else { return .unreadable }
        return .task(identifier: identifier, number: number)
    }

    /// Where the value of `taskId` lies, without its quotes.
    public static func taskIdentifier(in message: Span<UInt8>) -> Range<Int>? {
        guard let place = message.firstIndex(of: identifier) else { return nil }
        let start = place + identifier.count
        var end = start
        while end < message.count, message[end] != UInt8(ascii: "\"") { end += 1 }
        return end < message.count && end > start ? start..<end : nil
    }

    /// Appends what a worker says once it is connected: that it takes tasks, and how many at once.
    public static func appendReady(concurrency: Int, to output: inout ByteWriter) {
        output.append("{\"type\":\"ready\",\"concurrency\":")
        output.append(decimal: concurrency)
        output.append("}")
    }

    /// Appends what a worker says to be answered by a pong.
    public static func appendPing(to output: inout ByteWriter) { output.append("{\"type\":\"ping\"}") }

    /// Appends what a worker answers to a task.
    public static func appendCompletion(of identifier: Span<UInt8>, number: Int, to output: inout ByteWriter) {
        output.append("{\"type\":\"task_complete\",\"taskId\":\"")
        output.append(identifier)
        output.append("\",\"result\":{\"ok\":true,\"n\":")
        output.append(decimal: number)
        output.append("},\"duration\":1}")
    }

    /// What a server's answer says of the task of a client.
    public enum Answer: Equatable, Sendable {
        case completed
        case pending
        case wrong
    }

    /// Reads the body of a response about the task with `number`.
    public static func answer(_ body: Span<UInt8>, number: Int) -> Answer {
        if body.firstIndex(of: completed) != nil {
            guard let place = body.firstIndex(of: result) else { return .wrong }
            return body.decimal(at: place + result.count) == number ? .completed : .wrong
        }
        guard body.firstIndex(of: failed) == nil, taskIdentifier(in: body) != nil else { return .wrong }
        return .pending
    }
}
