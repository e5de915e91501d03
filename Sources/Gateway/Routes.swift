// Routes: which path is whose, and by which methods. A table from top to bottom: what is asked for most stands first.
internal import Base
internal import Clients
internal import Dialects
internal import Domain
internal import HTTP1

/// What a request asks for.
enum Route {
    // D, and G's requests of the same kind

    /// POST /api/openai, POST /api/gpu/tasks
    case submit(OrderForm)
    /// GET /api/task/{taskId}
    case task(TaskID)
    /// POST /api/task/{taskId}/cancel, POST /api/gpu/tasks/{task_id}/cancel
    case cancel(TaskID, OrderForm)
    /// GET /api/dead-letters
    case letters(QueryText)
    /// POST /api/dead-letters/replay
    case replayLetters
    /// GET, DELETE /api/dead-letters/{task_id}, POST /api/dead-letters/{task_id}/replay; nil for a name that no task can have.
    case letter(TaskID?)
    case removeLetter(TaskID?)
    case replayLetter(TaskID?)
    /// GET /v1/models, GET /v1/models/{model}
    case models
    case model(SharedBytes)
    /// GET /api/gpu/tasks/{task_id}
    case gpuTask(TaskID)
    case gpuConnections(TaskID)
    case gpuStatistics

    // N

    /// GET /api/task/task/{task_id}/status
    case userTask(TaskID)
    /// GET /api/task/tasks
    case userTasks(QueryText)
    /// DELETE /api/task/task/{task_id}
    case removeTask(TaskID)
    /// POST /api/task/register, POST /api/task/task/{task_id}/{verb}; the task of a registration stands in its body.
    case report(ProducerVerb, TaskID?)
    /// POST /api/task/events
    case reports

    // P

    /// GET /api/v1/progress/{task_id}
    case progress(TaskID)
    /// GET /api/v1/progress/{task_id}/history
    case history(TaskID, QueryText)
    /// GET /api/v1/progress/{task_id}/history/db
    case storedHistory(TaskID, QueryText)
    /// DELETE /api/v1/progress/{task_id}/history
    case clearHistory(TaskID)
    /// POST /api/v1/progress/{task_id}/subscribe
    case subscribe(TaskID, QueryText)
    /// POST /api/v1/progress/{task_id}/unsubscribe
    case unsubscribe(TaskID, QueryText)
    case progressStatistics
    case activeClients
    case hubStatistics

    // Sockets and streams

    case workerSocket
    /// /api/gpu/tasks/{task_id}/ws; nil for a name that no task can have.
    case taskSocket(TaskID?)
    /// /api/task/ws/task/{user_id}; nil for a name that no user can have.
    case userSocket(SharedBytes?)
    case producerSocket
    /// /api/v1/ws, /api/v1/ws/reconnect
    case hubSocket
    case echoSocket
    /// GET /api/tasks/{task_id}/events
    case eventStream(TaskID, QueryText, lastEventID: SharedBytes?)

    // E

    /// /socket.io/, and in the test mode /engine.io/, by any method.
    case engine(SocketDoor, QueryText)
    /// GET, POST /api/deployments
    case deployments
    case createDeployment
    /// GET, PUT, DELETE /api/deployments/{id}; POST /api/deployments/{id}/start|stop|restart
    case deployment(SharedBytes)
    case updateDeployment(SharedBytes)
    case removeDeployment(SharedBytes)
    case actOnDeployment(SharedBytes, DeploymentVerb)
    /// GET, POST /api/activities
    case activities(QueryText)
    case postActivity
    /// GET /api/alerts
    case alerts(QueryText)
    /// GET /api/fleet
    case fleet

    // The dashboard

    case dashboard(OfDashboard)

    enum OfDashboard {
        /// /api/dashboard/ws
        case socket
        /// POST /api/fleet/{worker_id}/drain; nil for a name that no worker can have.
        case drain(WorkerID?)
    }

    // Tokens

    /// POST, GET /api/revocations; DELETE /api/revocations/{user_id}; POST /api/logout
    case revocations(OfRevocations)

    enum OfRevocations {
        case list(QueryText)
        case revoke
        /// Nil for a name that no user can have.
        case forget(SharedBytes?)
        /// By the user whose tokens they are.
        case logOut
    }

    // The server itself

    case health
    case readiness
    case metrics
    case asset(ClientAsset)
    /// OPTIONS on a path that exists.
    case options(allow: StaticString)
    case methodNotAllowed(allow: StaticString)
    case notFound
    /// A task whose name cannot be one. Each surface has its words for a task that is not there.
    case unknownTask(Surface)
}

/// Finds the route of one request.
struct Routes: ~Copyable, ~Escapable {
    private let target: RequestTarget
    private let method: HTTPMethod
    private let lastEventID: Range<Int>?
    private let group: Range<Int>?
    private let bytes: Span<UInt8>

    @_lifetime(copy bytes)
    private init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) {
        target = head.target
        method = head.method
        lastEventID = head.value(.lastEventID)
        group = head.value(.xGroup)
        self.bytes = bytes
    }

    /// Finds what the head asks for.
    ///
    /// - Parameter scratch: used and left as it was.
    static func find(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, echoPath: SharedBytes?, isTestMode: Bool = false,
        scratch: inout ByteWriter
    ) -> Route {
        // RFC 9110 §9.3.7: OPTIONS * asks about the whole server.
        if head.target.form == .asterisk { return .options(allow: "GET, HEAD, POST, OPTIONS") }
        let routes = Routes(head, bytes)
        if let route = routes.dispatch(&scratch) ?? routes.completion(&scratch) ?? routes.gpu(&scratch) { return route }
        if let route = routes.server(echoPath) { return route }
        if let route = routes.user(&scratch) ?? routes.hub(&scratch) { return route }
        if let route = routes.letters(&scratch) ?? routes.tokens(&scratch) ?? routes.monitor(isTestMode, &scratch) { return route }
        return routes.asset() ?? .notFound
    }

    // MARK: The documents

    /// D. Fixed words go before names: N's `/api/task/tasks` is no task called "tasks".
    private func dispatch(_ scratch: inout ByteWriter) -> Route? {
        if match("/api/openai") != nil { return by(post: .submit(.dispatch)) }
        if match("/ws") != nil { return by(get: .workerSocket) }
        guard let captures = match("/api/task/{taskId}") else {
            guard let captures = match("/api/task/{taskId}/cancel"), !isWord(captures[0], "task") else { return nil }
            return by(post: task(captures, &scratch, on: .dispatch) { .cancel($0, .dispatch) })
        }
        if isWord(captures[0], "tasks") { return by(get: .userTasks(query)) }
        if isWord(captures[0], "register") { return by(post: .report(.register, nil)) }
        if isWord(captures[0], "events") { return by(post: .reports) }
        return by(get: task(captures, &scratch, on: .dispatch) { .task($0) })
    }

    /// D's, as OpenAI's clients ask for them. A model's name may have slashes.
    private func completion(_ scratch: inout ByteWriter) -> Route? {
        guard match("/v1/{rest...}") != nil else { return nil }
        for endpoint in CompletionEndpoint.allCases where match(endpoint.path) != nil {
            return by(post: .submit(.completion(endpoint, group: group.map { SharedBytes(copying: bytes.extracting($0)) })))
        }
        if match("/v1/models") != nil { return by(get: .models) }
        guard let captures = match("/v1/models/{model...}") else { return nil }
        return by(get: .model(decoded(captures[0], &scratch) { SharedBytes(copying: $0) } ?? .empty))
    }

    /// Failed tasks of D; the fixed word goes before names here too.
    private func letters(_ scratch: inout ByteWriter) -> Route? {
        if match("/api/dead-letters") != nil { return by(get: .letters(query)) }
        if match("/api/dead-letters/replay") != nil { return by(post: .replayLetters) }
        if let captures = match("/api/dead-letters/{task_id}") {
            let id = name(captures, &scratch)
            return by(get: .letter(id), delete: .removeLetter(id))
        }
        guard let captures = match("/api/dead-letters/{task_id}/replay") else { return nil }
        return by(post: .replayLetter(name(captures, &scratch)))
    }

    private func tokens(_ scratch: inout ByteWriter) -> Route? {
        if match("/api/revocations") != nil { return by(get: .revocations(.list(query)), post: .revocations(.revoke)) }
        if match("/api/logout") != nil { return by(post: .revocations(.logOut)) }
        guard let captures = match("/api/revocations/{user_id}") else { return nil }
        return by(delete: .revocations(.forget(userName(captures[0], &scratch))))
    }

    private func gpu(_ scratch: inout ByteWriter) -> Route? {
        guard match("/api/gpu/{rest...}") != nil else { return nil }
        if let captures = match("/api/gpu/tasks/{task_id}/ws") { return by(get: .taskSocket(name(captures, &scratch))) }
        if match("/api/gpu/tasks") != nil { return by(post: .submit(.gpu)) }
        if let captures = match("/api/gpu/tasks/{task_id}") { return by(get: task(captures, &scratch, on: .task) { .gpuTask($0) }) }
        if let captures = match("/api/gpu/tasks/{task_id}/connections") {
            return by(get: task(captures, &scratch, on: .task) { .gpuConnections($0) })
        }
        if let captures = match("/api/gpu/tasks/{task_id}/cancel") {
            return by(post: task(captures, &scratch, on: .dispatch) { .cancel($0, .gpu) })
        }
        return match("/api/gpu/websocket/stats") != nil ? by(get: .gpuStatistics) : nil
    }

    /// N.
    private func user(_ scratch: inout ByteWriter) -> Route? {
        guard match("/api/task/{rest...}") != nil else { return nil }
        if let captures = match("/api/task/task/{task_id}/status") { return by(get: task(captures, &scratch, on: .user) { .userTask($0) }) }
        if let captures = match("/api/task/task/{task_id}") { return by(delete: task(captures, &scratch, on: .user) { .removeTask($0) }) }
        if let captures = match("/api/task/ws/task/{user_id}") { return by(get: .userSocket(userName(captures[0], &scratch))) }
        if match("/api/task/ws/producer") != nil { return by(get: .producerSocket) }
        guard let captures = match("/api/task/task/{task_id}/{verb}") else { return nil }
        let verb = ProducerVerb.allCases.first { isWord(captures[1], $0.word) }
        guard let verb, verb != .register else { return nil }
        return by(post: task(captures, &scratch, on: .producer) { .report(verb, $0) })
    }

    /// P, and the stream for those who have no WebSocket.
    private func hub(_ scratch: inout ByteWriter) -> Route? {
        if let captures = match("/api/tasks/{task_id}/events") {
            let last = lastEventID.map { SharedBytes(copying: bytes.extracting($0)) }
            return by(get: task(captures, &scratch, on: .task) { .eventStream($0, query, lastEventID: last) })
        }
        guard match("/api/v1/{rest...}") != nil else { return nil }
        if match("/api/v1/ws") != nil || match("/api/v1/ws/reconnect") != nil { return by(get: .hubSocket) }
        if match("/api/v1/progress/stats") != nil { return by(get: .progressStatistics) }
        if match("/api/v1/progress/active") != nil { return by(get: .activeClients) }
        if match("/api/v1/websocket/stats") != nil { return by(get: .hubStatistics) }
        if let captures = match("/api/v1/progress/{task_id}") { return by(get: task(captures, &scratch, on: .hub) { .progress($0) }) }
        if let captures = match("/api/v1/progress/{task_id}/history") {
            return by(
                get: task(captures, &scratch, on: .hub) { .history($0, query) },
                delete: task(captures, &scratch, on: .hub) { .clearHistory($0) })
        }
        if let captures = match("/api/v1/progress/{task_id}/history/db") {
            return by(get: task(captures, &scratch, on: .hub) { .storedHistory($0, query) })
        }
        if let captures = match("/api/v1/progress/{task_id}/subscribe") {
            return by(post: task(captures, &scratch, on: .hub) { .subscribe($0, query) })
        }
        if let captures = match("/api/v1/progress/{task_id}/unsubscribe") {
            return by(post: task(captures, &scratch, on: .hub) { .unsubscribe($0, query) })
        }
        return nil
    }

    /// E, and the fleet behind it.
    private func monitor(_ isTestMode: Bool, _ scratch: inout ByteWriter) -> Route? {
        // Engine.IO has its own words for a method that it does not know.
        if match("/socket.io/") != nil || match("/socket.io") != nil { return .engine(.packets, query) }
        if isTestMode, match("/engine.io/") != nil { return .engine(.echo, query) }
        if match("/api/activities") != nil { return by(get: .activities(query), post: .postActivity) }
        if match("/api/alerts") != nil { return by(get: .alerts(query)) }
        if match("/api/fleet") != nil { return by(get: .fleet) }
        if let captures = match("/api/fleet/{worker_id}/drain") {
            return by(post: .dashboard(.drain(WorkerID(bytes.extracting(captures[0])))))
        }
        if match("/api/dashboard/ws") != nil { return by(get: .dashboard(.socket)) }
        if match("/api/deployments") != nil { return by(get: .deployments, post: .createDeployment) }
        if let captures = match("/api/deployments/{id}") {
            // No registration has a name that is none: such a one is as unknown as another.
            let id = userName(captures[0], &scratch) ?? .empty
            return by(get: .deployment(id), put: .updateDeployment(id), delete: .removeDeployment(id))
        }
        guard let captures = match("/api/deployments/{id}/{action}"),
            let action = DeploymentVerb.allCases.first(where: { isWord(captures[1], $0.word) })
        else { return nil }
        return by(post: .actOnDeployment(userName(captures[0], &scratch) ?? .empty, action))
    }

    private func server(_ echoPath: SharedBytes?) -> Route? {
        if match("/healthz") != nil { return by(get: .health) }
        if match("/readyz") != nil { return by(get: .readiness) }
        if match("/metrics") != nil { return by(get: .metrics) }
        if let echoPath, isSame(target.path, echoPath) { return by(get: .echoSocket) }
        return nil
    }

    /// Pages and programs: there are some, and all other paths were looked for before.
    private func asset() -> Route? {
        for asset in ClientAsset.all where isSame(target.path, asset.path) { return by(get: .asset(asset)) }
        return nil
    }

    // MARK: Parts

    private func match(_ pattern: StaticString) -> PathCaptures? { target.match(pattern, in: bytes) }

    private var query: QueryText { QueryText(of: target, in: bytes) }

    private func isSame(_ path: Range<Int>, _ other: SharedBytes) -> Bool {
        guard path.count == other.count else { return false }
        let other = other.span
        for index in other.indices where bytes[path.lowerBound + index] != other[index] { return false }
        return true
    }

    private func isWord(_ segment: Range<Int>, _ word: StaticString) -> Bool { bytes.equals(word, at: segment) }

    /// The route where the method is allowed; HEAD goes where GET goes (RFC 9110 §9.3.2).
    private func by(
        get: @autoclosure () -> Route? = nil, post: @autoclosure () -> Route? = nil, put: @autoclosure () -> Route? = nil,
        delete: @autoclosure () -> Route? = nil
    ) -> Route {
        let route: Route? =
            switch method {
            case .get, .head: get()
            case .post: post()
            case .delete: delete()
            case .put: put()
            case .patch, .options, .other: nil
            }
        if let route { return route }
        let allow: StaticString =
            switch (get() != nil, post() != nil, put() != nil, delete() != nil) {
            case (true, false, false, false): "GET, HEAD, OPTIONS"
            case (true, true, false, false): "GET, HEAD, POST, OPTIONS"
            case (true, false, true, true): "GET, HEAD, PUT, DELETE, OPTIONS"
            case (true, false, false, true): "GET, HEAD, DELETE, OPTIONS"
            case (false, true, false, false): "POST, OPTIONS"
            case (false, false, false, true): "DELETE, OPTIONS"
            case (_, _, _, _): preconditionFailure("no path of ours has these methods")
            }
        return method == .options ? .options(allow: allow) : .methodNotAllowed(allow: allow)
    }

    /// The route of a task whose name is the first capture.
    ///
    /// - Parameter surface: whose route it is.
    private func task(
        _ captures: PathCaptures, _ scratch: inout ByteWriter, on surface: Surface, _ route: (TaskID) -> Route
    ) -> Route {
        name(captures, &scratch).map(route) ?? .unknownTask(surface)
    }

    private func name(_ captures: PathCaptures, _ scratch: inout ByteWriter) -> TaskID? {
        decoded(captures[0], &scratch) { TaskID($0) }
    }

    /// A user's name, which is as long as a task's and of the same characters.
    private func userName(_ segment: Range<Int>, _ scratch: inout ByteWriter) -> SharedBytes? {
        decoded(segment, &scratch) { TaskID($0) == nil ? nil : SharedBytes(copying: $0) }
    }

    private func decoded<Name>(_ segment: Range<Int>, _ scratch: inout ByteWriter, _ read: (Span<UInt8>) -> Name?) -> Name? {
        if RequestTarget.isPlain(segment, of: bytes) { return read(bytes.extracting(segment)) }
        let start = scratch.count
        defer { scratch.truncate(to: start) }
        guard let range = try? RequestTarget.decode(segment, of: bytes, into: &scratch) else { return nil }
        return read(scratch.span.extracting(range))
    }
}

extension DeploymentVerb {
    /// The last segment of its path.
    fileprivate var word: StaticString {
        switch self {
        case .start: "start"
        case .stop: "stop"
        case .restart: "restart"
        }
    }
}
