// AlertBook: what is wrong at this moment, each thing under one name from its raising to its end. Decides when something is worth telling
// (at a crossing, once, with hysteresis); tells nobody itself (Monitor does). Titles and words follow document E.
import Base

/// The alerts that last.
struct AlertBook {
    /// What an alert is about: no two of the same last at once.
    private enum Cause: Hashable {
        case memory
        case disk
        case gpu(Int)
        case model(SharedBytes)

        /// The cause of an alert that an earlier process raised; nil where its words name none.
        init?(of alert: Alert) {
            switch alert.kind {
            case .memoryThreshold: self = .memory
            case .diskThreshold: self = .disk
            case .gpuThreshold:
                guard let number = alert.resource.id.flatMap({ Int($0.description) }) else { return nil }
                self = .gpu(number)
            case .modelHealthCheckFailed:
                guard let id = alert.resource.id else { return nil }
                self = .model(id)
            }
        }
    }

    /// A figure that may be too high.
    private struct Gauge {
        let cause: Cause
        let kind: Alert.Kind
        let type: SharedBytes
        let id: SharedBytes?
        /// As a title has it, and as a sentence begins with it.
        let title: String
        let name: String
        let warning: Double
        let critical: Double
    }

    private struct Entry {
        var alert: Alert
        /// Which alert of this process it is: the order of their raising.
        let ordinal: UInt64
    }

    /// Why the alert of a model ends.
    enum ModelEnd {
        case recovered, stopped, removed
        /// It has no place any more at which it could be asked.
        case unasked
    }

    private let thresholds: AlertThresholds
    private let probeFailuresMax: Int
    private var random: Randomness
    /// No more than the machine has figures and the registry has deployments.
    private var entries: [Cause: Entry] = [:]
    private var ordinals: UInt64 = 0
    /// The last second of which an alert may have its name.
    private var namedSecond = Int64.min

    init(limits: Limits, thresholds: AlertThresholds, random: Randomness) {
        self.thresholds = thresholds
        probeFailuresMax = limits.probeFailuresMax
        self.random = random
    }

    /// The alerts that last, oldest first.
    var active: [Alert] {
        entries.values.sorted { ($0.alert.raisedAt, $0.ordinal) < ($1.alert.raisedAt, $1.ordinal) }.map(\.alert)
    }

    // MARK: What an earlier process left

    /// Goes on with alerts that had no end. Of two about the same thing, which only a lost record leaves, the later goes on.
    ///
    /// - Parameter changed: gets those that nothing will ever end.
    mutating func restore(_ alerts: [Alert], at now: WallTime, into changed: inout [Alert]) {
        // An alert of this very second may have its name already.
        namedSecond = max(namedSecond, now.seconds)
        for alert in alerts.sorted(by: { $0.raisedAt < $1.raisedAt }) where alert.resolvedAt == nil {
            guard let cause = Cause(of: alert) else {
                changed.append(AlertBook.resolved(alert, at: now))
                continue
            }
            if let earlier = entries[cause] { changed.append(AlertBook.resolved(earlier.alert, at: now)) }
            keep(alert, for: cause)
        }
    }

    /// The deployments whose alerts last.
    var failingModels: [SharedBytes] {
        entries.keys.compactMap { if case .model(let id) = $0 { id } else { nil } }
    }

    // MARK: The machine

    /// Raises, worsens and ends alerts by what a sample says.
    mutating func judge(_ sample: ResourceSample, at now: WallTime, into changed: inout [Alert]) {
        let memory = Gauge(
            cause: .memory, kind: .memoryThreshold, type: AlertBook.memoryWord, id: nil, title: "Memory", name: "Memory",
            warning: thresholds.memoryWarning, critical: thresholds.memoryCritical)
        judge(memory, sample.memory.usage, at: now, into: &changed)
        let disk = Gauge(
            cause: .disk, kind: .diskThreshold, type: AlertBook.diskWord, id: nil, title: "Disk", name: "Disk",
            warning: thresholds.diskWarning, critical: thresholds.diskCritical)
        judge(disk, sample.disk.usage, at: now, into: &changed)
        let gpus = sample.gpus ?? []
        for gpu in gpus {
            let gauge = Gauge(
                cause: .gpu(gpu.id), kind: .gpuThreshold, type: AlertBook.gpuWord, id: SharedBytes(String(gpu.id)), title: "GPU",
                name: gpu.name.isEmpty ? "GPU \(gpu.id)" : "GPU \(gpu.id) (\(gpu.name))",
                warning: thresholds.gpuWarning, critical: thresholds.gpuCritical)
            judge(gauge, gpu.usage, at: now, into: &changed)
        }
        for (cause, entry) in entries {
            guard case .gpu(let id) = cause, !gpus.contains(where: { $0.id == id }) else { continue }
            entries[cause] = nil
            changed.append(AlertBook.resolved(entry.alert, at: now, "GPU \(id) is gone"))
        }
    }

    private mutating func judge(_ gauge: Gauge, _ usage: Double, at now: WallTime, into changed: inout [Alert]) {
        let severity: Severity? = usage >= gauge.critical ? .critical : usage >= gauge.warning ? .warning : nil
        guard let entry = entries[gauge.cause] else {
            guard let severity else { return }
            let alert = Alert(
                id: name(at: now), kind: gauge.kind, severity: severity, title: AlertBook.title(gauge, severity),
                message: SharedBytes("\(gauge.name) usage reached \(AlertBook.percent(usage))"),
                resource: AlertBook.resource(gauge, usage, severity), raisedAt: now)
            keep(alert, for: gauge.cause)
            changed.append(alert)
            return
        }
        if let severity {
            guard severity > entry.alert.severity else { return }
            var alert = entry.alert
            alert.severity = severity
            alert.title = AlertBook.title(gauge, severity)
            alert.message = SharedBytes("\(gauge.name) usage reached \(AlertBook.percent(usage))")
            alert.resource = AlertBook.resource(gauge, usage, severity)
            entries[gauge.cause]?.alert = alert
            changed.append(alert)
        } else if usage < gauge.warning - thresholds.hysteresis {
            entries[gauge.cause] = nil
            var alert = entry.alert
            alert.resource.value = usage
            changed.append(AlertBook.resolved(alert, at: now, "\(gauge.name) usage fell to \(AlertBook.percent(usage))"))
        }
    }

    // MARK: Deployments

    /// A deployment is not well.
    ///
    /// - Parameter failures: probes that failed one after the other; nil for a start that came to nothing, which weighs as much as all of
    ///   them.
    mutating func modelFailed(
        _ deployment: Deployment, failures: Int?, reason: SharedBytes, at now: WallTime, into changed: inout [Alert]
    ) {
        guard entries[.model(deployment.id)] == nil else { return }
        let words =
            if let failures { "\(deployment.form.name) failed \(failures) health check\(failures == 1 ? "" : "s")" } else {
                "\(deployment.form.name) failed to start"
            }
        let resource = Alert.Resource(
            type: AlertBook.modelWord, id: deployment.id, value: Double(failures ?? probeFailuresMax), threshold: Double(probeFailuresMax),
            unit: AlertBook.failuresWord)
        let alert = Alert(
            id: name(at: now), kind: .modelHealthCheckFailed, severity: .error, title: AlertBook.modelTitle,
            message: SharedBytes(reason.isEmpty ? words : "\(words): \(reason)"), resource: resource, raisedAt: now)
        keep(alert, for: .model(deployment.id))
        changed.append(alert)
    }

    /// A deployment that was not well is so no more. Without an alert about it nothing happens.
    ///
    /// - Parameter name: the deployment's, for the words; nil where nobody knows it any more.
    mutating func modelEnded(
        _ id: SharedBytes, _ name: SharedBytes?, _ end: ModelEnd, at now: WallTime, into changed: inout [Alert]
    ) {
        guard let entry = entries.removeValue(forKey: .model(id)) else { return }
        var alert = entry.alert
        alert.resource.value = 0
        let words =
            switch end {
            case .recovered: "is healthy again"
            case .stopped: "was stopped"
            case .removed: "was removed"
            case .unasked: "is not asked any more"
            }
        changed.append(AlertBook.resolved(alert, at: now, "\(name ?? id) \(words)"))
    }

    func hasFailed(_ id: SharedBytes) -> Bool { entries[.model(id)] != nil }

    // MARK: Names and words

    private mutating func keep(_ alert: Alert, for cause: Cause) {
        ordinals += 1
        entries[cause] = Entry(alert: alert, ordinal: ordinals)
    }

    /// The document's `alert_` and seconds; with 32 random bits where these seconds may have named another alert already, also one of an
    /// earlier process or from before the clock was set back.
    private mutating func name(at now: WallTime) -> SharedBytes {
        var writer = ByteWriter(capacity: 32)
        writer.append("alert_")
        writer.append(decimal: Int(now.seconds))
        if now.seconds <= namedSecond {
            writer.append(UInt8(ascii: "_"))
            writer.append(hex: random.next(), digits: 8)
        }
        namedSecond = max(namedSecond, now.seconds)
        return writer.seal()
    }

    private static func resolved(_ alert: Alert, at now: WallTime, _ message: String? = nil) -> Alert {
        var alert = alert
        alert.resolvedAt = now
        if let message { alert.message = SharedBytes(message) }
        return alert
    }

    private static func title(_ gauge: Gauge, _ severity: Severity) -> SharedBytes {
        SharedBytes("\(severity == .critical ? "Critical" : "High") \(gauge.title) Usage")
    }

    private static func resource(_ gauge: Gauge, _ usage: Double, _ severity: Severity) -> Alert.Resource {
        let threshold = severity == .critical ? gauge.critical : gauge.warning
        return Alert.Resource(type: gauge.type, id: gauge.id, value: usage, threshold: threshold, unit: percentWord)
    }

    /// With one decimal, as `85.2%`.
    private static func percent(_ figure: Double) -> String {
        // A driver may say anything.
        let tenths = Int((min(max(figure, 0), 1_000_000) * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)%"
    }

    private static let memoryWord = SharedBytes("memory")
    private static let diskWord = SharedBytes("disk")
    private static let gpuWord = SharedBytes("gpu")
    private static let modelWord = SharedBytes("model")
    private static let percentWord = SharedBytes("%")
    private static let failuresWord = SharedBytes("failures")
    private static let modelTitle = SharedBytes("Model Health Check Failed")
}
