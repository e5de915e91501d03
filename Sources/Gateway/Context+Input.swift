// Context+Input: the two bounds of what comes in that no single connection keeps: bytes of everything unfinished together, and who came too
// fast and is not read for a moment.
internal import Base

extension Context {
    /// Whether there is more unfinished input than there may be.
    var isInputOverfull: Bool { inputBytes > limits.inputMemoryBytesMax }

    /// Notes how much unfinished input a connection holds by now.
    ///
    /// - Parameter counted: what it held when it was last noted.
    /// - Returns: whether it may: one that holds more than before may not where there is too much of all together.
    func countInput(_ held: Int, _ counted: inout UInt32) -> Bool {
        let change = held - Int(counted)
        counted = UInt32(clamping: held)
        inputBytes += change
        return change <= 0 || !isInputOverfull
    }

    /// Nobody who came too fast is heard again sooner: few long pauses cost less than many short ones, and the pace is the same.
    private static let pauseMin = TimeSpan.milliseconds(50)

    /// Reads nothing more of a connection that came too fast until it may come again.
    func pause(_ id: ConnectionID, _ limit: PaceLimit, at now: Instant) {
        outbox.pauseReading(id, hearsEnd: false)
        rest(id, until: now + max(TimeSpan(nanoseconds: limit.cost), Context.pauseMin))
    }
}
