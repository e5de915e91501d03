// FuzzInput: what one run of a fuzzer is given: a byte of choices, and bytes that came over a network. Each check states in its first
// lines what must hold; the table of them is Codec.

/// One run's input.
struct FuzzInput {
    /// Bits that choose the circumstances: the lower four how the bytes are cut, the upper ones what the check likes.
    let choice: UInt8
    let bytes: [UInt8]

    init(_ all: [UInt8]) {
        choice = all.first ?? 0
        bytes = Array(all.dropFirst())
    }

    /// The same choices over other bytes.
    init(choice: UInt8, bytes: [UInt8]) {
        self.choice = choice
        self.bytes = bytes
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

    /// The bytes as messages, which may be long: between bytes that no UTF-8 has, where the bit 0x40 says so, else as `ends` cuts them.
    var messages: [[UInt8]] {
        choice & 0x40 == 0 ? pieces : bytes.split(separator: 0xff, omittingEmptySubsequences: false).map(Array.init)
    }

    /// The bytes as `ends` cuts them.
    var pieces: [[UInt8]] {
        var start = 0
        return ends.map { end in
            defer { start = end }
            return Array(bytes[start..<end])
        }
    }
}

/// Ends the process with a report when two ways that must agree do not.
func require(_ condition: Bool, _ belief: @autoclosure () -> String) {
    // Not a precondition: an optimised one is silent.
    if !condition { fatalError(belief()) }
}

/// A copy of what a span shows.
func array(_ span: Span<UInt8>) -> [UInt8] { unsafe span.withUnsafeBufferPointer { unsafe Array($0) } }
