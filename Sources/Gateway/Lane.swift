// Lane: messages of one connection that leave in order although some of them are still in the hands of the worker pool. A message that
// went to the pool keeps its place; what is sent after it waits behind it, finished or not.
internal import Base

struct Lane {
    /// What leaves the lane.
    enum Departure {
        case frame(SharedBytes)
        /// The last of all: the connection ends behind it.
        case end
    }

    private enum Place {
        case pending(UInt32, bytes: Int)
        case ready(Departure)
    }

    private var places: [Place] = []
    private var lastNumber: UInt32 = 0
    /// Bytes of what is ready and waits, and of what the pool was given.
    private(set) var byteCount = 0

    var isEmpty: Bool { places.isEmpty }

    /// Keeps the next place for what the pool will bring.
    mutating func reserve(bytes: Int) -> UInt32 {
        lastNumber &+= 1
        places.append(.pending(lastNumber, bytes: bytes))
        byteCount += bytes
        return lastNumber
    }

    /// Joins behind everything that waits.
    mutating func append(_ departure: Departure) {
        places.append(.ready(departure))
        byteCount += Lane.bytes(of: departure)
    }

    /// The pool brought what `number` was kept for.
    ///
    /// - Returns: what may leave now, in order.
    mutating func fill(_ number: UInt32, with frame: SharedBytes) -> [Departure] {
        for index in places.indices {
            guard case .pending(number, let bytes) = places[index] else { continue }
            places[index] = .ready(.frame(frame))
            byteCount += frame.count - bytes
            break
        }
        var leaving: [Departure] = []
        while leaving.count < places.count, case .ready(let departure) = places[leaving.count] {
            leaving.append(departure)
            byteCount -= Lane.bytes(of: departure)
        }
        places.removeFirst(leaving.count)
        return leaving
    }

    private static func bytes(of departure: Departure) -> Int {
        switch departure {
        case .frame(let frame): frame.count
        case .end: 0
        }
    }
}
