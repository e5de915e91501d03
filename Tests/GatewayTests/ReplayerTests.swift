// Goal: what memory does not hold any more comes out of the journal, whole and in order, or not at all; whoever waits for it is told
// nothing else meanwhile, and may go.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Replayer")
struct ReplayerTests {
    static func settings(_ change: (inout Limits) -> Void = { _ in }) -> Settings {
        var settings = Settings()
        settings.limits.historyLengthMax = 5
        change(&settings.limits)
        return settings
    }

    private static let listening = HubTranscripts.greeting("c", "client") + """
        c > {"action":"subscribe","task_id":"a"}
        c < {"type":"subscribed","task_id":"","payload":{"topics":["a"]}}
        c < \(progress(1))
        c leaves
        """

    static func figure(_ number: Int) -> Int { number % 101 }

    /// The message of a step.
    private static func progress(_ number: Int) -> String {
        """
        {"type":"progress","task_id":"a","payload":{"task_id":"a","progress":\(figure(number)),\(HubTranscripts.empty),"status":"running",\
        "timestamp":"2023-11-14T22:13:20Z","seq":\(number + 1)}}
        """
    }

    static func steps(_ numbers: ClosedRange<Int>, _ stage: Stage) {
        for number in numbers { stage.progress("a", Double(figure(number))) }
    }

    private static func hears(_ peer: String, _ numbers: ClosedRange<Int>, _ stage: Stage) {
        stage.play(numbers.map { "\(peer) < \(progress($0))" }.joined(separator: "\n"))
    }

    private static func reconnected(_ peer: String, _ stage: Stage, _ old: String = "client", recovered: Bool = true) {
        stage.play("""
            \(peer) < {"type":"reconnected","task_id":"","payload":{"client_id":"$\(peer)id","old_client_id":"$\(old)",\
            "message":"WebSocket重连成功","subscribed":{"a":true}\(recovered ? "" : #","recovered":{"a":false}"#),"timestamp":"$t"}}
            """)
    }

    private static func end(_ stage: Stage) {
        stage.report("a", .completed(result: SharedBytes("1")))
        for peer in ["c", "d", "e", "g"] { _ = stage.take(peer) }
        stage.end()
    }

    static func stage(_ chunking: Chunking = .whole, _ settings: Settings) -> Stage {
        let stage = Stage(chunking, settings)
        stage.register("a", of: "u")
        stage.progress("a", 1)
        stage.play(listening)
        return stage
    }

    @Test("a client that missed more than memory holds is told all of it", arguments: Chunking.all)
    func whole(_ chunking: Chunking) {
        let stage = Self.stage(chunking, Self.settings())
        Self.steps(2...50, stage)
        stage.play("d upgrades /api/v1/ws?old_client_id=$client")
        Self.reconnected("d", stage)
        Self.hears("d", 2...50, stage)
        Self.steps(51...52, stage)
        Self.hears("d", 51...52, stage)
        Self.end(stage)
    }

    @Test("while the journal is read the client is told nothing, its messages wait, and what happens comes in its place")
    func waiting() {
        let stage = Self.stage(.whole, Self.settings())
        Self.steps(2...20, stage)
        stage.play("""
            * hold disk
            d upgrades /api/v1/ws?old_client_id=$client
            d > {"action":"ping"}
            d < nothing
            """)
        Self.steps(21...40, stage)
        stage.play("""
            d < nothing
            * commit
            """)
        Self.reconnected("d", stage)
        Self.hears("d", 2...40, stage)
        stage.play("""
            d < {"type":"pong","task_id":"","payload":{"timestamp":1700000000}}
            d < nothing
            """)
        Self.steps(41...41, stage)
        Self.hears("d", 41...41, stage)
        stage.play("* commit")
        Self.end(stage)
    }

    @Test("what memory held when the client came, and holds no more when the rest has been read, is read as well")
    func outrun() {
        let stage = Stage(.whole, Self.settings())
        for task in ["a", "b"] {
            stage.register(task, of: "u")
            stage.progress(task, 1)
        }
        stage.play(HubTranscripts.greeting("c", "client") + """
            c > {"action":"subscribe","task_id":"a"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["a"]}}
            c < \(Self.progress(1))
            c > {"action":"subscribe","task_id":"b"}
            c < {"type":"subscribed","task_id":"","payload":{"topics":["a","b"]}}
            c < {"type":"progress","task_id":"b",…
            c leaves
            """)
        Self.steps(2...20, stage)
        stage.progress("b", 2)
        stage.play("""
            * hold disk
            d upgrades /api/v1/ws?old_client_id=$client
            d < nothing
            """)
        for number in 3...9 { stage.progress("b", Double(number)) }
        stage.play("""
            * commit
            d < nothing
            * commit
            d < {"type":"reconnected","task_id":"","payload":{"client_id":"$new","old_client_id":"$client","message":"WebSocket重连成功",\
            "subscribed":{"a":true,"b":true},"timestamp":"$t"}}
            """)
        Self.hears("d", 2...20, stage)
        stage.play((2...9).map { "d < {\"type\":\"progress\",\"task_id\":\"b\",\"payload\":{\"task_id\":\"b\",\"progress\":\($0),…" }
            .joined(separator: "\n"))
        stage.report("b", .completed(result: SharedBytes("1")))
        Self.end(stage)
    }

    @Test("what comes in one piece with the handshake waits as well")
    func pipelined() {
        let stage = Self.stage(.whole, Self.settings())
        Self.steps(2...20, stage)
        stage.play("* hold disk")
        let head = "GET /api/v1/ws?old_client_id=\(stage.bindings["client"] ?? "") HTTP/1.1\r\nHost: signalbox.test\r\n"
        let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        let ping = Wire.frame(1, Array(#"{"type":"ping"}"#.utf8))
        let link = stage.network.open()
        stage.network.send(Array((head + fields + key).utf8) + ping, on: link)
        var output = link.takeOutput()
        #expect((try? Wire.reply(&output, isHead: false))?.status == 101)
        #expect(output.isEmpty)
        stage.play("* commit")
        output = link.takeOutput()
        var heard: [String] = []
        while let frame = try? Wire.frame(&output) { heard.append(String(decoding: frame.payload, as: UTF8.self)) }
        #expect(heard.count == 21)
        #expect(heard.first?.hasPrefix(#"{"type":"reconnected""#) == true)
        #expect(heard.last?.hasPrefix(#"{"type":"pong""#) == true)
        stage.network.leave(link)
        stage.play("* commit")
        stage.play("* mend disk")
        Self.end(stage)
    }

    @Test("a client that goes while it waits may come again")
    func leaving() {
        let stage = Self.stage(.whole, Self.settings())
        Self.steps(2...20, stage)
        stage.play("""
            * hold disk
            d upgrades /api/v1/ws?old_client_id=$client
            d leaves
            * commit
            e upgrades /api/v1/ws?old_client_id=$client
            * commit
            """)
        Self.reconnected("e", stage)
        Self.hears("e", 2...20, stage)
        Self.end(stage)
    }

    @Test("a session that is over when the journal has answered is gone: the client is new")
    func overtaken() {
        let stage = Self.stage(.whole, Self.settings { $0.sessionResumeTime = .seconds(20) })
        Self.steps(2...20, stage)
        stage.play("""
            * hold disk
            d upgrades /api/v1/ws?old_client_id=$client
            * wait 20s
            * commit
            d < {"type":"connected","task_id":"","payload":{"client_id":"$did","message":"WebSocket连接成功","timestamp":"$t"}}
            d < nothing
            """)
        Self.end(stage)
    }

    @Test("two sockets that come with one name: the later one has it")
    func twice() {
        let stage = Self.stage(.whole, Self.settings())
        Self.steps(2...20, stage)
        stage.play("""
            * hold disk
            d upgrades /api/v1/ws?old_client_id=$client
            e upgrades /api/v1/ws?old_client_id=$client
            * commit
            """)
        Self.reconnected("e", stage)
        Self.hears("e", 2...20, stage)
        stage.play("d < closed")
        Self.end(stage)
    }

    @Test("what the journal cannot tell is lost: it fails, it has a gap, it would be too much", arguments: 0..<4)
    func lost(_ reason: Int) {
        let stage = Self.stage(.whole, Self.settings { limits in
            if reason == 0 { limits.replayEventsMax = 10 }
            if reason == 1 { limits.replayBytesMax = 500 }
        })
        if reason == 2 { stage.play("* break disk") }
        Self.steps(2...10, stage)
        stage.play("* mend disk")
        Self.steps(11...20, stage)
        if reason == 3 { stage.play("* break disk") }
        stage.play("d upgrades /api/v1/ws?old_client_id=$client")
        stage.play("* mend disk")
        Self.reconnected("d", stage, recovered: false)
        Self.hears("d", 20...20, stage)
        stage.play("d < nothing")
        Self.steps(21...21, stage)
        Self.hears("d", 21...21, stage)
        Self.end(stage)
    }

    @Test("pages are read one after the other, and watchers one after the other where there are many")
    func pages() {
        let stage = Self.stage(.whole, Self.settings { $0.replaysMax = 1 })
        for name in ["e", "f"] {
            stage.play("""
                \(name) upgrades /api/v1/ws
                \(name) < {"type":"connected","task_id":"","payload":{"client_id":"$\(name)id","message":"WebSocket连接成功","timestamp":"$t"}}
                \(name) > {"action":"subscribe","task_id":"a"}
                \(name) < {"type":"subscribed","task_id":"","payload":{"topics":["a"]}}
                \(name) < \(Self.progress(1))
                \(name) leaves
                """)
        }
        Self.steps(2...2_500, stage)
        stage.play("""
            * hold disk
            c upgrades /api/v1/ws?old_client_id=$client
            e upgrades /api/v1/ws?old_client_id=$eid
            f upgrades /api/v1/ws?old_client_id=$fid
            f leaves
            """)
        // The first page is answered; until the last one is, more happens than memory holds.
        for round in 0..<8 {
            stage.play("* commit")
            if round == 1 { Self.steps(2_501...2_520, stage) }
        }
        for (peer, old) in [("c", "client"), ("e", "eid")] {
            stage.play("""
                \(peer) < {"type":"reconnected","task_id":"","payload":{"client_id":"$\(peer)new","old_client_id":"$\(old)",\
                "message":"WebSocket重连成功","subscribed":{"a":true},"timestamp":"$t"}}
                """)
            Self.hears(peer, 2...2_520, stage)
        }
        stage.play("* mend disk")
        Self.end(stage)
    }

    @Test("a watcher of one task is told what the journal knows, then what comes; or how the task stands")
    func taskWatcher() {
        func greeted(_ peer: String, _ sequence: Int) -> String {
            """
            \(peer) < {"type":"connection_established","connection_id":"$\(peer)id","task_id":"a","timestamp":"$gt",\
            "message":"WebSocket connection established"}
            \(peer) < {"type":"current_status","task_id":"a","status":"running","message":"Current task status: running",\
            "progress":\(sequence - 1),"created_at":"$gt","started_at":"$gt","provider":null,"priority":"normal","timestamp":"$gt",\
            "seq":\(sequence)}
            """
        }
        func told(_ peer: String, _ numbers: ClosedRange<Int>) -> String {
            numbers.map {
                """
                \(peer) < {"type":"task_progress","task_id":"a","progress":\($0),"message":"Task progress updated to \($0)%",\
                "timestamp":"$gt","seq":\($0 + 1),"step_info":{"worker_progress":\($0)}}
                """
            }.joined(separator: "\n")
        }
        let stage = Self.stage(.whole, Self.settings())
        Self.steps(2...20, stage)
        stage.play("""
            g upgrades /api/gpu/tasks/a/ws?last_seq=2
            \(greeted("g", 21))
            \(told("g", 2...20))
            g < nothing
            * hold disk
            d upgrades /api/gpu/tasks/a/ws?last_seq=2
            d > {"type":"ping"}
            d < nothing
            """)
        Self.steps(21...22, stage)
        stage.play("""
            * commit
            \(greeted("d", 23))
            \(told("d", 2...22))
            d < {"type":"pong","timestamp":"$gt"}
            e upgrades /api/gpu/tasks/a/ws?last_seq=2
            e leaves
            * commit
            * break disk
            e upgrades /api/gpu/tasks/a/ws?last_seq=2
            \(greeted("e", 23))
            e < nothing
            * mend disk
            """)
        stage.play(told("g", 21...22))
        Self.end(stage)
    }

    @Test("a watcher of a name that is another user's task when the journal has answered is told nothing of it")
    func replaced() throws {
        var settings = try Tokens.settings()
        settings.limits.historyLengthMax = 5
        let stage = Stage(.whole, settings)
        stage.register("a", of: "u")
        Self.steps(1...20, stage)
        stage.play("""
            * hold disk
            g upgrades /api/gpu/tasks/a/ws?token=\(try Tokens.token("u"))&last_seq=2
            """)
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.register("a", of: "v")
        stage.play("""
            * commit
            g < close 4004 task not found or access denied
            * mend disk
            """)
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.end()
    }
}
