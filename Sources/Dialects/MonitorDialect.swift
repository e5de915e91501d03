// MonitorDialect: document E's events, as the objects that Socket.IO carries: `event_type`, `timestamp`, `data`. Fields, their order and
// their kinds of values are the document's, with a few fields more. Knows no packet. What clients say, and what is said to one
// client alone, stands in MonitorDialect+Client.swift.
//
// Cost: an event is written once however many listen; the figures of a fleet are some 120 bytes a GPU, the models some 400 bytes each.
public import Base
public import Domain
internal import JSON

public enum MonitorDialect {
    /// The name under which Socket.IO carries the event, and its `event_type`.
    public static func eventName(of event: MonitorEvent) -> StaticString {
        switch event {
        case .resources: "system_resources_update"
        case .models: "model_status_update"
        case .activity: "activity_stream"
        case .alert: "system_alerts"
        case .deployment: "deployment_events"
        }
    }

    /// Writes the event's one argument.
    public static func write(_ event: MonitorEvent, at time: WallTime, to writer: inout ByteWriter) {
        writer.object {
            $0.member("event_type", string: eventName(of: event))
            $0.member("timestamp", iso8601: time)
            $0.member(
                "data",
                object: { data in
                    switch event {
                    case .resources(let report): data.resources(report)
                    case .models(let deployments): data.models(deployments, at: time)
                    case .activity(let activity): data.activity(activity)
                    case .alert(let alert): data.alert(alert)
                    case .deployment(let event): data.deploymentEvent(event)
                    }
                })
        }
    }
}

// MARK: Resources

extension JSONObjectWriter {
    fileprivate mutating func resources(_ report: ResourceReport) {
        let sample = report.sample
        member(
            "cpu",
            object: {
                $0.member("usage_percent", tenths: sample.processor.usage)
                $0.member("cores", int: sample.processor.cores)
                $0.member("frequency", int: Int(sample.processor.frequency.bounded(0...1e9).rounded()))
                $0.member("status", string: ResourceLevel(usage: sample.processor.usage).word)
            })
        member("memory", object: { $0.space(sample.memory, available: "available_gb") })
        member("disk", object: { $0.space(sample.disk, available: "free_gb") })
        let gpus = sample.gpus ?? []
        member(
            "gpu",
            object: { gpu in
                gpu.member("available", bool: !gpus.isEmpty)
                gpu.member("device_count", int: gpus.count)
                gpu.member("devices", array: { list in for device in gpus { list.element(object: { $0.device(device) }) } })
            })
        member(
            "network",
            object: {
                $0.member("bytes_sent", sequence: sample.network.bytesSent)
                $0.member("bytes_recv", sequence: sample.network.bytesReceived)
                $0.member("packets_sent", sequence: sample.network.packetsSent)
                $0.member("packets_recv", sequence: sample.network.packetsReceived)
            })
        member("fleet", object: { $0.fleet(report.fleet) })
    }

    private mutating func space(_ space: ResourceSample.Space, available: StaticString) {
        let usage = space.usage
        member("usage_percent", tenths: usage)
        member("total_gb", gigabytes: space.total)
        member(available, gigabytes: space.available)
        member("status", string: ResourceLevel(usage: usage).word)
    }

    /// One GPU: document E's device object.
    mutating func device(_ gpu: GPU) {
        member("id", int: gpu.id)
        member("name", string: gpu.name)
        member("usage_percent", tenths: gpu.usage)
        member("memory_usage_percent", tenths: gpu.memoryUsage)
        // Whole where it is: the document's is.
        member("temperature", double: (gpu.temperature.bounded(-1e6...1e6) * 10).rounded() / 10)
        member("status", string: ResourceLevel(usage: max(gpu.usage, gpu.memoryUsage)).word)
    }

    /// The GPUs of all workers that told of theirs; an addition to the document.
    private mutating func fleet(_ fleet: [WorkerStatus]) {
        member("workers", int: fleet.count)
        member("device_count", int: fleet.reduce(0) { $0 + $1.gpus.count })
        member(
            "devices",
            array: { list in
                for status in fleet {
                    for gpu in status.gpus {
                        list.element(object: {
                            $0.member("worker_id", status.worker)
                            $0.member("group", string: status.group)
                            $0.device(gpu)
                        })
                    }
                }
            })
    }
}

// MARK: Models and deployments

extension JSONObjectWriter {
    fileprivate mutating func models(_ deployments: [Deployment], at time: WallTime) {
        member("total_models", int: deployments.count)
        member("running_models", int: deployments.count { $0.status == .running })
        member("failed_models", int: deployments.count { $0.status == .failed })
        member("models", array: { list in for deployment in deployments { list.element(object: { $0.model(deployment, at: time) }) } })
    }

    /// One deployment: document E's model object.
    mutating func model(_ deployment: Deployment, at time: WallTime) {
        let form = deployment.form
        member("deployment_id", string: deployment.id)
        member("model_id", string: form.modelID)
        member("name", string: form.name)
        member("status", string: deployment.status.word)
        member("health_status", string: deployment.health.word)
        member("uptime_seconds", int: deployment.uptimeSeconds(at: time))
        member("port", intOrNull: form.port.map { Int($0) })
        member("host", stringOrNull: form.host)
        member("model_source", stringOrNull: form.modelSource)
        if let cores = form.cpuCores { member("cpu_cores", double: cores) } else { nullMember("cpu_cores") }
        member("memory_limit", stringOrNull: form.memoryLimit)
        member("created_at", iso8601: deployment.createdAt)
        member("deployed_at", iso8601: deployment.deployedAt)
        switch deployment.source {
        case .registered: break
        case .declared(_, let workers): member("workers", int: workers)
        }
    }

    fileprivate mutating func deploymentEvent(_ event: DeploymentEvent) {
        let form = event.deployment.form
        member("deployment_id", string: event.deployment.id)
        member("model_id", string: form.modelID)
        member("event", string: event.kind.word)
        member("status", string: event.deployment.status.word)
        member("message", string: event.message)
        // Whatever is not known is null: who reads by name finds the document's five names in each event.
        member(
            "details",
            object: {
                $0.member("name", string: form.name)
                $0.member("model_source", stringOrNull: form.modelSource)
                $0.member("port", intOrNull: form.port.map { Int($0) })
                $0.member("container_id", stringOrNull: form.containerID)
                $0.member("estimated_completion", iso8601: event.estimatedCompletion)
            })
    }
}

// MARK: Activities and alerts

extension JSONObjectWriter {
    mutating func activity(_ activity: Activity) {
        member("id", string: activity.id)
        member("activity_type", string: activity.kind.word)
        member("message", string: activity.message)
        member("severity", string: activity.severity.word)
        member("resource_type", stringOrNull: activity.resourceType)
        member("resource_id", stringOrNull: activity.resourceID)
        member("created_at", iso8601: activity.createdAt)
        if activity.extra.isEmpty { member("extra_data", object: { _ in }) } else { member("extra_data", raw: activity.extra) }
    }

    /// The alert as its event tells of it; when it was resolved stands there once it is.
    fileprivate mutating func alert(_ alert: Alert) {
        alertFields(alert)
        if let resolvedAt = alert.resolvedAt { member("resolved_at", iso8601: resolvedAt) }
    }

    /// What the event and the list of alerts have in common.
    mutating func alertFields(_ alert: Alert) {
        let resource = alert.resource
        member("alert_id", string: alert.id)
        member("type", string: alert.kind.word)
        member("category", string: alert.kind.category)
        member("severity", string: alert.severity.word)
        member("title", string: alert.title)
        member("message", string: alert.message)
        member(
            "resource",
            object: {
                $0.member("type", string: resource.type)
                if let id = resource.id { $0.member("id", string: id) }
                $0.member("current_value", tenths: resource.value)
                $0.member("threshold", tenths: resource.threshold)
                $0.member("unit", string: resource.unit)
            })
        member("actions", array: { list in for action in alert.actions { list.element(string: action.word) } })
        member("auto_resolve", bool: true)
        member("resolved", bool: alert.resolvedAt != nil)
    }
}

// MARK: Figures

extension JSONObjectWriter {
    /// A figure with one place behind the point, whatever stands there: `80.0`.
    mutating func member(_ key: StaticString, tenths figure: Double) {
        // A figure of that size is none that anybody measured; below it nothing overflows.
        let tenths = Int((figure.bounded(-1e12...1e12) * 10).rounded())
        member(key) { writer in
            if tenths < 0 { writer.append(UInt8(ascii: "-")) }
            writer.append(decimal: abs(tenths) / 10)
            writer.append(UInt8(ascii: "."))
            writer.append(decimal: abs(tenths) % 10)
        }
    }

    /// Bytes as the document's gigabytes, of 1024³ bytes, as the tools count that its figures come from.
    fileprivate mutating func member(_ key: StaticString, gigabytes bytes: UInt64) {
        member(key, tenths: Double(bytes) / 1_073_741_824)
    }

    mutating func member(_ key: StaticString, intOrNull value: Int?) {
        if let value { member(key, int: value) } else { nullMember(key) }
    }
}

extension Double {
    /// The figure within the range; what is no number becomes its lower end, or 0 where that lies within.
    func bounded(_ range: ClosedRange<Double>) -> Double {
        guard !isNaN else { return range.contains(0) ? 0 : range.lowerBound }
        return min(max(self, range.lowerBound), range.upperBound)
    }
}
