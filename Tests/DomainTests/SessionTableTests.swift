// SessionTableTests: who is connected, how many each user and project has, and what is kept of a client's words.
import Base
import Testing
import TestSupport

@testable import Domain

struct SessionTableTests {
    private static let someone = SubscriberID(slot: 1, generation: 1)

    private static func open(_ table: inout SessionTable, _ user: String, _ project: String? = nil, agent: String = "") -> Session? {
        table.open(
            user: SharedBytes(user), project: project.map { SharedBytes($0) }, subscriber: someone, address: SharedBytes("10.0.0.1"),
            agent: SharedBytes(agent), at: WallTime(milliseconds: 1_000))
    }

    @Test("a session is found by its name until it is closed, once")
    func life() throws {
        var table = SessionTable(sessionsMax: 2, random: Randomness(seed: 1))
        let session = try #require(Self.open(&table, "u", "p", agent: "curl"))
        #expect(table[session.id] === session && session.subscriber == Self.someone && session.agent == SharedBytes("curl"))
        #expect(session.connectedAt == session.lastActiveAt && session.messageCount == 0)
        session.countMessage(at: WallTime(milliseconds: 1_500))
        #expect(session.lastActiveAt == WallTime(milliseconds: 1_500) && session.messageCount == 1)
        #expect(session.connectedAt == WallTime(milliseconds: 1_000))
        #expect(Self.open(&table, "u") != nil)
        #expect(Self.open(&table, "u") == nil)
        #expect(table.close(session.id) === session && table.close(session.id) == nil && table[session.id] == nil)
        #expect(Self.open(&table, "u") != nil)
    }

    @Test(
        "a long text is cut between two characters",
        arguments: [("abcdef", "abcd"), ("abc", "abc"), ("abcé", "abc"), ("abé", "abé"), ("ab\u{20ac}", "ab"), ("\u{1f600}x", "\u{1f600}")])
    func cut(_ given: String, _ kept: String) throws {
        var table = SessionTable(sessionsMax: 1, addressBytesMax: 4, agentBytesMax: 4, random: Randomness(seed: 1))
        let session = try #require(Self.open(&table, "u", agent: given))
        #expect(session.agent == SharedBytes(kept) && session.address == SharedBytes("10.0"))
    }

    @Test("bytes without a beginning of a character are cut to nothing, not further")
    func continuations() {
        var table = SessionTable(sessionsMax: 1, addressBytesMax: 4, agentBytesMax: 4, random: Randomness(seed: 1))
        let session = table.open(
            user: .empty, project: nil, subscriber: Self.someone, address: .empty,
            agent: SharedBytes([UInt8](repeating: 0x80, count: 9)), at: WallTime(milliseconds: 0))
        #expect(session?.agent.isEmpty == true)
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
