// Bound: what a peer can come up against, by the name that the metrics have for it. One table, so that whoever reads the page can tell
// which limit is met; where it is kept and what the peer hears is each service's.
internal import Base
internal import HTTP1
internal import WebSockets

/// A limit that somebody met.
enum Bound: Int, CaseIterable {
    case connections
    case connectionsPerAddress
    case acceptsPerSecond
    case handshakesPerAddress
    case handshakeTime
    case authenticationTime
    case headerBytes
    case bodyBytes
    case requestTime
    case requestsPerSecond
    case messageBytes
    case messageTime
    case messagesPerSecond
    case subscriptions
    case queuedBytes
    case inputMemory
    case memoryConnections
    case memoryTasks
    case memoryConsumers

    init(_ rejection: Rejection) {
        switch rejection {
        case .connections: self = .connections
        case .address: self = .connectionsPerAddress
        case .pace: self = .acceptsPerSecond
        case .handshakes: self = .handshakesPerAddress
        case .handshakeTime: self = .handshakeTime
        case .memory: self = .memoryConnections
        }
    }

    /// Nil for what is wrong in another way.
    init?(_ error: HTTPError) {
        if [.headTooLarge, .tooManyFields, .targetTooLong, .trailersTooLarge, .chunkHeaderTooLong].contains(error) {
            self = .headerBytes
        } else if error == .contentTooLarge {
            self = .bodyBytes
        } else if error == .requestTimeout {
            self = .requestTime
        } else {
            return nil
        }
    }

    /// Nil for what is wrong in another way.
    init?(_ error: FrameError) {
        guard error == .messageTooBig || error == .tooManyFragments else { return nil }
        self = .messageBytes
    }

    /// The label's value.
    var name: StaticString {
        switch self {
        case .connections: "connections"
        case .connectionsPerAddress: "connections_per_address"
        case .acceptsPerSecond: "accepts_per_second"
        case .handshakesPerAddress: "handshakes_per_address"
        case .handshakeTime: "handshake_time"
        case .authenticationTime: "authentication_time"
        case .headerBytes: "header_bytes"
        case .bodyBytes: "body_bytes"
        case .requestTime: "request_time"
        case .requestsPerSecond: "requests_per_second"
        case .messageBytes: "message_bytes"
        case .messageTime: "message_time"
        case .messagesPerSecond: "messages_per_second"
        case .subscriptions: "subscriptions"
        case .queuedBytes: "queued_bytes"
        case .inputMemory: "input_memory"
        case .memoryConnections: "memory_connections"
        case .memoryTasks: "memory_tasks"
        case .memoryConsumers: "memory_consumers"
        }
    }
}

/// How often each limit was met.
struct BoundCounts {
    private var counts = [UInt64](repeating: 0, count: Bound.allCases.count)

    subscript(bound: Bound) -> UInt64 { counts[bound.rawValue] }

    mutating func count(_ bound: Bound) { counts[bound.rawValue] &+= 1 }

    func write(_ page: inout MetricsPage, to writer: inout ByteWriter) {
        page.begin("limits_reached_total", .counter, "Times that a limit was met, by which.", to: &writer)
        for bound in Bound.allCases {
            writer.append("signalbox_limits_reached_total{limit=\"")
            writer.append(bound.name)
            writer.append("\"} ")
            writer.append(decimal: Int(clamping: self[bound]))
            writer.append("\n")
        }
    }
}

extension Route {
    /// Whether a request is served while memory is short: who looks after the server, who works for it and who ends something are; who
    /// begins something is not, and of those who come now, nobody else.
    func isSpared(newcomer: Bool) -> Bool {
        switch self {
        case .health, .readiness, .metrics, .workerSocket, .revocations, .dashboard: true
        case .submit, .replayLetter, .replayLetters, .taskSocket, .userSocket, .hubSocket, .echoSocket, .eventStream: false
        case .producerSocket, .task, .cancel, .letters, .letter, .removeLetter, .gpuTask, .gpuConnections, .gpuStatistics, .userTask,
            .userTasks, .removeTask, .report, .reports, .progress, .history, .storedHistory, .clearHistory, .subscribe, .unsubscribe,
            .progressStatistics, .activeClients, .hubStatistics, .engine, .deployments, .createDeployment, .deployment,
            .updateDeployment, .removeDeployment, .actOnDeployment, .activities, .postActivity, .alerts, .fleet, .asset, .options,
            .methodNotAllowed, .notFound, .unknownTask, .models, .model:
            !newcomer
        }
    }
}
