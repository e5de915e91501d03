// ClosingPace: how fast a server that ends closes its sockets: so many a slice of time, so that those who come back elsewhere do not come
// all at once. Knows numbers and times, no socket.
internal import Base

/// What may be closed when.
struct ClosingPace {
    /// The grain of the pace.
    static let slice = TimeSpan.milliseconds(100)

    /// Sockets that each slice closes.
    let perSlice: Int
    /// When the next slice begins.
    private(set) var next: Instant

    /// - Parameters:
    ///   - count: sockets that there are.
    ///   - spread: the time over which their ends are spread; zero for none.
    ///   - least: sockets that a slice may close however few there are: their coming back is no burden.
    init(closing count: Int, over spread: TimeSpan, atLeast least: Int, from now: Instant) {
        let slices = max(1, Int(clamping: spread.nanoseconds / ClosingPace.slice.nanoseconds))
        perSlice = max(1, least, count / slices + (count % slices == 0 ? 0 : 1))
        next = now
    }

    /// How many may be closed now: a slice's worth where its time has come, however late.
    mutating func take(at now: Instant) -> Int {
        guard next <= now else { return 0 }
        next = now + ClosingPace.slice
        return perSlice
    }

    /// The rest may be closed at once.
    static func hurried(from now: Instant) -> ClosingPace { ClosingPace(closing: 0, over: .zero, atLeast: .max, from: now) }
}
