// MonitorService: the fleet's channels on this server: performs what the monitor decides, gives every event its place in the one order,
// keeps the last of them, and asks for figures as long as somebody listens, and no longer. Who listens stands in the hub; what a client
// says and how it is reached is SocketService's.
internal import Base
internal import Dialects
internal import Domain

final class MonitorService {
    /// How often something is looked at while somebody listens.
    private enum Watch {
        /// Nobody does.
        case resting
        case due(at: Instant)
    }

    /// Events of the past with which a subscription begins.
    private static let pictureEventsMax = 10
    /// How far back they are looked for.
    private static let pictureDepth = 1_000
    /// Alerts with which a subscription begins.
    private static let pictureAlertsMax = 100

    private let context: Context
    /// By channel.
    private var histories: [BulletinHistory]
    /// The place of the last event, or of what was told to one client.
    private(set) var offset: UInt64 = 0
    private var effects: [MonitorEffect] = []
    private var resources = Watch.resting
    private var models = Watch.resting
    /// Figures were asked for and have not come.
    private var isSampling = false
    private var modelPicture: Edition?
    private var alertPicture: [Edition]?

    init(_ context: Context) {
        self.context = context
        let limits = context.limits
        histories = Channel.allCases.map { _ in BulletinHistory(countMax: limits.bulletinsMax, bytesMax: limits.bulletinBytesMax) }
    }

    // MARK: What the monitor decides

    /// Performs everything that the monitor asked for since the last call.
    ///
    /// - Returns: whether there was anything.
    func perform(at now: Instant, _ deliver: (Edition) -> Void) -> Bool {
        guard context.monitor.hasEffects else { return false }
        context.monitor.takeEffects(into: &effects)
        for effect in effects {
            switch effect {
            case .announce(let event): publish(event, at: now, deliver)
            case .record(let record):
                if case .deploymentChanged = record { modelPicture = nil }
                if case .deploymentRemoved = record { modelPicture = nil }
                context.recorder.append(record)
            case .probe(let probe): context.errands.append(.connect(probe))
            }
        }
        effects.removeAll(keepingCapacity: true)
        return true
    }

    private func publish(_ event: MonitorEvent, at now: Instant, _ deliver: (Edition) -> Void) {
        switch event {
        case .alert: alertPicture = nil
        case .deployment: modelPicture = nil
        case .resources, .models, .activity: break
        }
        let edition = Edition(Bulletin(
            number: context.broker.hub.announce(), offset: nextOffset(), at: context.moment(now).wall, event: event))
        deliver(edition)
        histories[Int(event.channel.rawValue)].append(edition)
    }

    /// A place in the order of events.
    func nextOffset() -> UInt64 {
        offset += 1
        return offset
    }

    /// What a watcher that has everything up to the offset has missed, in order; nil where that is not known any more.
    func missed(by watcher: MonitorWatcher, since offset: UInt64) -> [Edition]? {
        guard offset <= self.offset, offset >= watcher.forgottenOffset else { return nil }
        var missed: [Edition] = []
        for channel in Channel.allCases where watcher.channels.contains(channel) {
            let history = histories[Int(channel.rawValue)]
            // A picture of how things stand makes those before it worthless: of them the last is enough.
            guard let editions = history.since(offset) ?? (channel.isPictures ? history.since(history.droppedOffset) : nil) else {
                return nil
            }
            missed += editions.filter { watcher.hears($0.bulletin) && watcher.was(there: $0.bulletin, since: offset) }
        }
        return missed.sorted { $0.bulletin.offset < $1.bulletin.offset }
    }

    // MARK: Who listens

    /// Lets the watcher listen to its channels, and to these from now on.
    ///
    /// - Parameter target: as the hub's.
    /// - Returns: whether there was room for it.
    func listen(_ watcher: MonitorWatcher, to channels: ChannelSet, _ format: Format, target: UInt64, at now: Instant) -> Bool {
        let hub = context.broker.hub
        guard let subscriber = watcher.subscriber ?? hub.enter(format, target: target) else { return false }
        watcher.subscriber = subscriber
        for channel in Channel.allCases where channels.contains(channel) {
            for topic in MonitorService.topics(of: channel, for: watcher.principal) {
                do throws(SubscriptionRefusal) {
                    try hub.subscribe(subscriber, to: topic)
                } catch {
                    return false
                }
            }
        }
        watcher.channels.formUnion(channels)
        wake(at: now)
        return true
    }

    /// The watcher listens to these channels no more.
    func leave(_ watcher: MonitorWatcher, _ channels: ChannelSet) {
        watcher.channels.subtract(channels)
        guard let subscriber = watcher.subscriber else { return }
        guard !watcher.channels.isEmpty else { return release(watcher) }
        for channel in Channel.allCases where channels.contains(channel) {
            for topic in MonitorService.topics(of: channel, for: watcher.principal) {
                context.broker.hub.unsubscribe(subscriber, from: topic)
            }
        }
    }

    /// What is for the watcher goes another way from now on.
    func move(_ watcher: MonitorWatcher, _ format: Format, target: UInt64, at now: Instant) {
        guard watcher.subscriber != nil else { return }
        release(watcher)
        _ = listen(watcher, to: watcher.channels, format, target: target, at: now)
    }

    /// Gives the watcher's place in the hub up; its channels stay its own.
    func release(_ watcher: MonitorWatcher) {
        guard let subscriber = watcher.subscriber else { return }
        context.broker.hub.leave(subscriber)
        watcher.subscriber = nil
    }

    private static func topics(of channel: Channel, for principal: Principal) -> [Topic] {
        guard channel == .activityStream else { return [.channel(channel)] }
        if principal.maySeeAll { return [.channel(channel), .ownedActivities] }
        return [.channel(channel)] + (principal.user.map { [.activities(of: $0)] } ?? [])
    }

    // MARK: How things stand

    /// What a subscription to the channel begins with. Where figures have to be asked for first, they come to everybody who listens.
    ///
    /// - Parameter missed: what the watcher is told besides, of everything behind the place of the picture: none of it is shown here.
    func picture(
        of channel: Channel, for watcher: MonitorWatcher, before offset: UInt64 = .max, besides missed: [Edition] = [], at now: Instant
    ) -> [Edition] {
        let later = missed.lazy.filter { $0.bulletin.offset > offset && $0.bulletin.event.channel == channel }
        switch channel {
        // What comes later makes it worthless.
        case .systemResources where !later.isEmpty, .modelStatus where !later.isEmpty: return []
        case .systemResources:
            let oldest = context.moment(now).wall.milliseconds - context.limits.resourcePeriod.milliseconds
            return histories[Int(channel.rawValue)].last(1, depth: MonitorService.pictureDepth) {
                $0.at.milliseconds >= oldest
            }
        case .modelStatus: return [currentModels(at: now)]
        case .systemAlerts:
            let told = Set(later.compactMap { $0.bulletin.alertID })
            return currentAlerts(at: now).filter { edition in edition.bulletin.alertID.map { !told.contains($0) } ?? true }
        case .activityStream, .deploymentEvents:
            return histories[Int(channel.rawValue)].last(MonitorService.pictureEventsMax, depth: MonitorService.pictureDepth) {
                $0.offset < offset && watcher.hears($0)
            }
        }
    }

    /// Written once a second at most, however many begin to listen.
    private func currentModels(at now: Instant) -> Edition {
        let wall = context.moment(now).wall
        if let modelPicture, modelPicture.bulletin.at.milliseconds / 1_000 == wall.milliseconds / 1_000 { return modelPicture }
        let edition = Edition(Bulletin(number: 0, offset: 0, at: wall, event: .models(context.monitor.deployments)))
        modelPicture = edition
        return edition
    }

    private func currentAlerts(at now: Instant) -> [Edition] {
        if let alertPicture { return alertPicture }
        let wall = context.moment(now).wall
        let editions = context.monitor.activeAlerts.suffix(MonitorService.pictureAlertsMax).map {
            Edition(Bulletin(number: 0, offset: 0, at: wall, event: .alert($0)))
        }
        alertPicture = editions
        return editions
    }

    // MARK: Time

    /// When `advance` is wanted next.
    var nextDeadline: Instant? {
        var next = context.monitor.nextDeadline
        for case .due(let time) in [resources, models] { next = min(next ?? time, time) }
        return next
    }

    /// Asks for the figures that somebody listens for and that are due.
    func advance(at now: Instant) {
        if let deadline = context.monitor.nextDeadline, deadline <= now { context.monitor.advance(to: context.moment(now)) }
        if case .due(let time) = resources, time <= now {
            if wantsResources { sample(at: now) } else { resources = .resting }
        }
        if case .due(let time) = models, time <= now {
            if wantsModels {
                models = .due(at: now + context.limits.modelPeriod)
                context.monitor.announceModels(at: context.moment(now))
            } else {
                models = .resting
            }
        }
    }

    /// Somebody has begun to listen.
    private func wake(at now: Instant) {
        if case .resting = resources, wantsResources { sample(at: now) }
        // Whoever begins has the picture of now.
        if case .resting = models, wantsModels { models = .due(at: now + context.limits.modelPeriod) }
    }

    private var wantsModels: Bool { context.broker.hub.listenerCount(of: .channel(.modelStatus)) > 0 }

    /// Alerts come of the same figures.
    private var wantsResources: Bool {
        let hub = context.broker.hub
        return hub.listenerCount(of: .channel(.systemResources)) > 0 || hub.listenerCount(of: .channel(.systemAlerts)) > 0
    }

    private func sample(at now: Instant) {
        resources = .due(at: now + context.limits.resourcePeriod)
        // A machine that takes longer than the period is not asked twice.
        guard !isSampling else { return }
        isSampling = true
        context.errands.append(.sample)
    }

    /// The figures that were asked for.
    func sampled(_ sample: ResourceSample, at now: Instant) {
        isSampling = false
        context.metrics.samples += 1
        context.monitor.sampled(sample, at: context.moment(now))
    }
}

extension Bulletin {
    /// The alert that it tells of.
    fileprivate var alertID: SharedBytes? {
        if case .alert(let alert) = event { alert.id } else { nil }
    }
}

extension Channel {
    /// Whether each of its events is a picture of how things stand.
    fileprivate var isPictures: Bool {
        switch self {
        case .systemResources, .modelStatus: true
        case .activityStream, .systemAlerts, .deploymentEvents: false
        }
    }
}
