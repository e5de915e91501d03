// ActivityFeed: gives what happened its words and its name, and sees to it that a busy server does not drown who watches: of what comes by
// the thousand it tells so many a second, and of the rest how many. Remembers no activity: they go out and into the journal.
//
// Cost: an event that is no activity some 20 ns, one beyond the bound 60 ns; one that is told a few µs and a dozen allocations, a hundred
// times a second at most.
public import Base

/// What somebody wants to be noted.
public struct ActivityDraft: Sendable {
    public var kind: Activity.Kind
    /// Beyond ``Limits/activityMessageBytesMax`` it is cut.
    public var message: SharedBytes
    public var severity: Severity
    public var resourceType: SharedBytes?
    public var resourceID: SharedBytes?
    /// A JSON object, byte for byte; empty for `{}`.
    public var extra: SharedBytes
    /// Whose it is: nobody else but admins is told. Nil for what everybody may know.
    public var owner: SharedBytes?

    public init(
        kind: Activity.Kind, message: SharedBytes, severity: Severity = .info, resourceType: SharedBytes? = nil,
        resourceID: SharedBytes? = nil, extra: SharedBytes = .empty, owner: SharedBytes? = nil
    ) {
        self.kind = kind
        self.message = message
        self.severity = severity
        self.resourceType = resourceType
        self.resourceID = resourceID
        self.extra = extra
        self.owner = owner
    }

    /// The same in bytes of its own.
    var owned: ActivityDraft {
        func copy(_ bytes: SharedBytes) -> SharedBytes { SharedBytes(copying: bytes.span) }
        return ActivityDraft(
            kind: kind, message: copy(message), severity: severity, resourceType: resourceType.map(copy), resourceID: resourceID.map(copy),
            extra: copy(extra), owner: owner.map(copy))
    }
}

/// The source of activities.
struct ActivityFeed {
    /// What may come by the thousand.
    enum Occasion: Int, CaseIterable {
        case submitted, completed, failed, cancelled
        case workerJoined, workerLeft
        /// Of a deployment that lives as long as workers declare it.
        case declared

        var kind: Activity.Kind {
            switch self {
            case .submitted, .completed, .failed, .cancelled, .workerJoined, .workerLeft: .userOperation
            case .declared: .modelDeployment
            }
        }

        var severity: Severity {
            switch self {
            case .submitted, .completed, .workerJoined, .declared: .info
            case .cancelled, .workerLeft: .warning
            case .failed: .error
            }
        }

        var resourceType: SharedBytes {
            switch self {
            case .submitted, .completed, .failed, .cancelled: Activity.task
            case .workerJoined, .workerLeft: ActivityFeed.workerWord
            case .declared: ActivityFeed.deploymentWord
            }
        }

        /// What happened, in one word.
        var verb: String {
            switch self {
            case .submitted: "submitted"
            case .completed: "completed"
            case .failed: "failed"
            case .cancelled: "cancelled"
            case .workerJoined: "connected"
            case .workerLeft: "disconnected"
            case .declared: "changed"
            }
        }
    }

    /// Within one window no more than the bound is told one by one.
    private enum Window {
        /// Nothing was told lately.
        case closed
        case open(until: Instant, told: Int)
    }

    private let limits: Limits
    private var random: Randomness
    private var window = Window.closed
    /// How many of each occasion were not told one by one.
    private var untold = [Int](repeating: 0, count: Occasion.allCases.count)
    private var hasUntold = false
    /// The last name's two halves.
    private var lastHigh: UInt64 = 0
    private var lastLow: UInt64 = 0

    init(limits: Limits, random: Randomness) {
        self.limits = limits
        self.random = random
    }

    /// Gives a draft its name and its time: it is told and written down.
    mutating func note(_ draft: ActivityDraft, at now: Moment, into effects: inout [MonitorEffect]) -> Activity {
        let activity = Activity(
            id: name(at: now.wall), kind: draft.kind, message: cut(draft.message), severity: draft.severity,
            resourceType: draft.resourceType, resourceID: draft.resourceID, createdAt: now.wall, extra: draft.extra, owner: draft.owner)
        effects.append(.announce(.activity(activity)))
        effects.append(.record(.activityNoted(activity)))
        return activity
    }

    // MARK: What comes by the thousand

    /// A task's event: its coming and its end are activities, what lies between is none.
    ///
    /// - Parameter lookUp: gives the task, from which its group, model and type are read, where it is still remembered.
    mutating func heard(
        _ publication: Publication, of lookUp: () -> TaskRecord?, at now: Moment, into effects: inout [MonitorEffect]
    ) {
        let occasion: Occasion
        switch publication.event {
        case .progress, .log, .chunk: return
        case .started:
            // One that a worker takes at once never waits.
            guard publication.sequence == 1 else { return }
            occasion = .submitted
        case .queued:
            // One that waits again, because its worker vanished, was further already.
            guard publication.progress <= TaskRecord.Stage.queued else { return }
            occasion = .submitted
        case .completed: occasion = .completed
        case .failed: occasion = .failed
        case .cancelled: occasion = .cancelled
        }
        guard admits(occasion, at: now, into: &effects) else { return }
        let task = lookUp()
        var extra = ActivityExtra()
        extra.add("group", text: task?.group?.name)
        extra.add("model", text: task?.model)
        extra.add("type", text: task?.type)
        addReason(of: publication.event, to: &extra)
        var id = ByteWriter(capacity: 48)
        publication.task.write(to: &id)
        let draft = ActivityDraft(
            kind: ActivityFeed.kind(ofType: task?.type), message: SharedBytes("Task \(publication.task) \(occasion.verb)"),
            severity: occasion.severity, resourceType: occasion.resourceType, resourceID: id.seal(), extra: extra.seal(),
            owner: publication.user)
        _ = note(draft, at: now, into: &effects)
    }

    /// A worker came or went.
    mutating func heard(
        _ worker: WorkerID, in group: SharedBytes, _ occasion: Occasion, at now: Moment, into effects: inout [MonitorEffect]
    ) {
        guard admits(occasion, at: now, into: &effects) else { return }
        var extra = ActivityExtra()
        extra.add("group", text: group)
        let draft = ActivityDraft(
            kind: occasion.kind, message: SharedBytes("Worker \(worker) \(occasion.verb)"), severity: occasion.severity,
            resourceType: occasion.resourceType, resourceID: worker.text, extra: extra.seal())
        _ = note(draft, at: now, into: &effects)
    }

    /// Whether one of these may still be told in this second; if not, it is counted.
    mutating func admits(_ occasion: Occasion, at now: Moment, into effects: inout [MonitorEffect]) -> Bool {
        advance(to: now, into: &effects)
        let (end, told) =
            switch window {
            case .closed: (now.instant + ActivityFeed.windowSpan, 0)
            case .open(let end, let told): (end, told)
            }
        guard told < limits.taskActivitiesPerSecondMax else {
            window = .open(until: end, told: told)
            untold[occasion.rawValue] += 1
            hasUntold = true
            return false
        }
        window = .open(until: end, told: told + 1)
        return true
    }

    /// When the next sum is due; nil where all was told.
    var nextDeadline: Instant? {
        guard hasUntold, case .open(let end, _) = window else { return nil }
        return end
    }

    /// Once the second is over, what was not told one by one is told in sums.
    mutating func advance(to now: Moment, into effects: inout [MonitorEffect]) {
        guard case .open(let end, _) = window, now.instant >= end else { return }
        window = .closed
        guard hasUntold else { return }
        hasUntold = false
        for occasion in Occasion.allCases where untold[occasion.rawValue] > 0 {
            let count = untold[occasion.rawValue]
            untold[occasion.rawValue] = 0
            let things = "\(occasion.resourceType)\(count == 1 ? "" : "s")"
            let draft = ActivityDraft(
                kind: occasion.kind, message: SharedBytes("\(ActivityFeed.grouped(count)) more \(things) \(occasion.verb)"),
                severity: occasion.severity, resourceType: occasion.resourceType)
            _ = note(draft, at: now, into: &effects)
        }
    }

    private static let windowSpan = TimeSpan.seconds(1)

    // MARK: Names and words

    /// `act-` and a UUID that is greater than every one before it, also within a millisecond and when the clock is set back
    /// (RFC 9562 §6.2, method 2): lists that are cut by names keep the order of the events.
    private mutating func name(at now: WallTime) -> SharedBytes {
        var (high, low) = random.nextUUID(at: now)
        if (high, low) <= (lastHigh, lastLow) {
            high = lastHigh
            // The variant's two bits stay; the 62 below them are random and not about to run over.
            low = (lastLow &+ 1) & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
        }
        (lastHigh, lastLow) = (high, low)
        var writer = ByteWriter(capacity: 48)
        writer.append("act-")
        TaskID(high: high, low: low).write(to: &writer)
        return writer.seal()
    }

    /// The message, or as many whole characters of it as may be kept.
    private func cut(_ message: SharedBytes) -> SharedBytes {
        guard message.count > limits.activityMessageBytesMax else { return message }
        let bytes = message.span
        var end = max(limits.activityMessageBytesMax, 0)
        // RFC 3629 §3: the bytes of a character behind its first begin with the bits 10.
        while end > 0, bytes[end] & 0xc0 == 0x80 { end -= 1 }
        return SharedBytes(copying: bytes.extracting(0..<end))
    }

    /// Why a task failed or was cancelled, as far as it is short.
    private func addReason(of event: TaskEvent, to extra: inout ActivityExtra) {
        switch event {
        case .failed(let fault):
            guard fault.error.bytes.count <= limits.activityMessageBytesMax else { return }
            switch fault.error {
            case .raw(let value): extra.add("error", value: value)
            case .plain(let text): extra.add("error", text: text)
            }
        case .cancelled(let reason):
            guard let reason, reason.count <= limits.activityMessageBytesMax else { return }
            extra.add("reason", text: reason)
        case .queued, .started, .progress, .log, .chunk, .completed: return
        }
    }

    /// What a task's activities are: what its type says, where that is one of the document's words, else somebody's operation.
    private static func kind(ofType type: SharedBytes?) -> Activity.Kind {
        guard let type else { return .userOperation }
        if type == modelDeploymentWord { return .modelDeployment }
        if type == modelHealthCheckWord { return .modelHealthCheck }
        if type == systemResourceThresholdWord { return .systemResourceThreshold }
        if type.count >= downloadWord.count, type[0..<downloadWord.count] == downloadWord { return .downloadTask }
        return .userOperation
    }

    /// In groups of three digits, as `1,234`.
    private static func grouped(_ count: Int) -> String {
        var digits = Array(String(count))
        var place = digits.count - 3
        while place > 0 {
            digits.insert(",", at: place)
            place -= 3
        }
        return String(digits)
    }

    static let workerWord = SharedBytes("worker")
    static let deploymentWord = SharedBytes("deployment")
    private static let modelDeploymentWord = SharedBytes("model_deployment")
    private static let modelHealthCheckWord = SharedBytes("model_health_check")
    private static let systemResourceThresholdWord = SharedBytes("system_resource_threshold")
    private static let downloadWord = SharedBytes("download")
}
