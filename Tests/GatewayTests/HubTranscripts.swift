// Document P played: clients of the hub, from the greeting to the end; what they subscribe to, how they come back, and what is refused.
import Base
import Dialects
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("The document of the hub")
struct HubTranscripts {
    static let work = """
        w upgrades /ws
        w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
        w > {"type":"ready","concurrency":4}
        a > POST /api/openai {"data":{"n":1},"async":true}
        a < 200 {"taskId":"$task","status":"executing"}
        w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}

        """

    static func greeting(_ peer: String, _ client: String, _ target: String = "/api/v1/ws") -> String {
        """
        \(peer) upgrades \(target)
        \(peer) < {"type":"connected","task_id":"","payload":{"client_id":"$\(client)","message":"WebSocket连接成功",\
        "timestamp":"2023-11-14T22:13:20Z"}}

        """
    }

    static func state(_ task: String, _ progress: Int, _ status: String, _ sequence: Int, _ members: String = empty) -> String {
        """
        {"type":"progress","task_id":"\(task)","payload":{"task_id":"\(task)","progress":\(progress),\(members),"status":"\(status)",\
        "timestamp":"2023-11-14T22:13:20Z","seq":\(sequence)}}
        """
    }

    /// Who watches users' tasks is asked for a token; the hub is open.
    static var open: Settings {
        var settings = Settings()
        settings.authentication = Authentication(mode: .users)
        return settings
    }

    /// What nobody said.
    static let empty = "\"current_step\":\"\",\"total_steps\":0,\"completed_steps\":0,\"message\":\"\""

    @Test("a client subscribes, is told how the task stands, all that happens, and the end", arguments: Chunking.all)
    func whole(_ chunking: Chunking) {
        Stage.play(chunking, Self.work + Self.greeting("c", "client", "/api/v1/ws?user_id=u1&project_id=p1") + """
            c > {"action":"subscribe","task_id":"$task"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["$task"]}}
            c < \(Self.state("$task", 20, "running", 1))
            w > {"type":"task_progress","taskId":"$task","progress":50,"message":"第4个","current_step":"处理",\
            "total_steps":10,"completed_steps":4}
            c < \(Self.state("$task", 60, "running", 2, #""current_step":"处理","total_steps":10,"completed_steps":4,"message":"第4个""#))
            w > {"type":"task_logs","taskId":"$task","logs":"not in the document"}
            c < nothing
            c > {"type":"ping"}
            c < {"type":"pong","task_id":"","payload":{"timestamp":1700000000}}
            w > {"type":"task_complete","taskId":"$task","result":{"output": "..."}}
            w < {"type":"task_ack","taskId":"$task"}
            c < {"type":"status","task_id":"$task","payload":{"task_id":"$task","status":"completed","error":"",\
            "result":{"output": "..."},"timestamp":"2023-11-14T22:13:20Z","seq":4}}
            c > {"action":"unsubscribe","task_id":"$task"}
            c < {"type":"unsubscribed","task_id":"","payload":{"topics":[]}}
            c sends close 1000
            c < close 1000
            """)
    }

    @Test("what is no command is answered by an error, and the socket stays", arguments: Chunking.all)
    func refusals(_ chunking: Chunking) {
        func error(_ words: String, _ id: String = "") -> String {
            """
            c < {"type":"error","task_id":"\(id)","payload":{"execution_id":"\(id)","step_id":"","error":"\(words)",\
            "timestamp":"2023-11-14T22:13:20Z"}}

            """
        }
        Stage.play(chunking, Self.greeting("c", "client") + """
            c > {"type":"dance"}
            \(error("Unknown message type: dance"))
            c > {"task_id":"t"}
            \(error("Invalid request: action required"))
            c > {"action":"subscribe"}
            \(error("Invalid request: task_id required"))
            c > {"action":"subscribe","task_id":""}
            \(error("Invalid request: task_id must be 1 to 200 bytes of printable text"))
            c > {"action":"refresh","token":"x"}
            \(error("Invalid or expired token"))
            c > []
            \(error("Invalid request: a JSON object is expected"))
            c > {
            c < {"type":"error","task_id":"","payload":{"execution_id":"","step_id":"","error":"Invalid JSON: $words","timestamp":"$t"}}
            c sends binary x
            \(error("Text messages are expected"))
            b > GET /api/v1/ws?last_seq=x [Upgrade: websocket] [Connection: Upgrade] [Sec-WebSocket-Version: 13] \
            [Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]
            b < 400 {"error":"Invalid request: last_seq must be TASK:NUMBER,TASK:NUMBER,..."}
            \(Self.greeting("d", "second", "/api/v1/ws?last_seq="))
            """)
    }

    // MARK: Names

    @Test("a name may be subscribed before there is such a task: nothing is told until there is, and then all", arguments: Chunking.all)
    func early(_ chunking: Chunking) {
        let stage = Stage(chunking)
        stage.play(Self.greeting("c", "client") + """
            c > {"type":"subscribe","task_id":"job-1"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["job-1"]}}
            c > {"action":"subscribe","task_id":"a-job"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["a-job","job-1"]}}
            c < nothing
            """)
        stage.register("job-1", of: "anonymous")
        stage.report("job-1", .progress(TaskEvent.Progress(reported: 12.9)))
        stage.report("job-1", .failed(TaskEvent.Fault(error: .plain(SharedBytes("no memory")), step: SharedBytes("step-3"))))
        stage.play("""
            c < {"type":"status","task_id":"job-1","payload":{"task_id":"job-1","status":"pending","error":"","result":null,\
            "timestamp":"$t","seq":1}}
            c < {"type":"progress","task_id":"job-1","payload":{"task_id":"job-1","progress":12,\(Self.empty),"status":"running",\
            "timestamp":"$t","seq":2}}
            c < {"type":"status","task_id":"job-1","payload":{"task_id":"job-1","status":"failed","error":"no memory","result":null,\
            "timestamp":"$t","seq":3}}
            c < {"type":"error","task_id":"job-1","payload":{"execution_id":"job-1","step_id":"step-3","error":"no memory",\
            "timestamp":"$t","seq":3}}
            # Who comes after the end is told it at once.
            c > {"action":"subscribe","task_id":"job-1"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["a-job","job-1"]}}
            c < {"type":"progress","task_id":"job-1","payload":{"task_id":"job-1","progress":12,\(Self.empty),"status":"failed",\
            "timestamp":"$t","seq":2}}
            c < {"type":"status","task_id":"job-1","payload":{"task_id":"job-1","status":"failed","error":"no memory","result":null,\
            "timestamp":"$t","seq":3}}
            c < {"type":"error","task_id":"job-1","payload":{"execution_id":"job-1","step_id":"step-3","error":"no memory",\
            "timestamp":"$t","seq":3}}
            """)
        stage.end()
    }

    @Test("a task of somebody else is as if it were not there, whenever it comes; the next one of the name may be one's own")
    func foreign() {
        let stage = Stage(.whole, Self.open)
        stage.register("theirs", of: "bob")
        stage.play(Self.greeting("c", "client", "/api/v1/ws?user_id=alice") + """
            c > {"action":"subscribe","task_id":"theirs"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["theirs"]}}
            c > {"action":"subscribe","task_id":"later"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["later","theirs"]}}
            c < nothing
            """)
        stage.register("later", of: "bob")
        for id in ["theirs", "later"] {
            stage.report(id, .progress(TaskEvent.Progress(reported: 5)))
            stage.report(id, .completed(result: SharedBytes("1")))
        }
        stage.play("""
            c < nothing
            c > {"action":"subscribe","task_id":"x"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["later","theirs","x"]}}
            a > GET /api/v1/progress/theirs
            a < 404 {"error":"Task not found"}
            a > GET /api/v1/progress/theirs/history
            a < 404 {"error":"Task not found"}
            a > GET /api/v1/progress/theirs/history/db
            a < 404 {"error":"Task not found"}
            a > DELETE /api/v1/progress/theirs/history
            a < 404 {"error":"Task not found"}
            """)
        // The names are free again, and hers.
        stage.register("later", of: "alice")
        stage.register("theirs", of: "alice")
        stage.play("""
            c < {"type":"progress","task_id":"later","payload":{"task_id":"later","progress":0,\(Self.empty),"status":"pending",\
            "timestamp":"$t","seq":4}}
            c < {"type":"progress","task_id":"theirs","payload":{"task_id":"theirs","progress":0,\(Self.empty),"status":"pending",\
            "timestamp":"$t","seq":4}}
            """)
        stage.report("later", .completed(result: SharedBytes("{}")))
        stage.play("""
            c < {"type":"status","task_id":"later","payload":{"task_id":"later","status":"completed","error":"","result":{},\
            "timestamp":"$t","seq":5}}
            """)
        stage.register("later", of: "bob")
        stage.report("later", .completed(result: SharedBytes("{}")))
        stage.play("""
            c < nothing
            c > {"action":"unsubscribe","task_id":"later"}
            c < {"type":"unsubscribed","task_id":"","payload":{"topics":["theirs","x"]}}
            c leaves
            d upgrades /api/v1/ws?user_id=alice&old_client_id=$client
            d < {"type":"reconnected","task_id":"","payload":{"client_id":"$new","old_client_id":"$client",\
            "message":"WebSocket重连成功","subscribed":{"theirs":true,"x":true},"timestamp":"2023-11-14T22:13:20Z"}}
            """)
        stage.report("theirs", .cancelled(reason: SharedBytes("enough")))
        stage.play("""
            d < {"type":"status","task_id":"theirs","payload":{"task_id":"theirs","status":"cancelled","error":"","result":null,\
            "reason":"enough","timestamp":"$t","seq":5}}
            """)
        stage.end()
    }

    @Test("one listens to so many tasks and no more")
    func many() {
        var settings = Self.open
        settings.limits.subscriptionsMax = 2
        let stage = Stage(.whole, settings)
        stage.register("theirs", of: "bob")
        stage.play(Self.greeting("c", "client") + """
            c > {"action":"subscribe","task_id":"theirs"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["theirs"]}}
            c > {"action":"subscribe","task_id":"b"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["b","theirs"]}}
            c > {"action":"subscribe","task_id":"c"}
            c < {"type":"error","task_id":"c","payload":{"execution_id":"c","step_id":"",\
            "error":"Too many subscriptions: at most 2","timestamp":"2023-11-14T22:13:20Z"}}
            c > {"action":"subscribe","task_id":"b"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["b","theirs"]}}
            c > {"action":"unsubscribe","task_id":"theirs"}
            c < {"type":"unsubscribed","task_id":"","payload":{"topics":["b"]}}
            c > {"action":"subscribe","task_id":"c"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["b","c"]}}
            """)
        stage.report("theirs", .completed(result: SharedBytes("1")))
        stage.end()
    }

    // MARK: Lines

    @Test("a client may ask for one line a message; a line feed in a result is no end of a line")
    func lines() {
        let stage = Stage()
        stage.register("t", of: "anonymous")
        stage.report("t", .completed(result: SharedBytes("{\n \"a\":\r1}")))
        stage.play(Self.greeting("c", "client", "/api/v1/ws?batch=ndjson") + """
            c > {"action":"subscribe","task_id":"t"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["t"]}}
            c < {"type":"progress","task_id":"t","payload":{"task_id":"t","progress":100,\(Self.empty),"status":"completed",\
            "timestamp":"$t","seq":1}}
            c < {"type":"status","task_id":"t","payload":{"task_id":"t","status":"completed","error":"","result":{  "a": 1},\
            "timestamp":"$t","seq":2}}
            b > GET /api/v1/ws?batch=xml [Upgrade: websocket] [Connection: Upgrade] [Sec-WebSocket-Version: 13] \
            [Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]
            b < 400 {"error":"Invalid request: batch must be ndjson, or left out"}
            """)
        stage.end()
    }

    // MARK: Requests

    @Test("a task's progress and both its histories, and the end of them", arguments: Chunking.all)
    func requests(_ chunking: Chunking) {
        Stage.play(chunking, Self.work + """
            w > {"type":"task_progress","taskId":"$task","progress":50,"message":"m","step":"train","total_steps":2,"completed_steps":1}
            w > {"type":"task_logs","taskId":"$task","logs":"l"}
            w > {"type":"task_progress","taskId":"$task","progress":100}
            a > GET /api/v1/progress/$task
            a < 200 {"task_id":"$task","progress":80,"current_step":"train","total_steps":2,"completed_steps":1,"message":"m",\
            "status":"running","timestamp":"2023-11-14T22:13:20Z","seq":4}
            a > GET /api/v1/progress/$task/history?limit=1
            a < 200 {"task_id":"$task","source":"memory","history":[{"task_id":"$task","progress":80,"current_step":"train",\
            "total_steps":2,"completed_steps":1,"message":"m","status":"running","timestamp":"$t","seq":4}]}
            a > GET /api/v1/progress/$task/history
            a < 200 {"task_id":"$task","source":"memory","history":[{"task_id":"$task","progress":20,\(Self.empty),"status":"running",\
            "timestamp":"$t","seq":1},{"task_id":"$task","progress":60,"current_step":"train","total_steps":2,"completed_steps":1,\
            "message":"m","status":"running","timestamp":"$t","seq":2},{"task_id":"$task","progress":80,"current_step":"train",\
            "total_steps":2,"completed_steps":1,"message":"m","status":"running","timestamp":"$t","seq":4}]}
            a > GET /api/v1/progress/$task/history/db?limit=1
            a < 200 {"task_id":"$task","source":"database","history":[{"task_id":"$task","progress":80,"current_step":"train",\
            "total_steps":2,"completed_steps":1,"message":"m","status":"running","timestamp":"$t","seq":4}]}
            a > GET /api/v1/progress/$task/history/db?limit=x
            a < 400 {"error":"Invalid request: limit must be a whole number from 1 to 1000"}
            a > GET /api/v1/progress/$task/history?limit=0
            a < 400 {"error":"Invalid request: limit must be a whole number from 1 to 100"}
            a > DELETE /api/v1/progress/$task/history
            a < 200 {"message":"历史已清除","task_id":"$task"}
            a > GET /api/v1/progress/$task/history
            a < 200 {"task_id":"$task","source":"memory","history":[]}
            a > GET /api/v1/progress/$task/history/db
            a < 200 {"task_id":"$task","source":"database","history":[]}
            * break disk
            a > GET /api/v1/progress/$task/history/db
            a < 503 {"error":"History could not be read"}
            * mend disk
            a > GET /api/v1/progress/nobody/history/db
            a < 404 {"error":"Task not found"}
            a > GET /api/v1/progress/stats
            a < 200 {"total_tasks":1,"active_tasks":1,"completed_tasks":0,"failed_tasks":0}
            w > {"type":"task_error","taskId":"$task","error":"e"}
            w < {"type":"task_ack","taskId":"$task"}
            a > GET /api/v1/progress/stats
            a < 200 {"total_tasks":1,"active_tasks":0,"completed_tasks":0,"failed_tasks":1}
            """)
    }

    @Test("rows of an earlier task of the name are another's")
    func earlierRows() {
        let stage = Stage(.whole, Self.open)
        stage.register("t", of: "bob")
        stage.report("t", .progress(TaskEvent.Progress(reported: 5, message: SharedBytes("secret"))))
        stage.report("t", .completed(result: SharedBytes("1")))
        stage.network.wait(.seconds(400))
        stage.register("t", of: "anonymous")
        stage.play("""
            a > GET /api/v1/progress/t/history/db
            a < 404 {"error":"Task not found"}
            """)
        let second = Stage()
        second.register("t", of: "bob")
        second.report("t", .progress(TaskEvent.Progress(reported: 5, message: SharedBytes("secret"))))
        second.report("t", .completed(result: SharedBytes("1")))
        second.network.wait(.seconds(400))
        // Where nobody is asked who he is, everybody may see what only the journal remembers.
        second.play("""
            a > GET /api/v1/progress/t/history/db?limit=1
            a < 200 {"task_id":"t","source":"database","history":[{"task_id":"t","progress":100,"current_step":"","total_steps":0,\
            "completed_steps":0,"message":"","status":"completed","timestamp":"2023-11-14T22:13:20Z","seq":3}]}
            """)
        second.register("t", of: "eve")
        second.play("""
            a > GET /api/v1/progress/t/history/db
            a < 200 {"task_id":"t","source":"database","history":[]}
            """)
        stage.report("t", .completed(result: SharedBytes("1")))
        second.report("t", .completed(result: SharedBytes("1")))
        stage.end()
        second.end()
    }

    @Test("who knows a client's name subscribes for it; clients are counted by user and project", arguments: Chunking.all)
    func clients(_ chunking: Chunking) {
        Stage.play(chunking, Self.work + Self.greeting("c", "client", "/api/v1/ws?user_id=u1&project_id=p1") + """
            a > GET /api/v1/progress/active
            a < 200 {"connected_clients":1,"by_user":{"u1":1},"by_project":{"p1":1}}
            a > GET /api/v1/websocket/stats
            a < 200 {"total_clients":1,"by_user":{"u1":1},"by_project":{"p1":1}}
            a > POST /api/v1/progress/$task/subscribe?client_id=$client
            a < 200 {"message":"订阅成功","task_id":"$task","client_id":"$client"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["$task"]}}
            c < \(Self.state("$task", 20, "running", 1))
            a > POST /api/v1/progress/$task/unsubscribe?client_id=$client
            a < 200 {"message":"取消订阅成功","task_id":"$task","client_id":"$client"}
            c < {"type":"unsubscribed","task_id":"","payload":{"topics":[]}}
            a > POST /api/v1/progress/$task/subscribe?client_id=client-123
            a < 404 {"error":"Client not found"}
            a > POST /api/v1/progress/$task/subscribe?client_id=client-00000000000000000000000000000000
            a < 404 {"error":"Client not found"}
            a > POST /api/v1/progress/$task/subscribe
            a < 400 {"error":"Invalid request: client_id required"}
            c leaves
            a > POST /api/v1/progress/$task/subscribe?client_id=$client
            a < 404 {"error":"Client not found"}
            a > GET /api/v1/progress/active
            a < 200 {"connected_clients":0,"by_user":{},"by_project":{}}
            """)
    }

    @Test("a session is written down as it opens, now and then, and as it ends")
    func sessions() {
        let stage = Stage()
        stage.play("""
            c upgrades /api/v1/ws?user_id=u1&project_id=p1 [User-Agent: test/1]
            c < {"type":"connected","task_id":"","payload":{"client_id":"$client","message":"WebSocket连接成功","timestamp":"$t"}}
            c > {"type":"ping"}
            c < {"type":"pong","task_id":"","payload":{"timestamp":$p1}}
            * wait 20s
            c > {"type":"ping"}
            c < {"type":"pong","task_id":"","payload":{"timestamp":$p2}}
            * wait 40s
            c < ping
            c > {"type":"ping"}
            c < {"type":"pong","task_id":"","payload":{"timestamp":$p3}}
            c leaves
            """)
        var rows: [String] = []
        for record in stage.network.disk.written {
            switch record {
            case .sessionOpened(let row):
                rows.append("opened \(row.clientID) \(row.userID) \(row.projectID) \(row.ipAddress) \(row.userAgent)")
            case .sessionTouched(let touch): rows.append("touched \(touch.clientID) \(touch.messageCount)")
            case .sessionClosed(let touch): rows.append("closed \(touch.clientID) \(touch.messageCount)")
            case _: break
            }
        }
        let client = stage.bindings["client"] ?? "?"
        #expect(rows == ["opened \(client) u1 p1 127.0.0.1 test/1", "touched \(client) 3", "closed \(client) 3"])
        stage.end()
    }
}

extension Stage {
    /// An outside program speaks of its tasks.
    func act(_ body: (Broker, Moment) throws -> Void, sourceLocation: SourceLocation = #_sourceLocation) {
        let context = network.server.context
        do {
            try body(context.broker, context.moment(network.now))
        } catch {
            Issue.record("refused: \(error)", sourceLocation: sourceLocation)
        }
        network.server.timersDue(at: network.now)
        network.pump()
    }

    func register(_ id: String, of user: String, sourceLocation: SourceLocation = #_sourceLocation) {
        act(
            { broker, now in
                guard let id = TaskID(SharedBytes(id).span) else { return }
                _ = try broker.register(TaskRegistration(id: id, user: SharedBytes(user)), at: now)
            }, sourceLocation: sourceLocation)
    }

    func report(_ id: String, _ report: OutsideReport, sourceLocation: SourceLocation = #_sourceLocation) {
        act(
            { broker, now in
                guard let id = TaskID(SharedBytes(id).span) else { return }
                _ = try broker.report(report, of: id, at: now)
            }, sourceLocation: sourceLocation)
    }

    func progress(_ id: String, _ figure: Double, sourceLocation: SourceLocation = #_sourceLocation) {
        report(id, .progress(TaskEvent.Progress(reported: figure)), sourceLocation: sourceLocation)
    }
}
