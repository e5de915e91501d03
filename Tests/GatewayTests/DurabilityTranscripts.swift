// Goal: nothing is promised before it is written down; what cannot be written is refused or waited for, and pushing goes on meanwhile.
import Base
import TestSupport
import Testing

@testable import Gateway

@Suite("Durability")
struct DurabilityTranscripts {
    @Test("an asynchronous submitter is answered once its task is written down, its worker at once", arguments: Chunking.all)
    func accepted(_ chunking: Chunking) {
        Stage.play(chunking, """
            * hold disk
            w upgrades /ws
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{"n":1},"async":true}
            a < nothing
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}
            w > {"type":"task_complete","taskId":"$task","result":2}
            # The result is not acknowledged before it is safe, and the submitter hears how its task stood when it was taken in.
            w < nothing
            a > GET /healthz
            a < nothing
            * commit
            a < 200 {"taskId":"$task","status":"executing"}
            a < 200 {"status":"ok"}
            w < {"type":"task_ack","taskId":"$task"}
            """)
    }

    @Test("whoever waits for the end is answered without the disk", arguments: Chunking.all)
    func synchronous(_ chunking: Chunking) {
        Stage.play(chunking, """
            * hold disk
            w upgrades /ws
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}
            w > {"type":"task_complete","taskId":"$task","result":2}
            w < {"type":"task_ack","taskId":"$task"}
            a < 200 {"taskId":"$task","status":"completed","result":2}
            """)
    }

    @Test("a task that cannot be written down is refused and given up; watching goes on", arguments: Chunking.all)
    func refused(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{"n":1},"async":true,"idempotencyKey":"k"}
            a < 200 {"taskId":"$first","status":"executing"}
            w < {"type":"task","taskId":"$first","payload":{"model":"default","data":{"n":1}}}
            g upgrades /api/gpu/tasks/$first/ws
            g < {"type":"connection_established","connection_id":"$c1","task_id":"$first","timestamp":"$t",\
            "message":"WebSocket connection established"}
            g < {"type":"current_status","task_id":"$first","status":"running","message":"Current task status: running",\
            "progress":20,"created_at":"$t","started_at":"$t","provider":null,"priority":"normal","timestamp":"$t","seq":1}
            * break disk
            b > POST /api/openai {"data":{"n":2},"async":true,"idempotencyKey":"j"}
            b < 503 {"error":"Task could not be stored"}
            w > {"type":"task_progress","taskId":"$first","progress":50}
            g < {"type":"task_progress","task_id":"$first","progress":60,\
            "message":"Task progress updated to 60%","timestamp":"$t","seq":2,"step_info":{"worker_progress":50}}
            * mend disk
            w > {"type":"task_complete","taskId":"$first","result":2}
            # What the disk did not take goes before it.
            w < nothing
            * wait 1s
            w < {"type":"task_ack","taskId":"$first"}
            g < {"type":"task_completed","task_id":"$first","success":true,"timestamp":"$t","seq":3,"execution_time":0,"result_data":2}
            # Its key is free again.
            b > POST /api/openai {"data":{"n":2},"async":true,"idempotencyKey":"j"}
            b < 200 {"taskId":"$second","status":"executing"}
            w < {"type":"task","taskId":"$second","payload":{"model":"default","data":{"n":2}}}
            """)
    }

    @Test("a result that cannot be written down is tried again until it is, and acknowledged then", arguments: Chunking.all)
    func result(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{"n":1},"async":true}
            a < 200 {"taskId":"$task","status":"executing"}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}
            * break disk
            w > {"type":"task_complete","taskId":"$task","result":2}
            w < nothing
            a > GET /api/task/$task
            a < 200 {"taskId":"$task","status":"completed","result":2,"completedAt":1700000000000}
            * wait 3s
            w < nothing
            * mend disk
            w < nothing
            * wait 1s
            w < {"type":"task_ack","taskId":"$task"}
            """)
    }
}
