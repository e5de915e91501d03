// FuzzInput: what libFuzzer hands to one run: a byte of choices, and bytes that came over a network. Each fuzzer states in its first
// lines what must hold; `make fuzz CODEC=… SECONDS=…` builds and runs one.

/// One run's input.
struct FuzzInput {
    /// Bits that choose the circumstances: the lower four how the bytes are cut, the upper ones what the fuzzer likes.
    let choice: UInt8
    let bytes: [UInt8]

    init(_ data: UnsafePointer<UInt8>, _ count: Int) {
        let all = unsafe UnsafeBufferPointer(start: data, count: count)
        choice = unsafe all.first ?? 0
        bytes = unsafe Array(all.dropFirst())
    }

    /// Where the reads of a network might have ended: all at once, byte by byte, or in pieces of 1 to 14 bytes that differ.
    var ends: [Int] {
        let step = Int(choice & 0x0f)
        if step == 0 || bytes.isEmpty { return [bytes.count] }
        var ends: [Int] = []
        var end = 0
        while end < bytes.count {
            end = min(end + 1 + (step == 1 ? 0 : (ends.count &* 7 &+ step) % step), bytes.count)
            ends.append(end)
        }
        return ends
    }
}

/// Ends the process with a report when two ways that must agree do not.
func require(_ condition: Bool, _ belief: @autoclosure () -> String) {
    // Not a precondition: an optimised one is silent.
    if !condition { fatalError(belief()) }
}
