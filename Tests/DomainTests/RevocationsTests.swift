// RevocationsTests: a user's tokens up to a second are refused, others are not; what was revoked stays so until it is forgotten.
import Base
import Testing
import TestSupport

@testable import Domain

struct RevocationsTests {
    private static let now = WallTime(milliseconds: 1_700_000_000_500)

    private func token(_ user: String, _ milliseconds: Int64?) -> Principal {
        Principal(user: SharedBytes(user), issuedAt: milliseconds.map { WallTime(milliseconds: $0) })
    }

    @Test("a token counts by the second in which it was issued; one that does not say is meant as well")
    func seconds() throws {
        var table = Revocations(countMax: 10)
        #expect(!table.covers(token("u", nil)))
        _ = try table.revoke(SharedBytes("u"), before: 1_700_000_000, by: nil, at: Self.now)
        for milliseconds in [.min, -1, 0, 1_700_000_000_000, 1_700_000_000_999, nil] as [Int64?] {
            #expect(table.covers(token("u", milliseconds)), "\(String(describing: milliseconds))")
            #expect(!table.covers(token("v", milliseconds)))
        }
        for milliseconds in [1_700_000_001_000, .max] as [Int64] { #expect(!table.covers(token("u", milliseconds))) }
        for one in [.named(SharedBytes("u")), .anonymous, .trusted] as [Principal] { #expect(!table.covers(one)) }
    }

    @Test("what was revoked stays so, whatever is revoked later; forgotten, it is as if it had never been")
    func latest() throws {
        var table = Revocations(countMax: 10)
        let user = SharedBytes("u")
        let first = try table.revoke(user, before: 100, by: SharedBytes("root"), at: Self.now)
        #expect(first == Revocation(number: 1, user: user, before: 100, revokedAt: Self.now, revokedBy: SharedBytes("root")))
        #expect(try table.revoke(user, before: 50, by: nil, at: Self.now).before == 100)
        #expect(try table.revoke(user, before: 150, by: nil, at: Self.now).before == 150)
        #expect(table.count == 1 && table[user]?.number == 3)
        try table.forget(user)
        #expect(table.count == 0 && table[user] == nil && !table.covers(token("u", nil)))
        #expect(throws: RevocationRefusal.unknown) { try table.forget(user) }
    }

    @Test("as many users as may; one of them may have more revoked, and one that is forgotten makes room")
    func full() throws {
        var table = Revocations(countMax: 2)
        for user in ["a", "b", "a"] { _ = try table.revoke(SharedBytes(user), before: 1, by: nil, at: Self.now) }
        #expect(throws: RevocationRefusal.tooMany) { try table.revoke(SharedBytes("c"), before: 1, by: nil, at: Self.now) }
        #expect(!table.covers(token("c", nil)))
        try table.forget(SharedBytes("a"))
        _ = try table.revoke(SharedBytes("c"), before: 1, by: nil, at: Self.now)
        #expect(table.covers(token("c", nil)) && table.count == 2)
    }

    @Test("seeded runs against a list: revoked, forgotten, taken up by a next process, read page by page", arguments: 0..<20)
    func chance(_ seed: UInt64) throws {
        var random = Seeded(seed: seed)
        var table = Revocations(countMax: 40)
        var plain: [Revocation] = []
        for _ in 0..<400 {
            let user = SharedBytes("u\(Int.random(in: 0..<30, using: &random))")
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1, 2:
                let revocation = try table.revoke(user, before: Int64.random(in: 0..<100, using: &random), by: nil, at: Self.now)
                #expect(revocation.number > plain.last?.number ?? 0)
                plain.removeAll { $0.user == user }
                plain.append(revocation)
            case 3:
                let isThere = plain.contains { $0.user == user }
                plain.removeAll { $0.user == user }
                do throws(RevocationRefusal) {
                    try table.forget(user)
                    #expect(isThere)
                } catch {
                    #expect(!isThere)
                }
            default:
                var next = Revocations(countMax: 1)
                next.restore(plain)
                #expect(next.count == plain.count)
                table = Revocations(countMax: 40)
                table.restore(plain)
            }
            #expect(table.count == plain.count)
            let entry = plain.first { $0.user == user }
            let isCovered = table.covers(Credential(user: user, issuedAt: WallTime(milliseconds: 50_000)))
            #expect(isCovered == (entry.map { $0.before >= 50 } ?? false))
        }
        let limit = Int.random(in: 1...7, using: &random)
        var seen: [Revocation] = []
        var page = table.page(before: nil, limit: limit)
        while let last = page.revocations.last {
            seen += page.revocations
            guard page.hasMore else { break }
            page = table.page(before: last.number, limit: limit)
        }
        #expect(seen == plain.reversed())
        #expect(table.page(before: 0, limit: limit).revocations.isEmpty)
        #expect(table.page(before: .max, limit: 999).revocations == plain.reversed())
    }
}
