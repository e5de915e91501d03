// Goal: a worker that leaves, in whatever moment, loses nothing that it delivered, and gets nothing that it would never see.
import Base
import TestSupport
import Testing

@testable import Gateway

@Suite("Workers that leave")
struct WorkerDepartureTests {
    private static let start = """
        w upgrades /ws
        w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
        w > {"type":"ready","concurrency":2}

        """

    @Test("a large result that is still with the pool counts although its worker is gone", arguments: Chunking.all)
    func resultInThePool(_ chunking: Chunking) {
        var settings = Settings()
        settings.limits.inlineWorkBytes = 1_000
        Stage.play(chunking, settings, """
            * hold jobs

            """ + Self.start + """
            a > POST /api/openai {"data":{"n":1}}
            b > POST /api/openai {"data":{"n":2}}
            c > POST /api/openai {"data":{"n":3}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            w > {"type":"task_complete","taskId":"$one","result":"@2000"}
            w leaves
            a < nothing
            * job 0
            a < 200 {"taskId":"$one","status":"completed","result":"@2000"}
            b < 500 {"taskId":"$two","status":"failed","error":"Worker disconnected"}
            # The third was never given to it, and waits for another.
            c < nothing
            v upgrades /ws
            v < {"type":"connected","workerId":"$v","message":"Connected to Task Dispatcher"}
            v > {"type":"ready"}
            v < {"type":"task","taskId":"$three","payload":{"model":"default","data":{"n":3}}}
            v > {"type":"task_complete","taskId":"$three","result":3}
            v < {"type":"task_ack","taskId":"$three"}
            c < 200 {"taskId":"$three","status":"completed","result":3}
            """)
    }

    @Test("a worker that has said goodbye gets no more tasks; another one does", arguments: Chunking.all)
    func goodbye(_ chunking: Chunking) {
        let stage = Stage(chunking)
        stage.play(Self.start + """
            v upgrades /ws
            v < {"type":"connected","workerId":"$v","message":"Connected to Task Dispatcher"}
            v > {"type":"ready"}
            w stalls
            w sends close 1000
            a > POST /api/openai {"data":{"n":1}}
            v < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            v > {"type":"task_complete","taskId":"$one"}
            v < {"type":"task_ack","taskId":"$one"}
            a < 200 {"taskId":"$one","status":"completed","result":null}
            w reads
            w < close 1000
            w < closed
            """)
        stage.end()
    }

    @Test("a worker is not given up for the payloads that it was given", arguments: Chunking.all)
    func largePayloads(_ chunking: Chunking) {
        var settings = Settings()
        settings.limits.queuedBytesMax = 5_000
        settings.limits.messageBytesMax = 5_000
        settings.limits.bodyBytesMax = 5_000
        Stage.play(chunking, settings, Self.start + """
            w stalls
            a > POST /api/openai {"data":{"x":"@4000"}}
            b > POST /api/openai {"data":{"x":"@4000"}}
            w reads
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"x":"@4000"}}}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"x":"@4000"}}}
            w > {"type":"task_complete","taskId":"$one"}
            w < {"type":"task_ack","taskId":"$one"}
            w > {"type":"task_complete","taskId":"$two"}
            w < {"type":"task_ack","taskId":"$two"}
            a < 200 {"taskId":"$one","status":"completed","result":null}
            b < 200 {"taskId":"$two","status":"completed","result":null}
            """)
    }
}
