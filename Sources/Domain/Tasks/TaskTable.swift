// TaskTable: every task that is remembered, by name and by idempotency key, and which of the ended ones is forgotten next. An ended task
// is forgotten when its time is up, or earlier when the ended ones together hold more than their share of memory, or when somebody says so.
internal import Base

struct TaskTable {
    private var byID: [TaskID: TaskRecord] = [:]
    private var byKey: [SharedBytes: TaskRecord] = [:]
    /// The ended tasks in the order of their end, which is the order of their expiry.
    private var ended = Chain<Ended>()
    private(set) var endedBytes = 0

    private struct Ended {
        let record: TaskRecord
        let expiry: Instant
        let bytes: Int
    }

    var count: Int { byID.count }
    var endedCount: Int { ended.count }

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

    /// Lets the task's key name it again, if it names no other.
    mutating func reclaimKey(of record: TaskRecord) {
        guard let key = record.idempotencyKey, byKey[key] == nil else { return }
        byKey[key] = record
    }

    /// Remembers the end of a task until `expiry`; later calls never have an earlier expiry.
    mutating func ended(_ record: TaskRecord, expiry: Instant) {
        let bytes = record.retainedBytes
        endedBytes += bytes
        record.endedPlace = ended.append(Ended(record: record, expiry: expiry, bytes: bytes))
    }

    /// Ended tasks, last one first.
    func lastEnded(_ max: Int) -> [TaskRecord] {
        var records: [TaskRecord] = []
        var slot = ended.last
        while records.count < max, let entry = ended[slot] {
            records.append(entry.record)
            slot = ended.slot(before: slot)
        }
        return records
    }

    /// When the next ended task is to be forgotten.
    var nextExpiry: Instant? { ended[ended.first]?.expiry }

    /// When the last ended task is to be forgotten.
    var lastExpiry: Instant? { ended[ended.last]?.expiry }

    /// Forgets an ended task now.
    mutating func forget(_ record: TaskRecord) {
        guard let entry = ended.remove(record.endedPlace) else { preconditionFailure("task \(record.id) is forgotten before its end") }
        endedBytes -= entry.bytes
        byID[record.id] = nil
        releaseKey(of: record)
    }

    /// Forgets the ended tasks whose time is up, and the oldest ones beyond `bytesMax`; `farewell` is told of each.
    mutating func expire(at now: Instant, bytesMax: Int, _ farewell: (TaskRecord) -> Void) {
        while let oldest = ended[ended.first], oldest.expiry <= now || endedBytes > bytesMax {
            forget(oldest.record)
            farewell(oldest.record)
        }
    }
}
