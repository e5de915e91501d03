// AlertThresholds: from which figures on something is wrong. Judges nothing itself (AlertBook does). Where the words for a figure begin
// (`high`, `warning`) is document E's and stands with ResourceLevel; these here are the operator's.

/// The bounds of the machine's alerts, in percent from 0 to 100.
public struct AlertThresholds: Sendable {
    /// An alert is raised from here on; document E's 80 and 90.
    public var memoryWarning = 80.0
    public var memoryCritical = 90.0
    public var diskWarning = 80.0
    public var diskCritical = 90.0
    /// Of a GPU's computing time, each GPU for itself.
    public var gpuWarning = 80.0
    public var gpuCritical = 90.0
    /// Percent points below the warning at which an alert ends: a figure that swings about the bound is told once.
    public var hysteresis = 5.0

    public init() {}

    /// What does not fit together, as a sentence for the operator; nil where all does.
    public var contradiction: String? {
        let pairs = [("memory", memoryWarning, memoryCritical), ("disk", diskWarning, diskCritical), ("GPUs", gpuWarning, gpuCritical)]
        for (name, warning, critical) in pairs {
            // What is not a number is in no range.
            guard (0...100).contains(warning), (0...100).contains(critical) else {
                return "the thresholds of the \(name) must lie between 0 and 100 percent"
            }
            if warning > critical { return "the warning threshold of the \(name) is above the critical one" }
            guard hysteresis >= 0, hysteresis < warning else {
                return "the alerts' hysteresis must be at least 0 and below the warning threshold of the \(name)"
            }
        }
        return nil
    }
}
