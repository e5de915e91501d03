// Hub+ChanceTests: random subscribers over random streams, against dictionaries and arrays: every publication goes to exactly those who
// are to have it, whenever it leaves its lane; and a client that is cut off and comes back has seen everything, once, in order.
import Base
import Testing
import TestSupport

@testable import Domain

/// The hub, in the simplest words.
private struct HubOracle {
    struct Subscriber {
        let format: Format
        var joined: [Topic: UInt64] = [:]
        var muted: Set<TaskID> = []
        /// What it was told: numbers by epoch.
        var heard: [UInt64: [UInt64]] = [:]
    }

    var subscribers: [SubscriberID: Subscriber] = [:]

    func audience(_ publication: Publication) -> [Format: Set<SubscriberID>] {
        var topics: [Topic] = [.task(publication.task)]
        if let user = publication.user { topics.append(.user(user)) }
        if let project = publication.project { topics.append(.project(project)) }
        var audience: [Format: Set<SubscriberID>] = [:]
        for (id, subscriber) in subscribers where !subscriber.muted.contains(publication.task) {
            let joins = topics.compactMap { topic in subscriber.joined[topic].map { (topic, $0) } }
            let hasPicture = joins.contains { topic, number in
                if case .project = topic { return false }
                return number >= publication.number
            }
            guard !hasPicture, joins.contains(where: { $1 < publication.number }) else { continue }
            audience[subscriber.format, default: []].insert(id)
        }
        return audience
    }
}

struct HubChanceTests {
    private static let users = [SharedBytes("u0"), SharedBytes("u1")]
    private static let projects = [SharedBytes("p0"), SharedBytes("p1")]

    /// Streams of tasks with all kinds of names and owners.
    private static func open(_ source: inout StreamSource, _ number: Int) -> TaskStream {
        let random = TaskID(high: 0, low: UInt64(number))
        let id = number % 2 == 0 ? random : TaskID(SharedBytes("task \(number)").span) ?? random
        return source.open(
            task: id, user: number % 3 == 0 ? nil : users[number % 2], project: number % 4 == 0 ? nil : projects[number % 2])
    }

    private static func event(_ random: inout Seeded) -> TaskEvent {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: .chunk(.empty)
        case 1: .log(.init(logs: .empty))
        case 2: .queued
        default: .progress(.init(reported: 1))
        }
    }

    @Test("every publication goes once to exactly those who are to have it", arguments: 1...10)
    func audience(_ seed: Int) throws {
        var random = Seeded(seed: UInt64(seed))
        let hub = HubTests.hub(subscribersMax: 40, subscriptionsMax: 6)
        var oracle = HubOracle()
        var source = StreamSource(epoch: UInt64(seed) << 40)
        var holders = (0..<8).map { StreamHolder(Self.open(&source, $0)) }
        /// Publications that wait for their encoding: in order within a stream, in no order between streams.
        var lanes = [[Publication]](repeating: [], count: holders.count)

        func release(_ lane: Int) {
            let publication = lanes[lane].removeFirst()
            let formats = hub.formats(of: publication)
            var delivered: [Format: Set<SubscriberID>] = [:]
            for (format, ids) in hub.recipients(of: publication) {
                #expect(formats.contains(format))
                #expect(Set(ids).count == ids.count)
                delivered[format] = Set(ids)
                for id in ids { hear(publication, id) }
            }
            #expect(delivered == oracle.audience(publication))
        }
        func hear(_ publication: Publication, _ id: SubscriberID) {
            guard let last = oracle.subscribers[id]?.heard[publication.epoch]?.last else {
                oracle.subscribers[id]?.heard[publication.epoch] = [publication.number]
                return
            }
            #expect(last < publication.number)
            oracle.subscribers[id]?.heard[publication.epoch]?.append(publication.number)
        }

        for _ in 0..<1_500 {
            let at = Int.random(in: 0..<holders.count, using: &random)
            let task = holders[at].stream.origin.task
            let anyone = oracle.subscribers.keys.sorted { $0.slot < $1.slot }.randomElement(using: &random)
            switch Int.random(in: 0..<20, using: &random) {
            case 0, 1:
                let format = Format.allCases[Int.random(in: 0..<5, using: &random)]
                let id = hub.enter(format, target: 0)
                #expect((id == nil) == (oracle.subscribers.count == 40))
                if let id { oracle.subscribers[id] = HubOracle.Subscriber(format: format) }
            case 2:
                guard let id = anyone else { continue }
                hub.leave(id)
                oracle.subscribers[id] = nil
            case 3, 4, 5, 6, 7:
                guard let id = anyone else { continue }
                let topic: Topic =
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: .user(Self.users[at % 2])
                    case 1: .project(Self.projects[at % 2])
                    default: .task(task)
                    }
                let isFull = oracle.subscribers[id]?.joined.count == 6 && oracle.subscribers[id]?.joined[topic] == nil
                do {
                    let joined = try hub.subscribe(id, to: topic, from: holders[at].stream.sequence)
                    #expect(joined == hub.number && !isFull)
                    oracle.subscribers[id]?.joined[topic] = joined
                    if case .task = topic { oracle.subscribers[id]?.muted.remove(task) }
                } catch {
                    #expect(isFull && error == .tooMany)
                }
            case 8:
                guard let id = anyone, let topic = oracle.subscribers[id]?.joined.keys.randomElement() else { continue }
                #expect(hub.unsubscribe(id, from: topic))
                oracle.subscribers[id]?.joined[topic] = nil
            case 9:
                guard let id = anyone, (oracle.subscribers[id]?.muted.count ?? 0) < 6 else { continue }
                try hub.mute(id, task)
                oracle.subscribers[id]?.muted.insert(task)
                oracle.subscribers[id]?.joined[.task(task)] = nil
            case 10:
                guard let id = anyone else { continue }
                hub.unmute(id, task)
                oracle.subscribers[id]?.muted.remove(task)
            case 11:
                // The task is forgotten, and another of its name begins.
                while !lanes[at].isEmpty { release(at) }
                hub.forget(&holders[at].stream)
                for id in oracle.subscribers.keys { oracle.subscribers[id]?.muted.remove(task) }
                holders[at] = StreamHolder(Self.open(&source, at))
            case 12, 13, 14, 15:
                lanes[at].append(holders[at].publish(Self.event(&random), on: hub))
            default:
                if !lanes[at].isEmpty { release(at) }
            }
            #expect(hub.subscriberCount == oracle.subscribers.count)
            #expect(hub.subscriptionCount == oracle.subscribers.values.reduce(0) { $0 + $1.joined.count })
            #expect(hub.topicCount == Set(oracle.subscribers.values.flatMap(\.joined.keys)).count)
            #expect(hub.mutedTaskCount == oracle.subscribers.values.reduce(into: Set<TaskID>()) { $0.formUnion($1.muted) }.count)
            if let id = anyone, let known = oracle.subscribers[id] { #expect(Set(hub.topics(of: id)) == Set(known.joined.keys)) }
        }
        for id in oracle.subscribers.keys { hub.leave(id) }
        #expect(hub.subscriberCount == 0 && hub.subscriptionCount == 0 && hub.topicCount == 0 && hub.mutedTaskCount == 0)
        #expect(hub.tableBytes == 0)
        for holder in holders { hub.forget(&holder.stream) }
        #expect(hub.historyFigures.streams == 0 && hub.historyFigures.bytes == 0)
    }

    /// A client as it sees itself: what it was told of each stream since its last picture.
    private final class Client {
        enum Place {
            case connected(Session)
            case away(ClientID)
        }
        var place: Place
        /// The last sequence number seen of each task.
        var seen: [TaskID: UInt64] = [:]

        init(_ place: Place) { self.place = place }

        func see(_ publication: Publication) {
            guard let last = seen[publication.task] else {
                Issue.record("\(publication.task) was never asked for")
                return
            }
            #expect(publication.sequence == last + 1, "after \(last) of \(publication.task)")
            seen[publication.task] = publication.sequence
        }
    }

    @Test("whoever is cut off and comes back in time has missed nothing and hears nothing twice", arguments: 1...10)
    func resume(_ seed: Int) throws {
        var random = Seeded(seed: UInt64(seed))
        let hub = HubTests.hub(historyBytesMax: seed % 3 == 0 ? 20_000 : 1 << 24)
        var sessions = SessionTable(sessionsMax: 100, random: Randomness(seed: UInt64(seed)))
        var parked = ResumeTable(waitMax: .seconds(300), sessionsMax: 100, bytesMax: 1 << 20)
        var source = StreamSource(epoch: UInt64(seed) << 40)
        let holders = (0..<6).map { StreamHolder(Self.open(&source, $0)) }
        let byTask = Dictionary(uniqueKeysWithValues: holders.map { ($0.stream.origin.task, $0) })
        var lanes = [[Publication]](repeating: [], count: holders.count)
        var clients: [SubscriberID: Client] = [:]
        var away: [Client] = []
        var now = Instant(nanoseconds: 0)
        var (replayed, gaps) = (0, 0)

        func connect(_ client: Client?) throws -> (Client, SubscriberID) {
            let id = try #require(hub.enter(.hub, target: 0))
            let opened = sessions.open(user: Self.users[0], project: nil, subscriber: id, at: now)
            let session = try #require(opened)
            let client = client ?? Client(.connected(session))
            client.place = .connected(session)
            clients[id] = client
            return (client, id)
        }

        for _ in 0..<2_500 {
            now = now + .milliseconds(Int64.random(in: 0...200, using: &random))
            let at = Int.random(in: 0..<holders.count, using: &random)
            let task = holders[at].stream.origin.task
            let anyone = clients.keys.sorted { $0.slot < $1.slot }.randomElement(using: &random)
            switch Int.random(in: 0..<16, using: &random) {
            case 0 where clients.count + away.count < 20:
                _ = try connect(nil)
            case 1, 2:
                guard let id = anyone, let client = clients[id] else { continue }
                try hub.subscribe(id, to: .task(task), from: holders[at].stream.sequence)
                client.seen[task] = holders[at].stream.sequence
            case 3:
                guard let id = anyone, let client = clients[id], case .connected(let session) = client.place else { continue }
                let positions = hub.positions(of: id).map {
                    StreamPosition(task: $0.task, epoch: byTask[$0.task]?.stream.origin.epoch ?? 0, sequence: $0.sequence)
                }
                #expect(Dictionary(uniqueKeysWithValues: positions.map { ($0.task, $0.sequence) }) == client.seen)
                parked.park(session, positions, at: now)
                sessions.close(session.id)
                hub.leave(id)
                clients[id] = nil
                client.place = .away(session.id)
                away.append(client)
            case 4:
                guard !away.isEmpty else { continue }
                let client = away.remove(at: Int.random(in: 0..<away.count, using: &random))
                guard case .away(let old) = client.place, let session = parked.take(old, for: Self.users[0], at: now)
                else {
                    client.seen = [:]
                    _ = try connect(client)
                    continue
                }
                #expect(parked.take(old, for: Self.users[0], at: now) == nil)
                let (_, id) = try connect(client)
                for position in session.positions {
                    let holder = try #require(byTask[position.task])
                    try hub.subscribe(id, to: .task(position.task), from: holder.stream.sequence)
                    switch hub.since(position.sequence, epoch: position.epoch, of: holder.stream) {
                    case .whole(let missed):
                        replayed += missed.count
                        for publication in missed { client.see(publication) }
                    case .gap:
                        gaps += 1
                        client.seen[position.task] = holder.stream.sequence
                    }
                    #expect(client.seen[position.task] == holder.stream.sequence)
                }
            case 5, 6, 7, 8, 9:
                lanes[at].append(holders[at].publish(.progress(.init(reported: 1)), on: hub))
            default:
                guard !lanes[at].isEmpty else { continue }
                let publication = lanes[at].removeFirst()
                for id in hub.recipients(of: publication)[.hub] ?? [] { clients[id]?.see(publication) }
            }
        }
        #expect(replayed > 100 && (gaps > 0 || seed % 3 != 0))
    }
}
