// Goal: whoever polls learns what is his, page by page, and no more; a record goes when it is asked for and its task has ended.
import Base
import Dialects
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Document N over HTTP")
struct UserRequestsTests {
    private static let now = "2023-11-14T22:13:20"

    private static func register(_ ids: [String], user: String = "1") -> String {
        let events = ids.map { "{\"event\":\"register\",\"task_id\":\"\($0)\",\"user_id\":\(user)}" }.joined(separator: ",")
        let verdicts = ids.map { "{\"ok\":true,\"task_id\":\"\($0)\",\"seq\":1}" }.joined(separator: ",")
        return """
            a > POST /api/task/events {"events":[\(events)]}
            a < 200 {"success":true,"data":{"verdicts":[\(verdicts)]}}

            """
    }

    private static func pending(_ id: String, user: String = "1") -> String {
        "{\"task_id\":\"\(id)\",\"user_id\":\(user),\"project_id\":null,\"task_type\":null,\"metadata\":null,\"status\":\"pending\","
            + "\"progress\":0,\"message\":\"等待中\",\"step\":null,\"timestamp\":\"\(now)\",\"error\":null,\"created_at\":\"\(now)\","
            + "\"started_at\":null,\"ended_at\":null,\"seq\":1}"
    }

    @Test("one task: how it stands, and what came of it", arguments: Chunking.all)
    func one(_ chunking: Chunking) {
        Stage.play(chunking, """
            \(Self.register(["a/b"]))
            b > GET /api/task/task/a%2Fb/status
            b < 200 [Content-Type: application/json] {"success":true,"data":\(Self.pending("a/b"))}
            a > POST /api/task/task/a%2Fb/completed {"result":{"n": 1.0}}
            a < 200 {"success":true,"data":{"task_id":"a/b","seq":2}}
            b > GET /api/task/task/a%2Fb/status
            b < 200 {"success":true,"data":{"task_id":"a/b","user_id":1,"project_id":null,"task_type":null,"metadata":null,\
            "status":"completed","progress":100,"message":"已完成","step":null,"timestamp":"\(Self.now)","result":{"n": 1.0},"error":null,\
            "created_at":"\(Self.now)","started_at":"\(Self.now)","ended_at":"\(Self.now)","seq":2}}
            b > GET /api/task/task/nobody/status
            b < 404 {"success":false,"error":"Task not found"}
            b > HEAD /api/task/task/nobody/status
            b < 404 
            b > POST /api/task/task/nobody/status
            b < 405 [Allow: GET, HEAD, OPTIONS] {"error":"Method not allowed"}
            """)
    }

    @Test("a user's tasks: newest first, in pages that go on where the last one ended", arguments: Chunking.all)
    func pages(_ chunking: Chunking) {
        Stage.play(chunking, """
            \(Self.register(["one"]))
            \(Self.register(["other"], user: "2"))
            * wait 1ms
            \(Self.register(["two", "three"]))
            b > GET /api/task/tasks?user_id=1&limit=2
            b < 200 {"success":true,"data":{"tasks":[\(Self.pending("three")),\(Self.pending("two"))],"count":2,"next_cursor":"$cursor"}}
            b > GET /api/task/tasks?user_id=1&limit=2&cursor=$cursor
            b < 200 {"success":true,"data":{"tasks":[\(Self.pending("one"))],"count":1,"next_cursor":null}}
            b > GET /api/task/tasks?user_id=2
            b < 200 {"success":true,"data":{"tasks":[\(Self.pending("other", user: "2"))],"count":1,"next_cursor":null}}
            b > GET /api/task/tasks?user_id=2&status=running
            b < 200 {"success":true,"data":{"tasks":[],"count":0,"next_cursor":null}}
            b > GET /api/task/tasks?user_id=nobody&status=pending
            b < 200 {"success":true,"data":{"tasks":[],"count":0,"next_cursor":null}}
            """)
    }

    @Test("a page holds so many bytes of what users gave, and says where it goes on")
    func largePages() {
        let stage = Stage()
        for number in 0..<3 {
            stage.play("a > POST /api/task/register {\"task_id\":\"t\(number)\",\"user_id\":1,\"metadata\":{\"x\":\"@3000000\"}}")
            #expect(!stage.take("a").isEmpty)
        }
        var query = "/api/task/tasks?user_id=1"
        for number in 0..<3 {
            stage.play("b > GET \(query)")
            let text = String(decoding: stage.take("b"), as: UTF8.self)
            #expect(text.contains("\"t\(2 - number)\"") || text.contains("\"t\(number)\""))
            #expect(text.contains("\"count\":1,"))
            let parts = text.components(separatedBy: "\"next_cursor\":\"")
            #expect(parts.count == (number < 2 ? 2 : 1))
            query = "/api/task/tasks?user_id=1&cursor=\(parts.last?.prefix { $0 != "\"" } ?? "")"
        }
        stage.play("u upgrades /api/task/ws/task/1")
        #expect(String(decoding: stage.take("u"), as: UTF8.self).contains("\"count\":1}"))
    }

    @Test("a query that cannot be read is refused in the document's form", arguments: [
        ("", "user_id required"), ("?user_id=", "user_id required"),
        ("?user_id=1&limit=0", "limit must be a whole number from 1 to 500"),
        ("?user_id=1&status=done", "status must be one of pending, running, progress, completed, failed, cancelled"),
        ("?user_id=1&cursor=x", "cursor must be the next_cursor of an earlier answer"),
    ])
    func queries(_ query: String, _ words: String) {
        Stage.play(.whole, """
            a > GET /api/task/tasks\(query)
            a < 400 {"success":false,"error":"Invalid request: \(words)"}
            a > GET /api/task/tasks?user_id=%zz
            a < 400 {"success":false,"error":"$malformed"}
            """)
    }

    @Test("a record goes when its task has ended, and the answer comes when that is written down", arguments: Chunking.all)
    func removal(_ chunking: Chunking) {
        Stage.play(chunking, """
            \(Self.register(["t"]))
            b > DELETE /api/task/task/t
            b < 409 {"success":false,"error":"Task has not ended"}
            a > POST /api/task/task/t/cancelled
            a < 200 {"success":true,"data":{"task_id":"t","seq":2}}
            * hold disk
            b > DELETE /api/task/task/t
            b > GET /healthz
            b < nothing
            c > GET /api/task/task/t/status
            c < 404 {"success":false,"error":"Task not found"}
            c > DELETE /api/task/task/t
            c < 404 {"success":false,"error":"Task not found"}
            * fail
            b < nothing
            * wait 1s
            b < nothing
            * commit
            b < 200 {"success":true,"data":{"task_id":"t"}}
            b < 200 {"status":"ok"}
            """)
    }

    @Test("nobody learns of what is not his, and nobody is asked twice who he is", arguments: Chunking.all)
    func permissions(_ chunking: Chunking) throws {
        let one = "[Authorization: Bearer \(try Tokens.token("1"))]"
        let two = "[Authorization: Bearer \(try Tokens.token("2", tasks: ["t"]))]"
        let three = "[Authorization: Bearer \(try Tokens.token("3"))]"
        let root = "[Authorization: Bearer \(try Tokens.token("root", .admin))]"
        let missing = "404 {\"success\":false,\"error\":\"Task not found\"}"
        Stage.play(chunking, try Tokens.settings(), """
            a > GET /api/task/tasks
            a < 401 [WWW-Authenticate: Bearer] {"success":false,"error":"A bearer token is needed"}
            a > GET /api/task/task/%01/status
            a < 401 [WWW-Authenticate: Bearer] {"success":false,"error":"A bearer token is needed"}
            a > GET /api/task/task/t/status [Authorization: Bearer nonsense]
            a < 401 [WWW-Authenticate: Bearer error="invalid_token"] {"success":false,"error":"$words"}
            a > POST /api/task/register \(one) {"task_id":"t","user_id":1}
            a < 403 {"success":false,"error":"This needs a token of role publisher"}
            a > POST /api/task/register \(root) {"task_id":"t","user_id":1}
            a < 200 {"success":true,"data":{"task_id":"t","seq":1}}
            a > GET /api/task/task/t/status \(one)
            a < 200 {"success":true,"data":\(Self.pending("t"))}
            a > GET /api/task/task/t/status \(two)
            a < 200 {"success":true,"data":\(Self.pending("t"))}
            a > GET /api/task/task/t/status \(three)
            a < \(missing)
            a > GET /api/task/tasks \(one)
            a < 200 {"success":true,"data":{"tasks":[\(Self.pending("t"))],"count":1,"next_cursor":null}}
            a > GET /api/task/tasks?user_id=1 \(one)
            a < 200 {"success":true,"data":{"tasks":[\(Self.pending("t"))],"count":1,"next_cursor":null}}
            a > GET /api/task/tasks?user_id=1 \(two)
            a < 403 {"success":false,"error":"These are another user's tasks"}
            a > GET /api/task/tasks \(root)
            a < 200 {"success":true,"data":{"tasks":[],"count":0,"next_cursor":null}}
            a > GET /api/task/tasks?user_id=1 \(root)
            a < 200 {"success":true,"data":{"tasks":[\(Self.pending("t"))],"count":1,"next_cursor":null}}
            a > POST /api/task/task/t/cancelled \(root)
            a < 200 {"success":true,"data":{"task_id":"t","seq":2}}
            # Seeing is not removing.
            a > DELETE /api/task/task/t \(two)
            a < \(missing)
            a > DELETE /api/task/task/t \(three)
            a < \(missing)
            a > DELETE /api/task/task/t \(one)
            a < 200 {"success":true,"data":{"task_id":"t"}}
            a > GET /api/task/task/t/status \(one)
            a < \(missing)
            """)
    }
}
