// Origin: whether a web page of that origin may speak to the server. A browser tells the page's origin with every WebSocket and every
// POST; other clients send none and pass. Exact comparison, no patterns (RFC 6454 §7, RFC 6455 §10.2).
internal import Base

enum Origin {
    /// - Parameters:
    ///   - origin: the Origin header, `scheme://host[:port]`.
    ///   - authority: what the request was sent to, `host[:port]`.
    static func isAllowed(_ origin: Span<UInt8>, authority: Span<UInt8>, allowed: [SharedBytes]) -> Bool {
        // The same site: what stands behind `scheme://` is what the request was sent to. That says something only of an address, or of
        // this machine: any other name may have been made to lead here by whoever made the page (DNS rebinding).
        if let host = host(origin), isAddress(authority), equals(origin.extracting(host), authority) { return true }
        return isListed(origin, in: allowed)
    }

    /// Whether the operator has named the origin.
    static func isListed(_ origin: Span<UInt8>, in allowed: [SharedBytes]) -> Bool {
        for one in allowed where equals(origin, one.span) { return true }
        return false
    }

    /// Whether the authority is `localhost`, an IPv4 or an IPv6 address, each with a port or without. Browsers write an address as four
    /// decimal numbers, however it was typed (the URL standard's IPv4 serializer); a name may end in a digit, and be anybody's.
    private static func isAddress(_ authority: Span<UInt8>) -> Bool {
        guard !authority.isEmpty else { return false }
        if authority[0] == UInt8(ascii: "[") { return true }
        var end = 0
        while end < authority.count, authority[end] != UInt8(ascii: ":") { end += 1 }
        if authority.equals("localhost", ignoringASCIICaseAt: 0..<end) { return true }
        for index in 0..<end where !authority[index].isASCIIDigit && authority[index] != UInt8(ascii: ".") { return false }
        return end > 0 && authority[end - 1].isASCIIDigit
    }

    private static func host(_ origin: Span<UInt8>) -> Range<Int>? {
        if origin.hasPrefix("http://") { return 7..<origin.count }
        if origin.hasPrefix("https://") { return 8..<origin.count }
        return nil
    }

    /// Schemes and hosts are the same in either case of their letters (RFC 3986 §6.2.2.1).
    private static func equals(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        for index in left.indices where lowercased(left[index]) != lowercased(right[index]) { return false }
        return true
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }
}
