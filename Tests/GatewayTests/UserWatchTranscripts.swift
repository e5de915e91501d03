// Document N played: one socket that watches one user's tasks, whoever runs them, from its greeting to its end.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("The document of one socket per user")
struct UserWatchTranscripts {
    private static let now = "2023-11-14T22:13:20"

    /// A user's socket without tasks.
    private static func greeting(_ peer: String = "u", _ user: String = "1") -> String {
        """
        \(peer) upgrades /api/task/ws/task/\(user)
        \(peer) < {"type":"connected","connection_id":"$connection\(peer)","message":"WebSocket 连接已建立","timestamp":"\(now)"}
        \(peer) < {"type":"active_tasks","tasks":[],"count":0}

        """
    }

    /// A program registers a task.
    private static func register(_ id: String = "interview_123", user: String = "1", members: String = "", sequence: Int = 1) -> String {
        """
        a > POST /api/task/register {"task_id":"\(id)","user_id":\(user)\(members)}
        a < 200 {"success":true,"data":{"task_id":"\(id)","seq":\(sequence)}}

        """
    }

    /// What is said of the task that ``register(_:user:members:sequence:)`` registers.
    private static func status(
        _ status: String, _ progress: String, _ message: String, step: String = "null", more: String = "", _ sequence: Int
    ) -> String {
        Self.status("interview_123", status, progress, message, step: step, more: more, sequence)
    }

    private static func status(
        _ id: String, _ status: String, _ progress: String, _ message: String, step: String = "null", more: String = "",
        _ sequence: Int
    ) -> String {
        """
        {"type":"task_status","task_id":"\(id)","status":"\(status)","progress":\(progress),"message":"\(message)","step":\(step),\
        "timestamp":"\(now)",\(more)"error":null,"seq":\(sequence)}
        """
    }

    // MARK: What a user hears

    @Test("a task that a program reports is told from its registration to its result", arguments: Chunking.all)
    func reported(_ chunking: Chunking) {
        Stage.play(chunking, """
            \(Self.greeting())
            \(Self.register())
            u < \(Self.status("pending", "0", "等待中", 1))
            a > POST /api/task/task/interview_123/started
            a < 200 {"success":true,"data":{"task_id":"interview_123","seq":2}}
            u < \(Self.status("running", "0", "运行中", 2))
            a > POST /api/task/task/interview_123/progress {"progress":50,"message":"正在生成面试问题...","completed_steps":3,"total_steps":10}
            a < 200 {"success":true,"data":{"task_id":"interview_123","seq":3}}
            u < \(Self.status(
                "progress", "50", "正在生成面试问题...", step: "\"Step 3/10\"", more: "\"total_steps\":10,\"completed_steps\":3,", 3))
            # The document has no message for a log; its number shows that there was one.
            a > POST /api/task/task/interview_123/log {"logs":"line"}
            a < 200 {"success":true,"data":{"task_id":"interview_123","seq":4}}
            u < nothing
            a > POST /api/task/task/interview_123/completed {"result":{"questions": [1.0]}}
            a < 200 {"success":true,"data":{"task_id":"interview_123","seq":5}}
            u < \(Self.status("completed", "100", "已完成", more: "\"result\":{\"questions\": [1.0]},", 5))
            """)
    }

    @Test("a failure and a cancellation are told in the reporter's words", arguments: Chunking.all)
    func ends(_ chunking: Chunking) {
        Stage.play(chunking, """
            \(Self.greeting())
            \(Self.register("f"))
            u < \(Self.status("f", "pending", "0", "等待中", 1))
            a > POST /api/task/task/f/failed {"error":"no \\"model\\"","error_type":"ValueError"}
            a < 200 {"success":true,"data":{"task_id":"f","seq":2}}
            u < {"type":"task_status","task_id":"f","status":"failed","progress":0,"message":"失败","step":null,"timestamp":"\(Self.now)",\
            "error":"no \\"model\\"","error_type":"ValueError","seq":2}
            \(Self.register("c"))
            u < \(Self.status("c", "pending", "0", "等待中", 1))
            a > POST /api/task/task/c/cancelled {"reason":"not needed"}
            a < 200 {"success":true,"data":{"task_id":"c","seq":2}}
            u < \(Self.status("c", "cancelled", "0", "not needed", 2))
            """)
    }

    @Test("a task that a worker does is told like one that a program reports")
    func dispatched() throws {
        let token = try Tokens.token("1")
        Stage.play(.whole, try Tokens.settings(), """
            w upgrades /ws
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            u upgrades /api/task/ws/task/1?token=\(token)
            u < {"type":"connected","connection_id":"$c","message":"WebSocket 连接已建立","timestamp":"\(Self.now)"}
            u < {"type":"active_tasks","tasks":[],"count":0}
            b > POST /api/openai [Authorization: Bearer \(token)] {"data":{"n":1}}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}
            u < {"type":"task_status","task_id":"$task","status":"running","progress":20,"message":"运行中","step":null,\
            "timestamp":"\(Self.now)","error":null,"seq":1}
            w > {"type":"task_complete","taskId":"$task","result":2}
            w < {"type":"task_ack","taskId":"$task"}
            b < 200 {"taskId":"$task","status":"completed","result":2}
            u < {"type":"task_status","task_id":"$task","status":"completed","progress":100,"message":"已完成","step":null,\
            "timestamp":"\(Self.now)","result":2,"error":null,"seq":2}
            """)
    }

    @Test("who comes later is given the tasks that have not ended, oldest first, and hears what follows", arguments: Chunking.all)
    func greeted(_ chunking: Chunking) {
        Stage.play(chunking, """
            \(Self.register("one"))
            \(Self.register("done"))
            \(Self.register("other", user: "2"))
            a > POST /api/task/events {"events":[{"event":"completed","task_id":"done"},\
            {"event":"progress","task_id":"one","progress":7.5,"step":"s"},\
            {"event":"register","task_id":"two","user_id":"1","project_id":"p","task_type":"t","metadata":{"n": 1.0}}]}
            a < 200 {"success":true,"data":{"verdicts":[{"ok":true,"task_id":"done","seq":2},{"ok":true,"task_id":"one","seq":2},\
            {"ok":true,"task_id":"two","seq":1}]}}
            u upgrades /api/task/ws/task/1
            u < {"type":"connected","connection_id":"$c","message":"WebSocket 连接已建立","timestamp":"\(Self.now)"}
            u < {"type":"active_tasks","tasks":[\
            {"task_id":"one","user_id":1,"project_id":null,"task_type":null,"metadata":null,"status":"running","progress":7.5,\
            "message":"运行中","step":"s","timestamp":"\(Self.now)","error":null,"created_at":"\(Self.now)","started_at":"\(Self.now)",\
            "ended_at":null,"seq":2},\
            {"task_id":"two","user_id":1,"project_id":"p","task_type":"t","metadata":{"n": 1.0},"status":"pending","progress":0,\
            "message":"等待中","step":null,"timestamp":"\(Self.now)","error":null,"created_at":"\(Self.now)","started_at":null,\
            "ended_at":null,"seq":1}],"count":2}
            a > POST /api/task/task/two/started
            a < 200 {"success":true,"data":{"task_id":"two","seq":2}}
            u < \(Self.status("two", "running", "0", "运行中", 2))
            """)
    }

    @Test("the greeting lists so many tasks and no more: the newest")
    func manyActive() {
        let stage = Stage()
        for first in stride(from: 0, to: 1_005, by: 201) {
            let events = (first..<first + 201).map { "{\"event\":\"register\",\"task_id\":\"t\($0)\",\"user_id\":1}" }
            stage.play("a > POST /api/task/events {\"events\":[\(events.joined(separator: ","))]}")
            #expect(stage.take("a").count > 201 * 30)
        }
        stage.play("u upgrades /api/task/ws/task/1")
        let text = String(decoding: stage.take("u"), as: UTF8.self)
        #expect(text.contains("\"count\":1000}"))
        #expect(text.contains("\"t5\"") && text.contains("\"t1004\"") && !text.contains("\"t4\""))
    }

    // MARK: What a user says

    @Test("a task may be muted before there is one", arguments: Chunking.all)
    func muteEarly(_ chunking: Chunking) {
        Stage.play(chunking, """
            \(Self.greeting("u"))
            \(Self.greeting("v"))
            u > {"type":"unsubscribe","task_id":"interview_123"}
            u < {"type":"unsubscribed","task_id":"interview_123"}
            \(Self.register())
            v < \(Self.status("pending", "0", "等待中", 1))
            u < nothing
            """)
    }

    @Test("one's own task is muted on this socket alone, and heard again when it is asked for", arguments: Chunking.all)
    func mute(_ chunking: Chunking) {
        Stage.play(chunking, """
            \(Self.greeting("u"))
            \(Self.greeting("v"))
            \(Self.register())
            u < \(Self.status("pending", "0", "等待中", 1))
            v < \(Self.status("pending", "0", "等待中", 1))
            u > {"type":"unsubscribe","task_id":"interview_123"}
            u < {"type":"unsubscribed","task_id":"interview_123"}
            u > {"type":"unsubscribe","task_id":"interview_123"}
            u < {"type":"unsubscribed","task_id":"interview_123"}
            a > POST /api/task/task/interview_123/started
            a < 200 {"success":true,"data":{"task_id":"interview_123","seq":2}}
            v < \(Self.status("running", "0", "运行中", 2))
            u < nothing
            \(Self.register("second"))
            u < \(Self.status("second", "pending", "0", "等待中", 1))
            v < \(Self.status("second", "pending", "0", "等待中", 1))
            u > {"type":"subscribe","task_id":"interview_123"}
            u < {"type":"subscribed","task_id":"interview_123"}
            u < \(Self.status("running", "0", "运行中", 2))
            a > POST /api/task/task/interview_123/progress {"progress":1}
            a < 200 {"success":true,"data":{"task_id":"interview_123","seq":3}}
            u < \(Self.status("progress", "1", "进行中", 3))
            v < \(Self.status("progress", "1", "进行中", 3))
            """)
    }

    @Test("pings are answered; what cannot be understood is refused, and the socket stays", arguments: Chunking.all)
    func words(_ chunking: Chunking) {
        Stage.play(chunking, """
            \(Self.greeting())
            u > {"type":"ping"}
            u < {"type":"pong","timestamp":"\(Self.now)"}
            u > {"type":"dance"}
            u < {"type":"error","error":"Unknown message type: dance","timestamp":"\(Self.now)"}
            u > {"type":5}
            u < {"type":"error","error":"Invalid request: type must be a text","timestamp":"\(Self.now)"}
            u > {"type":"subscribe"}
            u < {"type":"error","error":"Invalid request: task_id required","timestamp":"\(Self.now)"}
            u > []
            u < {"type":"error","error":"Invalid request: a JSON object is expected","timestamp":"\(Self.now)"}
            u > {
            u < {"type":"error","error":"$malformed","timestamp":"\(Self.now)"}
            u sends binary x
            u < {"type":"error","error":"Text messages are expected","timestamp":"\(Self.now)"}
            u > {"type":"subscribe","task_id":"nobody"}
            u < {"type":"error","task_id":"nobody","error":"Task not found","timestamp":"\(Self.now)"}
            u > {"type":"unsubscribe","task_id":"nobody"}
            u < {"type":"unsubscribed","task_id":"nobody"}
            u > {"type":"refresh","token":"t"}
            u < {"type":"error","error":"Invalid or expired token","timestamp":"\(Self.now)"}
            u > {"type":"ping"}
            u < {"type":"pong","timestamp":"\(Self.now)"}
            """)
    }

    // MARK: Tasks of others

    /// A guarded server with tasks of the users 1 and 2; user 1 listens with a token that names a task of user 2's.
    private func guarded(_ chunking: Chunking, listed: [String] = ["shared"], change: (inout Settings) -> Void = { _ in }) throws -> Stage {
        var settings = try Tokens.settings()
        change(&settings)
        let stage = Stage(chunking, settings)
        let token = try Tokens.token("1", tasks: listed)
        let publisher = try Tokens.token("p", .publisher)
        stage.play("""
            a > POST /api/task/events [Authorization: Bearer \(publisher)] {"events":[\
            {"event":"register","task_id":"shared","user_id":2},{"event":"register","task_id":"secret","user_id":2}]}
            a < 200 {"success":true,"data":{"verdicts":[{"ok":true,"task_id":"shared","seq":1},{"ok":true,"task_id":"secret","seq":1}]}}
            u upgrades /api/task/ws/task/1?token=\(token)
            u < {"type":"connected","connection_id":"$c","message":"WebSocket 连接已建立","timestamp":"\(Self.now)"}
            u < {"type":"active_tasks","tasks":[],"count":0}
            """)
        return stage
    }

    private func report(_ stage: Stage, _ id: String, _ word: String, _ sequence: Int, body: String = "") throws {
        stage.play("""
            a > POST /api/task/task/\(id)/\(word) [Authorization: Bearer \(try Tokens.token("p", .publisher))] \(body)
            a < 200 {"success":true,"data":{"task_id":"\(id)","seq":\(sequence)}}
            """)
    }

    @Test("a task of somebody else that the token lists is heard once it is asked for; any other is as if it were not there",
        arguments: Chunking.all)
    func foreign(_ chunking: Chunking) throws {
        let stage = try guarded(chunking)
        try report(stage, "shared", "started", 2)
        stage.play("""
            u < nothing
            u > {"type":"subscribe","task_id":"secret"}
            u < {"type":"error","task_id":"secret","error":"Task not found","timestamp":"\(Self.now)"}
            u > {"type":"subscribe","task_id":"nobody"}
            u < {"type":"error","task_id":"nobody","error":"Task not found","timestamp":"\(Self.now)"}
            u > {"type":"subscribe","task_id":"shared"}
            u < {"type":"subscribed","task_id":"shared"}
            u < \(Self.status("shared", "running", "0", "运行中", 2))
            """)
        try report(stage, "shared", "progress", 3, body: "{\"progress\":1}")
        try report(stage, "secret", "started", 2)
        stage.play("""
            u < \(Self.status("shared", "progress", "1", "进行中", 3))
            u > {"type":"unsubscribe","task_id":"shared"}
            u < {"type":"unsubscribed","task_id":"shared"}
            """)
        try report(stage, "shared", "completed", 4)
        stage.play("u < nothing")
        stage.end()
    }

    @Test("a refreshed token that lists a task no more ends its subscription; one of another user is not taken", arguments: Chunking.all)
    func refreshed(_ chunking: Chunking) throws {
        let stage = try guarded(chunking, listed: ["shared", "secret"])
        stage.play("""
            u > {"type":"subscribe","task_id":"shared"}
            u < {"type":"subscribed","task_id":"shared"}
            u < \(Self.status("shared", "pending", "0", "等待中", 1))
            u > {"type":"subscribe","task_id":"secret"}
            u < {"type":"subscribed","task_id":"secret"}
            u < \(Self.status("secret", "pending", "0", "等待中", 1))
            u > {"type":"refresh","token":"\(try Tokens.token("2"))"}
            u < {"type":"error","error":"Invalid or expired token","timestamp":"\(Self.now)"}
            u > {"type":"refresh","token":"\(try Tokens.token("1", tasks: ["shared"]))"}
            u < {"type":"refreshed","timestamp":"\(Self.now)"}
            u < {"type":"unsubscribed","task_id":"secret"}
            """)
        // Also not what begins without a beginning, at which it is looked at again who may listen.
        try report(stage, "secret", "progress", 2, body: "{\"progress\":1}")
        stage.play("u < nothing")
        try report(stage, "shared", "started", 2)
        stage.play("u < \(Self.status("shared", "running", "0", "运行中", 2))")
        stage.end()
    }

    @Test("an admin opens any user's socket, and loses it with the role", arguments: Chunking.all)
    func admin(_ chunking: Chunking) throws {
        let stage = try guarded(chunking)
        stage.play("""
            r upgrades /api/task/ws/task/2 [Authorization: Bearer \(try Tokens.token("root", .admin))]
            r < {"type":"connected","connection_id":"$r","message":"WebSocket 连接已建立","timestamp":"\(Self.now)"}
            """)
        #expect(String(decoding: stage.take("r"), as: UTF8.self).contains("\"count\":2}"))
        try report(stage, "secret", "started", 2)
        stage.play("""
            r < \(Self.status("secret", "running", "0", "运行中", 2))
            r > {"type":"refresh","token":"\(try Tokens.token("root"))"}
            r < close 4003 authentication failed
            """)
        stage.end()
    }

    @Test("a name that goes to a task of somebody else is not heard by who may not see that one", arguments: Chunking.all)
    func reused(_ chunking: Chunking) throws {
        // Nobody owns what a worker does for nobody: everybody may see it.
        let stage = try guarded(chunking)
        stage.play("""
            w upgrades /ws
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            b > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}
            u > {"type":"subscribe","task_id":"$task"}
            u < {"type":"subscribed","task_id":"$task"}
            u < {"type":"task_status","task_id":"$task","status":"running","progress":20,"message":"运行中","step":null,\
            "timestamp":"\(Self.now)","error":null,"seq":1}
            g upgrades /api/gpu/tasks/$task/ws?token=\(try Tokens.token("1"))
            """)
        #expect(!stage.take("g").isEmpty)
        stage.play("""
            w > {"type":"task_complete","taskId":"$task","result":2}
            w < {"type":"task_ack","taskId":"$task"}
            b < 200 {"taskId":"$task","status":"completed","result":2}
            u < {"type":"task_status","task_id":"$task","status":"completed","progress":100,"message":"已完成","step":null,\
            "timestamp":"\(Self.now)","result":2,"error":null,"seq":2}
            d > DELETE /api/task/task/$task [Authorization: Bearer \(try Tokens.token("1"))]
            d < 200 {"success":true,"data":{"task_id":"$task"}}
            """)
        #expect(!stage.take("g").isEmpty)
        stage.play("""
            a > POST /api/task/register [Authorization: Bearer \(try Tokens.token("p", .publisher))] {"task_id":"$task","user_id":2}
            a < 200 {"success":true,"data":{"task_id":"$task","seq":1}}
            u < nothing
            g < close 4004 task not found or access denied
            """)
        stage.end()
    }

    @Test("subscriptions and muted tasks are bounded", arguments: Chunking.all)
    func bounds(_ chunking: Chunking) throws {
        let stage = try guarded(chunking, listed: ["shared", "secret"]) { $0.limits.subscriptionsMax = 2 }
        stage.play("""
            u > {"type":"subscribe","task_id":"shared"}
            u < {"type":"subscribed","task_id":"shared"}
            u < \(Self.status("shared", "pending", "0", "等待中", 1))
            u > {"type":"subscribe","task_id":"secret"}
            u < {"type":"error","task_id":"secret","error":"Too many subscriptions: at most 2","timestamp":"\(Self.now)"}
            """)
        let publisher = try Tokens.token("p", .publisher)
        for number in 1...3 {
            stage.play("""
                a > POST /api/task/register [Authorization: Bearer \(publisher)] {"task_id":"t\(number)","user_id":1}
                a < 200 {"success":true,"data":{"task_id":"t\(number)","seq":1}}
                u < \(Self.status("t\(number)", "pending", "0", "等待中", 1))
                u > {"type":"unsubscribe","task_id":"t\(number)"}
                """)
            if number < 3 { stage.play("u < {\"type\":\"unsubscribed\",\"task_id\":\"t\(number)\"}") }
        }
        stage.play(#"u < {"type":"error","task_id":"t3","error":"Too many muted tasks: at most 2","timestamp":"\#(Self.now)"}"#)
        stage.end()
    }

    // MARK: Who may open it

    @Test("no token, a wrong one, one that is over, and another user's: 4003, where a browser can read it", arguments: Chunking.all)
    func refused(_ chunking: Chunking) throws {
        let close = "close 4003 authentication failed"
        Stage.play(chunking, try Tokens.settings(), """
            a upgrades /api/task/ws/task/1
            a < \(close)
            b upgrades /api/task/ws/task/1?token=nonsense
            b < \(close)
            c upgrades /api/task/ws/task/1?token=\(try Tokens.token("1", seconds: -60))
            c < \(close)
            d upgrades /api/task/ws/task/1?token=\(try Tokens.token("2"))
            d < \(close)
            e upgrades /api/task/ws/task/%01?token=\(try Tokens.token("1"))
            e < \(close)
            """)
    }

    @Test("a socket ends with its token")
    func expiry() throws {
        Stage.play(.whole, try Tokens.settings(), """
            u upgrades /api/task/ws/task/a%20b?token=\(try Tokens.token("a b", seconds: -25))
            u < {"type":"connected","connection_id":"$c","message":"WebSocket 连接已建立","timestamp":"\(Self.now)"}
            u < {"type":"active_tasks","tasks":[],"count":0}
            * wait 4s
            u < nothing
            * wait 2s
            u < close 4003 authentication failed
            """)
    }
}
