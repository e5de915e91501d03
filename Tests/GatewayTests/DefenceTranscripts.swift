// Goal: what the server must withstand and what no one source file answers for: rules that hold on every surface, for every kind of socket.
// Tests/README.md says which line of the rules each of these shows.
import Base
import Dialects
import Domain
import Synchronization
import TestSupport
import Testing
import WebSockets

@testable import Gateway

@Suite("Defences")
struct DefenceTranscripts {
    private static let handshake =
        "[Upgrade: websocket] [Connection: Upgrade] [Sec-WebSocket-Version: 13] "
        + "[Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]"
    private static let greeting = #"{"type":"connected",…"#

    // MARK: Sockets

    @Test("SECURITY 16: a pong goes before what was held back from a slow reader, and a close frame as well", arguments: Chunking.all)
    func pongs(_ chunking: Chunking) throws {
        var settings = try Tokens.settings(.off)
        settings.limits.conflatedBytesMin = 300
        settings.limits.burstBytesMax = 300
        Stage.play(chunking, settings, """
            w upgrades /ws
            w < \(Self.greeting)
            w > {"type":"ready"}
            a > POST /api/openai {"data":{},"async":true}
            a < 200 {"taskId":"$task","status":"executing"}
            w < {"type":"task",…
            g upgrades /api/gpu/tasks/$task/ws
            g < {"type":"connection_established",…
            g < {"type":"current_status",…
            g stalls
            w > {"type":"task_logs","taskId":"$task","logs":"@400"}
            w > {"type":"task_logs","taskId":"$task","logs":"held back"}
            g sends ping still there?
            g reads
            g < {"type":"task_logs",…
            g < pong still there?
            g < {"type":"task_logs",…
            g stalls
            w > {"type":"task_logs","taskId":"$task","logs":"@400"}
            w > {"type":"task_logs","taskId":"$task","logs":"held back"}
            g sends close 1000
            g reads
            g < {"type":"task_logs",…
            g < close 1000
            g < closed
            """)
    }

    @Test("SECURITY 18: no compression is agreed on where the operator did not ask for it", arguments: Chunking.all)
    func noCompression(_ chunking: Chunking) throws {
        func extensions(_ settings: Settings) throws -> String? {
            let stage = Stage(chunking, settings)
            let offer = "GET /echo \(Self.handshake) [Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits]"
            stage.network.send(Stage.request(offer).bytes, on: stage.link("a"), chunking)
            var seen = stage.take("a")
            let reply = try Wire.reply(&seen, isHead: false)
            #expect(reply?.status == 101)
            stage.end()
            return reply?.field("Sec-WebSocket-Extensions")
        }
        #expect(try extensions(Settings(echoPath: SharedBytes("/echo"))) == nil)
        #expect(try extensions(Settings(echoPath: SharedBytes("/echo"), deflate: .init())) != nil)
    }

    @Test(
        "SECURITY 28: a socket of every kind ends with its token, the clocks' leeway included",
        arguments: [
            ("/ws", Role.worker), ("/api/task/ws/producer", .publisher), ("/api/task/ws/task/alice", .user), ("/api/v1/ws", .user),
            ("/api/gpu/tasks/t/ws", .user), ("/echo", .admin),
        ])
    func expiry(_ path: String, _ role: Role) throws {
        var settings = try Tokens.settings(.all)
        settings.echoPath = SharedBytes("/echo")
        let stage = Stage(.whole, settings)
        stage.play("""
            p > POST /api/task/register [Authorization: Bearer \(try Tokens.token("p", .publisher))] {"task_id":"t","user_id":"alice"}
            p < 200 {"success":true,"data":{"task_id":"t","seq":1}}
            s upgrades \(path)?token=\(try Tokens.token("alice", role, seconds: -20))
            """)
        _ = stage.take("s")
        stage.play("""
            * wait 9s
            s < nothing
            * wait 1s
            s < close 4003 authentication failed
            s sends close 4003
            s < closed
            """)
        stage.end()
    }

    // MARK: Who speaks

    @Test("SECURITY 27: nobody is whom a header says that he is", arguments: Chunking.all)
    func headers(_ chunking: Chunking) throws {
        let claims = [
            "X-User-Id: alice", "X-Forwarded-User: alice", "X-Remote-User: alice", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: ::1",
            "Forwarded: for=127.0.0.1;by=alice", "X-Role: admin", "X-Centrifugo-User: alice", "Cookie: user=alice; token=x",
        ]
        for claim in claims {
            Stage.play(chunking, try Tokens.settings(.all), """
                p > POST /api/task/register [Authorization: Bearer \(try Tokens.token("p", .publisher))] {"task_id":"t","user_id":"alice"}
                p < 200 {"success":true,"data":{"task_id":"t","seq":1}}
                a > GET /api/gpu/tasks/t [\(claim)]
                a < 401 {"error":"A bearer token is needed"}
                a > GET /metrics [\(claim)]
                a < 401 {"error":"A bearer token is needed"}
                b > GET /api/gpu/tasks/t [\(claim)] [Authorization: Bearer \(try Tokens.token("bob"))]
                b < 404 {"error":"Task not found or expired"}
                b > GET /metrics [\(claim)] [Authorization: Bearer \(try Tokens.token("bob"))]
                b < 403 {"error":"This needs a token of role admin"}
                """)
        }
    }

    /// Every request about one task, and the name that is to be put in.
    private static let questions = [
        "GET /api/task/NAME", "POST /api/task/NAME/cancel", "GET /api/gpu/tasks/NAME", "POST /api/gpu/tasks/NAME/cancel",
        "GET /api/gpu/tasks/NAME/connections", "GET /api/tasks/NAME/events", "GET /api/tasks/NAME/events?last_seq=x",
        "GET /api/gpu/tasks/NAME/ws \(handshake)", "GET /api/gpu/tasks/NAME/ws?last_seq=x \(handshake)",
        "GET /api/task/task/NAME/status", "DELETE /api/task/task/NAME", "GET /api/v1/progress/NAME", "GET /api/v1/progress/NAME/history",
        "GET /api/v1/progress/NAME/history?limit=x", "GET /api/v1/progress/NAME/history/db", "DELETE /api/v1/progress/NAME/history",
        "GET /api/dead-letters/NAME", "DELETE /api/dead-letters/NAME", "POST /api/dead-letters/NAME/replay",
    ]

    @Test("SECURITY 29: what is somebody else's is answered byte for byte like what is not there", arguments: questions)
    func strangers(_ question: String) throws {
        let stage = Stage(.whole, try Tokens.settings(.all))
        // One task runs, and a failed one has left a letter.
        stage.play("""
            w upgrades /ws?token=\(try Tokens.token("w", .worker))
            w < \(Self.greeting)
            w > {"type":"ready"}
            a > POST /api/openai?token=\(try Tokens.token("alice")) {"data":{},"async":true}
            w < {"type":"task","taskId":"$letter","payload":{"model":"default","data":{}}}
            a < 200 {"taskId":"$letter","status":"executing"}
            w > {"type":"task_error","taskId":"$letter"}
            w < {"type":"task_ack","taskId":"$letter"}
            a > POST /api/openai?token=\(try Tokens.token("alice")) {"data":{},"async":true}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{}}}
            a < 200 {"taskId":"$task","status":"executing"}
            """)
        func answer(_ name: String, _ user: String) throws -> [UInt8] {
            let text = question.replacing("NAME", with: name)
            let target = text.split(separator: " ")[1]
            let token = try Tokens.token(user)
            let link = stage.network.open()
            stage.network.send(
                Stage.request(text.replacing(target, with: "\(target)\(target.contains("?") ? "&" : "?")token=\(token)")).bytes, on: link)
            defer { stage.network.leave(link) }
            return link.takeOutput()
        }
        for name in ["$letter", "$task"] {
            let name = stage.bindings.fill(name)
            let absent = String(name.reversed())
            let (theirs, none) = (try answer(name, "mallory"), try answer(absent, "mallory"))
            #expect(!none.isEmpty && theirs == none, "\(String(decoding: theirs, as: UTF8.self))")
        }
        stage.play("w leaves")
        stage.end()
    }

    // MARK: The log

    private final class Lines: Sendable {
        let text = Mutex("")
    }

    @Test("SECURITY 33: no payload, result, key or token stands in the log, however much of it is asked for")
    func log() throws {
        let lines = Lines()
        let network = FakeNetwork(try Tokens.settings(.users)) { line in
            let text = line.seal().description
            lines.text.withLock { $0 += text }
        }
        func ask(_ text: String) {
            let link = network.open()
            network.send(Stage.request(text).bytes, on: link)
            network.leave(link)
        }
        func socket(_ path: String, _ messages: [String]) {
            let link = network.open()
            network.send(Stage.request("GET \(path) \(Self.handshake)").bytes, on: link)
            for message in messages { network.send(Wire.frame(1, Array(message.utf8)), on: link) }
            network.leave(link)
        }
        let token = try Tokens.token("alice")
        let worker = network.open()
        network.send(Stage.request("GET /ws?group=g&x=hush \(Self.handshake)").bytes, on: worker)
        network.send(Wire.frame(1, Array(#"{"type":"ready"}"#.utf8)), on: worker)
        ask(#"POST /api/openai?token=\#(token) [Idempotency-Key: hush] {"data":{"x":"hush"},"group":"g","async":true}"#)
        ask(#"POST /api/openai?token=\#(token) {"data":{"x":"hush"},"group":"g","async":1}"#)
        ask(#"POST /api/openai {"data":{"x":"hush""#)
        for message in [#"{"type":"hush"}"#, #"{"hush":"#, #"{"type":"task_complete","taskId":"hush","result":"hush"}"#] {
            network.send(Wire.frame(1, Array(message.utf8)), on: worker)
        }
        network.send(Wire.frame(1, Array("hush".utf8), isMasked: false), on: worker)
        socket("/api/v1/ws?token=\(token)", [#"{"type":"hush"}"#, #"{"type":"subscribe","task_id":"hush"}"#, "hush"])
        socket("/api/task/ws/task/alice?token=\(token)hush", ["hush"])
        socket("/api/task/ws/task/alice?token=\(token)", [#"{"type":"refresh","token":"\#(token)hush"}"#, "hush"])
        socket("/socket.io/?EIO=4&transport=websocket&token=\(token)", [#"40{"token":"\#(token)"}"#, #"42["hush","hush"]"#, "hush"])
        network.server.recordsFailed([], reason: "the disk is full", at: network.now)
        let text = lines.text.withLock { $0 }
        // The log is at work.
        for event in ["worker connected", "task assigned", "request refused", "session ended", "not stored"] {
            #expect(text.contains(event))
        }
        #expect(!text.contains("hush"), "\(text)")
        for part in token.split(separator: ".") { #expect(!text.contains(part), "\(text)") }
        network.checkEnd()
    }
}
