// Document N's service played: programs that report their own tasks, over HTTP and over one WebSocket, and what they are answered when.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Programs that report their tasks")
struct ProducerTranscripts {
    private static let register = """
        a > POST /api/task/register {"task_id":"t","user_id":1}
        a < 200 {"success":true,"data":{"task_id":"t","seq":1}}

        """

    /// A small bound on what the loop reads itself.
    private static var small: Settings {
        var settings = Settings()
        settings.limits.inlineWorkBytes = 1_000
        return settings
    }

    // MARK: HTTP

    @Test("what was said cannot be unsaid, and is refused the second time", arguments: Chunking.all)
    func refusals(_ chunking: Chunking) {
        Stage.play(chunking, Self.register + """
            a > POST /api/task/register {"task_id":"t","user_id":1}
            a < 409 {"success":false,"error":"Task already registered"}
            a > POST /api/task/task/nobody/started
            a < 404 {"success":false,"error":"Task not found"}
            a > POST /api/task/task/t/completed {"result":1}
            a < 200 {"success":true,"data":{"task_id":"t","seq":2}}
            a > POST /api/task/task/t/completed {"result":1}
            a < 409 {"success":false,"error":"Task already completed"}
            a > POST /api/task/task/t/progress {"progress":1}
            a < 409 {"success":false,"error":"Task already completed"}
            # The name is free again; its numbers go on.
            a > POST /api/task/register {"task_id":"t","user_id":1}
            a < 200 {"success":true,"data":{"task_id":"t","seq":3}}
            """)
    }

    @Test("what cannot be read is refused in words that name it", arguments: Chunking.all)
    func unreadable(_ chunking: Chunking) {
        Stage.play(chunking, Self.register + """
            a > POST /api/task/register {"task_id":"x"}
            a < 400 {"success":false,"error":"Invalid request: user_id required"}
            a > POST /api/task/register {"task_id":"x","user_id":"a\\u0001"}
            a < 400 {"success":false,"error":"Invalid request: user_id must be 1 to 200 bytes of printable text"}
            a > POST /api/task/register {
            a < 400 {"success":false,"error":"$malformed"}
            a > POST /api/task/register
            a < 400 {"success":false,"error":"$empty"}
            a > POST /api/task/task/t/progress
            a < 400 {"success":false,"error":"$empty"}
            a > POST /api/task/task/t/progress {"progress":"half"}
            a < 400 {"success":false,"error":"Invalid request: progress must be a number"}
            a > POST /api/task/events {}
            a < 400 {"success":false,"error":"Invalid request: events required"}
            a > POST /api/task/events []
            a < 400 {"success":false,"error":"Invalid request: a JSON object is expected"}
            a > POST /api/task/events [Content-Type: text/plain] {"events":[]}
            a < 415 {"success":false,"error":"Content-Type must be application/json"}
            a > POST /api/task/task/t/failed
            a < 200 {"success":true,"data":{"task_id":"t","seq":2}}
            """, check: { stage in
                let context = stage.network.server.context
                var page = ByteWriter()
                context.metrics.write(context.broker, context.recorder, queuedBytes: 0, version: "1", to: &page)
                let text = page.seal().description
                #expect(text.contains("\nsignalbox_producer_reports_total 2\n"))
                #expect(text.contains("\nsignalbox_producer_reports_refused_total 8\n"))
            })
    }

    @Test("a task that this server gave to a worker is reported by nobody else", arguments: Chunking.all)
    func dispatched(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            b > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}
            a > POST /api/task/task/$task/completed {"result":1}
            a < 409 {"success":false,"error":"Task is run by a worker of this server"}
            a > POST /api/task/register {"task_id":"$task","user_id":1}
            a < 409 {"success":false,"error":"Task already registered"}
            w > {"type":"task_complete","taskId":"$task","result":2}
            w < {"type":"task_ack","taskId":"$task"}
            b < 200 {"taskId":"$task","status":"completed","result":2}
            """)
    }

    @Test("a batch is answered one verdict an event, in its order; what is wrong with one spoils no other", arguments: Chunking.all)
    func batch(_ chunking: Chunking) {
        Stage.play(chunking, """
            a > POST /api/task/events {"events":[]}
            a < 200 {"success":true,"data":{"verdicts":[]}}
            a > POST /api/task/events {"events":[{"event":"started","task_id":"t"},{"event":"register","task_id":"t","user_id":"1"},5,\
            {"event":"started","task_id":"t","ack":"ignored"},{"event":"sing","task_id":"t"},\
            {"event":"log","task_id":"t","logs":"l"},{"event":"completed","task_id":"t"},{"event":"cancelled","task_id":"t"}]}
            a < 200 {"success":true,"data":{"verdicts":[{"ok":false,"error":"Task not found","status":404},\
            {"ok":true,"task_id":"t","seq":1},\
            {"ok":false,"error":"Invalid request: a JSON object is expected","status":400},{"ok":true,"task_id":"t","seq":2},\
            {"ok":false,"error":"Unknown message type: sing","status":400},{"ok":true,"task_id":"t","seq":3},\
            {"ok":true,"task_id":"t","seq":4},\
            {"ok":false,"error":"Task already completed","status":409}]}}
            """)
    }

    @Test("a large body is read by the pool, and what follows on its connection waits for it", arguments: Chunking.all)
    func largeBodies(_ chunking: Chunking) {
        Stage.play(chunking, Self.small, Self.register + """
            * hold jobs
            a > POST /api/task/task/t/log {"logs":"@2000"}
            a > POST /api/task/events {"events":[{"event":"log","task_id":"t","logs":"@2000"},{"event":"completed","task_id":"t"}]}
            a > POST /api/task/events {"events":7,"x":"@2000"}
            b > POST /api/task/register {"task_id":"u","user_id":1,"metadata":"@2000"}
            c > POST /api/task/events {"events":[@2000
            a < nothing
            * jobs 3
            * job 1
            b < 400 {"success":false,"error":"Invalid request: metadata must be an object"}
            * job 1
            c < 400 {"success":false,"error":"$malformed"}
            * job 0
            a < 200 {"success":true,"data":{"task_id":"t","seq":2}}
            * job 0
            a < 200 {"success":true,"data":{"verdicts":[{"ok":true,"task_id":"t","seq":3},{"ok":true,"task_id":"t","seq":4}]}}
            * job 0
            a < 400 {"success":false,"error":"Invalid request: events must be an array of objects"}
            """)
    }

    // MARK: What is written down

    @Test("an answer waits until what it confirms is written down", arguments: Chunking.all)
    func stored(_ chunking: Chunking) {
        Stage.play(chunking, """
            * hold disk
            a > POST /api/task/register {"task_id":"t","user_id":1}
            b > POST /api/task/events {"events":[{"event":"started","task_id":"t"},{"event":"completed","task_id":"t"}]}
            p upgrades /api/task/ws/producer
            p > [{"event":"register","task_id":"u","user_id":1,"ack":1},{"event":"started","task_id":"nobody","ack":2}]
            p > {"event":"started","task_id":"u","ack":3}
            # A refusal promises nothing.
            c > POST /api/task/task/nobody/started
            c < 404 {"success":false,"error":"Task not found"}
            a < nothing
            b < nothing
            p < nothing
            * commit
            a < 200 {"success":true,"data":{"task_id":"t","seq":1}}
            b < 200 {"success":true,"data":{"verdicts":[{"ok":true,"task_id":"t","seq":2},{"ok":true,"task_id":"t","seq":3}]}}
            p < {"type":"ack","ack":1,"ok":true}
            p < {"type":"ack","ack":2,"ok":false,"error":"Task not found"}
            p < {"type":"ack","ack":3,"ok":true}
            # Nothing is on its way now, and nothing new is to be written.
            c > POST /api/task/register {"task_id":"u","user_id":1}
            c < 409 {"success":false,"error":"Task already registered"}
            p > {"event":"started","task_id":"nobody","ack":4}
            p < {"type":"ack","ack":4,"ok":false,"error":"Task not found"}
            """)
    }

    @Test("a task that cannot be written down is not taken in, nor what was said of it", arguments: Chunking.all)
    func notStored(_ chunking: Chunking) {
        Stage.play(chunking, """
            u upgrades /api/task/ws/task/1
            u < {"type":"connected","connection_id":"$c","message":"WebSocket 连接已建立","timestamp":"$now"}
            u < {"type":"active_tasks","tasks":[],"count":0}
            p upgrades /api/task/ws/producer
            * break disk
            a > POST /api/task/register {"task_id":"a","user_id":2}
            a < 503 {"success":false,"error":"Task could not be stored"}
            b > POST /api/task/events {"events":[{"event":"register","task_id":"b","user_id":2},{"event":"started","task_id":"b"}]}
            b < 200 {"success":true,"data":{"verdicts":[{"ok":false,"error":"Task could not be stored","status":503},\
            {"ok":false,"error":"Task could not be stored","status":503}]}}
            p > [{"event":"register","task_id":"p","user_id":2,"ack":1},{"event":"started","task_id":"p","ack":2}]
            p < {"type":"ack","ack":1,"ok":false,"error":"Task could not be stored"}
            p < {"type":"ack","ack":2,"ok":false,"error":"Task could not be stored"}
            * mend disk
            * wait 2s
            # The name is free: who tries again is heard.
            p > {"event":"register","task_id":"a","user_id":2,"ack":3}
            p < {"type":"ack","ack":3,"ok":true}
            """)
    }

    @Test("a result that cannot be written down yet is answered when it is", arguments: Chunking.all)
    func delayed(_ chunking: Chunking) {
        Stage.play(chunking, Self.register + """
            p upgrades /api/task/ws/producer
            * break disk
            p > {"event":"completed","task_id":"t","result":1,"ack":1}
            p < nothing
            * mend disk
            p < nothing
            * wait 1s
            p < {"type":"ack","ack":1,"ok":true}
            """)
    }

    // MARK: WebSocket

    @Test("events alone and in arrays; only who asks is answered, under the mark that he gave", arguments: Chunking.all)
    func socket(_ chunking: Chunking) {
        Stage.play(chunking, """
            p upgrades /api/task/ws/producer
            p > {"event":"register","task_id":"t","user_id":1}
            p < nothing
            p > {"event":"started","task_id":"t","ack":1.50}
            p < {"type":"ack","ack":1.50,"ok":true}
            p > [{"event":"progress","task_id":"t","progress":5},{"event":"progress","task_id":"t","progress":"x","ack":-2},\
            {"event":"completed","task_id":"t","ack":3},{"event":"completed","task_id":"t"}]
            p < {"type":"ack","ack":-2,"ok":false,"error":"Invalid request: progress must be a number"}
            p < {"type":"ack","ack":3,"ok":true}
            p > []
            p > {"event":"completed","task_id":"t","ack":4}
            p < {"type":"ack","ack":4,"ok":false,"error":"Task already completed"}
            p > {"event":"completed","task_id":"t","ack":"text"}
            p < {"type":"error","error":"Invalid request: ack must be a number"}
            p > {
            p < {"type":"error","error":"$malformed"}
            p sends binary x
            p < {"type":"error","error":"Text messages are expected"}
            p > {"type":"refresh","token":"x"}
            p < {"type":"error","error":"Invalid or expired token"}
            p > {"type":"refresh"}
            p < {"type":"error","error":"Invalid request: token required"}
            p sends close 1000
            p < close 1000
            """)
    }

    @Test("a large message is read by the pool; what follows it keeps its place", arguments: Chunking.all)
    func largeMessages(_ chunking: Chunking) {
        Stage.play(chunking, Self.small, """
            * hold jobs
            p upgrades /api/task/ws/producer
            p > [{"event":"register","task_id":"t","user_id":1,"ack":1},{"event":"log","task_id":"t","logs":"@2000","ack":2}]
            p > {"event":"completed","task_id":"t","ack":3}
            p > {"event":"@2000
            p > {"event":"completed","task_id":"t","ack":4}
            p < nothing
            * job 0
            p < {"type":"ack","ack":1,"ok":true}
            p < {"type":"ack","ack":2,"ok":true}
            p < {"type":"ack","ack":3,"ok":true}
            p < nothing
            * job 0
            p < {"type":"error","error":"$malformed"}
            p < {"type":"ack","ack":4,"ok":false,"error":"Task already completed"}
            """)
    }

    @Test("who sends a large batch and goes is heard all the same, and so is what came behind it")
    func departure() {
        let stage = Stage(.whole, Self.small)
        stage.play(Self.register + """
            * hold jobs
            p upgrades /api/task/ws/producer
            """)
        let logs = String(repeating: "x", count: 2_000)
        let messages = [
            "[{\"event\":\"log\",\"task_id\":\"t\",\"logs\":\"\(logs)\"},{\"event\":\"started\",\"task_id\":\"t\",\"ack\":1}]",
            "{\"event\":\"log\",\"task_id\":\"t\",\"logs\":\"\(logs)\"}", "{\"event\":\"completed\",\"task_id\":\"t\"}",
        ]
        stage.network.send(messages.flatMap { Wire.frame(1, Array($0.utf8)) } + Wire.close(1_000), on: stage.link("p"))
        stage.play("""
            p leaves
            * job 0
            * job 0
            a > POST /api/task/task/t/started
            a < 409 {"success":false,"error":"Task already completed"}
            """)
        stage.end()
    }

    @Test("a program that asks faster than the disk writes is not read until it does")
    func owed() {
        let stage = Stage(.whole)
        stage.play(Self.register + """
            p upgrades /api/task/ws/producer
            * hold disk
            p > {"event":"completed","task_id":"t","ack":1}
            """)
        let refused = (0..<5_001).map { "{\"event\":\"started\",\"task_id\":\"x\",\"ack\":\($0)}" }.joined(separator: ",")
        for _ in 0..<2 { stage.play("p > [\(refused)]") }
        #expect(stage.link("p").unreadBytes == 0)
        stage.play("p > {\"event\":\"started\",\"task_id\":\"x\",\"ack\":2}")
        #expect(stage.link("p").unreadBytes > 0, "it is read although it is owed more than it may be")
        stage.play("""
            * commit
            p < {"type":"ack","ack":1,"ok":true}
            """)
        #expect(stage.link("p").unreadBytes == 0)
        let text = String(decoding: stage.take("p"), as: UTF8.self)
        #expect(text.components(separatedBy: "\"type\":\"ack\"").count == 2 * 5_001 + 1 + 1)
    }

    @Test("a message of too many events is refused whole")
    func tooMany() {
        let events = Array(repeating: "{}", count: 10_001).joined(separator: ",")
        Stage.play(.whole, """
            a > POST /api/task/events {"events":[\(events)]}
            a < 400 {"success":false,"error":"Invalid request: events must be at most 10000 objects"}
            p upgrades /api/task/ws/producer
            p > [\(events)]
            p < {"type":"error","error":"Invalid request: events must be at most 10000 objects"}
            """)
    }

    // MARK: Who may report

    @Test("a publisher or an admin reports; a refreshed token must be one as well", arguments: Chunking.all)
    func permissions(_ chunking: Chunking) throws {
        let publisher = try Tokens.token("p", .publisher, seconds: 60)
        Stage.play(chunking, try Tokens.settings(), """
            a > POST /api/task/events {"events":[]}
            a < 401 {"success":false,"error":"A bearer token is needed"}
            a > POST /api/task/events [Authorization: Bearer \(try Tokens.token("1"))] {"events":[]}
            a < 403 {"success":false,"error":"This needs a token of role publisher"}
            a > POST /api/task/events [Authorization: Bearer \(try Tokens.token("root", .admin))] {"events":[]}
            a < 200 {"success":true,"data":{"verdicts":[]}}
            b > GET /api/task/ws/producer [Upgrade: websocket] [Connection: Upgrade] [Sec-WebSocket-Version: 13] \
            [Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]
            b < 401 {"success":false,"error":"A bearer token is needed"}
            p upgrades /api/task/ws/producer?token=\(publisher)
            p > {"type":"refresh","token":"\(try Tokens.token("q", .publisher))"}
            p < {"type":"error","error":"Invalid or expired token"}
            p > {"type":"refresh","token":"\(try Tokens.token("p", .publisher))"}
            p < {"type":"refreshed"}
            p > {"event":"register","task_id":"t","user_id":1,"ack":1}
            p < {"type":"ack","ack":1,"ok":true}
            p > {"type":"refresh","token":"\(try Tokens.token("p"))"}
            p < close 4003 authentication failed
            """)
    }
}

extension Stage {
    /// Plays a whole conversation and its end, and looks at what came between them.
    fileprivate static func play(_ chunking: Chunking, _ text: String, check: (Stage) -> Void) {
        let stage = Stage(chunking)
        stage.play(text)
        check(stage)
        stage.end()
    }
}
