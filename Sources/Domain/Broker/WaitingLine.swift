// WaitingLine: the tasks of one group that wait for a worker. One lane a model, because a worker may be unable to take the first of the
// line and able to take the second; in a lane one queue a priority; across lanes the line number decides who came first.
//
// Cost: joining, and leaving at the front, are constant; leaving from the middle and asking for a position are a binary search a lane
// (and, for the former, a move of the shorter array behind it).
internal import Base

struct WaitingLine {
    private struct Lane {
        let model: SharedBytes?
        var queues = [LaneQueue](repeating: LaneQueue(), count: Priority.allCases.count)

        var isEmpty: Bool { queues.allSatisfy(\.isEmpty) }
        var first: TaskRecord? { queues.first { !$0.isEmpty }?.first }
        var firstAwaited: TaskRecord? {
            for queue in queues { if let task = queue.firstAwaited { return task } }
            return nil
        }
    }

    private var lanes: [Lane] = []
    private var lastNumber: Int64 = 0
    private var firstNumber: Int64 = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// Joins at the end.
    mutating func append(_ task: TaskRecord) {
        lastNumber += 1
        task.lineNumber = lastNumber
        lanes[laneIndex(task.model)].queues[Int(task.priority.rawValue)].append(task)
        count += 1
    }

    /// Joins at the front: a task that had its turn already.
    mutating func prepend(_ task: TaskRecord) {
        firstNumber -= 1
        task.lineNumber = firstNumber
        lanes[laneIndex(task.model)].queues[Int(task.priority.rawValue)].prepend(task)
        count += 1
    }

    /// Takes the first task among the lanes that `isEligible` admits.
    ///
    /// - Parameter awaitedOnly: whether only tasks count that somebody waits for; then all in front of them are looked at.
    mutating func takeFirst(awaitedOnly: Bool = false, where isEligible: (SharedBytes?) -> Bool) -> TaskRecord? {
        guard count > 0 else { return nil }
        var best: TaskRecord?
        for lane in lanes where isEligible(lane.model) {
            guard let candidate = awaitedOnly ? lane.firstAwaited : lane.first else { continue }
            if let current = best, !WaitingLine.goesBefore(candidate, current) { continue }
            best = candidate
        }
        if let best { remove(best) }
        return best
    }

    /// Takes a task out, wherever it stands.
    mutating func remove(_ task: TaskRecord) {
        let index = laneIndex(task.model)
        lanes[index].queues[Int(task.priority.rawValue)].remove(task)
        count -= 1
        // A lane lives as long as somebody waits in it: clients name models freely.
        if lanes[index].isEmpty { lanes.swapAt(index, lanes.count - 1); lanes.removeLast() }
    }

    /// How many go before the task, plus one.
    func position(of task: TaskRecord) -> Int {
        var before = 0
        for lane in lanes {
            for priority in Priority.allCases where priority < task.priority { before += lane.queues[Int(priority.rawValue)].count }
            before += lane.queues[Int(task.priority.rawValue)].count(before: task.lineNumber)
        }
        return before + 1
    }

    /// The first of the line.
    func first(_ max: Int) -> [TaskRecord] {
        var first = Foremost<TaskRecord>(max, by: WaitingLine.goesBefore)
        for lane in lanes { for queue in lane.queues { for task in queue.first(max) { first.offer(task) } } }
        return first.elements
    }

    private static func goesBefore(_ left: TaskRecord, _ right: TaskRecord) -> Bool {
        left.priority != right.priority ? left.priority < right.priority : left.lineNumber < right.lineNumber
    }

    private mutating func laneIndex(_ model: SharedBytes?) -> Int {
        if let index = lanes.firstIndex(where: { $0.model == model }) { return index }
        lanes.append(Lane(model: model))
        return lanes.count - 1
    }
}

/// The tasks of one lane and priority, in the order of their line numbers.
private struct LaneQueue {
    private var tasks: [TaskRecord?] = []
    private var head = 0

    var count: Int { tasks.count - head }
    var isEmpty: Bool { count == 0 }
    var first: TaskRecord? { isEmpty ? nil : tasks[head] }
    var firstAwaited: TaskRecord? {
        for case let task? in tasks[head...] where !task.waiters.isEmpty { return task }
        return nil
    }

    func first(_ max: Int) -> some Sequence<TaskRecord> { tasks[head...].prefix(max).lazy.compactMap(\.self) }

    mutating func append(_ task: TaskRecord) { tasks.append(task) }

    mutating func prepend(_ task: TaskRecord) {
        if head > 0 {
            head -= 1
            tasks[head] = task
        } else {
            tasks.insert(task, at: 0)
        }
    }

    mutating func remove(_ task: TaskRecord) {
        let index = head + count(before: task.lineNumber)
        precondition(index < tasks.count && tasks[index] === task, "task \(task.id) does not wait where its number says")
        if index == head {
            tasks[head] = nil
            head += 1
            if head == tasks.count || (head > 256 && head * 2 > tasks.count) {
                tasks.removeFirst(head)
                head = 0
            }
        } else {
            tasks.remove(at: index)
        }
    }

    func count(before number: Int64) -> Int {
        var low = head
        var high = tasks.count
        while low < high {
            let middle = (low + high) / 2
            if let task = tasks[middle], task.lineNumber < number { low = middle + 1 } else { high = middle }
        }
        return low - head
    }
}
