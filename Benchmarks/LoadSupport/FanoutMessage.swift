// FanoutMessage: the messages of a fan-out run. A publication carries its own number and the time at which it was sent at the end of its
// text, which goes through a server unchanged, whichever protocol it is told in (documents G, N, P); a watcher reads both back, and the
// `seq` that the server gave. Not a JSON reader: it looks for members as a server without white space writes them.
//
// Cost: the stamp is near the end of the message, so that a watcher looks at some 200 of its 300 bytes, about 150 ns.

public import Base

/// What the worker and the watchers of a fan-out run say and hear.
public enum FanoutMessage {
    /// What a server says to a watcher.
    public enum FromServer: Equatable, Sendable {
        /// A publication.
        case publication(Stamp)
        /// How the task stands: the watcher hears everything from here on.
        case standing
        /// A greeting, a heartbeat, or anything else that is no publication.
        case other
        /// A publication without number, time or `seq`.
        case unreadable
    }

    /// What tells one publication from another.
    public struct Stamp: Equatable, Sendable {
        /// The publication's number in the run.
        public var number: Int
        /// When it was sent, in nanoseconds.
        public var sentAt: UInt64
        /// Its number in the task's life, as the server counts.
        public var sequence: Int

        public init(number: Int, sentAt: UInt64, sequence: Int) {
            self.number = number
            self.sentAt = sentAt
            self.sequence = sequence
        }
    }

    private static let publications = [
        Array("{\"type\":\"task_progress\"".utf8), Array("{\"type\":\"progress\"".utf8), Array("{\"type\":\"task_status\"".utf8),
    ]
    /// What each protocol says when its client hears everything from there on.
    private static let standings = [
        Array("{\"type\":\"current_status\"".utf8), Array("{\"type\":\"subscribed\"".utf8), Array("{\"type\":\"active_tasks\"".utf8),
    ]
    /// Stands before each of a stamp's two numbers; occurs nowhere else.
    private static let mark = Array("@".utf8)
    private static let sequence = Array("\"seq\":".utf8)

    /// All of a stamp, and what follows it, lies within so many bytes from the message's end.
    private static let tailBytesMax = 192

    /// Reads a message to a watcher.
    public static func read(_ message: Span<UInt8>) -> FromServer {
        guard publications.contains(where: { message.hasPrefix($0) }) else {
            return standings.contains(where: { message.hasPrefix($0) }) ? .standing : .other
        }
        let start = max(0, message.count - tailBytesMax)
        // How a task stands is told in the same words, without a stamp.
        guard let numberPlace = message.firstIndex(of: mark, from: start) else { return .other }
        guard let number = message.decimal(at: numberPlace + 1),
            let timePlace = message.firstIndex(of: mark, from: numberPlace + 1),
            let time = message.decimal(at: timePlace + 1),
            let sequencePlace = message.firstIndex(of: sequence, from: timePlace),
            let sequence = message.decimal(at: sequencePlace + sequence.count)
        else { return .unreadable }
        return .publication(Stamp(number: number, sentAt: UInt64(time), sequence: sequence))
    }

    /// Appends a worker's report of its task's progress, from which the server makes a publication.
    /// - Parameter words: What the report says, to make it long; without quotes, backslashes and marks.
    public static func appendReport(
        of task: Span<UInt8>, number: Int, sentAt: UInt64, words: Span<UInt8>, to output: inout ByteWriter
    ) {
        output.append("{\"type\":\"task_progress\",\"taskId\":\"")
        output.append(task)
        appendText(number, sentAt, words, to: &output)
        output.append("}")
    }

    /// Appends a producer's report of the progress of a task that runs elsewhere.
    public static func appendEvent(
        of task: Span<UInt8>, number: Int, sentAt: UInt64, words: Span<UInt8>, to output: inout ByteWriter
    ) {
        output.append("{\"event\":\"progress\",\"task_id\":\"")
        output.append(task)
        appendText(number, sentAt, words, to: &output)
        output.append("}")
    }

    /// Appends a publication as a watcher is to get it, for a server that passes on what it is given.
    public static func appendPublication(_ stamp: Stamp, words: Span<UInt8>, to output: inout ByteWriter) {
        output.append("{\"type\":\"task_progress\",\"task_id\":\"")
        appendText(stamp.number, stamp.sentAt, words, to: &output)
        output.append(",\"seq\":")
        output.append(decimal: stamp.sequence)
        output.append("}")
    }

    /// The end of a task's name, its progress, and a text that ends with the stamp.
    private static func appendText(_ number: Int, _ sentAt: UInt64, _ words: Span<UInt8>, to output: inout ByteWriter) {
        output.append("\",\"progress\":50,\"message\":\"")
        output.append(words)
        output.append("@")
        output.append(decimal: number)
        output.append("@")
        output.append(decimal: Int(clamping: sentAt))
        output.append("\"")
    }
}
