// Burden: what a WebSocket carries while it is more than idle: input that waits to be heard, output that is held back, and what was noted
// of either. Made when there is something to carry and dropped when its connection is looked at and there is nothing: most connections
// have none most of the time. Decides nothing.
internal import Base

final class Burden {
    /// Bytes that came while a message of the connection was in the hands of the pool.
    var leftover = ByteQueue()
    /// Unfinished input, as it was last counted.
    var inputCounted: UInt32 = 0
    /// Bytes of the unfinished message when it was last looked at, and the second in which that was; 0 where it was not.
    var messageNoted: UInt32 = 0
    var messageNotedAt: UInt32 = 0
    /// Messages that left for the pool to be compressed, and those behind them; nil while there are none.
    var lane: Lane?
    /// What came faster than the other end reads; nil while it keeps up.
    var backlog: Backlog?
    /// Messages of this turn that leave together in one frame; only where the client asked for that.
    var lines: [SharedBytes] = []
    var lineBytes = 0
    /// Bytes that waited for the connection when it was last asked how it does.
    var queuedBytes = 0

    /// Keeps a place in the lane for what the pool will bring.
    func reserve(bytes: Int) -> UInt32 {
        var lane = self.lane.take() ?? Lane()
        defer { self.lane = lane }
        return lane.reserve(bytes: bytes)
    }

    /// Whether it may be dropped.
    var isEmpty: Bool {
        leftover.isEmpty && inputCounted == 0 && messageNotedAt == 0 && lane == nil && backlog == nil && lines.isEmpty && queuedBytes == 0
    }
}

extension WebSocketConversation {
    /// Its burden, made where there is none.
    func carry() -> Burden {
        if let burden { return burden }
        let made = Burden()
        burden = made
        return made
    }

    /// Drops a burden that is none any more.
    func unburden() {
        if burden?.isEmpty == true { burden = nil }
    }

    var leftoverCount: Int { burden?.leftover.count ?? 0 }
    var inputCounted: UInt32 { burden?.inputCounted ?? 0 }
    var hasLane: Bool { burden?.lane != nil }
    var laneBytes: Int { burden?.lane?.byteCount ?? 0 }
    var backlog: Backlog? { burden?.backlog }
    var lineBytes: Int { burden?.lineBytes ?? 0 }

    /// What came and was not heard yet, to be heard now.
    func takeLeftover() -> ByteQueue {
        guard let burden else { return ByteQueue() }
        defer { burden.leftover = ByteQueue() }
        return burden.leftover
    }
}
