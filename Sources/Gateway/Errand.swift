// Errand: what the machine wants done outside besides reading, writing and computing: a value goes out, and the server is told what came of
// it. Who runs it, and on which thread, is the host's.
public import Domain

/// Something for the host to do.
public enum Errand: Sendable {
    /// Look at the machine's own counters, and tell ``Server/sampled(_:at:)``. There is one such errand at a time.
    case sample
    /// Connect to where the probe goes, and tell ``Server/connected(_:for:at:)`` or ``Server/notConnected(_:reason:at:)``.
    case connect(HealthProbe)
}
