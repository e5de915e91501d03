// ServerAddressTests: URLs of servers, whatever stands in them.
import Testing

@testable import signalbox

struct ServerAddressTests {
    private func read(_ url: String) throws(Mistake) -> ServerAddress {
        try ServerAddress(url, schemes: ["ws", "wss", "https"], example: "wss://HOST")
    }

    @Test("scheme, host and port, the standard one where none is named, and for whom the certificate has to be", arguments: [
        ("ws://h", false, "h:80", "h"), ("wss://h", true, "h:443", "h"), ("https://h.example.:9/x", true, "h.example.:9", "h.example"),
        ("wss://[::1]:9000/ws", true, "[::1]:9000", "::1"), ("wss://[::1]", true, "[::1]:443", "::1"),
        ("wss://192.0.2.7?x=1", true, "192.0.2.7:443", "192.0.2.7"),
    ])
    func parts(_ url: String, _ isSecure: Bool, _ authority: String, _ name: String) throws {
        let address = try read(url)
        #expect(address.isSecure == isSecure && address.authority == authority && address.certifiedName == name)
    }

    @Test("path and query")
    func target() throws {
        let address = try read("wss://h/a/b?c=d?e")
        #expect(address.path == "/a/b" && address.query == "c=d?e")
        #expect(try read("wss://h").path.isEmpty && read("wss://h?q").query == "q")
    }

    @Test("anything else is no address", arguments: [
        "", "h", "ftp://h", "http://h", "wss://", "wss://:80", "wss://h:0", "wss://h:65536", "wss://h:x", "wss://h/#a", "wss://h /",
    ])
    func refused(_ url: String) {
        #expect(throws: Mistake.self) { try read(url) }
    }
}
