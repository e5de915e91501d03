// Deployment: one model that runs somewhere, as the registry knows it. Runs nothing itself: whoever deploys tells, and a probe or a
// worker's connection says whether it lives. Words are document E's.
public import Base

/// A model in a place.
public struct Deployment: Sendable, Equatable {
    public enum Status: UInt8, Sendable, CaseIterable {
        case pending, deploying, running, stopped, failed
    }

    public enum Health: UInt8, Sendable, CaseIterable {
        case healthy, unhealthy, unknown
    }

    /// What somebody told of it and may change.
    public struct Form: Sendable, Equatable {
        public var modelID: SharedBytes
        public var name: SharedBytes
        public var modelSource: SharedBytes?
        /// Where it answers probes; without a port it is not probed.
        public var host: SharedBytes?
        public var port: UInt16?
        /// What is asked for with GET; an answer of 2xx is health.
        public var healthPath: SharedBytes
        public var cpuCores: Double?
        public var memoryLimit: SharedBytes?
        public var containerID: SharedBytes?
        /// From its first probe until it must have answered one well.
        public var startTimeout: TimeSpan

        public init(
            modelID: SharedBytes, name: SharedBytes, modelSource: SharedBytes? = nil, host: SharedBytes? = nil, port: UInt16? = nil,
            healthPath: SharedBytes = Form.healthPathDefault, cpuCores: Double? = nil, memoryLimit: SharedBytes? = nil,
            containerID: SharedBytes? = nil, startTimeout: TimeSpan
        ) {
            self.modelID = modelID
            self.name = name
            self.modelSource = modelSource
            self.host = host
            self.port = port
            self.healthPath = healthPath
            self.cpuCores = cpuCores
            self.memoryLimit = memoryLimit
            self.containerID = containerID
            self.startTimeout = startTimeout
        }

        public static let healthPathDefault = SharedBytes("/health")
    }

    /// Who says whether it lives.
    public enum Source: Sendable, Equatable {
        /// Registered over HTTP; kept in the database.
        case registered
        /// Declared by so many workers that are connected now; forgotten with the process.
        case declared(group: SharedBytes, workers: Int)
    }

    /// `dep-` and a UUID, or what its registration named.
    public var id: SharedBytes
    public var form: Form
    public var source: Source
    public var status: Status
    public var health: Health
    /// Why it is as it is, for a person; empty for nothing to say.
    public var note: SharedBytes
    public var createdAt: WallTime
    /// When it began to run; nil while it does not.
    public var deployedAt: WallTime?

    public init(
        id: SharedBytes, form: Form, source: Source = .registered, status: Status = .pending, health: Health = .unknown,
        note: SharedBytes = .empty, createdAt: WallTime, deployedAt: WallTime? = nil
    ) {
        self.id = id
        self.form = form
        self.source = source
        self.status = status
        self.health = health
        self.note = note
        self.createdAt = createdAt
        self.deployedAt = deployedAt
    }

    /// Whole seconds that it has been running; 0 while it is not.
    public func uptimeSeconds(at now: WallTime) -> Int64 {
        guard status == .running, let deployedAt else { return 0 }
        return max(now.milliseconds - deployedAt.milliseconds, 0) / 1_000
    }
}

/// A change that watchers of deployments are told.
public struct DeploymentEvent: Sendable {
    public enum Kind: UInt8, Sendable, CaseIterable {
        case started, completed, failed, stopped, restarted
    }

    public var kind: Kind
    /// As it is behind the change.
    public var deployment: Deployment
    public var message: SharedBytes
    /// When a starting one must have answered, if it is asked at once; nil for others.
    public var estimatedCompletion: WallTime?

    public init(kind: Kind, deployment: Deployment, message: SharedBytes, estimatedCompletion: WallTime? = nil) {
        self.kind = kind
        self.deployment = deployment
        self.message = message
        self.estimatedCompletion = estimatedCompletion
    }
}

/// A question to a deployment: is it well?
public struct HealthProbe: Sendable, Equatable {
    public var deployment: SharedBytes
    /// Which probe of the deployment's life this is: an answer to an earlier one says nothing.
    public var number: UInt64
    public var host: SharedBytes
    public var port: UInt16
    public var path: SharedBytes

    public init(deployment: SharedBytes, number: UInt64, host: SharedBytes, port: UInt16, path: SharedBytes) {
        self.deployment = deployment
        self.number = number
        self.host = host
        self.port = port
        self.path = path
    }

    /// What came of it.
    public enum Outcome: Sendable, Equatable {
        case healthy
        /// The reason is for a person.
        case unhealthy(SharedBytes)
    }
}
