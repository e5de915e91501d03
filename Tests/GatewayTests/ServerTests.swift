// Goal: the whole machine over its life: stopping, slots used again, clocks that step.
import Base
import TestSupport
import Testing
import WebSockets

@testable import Gateway

@Suite("Server")
struct ServerTests {
    @Test("stopping: idle connections end, waiting requests get their answer, then sockets are told 1001", arguments: Chunking.all)
    func drain(_ chunking: Chunking) {
        Stage.play(chunking, Settings(echoPath: SharedBytes("/echo")), """
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready","concurrency":2}
            e upgrades /echo
            idle > GET /healthz
            idle < 200 {"status":"ok"}
            a > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            b > POST /api/openai {"data":{"n":2}}
            b > GET /healthz
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            half >> POST /api/openai HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 11\\r\\n\\r\\n{"data"
            * lasting
            * stop
            * stop
            * lasting
            idle < closed
            half >> :{}}
            half < 503 [Connection: close] {"error":"Server is shutting down"}
            half < closed
            c > POST /api/openai {"data":{}}
            c < 503 [Connection: close] {"error":"Server is shutting down"}
            c < closed
            d > GET /readyz
            d < 503 [Connection: close] {"status":"draining"}
            d < closed
            f > GET /ws [Upgrade: websocket] [Connection: Upgrade] [Sec-WebSocket-Version: 13] [Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]
            f < 503 [Connection: close] {"error":"Server is shutting down"}
            f < closed
            w > {"type":"task_complete","taskId":"$one","result":1}
            w < {"type":"task_ack","taskId":"$one"}
            a < 200 [Connection: close] {"taskId":"$one","status":"completed","result":1}
            a < closed
            e > still here
            e < still here
            * lasting
            w > {"type":"task_complete","taskId":"$two","result":2}
            w < {"type":"task_ack","taskId":"$two"}
            w < {"type":"drain"}
            b < 200 [Connection: close] {"taskId":"$two","status":"completed","result":2}
            b < closed
            w < close 1001 server is shutting down
            w < closed
            e < close 1001 server is shutting down
            e < closed
            * over
            """)
    }

    @Test("stopping takes no longer than it may: who still waits is told, who does not read is dropped", arguments: Chunking.all)
    func impatience(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            v upgrades /ws
            v < {"type":"connected","workerId":"$v","message":"Connected to Task Dispatcher"}
            v stalls
            half >> POST /api/openai HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 11\\r\\n\\r\\n{"data"
            head >> POST /api
            * wait 9s
            * stop
            # The half request has a head's time from its beginning.
            * wait 2s
            half < 408 [Connection: close] {"error":"The request took too long to arrive."}
            half < closed
            head < 408 [Connection: close] {"error":"The request took too long to arrive."}
            head < closed
            * wait 7s
            a < nothing
            new >> POST /api/openai HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 11\\r\\n\\r\\n{"data"
            * wait 1s
            a < 503 [Connection: close] {"error":"Server is shutting down"}
            a < closed
            new < 503 [Connection: close] {"error":"Server is shutting down"}
            new < closed
            w < {"type":"cancel","taskId":"$one"}
            w < {"type":"drain"}
            w < close 1001 server is shutting down
            w < closed
            * lasting
            * wait 5s
            * over
            v reads
            """)
    }

    @Test("a server without connections stops at once")
    func nothingToStop() {
        Stage.play(.whole, "* lasting\n* stop\n* over")
    }

    @Test("SECURITY 15: results that come home to a recycled slot are nobody's")
    func recycledSlots() {
        var settings = Settings(echoPath: SharedBytes("/echo"), deflate: .init())
        settings.limits.inlineWorkBytes = 1_000
        Stage.play(.whole, settings, """
            * hold jobs
            a > POST /api/openai {"data":{"x":"@2000"}}
            a leaves
            b upgrades /echo [Sec-WebSocket-Extensions: permessage-deflate]
            b > @2000
            b leaves
            c upgrades /ws
            c < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            c > {"type":"ping","x":"@2000"}
            c leaves
            d upgrades /echo [Sec-WebSocket-Extensions: permessage-deflate]
            d > @1500
            * jobs 4
            * job 0
            * job 0
            * job 0
            d < nothing
            * job 0
            d < z:@1500
            """)
    }

    @Test("SECURITY 15: a task that ends after its client's slot has a new tenant answers nobody")
    func recycledWaiter() {
        let stage = Stage()
        stage.play("""
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai [Idempotency-Key: k] {"data":{"n":1}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            b > POST /api/openai [Idempotency-Key: k] {"data":{"n":1}}
            """)
        let first = stage.link("a").id
        stage.play("""
            a leaves
            c > POST /api/openai {"data":{"n":2}}
            """)
        let second = stage.link("c").id
        #expect(first.slot == second.slot && first != second)
        // Whatever is still said of the one that is gone changes nothing.
        let network = stage.network
        var bytes = Array("GET /healthz HTTP/1.1\r\n\r\n".utf8)
        var span = bytes.mutableSpan
        network.server.received(first, &span, at: network.now)
        network.server.closed(first, .peerEnded, at: network.now)
        network.pump()
        stage.play("""
            w > {"type":"task_complete","taskId":"$one","result":1}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            w < {"type":"task_ack","taskId":"$one"}
            b < 200 {"taskId":"$one","status":"completed","result":1}
            c < nothing
            w > {"type":"task_complete","taskId":"$two","result":2}
            w < {"type":"task_ack","taskId":"$two"}
            c < 200 {"taskId":"$two","status":"completed","result":2}
            """)
        stage.end()
    }

    @Test("SECURITY 43: the wall's clock may step; deadlines do not")
    func wallSteps() {
        let stage = Stage()
        stage.play("""
            w upgrades /ws?ready=explicit
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            a > POST /api/openai {"data":{},"timeout":5000,"async":true}
            a < 200 {"taskId":"$task","status":"queued"}
            """)
        stage.network.wallStep = -3_600_000
        stage.play("""
            * wait 4s
            a > GET /api/task/$task
            a < 200 {"taskId":"$task","status":"queued","enqueuedAt":1700000000000,"position":1}
            * wait 1s
            a > GET /api/task/$task
            a < 200 [Date: Tue, 14 Nov 2023 21:13:25 GMT] {"taskId":"$task","status":"failed","error":"Task timeout","failedAt":16\
            99996405000}
            """)
        stage.end()
    }

    @Test("retries: a task whose worker vanished goes to the next one")
    func retries() {
        Stage.play(.whole, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{"n":1},"retries":1}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            v upgrades /ws
            v < {"type":"connected","workerId":"$v","message":"Connected to Task Dispatcher"}
            v > {"type":"ready"}
            w leaves
            v < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            a < nothing
            v leaves
            a < 500 {"taskId":"$one","status":"failed","error":"Worker disconnected"}
            """)
    }
}
