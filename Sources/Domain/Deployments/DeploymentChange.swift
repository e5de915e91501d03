// DeploymentChange: what came of a call to the registry of deployments, and why it refuses one. Values; whoever keeps the registry tells
// watchers, writes down, and asks. Words are document E's.
public import Base

/// Why the registry does not do what it was asked for.
public enum DeploymentRefusal: Error, Sendable, Equatable {
    /// There is none of that name; a name that none can have is one of these.
    case unknown
    /// There is one of that name.
    case exists
    /// As many as `Limits.deploymentsMax` are there, and none gives way.
    case tooMany
    /// Its status forbids the step: what runs or starts is not started, what does not is not stopped.
    case notStartable(Deployment.Status)
    /// Workers declare it, or would under that name: it is not changed by hand.
    case declared
}

/// Something that came of a call, in the order in which it came.
public enum DeploymentChange: Sendable {
    /// For those who watch deployments.
    case happened(DeploymentEvent)
    /// As it is now, to be written down; never one that workers declare.
    case saved(Deployment)
    /// As it was; one that workers declared was never written down.
    case removed(Deployment)
    /// To be asked, and the outcome told to ``DeploymentTable/probed(_:_:at:)``.
    case probe(HealthProbe)
    /// A running one failed so many probes in a row. Told once, until a probe is answered well, its place is changed, or the server starts.
    case turnedUnhealthy(Deployment, failures: Int, reason: SharedBytes)
    /// A running one is well, of which the contrary was told, or may have been told before the server started.
    case turnedHealthy(Deployment)
}
