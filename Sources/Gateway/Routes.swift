// Routes: which path is whose, and by which methods. A table from top to bottom: what is asked for most stands first.
internal import Base
internal import Clients
internal import Domain
internal import HTTP1

/// What a request asks for.
enum Route {
    /// POST /api/openai, POST /api/gpu/tasks
    case submit(OrderForm)
    case task(TaskID)
    case cancel(TaskID)
    /// GET /api/gpu/tasks/{task_id}
    case gpuTask(TaskID)
    case gpuConnections(TaskID)
    case gpuStatistics
    case workerSocket
    /// /api/gpu/tasks/{task_id}/ws; nil for a name that no task can have.
    case taskSocket(TaskID?)
    case echoSocket
    case health
    case readiness
    case metrics
    case asset(ClientAsset)
    /// OPTIONS on a path that exists.
    case options(allow: StaticString)
    case methodNotAllowed(allow: StaticString)
    case notFound
    /// A task whose name cannot be one.
    case unknownTask
}

enum Routes {
    /// Finds what the head asks for.
    ///
    /// - Parameter scratch: used and left as it was.
    static func find(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, echoPath: SharedBytes?, scratch: inout ByteWriter
    ) -> Route {
        let target = head.target
        let method = head.method
        // RFC 9110 §9.3.7: OPTIONS * asks about the whole server.
        if target.form == .asterisk { return .options(allow: "GET, HEAD, POST, OPTIONS") }
        if target.match("/api/openai", in: bytes) != nil { return only(.post, method, .submit(.dispatch)) }
        if let captures = target.match("/api/task/{taskId}", in: bytes) {
            return only(.get, method) { taskID(captures, bytes, &scratch).map(Route.task) ?? .unknownTask }
        }
        if let captures = target.match("/api/task/{taskId}/cancel", in: bytes) {
            return only(.post, method) { taskID(captures, bytes, &scratch).map(Route.cancel) ?? .unknownTask }
        }
        if target.match("/ws", in: bytes) != nil { return only(.get, method, .workerSocket) }
        if let captures = target.match("/api/gpu/tasks/{task_id}/ws", in: bytes) {
            return only(.get, method) { .taskSocket(taskID(captures, bytes, &scratch)) }
        }
        if target.match("/api/gpu/tasks", in: bytes) != nil { return only(.post, method, .submit(.gpu)) }
        if let captures = target.match("/api/gpu/tasks/{task_id}", in: bytes) {
            return only(.get, method) { taskID(captures, bytes, &scratch).map(Route.gpuTask) ?? .unknownTask }
        }
        if let captures = target.match("/api/gpu/tasks/{task_id}/connections", in: bytes) {
            return only(.get, method) { taskID(captures, bytes, &scratch).map(Route.gpuConnections) ?? .unknownTask }
        }
        if target.match("/api/gpu/websocket/stats", in: bytes) != nil { return only(.get, method, .gpuStatistics) }
        if let captures = target.match("/api/gpu/tasks/{taskId}/cancel", in: bytes) {
            return only(.post, method) { taskID(captures, bytes, &scratch).map(Route.cancel) ?? .unknownTask }
        }
        if target.match("/healthz", in: bytes) != nil { return only(.get, method, .health) }
        if target.match("/readyz", in: bytes) != nil { return only(.get, method, .readiness) }
        if target.match("/metrics", in: bytes) != nil { return only(.get, method, .metrics) }
        if let echoPath, isSame(target.path, echoPath, bytes) { return only(.get, method, .echoSocket) }
        for asset in ClientAsset.all where isSame(target.path, asset.path, bytes) { return only(.get, method, .asset(asset)) }
        return .notFound
    }

    private static func isSame(_ path: Range<Int>, _ other: SharedBytes, _ bytes: Span<UInt8>) -> Bool {
        guard path.count == other.count else { return false }
        let other = other.span
        for index in other.indices where bytes[path.lowerBound + index] != other[index] { return false }
        return true
    }

    private static func only(_ allowed: HTTPMethod, _ method: HTTPMethod, _ route: @autoclosure () -> Route) -> Route {
        only(allowed, method) { route() }
    }

    /// The route where the method is allowed; HEAD goes where GET goes (RFC 9110 §9.3.2).
    private static func only(_ allowed: HTTPMethod, _ method: HTTPMethod, _ route: () -> Route) -> Route {
        let allow: StaticString = allowed == .get ? "GET, HEAD, OPTIONS" : "POST, OPTIONS"
        if method == allowed || (method == .head && allowed == .get) { return route() }
        return method == .options ? .options(allow: allow) : .methodNotAllowed(allow: allow)
    }

    private static func taskID(_ captures: PathCaptures, _ bytes: Span<UInt8>, _ scratch: inout ByteWriter) -> TaskID? {
        if RequestTarget.isPlain(captures[0], of: bytes) { return TaskID(bytes.extracting(captures[0])) }
        let start = scratch.count
        defer { scratch.truncate(to: start) }
        guard let range = try? RequestTarget.decode(captures[0], of: bytes, into: &scratch) else { return nil }
        return TaskID(scratch.span.extracting(range))
    }
}
