// Alert: something that is wrong for a while: raised once, perhaps worse later, resolved at the end, all under one name. Kinds and
// actions are document E's.
public import Base

/// Something that is wrong, or was.
public struct Alert: Sendable, Equatable {
    public enum Kind: UInt8, Sendable, CaseIterable {
        case memoryThreshold
        case diskThreshold
        case gpuThreshold
        case modelHealthCheckFailed
    }

    public enum Action: UInt8, Sendable, CaseIterable {
        case checkProcesses, restartServices, cleanupTempFiles, archiveLogs, restartModel, checkLogs, checkGPUProcesses
    }

    /// What it is about.
    public struct Resource: Sendable, Equatable {
        /// `memory`, `disk`, `gpu` or `model`.
        public var type: SharedBytes
        /// Which of several, as a GPU's number or a deployment's id; nil where there is one.
        public var id: SharedBytes?
        public var value: Double
        public var threshold: Double
        /// `%`, or `failures` for probes.
        public var unit: SharedBytes

        public init(type: SharedBytes, id: SharedBytes? = nil, value: Double, threshold: Double, unit: SharedBytes) {
            self.type = type
            self.id = id
            self.value = value
            self.threshold = threshold
            self.unit = unit
        }
    }

    /// `alert_` and a name of its own.
    public var id: SharedBytes
    public var kind: Kind
    public var severity: Severity
    public var title: SharedBytes
    public var message: SharedBytes
    public var resource: Resource
    public var raisedAt: WallTime
    /// Nil while it lasts.
    public var resolvedAt: WallTime?

    public init(
        id: SharedBytes, kind: Kind, severity: Severity, title: SharedBytes, message: SharedBytes, resource: Resource, raisedAt: WallTime,
        resolvedAt: WallTime? = nil
    ) {
        self.id = id
        self.kind = kind
        self.severity = severity
        self.title = title
        self.message = message
        self.resource = resource
        self.raisedAt = raisedAt
        self.resolvedAt = resolvedAt
    }

    /// What somebody may do about it.
    public var actions: [Action] {
        switch kind {
        case .memoryThreshold: [.checkProcesses, .restartServices]
        case .diskThreshold: [.cleanupTempFiles, .archiveLogs]
        case .gpuThreshold: [.checkGPUProcesses]
        case .modelHealthCheckFailed: [.restartModel, .checkLogs]
        }
    }
}
