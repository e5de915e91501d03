// Goal: every path, method and name goes where the table says, and nothing else goes anywhere.
import Base
import Clients
import Domain
import HTTP1
import TestSupport
import Testing

@testable import Gateway

@Suite("Routes")
struct RoutesTests {
    private static let uuid = "1e9651fd-6aa1-4b2c-9d5e-0123456789ab"
    private static let get = "GET, HEAD, OPTIONS"
    private static let post = "POST, OPTIONS"
    private static let delete = "DELETE, OPTIONS"

    private func route(_ method: String, _ target: String, echo: String? = "/echo", isTestMode: Bool = false) -> String {
        let bytes = Array("\(method) \(target) HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
        var exchange = ServerExchange()
        var head = RequestHead()
        var position = 0
        var scratch = ByteWriter()
        do {
            guard try exchange.next(bytes.span, &position, head: &head, limits: HTTPLimits()) == .head else { return "no head" }
        } catch {
            return "\(error)"
        }
        let found = Routes.find(head, bytes.span, echoPath: echo.map { SharedBytes($0) }, isTestMode: isTestMode, scratch: &scratch)
        guard scratch.isEmpty else { return "the scratch was left behind" }
        return switch found {
        case .submit(.dispatch): "submit"
        case .submit(.gpu): "submit gpu"
        case .submit(.completion(let endpoint, let group)): "\(endpoint) \(group?.description ?? "-")"
        case .models: "models"
        case .model(let name): "model \(name)"
        case .letters: "letters"
        case .letter(let id): "letter \(id?.description ?? "-")"
        case .removeLetter(let id): "remove letter \(id?.description ?? "-")"
        case .replayLetter(let id): "replay \(id?.description ?? "-")"
        case .replayLetters: "replay all"
        case .revocations(.list): "revocations"
        case .revocations(.revoke): "revoke"
        case .revocations(.forget(let user)): "forget \(user?.description ?? "-")"
        case .revocations(.logOut): "log out"
        case .gpuTask(let id): "gpu task \(id)"
        case .gpuConnections(let id): "gpu connections \(id)"
        case .gpuStatistics: "gpu statistics"
        case .taskSocket(let id): "task socket \(id?.description ?? "-")"
        case .task(let id): "task \(id)"
        case .cancel(let id, .dispatch): "cancel \(id)"
        case .cancel(let id, .gpu): "cancel gpu \(id)"
        case .cancel(_, .completion): "nothing"
        case .userTask(let id): "user task \(id)"
        case .userTasks: "user tasks"
        case .removeTask(let id): "remove \(id)"
        case .report(let verb, let id): "report \(verb) \(id?.description ?? "-")"
        case .reports: "reports"
        case .progress(let id): "progress \(id)"
        case .history(let id, _): "history \(id)"
        case .storedHistory(let id, _): "stored history \(id)"
        case .clearHistory(let id): "clear history \(id)"
        case .subscribe(let id, _): "subscribe \(id)"
        case .unsubscribe(let id, _): "unsubscribe \(id)"
        case .progressStatistics: "progress statistics"
        case .activeClients: "active clients"
        case .hubStatistics: "hub statistics"
        case .userSocket(let user): "user socket \(user?.description ?? "-")"
        case .producerSocket: "producer socket"
        case .hubSocket: "hub socket"
        case .eventStream(let id, _, _): "events \(id)"
        case .engine(let door, _): "engine \(door)"
        case .deployments: "deployments"
        case .createDeployment: "create deployment"
        case .deployment(let id): "deployment \(id)"
        case .updateDeployment(let id): "update deployment \(id)"
        case .removeDeployment(let id): "remove deployment \(id)"
        case .actOnDeployment(let id, let verb): "\(verb) deployment \(id)"
        case .activities: "activities"
        case .postActivity: "post activity"
        case .alerts: "alerts"
        case .fleet: "fleet"
        case .dashboard(.socket): "dashboard"
        case .dashboard(.drain(let id)): "drain \(id.map { "W\($0.number)" } ?? "-")"
        case .workerSocket: "worker"
        case .echoSocket: "echo"
        case .health: "health"
        case .readiness: "readiness"
        case .metrics: "metrics"
        case .asset(let asset): "asset \(asset.path)"
        case .options(let allow): "options \(allow)"
        case .methodNotAllowed(let allow): "not allowed \(allow)"
        case .notFound: "not found"
        case .unknownTask(let surface): "unknown task of \(surface)"
        }
    }

    @Test("every path has its route, its methods, and its answer to the others", arguments: [
        ("/api/openai", "submit", post), ("/api/task/\(uuid)", "task \(uuid)", get), ("/api/task/any%20name", "task any name", get),
        ("/api/task/\(uuid)/cancel", "cancel \(uuid)", post), ("/api/gpu/tasks/x/cancel", "cancel gpu x", post),
        ("/api/gpu/tasks", "submit gpu", post), ("/api/gpu/tasks/x", "gpu task x", get),
        ("/api/gpu/tasks/a%2Fb/ws", "task socket a/b", get),
        ("/api/gpu/tasks/x/connections", "gpu connections x", get), ("/api/gpu/websocket/stats", "gpu statistics", get),
        ("/api/gpu/tasks/%01/ws", "task socket -", get),
        ("/v1/chat/completions", "chat -", post), ("/v1/completions", "text -", post), ("/v1/embeddings", "embeddings -", post),
        ("/v1/models", "models", get), ("/v1/models/org/m%2F1", "model org/m/1", get),
        ("/ws", "worker", get), ("/ws?group=a", "worker", get), ("/echo", "echo", get), ("/healthz", "health", get),
        ("/readyz", "readiness", get), ("/metrics", "metrics", get),
        // Fixed words go before names.
        ("/api/task/tasks", "user tasks", get), ("/api/task/tasks?status=running", "user tasks", get),
        ("/api/task/register", "report register -", post), ("/api/task/events", "reports", post),
        ("/api/task/task/x/status", "user task x", get), ("/api/task/task/x", "remove x", delete),
        ("/api/task/task/cancel", "remove cancel", delete),
        ("/api/task/task/a%2Fb/started", "report started a/b", post), ("/api/task/task/x/progress", "report progress x", post),
        ("/api/task/task/x/log", "report log x", post), ("/api/task/task/x/completed", "report completed x", post),
        ("/api/task/task/x/failed", "report failed x", post), ("/api/task/task/x/cancelled", "report cancelled x", post),
        ("/api/task/ws/task/42", "user socket 42", get), ("/api/task/ws/task/a%20b", "user socket a b", get),
        ("/api/task/ws/task/%01", "user socket -", get), ("/api/task/ws/producer", "producer socket", get),
        ("/api/tasks/x/events", "events x", get), ("/api/v1/ws", "hub socket", get), ("/api/v1/ws/reconnect", "hub socket", get),
        ("/api/v1/progress/x", "progress x", get), ("/api/v1/progress/x/history/db?limit=1", "stored history x", get),
        ("/api/v1/progress/x/subscribe?client_id=c", "subscribe x", post), ("/api/v1/progress/x/unsubscribe", "unsubscribe x", post),
        ("/api/v1/progress/stats", "progress statistics", get), ("/api/v1/progress/active", "active clients", get),
        ("/api/v1/websocket/stats", "hub statistics", get),
        ("/api/alerts?limit=1", "alerts", get), ("/api/fleet", "fleet", get), ("/api/dashboard/ws?token=x", "dashboard", get),
        ("/api/fleet/W1-1234abcd/drain", "drain W1", post), ("/api/fleet/x/drain", "drain -", post),
        ("/api/deployments/d/start", "start deployment d", post), ("/api/deployments/a%2Fb/stop", "stop deployment a/b", post),
        ("/api/deployments/d/restart", "restart deployment d", post), ("/api/deployments/start/stop", "stop deployment start", post),
        ("/api/dead-letters?limit=3", "letters", get), ("/api/dead-letters/replay", "replay all", post),
        ("/api/logout", "log out", post), ("/api/revocations/a%2Fb", "forget a/b", delete), ("/api/revocations/%0a", "forget -", delete),
        ("/api/dead-letters/x/replay", "replay x", post), ("/api/dead-letters/%01/replay", "replay -", post),
        ("/clients/examples/worker-node.js", "asset /clients/examples/worker-node.js", get), ("/dashboard", "asset /dashboard", get),
        ("/test-worker", "asset /test-worker", get), ("/docs", "asset /docs", get), ("/openapi.json", "asset /openapi.json", get),
        ("/pages/house.css", "asset /pages/house.css", get),
    ])
    func table(_ target: String, _ expected: String, _ allow: String) {
        let own = allow.prefix { $0 != "," }
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "BREW"] {
            let isAllowed = method == own || (method == "HEAD" && own == "GET")
            #expect(route(method, target) == (isAllowed ? expected : "not allowed \(allow)"), "\(method) \(target)")
        }
        #expect(route("OPTIONS", target) == "options \(allow)")
    }

    @Test("a path may have two methods")
    func twoMethods() {
        #expect(route("GET", "/api/v1/progress/x/history?limit=3") == "history x")
        #expect(route("HEAD", "/api/v1/progress/x/history") == "history x")
        #expect(route("DELETE", "/api/v1/progress/x/history") == "clear history x")
        #expect(route("POST", "/api/v1/progress/x/history") == "not allowed GET, HEAD, DELETE, OPTIONS")
        #expect(route("OPTIONS", "/api/v1/progress/x/history") == "options GET, HEAD, DELETE, OPTIONS")
    }

    @Test("the registry of deployments and the activities have several methods")
    func registry() {
        let table = [
            ("/api/revocations?limit=1", ["GET": "revocations", "HEAD": "revocations", "POST": "revoke"], "GET, HEAD, POST, OPTIONS"),
            ("/api/deployments", ["GET": "deployments", "HEAD": "deployments", "POST": "create deployment"], "GET, HEAD, POST, OPTIONS"),
            ("/api/activities?kind=x", ["GET": "activities", "HEAD": "activities", "POST": "post activity"], "GET, HEAD, POST, OPTIONS"),
            (
                "/api/deployments/a%20b",
                ["GET": "deployment a b", "HEAD": "deployment a b", "PUT": "update deployment a b", "DELETE": "remove deployment a b"],
                "GET, HEAD, PUT, DELETE, OPTIONS"
            ),
        ]
        for (target, methods, allow) in table {
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"] {
                #expect(route(method, target) == methods[method] ?? "not allowed \(allow)", "\(method) \(target)")
            }
            #expect(route("OPTIONS", target) == "options \(allow)")
        }
        // A name that no registration can have is as unknown as another: the registry says so.
        #expect(route("GET", "/api/deployments/%01") == "deployment ")
        #expect(route("POST", "/api/deployments/%01/start") == "start deployment ")
    }

    @Test("Engine.IO has its own words for every method, in both spellings; the suites' path is there in the test mode alone")
    func engine() {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            for target in ["/socket.io/", "/socket.io", "/socket.io/?EIO=4&transport=polling"] {
                #expect(route(method, target) == "engine packets", "\(method) \(target)")
            }
            #expect(route(method, "/engine.io/?EIO=4") == "not found")
            #expect(route(method, "/engine.io/?EIO=4", isTestMode: true) == "engine echo")
        }
        #expect(route("GET", "/socket.io/x") == "not found")
        #expect(route("GET", "/engine.io/x", isTestMode: true) == "not found")
    }

    @Test("a letter is read and removed; a name that no task can have is one that is not there")
    func letters() {
        #expect(route("GET", "/api/dead-letters/x") == "letter x" && route("DELETE", "/api/dead-letters/a%2Fb") == "remove letter a/b")
        #expect(route("GET", "/api/dead-letters/%0a") == "letter -" && route("DELETE", "/api/dead-letters/%0a") == "remove letter -")
        #expect(route("POST", "/api/dead-letters/x") == "not allowed GET, HEAD, DELETE, OPTIONS")
    }

    @Test("what is nobody's path is not found", arguments: [
        "/api/logout/", "/api/revocations/", "/api/revocations/x/y",
        "/api/dead-letters/", "/api/dead-letters/x/y", "/api/dead-letters/x/replay/y",
        "/", "/api", "/api/openai/", "/api/openaix", "/api/task", "/api/task/", "/api/task/a/b", "/API/openai", "/ws/", "/healthz/x",
        "/api/task/task/x/register", "/api/task/task/x/ended", "/api/v1", "/api/v1/progress", "/api/tasks/x",
        "/api/deployments/", "/api/deployments/d/pause", "/api/deployments/d/start/x", "/api/alerts/x", "/api/fleet/", "/engine.io/",
        "/clients/", "/clients/examples/../examples/worker-node.js", "/clients/examples/worker-node.jsx",
        "/clients/examples/%2e%2e/examples/worker-node.js", "/clients/examples/worker-node.js/../../../../etc/passwd", "//etc/passwd",
    ])
    func unknown(_ target: String) {
        #expect(route("GET", target) == "not found")
        #expect(route("GET", "/echo", echo: nil) == "not found")
    }

    @Test("a name that no task can have is an unknown task, not an unknown path", arguments: [
        "%0a", "%01", String(repeating: "a", count: 201),
    ])
    func impossibleName(_ name: String) {
        #expect(route("GET", "/api/task/\(name)") == "unknown task of dispatch")
        #expect(route("POST", "/api/task/\(name)/cancel") == "unknown task of dispatch")
        #expect(route("GET", "/api/gpu/tasks/\(name)") == "unknown task of task")
        #expect(route("GET", "/api/gpu/tasks/\(name)/connections") == "unknown task of task")
        // Document D's rule holds for all who cancel.
        #expect(route("POST", "/api/gpu/tasks/\(name)/cancel") == "unknown task of dispatch")
        #expect(route("GET", "/api/tasks/\(name)/events") == "unknown task of task")
        #expect(route("GET", "/api/task/task/\(name)/status") == "unknown task of user")
        #expect(route("DELETE", "/api/task/task/\(name)") == "unknown task of user")
        #expect(route("POST", "/api/task/task/\(name)/started") == "unknown task of producer")
        for rest in ["", "/history", "/history/db"] {
            #expect(route("GET", "/api/v1/progress/\(name)\(rest)") == "unknown task of hub")
        }
        #expect(route("DELETE", "/api/v1/progress/\(name)/history") == "unknown task of hub")
        #expect(route("POST", "/api/v1/progress/\(name)/subscribe") == "unknown task of hub")
        #expect(route("POST", "/api/v1/progress/\(name)/unsubscribe") == "unknown task of hub")
    }

    @Test("RFC 9110 §9.3.7: OPTIONS * asks about the whole server")
    func wholeServer() {
        #expect(route("OPTIONS", "*") == "options GET, HEAD, POST, OPTIONS")
    }
}
