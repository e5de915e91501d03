// EventStreamDialect: a task's events as a text/event-stream (HTML, "Server-sent events"): the messages of TaskDialect, each on one line
// under its type and number. Knows no HTTP; the stream of an OpenAI answer is another one.
//
// Cost: TaskDialect's, and one look for line ends over what was written.
public import Base
public import Domain

public enum EventStreamDialect {
    // MARK: From the client

    /// The position in a `Last-Event-ID` header: the number of the last event that was seen; nil where it is none of ours.
    public static func position(_ lastEventID: Span<UInt8>) -> UInt64? {
        lastEventID.decimal(at: 0..<lastEventID.count).map { UInt64($0) }
    }

    // MARK: To the client

    /// Appends all messages that tell of a publication, none to two.
    public static func write(_ publication: Publication, to writer: inout ByteWriter) {
        let count = TaskDialect.messageCount(of: publication.event)
        for part in 0..<count {
            let type = TaskDialect.type(of: publication.event, part: part)
            write(type, publication.sequence, isLast: part == count - 1, to: &writer) {
                TaskDialect.write(publication, part: part, to: &$0)
            }
        }
    }

    /// Appends all messages that tell of a task's end, for a watcher that came after it.
    public static func writeEnding(_ event: TaskEvent, of task: TaskSnapshot, at: WallTime, to writer: inout ByteWriter) {
        let count = TaskDialect.messageCount(of: event)
        for part in 0..<count {
            write(TaskDialect.type(of: event, part: part), task.sequence, isLast: part == count - 1, to: &writer) {
                TaskDialect.writeEnding(event, of: task, part: part, at: at, to: &$0)
            }
        }
    }

    /// Appends how the task stands: the first event of a stream that continues nothing.
    public static func writeCurrentStatus(_ task: TaskSnapshot, at now: WallTime, to writer: inout ByteWriter) {
        write("current_status", task.sequence, isLast: true, to: &writer) {
            TaskDialect.writeCurrentStatus(task, at: now, to: &$0)
        }
    }

    /// Appends what stands for logs that the client read too slowly to get.
    public static func writeGap(
        of task: TaskID, from first: UInt64, through last: UInt64, at: WallTime, to writer: inout ByteWriter
    ) {
        write("gap", last, isLast: true, to: &writer) { TaskDialect.writeGap(of: task, from: first, through: last, at: at, to: &$0) }
    }

    /// Appends a comment that keeps the connection alive.
    public static func writeHeartbeat(to writer: inout ByteWriter) { writer.append(": heartbeat\n\n") }

    /// Appends how long a client shall wait before it comes again.
    public static func writeRetry(_ delay: TimeSpan, to writer: inout ByteWriter) {
        writer.append("retry: ")
        writer.append(decimal: Int(max(delay.milliseconds, 0)))
        writer.append("\n\n")
    }

    /// - Parameter isLast: whether the event is told with this message. Only then the client may count it as seen: one that loses its
    ///   connection between two messages of an event gets both again.
    private static func write(
        _ type: StaticString, _ sequence: UInt64, isLast: Bool, to writer: inout ByteWriter, message: (inout ByteWriter) -> Void
    ) {
        if isLast {
            writer.append("id: ")
            writer.append(decimal: Int(clamping: sequence))
            writer.append(UInt8(ascii: "\n"))
        }
        writer.append("event: ")
        writer.append(type)
        writer.append("\ndata: ")
        let start = writer.count
        message(&writer)
        straighten(&writer, from: start)
        writer.append("\n\n")
    }

    /// Puts a JSON text on one line. A line ends with a line feed, a carriage return or both; in a JSON text they stand only between
    /// values, where a space says the same.
    static func straighten(_ writer: inout ByteWriter, from start: Int) {
        for lineEnd in [UInt8(ascii: "\n"), UInt8(ascii: "\r")] {
            var at = start
            while let place = writer.span.find(lineEnd, from: at) {
                var bytes = writer.mutableSpan
                bytes[place] = UInt8(ascii: " ")
                at = place + 1
            }
        }
    }
}
