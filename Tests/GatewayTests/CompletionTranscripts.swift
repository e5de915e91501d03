// OpenAI's routes played: an answer, a stream, every error, and who hears when a client goes away.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("OpenAI's routes")
struct CompletionTranscripts {
    private static func worker(_ name: String, _ group: String, _ ready: String) -> String {
        """
        \(name) upgrades /ws?group=\(group)&ready=explicit
        \(name) < {"type":"connected","workerId":"$w\(name)","message":"Connected to Task Dispatcher"}
        \(name) > \(ready)

        """
    }

    private static let body = #"{"model":"m1","messages":[{"role":"user","content":"Hi"}],"temperature":0.70}"#
    private static let streamed = #"{"model":"m1","messages":[],"stream":true}"#

    private static func task(_ id: String, _ body: String, messages: String = "[]") -> String {
        """
        {"type":"task","taskId":"$\(id)","payload":{"model":"m1","messages":\(messages),\
        "endpoint":"/v1/chat/completions","request":\(body)}}
        """
    }

    private static func error(_ message: String, _ type: String, _ param: String, _ code: String) -> String {
        #"{"error":{"message":"\#(message)","type":"\#(type)","param":\#(param),"code":\#(code)}}"#
    }

    @Test("a chat: the worker gets the body byte for byte, and the client the worker's result", arguments: Chunking.all)
    func chat(_ chunking: Chunking) {
        Stage.play(
            chunking,
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                a > POST /v1/chat/completions \(Self.body)
                w < \(Self.task("task", Self.body, messages: #"[{"role":"user","content":"Hi"}]"#))
                w > {"type":"task_chunk","taskId":"$task","chunk":{"not":"asked for"}}
                a < nothing
                w > {"type":"task_complete","taskId":"$task","result":{"id": "c-1", "usage": {"total_tokens": 1.0}}}
                w < {"type":"task_ack","taskId":"$task"}
                a < 200 [Content-Type: application/json] [X-Request-ID: $task] {"id": "c-1", "usage": {"total_tokens": 1.0}}
                a > GET /api/task/$task
                a < 200 {"taskId":"$task","status":"completed","result":{"id": "c-1", "usage": {"total_tokens": 1.0}},\
                "completedAt":1700000000000}
                """)
    }

    @Test("completions and embeddings", arguments: [("completions", "prompt"), ("embeddings", "input")])
    func others(_ path: String, _ input: String) {
        for value in [#""Hi""#, #"["a","b"]"#] {
            let body = #"{"model":"m1","\#(input)":\#(value)}"#
            Stage.play(
                .whole,
                Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                    a > POST /v1/\(path) \(body)
                    w < {"type":"task","taskId":"$task","payload":{"model":"m1","endpoint":"/v1/\(path)","request":\(body)}}
                    w > {"type":"task_complete","taskId":"$task","result":[1]}
                    w < {"type":"task_ack","taskId":"$task"}
                    a < 200 [1]
                    """)
        }
    }

    @Test("a stream: each piece as it comes, on one line, and [DONE]; the connection goes on", arguments: Chunking.all)
    func stream(_ chunking: Chunking) {
        Stage.play(
            chunking,
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                a > POST /v1/chat/completions \(Self.streamed)
                w < \(Self.task("task", Self.streamed))
                w > {"type":"task_progress","taskId":"$task","progress":10}
                a < nothing
                w > {"type":"task_chunk","taskId":"$task","chunk":{"n": 1.0}}
                a < 200 [Content-Type: text/event-stream] [Cache-Control: no-store] [Transfer-Encoding: chunked] [X-Request-ID: $task]
                a < data: {"n": 1.0}
                w > {"type":"task_chunk","taskId":"$task","chunk":{"n": 2}}
                w > {"type":"task_chunk","taskId":"$task","chunk":"three"}
                a < data: {"n": 2}
                a < data: "three"
                a < nothing
                w > {"type":"task_complete","taskId":"$task","result":{"whole": true}}
                w < {"type":"task_ack","taskId":"$task"}
                a < data: [DONE]
                a < end
                a > GET /healthz
                a < 200 {"status":"ok"}
                """)
    }

    @Test("a worker that knows no pieces: its result is the one piece", arguments: Chunking.all)
    func whole(_ chunking: Chunking) {
        Stage.play(
            chunking,
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                a > POST /v1/chat/completions \(Self.streamed)
                w < \(Self.task("task", Self.streamed))
                w > {"type":"task_complete","taskId":"$task","result":{"id":"c","object":"chat.completion","choices":[{"index":0,\
                "message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"total_tokens":1.0}}}
                w < {"type":"task_ack","taskId":"$task"}
                a < 200 [Content-Type: text/event-stream]
                a < data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,\
                "delta":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"total_tokens":1.0}}
                a < data: [DONE]
                a < end
                """)
    }

    @Test("what a stream alone gets is one block of memory with its frame where it is small, and is not copied twice where it is large")
    func blocks() throws {
        for (length, blocks) in [(10, 1), (300_000, 3)] {
            let stage = Stage()
            stage.play(
                Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                    a > POST /v1/chat/completions \(Self.streamed)
                    w < \(Self.task("task", Self.streamed))
                    w > {"type":"task_chunk","taskId":"$task","chunk":1}
                    a < 200
                    a < data: 1

                    """)
            let words = String(repeating: "x", count: length)
            stage.play(#"w > {"type":"task_error","taskId":"$task","error":"\#(words)"}"#)
            #expect(stage.link("a").blocks == blocks, "\(length) bytes")
            stage.play(#"""
                w < {"type":"task_ack","taskId":"$task"}
                a < data: {"error":{"message":"\#(words)",…
                a < end
                """#)
            stage.end()
        }
    }

    @Test("a failure before the first piece has its status, one behind it is an event", arguments: Chunking.all)
    func failures(_ chunking: Chunking) {
        Stage.play(
            chunking,
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                a > POST /v1/chat/completions \(Self.streamed)
                w < \(Self.task("one", Self.streamed))
                w > {"type":"task_error","taskId":"$one","error":"too \\u0022long\\u0022","error_code":400}
                w < {"type":"task_ack","taskId":"$one"}
                a < 400 \(Self.error(#"too \u0022long\u0022"#, "invalid_request_error", "null", #""400""#))
                a > POST /v1/chat/completions \(Self.streamed)
                w < \(Self.task("two", Self.streamed))
                w > {"type":"task_chunk","taskId":"$two","chunk":1}
                a < 200
                a < data: 1
                w > {"type":"task_error","taskId":"$two","error":{"message":"gone","extra":[1.0]}}
                w < {"type":"task_ack","taskId":"$two"}
                a < data: {"error":{"message":"gone","extra":[1.0]}}
                a < end
                a > POST /v1/chat/completions \(Self.body)
                w < {"type":"task",…
                w leaves
                a < 500 \(Self.error("Worker disconnected", "server_error", "null", #""worker_disconnected""#))
                """)
    }

    @Test("a client that goes away, also in the midst of a stream: the worker is told", arguments: Chunking.all)
    func abandoned(_ chunking: Chunking) {
        Stage.play(
            chunking,
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                a > POST /v1/chat/completions \(Self.body)
                w < \(Self.task("one", Self.body, messages: #"[{"role":"user","content":"Hi"}]"#))
                a leaves
                w < {"type":"cancel","taskId":"$one"}
                w > {"type":"ready"}
                b > POST /v1/chat/completions \(Self.streamed)
                w < \(Self.task("two", Self.streamed))
                w > {"type":"task_chunk","taskId":"$two","chunk":1}
                b < 200
                b < data: 1
                b leaves
                w < {"type":"cancel","taskId":"$two"}
                """)
    }

    @Test("a stream is kept alive, from its first heartbeat on without a status to lose")
    func heartbeat() {
        var settings = Settings()
        settings.limits.taskTimeoutDefault = .seconds(70)
        Stage.play(
            .whole, settings,
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                a > POST /v1/chat/completions \(Self.streamed)
                w < \(Self.task("task", Self.streamed))
                * wait 29s
                a < nothing
                * wait 1s
                a < 200 [Content-Type: text/event-stream]
                a < : heartbeat
                * wait 30s
                a < : heartbeat
                * wait 10s
                w < {"type":"cancel","taskId":"$task"}
                a < data: \(Self.error("Task timeout", "server_error", "null", #""timeout""#))
                a < end
                """)
    }

    @Test("a reader that does not read: the stream ends with an error, its task is cancelled, and no more is kept than may be")
    func slow() {
        var settings = Settings()
        settings.limits.queuedBytesMax = 64 << 10
        settings.limits.burstBytesMax = 16 << 10
        settings.limits.conflatedBytesMin = 4 << 10
        let stage = Stage(.whole, settings)
        stage.play(
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                a > POST /v1/chat/completions \(Self.streamed)
                w < \(Self.task("task", Self.streamed))
                a stalls

                """)
        let piece = String(repeating: "x", count: 8_000)
        for _ in 0..<7 { stage.play(#"w > {"type":"task_chunk","taskId":"$task","chunk":"\#(piece)"}"#) }
        stage.play("w < nothing")
        for _ in 0..<2 { stage.play(#"w > {"type":"task_chunk","taskId":"$task","chunk":"\#(piece)"}"#) }
        stage.play(#"w < {"type":"cancel","taskId":"$task"}"#)
        #expect(stage.network.outbox.queuedBytes < 80 << 10)
        stage.play(
            "a reads\na < 200\n" + String(repeating: #"a < data: "\#(piece)"\#n"#, count: 8) + """
                a < data: \(Self.error("The stream is read too slowly", "server_error", "null", #""slow_reader""#))
                a < end
                a < closed
                """)
    }

    @Test("which group: the one that is named, else one that has the model, else the default group", arguments: Chunking.all)
    func groups(_ chunking: Chunking) {
        let any = #"{"model":"any","messages":[]}"#
        let named = #"{"model":"m1","messages":[],"group":"b"}"#
        Stage.play(
            chunking,
            """
            a > POST /v1/chat/completions \(Self.streamed)
            a < 503 [Retry-After: 1] \(Self.error("No worker available", "server_error", "null", #""no_worker""#))

            """ + Self.worker("x", "a", #"{"type":"ready","models":["m1"]}"#)
                + Self.worker("y", "b", #"{"type":"ready","models":["m1","m2"],"concurrency":3}"#) + """
                    a > POST /v1/chat/completions \(any)
                    a < 404 \(Self.error("The model 'any' does not exist", "invalid_request_error", #""model""#, #""model_not_found""#))
                    a > POST /v1/chat/completions \(Self.streamed)
                    x < nothing
                    y < {"type":"task",…
                    b > POST /v1/chat/completions [X-Group: a] \(Self.streamed)
                    x < {"type":"task",…
                    c > POST /v1/chat/completions [X-Group: a] \(named)
                    x < nothing
                    y < {"type":"task",…
                    d > POST /v1/chat/completions [X-Group: nobody] \(any)
                    d < 503 \(Self.error("No worker available", "server_error", "null", #""no_worker""#))

                    """ + Self.worker("z", "", #"{"type":"ready"}"#) + """
                    d > POST /v1/chat/completions \(any)
                    x < nothing
                    y < nothing
                    z < {"type":"task",…
                    a leaves
                    y < {"type":"cancel",…
                    b leaves
                    x < {"type":"cancel",…
                    c leaves
                    y < {"type":"cancel",…
                    d leaves
                    z < {"type":"cancel",…
                    """)
    }

    @Test("a full queue is 429")
    func full() {
        var settings = Settings()
        settings.limits.queueLengthMax = 1
        Stage.play(
            .whole, settings,
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                a > POST /v1/chat/completions \(Self.body)
                w < {"type":"task",…
                b > POST /v1/chat/completions \(Self.body)
                b < nothing
                c > POST /v1/chat/completions \(Self.body)
                c < 429 [Retry-After: 1] \(Self.error("Queue is full", "rate_limit_error", "null", #""rate_limit_exceeded""#))
                b leaves
                a leaves
                w < {"type":"cancel",…
                """)
    }

    @Test("the same key: the same task; a stream of it that comes later has all of it at the end")
    func keys() {
        Stage.play(
            .whole,
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                a > POST /v1/chat/completions [Idempotency-Key: k] \(Self.streamed)
                w < \(Self.task("task", Self.streamed))
                w > {"type":"task_chunk","taskId":"$task","chunk":1}
                a < 200
                a < data: 1
                b > POST /v1/chat/completions [Idempotency-Key: k] \(Self.streamed)
                w > {"type":"task_chunk","taskId":"$task","chunk":2}
                a < data: 2
                b < nothing
                w > {"type":"task_complete","taskId":"$task","result":[12]}
                w < {"type":"task_ack","taskId":"$task"}
                a < data: [DONE]
                a < end
                b < 200
                b < data: [12]
                b < data: [DONE]
                b < end
                a > POST /v1/chat/completions [Idempotency-Key: k] \(Self.body)
                a < 200 [12]
                """)
    }

    @Test("errors have OpenAI's shape on these paths, and nowhere else")
    func shapes() {
        Stage.play(
            .whole,
            """
            a > POST /v1/chat/completions {"messages":[]}
            a < 400 \(Self.error("Invalid request: model required", "invalid_request_error", #""model""#, "null"))
            a > POST /v1/embeddings {"model":"m","input":5}
            a < 400 \(Self.error("Invalid request: input must be a text or an array", "invalid_request_error", #""input""#, "null"))
            a > POST /v1/embeddings [Content-Type: text/plain] x
            a < 415 \(Self.error("Content-Type must be application/json", "invalid_request_error", "null", "null"))
            a > GET /v1/chat/completions
            a < 405 \(Self.error("Method not allowed", "invalid_request_error", "null", "null"))
            a > GET /v1/nothing
            a < 404 \(Self.error("Not found", "invalid_request_error", "null", "null"))
            a > GET /nothing
            a < 404 {"error":"Not found"}
            """)
    }

    @Test("the end of the server: a stream and an answer that did not come are told")
    func end() {
        Stage.play(
            .whole,
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"],"concurrency":2}"#) + """
                a > POST /v1/chat/completions \(Self.streamed)
                w < \(Self.task("task", Self.streamed))
                w > {"type":"task_chunk","taskId":"$task","chunk":1}
                a < 200
                a < data: 1
                b > POST /v1/chat/completions \(Self.body)
                w < {"type":"task",…
                * stop
                * hasten
                a < data: \(Self.error("Server is shutting down", "server_error", "null", #""shutting_down""#))
                a < end
                a < closed
                b < 503 \(Self.error("Server is shutting down", "server_error", "null", #""shutting_down""#))
                b < closed
                w < {"type":"cancel",…
                w < {"type":"cancel",…
                w < {"type":"drain"}
                w < close 1001 server is shutting down
                """)
    }

    @Test("the models that workers declare, and those that are registered and run")
    func models() {
        Stage.play(
            .whole,
            """
            a > GET /v1/models
            a < 200 {"object":"list","data":[]}

            """ + Self.worker("w", "llm", #"{"type":"ready","models":["org/m2","m1"]}"#) + """
                a > GET /v1/models
                a < 200 {"object":"list","data":[{"id":"m1","object":"model","created":1700000000,"owned_by":"llm"},\
                {"id":"org/m2","object":"model","created":1700000000,"owned_by":"llm"}]}
                a > GET /v1/models/org/m2
                a < 200 {"id":"org/m2","object":"model","created":1700000000,"owned_by":"llm"}
                a > GET /v1/models/org%2Fm2
                a < 200 {"id":"org/m2","object":"model","created":1700000000,"owned_by":"llm"}
                a > GET /v1/models/m3
                a < 404 \(Self.error("The model 'm3' does not exist", "invalid_request_error", #""model""#, #""model_not_found""#))
                w leaves
                a > GET /v1/models
                a < 200 {"object":"list","data":[]}
                """)
    }

    @Test("registered models are listed while they run; one whose worker is missing is not unknown")
    func registered() {
        let asked = #"{"model":"m9","messages":[]}"#
        Stage.play(
            .whole,
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                a > POST /v1/chat/completions \(asked)
                a < 404 \(Self.error("The model 'm9' does not exist", "invalid_request_error", #""model""#, #""model_not_found""#))
                r > POST /api/deployments {"model_id":"m9","deployment_id":"d","start":false}
                r leaves
                a > GET /v1/models/m9
                a < 404 \(Self.error("The model 'm9' does not exist", "invalid_request_error", #""model""#, #""model_not_found""#))
                r > POST /api/deployments/d/start
                r leaves
                r > POST /api/deployments {"model_id":"m1","deployment_id":"e"}
                r leaves
                a > GET /v1/models
                a < 200 {"object":"list","data":[{"id":"m1","object":"model","created":1700000000,"owned_by":"llm"},\
                {"id":"m9","object":"model","created":1700000000,"owned_by":"signalbox"}]}
                a > POST /v1/chat/completions \(asked)
                a < 503 [Retry-After: 1] \(Self.error("No worker available", "server_error", "null", #""no_worker""#))
                """)
    }

    @Test("HTTP/1.0 gets the pieces without chunks, and the end by closing; a result of nothing is null", arguments: Chunking.all)
    func oldClients(_ chunking: Chunking) {
        let body = Self.streamed
        let head = "POST /v1/chat/completions HTTP/1.0\\r\\nHost: h\\r\\nContent-Length: \(body.utf8.count)\\r\\n\\r\\n"
        Stage.play(
            chunking,
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                o >> \(head)\(body)
                w < \(Self.task("task", body))
                w > {"type":"task_chunk","taskId":"$task","chunk":{"n": 1.0}}
                o < 200 [Content-Type: text/event-stream] [Transfer-Encoding: -] [Connection: close]
                o < data: {"n": 1.0}
                w > {"type":"task_complete","taskId":"$task"}
                w < {"type":"task_ack","taskId":"$task"}
                o < data: [DONE]
                o < closed
                a > POST /v1/chat/completions \(Self.body)
                w < {"type":"task",…
                a < nothing
                w leaves
                a < 500 \(Self.error("Worker disconnected", "server_error", "null", #""worker_disconnected""#))
                """)
    }

    @Test("a reader that takes nothing of what waits, from one heartbeat to the next, is gone: its task is cancelled")
    func gone() {
        var settings = Settings()
        settings.limits.taskTimeoutDefault = .seconds(300)
        let stage = Stage(.whole, settings)
        stage.play(
            Self.worker("w", "llm", #"{"type":"ready","models":["m1"]}"#) + """
                a > POST /v1/chat/completions \(Self.streamed)
                w < \(Self.task("task", Self.streamed))
                w > {"type":"task_chunk","taskId":"$task","chunk":1}
                a < 200
                a < data: 1
                a stalls
                w > {"type":"task_chunk","taskId":"$task","chunk":2}
                * wait 60s
                w < nothing
                w > {"type":"task_chunk","taskId":"$task","chunk":3}
                * wait 60s
                w < nothing
                * wait 30s
                w < {"type":"cancel","taskId":"$task"}
                a reads
                a < data: 2
                a < data: 3
                a < data: \(Self.error("The stream is read too slowly", "server_error", "null", #""slow_reader""#))
                a < end
                a < closed
                """)
        stage.end()
    }
}
