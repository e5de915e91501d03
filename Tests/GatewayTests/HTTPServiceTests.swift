// Goal: exchanges in order, clocks by phase, bounds on what waits; whoever goes away is not waited for.
import Base
import TestSupport
import Testing

@testable import Gateway

@Suite("HTTPService")
struct HTTPServiceTests {
    @Test("SECURITY 6: a head has its time, a body its pace, an idle connection its rest", arguments: Chunking.all)
    func timeouts(_ chunking: Chunking) {
        Stage.play(chunking, """
            silent < nothing
            slow >> GET /healthz HTTP/1.1\\r\\nHost:
            * wait 9s
            slow >> x\\r\\nX: y
            silent < nothing
            * wait 1s
            silent < closed
            slow < 408 [Connection: close] {"error":"The request took too long to arrive."}
            slow < closed
            body >> POST /api/openai HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 20000\\r\\n\\r\\n{
            * wait 9s
            # Ten kilobytes are worth nine seconds more, at a kilobyte a second.
            body >> @10000
            * wait 9s
            body < nothing
            * wait 1s
            body < 408 {"error":"The request took too long to arrive."}
            body < closed
            """)
    }

    @Test(
        "SECURITY 6: who does not read an answer at all is given up, after its time and another look",
        arguments: [("", 85), (" [Connection: close]", 20)])
    func unread(_ header: String, _ seconds: Int) {
        let stage = Stage()
        stage.play("""
            a stalls
            a > GET /healthz\(header)
            * wait \(seconds - 1)s
            """)
        #expect(stage.network.outbox.queuedBytes > 0)
        stage.play("* wait 1s\na < closed")
        #expect(stage.network.outbox.queuedBytes == 0)
        stage.end()
    }

    @Test("SECURITY 6: an answer is read at a kilobyte a second, or not at all", arguments: [(11_000, true), (10_000, false)])
    func slowReader(_ bytes: Int, _ isFastEnough: Bool) {
        let stage = Stage()
        stage.play("""
            w upgrades /ws
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a stalls
            a > POST /api/openai {"data":{}}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{}}}
            w > {"type":"task_complete","taskId":"$task","result":"\(String(repeating: "r", count: 60_000))"}
            w < {"type":"task_ack","taskId":"$task"}
            """)
        let link = stage.link("a")
        link.takes = bytes
        // The worker answers its pings meanwhile, or goes.
        stage.play("w leaves\n* wait 75s")
        for _ in 0..<3 {
            stage.network.read(link)
            link.stalls = true
            stage.play("* wait 10s")
        }
        #expect((stage.network.outbox.queuedBytes > 0) == isFastEnough)
        link.takes = .max
        if isFastEnough {
            stage.network.read(link)
            stage.play("a < 200 {\"taskId\":\"$task\",\"status\":\"completed\",\"result\":\"\(String(repeating: "r", count: 60_000))\"}")
            stage.play("* wait 10s")
        } else {
            _ = link.takeOutput()
        }
        #expect(link.state == .endedByServer)
        stage.end()
    }

    @Test("RFC 9112 §9.3: connections persist, and end when asked to, by an old protocol's rule, or when idle", arguments: Chunking.all)
    func keepAlive(_ chunking: Chunking) {
        Stage.play(chunking, """
            a > GET /healthz
            a < 200 [Connection: -] {"status":"ok"}
            * wait 74s
            a > GET /healthz
            a < 200 {"status":"ok"}
            * wait 74s
            a < nothing
            * wait 1s
            a < closed
            b > GET /healthz [Connection: close]
            b < 200 [Connection: close] {"status":"ok"}
            b < closed
            c >> GET /healthz HTTP/1.0\\r\\n\\r\\n
            c < 200 [Connection: close] {"status":"ok"}
            c < closed
            d >> GET /healthz HTTP/1.0\\r\\nConnection: keep-alive\\r\\n\\r\\n
            d < 200 [Connection: keep-alive] {"status":"ok"}
            d < nothing
            e >> \\r\\nGET /healthz HTTP/1.1\\r\\nHost: h\\r\\n\\r\\nGET /healthz HTTP/1.1\\r\\nHost: h\\r\\n\\r\\nGET /nowhere HT\
            TP/1.1\\r\\nHost: h\\r\\n\\r\\n
            e < 200 {"status":"ok"}
            e < 200 {"status":"ok"}
            e < 404 {"error":"Not found"}
            """)
    }

    @Test("the clock of a head starts with that head, also where reads end between requests")
    func headClock() {
        let stage = Stage()
        let link = stage.link("a")
        let request = Array("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
        // Each read holds the end of one request and the beginning of the next.
        stage.network.send(Array(request[..<10]), on: link)
        for _ in 0..<12 {
            stage.network.wait(.seconds(2))
            stage.network.send(Array(request[10...] + request[..<10]), on: link)
        }
        var seen = stage.take("a")
        var replies = 0
        while let reply = try? Wire.reply(&seen, isHead: false) {
            #expect(reply.status == 200)
            replies += 1
        }
        #expect(replies == 12 && link.state == .open)
        stage.network.wait(.seconds(10))
        seen = stage.take("a")
        #expect((try? Wire.reply(&seen, isHead: false))?.status == 408)
        stage.end()
    }

    @Test("a request that waits has all the time of its task", arguments: Chunking.all)
    func waiting(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{},"timeout":600000}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{}}}
            w leaves
            a < 500 {"taskId":"$task","status":"failed","error":"Worker disconnected"}
            v upgrades /ws?ready=explicit
            v < {"type":"connected","workerId":"$v","message":"Connected to Task Dispatcher"}
            a > POST /api/openai {"data":{},"timeout":600000}
            * wait 29s
            v sends pong
            * wait 29s
            v sends pong
            * wait 29s
            v sends pong
            * wait 29s
            v sends pong
            a < nothing
            v > {"type":"ready"}
            v < {"type":"task","taskId":"$next","payload":{"model":"default","data":{}}}
            v > {"type":"task_complete","taskId":"$next","result":1}
            v < {"type":"task_ack","taskId":"$next"}
            a < 200 {"taskId":"$next","status":"completed","result":1}
            # From the answer on, the connection is idle.
            * wait 29s
            v sends pong
            * wait 29s
            v sends pong
            a < nothing
            * wait 17s
            a < closed
            """)
    }

    @Test("requests behind one that waits keep their order and are answered behind it", arguments: Chunking.all)
    func pipelining(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready","concurrency":2}
            a > POST /api/openai {"data":{"n":1}}
            a > GET /healthz
            a > POST /api/openai {"data":{"n":2}}
            a > HEAD /readyz
            a > GET /nowhere [Connection: close]
            a > GET /healthz
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            w < nothing
            w > {"type":"task_complete","taskId":"$one","result":1}
            w < {"type":"task_ack","taskId":"$one"}
            a < 200 {"taskId":"$one","status":"completed","result":1}
            a < 200 {"status":"ok"}
            a < nothing
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            w > {"type":"task_complete","taskId":"$two","result":2}
            w < {"type":"task_ack","taskId":"$two"}
            a < 200 {"taskId":"$two","status":"completed","result":2}
            a < 200 [Content-Length: 18]
            a < 404 [Connection: close] {"error":"Not found"}
            a < closed
            """)
    }

    @Test("SECURITY 38: what may wait behind a waiting request is bounded: then nothing more is read, until it is answered")
    func pause() {
        var settings = Settings()
        settings.limits.pipelinedBytesMax = 1_000
        let stage = Stage(.whole, settings)
        stage.play("""
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{}}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{}}}
            """)
        let link = stage.link("a")
        for _ in 0..<100 { stage.network.send(Array("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n".utf8), on: link) }
        #expect(stage.network.outbox.wantsReadingPaused(link.id))
        #expect(link.unreadBytes > 2_000 && link.unreadBytes < 3_500 - 1_000)
        stage.play("""
            w > {"type":"task_complete","taskId":"$task","result":1}
            w < {"type":"task_ack","taskId":"$task"}
            """)
        var seen = stage.take("a")
        var replies = 0
        while (try? Wire.reply(&seen, isHead: false)) != nil { replies += 1 }
        #expect(replies == 101 && link.unreadBytes == 0)
        #expect(!stage.network.outbox.wantsReadingPaused(link.id))
        stage.play("a leaves\nw leaves")
        stage.end()
    }

    @Test("a client that goes away while it waits: its task is cancelled and the worker told", arguments: Chunking.all)
    func goingAway(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            b > POST /api/openai {"data":{"n":2}}
            b leaves
            a leaves
            w < {"type":"cancel","taskId":"$one"}
            w > {"type":"task_error","taskId":"$one","error":"cancelled"}
            w < {"type":"error","error":"Task already cancelled","taskId":"$one"}
            c > GET /api/task/$one
            c < 200 {"taskId":"$one","status":"cancelled","error":"Task cancelled","cancelledAt":1700000000000}
            w < nothing
            """)
    }

    @Test("an early answer to a short body keeps the connection, to a long one ends it", arguments: Chunking.all)
    func earlyAnswers(_ chunking: Chunking) {
        Stage.play(chunking, """
            a > POST /nowhere {"x":"@1000"}
            a < 404 [Connection: -] {"error":"Not found"}
            a > GET /healthz
            a < 200 {"status":"ok"}
            b >> POST /nowhere HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 70000\\r\\n\\r\\nab
            b < 404 [Connection: close] {"error":"Not found"}
            b < closed
            """)
    }

    @Test("a burst of small requests for large answers makes no more output than a connection may leave waiting")
    func amplification() {
        let stage = Stage()
        let link = stage.link("a")
        link.stalls = true
        let burst = Array(String(repeating: "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", count: 7_000).utf8)
        stage.network.send(burst, on: link)
        #expect(stage.network.outbox.queuedBytes < 2 * stage.network.limits.pauseReadingBytes)
        stage.network.read(link)
        var replies = 0
        var last: Reply?
        var seen = stage.take("a")
        var rest: [UInt8] = []
        // Taken apart from the back of an array, since the front of a large one is dear to take off.
        let pages = String(decoding: seen, as: UTF8.self).components(separatedBy: "HTTP/1.1 200 OK\r\n").dropFirst()
        replies = pages.count
        rest = Array(("HTTP/1.1 200 OK\r\n" + (pages.last ?? "")).utf8)
        last = try? Wire.reply(&rest, isHead: false)
        seen = []
        #expect(replies > 50 && rest.isEmpty)
        #expect(last?.field("Connection") == "close" && link.state == .endedByServer)
        stage.end()
    }
}
