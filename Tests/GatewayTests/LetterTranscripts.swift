// Goal: a failed task that was promised can be read and tried again by whom it belongs to, and by nobody else; it is there until its new
// task is written down.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Dead letters")
struct LetterTranscripts {
    /// A worker of the group g, and a task of it that has failed.
    private static let failed = """
        w upgrades /ws?group=g
        w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
        w > {"type":"ready","concurrency":3}
        a > POST /api/openai {"data":{"n": 1.0},"group":"g","async":true,"retries":1,"timeout":9000}
        w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n": 1.0}}}
        a < 200 {"taskId":"$one","status":"executing"}
        w > {"type":"task_error","taskId":"$one","error":{"code": 5.0}}
        w < {"type":"task_ack","taskId":"$one"}

        """
    private static let fields = """
        "taskId":"$one","group":"g","model":null,"priority":"normal","timeout":9000,"retries":1,"attempts":1,"reason":"task_error",\
        "error":{"code": 5.0},"enqueuedAt":1700000000000,"failedAt":1700000000000,"payloadBytes":37
        """

    @Test("a failed task is listed without its payload, read with it, replayed as a new one, and gone", arguments: Chunking.all)
    func life(_ chunking: Chunking) {
        Stage.play(chunking, Self.failed + """
            a > GET /api/dead-letters
            a < 200 [Content-Type: application/json] {"deadLetters":[{\(Self.fields)}],"count":1,"nextCursor":null}
            a > GET /api/dead-letters?group=h
            a < 200 {"deadLetters":[],"count":0,"nextCursor":null}
            a > GET /api/dead-letters/$one
            a < 200 {\(Self.fields),"payload":{"model":"default","data":{"n": 1.0}}}
            a > POST /api/dead-letters/$one/replay
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n": 1.0}}}
            a < 200 {"taskId":"$two","replayOf":"$one","status":"executing"}
            a > GET /api/dead-letters/$one
            a < 404 {"error":"Dead letter not found"}
            a > POST /api/dead-letters/$one/replay
            a < 404 {"error":"Dead letter not found"}
            w > {"type":"task_complete","taskId":"$two","result":1}
            w < {"type":"task_ack","taskId":"$two"}
            a > GET /api/task/$two
            a < 200 {"taskId":"$two","status":"completed","result":1,"completedAt":1700000000000}
            a > GET /api/dead-letters/%0a
            a < 404 {"error":"Dead letter not found"}
            """)
    }

    @Test("whoever asks first has it replayed; the others wait for what becomes of it", arguments: Chunking.all)
    func race(_ chunking: Chunking) {
        Stage.play(chunking, Self.failed + """
            * hold disk
            a > POST /api/dead-letters/$one/replay
            b > POST /api/dead-letters/$one/replay
            b < 409 {"error":"Dead letter is being replayed"}
            b > DELETE /api/dead-letters/$one
            b < 409 {"error":"Dead letter is being replayed"}
            b > POST /api/dead-letters/replay {}
            b < 200 {"replayed":0,"refused":0,"remaining":0}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n": 1.0}}}
            a < nothing
            * commit
            a < 200 {"taskId":"$two","replayOf":"$one","status":"executing"}
            b > POST /api/dead-letters/$one/replay
            b < 404 {"error":"Dead letter not found"}
            """)
    }

    @Test("one whose new task cannot be written down stays, and can be tried again", arguments: Chunking.all)
    func notStored(_ chunking: Chunking) {
        Stage.play(chunking, Self.failed + """
            * break disk
            a > POST /api/dead-letters/$one/replay
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n": 1.0}}}
            w < {"type":"cancel","taskId":"$two"}
            a < 503 {"error":"Task could not be stored"}
            a > POST /api/dead-letters/replay {"group":"g"}
            w < {"type":"task","taskId":"$three","payload":{"model":"default","data":{"n": 1.0}}}
            w < {"type":"cancel","taskId":"$three"}
            a < 503 {"error":"Task could not be stored"}
            * mend disk
            * wait 1s
            a > POST /api/dead-letters/$one/replay
            w < {"type":"task","taskId":"$four","payload":{"model":"default","data":{"n": 1.0}}}
            a < 200 {"taskId":"$four","replayOf":"$one","status":"executing"}
            """)
    }

    @Test("a letter that the disk does not take is written as soon as it does, behind its task's end")
    func kept() {
        let stage = Stage()
        stage.play("""
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{},"async":true}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{}}}
            a < 200 {"taskId":"$one","status":"executing"}
            * break disk
            w > {"type":"task_error","taskId":"$one"}
            w < nothing
            * mend disk
            * wait 1s
            w < {"type":"task_ack","taskId":"$one"}
            """)
        var seen: [String] = []
        for record in stage.network.disk.written {
            if case .ended = record { seen.append("ended") }
            if case .letterKept(let letter) = record { seen.append("letter \(letter.number)") }
        }
        #expect(seen == ["ended", "letter 1"])
        stage.end()
    }

    @Test("where nobody takes the new task the letter stays, and is removed by order", arguments: Chunking.all)
    func removed(_ chunking: Chunking) {
        Stage.play(chunking, Self.failed + """
            w leaves
            a > POST /api/dead-letters/$one/replay
            a < 503 {"error":"No worker available"}
            a > POST /api/dead-letters/replay {}
            a < 200 {"replayed":0,"refused":1,"remaining":1}
            * hold disk
            a > DELETE /api/dead-letters/$one
            a < nothing
            * commit
            a < 200 {"taskId":"$one","removed":true}
            a > GET /api/dead-letters
            a < 200 {"deadLetters":[],"count":0,"nextCursor":null}
            """)
    }

    @Test("all of a group in one request, as many as may", arguments: Chunking.all)
    func all(_ chunking: Chunking) {
        var settings = Settings()
        settings.limits.replaysPerRequestMax = 1
        Stage.play(chunking, settings, Self.failed + """
            a > POST /api/openai {"data":{},"group":"g","async":true}
            w < {"type":"task","taskId":"$x","payload":{"model":"default","data":{}}}
            a < 200 {"taskId":"$x","status":"executing"}
            w > {"type":"task_error","taskId":"$x"}
            w < {"type":"task_ack","taskId":"$x"}
            a > GET /api/dead-letters?limit=1
            a < 200 {"deadLetters":[{"taskId":"$x","group":"g","model":null,"priority":"normal","timeout":60000,"retries":0,"attempts":1,\
            "reason":"task_error","error":"Task failed","enqueuedAt":1700000000000,"failedAt":1700000000000,"payloadBytes":29}],\
            "count":1,"nextCursor":"2"}
            a > GET /api/dead-letters?limit=1&cursor=2
            a < 200 {"deadLetters":[{\(Self.fields)}],"count":1,"nextCursor":null}
            a > POST /api/dead-letters/replay {"group":"g"}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n": 1.0}}}
            a < 200 {"replayed":1,"refused":0,"remaining":1}
            a > POST /api/dead-letters/replay
            w < {"type":"task","taskId":"$three","payload":{"model":"default","data":{}}}
            a < 200 {"replayed":1,"refused":0,"remaining":0}
            a > POST /api/dead-letters/replay {"group":1}
            a < 400 {"error":"Invalid request: group must be a text"}
            a > POST /api/dead-letters/replay [Content-Type: text/plain] {}
            a < 415 {"error":"Content-Type must be application/json"}
            a > GET /api/dead-letters?limit=x
            a < 400 {"error":"Invalid request: limit must be a whole number from 1 to 500"}
            """)
    }

    @Test("a letter is its owner's and an admin's; to others it is not there", arguments: Chunking.all)
    func owners(_ chunking: Chunking) throws {
        let (alice, bob) = (try Tokens.token("alice"), try Tokens.token("bob"))
        let (root, worker) = (try Tokens.token("root", .admin), try Tokens.token("w", .worker))
        Stage.play(chunking, try Tokens.settings(.all), """
            w upgrades /ws?token=\(worker)
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai?token=\(alice) {"data":{},"async":true}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{}}}
            a < 200 {"taskId":"$one","status":"executing"}
            w > {"type":"task_error","taskId":"$one"}
            w < {"type":"task_ack","taskId":"$one"}
            b > GET /api/dead-letters?token=\(bob)
            b < 200 {"deadLetters":[],"count":0,"nextCursor":null}
            b > GET /api/dead-letters/$one?token=\(bob)
            b < 404 {"error":"Dead letter not found"}
            b > POST /api/dead-letters/$one/replay?token=\(bob)
            b < 404 {"error":"Dead letter not found"}
            b > DELETE /api/dead-letters/$one?token=\(bob)
            b < 404 {"error":"Dead letter not found"}
            b > POST /api/dead-letters/replay?token=\(bob) {}
            b < 200 {"replayed":0,"refused":0,"remaining":0}
            b > GET /api/dead-letters
            b < 401 {"error":"A bearer token is needed"}
            a > GET /api/dead-letters/$one?token=\(alice)
            a < 200 {"taskId":"$one","group":"default","model":null,"priority":"normal","timeout":60000,"retries":0,"attempts":1,\
            "reason":"task_error","error":"Task failed","enqueuedAt":1700000000000,"failedAt":1700000000000,"payloadBytes":29,\
            "payload":{"model":"default","data":{}}}
            r > POST /api/dead-letters/$one/replay?token=\(root)
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{}}}
            r < 200 {"taskId":"$two","replayOf":"$one","status":"executing"}
            b > GET /api/task/$two?token=\(bob)
            b < 404 {"error":"Task not found or expired"}
            a > GET /api/task/$two?token=\(alice)
            a < 200 {"taskId":"$two","status":"executing","workerId":"$w","startedAt":1700000000000}
            """)
    }
    @Test("a letter without an owner is had by its name, and stands in no list but an admin's", arguments: Chunking.all)
    func names(_ chunking: Chunking) throws {
        let (alice, root) = (try Tokens.token("alice"), try Tokens.token("root", .admin))
        Stage.play(chunking, try Tokens.settings(.users), """
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{},"async":true}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{}}}
            a < 200 {"taskId":"$one","status":"executing"}
            w > {"type":"task_error","taskId":"$one"}
            w < {"type":"task_ack","taskId":"$one"}
            b > GET /api/dead-letters
            b < 401 {"error":"A bearer token is needed"}
            b > POST /api/dead-letters/replay {}
            b < 401 {"error":"A bearer token is needed"}
            b > GET /api/dead-letters?token=\(alice)
            b < 200 {"deadLetters":[],"count":0,"nextCursor":null}
            b > POST /api/dead-letters/replay?token=\(alice) {}
            b < 200 {"replayed":0,"refused":0,"remaining":0}
            r > POST /api/dead-letters/replay?token=\(root) {}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{}}}
            r < 200 {"replayed":1,"refused":0,"remaining":0}
            w > {"type":"task_error","taskId":"$two"}
            w < {"type":"task_ack","taskId":"$two"}
            b > POST /api/dead-letters/$two/replay
            w < {"type":"task","taskId":"$three","payload":{"model":"default","data":{}}}
            b < 200 {"taskId":"$three","replayOf":"$two","status":"executing"}
            """)
    }
}
