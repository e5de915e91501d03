// Channel: what the fleet's watchers may listen to: document E's five families of events. A channel is an audience, as a topic is; who
// listens stands in the hub.

/// One family of events about the server and its fleet.
public enum Channel: UInt8, Sendable, CaseIterable {
    case systemResources
    case modelStatus
    case activityStream
    case systemAlerts
    case deploymentEvents
}

/// Some of the channels.
public struct ChannelSet: OptionSet, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public init(_ channel: Channel) { rawValue = 1 << channel.rawValue }

    public static let all = ChannelSet(rawValue: 1 << UInt8(Channel.allCases.count) - 1)

    public func contains(_ channel: Channel) -> Bool { rawValue & 1 << channel.rawValue != 0 }
}
