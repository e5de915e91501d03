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
}
