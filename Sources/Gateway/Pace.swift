// Pace: how much may come of one peer in a second, and how much at once after a silence. Who comes faster is closed, or waits: that is each
// service's to say. The generic cell rate algorithm (ITU-T I.371): a bucket of tokens, kept as the one time until which all is paid for.
//
// Cost: 8 bytes a peer; a message is a comparison, an addition and a store. No clock is asked: a turn has one time.
internal import Base

/// What all who are held to the same pace share.
struct PaceLimit {
    /// What one costs in nanoseconds; 0 where there is no bound.
    let cost: Int64
    /// How far ahead of its time a peer may be.
    let credit: Int64

    /// - Parameters:
    ///   - perSecond: 0 for any number.
    ///   - burst: how many may come at once.
    init(perSecond: Int, burst: Int) {
        guard perSecond > 0 else {
            cost = 0
            credit = 0
            return
        }
        // No pace above one a nanosecond, and no credit of more than a century: neither can be met, and both would overflow.
        cost = max(1_000_000_000 / Int64(perSecond), 1)
        credit = cost * min(Int64(max(burst, 1)), (1 << 61) / cost)
    }

    static let none = PaceLimit(perSecond: 0, burst: 0)

    var isBounded: Bool { cost > 0 }
}

/// What one peer has used up.
struct Pace {
    private var paidUntil: Int64 = 0

    /// Takes `count` in, if they may come now.
    @inline(__always)
    mutating func admits(_ limit: PaceLimit, count: Int = 1, at now: Instant) -> Bool {
        guard limit.cost > 0 else { return true }
        let (price, isTooMuch) = limit.cost.multipliedReportingOverflow(by: Int64(count))
        let (until, isOver) = max(paidUntil, now.nanoseconds).addingReportingOverflow(price)
        guard !isTooMuch, !isOver, until - now.nanoseconds <= limit.credit else { return false }
        paidUntil = until
        return true
    }

    /// Whether one more may come now.
    @inline(__always)
    func isOpen(_ limit: PaceLimit, at now: Instant) -> Bool {
        limit.cost == 0 || max(paidUntil, now.nanoseconds) + limit.cost - now.nanoseconds <= limit.credit
    }
}
