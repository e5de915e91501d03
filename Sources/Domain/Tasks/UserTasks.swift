// UserTasks: which tasks are whose, in the order of their coming: all that are remembered, and beside them those that have not ended.
// Knows no state beyond that, and no topic. A task without a user is not here.
//
// Cost: coming, ending and being forgotten are one hash and a few stores each. A page is a walk from the newest task to its place.
internal import Base

struct UserTasks {
    private struct Row {
        var all = Chain<TaskRecord>()
        var active = Chain<TaskRecord>()
        /// The time of the newest task.
        var latest = WallTime(milliseconds: .min)
        /// Whether the clock never stepped back between two of the tasks.
        var isOrdered = true

        /// - Returns: the task's place among all, and among those that have not ended.
        mutating func insert(_ task: TaskRecord, isActive: Bool) -> (all: Int, active: Int) {
            if task.createdAt < latest { isOrdered = false }
            latest = max(latest, task.createdAt)
            return (all.append(task), isActive ? active.append(task) : Chain<TaskRecord>.none)
        }
    }

    private var rows: [SharedBytes: Row] = [:]

    /// Users that have a task.
    var count: Int { rows.count }

    /// Takes in a task that comes after all others.
    mutating func insert(_ task: TaskRecord) {
        guard let user = task.user else { return }
        let isActive = !task.state.isTerminal
        let places = rows[user, default: Row()].insert(task, isActive: isActive)
        task.userPlace = places.all
        task.activePlace = places.active
    }

    /// The task has ended.
    mutating func ended(_ task: TaskRecord) {
        guard let user = task.user else { return }
        rows[user]?.active.remove(task.activePlace)
        task.activePlace = Chain<TaskRecord>.none
    }

    /// The ended task is remembered no more.
    mutating func forget(_ task: TaskRecord) {
        guard let user = task.user else { return }
        rows[user]?.all.remove(task.userPlace)
        task.userPlace = Chain<TaskRecord>.none
        if rows[user]?.all.isEmpty == true { rows[user] = nil }
    }

    /// The user's tasks that have not ended, in the order of their coming.
    func active(of user: SharedBytes) -> [TaskRecord] {
        guard let chain = rows[user]?.active else { return [] }
        var tasks: [TaskRecord] = []
        tasks.reserveCapacity(chain.count)
        var slot = chain.first
        while let task = chain[slot] {
            tasks.append(task)
            slot = chain.slot(after: slot)
        }
        return tasks
    }

    /// Some of the user's tasks, newest first, and of one moment in the order of their names.
    ///
    /// - Parameters:
    ///   - state: only tasks in this state; nil for all.
    ///   - place: only tasks behind this one.
    func page(
        of user: SharedBytes, in state: TaskState?, after place: (createdAt: WallTime, id: TaskID)?, limit: Int
    ) -> (tasks: [TaskRecord], hasMore: Bool) {
        guard let row = rows[user] else { return ([], false) }
        let limit = max(limit, 0)
        let isWanted: (TaskRecord) -> Bool = { task in
            guard state == nil || task.state == state else { return false }
            guard let place else { return true }
            return task.createdAt == place.createdAt ? task.id > place.id : task.createdAt < place.createdAt
        }
        let chain = state.map { !$0.isTerminal } == true ? row.active : row.all
        var found: [TaskRecord] = []
        var slot = chain.last
        while found.count <= limit, let newest = chain[slot] {
            // The tasks of one moment at a time, or all of them where their order says nothing.
            let start = found.count
            while let task = chain[slot], !row.isOrdered || task.createdAt == newest.createdAt {
                if isWanted(task) { found.append(task) }
                slot = chain.slot(before: slot)
            }
            if found.count > start + 1 { found[start...].sort(by: UserTasks.isShownBefore) }
        }
        let hasMore = found.count > limit
        if hasMore { found.removeLast(found.count - limit) }
        return (found, hasMore)
    }

    private static func isShownBefore(_ left: TaskRecord, _ right: TaskRecord) -> Bool {
        left.createdAt == right.createdAt ? left.id < right.id : left.createdAt > right.createdAt
    }
}
