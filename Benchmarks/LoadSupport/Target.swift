// Target: where a run goes: an address of this machine, a port and a path (RFC 3986 as far as that). Not a resolver: the load
// generator stays on loopback, on purpose.

/// A parsed `ws://`, `wss://`, `http://`, `https://` or `tcp://` address.
public struct Target: Equatable, Sendable {
    public enum Scheme: String, Sendable {
        case ws
        case wss
        case http
        case https
        /// A peer's own protocol.
        case tcp
    }

    public let scheme: Scheme
    /// The address in host byte order; always in 127.0.0.0/8.
    public let address: UInt32
    public let port: UInt16
    /// Path and query, beginning with `/`.
    public let path: String

    /// Nil when `text` is not such an address or leads off this machine.
    public init?(_ text: String) {
        guard let colon = text.firstIndex(of: ":"), let scheme = Scheme(rawValue: String(text[..<colon])) else { return nil }
        let rest = text[colon...]
        guard rest.hasPrefix("://") else { return nil }
        let authority = rest.dropFirst(3).prefix { $0 != "/" && $0 != "?" }
        let path = rest.dropFirst(3 + authority.count)
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = parts.first, parts.count <= 2, let address = Self.address(String(host)) else { return nil }
        var port: UInt16 = 80
        if parts.count == 2 {
            guard let number = UInt16(parts[1]), number > 0 else { return nil }
            port = number
        }
        guard path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
        self.scheme = scheme
        self.address = address
        self.port = port
        self.path = path.hasPrefix("/") ? String(path) : "/" + path
    }

    /// Whether TLS is spoken there.
    public var isSecure: Bool {
        switch scheme {
        case .wss, .https: true
        case .ws, .http, .tcp: false
        }
    }

    /// `host:port` as the field `Host` wants it.
    public var authority: String {
        "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255):\(port)"
    }

    private static func address(_ host: String) -> UInt32? {
        if host == "localhost" { return 0x7f00_0001 }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt32 = 0
        for part in parts {
            guard let byte = UInt8(part) else { return nil }
            address = address << 8 | UInt32(byte)
        }
        return address >> 24 == 127 ? address : nil
    }
}
