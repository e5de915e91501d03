// Cost: what a task cost, as somebody told it or as the time it took times what a worker said an hour costs. Knows no message: how a
// metered cost is written, the dialects know.
public import Base

/// What a worker's hour costs.
public struct Rate: Sendable, Equatable {
    public var perHour: Double
    /// Plain text.
    public var currency: SharedBytes

    public init(perHour: Double, currency: SharedBytes) {
        self.perHour = perHour
        self.currency = currency
    }
}

/// What a task cost.
public enum Cost: Sendable, Equatable {
    /// A JSON value, byte for byte.
    case raw(SharedBytes)
    /// A worker's rate, for so long.
    case metered(Rate, TimeSpan)

    var byteCount: Int {
        switch self {
        case .raw(let bytes): bytes.count
        case .metered(let rate, _): rate.currency.count
        }
    }
}
