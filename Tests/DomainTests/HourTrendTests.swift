// HourTrendTests: what happened in which ten seconds, how long half of it took, and that the row forgets what is older than an hour.
import Base
import Testing

@testable import Domain

struct HourTrendTests {
    private static func instant(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    @Test("what comes and ends is counted in the step in which it does")
    func counts() {
        var trend = HourTrend()
        trend.submitted(at: Self.instant(100))
        trend.submitted(at: Self.instant(109))
        trend.ended(.completed, after: .milliseconds(3), at: Self.instant(109))
        trend.ended(.failed, after: .seconds(1), at: Self.instant(110))
        trend.ended(.cancelled, after: .seconds(2), at: Self.instant(110))
        let steps = trend.steps(at: Self.instant(119))
        #expect(steps.map(\.number) == [10, 11])
        #expect(steps.map { [$0.submitted, $0.completed, $0.failed, $0.cancelled] } == [[2, 1, 0, 0], [0, 0, 1, 1]])
    }

    @Test("quantiles lie within their bucket, and never above what was the longest")
    func quantiles() {
        var trend = HourTrend()
        for _ in 0..<90 { trend.ended(.completed, after: .milliseconds(30), at: Self.instant(0)) }
        for _ in 0..<10 { trend.ended(.completed, after: .seconds(70), at: Self.instant(0)) }
        let step = trend.steps(at: Self.instant(0))[0]
        #expect(step.median > .milliseconds(25) && step.median <= .milliseconds(50))
        #expect(step.slowest > .seconds(60) && step.slowest <= .seconds(70))
        trend.ended(.failed, after: .seconds(4_000), at: Self.instant(10))
        #expect(trend.steps(at: Self.instant(10))[1].slowest <= .seconds(4_000))
    }

    @Test("after an hour a place is another step's, and what it held is gone")
    func forgets() {
        var trend = HourTrend()
        trend.ended(.completed, after: .zero, at: Self.instant(5))
        #expect(trend.steps(at: Self.instant(3_599)).count == 1)
        #expect(trend.steps(at: Self.instant(3_600)).isEmpty)
        trend.submitted(at: Self.instant(3_605))
        #expect(trend.steps(at: Self.instant(3_605)).map { [$0.submitted, $0.completed] } == [[1, 0]])
        #expect(trend.steps(last: 1, at: Self.instant(3_620)).isEmpty)
    }

    @Test("the broker notes what it takes in and what ends")
    func noted() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        rig.pass(.seconds(2))
        try rig.complete(task, by: worker)
        let steps = rig.broker.statistics.trend.steps(at: rig.now.instant)
        #expect(steps.map { [$0.submitted, $0.completed] } == [[1, 1]])
        #expect(steps.map(\.slowest).allSatisfy { $0 > .seconds(1) && $0 <= .seconds(2) })
    }
}
