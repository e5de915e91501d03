// Goal: a worker of which nothing is heard loses its tasks in its time, and no sooner; its late words change nothing, and who comes back
// says what it has.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Leases")
struct LeaseTranscripts {
    private static func start(_ name: String, _ ready: String = "{\"type\":\"ready\"}") -> String {
        """
        \(name) upgrades /ws
        \(name) < {"type":"connected","workerId":"$\(name)","message":"Connected to Task Dispatcher"}
        \(name) > \(ready)

        """
    }

    @Test("a silent worker is pinged every third of its lease, and then its task is another's; other sockets have their own time",
        arguments: Chunking.all)
    func silence(_ chunking: Chunking) {
        Stage.play(chunking, Settings(echoPath: SharedBytes("/echo")), hasLeases: true, Self.start("w") + """
            e upgrades /echo
            a > POST /api/openai {"data":{"n":1},"async":true,"retries":1}
            w < {"type":"task","taskId":"$task","lease":1,"payload":{"model":"default","data":{"n":1}}}
            a < 200 {"taskId":"$task","status":"executing"}
            \(Self.start("v"))
            * wait 10s
            w < ping
            v < ping
            v sends pong
            * wait 10s
            w < ping
            v < ping
            v sends pong
            e < nothing
            * wait 9999ms
            w < nothing
            v < nothing
            * wait 1ms
            w < close 1008 no answer to pings
            w < closed
            v < ping
            v < {"type":"task","taskId":"$task","lease":3,"payload":{"model":"default","data":{"n":1}}}
            v > {"type":"task_complete","taskId":"$task","lease":3,"result":2}
            v < {"type":"task_ack","taskId":"$task"}
            e < ping
            """)
    }

    @Test("any sign of life renews the lease: a pong, a ping, a word, a piece of one", arguments: Chunking.all)
    func signs(_ chunking: Chunking) {
        Stage.play(chunking, Settings(), hasLeases: true, Self.start("w") + """
            * wait 29s
            w < ping
            w < ping
            w sends pong late
            * wait 29s
            w < ping
            w < ping
            w sends ping
            w < pong
            * wait 29s
            w < ping
            w < ping
            w > {"type":"ping"}
            w < {"type":"pong"}
            * wait 29s
            w < ping
            w < ping
            w sends begin {"type":
            * wait 29s
            w < ping
            w < ping
            w sends finish "ping"}
            w < {"type":"pong"}
            """)
    }

    @Test("a server that stood still itself asks once more before it takes a task from anybody", arguments: Chunking.all)
    func stall(_ chunking: Chunking) {
        let stage = Stage(chunking, hasLeases: true)
        stage.play(Self.start("w") + """
            * wait 10s
            w < ping
            """)
        // Nothing was looked at for minutes; what came meanwhile is read behind the timers.
        stage.network.skip(.seconds(300))
        stage.play("""
            w < ping
            w sends pong
            * wait 10s
            w < ping
            * wait 10s
            w < ping
            * wait 10s
            w < close 1008 no answer to pings
            w < closed
            """)
        stage.end()
    }

    @Test("a worker that takes a large task slowly is there, as long as it takes any of it")
    func slowReader() {
        let stage = Stage(hasLeases: true)
        stage.play(Self.start("w"))
        let link = stage.link("w")
        link.takes = 3_000
        link.stalls = true
        stage.play("""
            a > POST /api/openai {"data":{"n":"@20000"},"async":true,"timeout":600000}
            a < 200 {"taskId":"$task","status":"executing"}
            """)
        for _ in 0..<6 {
            stage.network.wait(.seconds(9))
            stage.network.read(link)
            link.stalls = true
        }
        #expect(stage.network.server.context.metrics.leasesExpired == 0)
        // It has a whole lease from then on.
        stage.network.wait(.seconds(29))
        #expect(stage.network.server.context.metrics.leasesExpired == 0)
        stage.network.wait(.seconds(11))
        #expect(stage.network.server.context.metrics.leasesExpired == 1)
        link.takes = .max
        stage.network.read(link)
        stage.play("""
            w < {"type":"task","taskId":"$task",…
            w < ping
            w < ping
            w < ping
            w < close 1008 no answer to pings
            w < closed
            """)
        stage.end()
    }

    @Test("the late result of a former holder is refused, over whatever connection, and also where the holder is itself",
        arguments: Chunking.all)
    func late(_ chunking: Chunking) {
        Stage.play(chunking, Settings(), hasLeases: true, Self.start("w") + """
            a > POST /api/openai {"data":{"n":1},"retries":2}
            w < {"type":"task","taskId":"$task","lease":1,"payload":{"model":"default","data":{"n":1}}}
            w leaves
            v upgrades /ws?worker_id=$w
            v < {"type":"connected","workerId":"$v","message":"Connected to Task Dispatcher"}
            v > {"type":"task_complete","taskId":"$task","lease":1,"result":"late"}
            v < {"type":"error","error":"Task is not assigned to this worker","taskId":"$task"}
            v > {"type":"ready"}
            v < {"type":"task","taskId":"$task","lease":3,"payload":{"model":"default","data":{"n":1}}}
            v > {"type":"task_complete","taskId":"$task","lease":1,"result":"late"}
            v < {"type":"error","error":"Task was assigned anew: this lease is over","taskId":"$task"}
            v > {"type":"task_progress","taskId":"$task","lease":1,"progress":50}
            v < {"type":"error","error":"Task was assigned anew: this lease is over","taskId":"$task"}
            v > {"type":"task_error","taskId":"$task","lease":"1"}
            v < {"type":"error","error":"Invalid request: lease must be a number"}
            a < nothing
            v > {"type":"task_complete","taskId":"$task","lease":3,"result":"right"}
            v < {"type":"task_ack","taskId":"$task"}
            a < 200 {"taskId":"$task","status":"completed","result":"right"}
            """)
    }

    @Test("a worker that lists a task which it does not have is told to drop it", arguments: Chunking.all)
    func unwanted(_ chunking: Chunking) {
        Stage.play(chunking, Settings(), hasLeases: true, Self.start("w", "{\"type\":\"ready\",\"tasks\":[\"x\"]}") + """
            w < {"type":"cancel","taskId":"x"}
            """)
    }
}
