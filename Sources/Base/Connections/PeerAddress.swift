// PeerAddress: where a connection comes from, as bytes. Rendered for logs only.

/// The address of the other end: IPv4 as an IPv4-mapped IPv6 address, IPv6, or a unix socket.
public struct PeerAddress: Hashable, Sendable {
    /// The address in network order, 8 bytes each; both 0 for a unix socket.
    public let high: UInt64
    public let low: UInt64
    /// The port; 0 for a unix socket.
    public let port: UInt16
    public let isUnix: Bool

    public init(high: UInt64, low: UInt64, port: UInt16) {
        self.high = high
        self.low = low
        self.port = port
        isUnix = false
    }

    private init() {
        high = 0
        low = 0
        port = 0
        isUnix = true
    }

    public static let unix = PeerAddress()

    /// An IPv4 address given in host order.
    public static func v4(_ address: UInt32, port: UInt16) -> PeerAddress {
        PeerAddress(high: 0, low: 0xffff_0000_0000 | UInt64(address), port: port)
    }

    /// The IPv4 address in host order, where it is one.
    public var v4: UInt32? {
        !isUnix && high == 0 && low >> 32 == 0xffff ? UInt32(truncatingIfNeeded: low) : nil
    }

    /// Who counts as one where an address has a bound, whichever port: an IPv4 address, or 64 bits of IPv6, which is the least that a
    /// customer is given (RFC 6177), all of them to choose addresses from.
    public var site: PeerAddress {
        if isUnix { return self }
        return PeerAddress(high: high, low: high == 0 ? low : 0, port: 0)
    }

    public var isLoopback: Bool {
        if isUnix { return true }
        if let v4 { return v4 >> 24 == 127 }
        return high == 0 && low == 1
    }
}

extension PeerAddress: CustomStringConvertible {
    public var description: String {
        if isUnix { return "unix" }
        if let v4 { return "\(v4 >> 24).\(v4 >> 16 & 255).\(v4 >> 8 & 255).\(v4 & 255):\(port)" }
        return "[\(PeerAddress.v6Text(high, low))]:\(port)"
    }

    /// An IPv6 address as it is written, its longest run of zero groups left out (RFC 5952 §4).
    public static func v6Text(_ high: UInt64, _ low: UInt64) -> String {
        let groups = (0..<8).map { (index: Int) -> UInt64 in
            let half = index < 4 ? high : low
            return half >> UInt64(48 - 16 * (index % 4)) & 0xffff
        }
        var longest = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(longest.count, 1) { longest = start..<end }
            start = end + 1
        }
        func joined(_ range: Range<Int>) -> String { range.map { String(groups[$0], radix: 16) }.joined(separator: ":") }
        return longest.isEmpty ? joined(0..<8) : joined(0..<longest.lowerBound) + "::" + joined(longest.upperBound..<8)
    }
}

/// Why a connection ended, as the reactor saw it.
public enum CloseCause: Sendable {
    /// The other end closed its side.
    case peerEnded
    /// The connection broke: reset, timed out by the kernel, unreachable.
    case broken(errno: Int32)
    /// The machine asked for it.
    case requested
}
