// WorkerDialect+Status: what a worker tells of its machine in `worker_status`: its GPUs as document E's device objects, and whatever it
// says of its memory and its load, which stays as it came. The rest of what a worker says stands in WorkerDialect.swift.
public import Base
public import Domain
internal import JSON

/// A worker's word about its machine.
public struct WorkerVitals: Sendable, Equatable {
    public var gpus: [GPU]
    /// JSON as it came; nil where nothing was said. As `load`.
    public var memory: SharedBytes?
    public var load: SharedBytes?

    public init(gpus: [GPU] = [], memory: SharedBytes? = nil, load: SharedBytes? = nil) {
        self.gpus = gpus
        self.memory = memory
        self.load = load
    }
}

extension WorkerDialect {
    static func vitals(
        _ members: Members, _ text: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> WorkerVitals {
        WorkerVitals(
            gpus: try gpus(members, text, limits, &scratch), memory: try words("memory", members, text, limits),
            load: try words("load", members, text, limits))
    }

    private static func words(
        _ name: StaticString, _ members: Members, _ text: Span<UInt8>, _ limits: Limits
    ) throws(RequestProblem) -> SharedBytes? {
        guard let node = members.node(name, in: text) else { return nil }
        let range = members.index.range(of: node)
        guard range.count <= limits.workerStatusBytesMax else {
            throw .outOfRange(member: name, expected: "at most \(limits.workerStatusBytesMax) bytes long")
        }
        return SharedBytes(copying: text.extracting(range))
    }

    private static func gpus(
        _ members: Members, _ text: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> [GPU] {
        guard let list = members.node("gpus", in: text) else { return [] }
        guard members.index.kind(of: list) == .array else { throw .wrongType(member: "gpus", expected: "an array of objects") }
        var gpus: [GPU] = []
        for element in members.index.elements(of: list) {
            guard gpus.count < limits.gpusMax else { throw .outOfRange(member: "gpus", expected: "at most \(limits.gpusMax) objects") }
            guard members.index.kind(of: element) == .object else { throw .wrongType(member: "gpus", expected: "an array of objects") }
            gpus.append(try gpu(try Members(members.index, of: element), place: gpus.count, text, limits, &scratch))
        }
        return gpus
    }

    /// One device; a figure that was not told is 0, and one that cannot be is the nearest that can.
    ///
    /// - Parameter place: where in the list it stands, which is the number of one that names none.
    private static func gpu(
        _ members: Members, place: Int, _ text: Span<UInt8>, _ limits: Limits, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> GPU {
        GPU(
            id: Int(try figure("id", members, text, 0...1e9) ?? Double(place)),
            name: try members.text("name", bytesMax: limits.nameBytesMax, in: text, &scratch) ?? .empty,
            usage: try figure("usage_percent", members, text, 0...100) ?? 0,
            memoryUsage: try figure("memory_usage_percent", members, text, 0...100) ?? 0,
            temperature: try figure("temperature", members, text, -273...1_000) ?? 0)
    }

    private static func figure(
        _ name: StaticString, _ members: Members, _ text: Span<UInt8>, _ range: ClosedRange<Double>
    ) throws(RequestProblem) -> Double? {
        guard let figure = try members.number(name, in: text)?.bounded(range) else { return nil }
        // A zero may come with a sign.
        return figure == 0 ? 0 : figure
    }
}
