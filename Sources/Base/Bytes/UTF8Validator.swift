// UTF8Validator: whether bytes that arrive in pieces are UTF-8 so far (RFC 3629 §4). Keeps three bytes of state and no text; what the
// text says is nobody's business here.
//
// Cost: eight ASCII bytes are a load and a compare; any other byte is two compares. Nothing is allocated.

/// An incremental check for UTF-8: strict about overlong forms, surrogates and the end of the code space.
///
/// It fails at the first byte that no continuation could make right, even inside an unfinished sequence.
public struct UTF8Validator: Equatable, Sendable {
    /// Continuation bytes that the sequence at hand still wants.
    @usableFromInline var wanted: UInt8 = 0
    /// What the next continuation byte may be; an empty range (`low > high`) after the text went wrong, so that it stays wrong.
    @usableFromInline var low: UInt8 = 0x80
    @usableFromInline var high: UInt8 = 0xbf

    @inlinable
    public init() {}

    /// Whether the text may end here: nothing wrong so far and no sequence unfinished.
    @inlinable
    public var isComplete: Bool { wanted == 0 }

    /// Takes the next bytes of the text.
    ///
    /// - Returns: whether everything so far is the beginning of some valid text; once `false`, always `false`.
    public mutating func validate(_ bytes: Span<UInt8>) -> Bool {
        guard low <= high else { return false }
        let before = self
        self = unsafe bytes.withUnsafeBufferPointer { unsafe UTF8Validator.advance(before, over: $0) }
        return low <= high
    }

    /// The state in which no byte is right.
    private static let wrong = UTF8Validator(wanted: 1, low: 1, high: 0)

    private init(wanted: UInt8, low: UInt8, high: UInt8) {
        self.wanted = wanted
        self.low = low
        self.high = high
    }

    /// The state after `bytes`.
    private static func advance(_ before: UTF8Validator, over bytes: UnsafeBufferPointer<UInt8>) -> UTF8Validator {
        guard let base = bytes.baseAddress else { return before }
        let end = bytes.count
        var index = 0
        var (wanted, low, high) = (before.wanted, before.low, before.high)
        while true {
            // What is left of a sequence, here or across the border of two pieces.
            while wanted > 0, index < end {
                let byte = unsafe base[index]
                guard byte >= low, byte <= high else { return wrong }
                (low, high) = (0x80, 0xbf)
                wanted &-= 1
                index &+= 1
            }
            index = unsafe skipASCII(base, from: index, to: end)
            guard index < end else { return UTF8Validator(wanted: wanted, low: low, high: high) }
            // RFC 3629 §4: the lead byte names the length, and four of them narrow what may follow.
            switch unsafe base[index] {
            case 0xc2...0xdf: (wanted, low, high) = (1, 0x80, 0xbf)
            case 0xe0: (wanted, low, high) = (2, 0xa0, 0xbf)
            case 0xe1...0xec, 0xee, 0xef:
                // Most of the world's scripts: three bytes at once, where they are all here.
                if end &- index >= 3, unsafe base[index &+ 1] & 0xc0 == 0x80, unsafe base[index &+ 2] & 0xc0 == 0x80 {
                    index &+= 3
                    continue
                }
                (wanted, low, high) = (2, 0x80, 0xbf)
            case 0xed: (wanted, low, high) = (2, 0x80, 0x9f)
            case 0xf0: (wanted, low, high) = (3, 0x90, 0xbf)
            case 0xf1...0xf3: (wanted, low, high) = (3, 0x80, 0xbf)
            case 0xf4: (wanted, low, high) = (3, 0x80, 0x8f)
            default: return wrong
            }
            index &+= 1
        }
    }

    /// Whether `bytes` are a whole valid text.
    public static func isValid(_ bytes: Span<UInt8>) -> Bool {
        var validator = UTF8Validator()
        return validator.validate(bytes) && validator.isComplete
    }

    /// The first index from `start` on that is not ASCII, or `end`.
    @inline(__always)
    private static func skipASCII(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
        var index = start
        while end &- index >= 8 {
            let word = unsafe UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self)
            let marks = UInt64(littleEndian: word) & 0x8080_8080_8080_8080
            if marks != 0 { return index &+ marks.trailingZeroBitCount &>> 3 }
            index &+= 8
        }
        while index < end, unsafe base[index] < 0x80 { index &+= 1 }
        return index
    }
}
