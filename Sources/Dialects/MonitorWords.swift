// MonitorWords: document E's words for what the domain knows by values: kinds, severities, states, levels. Each word stands here once, for
// the messages, the requests and the answers alike.
internal import Base
internal import Domain

extension Channel {
    /// What is subscribed to: `subscribe_system_resources`.
    var word: StaticString {
        switch self {
        case .systemResources: "system_resources"
        case .modelStatus: "model_status"
        case .activityStream: "activity_stream"
        case .systemAlerts: "system_alerts"
        case .deploymentEvents: "deployment_events"
        }
    }
}

extension ResourceLevel {
    var word: StaticString {
        switch self {
        case .normal: "normal"
        case .high: "high"
        case .warning: "warning"
        case .critical: "critical"
        }
    }
}

extension Deployment.Status {
    var word: StaticString {
        switch self {
        case .pending: "pending"
        case .deploying: "deploying"
        case .running: "running"
        case .stopped: "stopped"
        case .failed: "failed"
        }
    }
}

extension Deployment.Health {
    var word: StaticString {
        switch self {
        case .healthy: "healthy"
        case .unhealthy: "unhealthy"
        case .unknown: "unknown"
        }
    }
}

extension DeploymentEvent.Kind {
    var word: StaticString {
        switch self {
        case .started: "deployment_started"
        case .completed: "deployment_completed"
        case .failed: "deployment_failed"
        case .stopped: "deployment_stopped"
        case .restarted: "deployment_restarted"
        }
    }
}

extension Activity.Kind {
    var word: StaticString {
        switch self {
        case .modelDeployment: "model_deployment"
        case .modelHealthCheck: "model_health_check"
        case .systemResourceThreshold: "system_resource_threshold"
        case .downloadTask: "download_task"
        case .userOperation: "user_operation"
        }
    }
}

extension Severity {
    var word: StaticString {
        switch self {
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        case .critical: "critical"
        }
    }
}

extension Alert.Kind {
    var word: StaticString {
        switch self {
        case .memoryThreshold: "memory_threshold"
        case .diskThreshold: "disk_threshold"
        case .gpuThreshold: "gpu_threshold"
        case .modelHealthCheckFailed: "model_health_check_failed"
        }
    }

    /// The word that the document's example has for the type, beside the list that it gives.
    var category: StaticString {
        switch self {
        case .memoryThreshold, .diskThreshold, .gpuThreshold: "resource_threshold"
        case .modelHealthCheckFailed: "model_health"
        }
    }
}

extension Alert.Action {
    var word: StaticString {
        switch self {
        case .checkProcesses: "check_processes"
        case .restartServices: "restart_services"
        case .cleanupTempFiles: "cleanup_temp_files"
        case .archiveLogs: "archive_logs"
        case .restartModel: "restart_model"
        case .checkLogs: "check_logs"
        case .checkGPUProcesses: "check_gpu_processes"
        }
    }
}

/// A value of which a client names one by its word.
protocol Worded: CaseIterable {
    var word: StaticString { get }
}

extension Activity.Kind: Worded {}
extension Severity: Worded {}

extension Worded {
    init?(word: Span<UInt8>) {
        for value in Self.allCases where word.equals(value.word, at: 0..<word.count) {
            self = value
            return
        }
        return nil
    }

    /// The words that there are, for whoever used another.
    static var oneOf: String { "one of " + allCases.map { $0.word.description }.joined(separator: ", ") }

    /// - Throws: `outOfRange`, which names the member and the words that there are.
    static func read(_ word: SharedBytes, as member: StaticString) throws(RequestProblem) -> Self {
        guard let value = Self(word: word.span) else { throw .outOfRange(member: member, expected: oneOf) }
        return value
    }
}
