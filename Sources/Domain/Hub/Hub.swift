// Hub: who hears. Subscribers listen to topics; a publication is numbered, remembered, and goes once to each subscriber that listens to
// one of its topics and was there before. Knows no message, no connection and no clock: what a subscriber's target means, the gateway
// knows.
//
// Cost: a recipient is two loads and 16 bytes written, 2 to 5 ns; nothing is allocated for it. A publication looks up its
// topics, three hashes at most, and keeps 64 bytes in the history.
public import Base

/// Why somebody may not listen.
public enum SubscriptionRefusal: Error {
    /// The subscriber is gone.
    case gone
    /// It listens to as much as one may.
    case tooMany
}

/// How far somebody who listens to a task by name is in its stream.
public struct ListenerPosition: Sendable {
    public let task: TaskID
    /// The last sequence number that was in its picture or was delivered since.
    public let sequence: UInt64
    /// The last sequence number that was in its picture; 0 for nothing.
    public let pictureSequence: UInt64
    /// The number of the last publication when it was given the picture: what came after it is not in there.
    public let joined: UInt64
}

/// Everybody who listens, and to what.
public final class Hub {
    private var subscribers: SlotTable<SubscriberID, Subscriber>
    private var topics = TopicTable()
    private var history: History
    /// Who does not want to hear of a task, although it listens to one of its topics.
    private var mutes: [TaskID: Set<SubscriberID>] = [:]
    /// The recipients of the delivery under way; kept for the next one.
    private var recipients: [Recipient] = []
    private var deliveries: UInt64 = 0

    /// The number of the last publication.
    public private(set) var number: UInt64 = 0
    /// Subscriptions held by all together.
    public private(set) var subscriptionCount = 0
    /// Topics that one subscriber may listen to, and tasks that it may mute.
    public let subscriptionsMax: Int

    /// - Parameters:
    ///   - subscribersMax: subscribers at once.
    ///   - subscriptionsMax: topics that one subscriber may listen to, and tasks that it may mute; at most 256.
    ///   - historyLengthMax: publications kept of one stream.
    ///   - historyBytesMax: bytes kept of all streams together.
    public init(subscribersMax: Int, subscriptionsMax: Int, historyLengthMax: Int, historyBytesMax: Int) {
        precondition(subscriptionsMax > 0 && subscriptionsMax <= 256, "\(subscriptionsMax) subscriptions do not fit in a byte")
        subscribers = SlotTable(countMax: subscribersMax)
        history = History(lengthMax: historyLengthMax, bytesMax: historyBytesMax)
        self.subscriptionsMax = subscriptionsMax
    }

    // MARK: Coming and going

    /// A subscriber comes; it listens to nothing yet.
    ///
    /// - Parameter target: what `deliver` gives back to say where to send.
    /// - Returns: nil where there are as many as may be.
    public func enter(_ format: Format, target: UInt64) -> SubscriberID? {
        guard !subscribers.isFull else { return nil }
        return subscribers.insert(Subscriber(format: format, target: target))
    }

    /// What is for the subscriber goes elsewhere from now on.
    public func retarget(_ id: SubscriberID, to target: UInt64) {
        _ = subscribers.with(id) { $0.target = target }
    }

    /// The subscriber goes, and hears nothing any more.
    ///
    /// - Complexity: O(its subscriptions).
    public func leave(_ id: SubscriberID) {
        guard let subscriber = subscribers.remove(id) else { return }
        for index in 0..<subscriber.count { unlist(subscriber[index]) }
        for task in subscriber.mutes { unmark(task, id) }
        if subscribers.isEmpty { recipients = [] }
    }

    /// Lets the subscriber listen to a topic: to what is published from now on. A task that it had muted is heard again. Who listens
    /// already has a new picture of how things stand, and hears what comes after that.
    ///
    /// - Parameter sequence: for a task, the last sequence number that is in the picture which the subscriber is given now.
    /// - Returns: the number of the last publication, which it does not hear.
    @discardableResult
    public func subscribe(_ id: SubscriberID, to topic: Topic, from sequence: UInt64 = 0) throws(SubscriptionRefusal) -> UInt64 {
        guard subscribers.contains(id) else { throw .gone }
        if let index = find(topic, of: id) {
            subscribers[id][index].sequence = sequence
            let subscription = subscribers[id][index]
            topics[subscription.topic].list.setJoined(number, at: Int(subscription.position))
        } else {
            let index = subscribers[id].count
            guard index < subscriptionsMax else { throw .tooMany }
            let slot = topics.slot(of: topic) ?? topics.insert(topic)
            let entry = SubscriberList.Entry(
                joined: number, slot: UInt32(id.slot), index: UInt8(index), format: subscribers[id].format)
            let position = topics[slot].list.insert(entry) { moved, position in relocate(moved, to: position) }
            subscribers[id].append(Subscription(topic: slot, position: UInt32(position), sequence: sequence))
            subscriptionCount += 1
        }
        if case .task(let task) = topic { unmute(id, task) }
        return number
    }

    /// The subscriber listens to the topic no more.
    ///
    /// - Returns: whether it did.
    @discardableResult
    public func unsubscribe(_ id: SubscriberID, from topic: Topic) -> Bool {
        guard subscribers.contains(id), let index = find(topic, of: id) else { return false }
        unlist(subscribers[id][index])
        let last = subscribers[id].count - 1
        if index != last {
            let moved = subscribers[id][last]
            subscribers[id][index] = moved
            topics[moved.topic].list.setIndex(UInt8(index), at: Int(moved.position))
        }
        subscribers[id].removeLast()
        return true
    }

    /// The subscriber hears nothing of the task any more, although it listens to its user or its project.
    public func mute(_ id: SubscriberID, _ task: TaskID) throws(SubscriptionRefusal) {
        guard subscribers.contains(id) else { throw .gone }
        guard mutes[task]?.contains(id) != true else { return }
        guard subscribers[id].mutes.count < subscriptionsMax else { throw .tooMany }
        unsubscribe(id, from: .task(task))
        subscribers[id].mute(task)
        mutes[task, default: []].insert(id)
    }

    /// The subscriber hears of the task again.
    public func unmute(_ id: SubscriberID, _ task: TaskID) {
        guard !mutes.isEmpty, mutes[task]?.contains(id) == true else { return }
        unmark(task, id)
        subscribers[id].unmute(task)
    }

    private func unmark(_ task: TaskID, _ id: SubscriberID) {
        mutes[task]?.remove(id)
        if mutes[task]?.isEmpty == true { mutes[task] = nil }
        if mutes.isEmpty { mutes = [:] }
    }

    /// Which of the subscriber's subscriptions is the topic's: at most 256 to look at.
    private func find(_ topic: Topic, of id: SubscriberID) -> Int? {
        guard let slot = topics.slot(of: topic) else { return nil }
        return (0..<subscribers[id].count).first { subscribers[id][$0].topic == slot }
    }

    private func relocate(_ entry: SubscriberList.Entry, to position: Int) {
        subscribers[key(entry.slot)][Int(entry.index)].position = UInt32(position)
    }

    /// Takes a subscription out of its topic's list.
    private func unlist(_ subscription: Subscription) {
        topics[subscription.topic].list.remove(at: Int(subscription.position)) { moved, position in relocate(moved, to: position) }
        if topics[subscription.topic].list.isEmpty { topics.remove(subscription.topic) }
        subscriptionCount -= 1
    }

    /// Whoever is in the slot. Only who is there stands in a list.
    @inline(__always)
    private func key(_ slot: UInt32) -> SubscriberID {
        guard let key = subscribers.key(inSlot: Int(slot)) else { preconditionFailure("slot \(slot) is listed and empty") }
        return key
    }

    // MARK: Publishing

    /// Numbers an event and remembers it. What is returned is to be delivered, once, and in the order of the stream.
    public func publish(
        _ event: TaskEvent, state: TaskState, progress: Double, on stream: inout TaskStream, at now: WallTime
    ) -> Publication {
        number += 1
        let sequence = event.isTransient ? stream.sequence : stream.advance()
        let publication = Publication(
            number: number, origin: stream.origin, sequence: sequence, at: now, event: event, state: state, progress: progress)
        if !event.isTransient { history.append(publication, to: &stream) }
        return publication
    }

    /// The formats in which the publication may be wanted: what to write ahead of `deliver`, which has none beyond these.
    public func formats(of publication: Publication) -> FormatSet {
        guard topics.count > 0 else { return [] }
        var formats: FormatSet = []
        let audience = audience(of: publication)
        for index in 0..<audience.count { formats.formUnion(topics[audience.slots[index]].list.formats) }
        return formats
    }

    /// The topics of a publication that somebody listens to.
    private struct Audience {
        var slots = InlineArray<3, UInt32>(repeating: 0)
        var count = 0

        mutating func append(_ slot: UInt32?) {
            guard let slot else { return }
            slots[count] = slot
            count += 1
        }
    }

    private func audience(of publication: Publication) -> Audience {
        var audience = Audience()
        audience.append(topics.slot(of: .task(publication.task)))
        if let user = publication.user { audience.append(topics.slot(of: .user(user))) }
        if let project = publication.project { audience.append(topics.slot(of: .project(project))) }
        return audience
    }

    /// Shows who is to get the publication: for each format with at least one, all of them at once, each subscriber once.
    ///
    /// The hub may be changed meanwhile; a subscriber that left since is still among the recipients of the formats that follow.
    ///
    /// - Parameter wanted: the formats that have words for the event.
    public func deliver(_ publication: Publication, in wanted: FormatSet = .all, _ body: (Format, Span<Recipient>) -> Void) {
        guard topics.count > 0 else { return }
        let audience = audience(of: publication)
        guard audience.count > 0 else { return }
        var found: [Recipient] = []
        swap(&found, &recipients)
        let ends = gather(publication, audience, wanted, into: &found)
        show(&found, ends, body)
    }

    /// Numbers what is told and is no task's event.
    public func announce() -> UInt64 {
        number += 1
        return number
    }

    /// Shows who listens to the topic and was there before `number`, for each format with at least one. As for a publication, the hub may
    /// be changed meanwhile.
    public func deliver(_ number: UInt64, to topic: Topic, _ body: (Format, Span<Recipient>) -> Void) {
        guard let slot = topics.slot(of: topic) else { return }
        var found: [Recipient] = []
        swap(&found, &recipients)
        var ends = Format.Ends(repeating: 0)
        for format in Format.allCases {
            topics[slot].list.forEach(in: format) { entry in
                guard entry.joined < number else { return }
                let id = key(entry.slot)
                found.append(Recipient(id: id, target: subscribers[id].target))
            }
            ends[Int(format.rawValue)] = found.count
        }
        show(&found, ends, body)
    }

    private func show(_ found: inout [Recipient], _ ends: Format.Ends, _ body: (Format, Span<Recipient>) -> Void) {
        var start = 0
        for format in Format.allCases {
            let end = ends[Int(format.rawValue)]
            if end > start { body(format, found.span.extracting(start..<end)) }
            start = end
        }
        guard !subscribers.isEmpty else { return }
        found.removeAll(keepingCapacity: true)
        swap(&found, &recipients)
    }

    /// - Returns: where each format's recipients end.
    private func gather(
        _ publication: Publication, _ audience: Audience, _ wanted: FormatSet, into found: inout [Recipient]
    ) -> Format.Ends {
        let number = publication.number
        var listeners = 0
        var latestJoin: UInt64 = 0
        for index in 0..<audience.count {
            let slot = audience.slots[index]
            listeners += topics[slot].list.count
            latestJoin = max(latestJoin, topics[slot].list.latestJoin)
            if !publication.event.isTransient, case .task = topics[slot].topic { topics[slot].delivered = publication.sequence }
        }
        found.reserveCapacity(listeners)
        let muters = mutes.isEmpty ? nil : mutes[publication.task]
        var ends = Format.Ends(repeating: 0)
        if audience.count == 1, muters == nil, latestJoin < number {
            let list = topics[audience.slots[0]].list
            for format in Format.allCases {
                if wanted.contains(format) {
                    list.forEach(in: format) { entry in
                        let id = key(entry.slot)
                        found.append(Recipient(id: id, target: subscribers[id].target))
                    }
                }
                ends[Int(format.rawValue)] = found.count
            }
            return ends
        }
        // Whoever is stamped has the publication, or is not to have it.
        deliveries += 1
        for id in muters ?? [] { subscribers[id].stamp = deliveries }
        if latestJoin >= number { stampSurprised(audience, number) }
        for format in Format.allCases {
            if wanted.contains(format) {
                for index in 0..<audience.count {
                    topics[audience.slots[index]].list.forEach(in: format) { entry in
                        guard entry.joined < number else { return }
                        let id = key(entry.slot)
                        guard stamp(id) else { return }
                        found.append(Recipient(id: id, target: subscribers[id].target))
                    }
                }
            }
            ends[Int(format.rawValue)] = found.count
        }
        return ends
    }

    /// Stamps those who have the publication in a picture that they were given after it was made: it waited, they did not.
    private func stampSurprised(_ audience: Audience, _ number: UInt64) {
        for index in 0..<audience.count where topics[audience.slots[index]].topic?.beginsWithSnapshot == true {
            topics[audience.slots[index]].list.forEach { entry in
                if entry.joined >= number { subscribers[key(entry.slot)].stamp = deliveries }
            }
        }
    }

    /// - Returns: whether this delivery had not stamped it yet.
    @inline(__always)
    private func stamp(_ id: SubscriberID) -> Bool {
        guard subscribers[id].stamp != deliveries else { return false }
        subscribers[id].stamp = deliveries
        return true
    }

    // MARK: Streams

    /// What came after a position in the stream.
    ///
    /// - Parameters:
    ///   - sequence: the last number that the watcher has; 0 for nothing.
    ///   - epoch: the stream's that the position belongs to; nil where the watcher does not know it.
    public func since(_ sequence: UInt64, epoch: UInt64?, of stream: borrowing TaskStream) -> Replay {
        history.since(sequence, epoch: epoch, of: stream)
    }

    /// The last publications of the stream that are held, oldest first.
    public func last(_ count: Int, of stream: borrowing TaskStream) -> [Publication] { history.last(count, of: stream) }

    /// Gives up what is held of the stream, which goes on.
    public func clearHistory(of stream: inout TaskStream) { history.clear(&stream) }

    /// The task is remembered no more: neither its history, nor who muted it, nor how far its listeners are. They go on listening to the
    /// name.
    ///
    /// - Complexity: O(its listeners).
    public func forget(_ stream: inout TaskStream) {
        history.clear(&stream)
        let task = stream.origin.task
        if !mutes.isEmpty, let muters = mutes.removeValue(forKey: task) {
            for id in muters { subscribers[id].unmute(task) }
            if mutes.isEmpty { mutes = [:] }
        }
        guard let slot = topics.slot(of: .task(task)) else { return }
        topics[slot].delivered = 0
        topics[slot].list.forEach { entry in subscribers[key(entry.slot)][Int(entry.index)].sequence = 0 }
    }

    // MARK: The whole

    public func contains(_ id: SubscriberID) -> Bool { subscribers.contains(id) }

    /// What the subscriber listens to, in no order.
    public func topics(of id: SubscriberID) -> [Topic] {
        guard subscribers.contains(id) else { return [] }
        return (0..<subscribers[id].count).compactMap { topics[subscribers[id][$0].topic].topic }
    }

    /// How far the subscriber is in each task that it listens to by name, in no order.
    public func positions(of id: SubscriberID) -> [ListenerPosition] {
        guard subscribers.contains(id) else { return [] }
        return (0..<subscribers[id].count).compactMap { index in
            let subscription = subscribers[id][index]
            let topic = subscription.topic
            guard case .task(let task) = topics[topic].topic else { return nil }
            return ListenerPosition(
                task: task, sequence: max(subscription.sequence, topics[topic].delivered), pictureSequence: subscription.sequence,
                joined: topics[topic].list[Int(subscription.position)].joined)
        }
    }

    public var subscriberCount: Int { subscribers.count }
    public var topicCount: Int { topics.count }
    /// Tasks that somebody muted.
    public var mutedTaskCount: Int { mutes.count }
    public var historyFigures: HistoryFigures { history.figures }

    public func listenerCount(of topic: Topic) -> Int {
        topics.slot(of: topic).map { topics[$0].list.count } ?? 0
    }

    /// Who listens to the topic, in no order.
    public func listeners(of topic: Topic) -> [SubscriberID] {
        guard let slot = topics.slot(of: topic) else { return [] }
        var ids: [SubscriberID] = []
        topics[slot].list.forEach { ids.append(key($0.slot)) }
        return ids
    }

    /// The targets of those who listen to the topic, in no order.
    public func targets(of topic: Topic) -> [UInt64] { listeners(of: topic).compactMap { subscribers.element($0)?.target } }

    /// Shows every topic and how many listen to it.
    public func forEachTopic(_ body: (Topic, Int) -> Void) { topics.forEach(body) }

    /// Bytes of the tables whose size follows the number of subscriptions; what lists and subscribers hold beyond them is not in it.
    public var tableBytes: Int {
        topics.tableBytes + recipients.capacity * MemoryLayout<Recipient>.stride
    }
}
