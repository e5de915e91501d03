// ActivityFeedTests: what is an activity and what is none, in which words it is told, that names ascend, and that a busy server tells sums.
import Base
import Testing

@testable import Domain

struct ActivityFeedTests {
    private final class Desk {
        var feed: ActivityFeed
        var now = Moment(instant: Instant(nanoseconds: 5_000_000_000), wall: WallTime(milliseconds: 1_700_000_000_000))
        /// How often a task was looked up.
        var lookUps = 0
        private var effects: [MonitorEffect] = []

        init(perSecond: Int = 100, messageBytesMax: Int = 4_096) {
            var limits = Limits()
            limits.taskActivitiesPerSecondMax = perSecond
            limits.activityMessageBytesMax = messageBytesMax
            feed = ActivityFeed(limits: limits, random: Randomness(seed: 3))
        }

        func pass(milliseconds: Int64) {
            now = Moment(
                instant: now.instant + .milliseconds(milliseconds), wall: WallTime(milliseconds: now.wall.milliseconds + milliseconds))
        }

        func hear(_ event: TaskEvent, progress: Double = 5, user: String? = nil, of task: TaskRecord? = nil) {
            let origin = StreamOrigin(task: TaskID(high: 1, low: 2), user: user.map { SharedBytes($0) }, project: nil, epoch: 9)
            let publication = Publication(
                number: 3, origin: origin, sequence: 2, at: now.wall, event: event, state: .executing, progress: progress)
            var count = 0
            let lookUp = { () -> TaskRecord? in
                count += 1
                return task
            }
            feed.heard(publication, of: lookUp, at: now, into: &effects)
            lookUps += count
        }

        func hear(worker number: UInt32, _ occasion: ActivityFeed.Occasion) {
            feed.heard(WorkerID(number: number, suffix: 1), in: SharedBytes("g\"1"), occasion, at: now, into: &effects)
        }

        func note(_ message: String) -> Activity {
            feed.note(ActivityDraft(kind: .userOperation, message: SharedBytes(message)), at: now, into: &effects)
        }

        func advance() { feed.advance(to: now, into: &effects) }

        /// What was told since the last call; each must have been written down as well.
        func told() -> [Activity] {
            var told: [Activity] = []
            var written: [Activity] = []
            for effect in effects {
                switch effect {
                case .announce(.activity(let activity)): told.append(activity)
                case .record(.activityNoted(let activity)): written.append(activity)
                case .announce, .record, .probe: Issue.record("something else than an activity")
                }
            }
            effects.removeAll()
            #expect(told == written)
            return told
        }

        func lines() -> [String] { told().map { "\($0.kind) \($0.severity) \($0.message)" } }
    }

    private static let name = "00000000-0000-0001-0000-000000000002"
    private static let failed = TaskEvent.failed(.init(error: .raw(SharedBytes("{\"a\":1}"))))
    private static let completed = TaskEvent.completed(.init(result: .empty))

    private static func task(type: String?, model: String? = nil) -> TaskRecord {
        var submission = Submission(payload: .empty, model: model.map { SharedBytes($0) })
        submission.type = type.map { SharedBytes($0) }
        let id = TaskID(high: 1, low: 2)
        return TaskRecord(
            id: id, submission: submission, group: Group(name: SharedBytes("g")), timeout: .seconds(1), isDetached: true,
            stream: TaskStream(task: id, user: nil, project: nil, epoch: 1, sequence: 0),
            at: Moment(instant: Instant(nanoseconds: 0), wall: WallTime(milliseconds: 0)))
    }

    @Test("a task's coming and its end are activities, whatever lies between is none")
    func tasks() {
        let desk = Desk()
        desk.hear(.queued)
        desk.hear(.started(.init(startedAt: desk.now.wall)))
        desk.hear(.progress(.init(reported: 1)))
        desk.hear(.log(.init(logs: .empty)))
        desk.hear(.chunk(.empty))
        desk.hear(.queued, progress: 20)
        desk.hear(Self.completed)
        desk.hear(Self.failed)
        desk.hear(.cancelled(reason: nil))
        #expect(
            desk.lines() == [
                "userOperation info Task \(Self.name) submitted", "userOperation info Task \(Self.name) completed",
                "userOperation error Task \(Self.name) failed", "userOperation warning Task \(Self.name) cancelled",
            ])
    }

    @Test("a task is looked up only for what is told of it")
    func lookUps() {
        let desk = Desk(perSecond: 2)
        for _ in 0..<10 { desk.hear(.chunk(.empty)) }
        #expect(desk.lookUps == 0)
        for _ in 0..<10 { desk.hear(.queued) }
        #expect(desk.lookUps == 2)
    }

    @Test("a task's activity belongs to the task's user, and names the task")
    func owner() throws {
        let desk = Desk()
        desk.hear(.queued, user: "42", of: Self.task(type: nil))
        let activity = try #require(desk.told().first)
        #expect(activity.owner == SharedBytes("42") && activity.resourceType == SharedBytes("task"))
        #expect(activity.resourceID == SharedBytes(Self.name) && activity.createdAt == desk.now.wall)
        #expect(activity.extra == SharedBytes("{\"group\":\"g\"}"))
    }

    @Test(
        "what kind a task's activity is of stands in the task's type",
        arguments: [
            ("model_deployment", .modelDeployment), ("model_health_check", .modelHealthCheck),
            ("system_resource_threshold", .systemResourceThreshold), ("download_task", .downloadTask), ("download", .downloadTask),
            ("downloading", .downloadTask), ("downloa", .userOperation), ("text", .userOperation), ("", .userOperation),
            ("user_operation", .userOperation), (nil, .userOperation),
        ] as [(String?, Activity.Kind)])
    func kinds(_ type: String?, _ kind: Activity.Kind) {
        let desk = Desk()
        desk.hear(.queued, of: Self.task(type: type))
        #expect(desk.told().map(\.kind) == [kind])
    }

    @Test("what stands beside an activity is JSON, whatever users wrote")
    func extra() {
        let desk = Desk()
        desk.hear(Self.failed, of: Self.task(type: "a\"b", model: "c\\d\n"))
        desk.hear(.failed(.init(error: .plain(SharedBytes("ä\u{1}")))))
        desk.hear(.cancelled(reason: SharedBytes("by\thand")))
        desk.hear(worker: 1, .workerJoined)
        #expect(
            desk.told().map(\.extra.description) == [
                #"{"group":"g","model":"c\\d\u000a","type":"a\"b","error":{"a":1}}"#, #"{"error":"ä\u0001"}"#,
                #"{"reason":"by\u0009hand"}"#, #"{"group":"g\"1"}"#,
            ])
    }

    @Test("a long reason is left out, a long message is cut behind a whole character")
    func bounds() {
        let desk = Desk(messageBytesMax: 10)
        desk.hear(.failed(.init(error: .plain(SharedBytes("12345678901")))))
        #expect(desk.told().map(\.extra) == [.empty])
        #expect(desk.note("123456789ä").message == SharedBytes("123456789"))
        #expect(desk.note("12345678ä").message == SharedBytes("12345678ä"))
        #expect(desk.note("1234567ää").message == SharedBytes("1234567ä"))
    }

    @Test("names are UUIDs of version 7 that ascend, also within a millisecond and when the clock is set back")
    func names() throws {
        let desk = Desk()
        var last = ""
        for round in 0..<2_000 {
            let name = desk.note("m").id.description
            #expect(name.utf8.lexicographicallyPrecedes(last.utf8) == false && name != last)
            last = name
            #expect(name.hasPrefix("act-") && name.utf8.count == 40)
            #expect(name.dropFirst(18).first == "7" && "89ab".contains(name.dropFirst(23).first ?? "-"))
            if round % 100 == 99 { desk.pass(milliseconds: round % 200 == 99 ? 1 : -3) }
        }
    }

    @Test("beyond the bound of a second the rest is told as sums, once the second is over")
    func sums() {
        let desk = Desk(perSecond: 3)
        for _ in 0..<2 { desk.hear(.queued, user: "42") }
        #expect(desk.feed.nextDeadline == nil)
        for _ in 0..<1_236 { desk.hear(Self.completed, user: "42") }
        desk.hear(Self.failed)
        desk.hear(worker: 1, .workerLeft)
        #expect(desk.told().count == 3)
        #expect(desk.feed.nextDeadline == desk.now.instant + .seconds(1))
        desk.pass(milliseconds: 999)
        desk.advance()
        #expect(desk.told().isEmpty)
        desk.pass(milliseconds: 1)
        desk.advance()
        let sums = desk.told()
        #expect(
            sums.map(\.message.description) == ["1,235 more tasks completed", "1 more task failed", "1 more worker disconnected"])
        #expect(sums.map(\.severity) == [.info, .error, .warning] && sums.allSatisfy { $0.kind == .userOperation })
        #expect(sums.map(\.resourceType) == [SharedBytes("task"), SharedBytes("task"), SharedBytes("worker")])
        #expect(sums.allSatisfy { $0.owner == nil && $0.resourceID == nil })
        #expect(desk.feed.nextDeadline == nil)
        desk.hear(.queued)
        #expect(desk.told().count == 1)
    }

    @Test("who comes late hears the sums of the second before first")
    func sumsFirst() {
        let desk = Desk(perSecond: 1)
        desk.hear(.queued)
        desk.hear(.queued)
        desk.pass(milliseconds: 1_500)
        desk.hear(Self.completed)
        desk.hear(Self.completed)
        #expect(
            desk.lines() == [
                "userOperation info Task \(Self.name) submitted", "userOperation info 1 more task submitted",
                "userOperation info Task \(Self.name) completed",
            ])
        #expect(desk.feed.nextDeadline == desk.now.instant + .seconds(1))
    }

    @Test("sums have their digits in groups", arguments: [(1, "1"), (12, "12"), (123, "123"), (1_000, "1,000"), (12_345, "12,345")])
    func grouped(_ count: Int, _ text: String) {
        let desk = Desk(perSecond: 0)
        for _ in 0..<count { desk.hear(.queued) }
        desk.pass(milliseconds: 1_000)
        desk.advance()
        #expect(desk.told().map(\.message.description) == ["\(text) more task\(count == 1 ? "" : "s") submitted"])
    }

    @Test("workers that come and go are told, with their name and their group")
    func workers() {
        let desk = Desk()
        desk.hear(worker: 7, .workerJoined)
        desk.hear(worker: 7, .workerLeft)
        let told = desk.told()
        #expect(told.map(\.message.description) == ["Worker W7-00000001 connected", "Worker W7-00000001 disconnected"])
        #expect(told.map(\.severity) == [.info, .warning])
        #expect(told.allSatisfy { $0.resourceType == SharedBytes("worker") && $0.resourceID == SharedBytes("W7-00000001") })
    }
}
