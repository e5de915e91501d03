// MonitorEffect: everything that the monitor asks the world to do. The monitor decides; the gateway performs.

/// Something to be done, in the order in which it was decided.
public enum MonitorEffect: Sendable {
    /// Tell those who listen to its channel.
    case announce(MonitorEvent)
    /// Write it down.
    indirect case record(Record)
    /// Ask a deployment how it is, and tell ``Monitor/probed(_:_:at:)``.
    case probe(HealthProbe)
}
