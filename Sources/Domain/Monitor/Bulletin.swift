// Bulletin: an event of a channel on its way: numbered, timed, addressed; what a publication is to a task. A value: whoever has it can
// write it without asking anybody.
public import Base

/// What a channel tells.
public enum MonitorEvent: Sendable {
    /// How the machine and the fleet's GPUs do; every two seconds while somebody listens.
    case resources(ResourceReport)
    /// How the deployments do; every five seconds while somebody listens.
    case models([Deployment])
    case activity(Activity)
    /// An alert that is raised, grows worse or is resolved.
    case alert(Alert)
    case deployment(DeploymentEvent)

    public var channel: Channel {
        switch self {
        case .resources: .systemResources
        case .models: .modelStatus
        case .activity: .activityStream
        case .alert: .systemAlerts
        case .deployment: .deploymentEvents
        }
    }

    /// Bytes that keeping it costs, but for what everybody keeps who keeps an event.
    public var byteCount: Int {
        switch self {
        case .resources(let report): 512 + 256 * report.fleet.reduce(0) { $0 + 1 + $1.gpus.count }
        // Their texts are the registry's.
        case .models(let deployments): MemoryLayout<Deployment>.stride * deployments.count
        case .activity(let activity): 256 + activity.message.count + activity.extra.count
        case .alert(let alert): 256 + alert.message.count
        case .deployment(let event): 512 + event.message.count
        }
    }
}

/// One event of one channel.
public struct Bulletin: Sendable {
    /// Its number among all publications of this server's life: what was published before somebody joined is not for the one.
    public let number: UInt64
    /// Its place in the one order of all channels, from 1: who comes back names the last that it has.
    public let offset: UInt64
    public let at: WallTime
    public let event: MonitorEvent

    public init(number: UInt64, offset: UInt64, at: WallTime, event: MonitorEvent) {
        self.number = number
        self.offset = offset
        self.at = at
        self.event = event
    }

    /// Whose it is; nil for what everybody may hear who listens.
    public var owner: SharedBytes? {
        if case .activity(let activity) = event { activity.owner } else { nil }
    }
}
