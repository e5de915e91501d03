// Goal: a server ends in order: what is waited for is answered, sockets are closed at a pace and with a word that says why, and one that
// gives way to another process can be called off until it has handed over, and decides nothing afterwards.
import Base
import Domain
import TestSupport
import Testing
import WebSockets

@testable import Gateway

@Suite("Server's end")
struct ServerEndTests {
    private typealias Words = SocketWords

    private static let worker = """
        w upgrades /ws
        w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
        w > {"type":"ready","concurrency":2}

        """

    private static func echoes(_ change: (inout Limits) -> Void = { _ in }) -> Settings {
        var settings = Settings(echoPath: SharedBytes("/echo"))
        change(&settings.limits)
        return settings
    }

    private static func paced() -> Settings {
        echoes {
            $0.closingPaceMin = 2
            $0.drainSpread = .milliseconds(300)
        }
    }

    /// Seven sockets in slots of which one is free, two a slice at least, three slices: three a slice.
    private static let crowd = """
        e1 upgrades /echo
        gap > GET /healthz
        gap < 200 {"status":"ok"}
        e2 upgrades /echo
        e3 upgrades /echo
        e4 upgrades /echo
        e5 upgrades /echo
        e6 upgrades /echo
        e7 upgrades /echo
        gap leaves

        """

    private static func closed(_ names: String..., code: String = "1001 server is shutting down") -> String {
        names.map { "\($0) < close \(code)\n\($0) < closed\n" }.joined()
    }

    // MARK: The pace

    @Test("sockets are closed in slices, and none before its slice")
    func pace() {
        Stage.play(.whole, Self.paced(), Self.crowd + """
            * stop
            \(Self.closed("e1", "e2", "e3"))
            * wait 99ms
            e4 < nothing
            e4 > still here
            e4 < still here
            * wait 1ms
            \(Self.closed("e4", "e5", "e6"))
            e7 < nothing
            * lasting
            * wait 100ms
            \(Self.closed("e7"))
            * over
            """)
    }

    @Test("as many as are no burden are closed at once, whatever the spread")
    func few() {
        Stage.play(.whole, Self.echoes { $0.drainSpread = .seconds(3_600) }, Self.crowd + """
            * stop
            \(Self.closed("e1", "e2", "e3", "e4", "e5", "e6", "e7"))
            * over
            """)
    }

    @Test("a second signal ends the waiting and the pace")
    func hasten() {
        Stage.play(.whole, Self.paced(), Self.worker + Self.crowd + """
            a > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            * stop
            a < nothing
            * hasten
            a < 503 [Retry-After: 1] [Connection: close] {"error":"Server is shutting down"}
            a < closed
            w < {"type":"cancel","taskId":"$one"}
            w < {"type":"drain"}
            \(Self.closed("w", "e1", "e2", "e3", "e4", "e5", "e6", "e7"))
            * over
            """)
        Stage.play(.whole, Self.paced(), Self.crowd + """
            * stop
            \(Self.closed("e1", "e2", "e3"))
            * hasten
            \(Self.closed("e4", "e5", "e6", "e7"))
            * over
            """)
    }

    @Test("a hastened end drops who does not end, and later ones get no more time for it")
    func hastenEnding() {
        Stage.play(.whole, Self.echoes(), """
            e upgrades /echo
            e stalls
            * stop
            * wait 2s
            * lasting
            * hasten
            * wait 999ms
            * lasting
            * wait 1ms
            * over
            e reads
            """)
    }

    @Test("who listens by server-sent events or by polling is closed in its turn as well, and properly")
    func listeners() {
        Stage.play(.whole, Self.paced(), HubTranscripts.work + Words.inside("p", "sid") + Words.poll("p", "sid") + """
            s > GET /api/tasks/$task/events
            s < 200 [Transfer-Encoding: chunked]
            s < retry: 2000
            s < id: 1 | event: current_status | data: …
            e1 upgrades /echo
            e2 upgrades /echo
            e3 upgrades /echo
            * stop
            a < closed
            * wait 10s
            \(Self.closed("w"))
            p < 200 [Connection: close] 1
            p < closed
            s < end
            s < closed
            e1 < nothing
            * wait 100ms
            \(Self.closed("e1", "e2"))
            e3 < nothing
            * wait 100ms
            \(Self.closed("e3"))
            * over
            """)
    }

    // MARK: What is waited for

    @Test("workers may finish what they have in hand; what nobody waits for is left to the next process")
    func hands() {
        Stage.play(.whole, Self.worker + """
            a > POST /api/openai {"data":{"n":1},"async":true}
            a < 200 {"taskId":"$one","status":"executing"}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            a > POST /api/openai {"data":{"n":2},"async":true}
            a < 200 {"taskId":"$two","status":"executing"}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            a > POST /api/openai {"data":{"n":3},"async":true}
            a < 200 {"taskId":"$three","status":"queued"}
            b > POST /api/openai {"data":{"n":4}}
            * stop
            w > {"type":"task_complete","taskId":"$one","result":1}
            # The third waits before the fourth, but nobody for the third.
            w < {"type":"task","taskId":"$four","payload":{"model":"default","data":{"n":4}}}
            w < {"type":"task_ack","taskId":"$one"}
            w > {"type":"task_complete","taskId":"$two","result":2}
            w < {"type":"task_ack","taskId":"$two"}
            * lasting
            w > {"type":"task_complete","taskId":"$four","result":4}
            w < {"type":"task_ack","taskId":"$four"}
            w < {"type":"drain"}
            b < 200 {"taskId":"$four","status":"completed","result":4}
            b < closed
            \(Self.closed("w"))
            a < closed
            * over
            """)
    }

    @Test("an acknowledgement that waits for the disk goes out before its socket is closed")
    func promises() {
        Stage.play(.whole, Self.worker + """
            a > POST /api/openai {"data":{"n":1},"async":true}
            a < 200 {"taskId":"$one","status":"executing"}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            * hold disk
            w > {"type":"task_complete","taskId":"$one","result":1}
            * stop
            w < nothing
            * lasting
            * commit
            w < {"type":"task_ack","taskId":"$one"}
            w < {"type":"drain"}
            \(Self.closed("w"))
            a < closed
            * over
            """)
    }

    @Test("a worker's large word is heard out")
    func reviewing() {
        var settings = Settings()
        settings.limits.inlineWorkBytes = 100
        Stage.play(.whole, settings, Self.worker + """
            a > POST /api/openai {"data":{"n":1},"async":true}
            a < 200 {"taskId":"$one","status":"executing"}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            * hold jobs
            w > {"type":"task_complete","taskId":"$one","result":"@200"}
            * yield
            * yielding
            * job 0
            w < {"type":"task_ack","taskId":"$one"}
            * yielded
            * call off
            """)
    }

    // MARK: Another process

    @Test("giving way: requests are answered, new tasks are not taken, watchers are closed with 1012, workers first")
    func handOver() {
        // What it leaves undone is the other process's: no end of a stage is looked for.
        Stage(.whole, Self.paced()).play(Self.crowd + Self.worker + """
            idle > GET /healthz
            idle < 200 {"status":"ok"}
            a > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            b > POST /api/openai {"data":{"n":2},"async":true}
            b < 200 {"taskId":"$two","status":"executing"}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            * yield
            * yielding
            c > POST /api/openai {"data":{}}
            c < 503 [Retry-After: 1] [Connection: close] {"error":"Server is shutting down"}
            c < closed
            d > GET /readyz
            d < 503 [Retry-After: 1] [Connection: close] {"status":"draining"}
            d < closed
            e7 > still here
            e7 < still here
            w > {"type":"task_complete","taskId":"$one","result":1}
            w < {"type":"task_ack","taskId":"$one"}
            a < 200 [Connection: close] {"taskId":"$one","status":"completed","result":1}
            a < closed
            # What the worker has in hand for nobody who waits, it may bring to the other process.
            * yielded
            w < nothing
            * hand over
            \(Self.closed("w", "e1", "e2", "e3", "e4", code: "1012 service restart"))
            e5 > nobody hears this
            e5 < nothing
            # Who may have asked already is answered.
            idle > GET /healthz
            idle < 503 [Retry-After: 1] [Connection: close] {"error":"Server is restarting"}
            idle < closed
            late > POST /api/openai {"data":{}}
            late < 503 [Retry-After: 1] [Connection: close] {"error":"Server is restarting"}
            late < closed
            fresh >> GET /he
            * wait 100ms
            \(Self.closed("e5", "e6", "e7", code: "1012 service restart"))
            * lasting
            b < nothing
            fresh < nothing
            * wait 900ms
            b < closed
            fresh < closed
            * over
            """)
    }

    @Test("giving way takes no longer than it may; a task that somebody waited for by its key is left to the other process")
    func impatience() {
        let stage = Stage(.whole)
        stage.play(Self.worker + """
            a > POST /api/openai [Idempotency-Key: k] {"data":{"n":1}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            b > POST /api/openai {"data":{"n":2}}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            * yield
            * wait 5s
            * yielded
            * hand over
            a < 503 [Retry-After: 1] [Connection: close] {"error":"Server is restarting"}
            a < closed
            b < 503 [Retry-After: 1] [Connection: close] {"error":"Server is restarting"}
            b < closed
            w < {"type":"cancel","taskId":"$two"}
            \(Self.closed("w", code: "1012 service restart"))
            """)
        let broker = stage.network.server.context.broker
        #expect(broker.executingCount == 1 && broker.inHandCount == 0)
    }

    @Test("behind a handover no time passes: nothing is decided, nothing is written")
    func frozen() {
        // Somebody who does not read keeps the end waiting beyond the task's time.
        let stage = Stage(.whole, Self.echoes { $0.closeTimeout = .seconds(100) })
        stage.play(Self.worker + """
            a > POST /api/openai {"data":{"n":1},"async":true}
            a < 200 {"taskId":"$one","status":"executing"}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            e upgrades /echo
            e stalls
            * yield
            * yielded
            * hold disk
            * hand over
            \(Self.closed("w", code: "1012 service restart"))
            """)
        let server = stage.network.server
        stage.network.wait(.seconds(600))
        #expect(server.context.broker.executingCount == 1, "its deadline has not come")
        #expect(stage.network.disk.waiting.isEmpty, "something is to be written")
        #expect(server.isOver)
    }

    @Test("until it has handed over a server can be called off, and serves on as if nothing had been", arguments: [true, false])
    func callOff(waits: Bool) {
        let finishes = """
            w > {"type":"task_complete","taskId":"$one","result":1}
            w < {"type":"task_ack","taskId":"$one"}
            a < 200 {"taskId":"$one","status":"completed","result":1}
            """
        Stage.play(.whole, Self.worker + """
            a > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            \(waits ? "" : finishes)
            * yield
            \(waits ? "* yielding" : "* yielded")
            c > POST /api/openai {"data":{}}
            c < 503 {"error":"Server is shutting down"}
            c < closed
            * call off
            r > GET /readyz
            r < 200 [Connection: -] {"status":"ready"}
            b > POST /api/openai {"data":{"n":2}}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            w > {"type":"task_complete","taskId":"$two","result":2}
            w < {"type":"task_ack","taskId":"$two"}
            b < 200 {"taskId":"$two","status":"completed","result":2}
            \(waits ? finishes : "")
            * lasting
            """)
    }

    @Test("a signal to a server that gives way ends the waiting")
    func hastenYielding() {
        Stage(.whole).play(Self.worker + """
            a > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            * yield
            * yielding
            * hasten
            * yielded
            * hand over
            a < 503 {"error":"Server is restarting"}
            a < closed
            w < {"type":"cancel","taskId":"$one"}
            \(Self.closed("w", code: "1012 service restart"))
            """)
    }

    // MARK: What is told

    @Test("the metrics tell that it ends, and how many it has closed")
    func metrics() {
        let stage = Stage(.whole, Self.paced())
        func page() -> String {
            let context = stage.network.server.context
            var writer = ByteWriter()
            context.metrics.write(context.broker, context.recorder, queuedBytes: 0, version: "1", to: &writer)
            return writer.withSpan { page in String(decoding: page.indices.map { page[$0] }, as: UTF8.self) }
        }
        stage.play(Self.crowd)
        #expect(page().contains("\nsignalbox_draining 0\n") && page().contains("\nsignalbox_drain_closed_total 0\n"))
        #expect(stage.network.server.endWords == nil)
        stage.play("* stop\n" + Self.closed("e1", "e2", "e3"))
        #expect(page().contains("\nsignalbox_draining 1\n") && page().contains("\nsignalbox_drain_closed_total 3\n"))
        #expect(stage.network.server.endWords == "Closing connections: 4 left")
        stage.play("* wait 1s\n" + Self.closed("e4", "e5", "e6", "e7") + "* over")
        #expect(page().contains("\nsignalbox_drain_closed_total 7\n"))
        #expect(stage.network.server.endWords == "Stopped")
        stage.end()
    }
}
