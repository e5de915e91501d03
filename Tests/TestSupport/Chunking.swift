// Chunking: ways to cut the same input into reads. A codec that is right gives the same events for every one of them.

/// A way to cut input into pieces as the network might.
public enum Chunking: Hashable, Sendable, CustomStringConvertible {
    case whole
    case byteByByte
    /// Pieces of 1 to 17 bytes, chosen by the seed.
    case seeded(UInt64)

    public static let all: [Chunking] = [.whole, .byteByByte, .seeded(1), .seeded(2), .seeded(3)]

    public func split(_ bytes: [UInt8]) -> [[UInt8]] {
        switch self {
        case .whole:
            return [bytes]
        case .byteByByte:
            return bytes.map { [$0] }
        case .seeded(let seed):
            var random = Seeded(seed: seed)
            var pieces: [[UInt8]] = []
            var start = 0
            while start < bytes.count {
                let end = min(start + Int.random(in: 1...17, using: &random), bytes.count)
                pieces.append(Array(bytes[start..<end]))
                start = end
            }
            return pieces
        }
    }

    public var description: String {
        switch self {
        case .whole: "whole"
        case .byteByByte: "byte by byte"
        case .seeded(let seed): "seed \(seed)"
        }
    }
}

/// A reproducible source of chance for tests (SplitMix64).
public struct Seeded: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
