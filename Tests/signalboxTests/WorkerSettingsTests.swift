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
        #expect(settings.host == "[::1]" && settings.port == 9000 && settings.path == "/ws" && settings.query == "token=x")
        #expect(settings.group == "a b" && settings.concurrency == 4 && settings.models == ["m1", "m2"] && settings.token == "t")
        #expect(settings.grace == .milliseconds(5) && settings.command == ["sh", "-c", "--url"])
        #expect(settings.target(resuming: nil) == "/ws?token=x&group=a%20b&ready=explicit")
        #expect(settings.target(resuming: "W1-ä") == "/ws?token=x&group=a%20b&ready=explicit&worker_id=W1-%C3%A4")
    }

    @Test("what is left out stands in the environment, or is the standard")
    func defaults() throws {
        let plain = try read("--", "cat")
        #expect(plain.authority == "127.0.0.1:8000" && plain.target(resuming: nil) == "/ws?group=default&ready=explicit")
        let named = try read("--", "cat", environment: ["SIGNALBOX_URL": "ws://host", "WORKER_GROUP": "g", "SIGNALBOX_TOKEN": "t"])
        #expect(named.authority == "host:80" && named.group == "g" && named.token == "t" && named.path == "/ws")
    }
}
