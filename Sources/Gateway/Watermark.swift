// Watermark: whether memory is short, and how much is to be freed. Looks at no memory and frees none: a figure and a time go in, a
// verdict comes out. Short begins at the high mark and ends well below it: a figure that hovers about the mark does not decide each time.
internal import Base

struct Watermark {
    enum State: Equatable {
        case calm
        /// Nobody new is let in. What is to be freed by giving somebody up has time until `patientUntil`; and where memory stays below the
        /// mark until `easesAt`, it is well used rather than short.
        case short(patientUntil: Instant, relieves: Bool, easesAt: Instant)
    }

    enum Verdict: Equatable {
        case none
        case becameShort
        case recovered
        /// So many bytes are to be freed by giving up those who read too slowly.
        case relieve(Int)
    }

    /// From where on memory is short; 0 for never.
    let highBytes: Int
    /// How long turning newcomers away may be enough, and how long freed memory has to show.
    let patience: TimeSpan
    private(set) var state = State.calm
    /// What was in use at the last look.
    private(set) var inUse = 0

    init(highBytes: Int, patience: TimeSpan) {
        self.highBytes = highBytes
        self.patience = patience
    }

    /// At or below it memory is short no longer.
    var lowBytes: Int { highBytes - highBytes / 10 }

    /// From here on nobody waits: a default mark leaves four times as much to what there is.
    private var urgentBytes: Int { highBytes + highBytes / 16 }

    /// How long memory may stay between the marks before newcomers are let in all the same.
    private var easing: TimeSpan { TimeSpan(nanoseconds: patience.nanoseconds * 20) }

    var isShort: Bool { state != .calm }

    mutating func observe(_ inUse: Int, at now: Instant) -> Verdict {
        self.inUse = inUse
        guard highBytes > 0 else { return .none }
        switch state {
        case .calm:
            guard inUse >= highBytes else { return .none }
            state = .short(patientUntil: now + patience, relieves: false, easesAt: now + easing)
            return .becameShort
        case .short(let patientUntil, let relieves, var easesAt):
            let isHigh = inUse >= highBytes
            if isHigh { easesAt = now + easing }
            guard inUse > lowBytes, now < easesAt else {
                state = .calm
                return .recovered
            }
            // Once begun, it goes on to the low mark: to stop at the high one would be to begin anew with the next message.
            guard isHigh || relieves, now >= patientUntil || inUse >= urgentBytes else {
                state = .short(patientUntil: patientUntil, relieves: relieves, easesAt: easesAt)
                return .none
            }
            state = .short(patientUntil: now + patience, relieves: true, easesAt: easesAt)
            return .relieve(inUse - lowBytes)
        }
    }
}
