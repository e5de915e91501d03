// HubDialect+Client: document P's conversation with one client of the hub: what the client may say, and what it alone is told. The
// messages that everybody gets stand in HubDialect.swift.
public import Base
public import Domain
public import JSON

/// What a client of the hub says.
public enum HubCommand: Sendable {
    case subscribe(TaskID)
    case unsubscribe(TaskID)
    case ping
    /// The client has a new token, and wants to go on with it.
    case refresh(token: SharedBytes)
}

extension HubDialect {
    // MARK: From the client

    /// Reads one command; its word stands in `action` or, where there is none, in `type`.
    ///
    /// - Parameter scratch: used and left as it was.
    public static func read(
        _ text: Span<UInt8>, _ index: JSONIndex, scratch: inout ByteWriter
    ) throws(RequestProblem) -> HubCommand {
        let members = try Members(index)
        let action = members.node("action", in: text)
        guard let word = action ?? members.node("type", in: text) else { throw .missing(member: "action") }
        guard index.kind(of: word) == .string else { throw .wrongType(member: action == nil ? "type" : "action", expected: "a text") }
        if index.equals(word, "ping", in: text) { return .ping }
        if index.equals(word, "subscribe", in: text) { return .subscribe(try members.taskID("task_id", in: text, &scratch)) }
        if index.equals(word, "unsubscribe", in: text) { return .unsubscribe(try members.taskID("task_id", in: text, &scratch)) }
        if index.equals(word, "refresh", in: text) { return .refresh(token: try members.token(in: text, &scratch)) }
        throw members.unknownType(word, in: text)
    }

    // MARK: To the client

    /// The first message to a client that is new, or whose former session is gone.
    public static func writeConnected(_ client: ClientID, at now: WallTime, to writer: inout ByteWriter) {
        write("connected", about: nil, to: &writer) {
            $0.member("client_id", client)
            $0.member("message", string: "WebSocket连接成功")
            $0.stamp(utc: now)
        }
    }

    /// A task that a client listens to again.
    public struct Resumption: Sendable {
        public let task: TaskID
        /// Whether everything that the client missed follows. Where not, the task's present state does.
        public let isRecovered: Bool

        public init(_ task: TaskID, isRecovered: Bool) {
            self.task = task
            self.isRecovered = isRecovered
        }
    }

    /// A client that came back. Beyond the document, and only where something is lost for good, `recovered` names the tasks:
    /// `"recovered":{"task-002":false}`.
    public static func writeReconnected(
        _ client: ClientID, formerly old: ClientID, _ tasks: some Collection<Resumption>, at now: WallTime, to writer: inout ByteWriter
    ) {
        write("reconnected", about: nil, to: &writer) { payload in
            var isWhole = true
            payload.member("client_id", client)
            payload.member("old_client_id", old)
            payload.member("message", string: "WebSocket重连成功")
            payload.member(
                "subscribed",
                object: { subscribed in
                    for resumption in tasks {
                        subscribed.member(named: resumption.task, bool: true)
                        if !resumption.isRecovered { isWhole = false }
                    }
                })
            if !isWhole {
                payload.member(
                    "recovered",
                    object: { recovered in
                        for resumption in tasks where !resumption.isRecovered { recovered.member(named: resumption.task, bool: false) }
                    })
            }
            payload.stamp(utc: now)
        }
    }

    /// - Parameter topics: everything that the client listens to now.
    public static func writeSubscribed(_ topics: some Sequence<TaskID>, to writer: inout ByteWriter) {
        write("subscribed", topics, to: &writer)
    }

    /// - Parameter topics: everything that the client still listens to.
    public static func writeUnsubscribed(_ topics: some Sequence<TaskID>, to writer: inout ByteWriter) {
        write("unsubscribed", topics, to: &writer)
    }

    private static func write(_ type: StaticString, _ topics: some Sequence<TaskID>, to writer: inout ByteWriter) {
        write(type, about: nil, to: &writer) {
            $0.member(
                "topics",
                array: { list in
                    for topic in topics { list.element(value: { $0.text(of: topic) }) }
                })
        }
    }

    /// The one message whose time is a number.
    public static func writePong(at now: WallTime, to writer: inout ByteWriter) {
        write("pong", about: nil, to: &writer) { $0.member("timestamp", int: now.seconds) }
    }

    /// The new token is taken.
    public static func writeRefreshed(at now: WallTime, to writer: inout ByteWriter) {
        write("refreshed", about: nil, to: &writer) { $0.stamp(utc: now) }
    }

    /// What was asked for is refused.
    ///
    /// - Parameter id: the task that it was asked for; nil where it was about none.
    public static func writeProblem(_ words: String, about id: TaskID? = nil, at now: WallTime, to writer: inout ByteWriter) {
        write("error", about: id, to: &writer) {
            if let id { $0.member("execution_id", id) } else { $0.member("execution_id", string: "") }
            $0.member("step_id", string: "")
            $0.member("error", string: words)
            $0.stamp(utc: now)
        }
    }
}

extension JSONObjectWriter {
    mutating func member(_ key: StaticString, _ id: ClientID) {
        member(key) { writer in
            writer.append(UInt8(ascii: "\""))
            id.write(to: &writer)
            writer.append(UInt8(ascii: "\""))
        }
    }

    /// A member that is called as the task is.
    fileprivate mutating func member(named id: TaskID, bool: Bool) {
        if let name = id.name {
            member(named: name.span) { $0.append(bool ? "true" : "false") }
            return
        }
        var text = ByteWriter(capacity: 36)
        id.write(to: &text)
        member(named: text.span) { $0.append(bool ? "true" : "false") }
    }
}

extension ByteWriter {
    /// Appends the task's name as a JSON string.
    fileprivate mutating func text(of id: TaskID) {
        if let name = id.name {
            jsonString(name.span)
        } else {
            append(UInt8(ascii: "\""))
            id.write(to: &self)
            append(UInt8(ascii: "\""))
        }
    }
}
