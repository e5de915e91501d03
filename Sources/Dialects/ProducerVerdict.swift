// ProducerVerdict: what became of something that an outside program reported, and how it is told: alone over HTTP, in the order of a
// batch, or as an acknowledgement over the WebSocket.
public import Base
public import Domain
internal import JSON

/// What became of one event.
public enum ProducerVerdict: Sendable {
    /// The task's events are this many now.
    case accepted(TaskID, sequence: UInt64)
    case refused(ProducerRefusal)
}

/// Why an event changes nothing.
public enum ProducerRefusal: Error, Sendable {
    case unreadable(RequestProblem)
    /// There is none of that name, or none that the reporter may touch.
    case unknownTask
    /// There is a task of that name already.
    case alreadyRegistered
    /// The task is in the hands of this server, which alone reports it.
    case dispatched
    case ended(TaskState)
    /// No more tasks can be taken in at present.
    case full
    /// The server is about to stop.
    case closing
    /// The task could not be written down, and is not taken in.
    case notStored

    /// The number for HTTP.
    public var status: Int {
        switch self {
        case .unreadable: 400
        case .unknownTask: 404
        case .alreadyRegistered, .dispatched, .ended: 409
        case .full, .closing, .notStored: 503
        }
    }

    /// The sentence for the one who reported.
    public var sentence: String {
        switch self {
        case .unreadable(let problem): problem.sentence
        case .unknownTask: "Task not found"
        case .alreadyRegistered: "Task already registered"
        case .dispatched: "Task is run by a worker of this server"
        case .ended(let state): "Task already \(state.word)"
        case .full: "Too many tasks"
        case .closing: "Server is shutting down"
        case .notStored: "Task could not be stored"
        }
    }
}

extension ProducerDialect {
    /// The answer to one event over HTTP.
    ///
    /// - Returns: the status.
    public static func write(_ verdict: ProducerVerdict, to writer: inout ByteWriter) -> Int {
        switch verdict {
        case .accepted(let id, let sequence):
            UserTaskAPI.succeed(to: &writer) {
                $0.member("task_id", id)
                $0.member("seq", sequence: sequence)
            }
            return 200
        case .refused(let refusal):
            UserTaskAPI.fail(refusal.sentence, to: &writer)
            return refusal.status
        }
    }

    /// The answer to a batch over HTTP: one verdict an event, in its order.
    public static func write(_ verdicts: some Sequence<ProducerVerdict>, to writer: inout ByteWriter) {
        UserTaskAPI.succeed(to: &writer) { data in
            data.member(
                "verdicts",
                array: { list in
                    for verdict in verdicts {
                        list.element(object: {
                            switch verdict {
                            case .accepted(let id, let sequence):
                                $0.member("ok", bool: true)
                                $0.member("task_id", id)
                                $0.member("seq", sequence: sequence)
                            case .refused(let refusal):
                                $0.member("ok", bool: false)
                                $0.member("error", string: refusal.sentence)
                                // What the event alone would have been answered with: whether it is worth another try.
                                $0.member("status", int: refusal.status)
                            }
                        })
                    }
                })
        }
    }

    /// The answer to an event over the WebSocket that asked for one.
    ///
    /// - Parameter mark: what the event had in `ack`, as it came.
    public static func writeAcknowledgement(_ mark: SharedBytes, _ verdict: ProducerVerdict, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "ack")
            $0.member("ack", raw: mark)
            switch verdict {
            case .accepted: $0.member("ok", bool: true)
            case .refused(let refusal):
                $0.member("ok", bool: false)
                $0.member("error", string: refusal.sentence)
            }
        }
    }

    /// The new token is taken.
    public static func writeRefreshed(to writer: inout ByteWriter) {
        writer.object { $0.member("type", string: "refreshed") }
    }

    /// The answer to a message over the WebSocket in which no events can be found, or to one whose mark cannot be given back.
    public static func writeProblem(_ words: String, to writer: inout ByteWriter) {
        writer.object {
            $0.member("type", string: "error")
            $0.member("error", string: words)
        }
    }
}
