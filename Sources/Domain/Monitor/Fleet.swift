// Fleet: what the connected workers told of themselves. Dispatches nothing (Broker does) and judges nothing; a worker's figures go with
// its connection.
import Base

/// The connected workers, and the last word of each.
struct Fleet {
    private struct Member {
        let group: SharedBytes
        var status: WorkerStatus?
    }

    /// One a connected worker: what bounds connections bounds this.
    private var members: [WorkerID: Member] = [:]

    /// The workers that told how they do, in the order of their names' text.
    var statuses: [WorkerStatus] {
        members.values.compactMap(\.status).sorted { Place($0.worker) < Place($1.worker) }
    }

    func status(of worker: WorkerID) -> WorkerStatus? { members[worker]?.status }

    mutating func connected(_ worker: WorkerID, in group: SharedBytes) {
        members[worker] = Member(group: SharedBytes(copying: group.span), status: nil)
    }

    /// - Returns: its group; nil for a worker that was not connected.
    mutating func gone(_ worker: WorkerID) -> SharedBytes? { members.removeValue(forKey: worker)?.group }

    func has(_ worker: WorkerID) -> Bool { members[worker] != nil }

    /// Takes over what a worker says, in bytes of its own; a worker that is not connected says nothing.
    mutating func reported(_ status: WorkerStatus) {
        guard let group = members[status.worker]?.group else { return }
        var status = status
        status.group = group
        status.memory = status.memory.map { SharedBytes(copying: $0.span) }
        status.load = status.load.map { SharedBytes(copying: $0.span) }
        for index in status.gpus.indices {
            let name = status.gpus[index].name
            status.gpus[index].name = SharedBytes(copying: name.span)
        }
        members[status.worker]?.status = status
    }

    /// A worker's place in the order of the names' text, without writing the text.
    private struct Place: Comparable {
        /// The number's digits, moved to the left: `W2` stands behind `W10`.
        private let aligned: UInt64
        /// `W1-` stands before `W10-`: the hyphen comes before every digit.
        private let digits: Int
        private let suffix: UInt32

        init(_ worker: WorkerID) {
            var aligned = UInt64(worker.number)
            var digits = 1
            var bound: UInt64 = 10
            while aligned >= bound {
                digits += 1
                bound *= 10
            }
            // 32 bits have at most ten digits.
            for _ in digits..<10 { aligned *= 10 }
            self.aligned = aligned
            self.digits = digits
            suffix = worker.suffix
        }

        static func < (left: Place, right: Place) -> Bool {
            (left.aligned, left.digits, left.suffix) < (right.aligned, right.digits, right.suffix)
        }
    }
}
