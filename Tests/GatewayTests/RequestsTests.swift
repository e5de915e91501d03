// Goal: each route answers what the documents and RFC 9110 say, however its request is cut.
import Base
import TestSupport
import Testing

@testable import Gateway

@Suite("Requests")
struct RequestsTests {
    @Test("methods, HEAD and OPTIONS as RFC 9110 has them", arguments: Chunking.all)
    func methods(_ chunking: Chunking) {
        Stage.play(chunking, """
            a > DELETE /api/openai
            a < 405 [Allow: POST, OPTIONS] {"error":"Method not allowed"}
            a > OPTIONS /api/openai
            a < 204 [Allow: POST, OPTIONS] [Content-Length: -]
            a > OPTIONS /metrics
            a < 204 [Allow: GET, HEAD, OPTIONS]
            a > HEAD /healthz
            a < 200 [Content-Length: 15] [Content-Type: application/json]
            a > HEAD /api/task/nobody
            a < 404 [Content-Length: 37]
            a > GET /nowhere
            a < 404 {"error":"Not found"}
            a > GET /readyz
            a < 200 {"status":"ready"}
            a > HEAD /clients/examples/worker-node.js
            a < 200 [Content-Type: text/javascript; charset=utf-8]
            """)
    }

    @Test("what a body may be: 415 before it comes, 400 once it is read", arguments: Chunking.all)
    func bodies(_ chunking: Chunking) {
        Stage.play(chunking, """
            a > POST /api/openai [Content-Type: text/plain] {"data":{}}
            a < 415 {"error":"Content-Type must be application/json"}
            a > POST /api/openai [Content-Type: application/jsonx] {"data":{}}
            a < 415 {"error":"Content-Type must be application/json"}
            a > POST /api/openai [Content-Type: Application/JSON; charset=utf-8] {"data":{}}
            a < 503 {"error":"No worker available"}
            a > POST /api/openai
            a < 400 {"error":"Invalid request: data or messages required"}
            a > POST /api/openai {"data":{}
            a < 400 {"error":"Invalid JSON: $other"}
            a > POST /api/openai []
            a < 400 {"error":"Invalid request: a JSON object is expected"}
            a > POST /api/openai {"data":[]}
            a < 400 {"error":"Invalid request: data must be an object"}
            a > POST /api/openai {"data":{},"timeout":"1"}
            a < 400 {"error":"Invalid request: timeout must be a number"}
            a > POST /api/openai {"data":{},"retries":101}
            a < 400 {"error":"Invalid request: retries must be a whole number from 0 to 100"}
            a > POST /api/openai {"data":{},"priority":"urgent"}
            a < 400 {"error":"Invalid request: priority must be one of low, normal, high"}
            a > POST /api/openai [Idempotency-Key: @256] {"data":{}}
            a < 400 {"error":"Invalid request: Idempotency-Key must be at most 255 bytes long"}
            """)
    }

    @Test("SECURITY 9: a body that would have to be inflated is refused before it comes", arguments: Chunking.all)
    func codings(_ chunking: Chunking) {
        let refused = #"415 [Accept-Encoding: identity] {"error":"Content-Encoding must be identity, or left out"}"#
        Stage.play(chunking, """
            a > POST /api/openai [Content-Encoding: gzip] {"data":{}}
            a < \(refused)
            a > POST /api/gpu/tasks [Content-Encoding: deflate, gzip] {"data":{}}
            a < \(refused)
            a > POST /api/activities [Content-Encoding: br] {"message":"x"}
            a < \(refused)
            a > POST /api/task/register [Content-Encoding: zstd] {"task_id":"x"}
            a < 415 [Accept-Encoding: identity] {"success":false,"error":"Content-Encoding must be identity, or left out"}
            a > POST /api/openai [Content-Encoding: Identity] {"data":{}}
            a < 503 {"error":"No worker available"}
            """)
    }

    @Test("SECURITY 32: what a browser may take for a page is told what it is, and may do nothing", arguments: Chunking.all)
    func policies(_ chunking: Chunking) {
        Stage.play(chunking, """
            a > HEAD /clients/examples/worker-node.js
            a < 200 [X-Content-Type-Options: nosniff] [Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; sandbox]
            a > HEAD /clients/examples/worker-python.py
            a < 200 [X-Content-Type-Options: nosniff] [Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; sandbox]
            a > HEAD /dashboard
            a < 200 [X-Content-Type-Options: nosniff] [Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
            connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none']
            a > HEAD /metrics
            a < 200 [X-Content-Type-Options: nosniff] [Content-Type: text/plain; version=0.0.4; charset=utf-8]
            a > GET /api/task/%3Cscript%3E
            a < 404 [X-Content-Type-Options: nosniff] [Content-Type: application/json] {"error":"Task not found or expired"}
            """)
    }

    @Test("413 and 431 close the connection; 417 as well", arguments: Chunking.all)
    func tooMuch(_ chunking: Chunking) {
        var settings = Settings()
        settings.limits.bodyBytesMax = 100
        Stage.play(chunking, settings, """
            a > POST /api/openai {"data":{"x":"@100"}}
            a < 413 [Connection: close] {"error":"The request content is too large."}
            a < closed
            b > GET /healthz [X: @17000]
            b < 431 [Connection: close] {"error":"The request head is too large."}
            b < closed
            c > POST /api/openai [Expect: 200-maybe] {"data":{}}
            c < 417 {"error":"The only expectation that is understood is 100-continue."}
            c < closed
            d >> POST /api/openai HTTP/1.1\\r\\nHost: h\\r\\nTransfer-Encoding: chunked\\r\\nContent-Length: 3\\r\\n\\r\\n
            d < 400 {"error":"Content-Length and Transfer-Encoding are both present."}
            d < closed
            e >> GET /healthz HTTP/1.1\\nHost: h\\n\\n
            e < 400 {"error":"A line ends in LF without CR."}
            e < closed
            f >> POST /api/openai HTTP/1.1\\r\\nHost: h\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n65\\r\\n@101\\r\\n0\\r\\n\\r\\n
            f < 413 {"error":"The request content is too large."}
            f < closed
            g >> GET /healthz HTTP/1.1\\r\\n\\r\\n
            g < 400 {"error":"The Host header field is missing."}
            g < closed
            h >> \\0
            h < 400 {"error":"The request does not begin with a method."}
            h < closed
            """)
    }

    @Test("RFC 9112 §7.1: a chunked body is one body, however it is cut", arguments: Chunking.all)
    func chunked(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws?ready=explicit
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a >> POST /api/openai HTTP/1.1\\r\\nHost: h\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3\\r\\n{"d\\r\\n5;x=y\\r\\nata":\\r\\n
            a < nothing
            a >> 9\\r\\n{"a":"b"}\\r\\n1\\r\\n}\\r\\n0\\r\\nTrailer: x\\r\\n\\r\\nGET /healthz HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"a":"b"}}}
            a < nothing
            w > {"type":"task_complete","taskId":"$task","result":1}
            w < {"type":"task_ack","taskId":"$task"}
            a < 200 {"taskId":"$task","status":"completed","result":1}
            a < 200 {"status":"ok"}
            """)
    }

    @Test("RFC 9110 §10.1.1: who waits to be asked for a body is asked, unless the request is refused", arguments: Chunking.all)
    func expectation(_ chunking: Chunking) {
        Stage.play(chunking, """
            a >> POST /api/openai HTTP/1.1\\r\\nHost: h\\r\\nExpect: 100-continue\\r\\nContent-Length: 11\\r\\n\\r\\n
            a < 100
            a >> {"data":{}}
            a < 503 {"error":"No worker available"}
            a >> POST /nowhere HTTP/1.1\\r\\nHost: h\\r\\nExpect: 100-continue\\r\\nContent-Length: 11\\r\\n\\r\\n
            a < 404 [Connection: close] {"error":"Not found"}
            a < closed
            """)
    }

    @Test("the same key is the same task: two waiters, one work; the one that leaves does not end it", arguments: Chunking.all)
    func idempotency(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai [Idempotency-Key: k1] {"data":{"n":1}}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}
            b > POST /api/openai {"data":{"n":2},"idempotencyKey":"k1"}
            c > POST /api/openai [Idempotency-Key: k1] {"data":{"n":1}}
            d > POST /api/openai [Idempotency-Key: other] {"data":{"n":3},"async":true}
            d < 200 {"taskId":"$third","status":"queued"}
            e > POST /api/openai [Idempotency-Key: k1] {"data":{"n":1},"async":true}
            e < 200 {"taskId":"$task","status":"executing"}
            a leaves
            w < nothing
            w > {"type":"task_complete","taskId":"$task","result":"r"}
            w < {"type":"task","taskId":"$third","payload":{"model":"default","data":{"n":3}}}
            w < {"type":"task_ack","taskId":"$task"}
            b < 200 {"taskId":"$task","status":"completed","result":"r"}
            c < 200 {"taskId":"$task","status":"completed","result":"r"}
            b > POST /api/openai [Idempotency-Key: k1] {"data":{"n":4}}
            b < 200 {"taskId":"$task","status":"completed","result":"r"}
            # A key without a letter is none.
            f > POST /api/openai [Idempotency-Key: ] {"data":{"n":5},"async":true}
            f < 200 {"taskId":"$fifth","status":"queued"}
            f > POST /api/openai [Idempotency-Key: ] {"data":{"n":6},"async":true}
            f < 200 {"taskId":"$sixth","status":"queued"}
            f > GET /api/task/$sixth
            f < 200 {"taskId":"$sixth","status":"queued","enqueuedAt":1700000000000,"position":2}
            """)
    }

    @Test("cancelling: who waits is told, so is the worker; a second time is a conflict", arguments: Chunking.all)
    func cancel(_ chunking: Chunking) {
        Stage.play(chunking, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{}}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{}}}
            b > POST /api/openai {"data":{}}
            c > POST /api/task/$task/cancel
            c < 200 {"taskId":"$task","status":"cancelled"}
            a < 409 {"error":"Task cancelled"}
            w < {"type":"cancel","taskId":"$task"}
            c > POST /api/gpu/tasks/$task/cancel
            c < 409 {"error":"Task already ended","task_id":"$task","status":"cancelled"}
            c > GET /api/task/$task
            c < 200 {"taskId":"$task","status":"cancelled","error":"Task cancelled","cancelledAt":1700000000000}
            c > POST /api/task/nobody/cancel
            c < 404 {"error":"Task not found or expired"}
            w > {"type":"task_error","taskId":"$task","error":"stopped"}
            w < {"type":"error","error":"Task already cancelled","taskId":"$task"}
            w < {"type":"task","taskId":"$second","payload":{"model":"default","data":{}}}
            b leaves
            w < {"type":"cancel","taskId":"$second"}
            """)
    }

    @Test("a name that no task can have is answered as one that no task has, by each document in its words", arguments: [
        ("GET /api/task/NAME", #"{"error":"Task not found or expired"}"#),
        ("POST /api/task/NAME/cancel", #"{"error":"Task not found or expired"}"#),
        ("GET /api/gpu/tasks/NAME", #"{"error":"Task not found or expired"}"#),
        ("GET /api/gpu/tasks/NAME/connections", #"{"error":"Task not found or expired"}"#),
        ("POST /api/gpu/tasks/NAME/cancel", #"{"error":"Task not found or expired"}"#),
        ("GET /api/tasks/NAME/events", #"{"error":"Task not found or expired"}"#),
        ("GET /api/task/task/NAME/status", #"{"success":false,"error":"Task not found"}"#),
        ("DELETE /api/task/task/NAME", #"{"success":false,"error":"Task not found"}"#),
        ("POST /api/task/task/NAME/started {}", #"{"success":false,"error":"Task not found"}"#),
        ("GET /api/v1/progress/NAME", #"{"error":"Task not found"}"#),
        ("GET /api/v1/progress/NAME/history", #"{"error":"Task not found"}"#),
        ("GET /api/v1/progress/NAME/history/db", #"{"error":"Task not found"}"#),
    ])
    func impossibleNames(_ request: String, _ answer: String) {
        let parts = request.split(separator: "NAME", omittingEmptySubsequences: false)
        for name in ["nobody", "%01"] {
            Stage.play(.whole, """
                a > \(parts[0])\(name)\(parts[1])
                a < 404 [Content-Type: application/json] \(answer)
                """)
        }
    }

    @Test("a large body is read by the pool: others are answered meanwhile, its own later requests are not", arguments: Chunking.all)
    func pool(_ chunking: Chunking) {
        var settings = Settings()
        settings.limits.inlineWorkBytes = 1_000
        Stage.play(chunking, settings, """
            * hold jobs
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{"x":"@2000"}}
            a > GET /healthz
            b > POST /api/openai {"data":{"x":"@2001"}
            b > GET /readyz
            c > GET /healthz
            c < 200 {"status":"ok"}
            a < nothing
            w < nothing
            * jobs 2
            * job 1
            b < 400 {"error":"Invalid JSON: $why"}
            b < 200 {"status":"ready"}
            * job 0
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"x":"@2000"}}}
            a < nothing
            w > {"type":"task_complete","taskId":"$task","result":1}
            * jobs 0
            w < {"type":"task_ack","taskId":"$task"}
            a < 200 {"taskId":"$task","status":"completed","result":1}
            a < 200 {"status":"ok"}
            # Who went away before the pool was done ordered nothing.
            d > POST /api/openai {"data":{"x":"@2000"}}
            * jobs 1
            d leaves
            e > GET /healthz
            e < 200 {"status":"ok"}
            * job 0
            w < nothing
            e < nothing
            """)
    }
}
