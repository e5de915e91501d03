// FleetAPI: who works here, over HTTP: the connected workers, what they have in hand, and what they told of their machines.
public import Base
public import Domain
internal import JSON

/// A worker that is connected: what the broker knows of it, and its own word where it gave one.
public struct FleetMember: Sendable {
    public var id: WorkerID
    public var group: SharedBytes
    /// The models that it declares.
    public var models: [SharedBytes]
    /// How many tasks it takes at a time.
    public var concurrency: Int
    /// How many it has in hand.
    public var busy: Int
    public var isDraining: Bool
    public var connectedAt: WallTime
    /// Nil until it tells how it does.
    public var status: WorkerStatus?

    public init(
        id: WorkerID, group: SharedBytes, models: [SharedBytes] = [], concurrency: Int, busy: Int, isDraining: Bool,
        connectedAt: WallTime, status: WorkerStatus? = nil
    ) {
        self.id = id
        self.group = group
        self.models = models
        self.concurrency = concurrency
        self.busy = busy
        self.isDraining = isDraining
        self.connectedAt = connectedAt
        self.status = status
    }
}

public enum FleetAPI {
    /// The answer to GET /api/fleet.
    public static func write(_ members: [FleetMember], to writer: inout ByteWriter) {
        writer.object {
            $0.member("workers", array: { list in for member in members { list.element(object: { $0.fleetMember(member) }) } })
            $0.member("total_workers", int: members.count)
            $0.member("total_gpus", int: members.reduce(0) { $0 + ($1.status?.gpus.count ?? 0) })
        }
    }

    /// The answer to POST /api/fleet/{worker_id}/drain.
    public static func writeDraining(_ worker: Worker, to writer: inout ByteWriter) {
        writer.object {
            $0.member("worker_id", worker.id)
            $0.member("draining", bool: worker.isDraining)
            $0.member("busy", int: worker.hands.count)
        }
    }
}

extension JSONObjectWriter {
    mutating func fleetMember(_ worker: FleetMember) {
        let status = worker.status
        member("worker_id", worker.id)
        member("group", string: worker.group)
        member("models", array: { list in for model in worker.models { list.element(string: model) } })
        member("concurrency", int: worker.concurrency)
        member("busy", int: worker.busy)
        member("draining", bool: worker.isDraining)
        member("connected_at", iso8601: worker.connectedAt)
        member("gpus", array: { list in for gpu in status?.gpus ?? [] { list.element(object: { $0.device(gpu) }) } })
        member("memory", userValue: status?.memory ?? .empty)
        member("load", userValue: status?.load ?? .empty)
        member("reported_at", iso8601: status?.reportedAt)
    }
}
