// Route+PagesTests: which requests the dashboard's log has, and which sockets tell a page by closing why it is not let in.
import Base
import HTTP1
import Testing

@testable import Gateway

@Suite("Routes and web pages")
struct RoutePagesTests {
    private func route(_ method: String, _ target: String) throws -> Route {
        let bytes = Array("\(method) \(target) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        var exchange = ServerExchange()
        var head = RequestHead()
        var position = 0
        try #require(try exchange.next(bytes.span, &position, head: &head, limits: HTTPLimits()) == .head)
        var scratch = ByteWriter()
        return Routes.find(head, bytes.span, echoPath: SharedBytes("/echo"), scratch: &scratch)
    }

    @Test(
        "what goes on and on by itself is not noted",
        arguments: [
            "/metrics", "/healthz", "/readyz", "/dashboard", "/pages/house.js", "/openapi.json", "/api/dashboard/ws", "/socket.io/",
        ])
    func unnoted(_ target: String) throws {
        #expect(try !route("GET", target).isNoted)
    }

    @Test(
        "what somebody asks is",
        arguments: [
            ("POST", "/api/openai"), ("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/api/task/t"),
            ("POST", "/api/task/t/cancel"), ("GET", "/api/dead-letters"), ("GET", "/ws"), ("GET", "/api/gpu/tasks/t/ws"),
            ("GET", "/api/v1/ws"), ("GET", "/api/tasks/t/events"), ("POST", "/api/fleet/W1-00000000/drain"), ("GET", "/nowhere"),
            ("POST", "/healthz"), ("OPTIONS", "/api/openai"), ("GET", "/api/task/%0a"),
        ])
    func noted(_ method: String, _ target: String) throws {
        #expect(try route(method, target).isNoted)
    }

    @Test(
        "sockets for pages",
        arguments: [
            ("/api/gpu/tasks/t/ws", true), ("/api/task/ws/task/1", true), ("/api/v1/ws", true), ("/api/dashboard/ws", true),
            ("/ws", false), ("/api/task/ws/producer", false), ("/echo", false), ("/api/fleet", false),
        ])
    func pageSockets(_ target: String, _ isPageSocket: Bool) throws {
        #expect(try route("GET", target).isPageSocket == isPageSocket)
    }
}
