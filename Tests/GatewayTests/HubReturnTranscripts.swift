// Document P's clients that come back, played: what they are given, what they missed, and every way in which a session may be gone.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Clients of the hub that come back")
struct HubReturnTranscripts {
    /// A client of the name `client` that listens to two tasks, and to one that is not there.
    private static func stage(_ chunking: Chunking = .whole, _ settings: Settings = Settings()) -> Stage {
        let stage = Stage(chunking, settings)
        stage.register("a", of: "u")
        stage.register("b", of: "u")
        stage.play(HubTranscripts.greeting("c", "client", "/api/v1/ws?user_id=u") + """
            c > {"action":"subscribe","task_id":"b"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["b"]}}
            c < \(progress("b", 0, 1, "pending"))
            c > {"action":"subscribe","task_id":"a"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["a","b"]}}
            c < \(progress("a", 0, 1, "pending"))
            c > {"action":"subscribe","task_id":"later"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["a","b","later"]}}
            """)
        return stage
    }

    private static func progress(_ task: String, _ figure: Int, _ sequence: Int, _ status: String = "running") -> String {
        """
        {"type":"progress","task_id":"\(task)","payload":{"task_id":"\(task)","progress":\(figure),\(HubTranscripts.empty),\
        "status":"\(status)","timestamp":"2023-11-14T22:13:20Z","seq":\(sequence)}}
        """
    }

    private static func reconnected(
        _ peer: String, _ new: String, _ old: String, _ subscribed: String = #""a":true,"b":true,"later":true"#, _ more: String = ""
    ) -> String {
        """
        \(peer) < {"type":"reconnected","task_id":"","payload":{"client_id":"$\(new)","old_client_id":"$\(old)",\
        "message":"WebSocket重连成功","subscribed":{\(subscribed)}\(more),"timestamp":"$\(new)at"}}
        """
    }

    private static func end(_ stage: Stage, _ tasks: String...) {
        for task in tasks { stage.report(task, .completed(result: SharedBytes("1"))) }
        for peer in ["c", "d", "e", "f"] { _ = stage.take(peer) }
        stage.end()
    }

    @Test("who comes back hears everything that was missed, in order, none twice; and what comes then", arguments: Chunking.all)
    func whole(_ chunking: Chunking) {
        let stage = Self.stage(chunking)
        stage.progress("a", 10)
        stage.play("c < \(Self.progress("a", 10, 2))\nc leaves")
        stage.progress("a", 20)
        stage.progress("b", 5)
        stage.register("later", of: "u")
        stage.progress("a", 30)
        stage.report("b", .failed(TaskEvent.Fault(error: .plain(SharedBytes("no")))))
        stage.play("""
            d upgrades /api/v1/ws/reconnect?user_id=u&old_client_id=$client
            \(Self.reconnected("d", "new", "client"))
            d < \(Self.progress("a", 20, 3))
            d < \(Self.progress("a", 30, 4))
            d < \(Self.progress("b", 5, 2))
            d < {"type":"status","task_id":"b","payload":{"task_id":"b","status":"failed","error":"no","result":null,\
            "timestamp":"$t","seq":3}}
            d < {"type":"error","task_id":"b","payload":{"execution_id":"b","step_id":"","error":"no","timestamp":"$t","seq":3}}
            d < {"type":"status","task_id":"later","payload":{"task_id":"later","status":"pending","error":"","result":null,\
            "timestamp":"$t","seq":1}}
            d < nothing
            """)
        stage.progress("a", 40)
        stage.play("""
            d < \(Self.progress("a", 40, 5))
            d sends close 1000
            d < close 1000
            e upgrades /api/v1/ws?user_id=u&old_client_id=$new
            \(Self.reconnected("e", "third", "new"))
            e < nothing
            # The name before is nobody's any more.
            f upgrades /api/v1/ws?user_id=u&old_client_id=$client
            f < {"type":"connected","task_id":"","payload":{"client_id":"$fourth","message":"WebSocket连接成功","timestamp":"$t"}}
            f leaves
            """)
        Self.end(stage, "a", "later")
    }

    @Test("a name of somebody else, an unknown one and one that waited too long are alike: the client is new")
    func strangers() {
        let stage = Self.stage()
        func fresh(_ peer: String, _ name: String, _ query: String) {
            stage.play("""
                \(peer) upgrades /api/v1/ws?\(query)
                \(peer) < {"type":"connected","task_id":"","payload":{"client_id":"$\(name)","message":"WebSocket连接成功",\
                "timestamp":"$\(name)at"}}
                \(peer) leaves
                """)
        }
        // Neither does it end the socket that bears it.
        fresh("d", "n1", "user_id=v&old_client_id=$client")
        stage.progress("a", 10)
        stage.play("c < \(Self.progress("a", 10, 2))\nc leaves")
        fresh("d", "n2", "user_id=v&old_client_id=$client")
        fresh("d", "n3", "old_client_id=$client")
        fresh("d", "n4", "user_id=u&old_client_id=client-123456")
        fresh("d", "n5", "user_id=u&old_client_id=client-00000000000000000000000000000000")
        stage.network.wait(.seconds(299))
        stage.play("""
            d upgrades /api/v1/ws?user_id=u&old_client_id=$client
            \(Self.reconnected("d", "n6", "client"))
            d leaves
            """)
        stage.network.wait(.seconds(300))
        fresh("d", "n7", "user_id=u&old_client_id=$n6")
        fresh("d", "n8", "user_id=u&old_client_id=$client")
        Self.end(stage, "a", "b")
    }

    @Test("a socket that is dead and not known to be is replaced by the next one")
    func takeover() {
        let stage = Self.stage()
        stage.progress("a", 10)
        stage.play("""
            d upgrades /api/v1/ws?user_id=u&old_client_id=$client
            \(Self.reconnected("d", "new", "client"))
            d < nothing
            c < \(Self.progress("a", 10, 2))
            c < close 4001 another connection took over the session
            c leaves
            """)
        stage.progress("a", 20)
        stage.play("""
            d < \(Self.progress("a", 20, 3))
            a > GET /api/v1/progress/active
            a < 200 {"connected_clients":1,"by_user":{"u":1},"by_project":{}}
            """)
        Self.end(stage, "a", "b")
    }

    @Test("a greeting that got lost with its socket: the client comes with the old name again, and all is there", arguments: [true, false])
    func lostGreeting(_ isNoticed: Bool) {
        let stage = Self.stage()
        stage.play("c leaves")
        stage.progress("a", 10)
        stage.play("""
            d upgrades /api/v1/ws?user_id=u&old_client_id=$client
            d > {"type":"ping"}
            """)
        stage.progress("a", 20)
        _ = stage.take("d")
        if isNoticed { stage.play("d leaves") }
        stage.progress("a", 30)
        stage.play("""
            e upgrades /api/v1/ws?user_id=u&old_client_id=$client
            \(Self.reconnected("e", "new", "client"))
            e < \(Self.progress("a", 10, 2))
            e < \(Self.progress("a", 20, 3))
            e < \(Self.progress("a", 30, 4))
            e < nothing
            """)
        stage.progress("a", 40)
        stage.play("e < \(Self.progress("a", 40, 5))")
        #expect(stage.network.server.context.broker.hub.subscriberCount == 1)
        Self.end(stage, "a", "b")
    }

    @Test("where the client says it is goes before where the server believes it to be; beyond the stream nobody is")
    func claimed() {
        let stage = Self.stage()
        for step in 1...4 { stage.progress("a", Double(step)) }
        _ = stage.take("c")
        stage.play("c leaves")
        stage.progress("a", 5)
        stage.play("""
            d upgrades /api/v1/ws?user_id=u&old_client_id=$client&last_seq=a:4,b:99,foreign:1
            \(Self.reconnected("d", "new", "client"))
            d < \(Self.progress("a", 4, 5))
            d < \(Self.progress("a", 5, 6))
            d < nothing
            d leaves
            e upgrades /api/v1/ws?user_id=u&old_client_id=$new&last_seq=a%3A6%2Clater%3A0
            \(Self.reconnected("e", "third", "new"))
            e < nothing
            """)
        stage.progress("b", 1)
        stage.play("e < \(Self.progress("b", 1, 2))")
        Self.end(stage, "a", "b")
    }

    @Test("who got the picture of a task that had ended, and not its end, is told the end; who got it is not")
    func pictureAlone() {
        let stage = Self.stage()
        stage.report("a", .completed(result: SharedBytes("7")))
        _ = stage.take("c")
        let over = """
            {"type":"status","task_id":"a","payload":{"task_id":"a","status":"completed","error":"","result":7,"timestamp":"$t","seq":2}}
            """
        stage.play(HubTranscripts.greeting("d", "second", "/api/v1/ws?user_id=u") + """
            d > {"action":"subscribe","task_id":"a"}
            d < {"type":"subscribed","task_id":"","payload":{"topics":["a"]}}
            d < \(Self.progress("a", 100, 1, "completed"))
            d < \(over)
            d leaves
            e upgrades /api/v1/ws?user_id=u&old_client_id=$second&last_seq=a:1
            \(Self.reconnected("e", "third", "second", #""a":true"#))
            e < \(over)
            e leaves
            f upgrades /api/v1/ws?user_id=u&old_client_id=$third&last_seq=a:2
            \(Self.reconnected("f", "fourth", "third", #""a":true"#))
            f < nothing
            """)
        Self.end(stage, "b")
    }

    @Test("what happens while the client comes back comes once")
    func between() {
        let stage = Self.stage()
        stage.play("c leaves")
        let id = TaskID(SharedBytes("a").span)
        stage.act { broker, now in
            guard let id else { return }
            _ = try broker.report(.progress(TaskEvent.Progress(reported: 1)), of: id, at: now)
            _ = try broker.report(.progress(TaskEvent.Progress(reported: 2)), of: id, at: now)
            // Both are numbered and not delivered yet.
            stage.play("""
                d upgrades /api/v1/ws?user_id=u&old_client_id=$client
                \(Self.reconnected("d", "new", "client"))
                d < \(Self.progress("a", 1, 2))
                d < \(Self.progress("a", 2, 3))
                d < nothing
                """)
            _ = try broker.report(.progress(TaskEvent.Progress(reported: 3)), of: id, at: now)
            stage.play("""
                e upgrades /api/v1/ws?user_id=u&old_client_id=$new
                \(Self.reconnected("e", "third", "new"))
                e < \(Self.progress("a", 3, 4))
                e < nothing
                d < close 4001 another connection took over the session
                d leaves
                """)
        }
        stage.play("e < nothing")
        Self.end(stage, "a", "b")
    }

    @Test("what no longer is held is told as lost, and how the task stands")
    func lost() {
        var settings = Settings()
        settings.limits.historyLengthMax = 3
        settings.limits.replayEventsMax = 5
        let stage = Self.stage(.whole, settings)
        stage.play("c leaves")
        for step in 1...20 { stage.progress("a", Double(step)) }
        stage.progress("b", 1)
        stage.play("""
            d upgrades /api/v1/ws?user_id=u&old_client_id=$client
            \(Self.reconnected("d", "new", "client", #""a":true,"b":true,"later":true"#, #","recovered":{"a":false}"#))
            d < \(Self.progress("a", 20, 21))
            d < \(Self.progress("b", 1, 2))
            d < nothing
            """)
        stage.progress("a", 30)
        stage.play("d < \(Self.progress("a", 30, 22))\nd leaves")
        // A task that ended unheard and is forgotten is lost; one whose end was told is not.
        stage.play("""
            e upgrades /api/v1/ws?user_id=u&old_client_id=$new
            \(Self.reconnected("e", "third", "new"))
            """)
        stage.report("b", .cancelled(reason: nil))
        _ = stage.take("e")
        stage.play("e leaves")
        stage.report("a", .cancelled(reason: nil))
        stage.act { broker, now in
            for name in ["a", "b"] {
                if let id = TaskID(SharedBytes(name).span) { _ = broker.remove(id, at: now) }
            }
        }
        stage.play("""
            f upgrades /api/v1/ws?user_id=u&old_client_id=$third
            \(Self.reconnected("f", "fourth", "third", #""a":true,"b":true,"later":true"#, #","recovered":{"a":false}"#))
            f < nothing
            """)
        Self.end(stage)
    }

    @Test("what did not go out any more is told when the client comes back")
    func unsent() {
        let stage = Self.stage()
        stage.progress("a", 1)
        stage.play("c < \(Self.progress("a", 1, 2))\nc stalls")
        stage.progress("a", 2)
        stage.progress("b", 1)
        stage.play("""
            c > {"action":"unsubscribe","task_id":"later"}
            c leaves
            d upgrades /api/v1/ws?user_id=u&old_client_id=$client
            \(Self.reconnected("d", "new", "client", #""a":true,"b":true"#))
            d < \(Self.progress("a", 2, 3))
            d < \(Self.progress("b", 1, 2))
            d < nothing
            d stalls
            """)
        stage.register("new-one", of: "u")
        // A picture that did not go out is given anew.
        stage.play("""
            d > {"action":"subscribe","task_id":"new-one"}
            d leaves
            e upgrades /api/v1/ws?user_id=u&old_client_id=$new
            \(Self.reconnected("e", "third", "new", #""a":true,"b":true,"new-one":true"#, #","recovered":{"new-one":false}"#))
            e < \(Self.progress("new-one", 0, 1, "pending"))
            e < nothing
            """)
        Self.end(stage, "a", "b", "new-one")
    }

    @Test("a socket that the server closes is told nothing more: what happens until it is gone is missed, and told later")
    func closing() {
        var settings = HubTranscripts.open
        settings.limits.pingInterval = .seconds(10)
        let stage = Self.stage(.whole, settings)
        stage.network.wait(.seconds(10))
        stage.play("c < ping\nc stalls")
        stage.network.wait(.seconds(10))
        // The close frame waits in the queue.
        stage.progress("a", 1)
        stage.play("""
            c reads
            c < close 1008 no answer to pings
            d upgrades /api/v1/ws?user_id=u&old_client_id=$client
            """)
        stage.play("""
            \(Self.reconnected("d", "new", "client"))
            d < {"type":"progress","task_id":"a","payload":{"task_id":"a","progress":1,\(HubTranscripts.empty),"status":"running",\
            "timestamp":"$t1","seq":2}}
            d < nothing
            """)
        Self.end(stage, "a", "b")
    }
}
