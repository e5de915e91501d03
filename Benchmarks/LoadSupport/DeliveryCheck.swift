// DeliveryCheck: what one watcher has got of a numbered stream of publications, and what came wrongly: twice, late, or not at all. Not a
// store of what came: memory is taken only for numbers that were passed over and may still come.
//
// Cost: a publication that comes in its turn is a compare and an addition.

/// The deliveries of one watcher, who gets every `step`-th publication from `first` on.
public struct DeliveryCheck: Sendable {
    /// What a number is to its watcher.
    public enum Verdict: Equatable, Sendable {
        /// It had not come yet. Others before it may be missing.
        case new
        /// It had been passed over.
        case late
        /// It had come before.
        case twice
        /// It is nobody's yet, or another watcher's.
        case foreign
    }

    private let first: Int
    private let step: Int
    private var next: Int
    /// Numbers that were passed over: as many as were lost so far, so none in a run that goes well.
    private var missing: Set<Int> = []

    /// - Precondition: `step` is at least 1.
    public init(first: Int, step: Int) {
        precondition(step > 0, "every \(step)th publication is none")
        self.first = first
        self.step = step
        next = first
    }

    /// Takes a number that came.
    /// - Parameter end: The number behind the last that was published.
    public mutating func receive(_ number: Int, before end: Int) -> Verdict {
        if number == next, number < end {
            next += step
            return .new
        }
        guard number >= first, number < end, (number - first) % step == 0 else { return .foreign }
        guard number > next else { return missing.remove(number) == nil ? .twice : .late }
        while next < number {
            missing.insert(next)
            next += step
        }
        next += step
        return .new
    }

    /// How many publications before `end` did not come.
    public func lost(before end: Int) -> Int {
        missing.count + (next < end ? (end - next + step - 1) / step : 0)
    }

    /// The number of the publication in this watcher's own count, from 0.
    public func place(of number: Int) -> Int { (number - first) / step }
}
