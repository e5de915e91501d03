// The dashboard's socket played: a picture first, then what has changed, nothing while nothing changes; who may look, and who is sent home.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("The dashboard")
struct DashboardTranscripts {
    private static let worker = """
        w upgrades /ws?group=g&ready=explicit
        w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
        w > {"type":"ready"}

        """

    @Test("it begins with a picture, tells only what has changed, and nothing while nothing does", arguments: Chunking.all)
    func picture(_ chunking: Chunking) {
        Stage.play(chunking, """
            \(Self.worker)
            d upgrades /api/dashboard/ws
            d < {"type":"picture",…
            d > {"type":"ping"}
            d < {"type":"pong",…
            * wait 1s
            d < nothing
            a > POST /api/openai {"data":{"n":1},"async":true,"group":"g"}
            a < 200 {"taskId":"$task","status":"executing"}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}
            d < nothing
            * wait 1s
            d < {"type":"change",…
            d > {"type":"task","task_id":"$task"}
            d < {"type":"task",…
            w > {"type":"task_complete","taskId":"$task","result":2}
            w < {"type":"task_ack","taskId":"$task"}
            * wait 1s
            d < {"type":"change",…
            d leaves
            """)
    }

    @Test("what the page says wrongly is told, and the socket stays")
    func mistakes() {
        Stage.play(.whole, """
            d upgrades /api/dashboard/ws
            d < {"type":"picture",…
            d > {
            d < {"type":"error",…
            d > {"type":"x"}
            d < {"type":"error",…
            d > {"type":"task","task_id":"none"}
            d < {"type":"task","task_id":"none","gone":true}
            d sends binary x
            d < {"type":"error","error":"Text messages are expected"}
            """)
    }

    @Test("where tokens are asked for, it is an admin's", arguments: [Authentication.Mode.users, .all])
    func admins(_ mode: Authentication.Mode) throws {
        let admin = try Tokens.token("root", .admin)
        let user = try Tokens.token("1")
        Stage.play(.whole, try Tokens.settings(mode), """
            a upgrades /api/dashboard/ws
            a < close 4003 authentication failed
            a < closed
            b upgrades /api/dashboard/ws?token=\(user)
            b < close 4003 authentication failed
            b < closed
            c > POST /api/fleet/W1-00000000/drain
            c < 401 {"error":"A bearer token is needed"}
            c > POST /api/fleet/W1-00000000/drain [Authorization: Bearer \(admin)]
            c < 404 {"error":"Worker not found"}
            d upgrades /api/dashboard/ws?token=\(admin)
            d < {"type":"picture",…
            """)
    }

    @Test("a drained worker finishes what it has, and is sent home")
    func drained() {
        Stage.play(.whole, """
            \(Self.worker)
            a > POST /api/openai {"data":{},"async":true,"group":"g"}
            a < 200 {"taskId":"$task","status":"executing"}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{}}}
            a > POST /api/fleet/$worker/drain
            a < 200 {"worker_id":"$worker","draining":true,"busy":1}
            a > POST /api/openai {"data":{},"async":true,"group":"g"}
            a < 503 {"error":"No worker available"}
            w > {"type":"task_complete","taskId":"$task","result":2}
            w < {"type":"task_ack","taskId":"$task"}
            w < {"type":"drain"}
            """)
    }

    @Test("there are only so many at once")
    func crowded() {
        var settings = Settings()
        settings.limits.dashboardsMax = 1
        Stage.play(.whole, settings, """
            a upgrades /api/dashboard/ws
            a < {"type":"picture",…
            b upgrades /api/dashboard/ws
            b < close 1013 too many clients
            b < closed
            a leaves
            c upgrades /api/dashboard/ws
            c < {"type":"picture",…
            """)
    }

    // MARK: What is told

    /// What has come on the dashboard's socket since, as its messages.
    private func told(_ stage: Stage, _ peer: String = "d") throws -> [String] {
        var bytes = stage.take(peer)
        var messages: [String] = []
        while let frame = try Wire.frame(&bytes) { messages.append(try Wire.describe(frame, nil)) }
        return messages
    }

    /// The value of a section that is a list.
    private func list(_ name: String, in message: String) throws -> String {
        let start = try #require(message.firstRange(of: "\"\(name)\":["), "\(name) is not told")
        var depth = 1
        let rest = message[start.upperBound...]
        let end = try #require(rest.indices.first { index in
            if rest[index] == "[" { depth += 1 }
            if rest[index] == "]" { depth -= 1 }
            return depth == 0
        })
        return String(rest[..<end])
    }

    private func count(_ part: String, in text: String) -> Int { text.split(separator: part, omittingEmptySubsequences: false).count - 1 }

    /// A server of three workers with one task each, four that wait, and three that failed.
    private func busy(rows: Int) throws -> Stage {
        var settings = Settings()
        settings.limits.dashboardRowsMax = rows
        let stage = Stage(.whole, settings)
        for name in ["w1", "w2", "w3"] {
            stage.play("""
                \(name) upgrades /ws?group=g&ready=explicit
                \(name) < {"type":"connected",…
                \(name) > {"type":"ready"}
                a > POST /api/openai {"data":{"of":"\(name)"},"async":true,"group":"g"}
                a < 200 {"taskId":"$dead\(name)","status":"executing"}
                \(name) < {"type":"task",…
                \(name) > {"type":"task_error","taskId":"$dead\(name)","error":"no"}
                \(name) < {"type":"task_ack","taskId":"$dead\(name)"}
                a > POST /api/openai {"data":{"of":"\(name)"},"async":true,"group":"g"}
                a < 200 {"taskId":"$\(name)","status":"executing"}
                \(name) < {"type":"task",…
                """)
        }
        for name in ["q1", "q2", "q3", "q4"] {
            stage.play("""
                a > POST /api/openai {"data":{},"async":true,"group":"g"}
                a < 200 {"taskId":"$\(name)","status":"queued"}
                """)
        }
        return stage
    }

    @Test("a list has the rows there are, and no more than it may; how many there are is told besides", arguments: [(9, 9), (2, 2)])
    func rows(_ rows: Int, _ most: Int) throws {
        let stage = try busy(rows: rows)
        stage.play("d upgrades /api/dashboard/ws")
        let messages = try told(stage)
        #expect(messages.count == 1)
        let picture = try #require(messages.first)
        #expect(picture.hasPrefix(#"{"type":"picture","at":1700000000000,"version":"#))
        #expect(count("\"position\":", in: try list("waiting", in: picture)) == min(4, most))
        #expect(count("\"request\":", in: try list("executing", in: picture)) == min(3, most))
        #expect(count("\"retryable\":true", in: try list("ended", in: picture)) == min(3, most))
        #expect(count("\"taskId\":", in: try list("letters", in: picture)) == min(3, most))
        #expect(count("\"worker_id\":", in: try list("workers", in: picture)) == min(3, most))
        #expect(try list("groups", in: picture) == #"{"group":"g","workers":3,"waiting":4}"#)
        #expect(picture.contains(#""counts":{"queued":4,"executing":3,"paused":0,"reported":0,"remembered":3,"workers":3,"#))
        #expect(picture.contains(#""concurrency":3,"groups":1,"letters":3,"submitted":10,"completed":0,"failed":3,"cancelled":0,"#))
        #expect(picture.contains(#""worker":3,"#) && picture.contains(#""dashboard":1,"#))
        for name in ["w1", "w2", "w3"] { stage.play("\(name) leaves") }
        _ = stage.take("d")
        stage.end()
    }

    @Test("whatever happens in a tick is one message; what did not change is not in it")
    func ticks() throws {
        let stage = try busy(rows: 50)
        stage.play("d upgrades /api/dashboard/ws")
        _ = try told(stage)
        for number in 1...60 {
            stage.play(#"w1 > {"type":"task_progress","taskId":"$w1","progress":\#(number)}"#)
        }
        #expect(try told(stage).isEmpty)
        stage.play("* wait 500ms")
        let messages = try told(stage)
        #expect(messages.count == 1)
        let change = try #require(messages.first)
        #expect(change.hasPrefix(#"{"type":"change","at":1700000000500,"#))
        #expect(try list("executing", in: change).contains(#""progress":64,"#))
        for section in ["workers", "waiting", "ended", "letters", "groups", "connections", "log"] {
            #expect(!change.contains("\"\(section)\":"), "\(section)")
        }
        stage.play("* wait 10s")
        #expect(try told(stage).allSatisfy { !$0.contains("\"executing\":[") })
        for name in ["w1", "w2", "w3"] { stage.play("\(name) leaves") }
        _ = stage.take("d")
        stage.end()
    }

    @Test("requests are noted while somebody looks, each told once, and so many of a tick; a newcomer gets the last of them")
    func log() throws {
        let stage = Stage()
        func ask(_ times: Int, _ path: String) {
            for _ in 0..<times { stage.play("a > GET \(path)\na < 404 {\"error\":\"Task not found or expired\"}") }
        }
        ask(1, "/api/task/before")
        stage.play("d upgrades /api/dashboard/ws")
        #expect(try list("log", in: try #require(try told(stage).first)) == "")
        ask(60, "/api/task/x?token=secret")
        stage.play("a > GET /healthz\na < 200 {\"status\":\"ok\"}\n* wait 500ms")
        let first = try #require(try told(stage).first)
        let lines = try list("log", in: first)
        #expect(count(#""method":"GET","path":"/api/task/x","status":404,"#, in: lines) == 50)
        #expect(count("\"number\":", in: lines) == 50 && !lines.contains("secret") && first.hasSuffix(#""log_left_out":10}"#))
        #expect(lines.contains(#""response":"{\"error\":\"Task not found or expired\"}","request_bytes":0,"response_bytes":37}"#))
        ask(1, "/api/task/y")
        stage.play("* wait 500ms")
        let second = try #require(try told(stage).first)
        #expect(count("\"number\":", in: try list("log", in: second)) == 1 && !second.contains("log_left_out"))
        for _ in 0..<4 {
            ask(50, "/api/task/z")
            stage.play("* wait 500ms")
        }
        stage.play("e upgrades /api/dashboard/ws")
        let picture = try #require(try told(stage, "e").first)
        let past = try list("log", in: picture)
        #expect(picture.hasPrefix(#"{"type":"picture","#) && count("\"number\":", in: past) == 200 && !past.contains("/api/task/y"))
        // While nobody looks nothing is kept.
        stage.play("d leaves\ne leaves")
        ask(1, "/api/task/unseen")
        stage.play("f upgrades /api/dashboard/ws")
        #expect(try list("log", in: try #require(try told(stage, "f").first)) == "")
        stage.end()
    }

    @Test("who does not read is told nothing for a while, and then how it is")
    func slow() throws {
        var settings = Settings()
        settings.limits.conflatedBytesMin = 500
        let stage = Stage(.whole, settings)
        stage.play("d upgrades /api/dashboard/ws\nn upgrades /api/dashboard/ws")
        _ = (try told(stage), try told(stage, "n"))
        stage.play("d stalls")
        for _ in 0..<20 {
            stage.play("a > GET /api/task/none\na < 404 {\"error\":\"Task not found or expired\"}\n* wait 500ms")
        }
        #expect(try told(stage, "n").count == 20)
        let waiting = stage.network.outbox.queuedBytes
        #expect(waiting > 500 && waiting < 4_000)
        stage.play("d reads")
        let late = try told(stage)
        #expect(late.count < 4 && late.allSatisfy { $0.hasPrefix(#"{"type":"change","#) })
        stage.play("a > GET /api/task/none\na < 404 {\"error\":\"Task not found or expired\"}\n* wait 500ms")
        let next = try told(stage)
        #expect(next.count == 1 && next.first?.hasPrefix(#"{"type":"picture","#) == true)
        _ = stage.take("n")
        stage.end()
    }

    @Test("everything about one task: its request and its end byte for byte, and what is kept of it to be tried again")
    func details() throws {
        let stage = try busy(rows: 50)
        stage.play("d upgrades /api/dashboard/ws")
        _ = try told(stage)
        stage.play("""
            d > {"type":"task","task_id":"$deadw1"}
            d > {"type":"task","task_id":"$w1"}
            """)
        let messages = try told(stage)
        #expect(messages.count == 2)
        #expect(messages[0].contains(#""status":"failed","group":"g","model":null,"user":null,"attempts":1,"#))
        #expect(messages[0].contains(#""payload":{"model":"default","data":{"of":"w1"}},"error":"no""#))
        #expect(messages[1].contains(#""status":"executing","#) && messages[1].contains(#""timeout":60000,"lease":"#))
        for name in ["w1", "w2", "w3"] { stage.play("\(name) leaves") }
        _ = stage.take("d")
        stage.end()
    }

    @Test("of a request the beginnings of both bodies are noted, cut between characters, also where the answer holds a result")
    func bodies() throws {
        let stage = Stage()
        stage.play("\(Self.worker)d upgrades /api/dashboard/ws")
        _ = try told(stage)
        let prompt = String(repeating: "é", count: 2_000)
        let path = "/api/task/" + String(repeating: "p", count: 190)
        stage.play(#"""
            a > POST /api/openai {"data":{"pp":"\#(prompt)"},"group":"g"}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"pp":"\#(prompt)"}}}
            w > {"type":"task_complete","taskId":"$task","result":"\#(prompt)"}
            w < {"type":"task_ack","taskId":"$task"}
            a < 200 {"taskId":"$task","status":"completed","result":"\#(prompt)"}
            b > GET \#(path)
            b < 404 {"error":"Task not found or expired"}
            a > POST /api/openai {"data":{},"group":"g"}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{}}}
            w > {"type":"task_complete","taskId":"$two","result":{"n": 1.0}}
            w < {"type":"task_ack","taskId":"$two"}
            a < 200 {"taskId":"$two","status":"completed","result":{"n": 1.0}}
            * wait 500ms
            """#)
        let log = try list("log", in: try #require(try told(stage).first))
        // Of 2048 bytes, those before the last whole character.
        #expect(log.contains(#""request":"{\"data\":{\"pp\":\"\#(prompt.prefix(1_016))","#) && log.contains(#""request_bytes":4030,"#))
        #expect(log.contains(#"\"status\":\"completed\",\"result\":\"\#(prompt.prefix(983))","#) && !log.contains(prompt.prefix(1_017)))
        #expect(log.contains("\"path\":\"\(path)\""))
        #expect(log.contains(#"\"status\":\"completed\",\"result\":{\"n\": 1.0}}","request_bytes":"#))
        stage.play("d leaves\nw leaves")
        stage.end()
    }
}
