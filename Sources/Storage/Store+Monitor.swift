// Store+Monitor: what the records of the fleet leave in the tables: activities, alerts, deployments. Not the transaction around them
// (Store), and not how they are found again (MonitorQueries).
//
// Cost: one prepared statement each: a row and its indexes, 5 µs, and 25 µs where there are a million of them.
import Base
import Domain

extension Store {
    /// Of two activities of one name the first stands: a record that was written is not written again.
    func note(_ activity: Activity, _ database: inout Database) throws(StorageError) {
        try database.run(.insertActivity) {
            $0.add(text: activity.id)
            $0.add(activity.kind.rawValue)
            $0.add(text: activity.message)
            $0.add(activity.severity.rawValue)
            $0.add(text: activity.resourceType)
            $0.add(text: activity.resourceID)
            $0.add(activity.createdAt)
            $0.add(blob: activity.extra)
            $0.add(text: activity.owner)
        }
    }

    /// The newest word about an alert stands.
    func change(_ alert: Alert, _ database: inout Database) throws(StorageError) {
        try database.run(.changeAlert) {
            $0.add(text: alert.id)
            $0.add(alert.kind.rawValue)
            $0.add(alert.severity.rawValue)
            $0.add(text: alert.title)
            $0.add(text: alert.message)
            $0.add(text: alert.resource.type)
            $0.add(text: alert.resource.id)
            $0.add(alert.resource.value)
            $0.add(alert.resource.threshold)
            $0.add(text: alert.resource.unit)
            $0.add(alert.raisedAt)
            $0.add(alert.resolvedAt)
        }
    }

    /// The newest word about a deployment stands.
    ///
    /// - Precondition: it was registered; what workers declare ends with their connections.
    func change(_ deployment: Deployment, _ database: inout Database) throws(StorageError) {
        precondition(deployment.source == .registered, "a declared deployment is not to be written down")
        try database.run(.changeDeployment) {
            $0.add(text: deployment.id)
            $0.add(deployment.form)
            $0.add(deployment.status.rawValue)
            $0.add(deployment.health.rawValue)
            $0.add(text: deployment.note)
            $0.add(deployment.createdAt)
            $0.add(deployment.deployedAt)
        }
    }
}

extension Arguments {
    /// Ten arguments.
    fileprivate mutating func add(_ form: Deployment.Form) {
        add(text: form.modelID)
        add(text: form.name)
        add(text: form.modelSource)
        add(text: form.host)
        if let port = form.port { add(Int64(port)) } else { addNull() }
        add(text: form.healthPath)
        add(form.cpuCores)
        add(text: form.memoryLimit)
        add(text: form.containerID)
        add(form.startTimeout)
    }
}
