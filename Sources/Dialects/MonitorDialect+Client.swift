// MonitorDialect+Client: document E's conversation with one watcher of the fleet: what its events ask for, and what it alone is told. The
// events that all get who listen stand in MonitorDialect.swift.
public import Base
public import Domain
internal import JSON

/// What a watcher subscribes to, under the word that its confirmation repeats.
public enum MonitorSubscription: Sendable, Equatable {
    case channel(Channel)
    case all
    /// All, by the word of the document's first version.
    case systemMonitor

    public var channels: ChannelSet {
        switch self {
        case .channel(let channel): ChannelSet(channel)
        case .all, .systemMonitor: .all
        }
    }

    fileprivate var word: StaticString {
        switch self {
        case .channel(let channel): channel.word
        case .all: "all"
        case .systemMonitor: "system_monitor"
        }
    }

    /// The beginning of the sentence that confirms it.
    fileprivate var title: StaticString {
        switch self {
        case .channel(.systemResources): "System resources"
        case .channel(.modelStatus): "Model status"
        case .channel(.activityStream): "Activity stream"
        case .channel(.systemAlerts): "System alerts"
        case .channel(.deploymentEvents): "Deployment events"
        case .all: "All events"
        case .systemMonitor: "System monitor"
        }
    }

    fileprivate static let topics: [MonitorSubscription] = Channel.allCases.map { .channel($0) } + [.all, .systemMonitor]
}

/// What a watcher asks for.
public enum MonitorCommand: Sendable, Equatable {
    case subscribe(MonitorSubscription)
    case unsubscribe(MonitorSubscription)
}

extension MonitorDialect {
    // MARK: From the watcher

    /// What an event of that name asks for, whatever comes with it; nil for a name that the document does not have.
    public static func command(_ name: Span<UInt8>) -> MonitorCommand? {
        if name.hasPrefix("subscribe_") { return subscription(name.extracting(10..<name.count)).map { .subscribe($0) } }
        if name.hasPrefix("unsubscribe_") { return subscription(name.extracting(12..<name.count)).map { .unsubscribe($0) } }
        return nil
    }

    private static func subscription(_ word: Span<UInt8>) -> MonitorSubscription? {
        for subscription in MonitorSubscription.topics where word.equals(subscription.word, at: 0..<word.count) { return subscription }
        return nil
    }

    // MARK: To the watcher

    /// The argument of the event `subscribed`.
    ///
    /// - Parameter session: the watcher's name, `client_…`.
    public static func writeSubscribed(_ topic: MonitorSubscription, sessionID session: SharedBytes, to writer: inout ByteWriter) {
        write(topic, " subscription successful", session, to: &writer)
    }

    /// The argument of the event `unsubscribed`.
    public static func writeUnsubscribed(_ topic: MonitorSubscription, sessionID session: SharedBytes, to writer: inout ByteWriter) {
        write(topic, " unsubscription successful", session, to: &writer)
    }

    private static func write(
        _ topic: MonitorSubscription, _ ending: StaticString, _ session: SharedBytes, to writer: inout ByteWriter
    ) {
        writer.object {
            $0.member("event_type", string: topic.word)
            $0.member("message", sentence: topic.title, ending)
            $0.member("session_id", string: session)
        }
    }

    /// The argument of the event `error`.
    ///
    /// - Parameter event: the name of the event that it answers, as it came; it is repeated, but not at any length. Nil for none.
    public static func writeProblem(_ words: String, event: Span<UInt8>?, to writer: inout ByteWriter) {
        writer.object { object in
            object.member("message", string: words)
            if let event { object.member("event", string: event.extracting(0..<prefix(of: event, bytesMax: 64))) }
        }
    }

    /// As above, of a literal.
    public static func writeProblem(_ words: StaticString, event: Span<UInt8>?, to writer: inout ByteWriter) {
        writer.object { object in
            object.member("message", string: words)
            if let event { object.member("event", string: event.extracting(0..<prefix(of: event, bytesMax: 64))) }
        }
    }

    /// How many bytes of a UTF-8 text are whole characters within that many.
    private static func prefix(of text: Span<UInt8>, bytesMax: Int) -> Int {
        guard text.count > bytesMax else { return text.count }
        var end = bytesMax
        // RFC 3629 §3: 10xxxxxx continues a character.
        while end > 0, text[end] & 0xc0 == 0x80 { end -= 1 }
        return end
    }
}
