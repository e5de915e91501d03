// Limits that no one message breaks: how much comes in a second, how much is unfinished, how much memory there is. What is tested is what
// the peer hears, what is counted, and that nobody else loses anything.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Limits of pace, input and memory")
struct LimitTranscripts {
    private static func settings(_ change: (inout Limits) -> Void) -> Settings {
        var settings = Settings(echoPath: SharedBytes("/echo"))
        change(&settings.limits)
        return settings
    }

    private static let work = """
        w upgrades /ws
        w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
        w > {"type":"ready","concurrency":8}

        """

    private static let watch = """
        a > POST /api/gpu/tasks {"data":{"n":1}}
        a < 200 {"task_id":"$task","status":"running","progress":20,"created_at":"$t","started_at":"$t","provider":null,\
        "priority":"normal","seq":1}
        w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}
        g upgrades /api/gpu/tasks/$task/ws
        g < {"type":"connection_established",…
        g < {"type":"current_status",…

        """

    private func count(_ bound: Bound, _ stage: Stage) -> Int { Int(stage.network.server.context.metrics.bounds[bound]) }

    // MARK: Pace

    @Test("a watcher that sends too much in a second is closed, with messages as with pings", arguments: Chunking.all)
    func watcherTooFast(_ chunking: Chunking) {
        for kind in ["> {\"type\":\"ping\"}", "sends ping x", "sends pong x", "sends binary x"] {
            let stage = Stage(chunking, Self.settings {
                $0.messagesPerSecondMax = 2
                $0.messageBurstMax = 3
            })
            stage.play(Self.work + Self.watch)
            for _ in 0..<3 { stage.play("g \(kind)") }
            _ = stage.take("g")
            #expect(count(.messagesPerSecond, stage) == 0)
            // Half a second earns one more.
            stage.play("* wait 500ms\ng \(kind)")
            _ = stage.take("g")
            #expect(count(.messagesPerSecond, stage) == 0)
            stage.play("""
                g \(kind)
                g \(kind)
                g < close 1008 too many messages in a second
                """)
            #expect(count(.messagesPerSecond, stage) == 1)
            stage.end()
        }
    }

    @Test("what came behind the message that was one too many is not heard")
    func nothingBehind() {
        let stage = Stage(.whole, Self.settings {
            $0.messagesPerSecondMax = 1
            $0.messageBurstMax = 1
        })
        stage.play(Self.work + Self.watch)
        let ping = Wire.frame(1, Array(#"{"type":"ping"}"#.utf8))
        stage.network.send(Array(repeatElement(ping, count: 20).joined()), on: stage.link("g"))
        stage.play("""
            g < {"type":"pong"…
            g < close 1008 too many messages in a second
            """)
        stage.end()
    }

    @Test("a worker that sends faster than it may waits, and all it said is heard in order", arguments: [Chunking.whole])
    func workerWaits(_ chunking: Chunking) throws {
        let stage = Stage(chunking, Self.settings { $0.workerMessagesPerSecondMax = 10 })
        stage.play(Self.work + Self.watch)
        var bytes: [UInt8] = []
        for n in 1...40 {
            bytes += Wire.frame(1, Array(stage.bindings.fill(#"{"type":"task_progress","taskId":"$task","progress":\#(n)}"#).utf8))
        }
        stage.network.send(bytes, on: stage.link("w"), chunking)
        func heard() throws -> [String] {
            var bytes = stage.take("g")
            var texts: [String] = []
            while let frame = try Wire.frame(&bytes) { texts.append(try Wire.describe(frame, nil)) }
            return texts
        }
        var all = try heard()
        #expect(all.count < 12)
        #expect(count(.messagesPerSecond, stage) == 1)
        stage.network.wait(.seconds(1))
        all += try heard()
        #expect((15...25).contains(all.count), "\(all.count) in a second")
        stage.network.wait(.seconds(4))
        all += try heard()
        #expect(all.filter { $0.contains("\"progress\"") }.count == 40)
        stage.play("""
            w > {"type":"task_complete","taskId":"$task","result":{"ok":true}}
            * wait 1s
            g < {"type":"task_completed"…
            """)
    }

    @Test("what a worker said in time is heard although it broke off while it had to wait")
    func workerBreaksOff() throws {
        let stage = Stage(.whole, Self.settings { $0.workerMessagesPerSecondMax = 1 })
        stage.play(Self.work + Self.watch)
        _ = stage.take("g")
        let texts = [#"{"type":"ping"}"#, #"{"type":"ping"}"#, #"{"type":"task_complete","taskId":"$task","result":{"ok":1}}"#]
        let bytes = texts.flatMap { Wire.frame(1, Array(stage.bindings.fill($0).utf8)) }
        stage.network.send(bytes, on: stage.link("w"))
        #expect(stage.take("g").isEmpty)
        stage.network.leave(stage.link("w"), .broken(errno: 104))
        let heard = String(decoding: stage.take("g"), as: UTF8.self)
        #expect(heard.contains("task_completed") || heard.contains("\"completed\""), "\(heard)")
    }

    @Test("requests that come faster than they may are answered later, each of them, in order")
    func requestsWait() throws {
        let stage = Stage(.whole, Self.settings { $0.requestsPerSecondMax = 5 })
        let request = Stage.request("GET /healthz").bytes
        stage.network.send(Array(repeatElement(request, count: 12).joined()), on: stage.link("a"))
        func answers() throws -> Int {
            var bytes = stage.take("a")
            var count = 0
            while let reply = try Wire.reply(&bytes, isHead: false) {
                #expect(reply.status == 200)
                count += 1
            }
            return count
        }
        var all = try answers()
        #expect(all == 5)
        stage.network.wait(.seconds(1))
        all += try answers()
        #expect((9...11).contains(all), "\(all)")
        stage.network.wait(.seconds(1))
        all += try answers()
        #expect(all == 12)
        #expect(count(.requestsPerSecond, stage) > 0)
        stage.end()
    }

    // MARK: Unfinished input

    @Test("who asks for more than there is room for unfinished input is refused; what it held is free again")
    func inputMemory() throws {
        let stage = Stage(.whole, Self.settings {
            $0.bodyBytesMax = 8_000
            $0.messageBytesMax = 8_000
            $0.inputMemoryBytesMax = 10_000
        })
        let context = stage.network.server.context
        let body = [UInt8](repeating: UInt8(ascii: "x"), count: 6_000)
        let head = "POST /api/openai HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 7000\r\n\r\n"
        stage.network.send(Array(head.utf8) + body, on: stage.link("a"))
        #expect(context.inputBytes == 6_000)
        stage.play("e upgrades /echo")
        stage.network.send(Wire.frame(1, Array(body.prefix(3_000)), isFinal: false), on: stage.link("e"))
        #expect(context.inputBytes == 9_000)
        stage.network.send(Array(head.utf8) + body, on: stage.link("b"))
        stage.play(#"""
            b < 503 [Retry-After: 5] [Connection: close] {"error":"Too much unfinished input on this server"}
            b < closed
            """#)
        #expect(context.inputBytes == 9_000 && count(.inputMemory, stage) == 1)
        stage.network.send(Wire.frame(0, Array(body.prefix(2_000)), isFinal: false), on: stage.link("e"))
        stage.play("""
            e < close 1013 too much unfinished input on this server
            """)
        #expect(context.inputBytes == 6_000 && count(.inputMemory, stage) == 2)
        // Whoever is done gives its room back.
        stage.network.send(Array(body.prefix(1_000)), on: stage.link("a"))
        #expect(context.inputBytes == 0)
        _ = stage.take("a")
        stage.network.send(Array(head.utf8) + body, on: stage.link("c"))
        #expect(context.inputBytes == 6_000)
        stage.network.leave(stage.link("c"))
        #expect(context.inputBytes == 0)
    }

    @Test("a body that came fast and stops is as late as one that came slowly")
    func stalledBody() {
        let stage = Stage(.whole, Self.settings { $0.headTimeout = .seconds(10) })
        let head = "POST /api/openai HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n"
        stage.network.send(Array(head.utf8) + [UInt8](repeating: 32, count: 4_000_000), on: stage.link("a"))
        stage.play("""
            * wait 11s
            a < nothing
            * wait 10s
            a < 408 {"error":"The request took too long to arrive."}
            a < closed
            """)
        stage.end()
    }

    @Test("a message that begins and stands still is ended, whatever pings go on; one that comes on is not")
    func dawdling() {
        let stage = Stage(.whole, Self.settings { $0.pingInterval = .seconds(10) })
        stage.play("""
            slow upgrades /echo
            slow sends begin abc
            steady upgrades /echo
            steady sends begin abc
            """)
        for _ in 0..<12 {
            stage.play("* wait 2s\nslow sends ping x\nslow < pong x")
            stage.network.send(Wire.frame(0, [UInt8](repeating: 65, count: 4_000), isFinal: false), on: stage.link("steady"))
        }
        stage.play("""
            * wait 9s
            slow < close 1008 a message came too slowly
            """)
        #expect(count(.messageTime, stage) == 1)
        stage.network.send(Wire.frame(0, [65]), on: stage.link("steady"))
        #expect(stage.take("steady").count > 40_000)
    }

    // MARK: Memory

    @Test("short of memory: newcomers and new tasks are refused, who works or looks after the server is not, and then all is well")
    func shortOfMemory() {
        let stage = Stage(.whole, Self.settings { $0.memoryHighBytes = 1_000 })
        stage.play(Self.work + Self.watch)
        stage.play("old > GET /readyz\nold < 200 {\"status\":\"ready\"}")
        stage.network.server.memory(inUse: 1_000, at: stage.network.now)
        stage.play(#"""
            old > GET /readyz
            old < 503 {"status":"short of memory"}
            new > GET /readyz
            new < 503 {"status":"short of memory"}
            live > GET /healthz
            live < 200 {"status":"ok"}
            late > GET /api/task/x
            late < 503 [Retry-After: 5] [Connection: close] {"error":"Server is short of memory"}
            late < closed
            seen > GET /api/task/x
            seen < 503 [Retry-After: 5] {"error":"Server is short of memory"}
            seen < closed
            old > POST /api/openai {"data":{}}
            old < 503 [Retry-After: 5] {"error":"Server is short of memory"}
            old < closed
            v upgrades /ws
            v < {"type":"connected","workerId":"$other","message":"Connected to Task Dispatcher"}
            w > {"type":"task_complete","taskId":"$task","result":{"ok":true}}
            g < {"type":"task_completed"…
            """#)
        #expect(count(.memoryConnections, stage) == 2 && count(.memoryTasks, stage) == 1)
        stage.network.server.memory(inUse: 899, at: stage.network.now)
        stage.play("last > GET /readyz\nlast < 200 {\"status\":\"ready\"}")
        #expect(stage.network.server.context.sparedOpen == 2)
    }

    @Test("only so many newcomers are let in to ask; the others are turned away before they say anything")
    func spared() {
        let stage = Stage(.whole, Self.settings { $0.memoryHighBytes = 1_000 })
        stage.network.server.memory(inUse: 1_000, at: stage.network.now)
        for number in 0..<64 {
            #expect(!stage.network.server.refusesConnections)
            _ = stage.link("p\(number)")
        }
        #expect(stage.network.server.refusesConnections)
        stage.network.leave(stage.link("p7"))
        #expect(!stage.network.server.refusesConnections)
        _ = stage.link("q")
        stage.network.server.memory(inUse: 10, at: stage.network.now)
        #expect(!stage.network.server.refusesConnections)
    }

    @Test("who reads slowest is given up first, hears why and may come back; who reads on stays, and so does a worker")
    func slowest() throws {
        let stage = Stage(.whole, Self.settings {
            $0.memoryHighBytes = 1_000_000
            $0.memoryPatience = .seconds(1)
        })
        stage.play(Self.work + Self.watch)
        for name in ["slow", "slower", "quick"] {
            stage.play("""
                \(name) upgrades /api/gpu/tasks/$task/ws
                \(name) < {"type":"connection_established",…
                \(name) < {"type":"current_status",…
                """)
        }
        stage.play("slow stalls\nslower stalls\nw stalls")
        let text = String(repeating: "l", count: 10_000)
        let line = stage.bindings.fill(#"{"type":"task_logs","taskId":"$task","logs":"\#(text)"}"#)
        for n in 0..<30 {
            if n == 20 { stage.play("slow reads\nslow stalls") }
            stage.network.send(Wire.frame(1, Array(line.utf8)), on: stage.link("w"))
        }
        _ = stage.take("quick")
        let server = stage.network.server
        let (slow, slower) = (stage.link("slow"), stage.link("slower"))
        func held(_ link: FakeNetwork.Link) -> Int {
            guard case .webSocket(let conversation) = server.context.conversation(link.id) else { return 0 }
            return server.sender.held(for: conversation)
        }
        #expect(held(slow) > 90_000 && held(slower) > 290_000)
        server.memory(inUse: 1_000_000, at: stage.network.now)
        stage.network.wait(.seconds(1))
        #expect(count(.memoryConsumers, stage) == 0)
        server.memory(inUse: 1_000_000, at: stage.network.now)
        stage.network.pump()
        // The slowest alone holds more than is wanted.
        #expect(count(.memoryConsumers, stage) == 1 && server.takeRelieved() && !server.takeRelieved())
        #expect(held(slower) < 20_000 && held(slow) > 90_000)
        slow.stalls = false
        stage.network.read(slower)
        var bytes = stage.take("slower")
        var texts: [String] = []
        while let frame = try Wire.frame(&bytes) { texts.append(try Wire.describe(frame, nil)) }
        #expect(bytes.isEmpty)
        #expect(texts.last == "close 1013 server is short of memory, and messages are read too slowly")
        #expect(texts.dropLast().allSatisfy { $0.contains("task_logs") })
        #expect(slower.state == .endedByServer && stage.link("quick").state == .open)
        server.memory(inUse: 10, at: stage.network.now)
        let last = texts.count - 1 + 1
        stage.play("""
            back upgrades /api/gpu/tasks/$task/ws?last_seq=\(last)
            back < {"type":"connection_established",…
            back < {"type":"current_status",…
            """)
        var rest = stage.take("back")
        var missed = 0
        while let frame = try Wire.frame(&rest) {
            #expect(try Wire.describe(frame, nil).contains("task_logs"))
            missed += 1
        }
        #expect(missed == 31 - last)
    }

    @Test("every limit has a name of its own in the metrics, and figures that move")
    func names() {
        #expect(Set(Bound.allCases.map { "\($0.name)" }).count == Bound.allCases.count)
        #expect(Set(Rejection.allCases.map { "\(Bound($0).name)" }).count == Rejection.allCases.count)
        let stage = Stage()
        for rejection in Rejection.allCases {
            stage.network.server.turnedAway(.v4(1, port: 1), rejection, at: stage.network.now)
            #expect(count(Bound(rejection), stage) == 1)
        }
    }
}
