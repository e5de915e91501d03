// Goal: pages of other sites neither open sockets nor post.
import Base
import TestSupport
import Testing

@testable import Gateway

@Suite("Origin")
struct OriginTests {
    @Test("the own site and the listed ones may speak, nothing that only looks like them", arguments: [
        ("http://localhost:8000", "localhost:8000", true), ("http://LOCALHOST", "localhost", true),
        ("http://127.0.0.1:81", "127.0.0.1:81", true), ("https://192.0.2.7", "192.0.2.7", true), ("http://[::1]:81", "[::1]:81", true),
        ("http://127.0.0.1:81", "127.0.0.1:82", false), ("http://localhost.evil:81", "localhost.evil:81", false),
        // A name that looks like an address at its end, or at its beginning.
        ("http://evil.a1:81", "evil.a1:81", false), ("http://127.0.0.1.evil", "127.0.0.1.evil", false), ("http://.", ".", false),
        // A name of its own may have been made to lead here: only the list says that it is ours.
        ("http://h.test", "h.test", false), ("https://H.TEST:81", "h.test:81", false),
        ("https://app.example", "h.test", true), ("HTTPS://APP.example", "h.test", true),
        ("https://app.example.evil", "h.test", false),
        ("https://app.example:444", "h.test", false), ("http://app.example", "h.test", false),
        ("https://evil.test", "h.test", false), ("null", "h.test", false), ("", "h.test", false), ("h.test", "h.test", false),
        ("ftp://h.test", "h.test", false), ("http://h.test/", "h.test", false), ("http://h.test", "h.test:80", false),
        ("http://", "", false),
    ])
    func table(_ origin: String, _ authority: String, _ isAllowed: Bool) {
        let allowed = [SharedBytes("https://app.example")]
        #expect(Origin.isAllowed(Array(origin.utf8).span, authority: Array(authority.utf8).span, allowed: allowed) == isAllowed)
    }

    @Test("§10.2: a page of another site opens no socket and posts nothing; it may read what is public", arguments: Chunking.all)
    func conversation(_ chunking: Chunking) {
        var settings = Settings(echoPath: SharedBytes("/echo"), origins: [SharedBytes("https://app.example")])
        settings.limits.pingInterval = .seconds(3_600)
        Stage.play(chunking, settings, """
            a > POST /api/openai [Origin: https://evil.test] {"data":{}}
            a < 403 {"error":"Origin not allowed"}
            b > POST /api/openai [Origin: null] {"data":{}}
            b < 403 {"error":"Origin not allowed"}
            a > POST /api/openai [Origin: https://app.example] {"data":{}}
            a < 503 {"error":"No worker available"}
            c > POST /api/openai [Origin: http://signalbox.test] {"data":{}}
            c < 403 {"error":"Origin not allowed"}
            a > POST /api/openai {"data":{}}
            a < 503 {"error":"No worker available"}
            a > GET /healthz [Origin: https://evil.test]
            a < 200 [Access-Control-Allow-Origin: -] {"status":"ok"}
            a > GET /api/tasks/x/events [Origin: https://evil.test]
            a < 403 {"error":"Origin not allowed"}
            a > GET /api/tasks/x/events [Origin: https://app.example]
            a < 404 {"error":"Task not found or expired"}
            a > DELETE /api/dead-letters/x [Origin: https://evil.test]
            a < 403 {"error":"Origin not allowed"}
            a > GET /ws [Origin: https://evil.test] [Upgrade: websocket] [Connection: Upgrade] [Sec-WebSocket-Version: 13] [Sec-We\
            bSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]
            a < 403 {"error":"Origin not allowed"}
            e upgrades /echo [Origin: https://app.example]
            """)
    }

    @Test("a page of a listed origin reads answers, errors and streams among them, and asks beforehand", arguments: Chunking.all)
    func reading(_ chunking: Chunking) {
        var settings = Settings(origins: [SharedBytes("https://app.example")])
        settings.limits.pingInterval = .seconds(3_600)
        let mine = "[Access-Control-Allow-Origin: https://app.example] [Vary: Origin] [Access-Control-Allow-Credentials: -]"
        Stage.play(chunking, settings, """
            a > OPTIONS /api/openai [Origin: https://app.example] [Access-Control-Request-Method: POST]
            a < 204 \(mine) [Access-Control-Allow-Methods: POST, OPTIONS] [Access-Control-Allow-Headers: Authorization, *] [Access-Contr\
            ol-Max-Age: 600]
            a > OPTIONS /api/openai [Origin: https://evil.test] [Access-Control-Request-Method: POST]
            a < 403 [Access-Control-Allow-Origin: -] [Access-Control-Allow-Methods: -] [Vary: Origin] {"error":"Origin not allowed"}
            a > OPTIONS /api/openai
            a < 204 [Access-Control-Allow-Origin: -] [Access-Control-Allow-Methods: -] [Allow: POST, OPTIONS]
            a > POST /api/openai [Origin: https://app.example] {"data":{}}
            a < 503 \(mine) [Access-Control-Expose-Headers: Retry-After, WWW-Authenticate, X-Request-ID] {"error":"No worker available"}
            a > GET /healthz [Origin: https://app.example]
            a < 200 \(mine) {"status":"ok"}
            a > GET /healthz
            a < 200 [Access-Control-Allow-Origin: -] [Vary: Origin] {"status":"ok"}
            a > GET /nowhere [Origin: https://app.example]
            a < 404 \(mine) {"error":"Not found"}
            """)
        Stage.play(chunking, """
            a > GET /healthz [Origin: https://app.example]
            a < 200 [Access-Control-Allow-Origin: -] [Vary: -] {"status":"ok"}
            """)
    }
}
