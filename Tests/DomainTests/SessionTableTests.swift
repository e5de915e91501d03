// SessionTableTests: who is connected, and how many each user and project has.
import Base
import Testing
import TestSupport

@testable import Domain

struct SessionTableTests {
    private static let someone = SubscriberID(slot: 1, generation: 1)

    private static func open(_ table: inout SessionTable, _ user: String, _ project: String? = nil) -> Session? {
        table.open(
            user: SharedBytes(user), project: project.map { SharedBytes($0) }, subscriber: someone, target: 7,
            at: Instant(nanoseconds: 5_000_000_000))
    }

    @Test("a session is found by its name until it is closed, once")
    func life() throws {
        var table = SessionTable(sessionsMax: 2, random: Randomness(seed: 1))
        let session = try #require(Self.open(&table, "u", "p"))
        #expect(table[session.id] === session && session.subscriber == Self.someone && session.target == 7)
        #expect(session.user == SharedBytes("u") && session.project == SharedBytes("p") && session.messageCount == 0)
        session.countMessage()
        #expect(session.messageCount == 1)
        #expect(Self.open(&table, "u") != nil)
        #expect(Self.open(&table, "u") == nil)
        #expect(table.close(session.id) === session && table.close(session.id) == nil && table[session.id] == nil)
        #expect(Self.open(&table, "u") != nil)
    }

    @Test("a sign of life is noted once in a while, over seven weeks and more")
    func signs() throws {
        var table = SessionTable(sessionsMax: 1, random: Randomness(seed: 1))
        let session = try #require(Self.open(&table, "u"))
        func isNoted(_ seconds: Int64) -> Bool {
            session.isToBeNoted(at: Instant(nanoseconds: seconds * 1_000_000_000), every: .seconds(60))
        }
        #expect([64, 65, 66, 124, 125].map(isNoted) == [false, true, false, false, true])
        let wrap = Int64(UInt32.max) / 1_000
        #expect([wrap - 10, wrap + 40, wrap + 51, wrap + 52].map(isNoted) == [true, false, true, false])
    }

    @Test("the sessions of a user share one name, in bytes of its own")
    func names() throws {
        var table = SessionTable(sessionsMax: 2, random: Randomness(seed: 1))
        let query = SharedBytes("user_id=" + String(repeating: "x", count: 100))
        let opened = [query[8..<11], SharedBytes("xxx")].compactMap {
            table.open(user: $0, project: nil, subscriber: Self.someone, at: Instant(nanoseconds: 0))?.user
        }
        try #require(opened.count == 2)
        #expect(address(opened[0]) == address(opened[1]) && address(opened[0]) != address(query[8..<11]))
    }

    private func address(_ bytes: SharedBytes) -> UInt {
        unsafe bytes.span.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
    }

    @Test("random sessions agree with dictionaries", arguments: 1...5)
    func chance(_ seed: Int) {
        var random = Seeded(seed: UInt64(seed))
        var table = SessionTable(sessionsMax: 30, random: Randomness(seed: UInt64(seed)))
        var expected: [ClientID: (user: String, project: String?)] = [:]
        for _ in 0..<600 {
            if Bool.random(using: &random) {
                let user = "u\(Int.random(in: 0..<5, using: &random))"
                let project = Bool.random(using: &random) ? "p\(Int.random(in: 0..<3, using: &random))" : nil
                let session = Self.open(&table, user, project)
                #expect((session == nil) == (expected.count == 30))
                if let session { expected[session.id] = (user, project) }
            } else if let id = expected.keys.randomElement(using: &random) {
                #expect(table.close(id) != nil)
                expected[id] = nil
            }
            #expect(table.count == expected.count)
            let users = Dictionary(grouping: expected.values, by: \.user).mapValues(\.count)
            let projects = Dictionary(grouping: expected.values.compactMap(\.project), by: \.self).mapValues(\.count)
            #expect(table.byUser.count == users.count && table.byProject.count == projects.count)
            for (user, count) in users { #expect(table.byUser[SharedBytes(user)] == count) }
            for (project, count) in projects { #expect(table.byProject[SharedBytes(project)] == count) }
        }
        var seen: Set<ClientID> = []
        table.forEach { seen.insert($0.id) }
        #expect(seen == Set(expected.keys))
        for id in seen { table.close(id) }
        #expect(table.count == 0 && table.byUser.count == 0 && table.byProject.count == 0)
    }
}
