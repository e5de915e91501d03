// TargetTests: addresses that lead to this machine, and none that lead off it.

import LoadSupport
import Testing

@Suite struct TargetTests {
    @Test("addresses of this machine")
    func good() {
        #expect(Target("ws://127.0.0.1:9001/echo?a=1")?.path == "/echo?a=1")
        #expect(Target("http://127.0.0.1:9001")?.path == "/")
        #expect(Target("http://127.0.0.1:9001?x=1")?.path == "/?x=1")
        #expect(Target("http://localhost/")?.authority == "127.0.0.1:80")
        #expect(Target("ws://127.3.2.1:65535/")?.authority == "127.3.2.1:65535")
        #expect(Target("http://127.0.0.1:1/")?.scheme == .http)
        #expect(Target("tcp://127.0.0.1:1")?.scheme == .tcp)
    }

    @Test("what speaks TLS", arguments: [("ws", false), ("http", false), ("tcp", false), ("wss", true), ("https", true)])
    func security(_ scheme: String, _ isSecure: Bool) {
        #expect(Target("\(scheme)://127.0.0.1:1/")?.isSecure == isSecure)
    }

    @Test("everything else is refused", arguments: [
        "", "ws:", "127.0.0.1:80", "ftp://127.0.0.1/", "wss://10.0.0.1/",
        "ws://10.0.0.1/", "ws://example.org/", "ws://127.0.0/", "ws://127.0.0.256/",
        "ws://127.0.0.1:0/",
        "ws://127.0.0.1:65536/", "ws://127.0.0.1:/", "ws://127.0.0.1:1:2/", "ws://127.0.0.1/a b", "ws://127.0.0.1/\r\n",
    ])
    func bad(_ text: String) { #expect(Target(text) == nil) }
}
