// UserTasksTests: a user's tasks, over random comings, ends and farewells, against a plain list.
import Base
import Testing
import TestSupport

@testable import Domain

struct UserTasksTests {
    private static func task(_ name: TaskID, user: String?, at milliseconds: Int64) -> TaskRecord {
        let user = user.map { SharedBytes($0) }
        return TaskRecord(
            id: name, submission: Submission(payload: .empty), group: Group(name: .empty), timeout: .zero, isDetached: true,
            stream: TaskStream(task: name, user: user, project: nil, epoch: 1, sequence: 0),
            at: Moment(instant: Instant(nanoseconds: 0), wall: WallTime(milliseconds: milliseconds)))
    }

    @Test("random lives agree with a list, also when the clock steps back", arguments: 1...30)
    func chance(_ seed: Int) throws {
        var random = Seeded(seed: UInt64(seed))
        var index = UserTasks()
        var living: [TaskRecord] = []
        var ended: [TaskRecord] = []
        var everything: [TaskRecord] = []
        var now: Int64 = 1_000
        let stepsBack = seed % 3 == 0
        for _ in 0..<600 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0...3:
                now += [0, 0, 1, stepsBack ? -2 : 2][Int.random(in: 0..<4, using: &random)]
                let high = UInt64.random(in: 0...3, using: &random)
                let chosen = TaskID(SharedBytes("n\(everything.count)").span)
                let name = try #require(high == 0 ? chosen : TaskID(high: high, low: random.next()))
                let task = Self.task(name, user: ["u", "v", nil][Int.random(in: 0..<3, using: &random)], at: now)
                index.insert(task)
                living.append(task)
                everything.append(task)
            case 4, 5:
                guard let place = living.indices.randomElement(using: &random) else { continue }
                let task = living.remove(at: place)
                if task.state == .queued, Bool.random(using: &random) { task.move(to: .executing) }
                let ends: [TaskState] = task.state == .executing ? [.completed, .failed, .cancelled] : [.failed, .cancelled]
                task.move(to: try #require(ends.randomElement(using: &random)))
                index.ended(task)
                ended.append(task)
            case 6:
                guard let place = ended.indices.randomElement(using: &random) else { continue }
                let task = ended.remove(at: place)
                index.forget(task)
                everything.removeAll { $0 === task }
            case 7:
                if let task = living.randomElement(using: &random), task.state == .queued { task.move(to: .executing) }
            default: try ask(index, everything, &random)
            }
        }
        for task in living {
            task.move(to: .cancelled)
            index.ended(task)
        }
        for task in living + ended { index.forget(task) }
        #expect(index.count == 0, "what nobody has is kept")
    }

    private func ask(_ index: UserTasks, _ everything: [TaskRecord], _ random: inout Seeded) throws {
        let user = try #require(["u", "v", "w"].randomElement(using: &random))
        let all = everything.filter { $0.user == SharedBytes(user) }
        #expect(index.active(of: SharedBytes(user)).map(\.id) == all.filter { !$0.state.isTerminal }.map(\.id))
        let state = try #require(([nil] + TaskState.allCases).randomElement(using: &random))
        let place = all.randomElement(using: &random).map { (createdAt: $0.createdAt, id: $0.id) }
        let limit = Int.random(in: -1...7, using: &random)
        let wanted = all.filter { state == nil || $0.state == state }.sorted(by: Self.isShownBefore).filter { task in
            guard let place else { return true }
            return task.createdAt < place.createdAt || task.createdAt == place.createdAt && task.id.description > place.id.description
        }
        let page = index.page(of: SharedBytes(user), in: state, after: place, limit: limit)
        #expect(page.tasks.map(\.id) == wanted.prefix(max(limit, 0)).map(\.id))
        #expect(page.hasMore == (wanted.count > max(limit, 0)))
    }

    private static func isShownBefore(_ left: TaskRecord, _ right: TaskRecord) -> Bool {
        left.createdAt == right.createdAt ? left.id.description < right.id.description : left.createdAt > right.createdAt
    }

    @Test("page by page everything is shown once")
    func pages() throws {
        let rig = Rig()
        _ = rig.ready(concurrency: 3)
        for number in 0..<50 {
            if number % 7 == 0 { rig.pass(.milliseconds(1)) }
            try rig.submit(user: "u")
            try rig.submit(user: "v")
        }
        var shown: [TaskID] = []
        var place: (createdAt: WallTime, id: TaskID)?
        while true {
            let page = rig.broker.tasks(of: SharedBytes("u"), in: nil, after: place, limit: 8)
            shown += page.tasks.map(\.id)
            guard page.hasMore, let last = page.tasks.last else { break }
            place = (last.createdAt, last.id)
        }
        #expect(shown.count == 50 && Set(shown).count == 50)
        #expect(rig.broker.activeTasks(of: SharedBytes("u")).map(\.id).sorted() == shown.sorted())
        #expect(rig.broker.tasks(of: SharedBytes("u"), in: .executing, after: nil, limit: 9).tasks.count == 2)
        #expect(rig.broker.tasks(of: SharedBytes("nobody"), in: nil, after: nil, limit: 9).tasks.isEmpty)
    }

    @Test("a task that is forgotten by the broker is its user's no more, however it is forgotten")
    func forgotten() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 9)
        let tasks = try (0..<3).map { _ in try rig.submit(user: "u") }
        for task in tasks { try rig.complete(task, by: worker) }
        #expect(rig.broker.activeTasks(of: SharedBytes("u")).isEmpty && rig.broker.users.count == 1)
        #expect(rig.remove(tasks[1].id) == "removed")
        #expect(rig.broker.tasks(of: SharedBytes("u"), in: nil, after: nil, limit: 9).tasks.count == 2)
        rig.pass(.seconds(300))
        #expect(rig.broker.users.count == 0)
    }
}
