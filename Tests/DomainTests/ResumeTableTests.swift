// ResumeTableTests: a parked session comes back once, in time, to its user; too many or too large ones give way, oldest first.
import Base
import Testing
import TestSupport

@testable import Domain

struct ResumeTableTests {
    private static func session(_ user: String, _ number: UInt64 = 1) -> Session {
        var table = SessionTable(sessionsMax: 1, random: Randomness(seed: number))
        let session = table.open(
            user: SharedBytes(user), project: nil, subscriber: SubscriberID(slot: 0, generation: 1), at: at(0))
        guard let session else { preconditionFailure("an empty table takes one") }
        return session
    }

    private static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

    @Test("a session is given back once, to the same user, within its time")
    func once() {
        var table = ResumeTable(waitMax: .seconds(300), sessionsMax: 10, bytesMax: 1 << 20)
        let session = Self.session("u")
        let positions = [StreamPosition(task: TaskID(high: 0, low: 1), epoch: 5, sequence: 9)]
        table.park(session, positions, at: Self.at(0))
        #expect(table.nextExpiry == Self.at(300) && table.count == 1)
        #expect(table.take(session.id, for: SharedBytes("v"), at: Self.at(1)) == nil)
        #expect(table.take(Self.session("u", 2).id, for: SharedBytes("u"), at: Self.at(1)) == nil)
        let taken = table.take(session.id, for: SharedBytes("u"), at: Self.at(299))
        #expect(taken?.id == session.id && taken?.positions == positions)
        #expect(table.take(session.id, for: SharedBytes("u"), at: Self.at(299)) == nil)
        #expect(table.count == 0 && table.bytes == 0 && table.nextExpiry == nil)
        table.park(session, positions, at: Self.at(300))
        #expect(table.take(session.id, for: SharedBytes("u"), at: Self.at(600)) == nil)
        #expect(table.count == 0 && table.bytes == 0 && table.shed == 0)
    }

    @Test("a session that is shown stays, and remembers what came out of it")
    func shown() {
        var table = ResumeTable(waitMax: .seconds(300), sessionsMax: 10, bytesMax: 1 << 20)
        let (session, heir) = (Self.session("u"), Self.session("u", 2))
        table.park(session, [], at: Self.at(0))
        #expect(table.session(session.id, for: SharedBytes("v"), at: Self.at(1)) == nil)
        #expect(table.session(session.id, for: SharedBytes("u"), at: Self.at(1))?.heir == nil)
        table.succeed(session.id, by: heir.id)
        table.succeed(heir.id, by: session.id)
        #expect(table.session(session.id, for: SharedBytes("u"), at: Self.at(1))?.heir == heir.id)
        table.park(heir, [], after: session.id, at: Self.at(100))
        #expect(table.session(heir.id, for: SharedBytes("u"), at: Self.at(299))?.predecessor == session.id && table.count == 2)
        #expect(table.session(session.id, for: SharedBytes("u"), at: Self.at(300)) == nil)
        #expect(table.session(heir.id, for: SharedBytes("u"), at: Self.at(300))?.predecessor == session.id && table.count == 1)
    }

    @Test("a session that is parked again replaces itself")
    func again() {
        var table = ResumeTable(waitMax: .seconds(300), sessionsMax: 10, bytesMax: 1 << 20)
        let session = Self.session("u")
        table.park(session, [], at: Self.at(0))
        table.park(session, [StreamPosition(task: TaskID(high: 0, low: 1), epoch: 5, sequence: 9)], at: Self.at(200))
        #expect(table.count == 1 && table.nextExpiry == Self.at(500))
        #expect(table.take(session.id, for: SharedBytes("u"), at: Self.at(400))?.positions.count == 1)
        #expect(table.bytes == 0)
    }

    @Test("sessions of those who may not come back are given up, wherever they stand")
    func dropped() {
        var table = ResumeTable(waitMax: .seconds(300), sessionsMax: 10, bytesMax: 1 << 20)
        let sessions = (1...5).map { Self.session("u", $0) }
        for (place, session) in sessions.enumerated() {
            let credential = Credential(user: SharedBytes(place % 2 == 0 ? "even" : "odd"), issuedAt: nil)
            table.park(session, [], of: place == 3 ? nil : credential, at: Self.at(0))
        }
        #expect(table.drop { $0.credential?.user == SharedBytes("even") } == 3)
        #expect(table.drop { $0.credential?.user == SharedBytes("even") } == 0)
        #expect(sessions.map { table.session($0.id, for: SharedBytes("u"), at: Self.at(1)) != nil } == [false, true, false, true, false])
        #expect(table.drop { _ in true } == 2)
        #expect(table.count == 0 && table.bytes == 0 && table.nextExpiry == nil)
    }

    @Test("random sessions agree with an array", arguments: 1...8)
    func chance(_ seed: Int) {
        var random = Seeded(seed: UInt64(seed))
        let (sessionsMax, bytesMax) = [(10, 1 << 20), (1_000, 6_000), (0, 1 << 20), (1_000, 1 << 20)][seed % 4]
        var table = ResumeTable(waitMax: .seconds(20), sessionsMax: sessionsMax, bytesMax: bytesMax)
        var expected: [(session: Session, positions: [StreamPosition], expiry: Instant)] = []
        var known: [Session] = []
        var shed = 0
        var now: Int64 = 0
        let positionBytes = MemoryLayout<StreamPosition>.stride
        func bytes() -> Int { expected.reduce(0) { $0 + 288 + $1.session.user.count + $1.positions.count * positionBytes } }
        for step in 0..<600 {
            now += Int64.random(in: 0...2, using: &random)
            expected.removeAll { $0.expiry <= Self.at(now) }
            if Int.random(in: 0..<5, using: &random) < 3 {
                let session = Self.session("u\(step % 4)", UInt64(step))
                let positions = (0..<Int.random(in: 0..<6, using: &random)).map {
                    StreamPosition(task: TaskID(high: 0, low: UInt64($0)), epoch: 1, sequence: UInt64(step))
                }
                table.park(session, positions, at: Self.at(now))
                known.append(session)
                expected.append((session, positions, Self.at(now + 20)))
                while !expected.isEmpty, expected.count > sessionsMax || bytes() > bytesMax {
                    expected.removeFirst()
                    shed += 1
                }
            } else if let session = known.suffix(20).randomElement(using: &random) {
                let user = Int.random(in: 0..<4, using: &random) == 0 ? SharedBytes("other") : session.user
                let taken = table.take(session.id, for: user, at: Self.at(now))
                let index = expected.firstIndex { $0.session === session && user == session.user }
                #expect(taken?.positions == index.map { expected[$0].positions })
                if let index { expected.remove(at: index) }
            } else {
                table.expire(at: Self.at(now))
            }
            #expect(table.count == expected.count && table.bytes == bytes() && table.shed == shed)
            #expect(table.nextExpiry == expected.first?.expiry)
        }
        table.expire(at: Self.at(now + 20))
        #expect(table.count == 0 && table.bytes == 0 && table.nextExpiry == nil)
    }
}
