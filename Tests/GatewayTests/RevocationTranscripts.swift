// Goal: a token that was revoked opens nothing any more, and whatever it opened is closed; no other token notices. It stays so until it is
// forgotten.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Revoked tokens")
struct RevocationTranscripts {
    private static let revoked = #"401 [WWW-Authenticate: Bearer error="invalid_token"] {"error":"The token was revoked"}"#

    /// What is answered when `user` is revoked at the beginning.
    private static func done(_ user: String, closed: Int = 0, before: Int = 1_700_000_000, by: String = "\"root\"") -> String {
        #"200 {"user_id":"\#(user)","before":\#(before),"revoked_at":1700000000,"revoked_by":\#(by),"closed":\#(closed)}"#
    }

    private static func metrics(of stage: Stage, _ query: String = "") -> String {
        stage.network.send(Stage.request("GET /metrics\(query)").bytes, on: stage.link("metrics"))
        return String(decoding: stage.take("metrics"), as: UTF8.self)
    }

    // MARK: Over HTTP

    @Test("tokens up to a second are refused, later ones taken; forgotten, all of them are", arguments: Chunking.all)
    func life(_ chunking: Chunking) throws {
        let root = try Tokens.token("root", .admin)
        let (old, mute) = (try Tokens.token("alice", issued: 0.999), try Tokens.token("alice"))
        let (new, other) = (try Tokens.token("alice", issued: 1), try Tokens.token("bob", issued: -9))
        let absent = #"404 {"error":"Task not found or expired"}"#
        Stage.play(chunking, try Tokens.settings(), """
            a > GET /api/gpu/tasks/t?token=\(old)
            a < \(absent)
            r > POST /api/revocations?token=\(root) {"user_id":"alice"}
            r < \(Self.done("alice"))
            a > GET /api/gpu/tasks/t?token=\(old)
            a < \(Self.revoked)
            a > GET /api/gpu/tasks/t?token=\(mute)
            a < \(Self.revoked)
            a > GET /api/task/tasks?token=\(mute)
            a < 401 {"success":false,"error":"The token was revoked"}
            a > GET /api/gpu/tasks/t?token=\(new)
            a < \(absent)
            a > GET /api/gpu/tasks/t?token=\(other)
            a < \(absent)
            # Where nobody is asked, it counts for nothing, as any that is not good.
            a > GET /api/task/t?token=\(old)
            a < \(absent)
            r > POST /api/revocations?token=\(root) {"user_id":"bob","before":1699999990}
            r < \(Self.done("bob", before: 1_699_999_990))
            a > GET /api/gpu/tasks/t?token=\(other)
            a < \(absent)
            r > GET /api/revocations?token=\(root)&limit=1
            r < 200 {"revocations":[{"user_id":"bob","before":1699999990,"revoked_at":1700000000,"revoked_by":"root"}],"count":1,\
            "next_cursor":"2"}
            r > GET /api/revocations?token=\(root)&cursor=2
            r < 200 {"revocations":[{"user_id":"alice","before":1700000000,"revoked_at":1700000000,"revoked_by":"root"}],"count":1,\
            "next_cursor":null}
            r > DELETE /api/revocations/alice?token=\(root)
            r < 200 {"user_id":"alice","removed":true}
            a > GET /api/gpu/tasks/t?token=\(mute)
            a < \(absent)
            r > DELETE /api/revocations/alice?token=\(root)
            r < 404 {"error":"Revocation not found"}
            r > DELETE /api/revocations/%0a?token=\(root)
            r < 404 {"error":"Revocation not found"}
            r > GET /api/revocations?token=\(root)&cursor=x
            r < 400 {"error":"Invalid request: cursor must be the next_cursor of an earlier answer"}
            r > POST /api/revocations?token=\(root) {"user_id":"alice","before":1700000061}
            r < 400 {"error":"Invalid request: before must be a whole number of seconds since 1970, and not in the future"}
            r > POST /api/revocations?token=\(root) [Content-Type: text/plain] {"user_id":"alice"}
            r < 415 {"error":"Content-Type must be application/json"}
            """)
    }

    @Test("only an admin revokes, reads and forgets; only a web page of ours may ask", arguments: Role.allCases)
    func roles(_ role: Role) throws {
        let token = try Tokens.token("u", role)
        let stage = Stage(.whole, try Tokens.settings())
        for (request, answer) in [
            (#"POST /api/revocations?token=TOKEN {"user_id":"v"}"#, Self.done("v", by: "\"u\"")),
            ("GET /api/revocations?cursor=1&token=TOKEN", #"200 {"revocations":[],"count":0,"next_cursor":null}"#),
            ("DELETE /api/revocations/v?token=TOKEN", #"200 {"user_id":"v","removed":true}"#),
        ] {
            let (named, bare) = (request.replacing("TOKEN", with: token), request.replacing("TOKEN", with: ""))
            let expected = role == .admin ? answer : #"403 {"error":"This needs a token of role admin"}"#
            stage.play("b > \(bare)\nb < 401 {\"error\":\"A bearer token is needed\"}\na > \(named)\na < \(expected)")
        }
        stage.play("""
            p > POST /api/logout?token=\(token) [Origin: https://evil.example]
            p < 403 {"error":"Origin not allowed"}
            """)
        stage.end()
    }

    @Test("who logs out is done with all tokens up to now, also with one whose issuer's clock is ahead", arguments: Chunking.all)
    func logout(_ chunking: Chunking) throws {
        let own = try Tokens.token("alice", issued: 20)
        Stage.play(chunking, try Tokens.settings(), """
            a > POST /api/logout
            a < 401 {"error":"A bearer token is needed"}
            u upgrades /api/task/ws/task/alice?token=\(try Tokens.token("alice"))
            u < {"type":"connected",…
            u < {"type":"active_tasks",…
            v upgrades /api/task/ws/task/alice?token=\(try Tokens.token("alice", issued: 21))
            v < {"type":"connected",…
            v < {"type":"active_tasks",…
            a > POST /api/logout [Authorization: Bearer \(own)]
            u < close 4003 token was revoked
            a < \(Self.done("alice", closed: 1, before: 1_700_000_020, by: "\"alice\""))
            a > POST /api/logout [Authorization: Bearer \(own)]
            a < \(Self.revoked)
            v < nothing
            """)
        Stage.play(chunking, try Tokens.settings(.off), """
            a > POST /api/logout [Authorization: Bearer \(own)]
            a < 400 {"error":"Nobody is logged in where no token is asked for"}
            a > POST /api/revocations {"user_id":7}
            a < \(Self.done("7", by: "null"))
            """)
    }

    @Test("it holds at once, and is answered once it is written down; a disk that refuses it gets it again", arguments: Chunking.all)
    func written(_ chunking: Chunking) throws {
        let (root, alice) = (try Tokens.token("root", .admin), try Tokens.token("alice"))
        var settings = try Tokens.settings()
        settings.limits.unwrittenBytesMax = 0
        settings.limits.revocationsMax = 1
        Stage.play(chunking, settings, """
            * hold disk
            r > POST /api/revocations?token=\(root) {"user_id":"alice"}
            r < nothing
            a > GET /api/gpu/tasks/t?token=\(alice)
            a < \(Self.revoked)
            * commit
            r < \(Self.done("alice"))
            r > POST /api/revocations?token=\(root) {"user_id":"bob"}
            r < 503 {"error":"Too many users have revoked tokens: forget some"}
            * break disk
            r > DELETE /api/revocations/alice?token=\(root)
            r < nothing
            s > POST /api/revocations?token=\(root) {"user_id":"alice"}
            s < 503 {"error":"Revocation could not be stored"}
            s > DELETE /api/revocations/alice?token=\(root)
            s < 503 {"error":"Revocation could not be stored"}
            * mend disk
            * wait 1s
            r < 200 {"user_id":"alice","removed":true}
            """)
    }

    @Test("a request whose token is revoked while its content comes is refused", arguments: [10, 100_000])
    func late(_ length: Int) throws {
        let content = #"{"task_id":"t","user_id":"alice","task_type":"\#(String(repeating: "x", count: length))"}"#
        Stage.play(.whole, try Tokens.settings(), """
            p >> POST /api/task/register HTTP/1.1\\r\\nHost: signalbox.test\\r\\nContent-Length: \(content.utf8.count)\\r\\n\
            Authorization: Bearer \(try Tokens.token("p", .publisher))\\r\\n\\r\\n{
            r > POST /api/revocations?token=\(try Tokens.token("root", .admin)) {"user_id":"p"}
            r < \(Self.done("p"))
            p >> \(content.dropFirst())
            p < 401 {"success":false,"error":"The token was revoked"}
            """)
    }

    @Test("what the process before was told counts on")
    func restored() throws {
        let stage = Stage(.whole, try Tokens.settings())
        stage.network.server.restore(revocations: [
            Revocation(
                number: 9, user: SharedBytes("alice"), before: 1_699_999_999, revokedAt: WallTime(milliseconds: 0), revokedBy: nil)
        ])
        stage.play("""
            a > GET /api/gpu/tasks/t?token=\(try Tokens.token("alice", issued: -1))
            a < \(Self.revoked)
            a > GET /api/gpu/tasks/t?token=\(try Tokens.token("alice", issued: 0))
            a < 404 {"error":"Task not found or expired"}
            r > GET /api/revocations?token=\(try Tokens.token("root", .admin))
            r < 200 {"revocations":[{"user_id":"alice","before":1699999999,"revoked_at":0,"revoked_by":null}],"count":1,"next_cursor":null}
            """)
        let page = Self.metrics(of: stage)
        #expect(page.contains("\nsignalbox_revocations 1\n") && page.contains("\nsignalbox_revoked_tokens_refused_total 1\n"))
        stage.end()
    }

    // MARK: What is open

    private static let sockets = [
        ("/ws", Role.worker), ("/api/task/ws/producer", .publisher), ("/api/task/ws/task/alice", .user), ("/api/v1/ws", .user),
        ("/api/gpu/tasks/t/ws", .user), ("/echo", .admin),
    ]

    /// A server that asks everybody, with a task of alice's.
    private static func stage(_ chunking: Chunking = .whole) throws -> Stage {
        var settings = try Tokens.settings(.all)
        settings.echoPath = SharedBytes("/echo")
        let stage = Stage(chunking, settings)
        stage.play("""
            p > POST /api/task/register [Authorization: Bearer \(try Tokens.token("p", .publisher))] {"task_id":"t","user_id":"alice"}
            p < 200 {"success":true,"data":{"task_id":"t","seq":1}}
            """)
        return stage
    }

    @Test("SECURITY 28: a socket of every kind is closed when its token is revoked; one of a later token is not", arguments: sockets)
    func everySocket(_ path: String, _ role: Role) throws {
        let stage = try Self.stage()
        let root = try Tokens.token("root", .admin, issued: 0)
        stage.play("""
            s upgrades \(path)?token=\(try Tokens.token("alice", role, issued: 0))
            n upgrades \(path)?token=\(try Tokens.token("alice", role, issued: 1))
            """)
        for peer in ["s", "n"] { _ = stage.take(peer) }
        stage.play("""
            r > POST /api/revocations?token=\(root) {"user_id":"alice"}
            s < close 4003 token was revoked
            s sends close 4003
            s < closed
            r < \(Self.done("alice", closed: 1))
            n < nothing
            n leaves
            """)
        #expect(Self.metrics(of: stage, "?token=\(root)").contains("\nsignalbox_revoked_connections_total 1\n"))
        stage.end()
    }

    @Test("a page whose token was revoked reads why in the close frame", arguments: sockets)
    func refusedSocket(_ path: String, _ role: Role) throws {
        let stage = try Self.stage()
        let token = try Tokens.token("alice", role)
        stage.play("""
            r > POST /api/revocations?token=\(try Tokens.token("root", .admin)) {"user_id":"alice"}
            r < \(Self.done("alice"))
            """)
        switch path {
        case "/ws", "/echo":
            stage.play("s > GET \(path)?token=\(token) \(SocketPeer.upgrade)\ns < \(Self.revoked)")
        case "/api/task/ws/producer":
            stage.play("""
                s > GET \(path)?token=\(token) \(SocketPeer.upgrade)
                s < 401 {"success":false,"error":"The token was revoked"}
                """)
        default:
            stage.play("s upgrades \(path)?token=\(token)\ns < close 4003 token was revoked\ns sends close 4003\ns < closed")
        }
        stage.end()
    }

    @Test("the tasks of a worker go the way of a vanished worker's", arguments: Chunking.all)
    func worker(_ chunking: Chunking) throws {
        let client = "[Authorization: Bearer \(try Tokens.token("bob"))]"
        Stage.play(chunking, try Tokens.settings(.all), """
            w upgrades /ws?token=\(try Tokens.token("rack", .worker))
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready","concurrency":2}
            a > POST /api/openai \(client) {"data":{},"retries":1}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{}}}
            b > POST /api/openai \(client) {"data":{}}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{}}}
            v upgrades /ws?token=\(try Tokens.token("other", .worker))
            v < {"type":"connected","workerId":"$v","message":"Connected to Task Dispatcher"}
            v > {"type":"ready"}
            r > POST /api/revocations?token=\(try Tokens.token("root", .admin)) {"user_id":"rack"}
            w < close 4003 token was revoked
            w < closed
            b < 500 {"taskId":"$two","status":"failed","error":"Worker disconnected"}
            v < {"type":"task","taskId":"$one","payload":{"model":"default","data":{}}}
            r < \(Self.done("rack", closed: 1))
            v > {"type":"task_complete","taskId":"$one","result":1}
            v < {"type":"task_ack","taskId":"$one"}
            a < 200 {"taskId":"$one","status":"completed","result":1}
            """)
    }

    @Test("a stream ends, also one that waited for the journal; what was held back for it does not go out")
    func streams() throws {
        var settings = ReplayerTests.settings()
        settings.authentication = try Tokens.settings().authentication
        settings.limits.conflatedBytesMin = 300
        settings.limits.burstBytesMax = 300
        let stage = Stage(.whole, settings)
        stage.register("a", of: "u")
        let (old, new) = (try Tokens.token("u"), try Tokens.token("u", issued: 1))
        ReplayerTests.steps(1...20, stage)
        for (peer, token) in [("s", old), ("slow", old), ("n", new)] {
            stage.play("""
                \(peer) > GET /api/tasks/a/events?token=\(token)
                \(peer) < 200
                \(peer) < retry: 2000
                \(peer) < id: 21 | event: current_status | data: …
                """)
        }
        stage.play("slow stalls")
        ReplayerTests.steps(21...30, stage)
        #expect(stage.network.server.context.metrics.backlogs > 0)
        for peer in ["s", "n"] { _ = stage.take(peer) }
        stage.play("""
            * hold disk
            j > GET /api/tasks/a/events?token=\(old) [Last-Event-ID: 2]
            j < nothing
            r > POST /api/revocations?token=\(try Tokens.token("root", .admin)) {"user_id":"u"}
            * commit
            r < \(Self.done("u", closed: 2))
            j < \(Self.revoked)
            n < nothing
            slow reads
            """)
        let told = String(decoding: stage.take("slow"), as: UTF8.self)
        #expect(!told.contains("id: 30\n") && told.hasSuffix("\r\n0\r\n\r\n"))
        #expect(String(decoding: stage.take("s"), as: UTF8.self) == "0\r\n\r\n")
        stage.play("slow < closed\ns < closed")
        stage.report("a", .completed(result: SharedBytes("1")))
        _ = stage.take("n")
        stage.end()
    }

    @Test("who waits for a task is told and no longer waits; the worker hears, and who has a later token gets his", arguments: Chunking.all)
    func waiting(_ chunking: Chunking) throws {
        let (old, new) = (try Tokens.token("u", issued: 0), try Tokens.token("u", issued: 1))
        let body = #"{"model":"m1","messages":[]}"#
        let streamed = #"{"model":"m1","messages":[],"stream":true}"#
        let error = #"{"error":{"message":"The token was revoked","type":"authentication_error","param":null,"code":"invalid_api_key"}}"#
        func chat(_ id: String, _ body: String) -> String {
            "{\"type\":\"task\",\"taskId\":\"$\(id)\",\"payload\":{\"model\":\"m1\",\"messages\":[],"
                + "\"endpoint\":\"/v1/chat/completions\",\"request\":\(body)}}"
        }
        Stage.play(chunking, try Tokens.settings(.all), """
            w upgrades /ws?token=\(try Tokens.token("rack", .worker))&ready=explicit
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready","models":["m1"],"concurrency":9}
            a > POST /v1/chat/completions [Authorization: Bearer \(old)] \(body)
            w < \(chat("a", body))
            b > POST /v1/chat/completions [Authorization: Bearer \(old)] \(streamed)
            w < \(chat("b", streamed))
            c > POST /v1/chat/completions [Authorization: Bearer \(old)] \(streamed)
            w < \(chat("c", streamed))
            w > {"type":"task_chunk","taskId":"$c","chunk":1}
            c < 200
            c < data: 1
            d > POST /api/openai [Authorization: Bearer \(old)] {"data":{}}
            w < {"type":"task","taskId":"$d","payload":{"model":"default","data":{}}}
            e > POST /api/openai [Authorization: Bearer \(old)] {"data":{},"async":true}
            e < 200 {"taskId":"$e","status":"executing"}
            w < {"type":"task","taskId":"$e","payload":{"model":"default","data":{}}}
            f > POST /v1/chat/completions [Authorization: Bearer \(new)] \(streamed)
            w < \(chat("f", streamed))
            g > POST /api/openai [Authorization: Bearer \(new)] {"data":{}}
            w < {"type":"task","taskId":"$g","payload":{"model":"default","data":{}}}
            r > POST /api/revocations?token=\(try Tokens.token("root", .admin)) {"user_id":"u"}
            r < \(Self.done("u", closed: 4))
            a < 401 [WWW-Authenticate: Bearer error="invalid_token"] \(error)
            b < 401 [WWW-Authenticate: Bearer error="invalid_token"] \(error)
            c < data: \(error)
            c < end
            c < closed
            d < \(Self.revoked)
            w < {"type":"cancel","taskId":"$a"}
            w < {"type":"cancel","taskId":"$b"}
            w < {"type":"cancel","taskId":"$c"}
            w < {"type":"cancel","taskId":"$d"}
            w < nothing
            w > {"type":"task_chunk","taskId":"$f","chunk":2}
            f < 200
            f < data: 2
            w > {"type":"task_complete","taskId":"$f","result":2}
            w < {"type":"task_ack","taskId":"$f"}
            f < data: [DONE]
            f < end
            w > {"type":"task_complete","taskId":"$g","result":3}
            w < {"type":"task_ack","taskId":"$g"}
            g < 200 {"taskId":"$g","status":"completed","result":3}
            # What was promised is kept.
            w > {"type":"task_complete","taskId":"$e","result":4}
            w < {"type":"task_ack","taskId":"$e"}
            # The connection of who was told goes on.
            a > POST /v1/chat/completions [Authorization: Bearer \(new)] \(body)
            w < \(chat("h", body))
            w > {"type":"task_complete","taskId":"$h","result":5}
            w < {"type":"task_ack","taskId":"$h"}
            a < 200 5
            """)
    }

    @Test("a request whose token is revoked while the pool reads it is refused", arguments: Chunking.all)
    func reviewed(_ chunking: Chunking) throws {
        let old = try Tokens.token("u")
        Stage.play(chunking, try Tokens.settings(.all), """
            w upgrades /ws?token=\(try Tokens.token("rack", .worker))
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            * hold jobs
            a > POST /api/openai [Authorization: Bearer \(old)] {"data":{"x":"\(String(repeating: "x", count: 70_000))"}}
            * jobs 1
            r > POST /api/revocations?token=\(try Tokens.token("root", .admin)) {"user_id":"u"}
            r < \(Self.done("u"))
            * job 0
            a < \(Self.revoked)
            w < nothing
            """)
    }

    @Test("what was held back for a socket does not go out before its close frame")
    func heldBack() throws {
        var settings = try Tokens.settings()
        settings.limits.conflatedBytesMin = 300
        settings.limits.burstBytesMax = 300
        let stage = Stage(.whole, settings)
        stage.register("a", of: "u")
        stage.play("g upgrades /api/gpu/tasks/a/ws?token=\(try Tokens.token("u"))\ng stalls")
        for number in 1...20 { stage.report("a", .log(TaskEvent.Log(logs: SharedBytes("line \(number)")))) }
        #expect(stage.network.server.context.metrics.backlogs > 0)
        stage.play("""
            r > POST /api/revocations?token=\(try Tokens.token("root", .admin)) {"user_id":"u"}
            r < \(Self.done("u", closed: 1))
            g reads
            """)
        let told = String(decoding: stage.take("g"), as: UTF8.self)
        #expect(told.contains("line 1") && !told.contains("line 20") && told.hasSuffix("token was revoked"))
        stage.play("g < closed")
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.end()
    }

    @Test("a client of the hub does not come back as who it was, whether it had gone before or is closed now")
    func parked() throws {
        let stage = Stage(.whole, try Tokens.settings())
        let (old, new) = (try Tokens.token("u", issued: 0), try Tokens.token("u", issued: 1))
        func greet(_ peer: String, _ query: String) -> String { HubTranscripts.greeting(peer, peer, "/api/v1/ws?\(query)") }
        stage.play(greet("gone", "token=\(old)") + greet("there", "token=\(old)") + greet("new", "token=\(new)"))
        // Who needed no token has none that could be revoked.
        stage.play(greet("open", "user_id=u") + "gone leaves\nnew leaves\n" + """
            r > POST /api/revocations?token=\(try Tokens.token("root", .admin)) {"user_id":"u"}
            there < close 4003 token was revoked
            there < closed
            r < \(Self.done("u", closed: 2))
            open < nothing
            """)
        #expect(stage.network.server.hubClients.resumable.count == 1)
        for name in ["gone", "there"] { stage.play(greet("again\(name)", "token=\(new)&old_client_id=$\(name)")) }
        stage.play("""
            c upgrades /api/v1/ws?token=\(new)&old_client_id=$new
            c < {"type":"reconnected",…
            """)
        stage.end()
    }

    @Test("a client of Socket.IO is told, sent away, and does not come back as who it was", arguments: SocketPeer.Way.allCases)
    func socketIO(_ way: SocketPeer.Way) throws {
        let network = FakeNetwork(try Tokens.settings(.all))
        func payload(_ issued: Double, _ pid: String? = nil) throws -> String {
            let more = pid.map { ",\"pid\":\"\($0)\",\"offset\":\"0\"" } ?? ""
            return "{\"token\":\"\(try Tokens.token("u", issued: issued))\"\(more)}"
        }
        let old = try SocketPeer(network, way).connect(try payload(0))
        let new = try SocketPeer(network, way).connect(try payload(1))
        let gone = try SocketPeer(network, .webSocket).connect(try payload(0))
        let stranger = try SocketPeer(network, way, query: "&token=\(try Tokens.token("u", issued: 0))")
        try old.subscribe("activity_stream")
        try gone.cut()
        #expect(network.server.sockets.recovery.count == 1)
        let link = network.open()
        let token = try Tokens.token("root", .admin)
        network.send(Stage.request("POST /api/revocations?token=\(token) {\"user_id\":\"u\"}").bytes, on: link)
        #expect(String(decoding: link.takeOutput(), as: UTF8.self).hasSuffix("\"closed\":2}"))
        network.leave(link)
        for peer in [old, new] { try peer.listen() }
        #expect(old.isOver && old.packets.last == "41")
        #expect(old.events.last?.name == "error" && old.events.last?.argument == #"{"message":"The token was revoked"}"#)
        #expect(!new.isOver && network.server.sockets.recovery.count == 0)
        // One that had shown it in its handshake, and comes in only now.
        try stranger.say("40")
        #expect(stranger.packets == [#"44{"message":"The token was revoked"}"#])
        #expect(try SocketPeer(network, way).connect(try payload(0)).name.isEmpty)
        for peer in [old, gone] {
            let again = try SocketPeer(network, way).connect(try payload(1, peer.pid))
            #expect(!again.name.isEmpty && again.name != peer.name)
        }
        network.checkEnd()
    }

    // MARK: Newer tokens

    @Test("a socket that was given a newer token in time stays; one that is revoked is not taken", arguments: Chunking.all)
    func refreshed(_ chunking: Chunking) throws {
        let stage = try Self.stage(chunking)
        let (old, new) = (try Tokens.token("alice", issued: 0), try Tokens.token("alice", issued: 1))
        stage.play("""
            u upgrades /api/task/ws/task/alice?token=\(old)
            u < {"type":"connected",…
            u < {"type":"active_tasks",…
            u > {"type":"refresh","token":"\(new)"}
            u < {"type":"refreshed",…
            r > POST /api/revocations?token=\(try Tokens.token("root", .admin)) {"user_id":"alice"}
            r < \(Self.done("alice"))
            u > {"type":"refresh","token":"\(old)"}
            u < {"type":"error","error":"Invalid or expired token",…
            """)
        stage.end()
    }
}
