// Server-sent events played: one answer that goes on for as long as its task does, and every way of coming, going and coming back.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Server-sent events of a task")
struct EventStreamTranscripts {
    private static let work = """
        w upgrades /ws
        w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
        w > {"type":"ready"}
        a > POST /api/gpu/tasks {"data":{"n":1}}
        a < 200 {"task_id":"$task","status":"running","progress":20,"created_at":"$t","started_at":"$t","provider":null,\
        "priority":"normal","seq":1}
        w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}

        """

    private static func opened(_ name: String) -> String {
        """
        \(name) > GET /api/tasks/$task/events
        \(name) < 200 [Content-Type: text/event-stream] [Cache-Control: no-store] [X-Accel-Buffering: no] [Transfer-Encoding: chunked]
        \(name) < retry: 2000
        \(name) < id: 1 | event: current_status | data: {"type":"current_status","task_id":"$task","status":"running",\
        "message":"Current task status: running","progress":20,"created_at":"$t","started_at":"$t","provider":null,"priority":"normal",\
        "timestamp":"$now\(name)","seq":1}

        """
    }

    private static func log(_ text: String, _ number: Int) -> String {
        """
        id: \(number) | event: task_logs | data: {"type":"task_logs","task_id":"$task","logs":"\(text)","level":"INFO",\
        "source":"worker","timestamp":"$l\(number)","seq":\(number)}
        """
    }

    private static func completed(_ number: Int) -> String {
        """
        id: \(number) | event: task_completed | data: {"type":"task_completed","task_id":"$task","success":true,"timestamp":"$end",\
        "seq":\(number),"execution_time":0,"result_data":[1, 2]}
        """
    }

    @Test("the state, all that happens, and the end; the connection goes on with what was asked meanwhile", arguments: Chunking.all)
    func whole(_ chunking: Chunking) {
        Stage.play(chunking, Self.work + Self.opened("s") + """
            s < nothing
            s > GET /healthz
            s < nothing
            w > {"type":"task_logs","taskId":"$task","logs":"one"}
            s < \(Self.log("one", 2))
            w > {"type":"task_complete","taskId":"$task","result":[1, 2]}
            w < {"type":"task_ack","taskId":"$task"}
            s < \(Self.completed(3))
            s < end
            s < 200 {"status":"ok"}
            s > GET /healthz
            s < 200 {"status":"ok"}
            """)
    }

    @Test("a failure is two events, and only the second counts as seen", arguments: Chunking.all)
    func failed(_ chunking: Chunking) {
        Stage.play(chunking, Self.work + Self.opened("s") + """
            w > {"type":"task_error","taskId":"$task","error":"no memory"}
            w < {"type":"task_ack","taskId":"$task"}
            s < event: task_error | data: {"type":"task_error","task_id":"$task","error_message":"no memory","timestamp":"$e","seq":2}
            s < id: 2 | event: task_completed | data: {"type":"task_completed","task_id":"$task","success":false,"timestamp":"$e",\
            "seq":2,"execution_time":0}
            s < end
            s < nothing
            """)
    }

    @Test("who comes back gets what was missed, or the state; who has it all is told not to come again", arguments: Chunking.all)
    func again(_ chunking: Chunking) {
        Stage.play(chunking, Self.work + """
            w > {"type":"task_logs","taskId":"$task","logs":"one"}
            s > GET /api/tasks/$task/events [Last-Event-ID: 1]
            s < 200
            s < retry: 2000
            s < \(Self.log("one", 2))
            s < nothing
            r > GET /api/tasks/$task/events [Last-Event-ID: 2]
            r < 200
            r < retry: 2000
            r < nothing
            w > {"type":"task_complete","taskId":"$task","result":[1, 2]}
            w < {"type":"task_ack","taskId":"$task"}
            s < \(Self.completed(3))
            s < end
            r < \(Self.completed(3))
            r < end
            s > GET /api/tasks/$task/events [Last-Event-ID: 1]
            s < 200
            s < retry: 2000
            s < \(Self.log("one", 2))
            s < \(Self.completed(3))
            s < end
            s > GET /api/tasks/$task/events [Last-Event-ID: 3]
            s < 204 [Content-Length: -]
            s > GET /api/tasks/$task/events [Last-Event-ID: 77]
            s < 200
            s < retry: 2000
            s < id: 3 | event: current_status | data: {"type":"current_status","task_id":"$task","status":"completed",\
            "message":"Current task status: completed","progress":100,"created_at":"$t","started_at":"$t","provider":null,\
            "priority":"normal","timestamp":"$now","seq":3}
            s < \(Self.completed(3))
            s < end
            s > GET /api/tasks/$task/events
            s < 200
            s < retry: 2000
            s < id: 3 | event: current_status | data: {"type":"current_status","task_id":"$task","status":"completed",\
            "message":"Current task status: completed","progress":100,"created_at":"$t","started_at":"$t","provider":null,\
            "priority":"normal","timestamp":"$now","seq":3}
            s < \(Self.completed(3))
            s < end
            s > HEAD /api/tasks/$task/events [Last-Event-ID: 3]
            s < 204
            s > GET /healthz
            s < 200 {"status":"ok"}
            """)
    }

    @Test("HEAD is answered by the head alone; HTTP/1.0 has no chunks, and ends by closing", arguments: Chunking.all)
    func forms(_ chunking: Chunking) {
        Stage.play(chunking, Self.work + """
            h > HEAD /api/tasks/$task/events
            h < 200 [Content-Type: text/event-stream] [Transfer-Encoding: chunked]
            h > GET /healthz
            h < 200 {"status":"ok"}
            o >> GET /api/tasks/$task/events HTTP/1.0\\r\\nHost: signalbox.test\\r\\nConnection: keep-alive\\r\\n\\r\\n
            o < 200 [Content-Type: text/event-stream] [Transfer-Encoding: -] [Connection: close]
            o < retry: 2000
            o < id: 1 | event: current_status | data: {"type":"current_status","task_id":"$task","status":"running",\
            "message":"Current task status: running","progress":20,"created_at":"$t","started_at":"$t","provider":null,\
            "priority":"normal","timestamp":"$t","seq":1}
            w > {"type":"task_logs","taskId":"$task","logs":"one"}
            o < \(Self.log("one", 2))
            w > {"type":"task_complete","taskId":"$task","result":[1, 2]}
            w < {"type":"task_ack","taskId":"$task"}
            o < \(Self.completed(3))
            o < closed
            """)
    }

    @Test("the heart beats, and a client that goes is forgotten")
    func beats() {
        var settings = Settings()
        settings.limits.taskTimeoutDefault = .seconds(600)
        Stage.play(.whole, settings, Self.work + Self.opened("s") + Self.opened("r") + """
            * wait 30s
            s < : heartbeat
            r < : heartbeat
            s leaves
            * wait 30s
            r < : heartbeat
            w > {"type":"task_complete","taskId":"$task","result":[1, 2]}
            w < {"type":"task_ack","taskId":"$task"}
            r < id: 2 | event: task_completed | data: {"type":"task_completed","task_id":"$task","success":true,"timestamp":"$end",\
            "seq":2,"execution_time":60,"result_data":[1, 2]}
            r < end
            """)
    }

    @Test("a server that stops does not wait for streams, and ends them in order")
    func stop() {
        Stage.play(.whole, Self.work + Self.opened("s") + """
            * stop
            s < nothing
            # The task in hand has its time.
            * wait 10s
            s < end
            s < closed
            w < close 1001 server is shutting down
            w sends close 1001
            w < closed
            """)
    }

    @Test("while a stopping server waits for others, streams go on to the end of their task")
    func drain() {
        Stage.play(.whole, Self.work + Self.opened("s") + """
            b > POST /api/openai {"model":"gpt","messages":[]}
            * stop
            s < nothing
            w > {"type":"task_complete","taskId":"$task","result":[1, 2]}
            w < {"type":"task","taskId":"$other","payload":{"model":"gpt","messages":[]}}
            w < {"type":"task_ack","taskId":"$task"}
            s < \(Self.completed(2))
            s < end
            s < closed
            w > {"type":"task_complete","taskId":"$other","result":{}}
            w < {"type":"task_ack","taskId":"$other"}
            w < {"type":"drain"}
            b < 200 {"taskId":"$other","status":"completed","result":{}}
            b < closed
            w < close 1001 server is shutting down
            w sends close 1001
            w < closed
            """)
    }

    @Test("what was missed may be long: it comes whole and once, in chunks of more than one size")
    func long() {
        let stage = Stage()
        stage.register("a", of: "u")
        for _ in 0..<6 { stage.report("a", .log(TaskEvent.Log(logs: SharedBytes(String(repeating: "x", count: 60_000))))) }
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.play("""
            s > GET /api/tasks/a/events [Last-Event-ID: 1]
            s < 200
            s < retry: 2000
            \((2...7).map { "s < \(Self.log("@60000", $0))" }.joined(separator: "\n"))
            s < id: 8 | event: task_completed | data: …
            s < end
            """)
        stage.end()
    }

    // MARK: Who may hear

    private static func registered(_ peer: String, _ token: String) -> String {
        """
        \(peer) > GET /api/tasks/a/events?token=\(token)
        \(peer) < 200
        \(peer) < retry: 2000
        \(peer) < id: 1 | event: current_status | data: {"type":"current_status","task_id":"a","status":"pending",…

        """
    }

    @Test("a stream ends with its token, in order; so does its connection")
    func expiry() throws {
        let stage = Stage(.whole, try Tokens.settings())
        stage.register("a", of: "u")
        // A token counts for half a minute beyond its end.
        stage.play(Self.registered("s", try Tokens.token("u", seconds: -25)) + Self.registered("r", try Tokens.token("u")) + """
            * wait 4s
            s < nothing
            * wait 2s
            s < end
            s < closed
            r < nothing
            * wait 24s
            r < : heartbeat
            """)
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.play("""
            r < id: 2 | event: task_completed | data: …
            r < end
            """)
        stage.end()
    }

    @Test("where a name begins again, whoever may not see the new task hears no more of it: what waited is told, and then the end")
    func strangers() throws {
        var settings = try Tokens.settings()
        settings.limits.conflatedBytesMin = 300
        let stage = Stage(.whole, settings)
        stage.register("a", of: "u")
        stage.play(
            Self.registered("s", try Tokens.token("u")) + Self.registered("slow", try Tokens.token("u"))
                + Self.registered("both", try Tokens.token("v", tasks: ["a"])) + Self.registered("root", try Tokens.token("x", .admin)))
        stage.play("slow stalls")
        for (text, number) in [("@400", 2), ("two", 3)] {
            stage.report("a", .log(TaskEvent.Log(logs: SharedBytes(text == "@400" ? String(repeating: "x", count: 400) : text))))
            for peer in ["s", "both", "root"] { stage.play("\(peer) < id: \(number) | event: task_logs | data: …") }
        }
        stage.begin("a", again: "v")
        stage.play("""
            s < end
            s < closed
            both < nothing
            root < nothing
            slow reads
            slow < id: 2 | event: task_logs | data: …
            slow < id: 3 | event: task_logs | data: …
            slow < end
            slow < closed
            """)
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.play("""
            both < id: 4 | event: task_completed | data: …
            both < end
            root < id: 4 | event: task_completed | data: …
            root < end
            """)
        stage.end()
    }

    // MARK: Who reads too slowly

    private static func slow(_ change: (inout Limits) -> Void = { _ in }) -> Settings {
        var settings = Settings()
        settings.limits.conflatedBytesMin = 300
        settings.limits.waitingLogBytesMax = 0
        change(&settings.limits)
        return settings
    }

    @Test("who does not read gets newest progress, a note of what was left out, and the end; others are not held back")
    func stalls() {
        Stage.play(.whole, Self.slow(), Self.work + Self.opened("s") + Self.opened("r") + """
            s stalls
            w > {"type":"task_logs","taskId":"$task","logs":"@200"}
            r < \(Self.log("@200", 2))
            w > {"type":"task_logs","taskId":"$task","logs":"two"}
            r < \(Self.log("two", 3))
            w > {"type":"task_progress","taskId":"$task","progress":50}
            r < id: 4 | event: task_progress | data: …
            w > {"type":"task_logs","taskId":"$task","logs":"three"}
            r < \(Self.log("three", 5))
            w > {"type":"task_progress","taskId":"$task","progress":60}
            r < id: 6 | event: task_progress | data: …
            w > {"type":"task_complete","taskId":"$task","result":[1, 2]}
            w < {"type":"task_ack","taskId":"$task"}
            r < \(Self.completed(7))
            r < end
            s > GET /healthz
            s reads
            s < \(Self.log("@200", 2))
            s < id: 5 | event: gap | data: {"type":"gap","task_id":"$task","first_seq":3,"last_seq":5,"timestamp":"$now"}
            s < id: 6 | event: task_progress | data: {"type":"task_progress",…
            s < \(Self.completed(7))
            s < end
            s < 200 {"status":"ok"}
            """)
    }

    @Test("a stream of which nothing is read for three heartbeats breaks off")
    func standstill() {
        let stage = Stage(.whole, Self.slow { $0.taskTimeoutDefault = .seconds(600) })
        stage.play(Self.work + Self.opened("s") + """
            s stalls
            w > {"type":"task_logs","taskId":"$task","logs":"@400"}
            * wait 30s
            * wait 30s
            * wait 30s
            s reads
            s < \(Self.log("@400", 2))
            s < closed
            """)
        #expect(stage.network.server.context.metrics.eventStreamsSlow == 1)
        stage.end()
    }

    @Test("a stream for which too much waits breaks off: no last chunk")
    func breaks() {
        let stage = Stage(.whole, Self.slow { $0.queuedBytesMax = 5_000 })
        stage.play(Self.work + Self.opened("s") + """
            s stalls
            w > {"type":"task_logs","taskId":"$task","logs":"@400"}
            w > {"type":"task_complete","taskId":"$task","result":"@6000"}
            w < {"type":"task_ack","taskId":"$task"}
            s reads
            s < \(Self.log("@400", 2))
            s < closed
            """)
        #expect(stage.network.server.context.metrics.eventStreamsSlow == 1)
        stage.end()
    }

    @Test("a server that stops lets a slow reader have the end that it was told before")
    func stopsBehind() {
        let stage = Stage(.whole, Self.slow())
        stage.play(Self.work + Self.opened("s") + """
            s stalls
            w > {"type":"task_logs","taskId":"$task","logs":"@400"}
            w > {"type":"task_progress","taskId":"$task","progress":50}
            w > {"type":"task_complete","taskId":"$task","result":[1, 2]}
            w < {"type":"task_ack","taskId":"$task"}
            * stop
            s reads
            s < \(Self.log("@400", 2))
            s < id: 3 | event: task_progress | data: …
            s < \(Self.completed(4))
            s < end
            s < closed
            w < {"type":"drain"}
            w < close 1001 server is shutting down
            w sends close 1001
            w < closed
            """)
        stage.end()
    }
}

extension Stage {
    /// Says that another stream of the name begins, which is another user's: whatever became of the one before.
    func begin(_ id: String, again user: String) {
        guard let task = TaskID(SharedBytes(id).span) else { return }
        let server = network.server
        let origin = StreamOrigin(task: task, user: SharedBytes(user), project: nil, epoch: 0)
        let publication = Publication(
            number: server.context.broker.hub.number, origin: origin, sequence: 1, at: server.context.moment(network.now).wall,
            event: .queued, state: .queued, progress: 0)
        server.hubClients.screen(publication, at: network.now)
        network.pump()
    }
}
