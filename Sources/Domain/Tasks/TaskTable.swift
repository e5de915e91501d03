// TaskTable: every task that is remembered, by name and by idempotency key, and which of the ended ones is forgotten next. An ended task
// is forgotten when its time is up, or earlier when the ended ones together hold more than their share of memory.
internal import Base

struct TaskTable {
    private var byID: [TaskID: TaskRecord] = [:]
    private var byKey: [SharedBytes: TaskRecord] = [:]
    /// The ended tasks in the order of their end, which is the order of their expiry.
    private var ended: [Ended?] = []
    private var endedHead = 0
    private(set) var endedBytes = 0

    private struct Ended {
        let record: TaskRecord
        let expiry: Instant
        let bytes: Int
    }

    var count: Int { byID.count }
    var endedCount: Int { ended.count - endedHead }

    subscript(id: TaskID) -> TaskRecord? { byID[id] }

    func task(withKey key: SharedBytes) -> TaskRecord? { byKey[key] }

    mutating func insert(_ record: TaskRecord) {
        byID[record.id] = record
        if let key = record.idempotencyKey { byKey[key] = record }
    }

    /// Forgets the task's key, if it is still the one that the key names.
    mutating func releaseKey(of record: TaskRecord) {
        guard let key = record.idempotencyKey, byKey[key] === record else { return }
        byKey[key] = nil
    }

    /// Remembers the end of a task until `expiry`; later calls never have an earlier expiry.
    mutating func ended(_ record: TaskRecord, expiry: Instant) {
        let bytes = record.retainedBytes
        endedBytes += bytes
        ended.append(Ended(record: record, expiry: expiry, bytes: bytes))
    }

    /// When the next ended task is to be forgotten.
    var nextExpiry: Instant? { endedHead < ended.count ? ended[endedHead]?.expiry : nil }

    /// Forgets the ended tasks whose time is up, and the oldest ones beyond `bytesMax`; `farewell` is told of each.
    mutating func expire(at now: Instant, bytesMax: Int, _ farewell: (TaskRecord) -> Void) {
        while endedHead < ended.count, let oldest = ended[endedHead], oldest.expiry <= now || endedBytes > bytesMax {
            ended[endedHead] = nil
            endedHead += 1
            endedBytes -= oldest.bytes
            byID[oldest.record.id] = nil
            farewell(oldest.record)
            releaseKey(of: oldest.record)
        }
        // The front gives its room back once it is half of the array: a constant cost for each task.
        if endedHead > 1024, endedHead * 2 > ended.count {
            ended.removeFirst(endedHead)
            endedHead = 0
        } else if endedHead == ended.count {
            ended.removeAll(keepingCapacity: endedHead <= 1024)
            endedHead = 0
        }
    }
}
