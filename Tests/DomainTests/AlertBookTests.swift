// AlertBookTests: that a thing that is wrong is told at each crossing once, ends below the hysteresis, and has one name from the beginning
// to the end, also across a restart.
import Base
import Testing

@testable import Domain

struct AlertBookTests {
    private static let start: Int64 = 1_640_995_200

    /// A book whose clock goes on by a second a sample.
    private final class Desk {
        var book: AlertBook
        var second = AlertBookTests.start - 1

        init(_ change: (inout AlertThresholds) -> Void = { _ in }) {
            var thresholds = AlertThresholds()
            change(&thresholds)
            book = AlertBook(limits: Limits(), thresholds: thresholds, random: Randomness(seed: 7))
        }

        var now: WallTime { WallTime(milliseconds: second * 1_000) }

        /// What a look at the machine changes.
        func look(memory: Double = 0, disk: Double = 0, gpus: [(Int, Double)]? = nil) -> [Alert] {
            second += 1
            var changed: [Alert] = []
            book.judge(sample(memory: memory, disk: disk, gpus: gpus), at: now, into: &changed)
            return changed
        }

        func lines(memory: Double = 0, disk: Double = 0, gpus: [(Int, Double)]? = nil) -> [String] {
            look(memory: memory, disk: disk, gpus: gpus).map(AlertBookTests.line)
        }
    }

    private static func line(_ alert: Alert) -> String {
        "\(alert.id) \(alert.resolvedAt == nil ? "\(alert.severity)" : "resolved") \(alert.title): \(alert.message)"
    }

    /// Figures in percent.
    static func sample(memory: Double = 0, disk: Double = 0, gpus: [(Int, Double)]? = nil) -> ResourceSample {
        func space(_ usage: Double) -> ResourceSample.Space { .init(total: 1_000_000, available: UInt64(1_000_000 - usage * 10_000)) }
        return ResourceSample(
            processor: .init(usage: 1, cores: 2, frequency: 3), memory: space(memory), disk: space(disk),
            gpus: gpus?.map { GPU(id: $0.0, name: SharedBytes("RTX"), usage: $0.1, memoryUsage: 0, temperature: 40) },
            network: .init(bytesSent: 0, bytesReceived: 0, packetsSent: 0, packetsReceived: 0))
    }

    static func deployment(_ id: String, note: String = "") -> Deployment {
        let form = Deployment.Form(modelID: SharedBytes("m"), name: SharedBytes("Chat"), startTimeout: .seconds(30))
        return Deployment(id: SharedBytes(id), form: form, note: SharedBytes(note), createdAt: WallTime(milliseconds: 0))
    }

    @Test("an alert looks as document E shows it")
    func shape() throws {
        let alert = try #require(Desk().look(memory: 85.2).first)
        #expect(alert.id == SharedBytes("alert_1640995200") && alert.kind == .memoryThreshold && alert.severity == .warning)
        #expect(alert.title == SharedBytes("High Memory Usage") && alert.message == SharedBytes("Memory usage reached 85.2%"))
        #expect(alert.resource.type == SharedBytes("memory") && alert.resource.id == nil && alert.resource.unit == SharedBytes("%"))
        #expect(abs(alert.resource.value - 85.2) < 0.001 && alert.resource.threshold == 80)
        #expect(alert.raisedAt.seconds == Self.start && alert.resolvedAt == nil)
    }

    @Test("each level is told once, the worse one under the same name, and the end below the hysteresis")
    func levels() {
        let desk = Desk()
        #expect(desk.lines(memory: 79.9) == [])
        #expect(desk.lines(memory: 80) == ["alert_1640995201 warning High Memory Usage: Memory usage reached 80.0%"])
        #expect(desk.lines(memory: 89.9) == [])
        #expect(desk.lines(memory: 90) == ["alert_1640995201 critical Critical Memory Usage: Memory usage reached 90.0%"])
        #expect(desk.book.active.map(\.resource.threshold) == [90])
        #expect(desk.lines(memory: 99) == [])
        #expect(desk.lines(memory: 85) == [] && desk.lines(memory: 95) == [])
        #expect(desk.lines(memory: 75) == [])
        #expect(desk.lines(memory: 74.9) == ["alert_1640995201 resolved Critical Memory Usage: Memory usage fell to 74.9%"])
        #expect(desk.book.active.isEmpty && desk.lines(memory: 0) == [])
        #expect(desk.lines(memory: 81).count == 1)
    }

    @Test("a figure that swings about a bound is told once")
    func swing() {
        let desk = Desk()
        var told = 0
        for round in 0..<100 { told += desk.lines(disk: round % 2 == 0 ? 80.5 : 75.5).count }
        #expect(told == 1)
    }

    @Test("what is critical at once is raised as critical, and told once")
    func criticalAtOnce() {
        let desk = Desk()
        #expect(desk.lines(disk: 97.25) == ["alert_1640995200 critical Critical Disk Usage: Disk usage reached 97.3%"])
        #expect(desk.lines(disk: 85) == [] && desk.lines(disk: 97) == [])
    }

    @Test("several that are raised in one second have names of their own, and stand in the order of their raising")
    func names() {
        let desk = Desk()
        let names = desk.look(memory: 95, disk: 95, gpus: [(0, 95)]).map(\.id.description)
        #expect(Set(names).count == 3 && names[0] == "alert_1640995200")
        #expect(names.dropFirst().allSatisfy { $0.hasPrefix("alert_1640995200_") && $0.utf8.count == 25 })
        #expect(desk.book.active.map(\.id.description) == names)
    }

    @Test("a clock that is set back gives no name twice")
    func clockSetBack() {
        let desk = Desk()
        var names: Set<SharedBytes> = []
        for second in [10, 20, 10, 20, 9] as [Int64] {
            desk.second = Self.start + second
            for alert in desk.look(memory: 95) { names.insert(alert.id) }
            _ = desk.look(memory: 0)
        }
        #expect(names.count == 5)
    }

    @Test("each GPU is judged for itself, and one that vanishes is wrong no more")
    func gpus() {
        let desk = Desk()
        let raised = desk.look(gpus: [(0, 85), (1, 10), (2, 92)])
        #expect(raised.map(\.message.description) == ["GPU 0 (RTX) usage reached 85.0%", "GPU 2 (RTX) usage reached 92.0%"])
        #expect(raised.map { $0.resource.id?.description } == ["0", "2"] && raised.map(\.severity) == [.warning, .critical])
        let gone = desk.look(gpus: [(0, 85)])
        #expect(gone.map(\.id) == [raised[1].id] && gone.allSatisfy { $0.resolvedAt == desk.now })
        #expect(gone.map(\.message.description) == ["GPU 2 is gone"])
        #expect(desk.look(gpus: nil).map(\.id) == [raised[0].id] && desk.book.active.isEmpty)
    }

    @Test("what is no number changes nothing")
    func noNumber() {
        let desk = Desk()
        #expect(desk.lines(gpus: [(0, .nan)]) == [])
        #expect(desk.lines(gpus: [(0, .infinity)]).count == 1)
        #expect(desk.lines(gpus: [(0, .nan)]) == [] && desk.book.active.count == 1)
        #expect(desk.lines(gpus: [(0, -.infinity)]).count == 1)
    }

    @Test("the operator's thresholds hold")
    func thresholds() {
        let desk = Desk {
            $0.memoryWarning = 50
            $0.memoryCritical = 60
            $0.hysteresis = 0
        }
        #expect(desk.look(memory: 51).map(\.severity) == [.warning] && desk.look(memory: 61).map(\.severity) == [.critical])
        #expect(desk.look(memory: 50).isEmpty && desk.look(memory: 49.9).count == 1)
    }

    @Test("a deployment that is not well is told once, and its end says why")
    func models() {
        let desk = Desk()
        var changed: [Alert] = []
        func fail(_ id: String, _ failures: Int?) {
            desk.book.modelFailed(Self.deployment(id), failures: failures, reason: SharedBytes("refused"), at: desk.now, into: &changed)
        }
        fail("dep-1", 3)
        fail("dep-1", 4)
        fail("dep-2", nil)
        #expect(changed.map(\.message.description) == ["Chat failed 3 health checks: refused", "Chat failed to start: refused"])
        #expect(changed.allSatisfy { $0.kind == .modelHealthCheckFailed && $0.severity == .error && $0.resource.threshold == 3 })
        #expect(changed.allSatisfy { $0.resource.unit == SharedBytes("failures") && $0.resource.type == SharedBytes("model") })
        #expect(Set(desk.book.failingModels) == [SharedBytes("dep-1"), SharedBytes("dep-2")])
        changed.removeAll()
        desk.book.modelEnded(SharedBytes("dep-1"), SharedBytes("Chat"), .recovered, at: desk.now, into: &changed)
        desk.book.modelEnded(SharedBytes("dep-1"), SharedBytes("Chat"), .recovered, at: desk.now, into: &changed)
        desk.book.modelEnded(SharedBytes("dep-2"), nil, .removed, at: desk.now, into: &changed)
        #expect(changed.map(\.message.description) == ["Chat is healthy again", "dep-2 was removed"])
        #expect(changed.allSatisfy { $0.resolvedAt == desk.now } && desk.book.active.isEmpty)
    }

    @Test("an alert of an earlier process goes on under its name: it is not raised again, may grow worse, and ends")
    func restored() {
        let before = Desk()
        let alerts = before.look(memory: 85, gpus: [(3, 85)])
        let desk = Desk()
        desk.second = before.second
        var changed: [Alert] = []
        desk.book.restore(alerts, at: desk.now, into: &changed)
        #expect(changed.isEmpty && desk.book.active == alerts)
        #expect(desk.look(memory: 86, gpus: [(3, 84)]).isEmpty)
        #expect(desk.look(memory: 91, gpus: [(3, 84)]).map(\.id) == [alerts[0].id])
        #expect(desk.look(memory: 10, gpus: [(3, 10)]).map(\.id) == alerts.map(\.id))
        #expect(desk.book.active.isEmpty)
    }

    @Test("a restart within a second takes no name that was given in it")
    func restartWithinASecond() {
        let first = Desk().look(memory: 85)
        let desk = Desk()
        var changed: [Alert] = []
        desk.book.restore([], at: WallTime(milliseconds: Self.start * 1_000), into: &changed)
        let second = desk.look(memory: 85)
        #expect(first.count == 1 && second.count == 1 && first[0].id != second[0].id)
    }

    @Test("of two alerts about one thing the later goes on; one about nothing ends at once")
    func restoredTwice() throws {
        let desk = Desk()
        let old = try #require(desk.look(memory: 85).first)
        var newer = old
        newer.id = SharedBytes("alert_2")
        newer.raisedAt = WallTime(milliseconds: old.raisedAt.milliseconds + 1)
        var nothing = old
        nothing.id = SharedBytes("alert_3")
        nothing.kind = .gpuThreshold
        nothing.resource.id = SharedBytes("x")
        let other = Desk()
        var changed: [Alert] = []
        other.book.restore([newer, nothing, old], at: desk.now, into: &changed)
        #expect(Set(changed.map(\.id)) == [old.id, nothing.id] && changed.allSatisfy { $0.resolvedAt == desk.now })
        #expect(other.book.active == [newer])
    }

    @Test("the thresholds as they come fit together")
    func defaults() { #expect(AlertThresholds().contradiction == nil) }

    @Test(
        "thresholds that do not fit together are told",
        arguments: [
            ("memory", 91, 90, 5), ("memory", .nan, 90, 5), ("memory", 80, 101, 5), ("memory", 80, 90, -1), ("memory", 80, 90, 80),
            ("memory", 80, 90, .nan),
        ] as [(String, Double, Double, Double)])
    func contradictions(_ name: String, _ warning: Double, _ critical: Double, _ hysteresis: Double) {
        var thresholds = AlertThresholds()
        thresholds.memoryWarning = warning
        thresholds.memoryCritical = critical
        thresholds.hysteresis = hysteresis
        #expect(thresholds.contradiction?.contains(name) == true)
    }
}
