// Goal: each surface asks whom it is said to ask, a token is found wherever a request may carry it, and nobody learns of what is not his.
import Base
import Dialects
import Domain
import Synchronization
import TestSupport
import Testing

@testable import Gateway

@Suite("Authentication")
struct AuthenticationTests {
    private static let secret = SharedBytes("0123456789abcdef0123456789abcdef")
    /// What stock clients send whatever the server is.
    private static let foreign = "sk-proj-0123456789"

    private static func authentication(_ mode: Authentication.Mode) throws -> Authentication {
        var keys = TokenKeys()
        try keys.add(TokenKey(secret: try TokenSecret(secret)))
        return Authentication(mode: mode, keys: keys)
    }

    private static func settings(_ mode: Authentication.Mode) throws -> Settings {
        Settings(echoPath: SharedBytes("/echo"), authentication: try authentication(mode))
    }

    /// A token that ends an hour after the stage's clock began.
    private static func token(
        _ user: String, _ role: Role = .user, tasks: [TaskID] = [], seconds: Int64? = 3_600, secret: SharedBytes = secret
    ) throws -> String {
        let expiry = seconds.map { WallTime(milliseconds: FakeNetwork.wallAtStart + $0 * 1_000) }
        let claims = TokenClaims(subject: SharedBytes(user), role: role, tasks: tasks, expiry: expiry)
        return BearerToken.make(claims, secret: try TokenSecret(secret)).description
    }

    private func taskID(_ name: String) throws -> TaskID {
        let id = TaskID(SharedBytes(name).span)
        return try #require(id)
    }

    private static let handshake =
        "[Upgrade: websocket] [Connection: Upgrade] [Sec-WebSocket-Version: 13] "
        + "[Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]"

    // MARK: The rules

    @Test("what each surface asks for", arguments: Authentication.Mode.allCases)
    func rules(_ mode: Authentication.Mode) throws {
        let expected: [Surface: [Authentication.Mode: Authentication.Demand]] = [
            .dispatch: [.all: .token],
            .letters: [.users: .token, .all: .token],
            .worker: [.all: .worker],
            .task: [.users: .token, .all: .token],
            .user: [.users: .token, .all: .token],
            .hub: [.all: .token],
            .monitor: [.all: .token],
            .registry: [.all: .publisher],
            .producer: [.users: .publisher, .all: .publisher],
            .account: [.users: .token, .all: .token],
            .revocations: [.users: .admin, .all: .admin],
            .operations: [.all: .admin],
            .dashboard: [.users: .admin, .all: .admin],
        ]
        let authentication = try Self.authentication(mode)
        for surface in Surface.allCases {
            #expect(authentication.demand(of: surface) == expected[surface]?[mode] ?? .nothing, "\(surface)")
        }
    }

    @Test("who is admitted where something is asked for, role by role", arguments: Role.allCases)
    func roles(_ role: Role) throws {
        let authentication = try Self.authentication(.all)
        let one = Principal(user: SharedBytes("42"), role: role)
        let closed: [Role: Set<Surface>] = [
            .user: [.worker, .registry, .producer, .revocations, .operations, .dashboard],
            .publisher: [.worker, .revocations, .operations, .dashboard],
            .worker: [.registry, .producer, .revocations, .operations, .dashboard], .admin: [],
        ]
        for surface in Surface.allCases {
            let isClosed = closed[role]?.contains(surface) ?? true
            let expected: Authentication.Admission =
                isClosed ? .refused(.role(authentication.demand(of: surface))) : .admitted(one)
            #expect(authentication.admit(.principal(one), to: surface) == expected, "\(surface)")
            #expect(authentication.admit(.anonymous, to: surface) == .refused(.noToken))
            #expect(authentication.admit(.refused(.expired), to: surface) == .refused(.token(.expired)))
        }
    }

    @Test("an open surface takes whoever comes, by name where the name is good")
    func openSurfaces() throws {
        let users = try Self.authentication(.users)
        let one = Principal(user: SharedBytes("42"))
        #expect(users.admit(.principal(one), to: .dispatch) == .admitted(one))
        #expect(users.admit(.refused(.signature), to: .dispatch) == .admitted(.anonymous))
        #expect(users.admit(.anonymous, to: .worker) == .admitted(.anonymous))
        #expect(users.admit(.principal(one), to: .worker) == .admitted(one), "no role where nobody is asked")
        #expect(users.admit(.anonymous, to: .user) == .refused(.noToken))
        let off = try Self.authentication(.off)
        let token = SharedBytes(try Self.token("42"))
        #expect(off.verify(token.span, at: WallTime(milliseconds: FakeNetwork.wallAtStart)) == .anonymous)
        #expect(users.verify(token.span, at: WallTime(milliseconds: FakeNetwork.wallAtStart)) != .anonymous)
    }

    // MARK: Where the token is

    @Test("a token is found in three places, the first of which counts", arguments: Chunking.all)
    func places(_ chunking: Chunking) throws {
        let good = try Self.token("42")
        let bad = try Self.token("42", secret: SharedBytes("another secret, of the same length as ours"))
        let absent = #"404 {"error":"Task not found or expired"}"#
        let missing = #"401 [WWW-Authenticate: Bearer] {"error":"A bearer token is needed"}"#
        let refused = #"401 [WWW-Authenticate: Bearer error="invalid_token"] {"error":"Invalid or expired token"}"#
        let escaped = good.split(separator: ".").joined(separator: "%2E")
        let cases: [(String, String)] = [
            ("/api/task/x", missing),
            ("/api/task/x [Authorization: Bearer \(good)]", absent),
            ("/api/task/x [Authorization: bEARER   \(good)]", absent),
            ("/api/task/x [Authorization: Bearer]", missing),
            ("/api/task/x [Authorization: Bearer\(good)]", missing),
            ("/api/task/x [Authorization: Basic \(good)]", missing),
            ("/api/task/x [Authorization: Bearer \(good) x]", refused),
            ("/api/task/x [Authorization: Bearer \(bad)]", refused),
            ("/api/task/x [Authorization: Bearer \(Self.foreign)]", refused),
            ("/api/task/x?token=\(good)", absent),
            ("/api/task/x?a=b&token=\(escaped)&token=\(bad)", absent),
            ("/api/task/x?token=\(bad)", refused),
            ("/api/task/x?token=", missing),
            ("/api/task/x?Token=\(good)", missing),
            ("/api/task/x?%zz=1&token=\(good)", missing),
            ("/api/task/x [Sec-WebSocket-Protocol: bearer, \(good)]", absent),
            ("/api/task/x [Sec-WebSocket-Protocol: v1 , bearer,\(good),v2]", absent),
            ("/api/task/x [Sec-WebSocket-Protocol: bearer] [Sec-WebSocket-Protocol: \(good)]", absent),
            ("/api/task/x [Sec-WebSocket-Protocol: \(good), bearer]", missing),
            ("/api/task/x [Sec-WebSocket-Protocol: \(good)]", missing),
            ("/api/task/x [Sec-WebSocket-Protocol: bearer, \(bad)]", refused),
            ("/api/task/x [Sec-WebSocket-Protocol: (, bearer, \(good)]", missing),
            // The first place counts, were there better ones behind it.
            ("/api/task/x?token=\(good) [Authorization: Bearer \(bad)]", refused),
            ("/api/task/x?token=\(bad) [Authorization: Bearer \(good)]", absent),
            ("/api/task/x?token=\(good) [Authorization: Basic x]", absent),
            ("/api/task/x?token=\(bad) [Sec-WebSocket-Protocol: bearer, \(good)]", refused),
            ("/api/task/%01", missing),
            ("/api/task/%01?token=\(good)", absent),
        ]
        let lines = cases.flatMap { ["a > GET \($0.0)", "a < \($0.1)"] }
        Stage.play(chunking, try Self.settings(.all), lines.joined(separator: "\n"))
    }

    @Test("the subprotocol that a page offers is taken, whether its token is asked for, good, or there at all", arguments: Chunking.all)
    func subprotocol(_ chunking: Chunking) throws {
        func answer(_ mode: Authentication.Mode, _ offer: String?) throws -> Reply? {
            let stage = Stage(chunking, try Self.settings(mode))
            let field = offer.map { " [Sec-WebSocket-Protocol: \($0)]" } ?? ""
            stage.network.send(Stage.request("GET /ws \(Self.handshake)\(field)").bytes, on: stage.link("a"), chunking)
            var seen = stage.take("a")
            let reply = try Wire.reply(&seen, isHead: false)
            stage.end()
            return reply
        }
        let good = try Self.token("w", .worker)
        for mode in [Authentication.Mode.off, .users] {
            for offer in ["bearer, \(good)", "bearer, \(Self.foreign)", "v1, bearer", "bearer"] {
                let reply = try answer(mode, offer)
                #expect(reply?.status == 101)
                #expect(reply?.field("Sec-WebSocket-Protocol") == "bearer")
            }
            for offer in [nil, "v1", "Bearer, x", "a/b, c"] {
                let reply = try answer(mode, offer)
                #expect(reply?.status == 101)
                #expect(reply?.field("Sec-WebSocket-Protocol") == nil)
            }
        }
        let reply = try answer(.all, "bearer, \(good)")
        #expect(reply?.status == 101)
        #expect(reply?.field("Sec-WebSocket-Protocol") == "bearer")
        #expect(try answer(.all, "bearer, \(Self.foreign)")?.status == 401)
    }

    // MARK: Surfaces

    @Test("an open surface overlooks what is not ours", arguments: Chunking.all)
    func overlooked(_ chunking: Chunking) throws {
        let ended = try Self.token("42", seconds: -3_600)
        let lines = [Self.foreign, ended, "", "a.b.c"].flatMap { token in
            [
                "a > POST /api/openai [Authorization: Bearer \(token)] {\"data\":{}}", "a < 503 {\"error\":\"No worker available\"}",
                "a > HEAD /metrics?token=\(token)", "a < 200",
            ]
        }
        Stage.play(chunking, try Self.settings(.users), lines.joined(separator: "\n"))
    }

    @Test("with all, every route of D asks; what a balancer asks is answered, and metrics are for admins", arguments: Chunking.all)
    func all(_ chunking: Chunking) throws {
        let (user, admin) = (try Self.token("42"), try Self.token("1", .admin))
        let missing = #"{"error":"A bearer token is needed"}"#
        Stage.play(
            chunking, try Self.settings(.all),
            """
            a > POST /api/openai {"data":{}}
            a < 401 [WWW-Authenticate: Bearer] \(missing)
            a > POST /api/openai [Content-Type: text/plain] {"data":{}}
            a < 401 \(missing)
            a > GET /api/task/x
            a < 401 \(missing)
            a > HEAD /api/task/x
            a < 401 [WWW-Authenticate: Bearer]
            a > POST /api/task/x/cancel
            a < 401 \(missing)
            a > POST /api/gpu/tasks/x/cancel
            a < 401 \(missing)
            a > POST /api/openai [Authorization: Bearer \(user)] {"data":{}}
            a < 503 {"error":"No worker available"}
            a > GET /healthz
            a < 200 {"status":"ok"}
            a > GET /readyz [Authorization: Bearer \(Self.foreign)]
            a < 200 {"status":"ready"}
            a > HEAD /clients/examples/worker-node.js
            a < 200
            a > OPTIONS /api/openai
            a < 204
            a > GET /metrics
            a < 401 \(missing)
            a > GET /metrics [Authorization: Bearer \(user)]
            a < 403 [WWW-Authenticate: Bearer error="insufficient_scope"] {"error":"This needs a token of role admin"}
            a > HEAD /metrics?token=\(admin)
            a < 200
            a > GET /echo \(Self.handshake)
            a < 401 \(missing)
            b upgrades /echo?token=\(admin)
            b > hello
            b < hello
            # A body that was announced is not asked for when its request is refused.
            c >> POST /api/openai HTTP/1.1\\r\\nHost: h\\r\\nExpect: 100-continue\\r\\nContent-Length: 11\\r\\n\\r\\n
            c < 401 [Connection: close] \(missing)
            c < closed
            """)
    }

    @Test("with all, a socket of a worker takes the role; with users it takes nobody's", arguments: Chunking.all)
    func workers(_ chunking: Chunking) throws {
        let (user, worker, admin) = (try Self.token("42"), try Self.token("w", .worker), try Self.token("1", .admin))
        let connected = #"{"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}"#
        Stage.play(
            chunking, try Self.settings(.all),
            """
            a > GET /ws \(Self.handshake)
            a < 401 [WWW-Authenticate: Bearer] {"error":"A bearer token is needed"}
            a > GET /ws \(Self.handshake) [Authorization: Bearer \(user)]
            a < 403 {"error":"This needs a token of role worker"}
            a > GET /ws \(Self.handshake) [Authorization: Bearer \(try Self.token("p", .publisher))]
            a < 403 {"error":"This needs a token of role worker"}
            a > GET /ws \(Self.handshake) [Authorization: Bearer \(Self.foreign)]
            a < 401 {"error":"Invalid or expired token"}
            w upgrades /ws?token=\(worker)
            w < \(connected)
            w > {"type":"ready"}
            v upgrades /ws?group=g [Authorization: Bearer \(admin)]
            v < {"type":"connected","workerId":"$v","message":"Connected to Task Dispatcher"}
            c > POST /api/openai [Authorization: Bearer \(user)] {"data":{}}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{}}}
            w > {"type":"task_complete","taskId":"$task","result":1}
            w < {"type":"task_ack","taskId":"$task"}
            c < 200 {"taskId":"$task","status":"completed","result":1}
            """)
        Stage.play(
            chunking, try Self.settings(.users),
            """
            w upgrades /ws
            w < \(connected)
            v upgrades /ws [Authorization: Bearer \(user)]
            v < {"type":"connected","workerId":"$v","message":"Connected to Task Dispatcher"}
            """)
    }

    @Test("a worker's token that lists groups opens no socket of another group", arguments: Chunking.all)
    func groups(_ chunking: Chunking) throws {
        func token(_ groups: [String]) throws -> String {
            let claims = TokenClaims(subject: SharedBytes("w"), role: .worker, groups: groups.map { SharedBytes($0) })
            return BearerToken.make(claims, secret: try TokenSecret(Self.secret)).description
        }
        let refused = #"403 [WWW-Authenticate: Bearer error="insufficient_scope"] {"error":"The token is for other groups"}"#
        for mode in [Authentication.Mode.users, .all] {
            Stage.play(
                chunking, try Self.settings(mode),
                """
                a > GET /ws?group=image \(Self.handshake) [Authorization: Bearer \(try token(["gpu"]))]
                a < \(refused)
                # Who names no group is of the default one.
                a > GET /ws \(Self.handshake) [Authorization: Bearer \(try token(["gpu"]))]
                a < \(refused)
                a > GET /ws?group=g%70u \(Self.handshake) [Authorization: Bearer \(try token([]))]
                a < \(refused)
                w upgrades /ws?group=g%70u [Authorization: Bearer \(try token(["image", "gpu"]))]
                w < {"type":"connected",…
                v upgrades /ws [Authorization: Bearer \(try token(["default"]))]
                v < {"type":"connected",…
                """)
        }
    }

    @Test("a token ends in the midst of a connection, the clocks' leeway included", arguments: Chunking.all)
    func expiry(_ chunking: Chunking) throws {
        let token = try Self.token("42", seconds: 20)
        Stage.play(
            chunking, try Self.settings(.all),
            """
            * wait 49s
            a > GET /api/task/x?token=\(token)
            a < 404 {"error":"Task not found or expired"}
            * wait 1s
            a > GET /api/task/x?token=\(token)
            a < 401 {"error":"Invalid or expired token"}
            """)
    }

    // MARK: Owners

    @Test("a task of somebody else is not there, for reading or for cancelling", arguments: Chunking.all)
    func owners(_ chunking: Chunking) throws {
        let named = try taskID("nobody")
        let (mine, other) = ("[Authorization: Bearer \(try Self.token("42"))]", "[Authorization: Bearer \(try Self.token("43"))]")
        let admin = "[Authorization: Bearer \(try Self.token("1", .admin))]"
        let stage = Stage(chunking, try Self.settings(.all))
        stage.play(
            """
            w upgrades /ws?ready=explicit&token=\(try Self.token("w", .worker))
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            a > POST /api/openai \(mine) {"data":{},"async":true}
            a < 200 {"taskId":"$task","status":"queued"}
            b > GET /api/task/$task \(other)
            b < 404 {"error":"Task not found or expired"}
            b > POST /api/task/$task/cancel \(other)
            b < 404 {"error":"Task not found or expired"}
            b > POST /api/gpu/tasks/$task/cancel \(other)
            b < 404 {"error":"Task not found or expired"}
            a > GET /api/task/$task \(mine)
            a < 200 {"taskId":"$task","status":"queued","enqueuedAt":1700000000000,"position":1}
            c > GET /api/task/$task \(admin)
            c < 200 {"taskId":"$task","status":"queued","enqueuedAt":1700000000000,"position":1}
            """)
        let task = try taskID(stage.bindings.fill("$task"))
        let guest = "[Authorization: Bearer \(try Self.token("44", tasks: [named, task]))]"
        stage.play(
            """
            d > GET /api/task/$task \(guest)
            d < 200 {"taskId":"$task","status":"queued","enqueuedAt":1700000000000,"position":1}
            d > POST /api/task/$task/cancel \(guest)
            d < 404 {"error":"Task not found or expired"}
            d > GET /api/task/nobody \(guest)
            d < 404 {"error":"Task not found or expired"}
            a > POST /api/task/$task/cancel \(mine)
            a < 200 {"taskId":"$task","status":"cancelled"}
            b > POST /api/task/$task/cancel \(other)
            b < 404 {"error":"Task not found or expired"}
            c > POST /api/task/$task/cancel \(admin)
            c < 409 {"error":"Task already ended","taskId":"$task","status":"cancelled"}
            """)
        stage.end()
    }

    @Test("with users, a task belongs to whom its token named, and one without an owner to everybody", arguments: Chunking.all)
    func ownersWhereNobodyIsAsked(_ chunking: Chunking) throws {
        let (mine, other) = ("[Authorization: Bearer \(try Self.token("42"))]", "[Authorization: Bearer \(try Self.token("43"))]")
        Stage.play(
            chunking, try Self.settings(.users),
            """
            w upgrades /ws?ready=explicit
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            a > POST /api/openai \(mine) {"data":{},"async":true}
            a < 200 {"taskId":"$mine","status":"queued"}
            b > POST /api/openai {"data":{},"async":true}
            b < 200 {"taskId":"$nobodys","status":"queued"}
            b > POST /api/task/$mine/cancel \(other)
            b < 404 {"error":"Task not found or expired"}
            b > POST /api/task/$nobodys/cancel \(other)
            b < 200 {"taskId":"$nobodys","status":"cancelled"}
            # Who says nothing of himself may do nothing with what is somebody's, not even know of it.
            b > POST /api/task/$mine/cancel
            b < 404 {"error":"Task not found or expired"}
            b > GET /api/task/$mine
            b < 404 {"error":"Task not found or expired"}
            a > POST /api/task/$mine/cancel \(mine)
            a < 200 {"taskId":"$mine","status":"cancelled"}
            """)
    }

    @Test("a watcher's newer token has to list the task as well, where that is somebody else's", arguments: Chunking.all)
    func refreshedWatcher(_ chunking: Chunking) throws {
        Stage.play(
            chunking, try Tokens.settings(),
            """
            p > POST /api/task/register [Authorization: Bearer \(try Tokens.token("p", .publisher))] {"task_id":"x","user_id":"bob"}
            p < 200 {"success":true,"data":{"task_id":"x","seq":1}}
            g upgrades /api/gpu/tasks/x/ws [Authorization: Bearer \(try Tokens.token("alice", tasks: ["x"]))]
            g < {"type":"connection_established",…
            g < {"type":"current_status",…
            g > {"type":"refresh","token":"\(try Tokens.token("alice", tasks: ["y", "x"]))"}
            g < {"type":"refreshed",…
            g > {"type":"refresh","token":"\(try Tokens.token("alice"))"}
            g < close 4004 task not found or access denied
            g sends close 4004
            g < closed
            """)
    }

    @Test("an idempotency key belongs to its user, also when the pool reads the body", arguments: Chunking.all)
    func keys(_ chunking: Chunking) throws {
        let (mine, other) = ("[Authorization: Bearer \(try Self.token("42"))]", "[Authorization: Bearer \(try Self.token("43"))]")
        for inlineWorkBytes in [64 << 10, 8] {
            var settings = try Self.settings(.users)
            settings.limits.inlineWorkBytes = inlineWorkBytes
            Stage.play(
                chunking, settings,
                """
                w upgrades /ws?ready=explicit
                w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
                a > POST /api/openai \(mine) [Idempotency-Key: k] {"data":{},"async":true}
                a < 200 {"taskId":"$one","status":"queued"}
                a > POST /api/openai \(mine) {"data":{},"async":true,"idempotencyKey":"k"}
                a < 200 {"taskId":"$one","status":"queued"}
                a > POST /api/openai \(other) [Idempotency-Key: k] {"data":{},"async":true}
                a < 200 {"taskId":"$two","status":"queued"}
                a > POST /api/openai [Idempotency-Key: k] {"data":{},"async":true}
                a < 200 {"taskId":"$three","status":"queued"}
                a > POST /api/openai {"data":{},"async":true,"idempotencyKey":"42\\u001fk"}
                a < 200 {"taskId":"$four","status":"queued"}
                a > GET /api/task/$four
                a < 200 {"taskId":"$four","status":"queued","enqueuedAt":1700000000000,"position":4}
                a > GET /api/task/$two \(mine)
                a < 404 {"error":"Task not found or expired"}
                """)
        }
    }

    @Test("no two users and keys make one remembered key")
    func ownKeys() {
        let users = ["4", "42", "4:2", "é"].map { Principal(user: SharedBytes($0)) } + [.anonymous]
        let keys = ["2k", "k", "\u{1f}k", "42\u{1f}k", "\u{1f}42\u{1f}k", ""].map { SharedBytes($0) }
        let owned = users.flatMap { user in keys.map { user.own($0) } }
        #expect(Set(owned).count == users.count * keys.count)
    }

    // MARK: The log

    private final class Lines: Sendable {
        let text = Mutex("")
    }

    @Test("no token stands in the log; one that never ends is told once")
    func log() throws {
        let lines = Lines()
        let log = Log(level: .debug, format: .text) { line in
            let text = line.seal().description
            lines.text.withLock { $0 += text }
        }
        let outbox = Outbox(arenaBytesRetained: 1 << 16)
        let server = Server(settings: try Self.settings(.all), outbox: outbox, log: log, random: Randomness(seed: 1))
        let now = Instant(nanoseconds: 0)
        server.observe(WallTime(milliseconds: FakeNetwork.wallAtStart), at: now)
        let id = ConnectionID(slot: 0, generation: 1)
        outbox.open(id)
        server.opened(id, from: .v4(0x7f00_0001, port: 4_000), at: now)
        let endless = try Self.token("42", seconds: nil)
        let bad = try Self.token("42", secret: SharedBytes("another secret, of the same length as ours"))
        for target in ["?token=\(endless)", "?token=\(endless)", " [Authorization: Bearer \(endless)]", "?token=\(bad)", ""] {
            var bytes = Stage.request("GET /api/task/x\(target)").bytes
            var span = bytes.mutableSpan
            server.received(id, &span, at: now)
        }
        let text = lines.text.withLock { $0 }
        #expect(text.components(separatedBy: "a token without an end is used").count == 2)
        #expect(text.components(separatedBy: "the token's signature does not match").count == 2)
        #expect(text.components(separatedBy: "there is no token").count == 2)
        for part in [endless, bad].flatMap({ $0.split(separator: ".") }) { #expect(!text.contains(part)) }
        server.closed(id, .peerEnded, at: now)
    }
}
