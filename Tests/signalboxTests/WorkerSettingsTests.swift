// WorkerSettingsTests: the command line of `signalbox worker`, and where it leads.
import Base
import Testing

@testable import signalbox

struct WorkerSettingsTests {
    private func read(_ words: String..., environment: [String: String] = [:]) throws(Mistake) -> WorkerSettings {
        try WorkerSettings(words[...], environment: { environment[$0] })
    }

    @Test("everything, in both ways of writing an option; what stands behind -- is the command's")
    func everything() throws {
        let settings = try read(
            "--url", "ws://[::1]:9000/ws?token=x", "--group=a b", "--concurrency", "4", "--models=m1,m2", "--token", "t", "--grace-ms", "5",
            "--",
            "sh", "-c", "--url")
        #expect(settings.server.authority == "[::1]:9000" && settings.server.path == "/ws" && settings.server.query == "token=x")
        #expect(settings.group == "a b" && settings.concurrency == 4 && settings.models == ["m1", "m2"] && settings.token == "t")
        #expect(settings.grace == .milliseconds(5) && settings.command == ["sh", "-c", "--url"])
        #expect(settings.target(resuming: nil) == "/ws?token=x&group=a%20b&ready=explicit")
        #expect(settings.target(resuming: "W1-ä") == "/ws?token=x&group=a%20b&ready=explicit&worker_id=W1-%C3%A4")
    }

    @Test("what is left out stands in the environment, or is the standard")
    func defaults() throws {
        let plain = try read("--", "cat")
        #expect(plain.server.authority == "127.0.0.1:8000" && plain.target(resuming: nil) == "/ws?group=default&ready=explicit")
        let named = try read("--", "cat", environment: ["SIGNALBOX_URL": "ws://host", "WORKER_GROUP": "g", "SIGNALBOX_TOKEN": "t"])
        #expect(named.server.authority == "host:80" && named.group == "g" && named.token == "t")
        #expect(named.target(resuming: nil) == "/ws?group=g&ready=explicit")
    }

    @Test("what is for TLS goes with wss alone where it is an option, and a certificate with its key")
    func secure() throws {
        let given = try read("--url", "wss://host/ws", "--ca", "a.pem", "--cert", "c.pem", "--key", "c.key", "--", "cat")
        #expect(given.server.isSecure && given.authorities == "a.pem" && given.certificate == "c.pem" && given.key == "c.key")
        let plain = try read("--", "cat", environment: ["SIGNALBOX_CA": "a.pem"])
        #expect(try plain.trust() == nil)
        let useless = #expect(throws: Mistake.self) { try read("--url", "ws://host", "--ca", "a.pem", "--", "cat") }
        #expect(useless?.sentence == "--ca is for TLS, and 'ws://host' has none; wanted is wss://")
        let half = #expect(throws: Mistake.self) { try read("--url", "wss://host", "--cert", "c.pem", "--", "cat") }
        #expect(half?.sentence == "--cert and --key go together")
    }
}
