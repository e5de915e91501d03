// ResourceSample: one look at the machine: figures as they were read, without a judgement. Reads nothing itself. Levels are document E's.
public import Base

/// What the machine's own counters said at one moment. Sizes are bytes, parts are percent from 0 to 100.
public struct ResourceSample: Sendable, Equatable {
    public struct Processor: Sendable, Equatable {
        public var usage: Double
        public var cores: Int
        /// Megahertz; 0 where the machine does not tell.
        public var frequency: Double

        public init(usage: Double, cores: Int, frequency: Double) {
            self.usage = usage
            self.cores = cores
            self.frequency = frequency
        }
    }

    /// Memory, or a file system.
    public struct Space: Sendable, Equatable {
        public var total: UInt64
        public var available: UInt64
        /// What is neither used nor available is kept for the superuser.
        public var used: UInt64

        /// - Parameter used: all that is not available, where nothing is told of it.
        public init(total: UInt64, available: UInt64, used: UInt64? = nil) {
            self.total = total
            self.available = available
            self.used = used ?? total - min(available, total)
        }

        /// The part that is used of what may be; 0 of nothing.
        public var usage: Double {
            let (used, available) = (Double(used), Double(available))
            return total == 0 || used + available == 0 ? 0 : used / (used + available) * 100
        }
    }

    /// Since the machine started, all interfaces but the loopback together.
    public struct Network: Sendable, Equatable {
        public var bytesSent: UInt64
        public var bytesReceived: UInt64
        public var packetsSent: UInt64
        public var packetsReceived: UInt64

        public init(bytesSent: UInt64, bytesReceived: UInt64, packetsSent: UInt64, packetsReceived: UInt64) {
            self.bytesSent = bytesSent
            self.bytesReceived = bytesReceived
            self.packetsSent = packetsSent
            self.packetsReceived = packetsReceived
        }
    }

    public var processor: Processor
    public var memory: Space
    public var disk: Space
    /// Nil where the machine has no GPU that can be asked.
    public var gpus: [GPU]?
    public var network: Network

    public init(processor: Processor, memory: Space, disk: Space, gpus: [GPU]?, network: Network) {
        self.processor = processor
        self.memory = memory
        self.disk = disk
        self.gpus = gpus
        self.network = network
    }
}

/// One GPU, of this machine or of a worker's.
public struct GPU: Sendable, Equatable {
    public var id: Int
    public var name: SharedBytes
    /// Percent; as `memoryUsage`.
    public var usage: Double
    public var memoryUsage: Double
    /// Degrees Celsius.
    public var temperature: Double

    public init(id: Int, name: SharedBytes, usage: Double, memoryUsage: Double, temperature: Double) {
        self.id = id
        self.name = name
        self.usage = usage
        self.memoryUsage = memoryUsage
        self.temperature = temperature
    }
}

/// Document E's four words for how full something is.
public enum ResourceLevel: Sendable, CaseIterable {
    /// Below 70 %.
    case normal
    /// From 70 %.
    case high
    /// From 80 %.
    case warning
    /// From 90 %.
    case critical

    public init(usage: Double) {
        switch usage {
        case 90...: self = .critical
        case 80..<90: self = .warning
        case 70..<80: self = .high
        default: self = .normal
        }
    }
}

/// A sample and what the fleet told beside it.
public struct ResourceReport: Sendable {
    public var sample: ResourceSample
    /// The workers that told how they do, in the order of their names.
    public var fleet: [WorkerStatus]

    public init(sample: ResourceSample, fleet: [WorkerStatus]) {
        self.sample = sample
        self.fleet = fleet
    }
}
