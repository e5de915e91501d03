// TimerWheel: nothing early, nothing late, nothing twice, in order; held against a sorted list.
@testable import Base
import TestSupport
import Testing

@Suite struct TimerWheelTests {
    static let millisecond: Int64 = 1_000_000

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * Self.millisecond) }

    private func due(_ wheel: inout TimerWheel<Int>, _ now: Instant) -> [Int] {
        var payloads: [Int] = []
        wheel.advance(to: now, into: &payloads)
        return payloads
    }

    @Test("a deadline between two milliseconds counts as the later one")
    func roundsUp() {
        var wheel = TimerWheel<Int>()
        _ = wheel.insert(Instant(nanoseconds: 5 * Self.millisecond + 1), 1)
        #expect(wheel.nextDeadline == at(6))
        #expect(due(&wheel, Instant(nanoseconds: 6 * Self.millisecond - 1)) == [])
        #expect(due(&wheel, at(6)) == [1])
        #expect(wheel.isEmpty && wheel.nextDeadline == nil)
    }

    @Test("a deadline that has passed fires at the next call, even within the same millisecond")
    func past() {
        var wheel = TimerWheel<Int>()
        #expect(due(&wheel, at(1_000)) == [])
        _ = wheel.insert(at(1), 1)
        _ = wheel.insert(Instant(nanoseconds: -5), 2)
        #expect(wheel.nextDeadline == at(1_000))
        #expect(due(&wheel, at(1_000)) == [1, 2])
        _ = wheel.insert(at(1_000), 3)
        #expect(due(&wheel, at(1_000)) == [3])
    }

    @Test("time that steps back fires nothing early and loses nothing")
    func back() {
        var wheel = TimerWheel<Int>()
        #expect(due(&wheel, at(500)) == [])
        _ = wheel.insert(at(600), 1)
        #expect(due(&wheel, at(10)) == [])
        #expect(due(&wheel, at(599)) == [])
        #expect(due(&wheel, at(600)) == [1])
    }

    @Test("timers of one millisecond fire in the order of their insertion, from whichever wheel they came")
    func insertionOrder() {
        var wheel = TimerWheel<Int>()
        // The first lies in a coarse wheel; later ones meet it after it has moved down.
        for (index, now) in [Int64(0), 0, 4_096, 8_191, 8_200].enumerated() {
            _ = due(&wheel, at(now))
            _ = wheel.insert(at(8_201), index)
        }
        #expect(due(&wheel, at(8_201)) == [0, 1, 2, 3, 4])
    }

    @Test("a ticket works once, and not for who comes after")
    func tickets() {
        var wheel = TimerWheel<Int>()
        let first = wheel.insert(at(10), 1)
        #expect(wheel.cancel(first) == true)
        #expect(wheel.cancel(first) == false)
        let second = wheel.insert(at(10), 2)
        #expect(second.slot == first.slot && second != first)
        #expect(wheel.cancel(first) == false)
        #expect(due(&wheel, at(10)) == [2])
        #expect(wheel.cancel(second) == false)
        #expect(wheel.cancel(TimerTicket(slot: 0, generation: 0)) == false)
        #expect(wheel.cancel(TimerTicket(slot: 77, generation: 1)) == false)
    }

    @Test("the ends of time are deadlines like others")
    func extremes() {
        var wheel = TimerWheel<Int>()
        let never = wheel.insert(Instant(nanoseconds: .max), 1)
        _ = wheel.insert(Instant(nanoseconds: .min), 2)
        #expect(due(&wheel, at(0)) == [2])
        #expect(due(&wheel, Instant(nanoseconds: .max)) == [])
        #expect(wheel.nextDeadline == Instant(nanoseconds: .max))
        #expect(wheel.cancel(never) == true)
        #expect(wheel.nextDeadline == nil)
    }

    @Test("payloads are let go when their timer is")
    func release() {
        final class Thing {}
        var wheel = TimerWheel<Thing>()
        weak var fired: Thing?
        weak var cancelled: Thing?
        do {
            let (one, two) = (Thing(), Thing())
            (fired, cancelled) = (one, two)
            _ = wheel.insert(at(1), one)
            wheel.cancel(wheel.insert(at(1), two))
        }
        #expect(cancelled == nil && fired != nil)
        var payloads: [Thing] = []
        wheel.advance(to: at(1), into: &payloads)
        payloads = []
        #expect(fired == nil)
    }

    @Test("an entry stays small")
    func size() {
        #expect(MemoryLayout<TimerWheel<UInt64>.Node>.stride <= 48)
        #expect(MemoryLayout<TimerTicket>.size == 8)
    }

    @Test("agrees with a sorted list through random timers, cancellations and jumps", arguments: UInt64(0)..<40)
    func oracle(_ seed: UInt64) {
        struct Entry {
            var tick: Int64
            var payload: Int
            var ticket: TimerTicket
        }
        var random = Seeded(seed: seed)
        var wheel = TimerWheel<Int>()
        var oracle: [Entry] = []
        // Some runs begin years after the clock's origin.
        var now = seed % 3 == 0 ? 0 : Int64.random(in: 0...300_000_000_000_000_000, using: &random)
        var payloads: [Int] = []
        wheel.advance(to: Instant(nanoseconds: now), into: &payloads)
        for payload in 0..<3_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6:
                // From half a millisecond to decades, each scale as often as the next; some in the past.
                let reach = Int64(1) << Int64.random(in: 19...60, using: &random)
                let deadline = now + Int64.random(in: -reach / 8...reach, using: &random)
                let ticket = wheel.insert(Instant(nanoseconds: deadline), payload)
                let tick = max((max(deadline, 0) + Self.millisecond - 1) / Self.millisecond, now / Self.millisecond)
                oracle.append(Entry(tick: tick, payload: payload, ticket: ticket))
            case 6..<8:
                guard let index = oracle.indices.randomElement(using: &random) else { continue }
                #expect(wheel.cancel(oracle[index].ticket) == true)
                #expect(wheel.cancel(oracle[index].ticket) == false)
                oracle.remove(at: index)
            default:
                if Bool.random(using: &random), let next = wheel.nextDeadline {
                    now = max(now, next.nanoseconds)
                } else {
                    now += Int64.random(in: 0...Int64(1) << Int64.random(in: 19...54, using: &random), using: &random)
                }
                payloads = []
                wheel.advance(to: Instant(nanoseconds: now), into: &payloads)
                // Payloads grow, so that equal ticks stand in the order of insertion.
                let expected = oracle.filter { $0.tick <= now / Self.millisecond }.sorted { ($0.tick, $0.payload) < ($1.tick, $1.payload) }
                #expect(payloads == expected.map(\.payload))
                oracle.removeAll { $0.tick <= now / Self.millisecond }
            }
            #expect(wheel.count == oracle.count)
            let first = oracle.map(\.tick).min()
            let next = wheel.nextDeadline?.nanoseconds
            #expect((next == nil) == (first == nil))
            if let first, let next {
                #expect(next <= first * Self.millisecond, "never later than the first timer")
                // A step that makes no step would spin the loop.
                #expect(next > now - Self.millisecond || next / Self.millisecond == first)
            }
        }
        // Following nextDeadline alone must reach every timer in a bounded number of steps.
        let stepsMax = oracle.count * 8
        var steps = 0
        while let next = wheel.nextDeadline, steps < stepsMax {
            payloads = []
            wheel.advance(to: next, into: &payloads)
            let reached = oracle.filter { $0.tick * Self.millisecond <= next.nanoseconds }
            #expect(payloads == reached.sorted { ($0.tick, $0.payload) < ($1.tick, $1.payload) }.map(\.payload))
            oracle.removeAll { $0.tick * Self.millisecond <= next.nanoseconds }
            steps += 1
        }
        #expect(wheel.isEmpty && oracle.isEmpty)
    }
}
