// Goal: the registry answers what is safe on the disk, and nothing before; whoever looks back sees what is everybody's and what is his own.
import Base
import Dialects
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Document E over HTTP")
struct MonitorRequestsTests {
    private static let now = "2023-11-14T22:13:20.000Z"

    /// A deployment that was registered without a place.
    private static func deployment(_ id: String, _ status: String, name: String = "m", since: String? = nil) -> String {
        "{\"deployment_id\":\"\(id)\",\"model_id\":\"m\",\"name\":\"\(name)\",\"status\":\"\(status)\",\"health_status\":\"unknown\","
            + "\"uptime_seconds\":0,\"port\":null,\"host\":null,\"model_source\":null,\"cpu_cores\":null,\"memory_limit\":null,"
            + "\"created_at\":\"\(now)\",\"deployed_at\":\(since.map { "\"\($0)\"" } ?? "null"),\"health_path\":\"/health\","
            + "\"source\":\"registered\",\"note\":\"\",\"container_id\":null,\"start_timeout\":30}"
    }

    // MARK: The registry

    @Test("a deployment is registered, found, changed, started, stopped and removed", arguments: Chunking.all)
    func life(_ chunking: Chunking) {
        Stage.play(chunking, """
            a > GET /api/deployments
            a < 200 [Content-Type: application/json] {"deployments":[],"total":0}
            a > POST /api/deployments {"model_id":"m","deployment_id":"a/b","start":false}
            a < 201 \(Self.deployment("a/b", "pending"))
            a > GET /api/deployments/a%2Fb
            a < 200 \(Self.deployment("a/b", "pending"))
            a > PUT /api/deployments/a%2Fb {"name":"N"}
            a < 200 \(Self.deployment("a/b", "pending", name: "N"))
            a > POST /api/deployments/a%2Fb/start
            a < 200 \(Self.deployment("a/b", "running", name: "N", since: Self.now))
            a > POST /api/deployments/a%2Fb/start
            a < 409 {"error":"Deployment cannot do that while it is running","status":"running"}
            a > POST /api/deployments/a%2Fb/restart
            a < 200 \(Self.deployment("a/b", "running", name: "N", since: Self.now))
            a > POST /api/deployments/a%2Fb/stop
            a < 200 \(Self.deployment("a/b", "stopped", name: "N"))
            a > POST /api/deployments {"model_id":"m","deployment_id":"a/b"}
            a < 409 {"error":"Deployment already exists"}
            a > GET /api/deployments
            a < 200 {"deployments":[\(Self.deployment("a/b", "stopped", name: "N"))],"total":1}
            a > DELETE /api/deployments/a%2Fb
            a < 200 {"deployment_id":"a/b","removed":true}
            a > GET /api/deployments/a%2Fb
            a < 404 {"error":"Deployment not found"}
            """)
    }

    @Test("what is not there is not there for anybody", arguments: ["x", "%01"])
    func unknown(_ id: String) {
        Stage.play(.whole, """
            a > GET /api/deployments/\(id)
            a < 404 {"error":"Deployment not found"}
            a > PUT /api/deployments/\(id) {"name":1}
            a < 404 {"error":"Deployment not found"}
            a > DELETE /api/deployments/\(id)
            a < 404 {"error":"Deployment not found"}
            a > POST /api/deployments/\(id)/stop
            a < 404 {"error":"Deployment not found"}
            """)
    }

    @Test("a body that cannot be read is refused, and changes nothing")
    func bodies() {
        Stage.play(.whole, """
            a > POST /api/deployments {"model_id":
            a < 400 {"error":"$malformed"}
            a > POST /api/deployments {"model_id":"m","port":0}
            a < 400 {"error":"Invalid request: port must be a whole number from 1 to 65535"}
            a > POST /api/deployments {"model_id":"@140000"}
            a < 413 {"error":"The body is too large"}
            a > POST /api/deployments {"model_id":"m","deployment_id":"d","start":false}
            a < 201 \(Self.deployment("d", "pending"))
            a > PUT /api/deployments/d {"name":"N","port":"x"}
            a < 400 {"error":"Invalid request: port must be a number"}
            a > GET /api/deployments
            a < 200 {"deployments":[\(Self.deployment("d", "pending"))],"total":1}
            """)
    }

    @Test("a change is answered once it is written down, and its end as well", arguments: Chunking.all)
    func durable(_ chunking: Chunking) {
        Stage.play(chunking, """
            * hold disk
            a > POST /api/deployments {"model_id":"m","deployment_id":"d","start":false}
            a > GET /healthz
            a < nothing
            * fail
            a < nothing
            * wait 1s
            a < nothing
            * commit
            a < 201 \(Self.deployment("d", "pending"))
            a < 200 {"status":"ok"}
            a > POST /api/deployments/d/start
            a < nothing
            * commit
            a < 200 \(Self.deployment("d", "running", since: "2023-11-14T22:13:21.000Z"))
            a > DELETE /api/deployments/d
            b > GET /api/deployments/d
            b < 404 {"error":"Deployment not found"}
            a < nothing
            * commit
            a < 200 {"deployment_id":"d","removed":true}
            """)
    }

    @Test("who changes what runs where needs another role than who looks at it, where tokens are asked for")
    func roles() throws {
        let user = "[Authorization: Bearer \(try Tokens.token("1"))]"
        let publisher = "[Authorization: Bearer \(try Tokens.token("2", .publisher))]"
        let refused = "403 {\"error\":\"This needs a token of role publisher\"}"
        Stage.play(.whole, try Tokens.settings(.all), """
            a > GET /api/deployments
            a < 401 [WWW-Authenticate: Bearer] {"error":"A bearer token is needed"}
            a > POST /api/deployments \(user) {"model_id":"m"}
            a < \(refused)
            a > POST /api/deployments \(publisher) {"model_id":"m","deployment_id":"d","start":false}
            a < 201 \(Self.deployment("d", "pending"))
            a > GET /api/deployments/d \(user)
            a < 200 \(Self.deployment("d", "pending"))
            a > PUT /api/deployments/d \(user) {}
            a < \(refused)
            a > POST /api/deployments/d/stop \(user)
            a < \(refused)
            a > DELETE /api/deployments/d \(user)
            a < \(refused)
            """)
    }

    // MARK: Activities

    private static func activity(_ id: String, _ message: String, severity: String = "info", kind: String = "download_task") -> String {
        "{\"id\":\"$\(id)\",\"activity_type\":\"\(kind)\",\"message\":\"\(message)\",\"severity\":\"\(severity)\",\"resource_type\":null,"
            + "\"resource_id\":null,\"created_at\":\"\(now)\",\"extra_data\":{}}"
    }

    private static func post(_ message: String, severity: String = "info", head: String = "") -> String {
        "POST /api/activities \(head){\"activity_type\":\"download_task\",\"message\":\"\(message)\",\"severity\":\"\(severity)\"}"
    }

    @Test("activities are posted, and found again page by page, newest first", arguments: Chunking.all)
    func activities(_ chunking: Chunking) {
        Stage.play(chunking, """
            a > GET /api/activities
            a < 200 [Content-Type: application/json] {"activities":[],"count":0,"next_cursor":null}
            a > \(Self.post("one"))
            a < 201 \(Self.activity("one", "one"))
            a > \(Self.post("two", severity: "error"))
            a < 201 \(Self.activity("two", "two", severity: "error"))
            a > \(Self.post("three"))
            a < 201 \(Self.activity("three", "three"))
            a > GET /api/activities?limit=2
            a < 200 {"activities":[\(Self.activity("three", "three")),\(Self.activity("two", "two", severity: "error"))],"count":2,\
            "next_cursor":"$two"}
            a > GET /api/activities?limit=2&cursor=$two
            a < 200 {"activities":[\(Self.activity("one", "one"))],"count":1,"next_cursor":null}
            a > GET /api/activities?severity=error&activity_type=download_task
            a < 200 {"activities":[\(Self.activity("two", "two", severity: "error"))],"count":1,"next_cursor":null}
            a > GET /api/activities?activity_type=user_operation
            a < 200 {"activities":[],"count":0,"next_cursor":null}
            a > GET /api/activities?severity=bad
            a < 400 {"error":"Invalid request: severity must be one of info, warning, error, critical"}
            a > GET /api/activities?limit=%zz
            a < 400 {"error":"$malformed"}
            """)
    }

    @Test("an activity that cannot be one is refused, and one that a disk has no room for")
    func refusedActivities() {
        Stage.play(.whole, """
            a > POST /api/activities {"activity_type":"download_task"}
            a < 400 {"error":"Invalid request: message required"}
            a > POST /api/activities {"activity_type":"download_task","message":"m","extra_data":{"x":"@65536"}}
            a < 400 {"error":"Invalid request: extra_data must be at most 65536 bytes long"}
            """)
        var settings = Settings()
        settings.limits.unwrittenBytesMax = -1
        Stage.play(.whole, settings, """
            a > \(Self.post("m"))
            a < 503 {"error":"Activity could not be stored"}
            a > POST /api/deployments {"model_id":"m"}
            a < 503 {"error":"Deployment could not be stored"}
            """)
    }

    @Test("a user's activities are the user's; what a publisher tells is everybody's", arguments: Chunking.all)
    func visibility(_ chunking: Chunking) throws {
        func head(_ user: String, _ role: Role = .user) throws -> String { "[Authorization: Bearer \(try Tokens.token(user, role))] " }
        let (one, two, publisher, root) = (try head("1"), try head("2"), try head("3", .publisher), try head("4", .admin))
        let (mine, all) = (Self.activity("mine", "mine"), Self.activity("all", "all"))
        Stage.play(chunking, try Tokens.settings(.all), """
            a > \(Self.post("mine", head: one))
            a < 201 \(mine)
            a > \(Self.post("all", head: publisher))
            a < 201 \(all)
            a > GET /api/activities \(one)
            a < 200 {"activities":[\(all),\(mine)],"count":2,"next_cursor":null}
            a > GET /api/activities \(two)
            a < 200 {"activities":[\(all)],"count":1,"next_cursor":null}
            a > GET /api/activities \(publisher)
            a < 200 {"activities":[\(all)],"count":1,"next_cursor":null}
            a > GET /api/activities \(root)
            a < 200 {"activities":[\(all),\(mine)],"count":2,"next_cursor":null}
            """)
    }

    @Test("what the disk cannot tell is an error, not an empty list")
    func unreadable() {
        Stage.play(.whole, """
            * break disk
            a > GET /api/activities
            a < 503 {"error":"Activities could not be read"}
            a > GET /api/alerts
            a < 503 {"error":"Alerts could not be read"}
            * mend disk
            """)
    }

    // MARK: Alerts and the fleet

    @Test("alerts that last, and those that are over", arguments: Chunking.all)
    func alerts(_ chunking: Chunking) {
        Stage.play(chunking, """
            a > GET /api/alerts
            a < 200 [Content-Type: application/json] {"alerts":[],"count":0,"active":0,"next_cursor":null}
            a > GET /api/alerts?active=maybe
            a < 400 {"error":"Invalid request: active must be true or false"}
            """)
        let stage = Stage(chunking)
        // A machine without memory to spare, and then with much.
        for available in [5 as UInt64, 90] {
            stage.network.server.sampled(
                ResourceSample(
                    processor: ResourceSample.Processor(usage: 0, cores: 1, frequency: 0),
                    memory: ResourceSample.Space(total: 100, available: available),
                    disk: ResourceSample.Space(total: 100, available: 100), gpus: nil,
                    network: ResourceSample.Network(bytesSent: 0, bytesReceived: 0, packetsSent: 0, packetsReceived: 0)),
                at: stage.network.now)
            stage.play("* wait 1ms")
            let (isOver, value) = available > 5 ? (true, "over") : (false, "now")
            stage.play("""
                a > GET /api/alerts?active=\(!isOver)
                a < 200 {"alerts":[{"alert_id":"$alert","type":"memory_threshold","category":"resource_threshold","severity":"critical",\
                "title":"$title\(value)","message":"$message\(value)","resource":{"type":"memory","current_value":$value\(value),\
                "threshold":90.0,"unit":"%"},"actions":["check_processes","restart_services"],"auto_resolve":true,"resolved":\(isOver),\
                "raised_at":"\(Self.now)","resolved_at":\(isOver ? "\"2023-11-14T22:13:20.001Z\"" : "null")}],"count":1,\
                "active":\(isOver ? 0 : 1),"next_cursor":null}
                a > GET /api/alerts?active=\(isOver)
                a < 200 {"alerts":[],"count":0,"active":\(isOver ? 0 : 1),"next_cursor":null}
                """)
        }
        stage.end()
    }

    @Test("the fleet: who is connected, what it has in hand, and what it told of its machine", arguments: Chunking.all)
    func fleet(_ chunking: Chunking) {
        Stage.play(chunking, """
            a > GET /api/fleet
            a < 200 {"workers":[],"total_workers":0,"total_gpus":0}
            w upgrades /ws?group=g
            w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
            w > {"type":"ready","concurrency":2,"models":["m"]}
            a > GET /api/fleet
            a < 200 {"workers":[{"worker_id":"$worker","group":"g","models":["m"],"concurrency":2,"busy":0,"draining":false,\
            "connected_at":"\(Self.now)","gpus":[],"memory":null,"load":null,"reported_at":null}],"total_workers":1,"total_gpus":0}
            w > {"type":"worker_status","gpus":[{"id":1,"name":"G","usage_percent":75}],"memory":{"free": 1.0}}
            w < nothing
            a > GET /api/fleet
            a < 200 {"workers":[{"worker_id":"$worker","group":"g","models":["m"],"concurrency":2,"busy":0,"draining":false,\
            "connected_at":"\(Self.now)","gpus":[{"id":1,"name":"G","usage_percent":75.0,"memory_usage_percent":0.0,"temperature":0,\
            "status":"high"}],"memory":{"free": 1.0},"load":null,"reported_at":"\(Self.now)"}],"total_workers":1,"total_gpus":1}
            w leaves
            a > GET /api/fleet
            a < 200 {"workers":[],"total_workers":0,"total_gpus":0}
            """)
    }
}
