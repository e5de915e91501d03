// MonitorDialect+ClientTests: every subscription that document E has, how it is confirmed, and what a name that it does not have comes to.
import Base
import Domain
import Testing

@testable import Dialects

struct MonitorDialectClientTests {
    /// The word of each subscription, the beginning of its confirmation's sentence, and what it stands for.
    private static let subscriptions: [(word: String, title: String, MonitorSubscription)] = [
        ("system_resources", "System resources", .channel(.systemResources)), ("model_status", "Model status", .channel(.modelStatus)),
        ("activity_stream", "Activity stream", .channel(.activityStream)), ("system_alerts", "System alerts", .channel(.systemAlerts)),
        ("deployment_events", "Deployment events", .channel(.deploymentEvents)), ("all", "All events", .all),
        ("system_monitor", "System monitor", .systemMonitor),
    ]

    private func command(_ name: String) -> MonitorCommand? { MonitorDialect.command(SharedBytes(name).span) }

    @Test("each subscription by its name, and its end", arguments: subscriptions)
    func commands(_ word: String, _ title: String, _ subscription: MonitorSubscription) throws {
        #expect(command("subscribe_\(word)") == .subscribe(subscription))
        #expect(command("unsubscribe_\(word)") == .unsubscribe(subscription))
        #expect(command("subscribe_\(word)s") == nil)
        #expect(command("Subscribe_\(word)") == nil)
        let session = SharedBytes("client_1640995200")
        // The document's example, of another name.
        #expect(
            try text { MonitorDialect.writeSubscribed(subscription, sessionID: session, to: &$0) }
                == #"{"event_type":"\#(word)","message":"\#(title) subscription successful","session_id":"client_1640995200"}"#)
        #expect(
            try text { MonitorDialect.writeUnsubscribed(subscription, sessionID: session, to: &$0) }
                == #"{"event_type":"\#(word)","message":"\#(title) unsubscription successful","session_id":"client_1640995200"}"#)
    }

    @Test("a name that the document does not have asks for nothing", arguments: ["", "subscribe_", "subscribe", "unsubscribe_x", "message"])
    func unknown(_ name: String) { #expect(command(name) == nil) }

    @Test("what a subscription listens to")
    func channels() {
        for channel in Channel.allCases {
            #expect(MonitorSubscription.channel(channel).channels == ChannelSet(channel))
            #expect(MonitorSubscription.all.channels.contains(channel))
        }
        #expect(MonitorSubscription.systemMonitor.channels == .all)
    }

    @Test("a problem repeats the event's name, but not at any length and not in half of a character")
    func problems() throws {
        func problem(_ event: String?) throws -> String {
            let event = event.map { SharedBytes($0) }
            return try text { MonitorDialect.writeProblem("No \"such\" event" as String, event: event?.span, to: &$0) }
        }
        #expect(try problem(nil) == #"{"message":"No \"such\" event"}"#)
        #expect(try problem("a\"b") == #"{"message":"No \"such\" event","event":"a\"b"}"#)
        let long = String(repeating: "x", count: 63)
        #expect(try problem(long + "é") == #"{"message":"No \"such\" event","event":"\#(long)"}"#)
        #expect(try problem(long + "yé") == #"{"message":"No \"such\" event","event":"\#(long)y"}"#)
        #expect(
            try text { MonitorDialect.writeProblem("Unknown event" as StaticString, event: SharedBytes("x").span, to: &$0) }
                == #"{"message":"Unknown event","event":"x"}"#)
    }
}
