// Broker+Overview: the tables as somebody sees them who looks at all of it at once: the first few of each list, whatever their number.
// Changes nothing.
//
// Cost: a look passes by every worker and every task in a worker's hands once, and by the first few of each line; nothing is sorted whole.
internal import Base

extension Broker {
    /// Connected workers, in the order of their coming.
    public func workers(max: Int) -> [Worker] {
        var first = Foremost<Worker>(max) { $0.id.number < $1.id.number }
        for group in groups.values { for worker in group.workers.values { first.offer(worker) } }
        return first.elements
    }

    /// Groups, those first in which most waits.
    public func groups(max: Int) -> [Group] {
        var first = Foremost<Group>(max) { left, right in
            left.line.count != right.line.count
                ? left.line.count > right.line.count : left.name.precedes(right.name)
        }
        for group in groups.values { first.offer(group) }
        return first.elements
    }

    /// Tasks that wait for a worker, those first that are next in their group, each with its place in the group's line.
    public func waiting(max: Int) -> [(task: TaskRecord, position: Int)] {
        var first = Foremost<(task: TaskRecord, position: Int)>(max) { left, right in
            if left.position != right.position { return left.position < right.position }
            return left.task.enqueuedAt != right.task.enqueuedAt
                ? left.task.enqueuedAt < right.task.enqueuedAt : left.task.id < right.task.id
        }
        let depth = depth(of: max)
        for group in groups.values where !group.line.isEmpty {
            for (index, task) in group.line.first(depth).enumerated() { first.offer((task, index + 1)) }
        }
        return first.elements
    }

    /// How far back in their groups' lines the first `max` of all stand: where many groups wait, nobody looks far into each.
    private func depth(of max: Int) -> Int {
        var (depth, reached) = (0, 0)
        while depth < max, reached < max {
            depth += 1
            var found = 0
            for group in groups.values where group.line.count >= depth { found += 1 }
            guard found > 0 else { break }
            reached += found
        }
        return depth
    }

    /// How many tasks the workers that stay may hold, all together.
    public var concurrency: Int {
        var sum = 0
        for group in groups.values { for worker in group.workers.values where !worker.isDraining { sum += worker.concurrency } }
        return sum
    }

    /// Tasks in workers' hands, those first that were given out first.
    public func executing(max: Int) -> [TaskRecord] {
        var first = Foremost<TaskRecord>(max) { left, right in
            let (leftStart, rightStart) = (left.startedAt ?? left.createdAt, right.startedAt ?? right.createdAt)
            return leftStart != rightStart ? leftStart < rightStart : left.id < right.id
        }
        for group in groups.values { for worker in group.workers.values { for task in worker.hands { first.offer(task) } } }
        return first.elements
    }

    /// Tasks that have ended and are remembered, last one first.
    public func ended(max: Int) -> [TaskRecord] { tasks.lastEnded(max) }

    /// A connected worker.
    ///
    /// - Complexity: one look-up a group.
    public func worker(_ id: WorkerID) -> Worker? {
        for group in groups.values { if let worker = group.workers[id] { return worker } }
        return nil
    }
}
