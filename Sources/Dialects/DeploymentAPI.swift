// DeploymentAPI: the registry of deployments over HTTP: reads what is registered and changed, writes deployments, lists and refusals. A
// deployment is document E's model object with what only the registry tells behind it. Knows no HTTP beyond the number of a status.
public import Base
public import Domain
public import JSON

/// What somebody registers.
public struct DeploymentOrder: Sendable, Equatable {
    public var form: Deployment.Form
    /// The name that it is to have; nil for one of the registry's own.
    public var id: SharedBytes?
    /// Whether it starts at once.
    public var starts: Bool

    public init(form: Deployment.Form, id: SharedBytes? = nil, starts: Bool = true) {
        self.form = form
        self.id = id
        self.starts = starts
    }
}

public enum DeploymentAPI {
    // MARK: Requests

    public static let hostBytesMax = 253
    public static let healthPathBytesMax = 1_024
    /// Processors, in parts of one: a bound that keeps the figure one that all readers of JSON can hold.
    static let cpuCoresMax = 1e6
    /// A day, in seconds.
    static let startTimeoutMax = 86_400.0
    /// Where a deployment answers that names a port alone.
    static let localhost = SharedBytes("localhost")

    /// Reads the body of POST /api/deployments.
    ///
    /// - Parameter scratch: used and left as it was.
    public static func readOrder(
        _ body: Span<UInt8>, _ index: JSONIndex, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> DeploymentOrder {
        let members = try Members(index)
        guard let model = try name("model_id", members, body, &scratch) else { throw .missing(member: "model_id") }
        var form = Deployment.Form(modelID: model, name: model, startTimeout: limits.deploymentStartTimeout)
        let id = try name("deployment_id", members, body, &scratch)
        try fill(&form, members, body, limits, &scratch)
        return DeploymentOrder(form: form, id: id, starts: try members.bool("start", in: body) ?? true)
    }

    /// Reads the body of PUT /api/deployments/{id}: what it names changes, and what it names as null is as if nobody had ever named it.
    ///
    /// - Parameter form: the deployment's so far.
    public static func readChange(
        of form: Deployment.Form, _ body: Span<UInt8>, _ index: JSONIndex, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> Deployment.Form {
        let members = try Members(index)
        var form = form
        if index.member("model_id", of: index.root, in: body) != nil {
            guard let model = try name("model_id", members, body, &scratch) else {
                throw .wrongType(member: "model_id", expected: "a text")
            }
            form.modelID = model
        }
        try fill(&form, members, body, limits, &scratch)
        return form
    }

    /// Takes over what the members name, but for the model.
    private static func fill(
        _ form: inout Deployment.Form, _ members: Members, _ body: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) throws(RequestProblem) {
        if members.names("name", in: body) { form.name = try name("name", members, body, &scratch) ?? form.modelID }
        if members.names("model_source", in: body) { form.modelSource = try name("model_source", members, body, &scratch) }
        if members.names("host", in: body) { form.host = try host(members, body, &scratch) }
        if members.names("port", in: body) { form.port = try port(members, body) }
        if members.names("health_path", in: body) {
            form.healthPath = try healthPath(members, body, &scratch) ?? Deployment.Form.healthPathDefault
        }
        if members.names("cpu_cores", in: body) { form.cpuCores = try cpuCores(members, body) }
        if members.names("memory_limit", in: body) { form.memoryLimit = try name("memory_limit", members, body, &scratch) }
        if members.names("container_id", in: body) { form.containerID = try name("container_id", members, body, &scratch) }
        if members.names("start_timeout", in: body) {
            form.startTimeout = try startTimeout(members, body) ?? limits.deploymentStartTimeout
        }
        if form.port != nil, form.host == nil { form.host = localhost }
    }

    /// A text of the kind that names tasks: it says something, and in no list does it take more than its own bytes.
    private static func name(
        _ member: StaticString, _ members: Members, _ body: Span<UInt8>, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> SharedBytes? {
        guard let text = try members.text(member, bytesMax: TaskID.bytesMax, in: body, &scratch) else { return nil }
        guard TaskID(text.span) != nil else {
            throw .outOfRange(member: member, expected: "1 to \(TaskID.bytesMax) bytes of printable text")
        }
        return text
    }

    /// A name or a numeric address: nothing that could be read as more than that, as by whoever resolves it or writes it into a request.
    private static func host(
        _ members: Members, _ body: Span<UInt8>, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> SharedBytes? {
        guard let host = try members.text("host", bytesMax: hostBytesMax, in: body, &scratch) else { return nil }
        var isHost = !host.isEmpty
        for index in host.span.indices where !isHostByte(host.span[index]) { isHost = false }
        guard isHost else { throw .outOfRange(member: "host", expected: "the name or the address of a host") }
        return host
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"): true
        default: false
        }
    }

    private static func port(_ members: Members, _ body: Span<UInt8>) throws(RequestProblem) -> UInt16? {
        guard let number = try members.number("port", in: body) else { return nil }
        guard number >= 1, number <= 65_535, number == number.rounded() else {
            throw .outOfRange(member: "port", expected: "a whole number from 1 to 65535")
        }
        return UInt16(number)
    }

    /// What stands in a probe's first line (RFC 9112 §3.2): printable ASCII without a space, so that it cannot end that line.
    private static func healthPath(
        _ members: Members, _ body: Span<UInt8>, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> SharedBytes? {
        guard let path = try members.text("health_path", bytesMax: healthPathBytesMax, in: body, &scratch) else { return nil }
        var isPath = !path.isEmpty && path.span[0] == UInt8(ascii: "/")
        for index in path.span.indices where path.span[index] <= 0x20 || path.span[index] >= 0x7f { isPath = false }
        guard isPath else { throw .outOfRange(member: "health_path", expected: "a path that begins with / and has no spaces") }
        return path
    }

    private static func cpuCores(_ members: Members, _ body: Span<UInt8>) throws(RequestProblem) -> Double? {
        guard let number = try members.number("cpu_cores", in: body) else { return nil }
        guard number >= 0, number <= cpuCoresMax else {
            throw .outOfRange(member: "cpu_cores", expected: "a number from 0 to \(Int(cpuCoresMax))")
        }
        // A zero may come with a sign.
        return number == 0 ? 0 : number
    }

    private static func startTimeout(_ members: Members, _ body: Span<UInt8>) throws(RequestProblem) -> TimeSpan? {
        guard let seconds = try members.number("start_timeout", in: body) else { return nil }
        guard seconds > 0, seconds <= startTimeoutMax else {
            throw .outOfRange(member: "start_timeout", expected: "a number of seconds above 0 and up to \(Int(startTimeoutMax))")
        }
        return .milliseconds(max(Int64((seconds * 1_000).rounded()), 1))
    }

    // MARK: Answers

    /// The answer to GET and PUT /api/deployments/{id}, and to whatever else leaves a deployment behind.
    public static func write(_ deployment: Deployment, at time: WallTime, to writer: inout ByteWriter) {
        writer.object { $0.deployment(deployment, at: time) }
    }

    /// The answer to GET /api/deployments.
    public static func write(_ deployments: [Deployment], at time: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member(
                "deployments",
                array: { list in for deployment in deployments { list.element(object: { $0.deployment(deployment, at: time) }) } })
            $0.member("total", int: deployments.count)
        }
    }

    /// The answer to DELETE /api/deployments/{id}.
    public static func writeRemoved(_ id: SharedBytes, to writer: inout ByteWriter) {
        writer.object {
            $0.member("deployment_id", string: id)
            $0.member("removed", bool: true)
        }
    }

    /// - Returns: the status.
    public static func write(_ refusal: DeploymentRefusal, to writer: inout ByteWriter) -> Int {
        switch refusal {
        case .unknown:
            writeError("Deployment not found" as StaticString, to: &writer)
            return 404
        case .exists:
            writeError("Deployment already exists" as StaticString, to: &writer)
            return 409
        case .tooMany:
            writeError("Too many deployments" as StaticString, to: &writer)
            return 503
        case .notStartable(let status):
            writer.object {
                $0.member("error", string: "Deployment cannot do that while it is \(status.word)")
                $0.member("status", string: status.word)
            }
            return 409
        case .declared:
            writeError("Deployment is declared by its workers" as StaticString, to: &writer)
            return 409
        }
    }
}

extension Members {
    /// Whether there is a member of that name, null or not.
    fileprivate func names(_ name: StaticString, in bytes: Span<UInt8>) -> Bool {
        index.member(name, of: object, in: bytes) != nil
    }
}

extension JSONObjectWriter {
    fileprivate mutating func deployment(_ deployment: Deployment, at time: WallTime) {
        let form = deployment.form
        model(deployment, at: time)
        member("health_path", string: form.healthPath)
        switch deployment.source {
        case .registered: member("source", string: "registered")
        case .declared(let group, _):
            member("source", string: "worker")
            member("group", string: group)
        }
        member("note", string: deployment.note)
        member("container_id", stringOrNull: form.containerID)
        member("start_timeout", double: Double(form.startTimeout.milliseconds) / 1_000)
    }
}
