// The dispatch document's own examples, played: each section of it is one conversation.
import Base
import TestSupport
import Testing

@testable import Gateway

@Suite("The dispatch document")
struct DispatchTranscripts {
    @Test("a synchronous task: the answer is the worker's result", arguments: Chunking.all)
    func sync(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{"action":"process","content":"Hello World"}}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"action":"process","content":"Hello World"}}}
            a < nothing
            w > {"type":"task_complete","taskId":"$task","result":{"success":true,"data":"处理结果..."},"duration":2000}
            w < {"type":"task_ack","taskId":"$task"}
            a < 200 [Content-Type: application/json] {"taskId":"$task","status":"completed","result":{"success":true,"data":"处理结果..."}}
            a > GET /api/task/$task
            a < 200 {"taskId":"$task","status":"completed","result":{"success":true,"data":"处理结果..."},"completedAt":1700000000000}
            """)
    }

    @Test("an asynchronous task, polled from the queue to its end", arguments: Chunking.all)
    func async(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            a > POST /api/openai {"data":{"task":"long_running_job"},"async":true,"timeout":300000}
            a < 200 {"taskId":"$task","status":"queued"}
            a > POST /api/openai {"data":{"task":"second"},"async":true}
            a < 200 {"taskId":"$second","status":"queued"}
            * wait 500ms
            a > GET /api/task/$task
            a < 200 {"taskId":"$task","status":"queued","enqueuedAt":1700000000000,"position":1}
            a > GET /api/task/$second
            a < 200 {"taskId":"$second","status":"queued","enqueuedAt":1700000000000,"position":2}
            # One second after it connected a worker counts as ready.
            w < nothing
            * wait 500ms
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"task":"long_running_job"}}}
            a > GET /api/task/$task
            a < 200 {"taskId":"$task","status":"executing","workerId":"$worker","startedAt":1700000001000}
            w > {"type":"task_progress","taskId":"$task","progress":50,"message":"half","step":"render"}
            a > GET /api/task/$task
            a < 200 {"taskId":"$task","status":"executing","workerId":"$worker","startedAt":1700000001000,"progress":60,"step":\
            "render","message":"half"}
            * wait 2s
            w > {"type":"task_complete","taskId":"$task","result":[1,2.50,"x"],"duration":1}
            w < {"type":"task","taskId":"$second","payload":{"model":"default","data":{"task":"second"}}}
            w < {"type":"task_ack","taskId":"$task"}
            a > GET /api/task/$task
            a < 200 {"taskId":"$task","status":"completed","result":[1,2.50,"x"],"completedAt":1700000003000}
            w > {"type":"task_complete","taskId":"$second"}
            w < {"type":"task_ack","taskId":"$second"}
            # TASK_RESULT_TTL_MS
            * wait 299s
            a < closed
            b > GET /api/task/$task
            b < 200 {"taskId":"$task","status":"completed","result":[1,2.50,"x"],"completedAt":1700000003000}
            * wait 1s
            b > GET /api/task/$task
            b < 404 {"error":"Task not found or expired"}
            """)
    }

    @Test("an image for one group goes to a worker of that group", arguments: Chunking.all)
    func image(_ chunking: Chunking) {
        let body = #"{"data":{"model":"jimeng-4.0","prompt":"美丽的少女，胶片感","ratio":"4:3","resolution":"2k"},"#
            + #""group":"gpu-cluster","timeout":120000}"#
        Stage.play(chunking, """
            cpu upgrades /ws?group=cpu-workers
            cpu < {"type":"connected","workerId":"$c","message":"Connected to Task Dispatcher"}
            cpu > {"type":"ready"}
            a > POST /api/openai \(body)
            a < 503 {"error":"No worker available"}
            gpu upgrades /ws?group=gpu-cluster
            gpu < {"type":"connected","workerId":"$g","message":"Connected to Task Dispatcher"}
            gpu > {"type":"ready"}
            a > POST /api/openai \(body)
            cpu < nothing
            gpu < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"model":"jimeng-4.0","prompt":"美丽的少女，胶片感",\
            "ratio":"4:3","resolution":"2k"}}}
            gpu > {"type":"task_error","taskId":"$task","error":"错误信息","duration":1000}
            gpu < {"type":"task_ack","taskId":"$task"}
            a < 500 {"taskId":"$task","status":"failed","error":"错误信息"}
            a > GET /api/task/$task
            a < 200 {"taskId":"$task","status":"failed","error":"错误信息","failedAt":1700000000000}
            """)
    }

    @Test("the OpenAI form: messages go through byte for byte", arguments: Chunking.all)
    func openAI(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws?group=
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"model": "gpt-4", "messages": [ {"role": "system", "content": "You are \\u0061"}, {"n": 1.0e2}]}
            w < {"type":"task","taskId":"$task","payload":{"model":"gpt-4","messages":[ {"role": "system", "content": "You are \\u\
            0061"}, {"n": 1.0e2}]}}
            w > {"type":"task_complete","taskId":"$task","result": {"b": 1, "a": 2.0} }
            w < {"type":"task_ack","taskId":"$task"}
            a < 200 {"taskId":"$task","status":"completed","result":{"b": 1, "a": 2.0}}
            """)
    }

    @Test("the errors of the document", arguments: Chunking.all)
    func errors(_ chunking: Chunking) {
        var settings = Settings()
        settings.limits.queueLengthMax = 1
        Stage.play(chunking, settings, """
            a > POST /api/openai {"model":"x"}
            a < 400 {"error":"Invalid request: data or messages required"}
            a > GET /api/task/1e9651fd-6aa1-4b2c-9d5e-0123456789ab
            a < 404 {"error":"Task not found or expired"}
            a > POST /api/openai {"data":{}}
            a < 503 {"error":"No worker available"}
            w upgrades /ws
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            a > POST /api/openai {"data":{},"timeout":1}
            b > POST /api/openai {"data":{}}
            b < 503 {"error":"Queue is full"}
            w > {"type":"ready"}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{}}}
            # A timeout below the smallest counts as the smallest, 5 s.
            * wait 4999ms
            a < nothing
            * wait 1ms
            a < 500 {"taskId":"$task","status":"failed","error":"Task timeout"}
            w < {"type":"cancel","taskId":"$task"}
            w > {"type":"task_complete","taskId":"$task","result":1}
            w < {"type":"error","error":"Task already failed","taskId":"$task"}
            a > POST /api/openai {"data":{}}
            w < {"type":"task","taskId":"$next","payload":{"model":"default","data":{}}}
            w leaves
            a < 500 {"taskId":"$next","status":"failed","error":"Worker disconnected"}
            """)
    }

    @Test("the worker's conversation: pings, foreign words, bad messages, draining", arguments: Chunking.all)
    func worker(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws?group=g&ready=explicit
            w < {"type":"connected","workerId":"W1-$suffix","message":"Connected to Task Dispatcher"}
            a > POST /api/openai {"data":{"n":1},"group":"g","async":true}
            a < 200 {"taskId":"$one","status":"queued"}
            * wait 5s
            w < nothing
            w > { "type": "ping" }
            w < {"type":"pong"}
            w > {"type":"ready","concurrency":2}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            w > {"type":"worker_status","gpus":[]}
            w > {"type":"task_logs","taskId":"$one","logs":"x"}
            w > {"type":"task_chunk","taskId":"$one","chunk":"y"}
            w < nothing
            w > {"type":"task_complete","taskId":"nobody"}
            w < {"type":"error","error":"Task not found or expired","taskId":"nobody"}
            v upgrades /ws?group=g
            v < {"type":"connected","workerId":"W2-$other","message":"Connected to Task Dispatcher"}
            v > {"type":"task_complete","taskId":"$one"}
            v < {"type":"error","error":"Task is not assigned to this worker","taskId":"$one"}
            w > {"type":"dance"}
            w < {"type":"error","error":"Unknown message type: dance"}
            w > {"type":"task_complete"}
            w < {"type":"error","error":"Invalid request: taskId required"}
            w > [1]
            w < {"type":"error","error":"Invalid request: a JSON object is expected"}
            w sends binary x
            w < {"type":"error","error":"Text messages are expected"}
            w > {"type":"drain"}
            w < nothing
            w > {"type":"task_complete","taskId":"$one","result":null}
            w < {"type":"task_ack","taskId":"$one"}
            w < {"type":"drain"}
            w > {"type":"task_complete","taskId":"$one"}
            w < {"type":"error","error":"Task already completed","taskId":"$one"}
            """)
    }
}
