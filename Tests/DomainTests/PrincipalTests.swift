// PrincipalTests: who may do what, role by role, and that an open surface asks nobody.
import Base
import Testing

@testable import Domain

struct PrincipalTests {
    private static let now = WallTime(milliseconds: 1_000_000)
    private static let listed = task("listed")
    private static let other = task("other")

    private static func task(_ name: String) -> TaskID {
        TaskID(SharedBytes(name).span) ?? TaskID(high: 0, low: 0)
    }

    private func principal(_ role: Role, tasks: [TaskID] = []) -> Principal {
        Principal(user: SharedBytes("42"), role: role, tasks: tasks)
    }

    @Test("only publishers publish, only workers work, and an admin does both", arguments: Role.allCases)
    func roles(_ role: Role) {
        let one = principal(role)
        #expect(one.mayPublish == (role == .publisher || role == .admin))
        #expect(one.mayWork == (role == .worker || role == .admin))
        #expect(one.isAdmin == (role == .admin))
        #expect(!one.isAnonymous)
    }

    @Test("a task is for its owner and for admins", arguments: Role.allCases)
    func owners(_ role: Role) {
        let one = principal(role)
        #expect(one.maySee(taskOwner: SharedBytes("42"), taskID: Self.other))
        #expect(one.mayActFor(SharedBytes("42")))
        #expect(one.maySee(taskOwner: SharedBytes("43"), taskID: Self.other) == (role == .admin))
        #expect(one.mayActFor(SharedBytes("43")) == (role == .admin))
        #expect(one.mayActFor(SharedBytes("4")) == (role == .admin))
        #expect(one.mayActFor(SharedBytes("")) == (role == .admin))
    }

    @Test("a listed task of somebody else may be watched, and only that")
    func lists() {
        let one = principal(.user, tasks: [Self.listed])
        #expect(one.maySee(taskOwner: SharedBytes("43"), taskID: Self.listed))
        #expect(!one.maySee(taskOwner: SharedBytes("43"), taskID: Self.other))
        #expect(!one.mayActFor(SharedBytes("43")))
        #expect(one.maySee(taskOwner: SharedBytes("42"), taskID: Self.other), "the list takes nothing away")
    }

    @Test("who has groups works in those and in no other; who has none, in all")
    func groups() {
        let (gpu, image) = (SharedBytes("gpu"), SharedBytes("image"))
        for role in [Role.worker, .admin] {
            let bound = Principal(user: SharedBytes("w"), role: role, groups: [gpu])
            #expect(bound.mayWork(in: gpu))
            #expect(!bound.mayWork(in: image))
            #expect(!bound.mayWork(in: SharedBytes("gp")))
        }
        #expect(!Principal(user: SharedBytes("w"), role: .worker, groups: []).mayWork(in: gpu))
        #expect(principal(.worker).mayWork(in: gpu))
        #expect(Principal.anonymous.mayWork(in: gpu))
    }

    @Test("what has no owner belongs to everybody")
    func ownerless() {
        let one = principal(.user)
        #expect(one.maySee(taskOwner: nil, taskID: Self.other))
        #expect(one.mayActFor(nil))
    }

    @Test("whoever speaks on an open surface may do what it offers, is no admin, and never expires", arguments: [false, true])
    func anonymous(_ isTrusted: Bool) {
        let one = isTrusted ? Principal.trusted : Principal.anonymous
        #expect(one.isAnonymous)
        #expect(one.user == nil)
        // With what belongs to somebody only where the operator asks nobody who he is.
        #expect(one.maySee(taskOwner: SharedBytes("43"), taskID: Self.other) == isTrusted)
        #expect(one.mayActFor(SharedBytes("43")) == isTrusted)
        #expect(one.maySee(taskOwner: nil, taskID: Self.other))
        #expect(one.mayActFor(nil))
        #expect(one.mayPublish)
        #expect(one.mayWork)
        #expect(!one.isAdmin)
        #expect(!one.hasExpired(at: WallTime(milliseconds: .max)))
        #expect(!one.neverExpires)
    }

    @Test("an end is an end from its first millisecond on; without one there is none")
    func expiry() {
        let one = Principal(user: SharedBytes("42"), expiry: Self.now)
        #expect(!one.hasExpired(at: WallTime(milliseconds: Self.now.milliseconds - 1)))
        #expect(one.hasExpired(at: Self.now))
        #expect(!one.neverExpires)
        let eternal = principal(.user)
        #expect(!eternal.hasExpired(at: WallTime(milliseconds: .max)))
        #expect(eternal.neverExpires)
    }

    @Test("only who has shown a token or a certificate can have it revoked")
    func credential() {
        let user = SharedBytes("42")
        #expect(Principal(user: user, issuedAt: Self.now).credential == Credential(user: user, issuedAt: Self.now))
        #expect(principal(.admin).credential == Credential(user: user, issuedAt: nil))
        let named = Principal.named(user)
        #expect(named.user == user && !named.isAnonymous && named.role == .user && named.mayActFor(user) && !named.maySeeAll)
        for one in [.named(user), .anonymous, .trusted] as [Principal] { #expect(one.credential == nil) }
    }
}
