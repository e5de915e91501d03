// HubTests: who hears what: once, in order, from when it joined, and nothing that it muted; and what is left when all are gone.
import Base
import Testing
import TestSupport

@testable import Domain

/// A stream that a test can hold, and what was published on it.
final class StreamHolder {
    var stream: TaskStream
    private(set) var published: [Publication] = []

    init(_ stream: consuming TaskStream) { self.stream = stream }

    @discardableResult
    func publish(_ event: TaskEvent = .log(.init(logs: .empty)), on hub: Hub) -> Publication {
        let publication = hub.publish(event, state: .executing, progress: 50, on: &stream, at: WallTime(milliseconds: 0))
        published.append(publication)
        return publication
    }
}

extension Hub {
    /// Everybody who gets the publication, by format.
    func recipients(of publication: Publication, in wanted: FormatSet = .all) -> [Format: [SubscriberID]] {
        var found: [Format: [SubscriberID]] = [:]
        deliver(publication, in: wanted) { format, recipients in
            #expect(found[format] == nil && !recipients.isEmpty)
            for index in recipients.indices { found[format, default: []].append(recipients[index].id) }
        }
        return found
    }
}

struct HubTests {
    static func hub(subscribersMax: Int = 1_000, subscriptionsMax: Int = 128, historyBytesMax: Int = 1 << 20) -> Hub {
        Hub(
            subscribersMax: subscribersMax, subscriptionsMax: subscriptionsMax, historyLengthMax: 100, historyBytesMax: historyBytesMax)
    }

    private static func task(_ number: UInt64) -> TaskID { TaskID(high: 0, low: number) }
    private static let user = SharedBytes("u")
    private static let project = SharedBytes("p")

    private static func holder(_ number: UInt64 = 1) -> StreamHolder {
        var source = StreamSource(epoch: number << 32)
        return StreamHolder(source.open(task: task(number), user: user, project: project))
    }

    @Test("every topic of a task reaches its listeners, by format, with the target they gave")
    func topics() throws {
        let hub = Self.hub()
        let holder = Self.holder()
        let one = try #require(hub.enter(.task, target: 11))
        let two = try #require(hub.enter(.user, target: 12))
        let three = try #require(hub.enter(.hub, target: 13))
        let four = try #require(hub.enter(.hub, target: 14))
        try hub.subscribe(one, to: .task(Self.task(1)))
        try hub.subscribe(two, to: .user(Self.user))
        try hub.subscribe(three, to: .project(Self.project))
        try hub.subscribe(four, to: .task(Self.task(2)))
        let publication = holder.publish(on: hub)
        #expect(hub.formats(of: publication) == [FormatSet(.task), FormatSet(.user), FormatSet(.hub)])
        #expect(hub.recipients(of: publication) == [.task: [one], .user: [two], .hub: [three]])
        #expect(hub.recipients(of: publication, in: FormatSet(.user)) == [.user: [two]])
        hub.retarget(one, to: 99)
        var targets: [UInt64] = []
        hub.deliver(holder.publish(on: hub), in: FormatSet(.task)) { _, found in targets.append(found[0].target) }
        #expect(targets == [99])
    }

    @Test("whoever listens to several topics of a task is told once")
    func once() throws {
        let hub = Self.hub()
        let holder = Self.holder()
        let id = try #require(hub.enter(.hub, target: 0))
        for topic: Topic in [.task(Self.task(1)), .user(Self.user), .project(Self.project)] { try hub.subscribe(id, to: topic) }
        for _ in 0..<3 { #expect(hub.recipients(of: holder.publish(on: hub)) == [.hub: [id]]) }
        hub.unsubscribe(id, from: .user(Self.user))
        #expect(hub.recipients(of: holder.publish(on: hub)) == [.hub: [id]])
    }

    @Test("numbers count all publications, sequences those of a stream; a chunk has none of its own and is not kept")
    func numbering() {
        let hub = Self.hub()
        let (one, two) = (Self.holder(1), Self.holder(2))
        let events: [(StreamHolder, TaskEvent)] = [
            (one, .queued), (two, .queued), (one, .chunk(.empty)), (one, .progress(.init(reported: 1))), (two, .cancelled(reason: nil)),
        ]
        let published = events.map { $0.publish($1, on: hub) }
        #expect(published.map(\.number) == [1, 2, 3, 4, 5] && hub.number == 5)
        #expect(published.map(\.sequence) == [1, 1, 1, 2, 2])
        #expect(published[0].epoch != published[1].epoch)
        #expect(hub.last(9, of: one.stream).map(\.number) == [1, 4])
        guard case .whole(let missed) = hub.since(1, epoch: nil, of: one.stream) else {
            Issue.record("a gap in what is held")
            return
        }
        #expect(missed.map(\.number) == [4])
        hub.clearHistory(of: &one.stream)
        #expect(hub.last(9, of: one.stream).isEmpty && hub.historyFigures.streams == 1)
    }

    @Test("a publication that waited goes to those who were there when it was made")
    func joined() throws {
        let hub = Self.hub()
        let holder = Self.holder()
        let early = try #require(hub.enter(.task, target: 0))
        try hub.subscribe(early, to: .task(Self.task(1)))
        let waiting = holder.publish(on: hub)
        let late = try #require(hub.enter(.task, target: 0))
        #expect(try hub.subscribe(late, to: .task(Self.task(1)), from: 1) == waiting.number)
        #expect(hub.recipients(of: waiting) == [.task: [early]])
        #expect(hub.recipients(of: holder.publish(on: hub)) == [.task: [early, late]])
    }

    @Test("what is in a new picture is not told again on an older topic; a project's listener has no picture")
    func snapshots() throws {
        let hub = Self.hub()
        let holder = Self.holder()
        let ids = try (0..<4).map { _ in try #require(hub.enter(.hub, target: 0)) }
        try hub.subscribe(ids[0], to: .user(Self.user))
        try hub.subscribe(ids[1], to: .task(Self.task(1)))
        try hub.subscribe(ids[2], to: .task(Self.task(1)))
        try hub.subscribe(ids[3], to: .task(Self.task(1)))
        let waiting = holder.publish(on: hub)
        try hub.subscribe(ids[0], to: .task(Self.task(1)), from: 1)
        try hub.subscribe(ids[1], to: .user(Self.user))
        try hub.subscribe(ids[2], to: .project(Self.project))
        try hub.subscribe(ids[3], to: .task(Self.task(1)), from: 1)
        #expect(hub.recipients(of: waiting) == [.hub: [ids[2]]])
        #expect(hub.recipients(of: holder.publish(on: hub))[.hub].map(Set.init) == Set(ids))
    }

    @Test("a muted task is silent on every topic until it is asked for again")
    func muting() throws {
        let hub = Self.hub(subscriptionsMax: 2)
        let (one, two) = (Self.holder(1), Self.holder(2))
        let id = try #require(hub.enter(.user, target: 0))
        let other = try #require(hub.enter(.user, target: 0))
        try hub.subscribe(id, to: .user(Self.user))
        try hub.subscribe(other, to: .user(Self.user))
        try hub.subscribe(id, to: .task(Self.task(1)))
        try hub.mute(id, Self.task(1))
        try hub.mute(id, Self.task(1))
        #expect(hub.topics(of: id) == [.user(Self.user)])
        #expect(hub.recipients(of: one.publish(on: hub)) == [.user: [other]])
        #expect(hub.recipients(of: two.publish(on: hub)) == [.user: [id, other]])
        hub.unmute(id, Self.task(1))
        #expect(hub.recipients(of: one.publish(on: hub)) == [.user: [id, other]])
        try hub.mute(id, Self.task(1))
        try hub.mute(id, Self.task(2))
        #expect(throws: SubscriptionRefusal.tooMany) { try hub.mute(id, Self.task(3)) }
        try hub.subscribe(id, to: .task(Self.task(1)))
        #expect(hub.mutedTaskCount == 1)
        #expect(hub.recipients(of: one.publish(on: hub)) == [.user: [id, other]])
        hub.forget(&two.stream)
        #expect(hub.mutedTaskCount == 0)
        #expect(hub.recipients(of: Self.holder(2).publish(on: hub)) == [.user: [id, other]])
        try hub.mute(id, Self.task(3))
        hub.leave(id)
        #expect(hub.mutedTaskCount == 0)
    }

    @Test("a subscriber may listen to so much and no more, and again after it stopped")
    func limits() throws {
        let hub = Self.hub(subscribersMax: 2, subscriptionsMax: 3)
        let id = try #require(hub.enter(.task, target: 0))
        #expect(hub.enter(.task, target: 0) != nil && hub.enter(.task, target: 0) == nil)
        for number: UInt64 in 1...3 { try hub.subscribe(id, to: .task(Self.task(number))) }
        #expect(throws: SubscriptionRefusal.tooMany) { try hub.subscribe(id, to: .task(Self.task(4))) }
        #expect(hub.topicCount == 3 && hub.subscriptionCount == 3)
        try hub.subscribe(id, to: .task(Self.task(2)))
        #expect(hub.subscriptionCount == 3)
        #expect(hub.unsubscribe(id, from: .task(Self.task(1))) && !hub.unsubscribe(id, from: .task(Self.task(1))))
        try hub.subscribe(id, to: .task(Self.task(4)))
        #expect(Set(hub.topics(of: id)) == Set([2, 3, 4].map { .task(Self.task($0)) }))
    }

    @Test("whoever is gone can do nothing, and nothing happens to its successor")
    func gone() throws {
        let hub = Self.hub()
        let holder = Self.holder()
        let old = try #require(hub.enter(.task, target: 1))
        try hub.subscribe(old, to: .task(Self.task(1)))
        hub.leave(old)
        hub.leave(old)
        let new = try #require(hub.enter(.task, target: 2))
        #expect(new.slot == old.slot)
        try hub.subscribe(new, to: .task(Self.task(1)))
        #expect(throws: SubscriptionRefusal.gone) { try hub.subscribe(old, to: .user(Self.user)) }
        #expect(throws: SubscriptionRefusal.gone) { try hub.mute(old, Self.task(1)) }
        hub.unmute(old, Self.task(1))
        hub.retarget(old, to: 7)
        #expect(!hub.unsubscribe(old, from: .task(Self.task(1))) && hub.topics(of: old) == [] && hub.positions(of: old).isEmpty)
        #expect(!hub.contains(old) && hub.contains(new))
        hub.deliver(holder.publish(on: hub)) { _, found in #expect(found.count == 1 && found[0].id == new && found[0].target == 2) }
    }

    @Test("the hub may be changed while a publication is delivered")
    func reentrance() throws {
        let hub = Self.hub()
        let (one, two) = (Self.holder(1), Self.holder(2))
        let ids = try Format.allCases.map { try #require(hub.enter($0, target: 0)) }
        for id in ids { try hub.subscribe(id, to: .user(Self.user)) }
        var seen: [SubscriberID] = []
        let publication = one.publish(on: hub)
        hub.deliver(publication) { _, found in
            for index in found.indices {
                seen.append(found[index].id)
                hub.leave(found[index].id)
            }
            // A newcomer in the slot just freed, and a delivery within the delivery.
            if let newcomer = hub.enter(.events, target: 0) {
                _ = try? hub.subscribe(newcomer, to: .user(Self.user))
                #expect(hub.recipients(of: two.publish(on: hub))[.events]?.contains(newcomer) == true)
            }
        }
        #expect(seen == ids && hub.subscriberCount == Format.allCases.count)
    }

    @Test("a position is the later of the picture and the last delivery, and starts anew with a new stream of the name")
    func positions() throws {
        let hub = Self.hub()
        let holder = Self.holder()
        let early = try #require(hub.enter(.hub, target: 0))
        let late = try #require(hub.enter(.hub, target: 0))
        try hub.subscribe(early, to: .task(Self.task(1)))
        try hub.subscribe(early, to: .user(Self.user))
        #expect(hub.positions(of: early).map(\.sequence) == [0])
        let waiting = [holder.publish(on: hub), holder.publish(on: hub)]
        try hub.subscribe(late, to: .task(Self.task(1)), from: 2)
        _ = hub.recipients(of: waiting[0])
        #expect(hub.positions(of: early).map(\.sequence) == [1] && hub.positions(of: late).map(\.sequence) == [2])
        _ = hub.recipients(of: waiting[1])
        _ = hub.recipients(of: holder.publish(.chunk(.empty), on: hub))
        _ = hub.recipients(of: holder.publish(on: hub))
        #expect(hub.positions(of: early).map(\.sequence) == [3] && hub.positions(of: late).map(\.sequence) == [3])
        #expect(hub.positions(of: early)[0].task == Self.task(1))
        hub.forget(&holder.stream)
        #expect(hub.positions(of: early).map(\.sequence) == [0] && hub.positions(of: late).map(\.sequence) == [0])
        #expect(hub.historyFigures.streams == 0)
    }

    @Test("topics and listeners can be counted and named")
    func figures() throws {
        let hub = Self.hub()
        let ids = try (0..<3).map { _ in try #require(hub.enter(.task, target: 0)) }
        for id in ids { try hub.subscribe(id, to: .task(Self.task(1))) }
        try hub.subscribe(ids[0], to: .task(Self.task(2)))
        var counts: [Topic: Int] = [:]
        hub.forEachTopic { counts[$0] = $1 }
        #expect(counts == [.task(Self.task(1)): 3, .task(Self.task(2)): 1])
        #expect(hub.listenerCount(of: .task(Self.task(1))) == 3 && hub.listenerCount(of: .task(Self.task(9))) == 0)
        #expect(Set(hub.listeners(of: .task(Self.task(1)))) == Set(ids) && hub.listeners(of: .user(Self.user)) == [])
    }
}
