// Broker+RetriesTests: tasks whose worker is gone run again: at once the first time, after a pause that grows from then on.
import Base
import Testing

@testable import Domain

struct BrokerRetriesTests {
    /// Has the task's worker vanish, and a new one take it as soon as it may.
    private func fail(_ rig: Rig, _ worker: inout Worker) {
        rig.gone(worker)
        worker = rig.ready()
    }

    /// How long the task waits now, in milliseconds.
    private func pause(_ rig: Rig, _ task: TaskRecord) -> Int64? { task.pause.map { $0.until.milliseconds - rig.now.wall.milliseconds } }

    @Test("the first retry comes at once; from the second on there is a pause, by chance, of which the most doubles up to a bound")
    func backoff() throws {
        var (longest, shortest): ([Int: Int64], [Int: Int64]) = ([:], [:])
        for seed in 1...200 {
            let rig = Rig(seed: UInt64(seed)) {
                $0.taskTimeoutMax = .seconds(1_000)
                $0.retryDelayMax = .seconds(5)
            }
            var worker = rig.ready()
            let task = try rig.submit(timeout: .seconds(1_000), retries: 6)
            fail(rig, &worker)
            #expect(task.state == .executing && task.worker === worker, "the first comes at once")
            for retry in 2...6 {
                fail(rig, &worker)
                let most: Int64 = min(1_000 << Int64(retry - 2), 5_000)
                let length = try #require(pause(rig, task) ?? (task.worker === worker ? 0 : nil))
                #expect(length >= 0 && length <= most, "\(length) of \(most)")
                longest[retry] = max(longest[retry] ?? 0, length)
                shortest[retry] = min(shortest[retry] ?? .max, length)
                guard length > 0 else { continue }
                #expect(task.state == .queued && worker.hands.isEmpty)
                rig.pass(.milliseconds(length - 1))
                #expect(task.state == .queued)
                rig.pass(.milliseconds(1))
                #expect(task.worker === worker && task.pause == nil && rig.broker.pausedCount == 0)
            }
            fail(rig, &worker)
            #expect(Rig.end(of: task) == "lost its worker" && task.attempts == 7 && rig.broker.statistics.retried == 6)
        }
        for (retry, most) in [(2, 1_000), (3, 2_000), (4, 4_000), (5, 5_000), (6, 5_000)] as [(Int, Int64)] {
            #expect(longest[retry] ?? 0 > most * 8 / 10 && shortest[retry] ?? .max < most * 2 / 10, "chance uses all of the pause")
        }
    }

    /// A task of three tries that waits for its third, and its rig.
    private func paused(_ request: UInt32? = nil) throws -> (Rig, TaskRecord) {
        let rig = Rig(seed: 3) {
            $0.retryDelay = .seconds(10)
            $0.retryDelayMax = .seconds(10)
        }
        let worker = rig.ready()
        let task = try rig.submit(retries: 3, key: "k", request: request)
        rig.gone(worker)
        rig.gone(rig.ready())
        try #require(task.pause != nil)
        _ = rig.taken()
        return (rig, task)
    }

    @Test("while it waits it is queued, first in its line for whoever asks, and goes before all others when its time comes")
    func front() throws {
        let (rig, task) = try paused()
        #expect(task.state == .queued && rig.broker.position(of: task) == 1 && rig.broker.queuedCount == 1 && rig.broker.pausedCount == 1)
        let worker = rig.ready()
        let first = try rig.submit()
        let second = try rig.submit()
        #expect(first.worker === worker && rig.broker.position(of: second) == 1)
        rig.pass(.seconds(10))
        #expect(task.pause == nil && rig.broker.position(of: task) == 1 && rig.broker.position(of: second) == 2)
        try rig.complete(first, by: worker)
        #expect(task.worker === worker)
    }

    @Test("it may be cancelled, run out of time or be given up as any other that waits; its group lives as long")
    func withdrawn() throws {
        let (rig, task) = try paused()
        #expect(rig.broker.groupCount == 1)
        #expect(rig.cancel(task) == "cancelled" && rig.broker.groupCount == 0 && rig.broker.pausedCount == 0)
        rig.pass(.seconds(20))
        #expect(rig.heard() == [] && rig.broker.queuedCount == 0)

        let (slow, late) = try paused()
        slow.pass(.seconds(10))
        slow.gone(slow.ready())
        slow.pass(.seconds(60))
        #expect(Rig.end(of: late) != "goes on" && slow.broker.groupCount == 0 && slow.broker.pausedCount == 0)

        let (left, abandoned) = try paused(4)
        left.abandon(abandoned, 4)
        #expect(Rig.end(of: abandoned) == "cancelled" && left.broker.pausedCount == 0 && left.broker.groupCount == 0)
    }

    @Test("after a restart it waits for the rest of its time, and no longer; a clock that was set back does not hold it for ever")
    func restart() throws {
        let (rig, task) = try paused()
        let until = try #require(task.pause?.until)
        // What is written of it: as much as the first process said.
        let image = TaskImage(
            id: task.id, group: SharedBytes("default"), isDetached: true, payload: SharedBytes("{}"), timeout: .seconds(60), retries: 3,
            retriesLeft: task.retriesLeft, attempts: task.attempts, lease: task.lease, retryAt: until, createdAt: task.createdAt,
            enqueuedAt: task.enqueuedAt, sequence: task.sequence)
        func begin(_ pause: TimeSpan) throws -> (Rig, TaskRecord) {
            let next = Rig(seed: 8) { $0.retryDelayMax = .seconds(10) }
            next.begin(after: rig, pause: pause)
            next.broker.restore(live: [image], ended: [], at: next.now)
            _ = next.taken()
            return (next, try #require(next.broker.task(task.id)))
        }
        let (soon, again) = try begin(.milliseconds(1))
        let worker = soon.ready()
        let rest = until.milliseconds - soon.now.wall.milliseconds
        soon.pass(.milliseconds(rest - 1))
        #expect(again.state == .queued && again.attempts == task.attempts && again.retries == 3)
        soon.pass(.milliseconds(1))
        #expect(again.worker === worker)

        let (late, ready) = try begin(.seconds(20))
        #expect(ready.pause == nil && ready.group?.line.count == 1)
        _ = late

        let (back, held) = try begin(.seconds(-5_000))
        back.pass(.seconds(10))
        #expect(held.pause == nil)
    }

    @Test("a task that comes again is written down with its time")
    func record() throws {
        let rig = Rig(seed: 3)
        var worker = rig.ready()
        let task = try rig.submit(retries: 2)
        let shelf = Shelf()
        fail(rig, &worker)
        fail(rig, &worker)
        shelf.take(rig.taken())
        let until = try #require(task.pause?.until)
        #expect(shelf.live.map(\.retryAt) == [until] && shelf.live.map(\.retriesLeft) == [0] && shelf.live.map(\.retries) == [2])
    }
}
