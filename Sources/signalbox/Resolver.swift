// Resolver: where a host is that somebody named: an address at once, a name by the system's resolver, which may take its time and is never
// asked on the loop's thread. Connects nothing. Addresses at which no deployment can be are refused, whoever names them (line 34 of the
// security rules): whoever may register a deployment could otherwise have this machine ask for its cloud's secrets.
import Base
import Glibc
import Reactor

enum Resolver {
    /// Why a host is not called.
    struct Refusal: Error, Equatable {
        /// For a person, as the end of a sentence.
        let reason: String
    }

    /// RFC 1035 §2.3.4, as text.
    private static let nameBytesMax = 253

    /// The address of a host that is one, with or without brackets, or `localhost`.
    ///
    /// - Returns: nil for a name: somebody has to be asked.
    static func literal(_ host: SharedBytes, port: UInt16) throws(Refusal) -> SocketAddress? {
        let text = host.description
        guard isHost(text) else { throw Refusal(reason: "'\(text)' is no host") }
        if text.lowercased() == "localhost" { return .v4(0x7f00_0001, port: port) }
        let isBare = text.contains(":") && !text.hasPrefix("[")
        switch try? SocketAddress(isBare ? "[\(text)]:\(port)" : "\(text):\(port)") {
        case .v4(let address, _): return try permitted(.v4(address, port: port))
        case .v6(let high, let low, _): return try permitted(.v6(high: high, low: low, port: port))
        // `unix` is a host like any other here.
        case .unix, nil: break
        }
        guard !text.contains(where: { ":[]".contains($0) }) else { throw Refusal(reason: "'\(text)' is no host") }
        return nil
    }

    /// Asks the system where a name is: the first address that it tells, IPv4 before IPv6. Blocks for as long as the system does.
    static func lookUp(_ host: SharedBytes, port: UInt16) throws(Refusal) -> SocketAddress {
        if let address = try literal(host, port: port) { return address }
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = AF_UNSPEC
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host.description, nil, &hints, &list)
        guard code == 0 else {
            throw Refusal(reason: code == EAI_NONAME ? "host unknown" : unsafe "host not found: \(String(cString: gai_strerror(code)))")
        }
        defer { unsafe freeaddrinfo(list) }
        var found: SocketAddress?
        var next = unsafe list
        while let entry = unsafe next {
            switch unsafe address(in: entry.pointee, port: port) {
            case .v4(let address, _): return try permitted(.v4(address, port: port))
            case .v6(let high, let low, _): found = found ?? .v6(high: high, low: low, port: port)
            case .unix, nil: break
            }
            unsafe next = entry.pointee.ai_next
        }
        guard let found else { throw Refusal(reason: "host has no address") }
        return try permitted(found)
    }

    /// What may stand in a name or an address. A zero byte, above all, would end the text for the system and not for us.
    private static func isHost(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= nameBytesMax else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"): true
            default: false
            }
        }
    }

    private static func address(in entry: addrinfo, port: UInt16) -> SocketAddress? {
        guard let pointer = unsafe UnsafeRawPointer(entry.ai_addr) else { return nil }
        switch unsafe (entry.ai_family, Int(entry.ai_addrlen)) {
        case (AF_INET, MemoryLayout<sockaddr_in>.size...):
            return .v4(UInt32(bigEndian: unsafe pointer.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr), port: port)
        case (AF_INET6, MemoryLayout<sockaddr_in6>.size...):
            // sockaddr_in6: the address is at 8.
            return .v6(
                high: UInt64(bigEndian: unsafe pointer.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                low: UInt64(bigEndian: unsafe pointer.loadUnaligned(fromByteOffset: 16, as: UInt64.self)), port: port)
        default:
            return nil
        }
    }

    // MARK: What is not called

    /// The address, where a deployment may be at it. Those of private networks are: fleets live there.
    static func permitted(_ address: SocketAddress) throws(Refusal) -> SocketAddress {
        switch address {
        case .unix: throw Refusal(reason: "a unix socket is no host")
        case .v4(let v4, _): if let kind = kind(v4) { throw Refusal(reason: "host is \(kind)") }
        case .v6(let high, let low, let port):
            // RFC 4291 §2.5.5.2: an IPv4 address in other clothes.
            if high == 0, low >> 32 == 0xffff { return try permitted(.v4(UInt32(truncatingIfNeeded: low), port: port)) }
            if let kind = kindBehind(high, low) ?? kind(high, low) { throw Refusal(reason: "host is \(kind)") }
        }
        return address
    }

    /// What the IPv4 address is to which a gateway on the way turns an IPv6 address.
    private static func kindBehind(_ high: UInt64, _ low: UInt64) -> StaticString? {
        let last = UInt32(truncatingIfNeeded: low)
        // RFC 6052 §2.1: everybody's prefix.
        if high == 0x0064_ff9b_0000_0000, low >> 32 == 0 { return kind(last) }
        // RFC 3056 §2: 6to4.
        if high >> 48 == 0x2002 { return kind(UInt32(truncatingIfNeeded: high >> 16)) }
        // RFC 8215: a site's own prefixes, whose length is not seen. RFC 6052 §2.2: bits 64 to 71 are none of the address's.
        guard high >> 16 == 0x0064_ff9b_0001 else { return nil }
        let row = (high & 0xffff) << 40 | low >> 16 & 0xff_ffff_ffff
        for shift in [24, 16, 8] as [UInt64] {
            let address = UInt32(truncatingIfNeeded: row >> shift)
            // The zeros of a longer prefix are no address.
            if address >= 0x0100_0000, let kind = kind(address) { return kind }
        }
        return kind(last)
    }

    /// What an address is at which there can be no deployment.
    private static func kind(_ address: UInt32) -> StaticString? {
        switch address {
        case 0x0000_0000...0x00ff_ffff: "an unspecified address"
        // RFC 3927; the metadata services of most clouds, too.
        case 0xa9fe_0000...0xa9fe_ffff: "a link-local address"
        case 0xe000_0000...0xefff_ffff: "a multicast address"
        case 0xffff_ffff: "the broadcast address"
        // Alibaba's and Azure's lie elsewhere.
        case 0x6464_64c8, 0xa83f_8110: "a metadata service"
        default: nil
        }
    }

    private static func kind(_ high: UInt64, _ low: UInt64) -> StaticString? {
        switch (high, low) {
        case (0, 0): "an unspecified address"
        // RFC 4291 §2.4.
        case (0xfe80_0000_0000_0000...0xfebf_ffff_ffff_ffff, _): "a link-local address"
        case (0xff00_0000_0000_0000..., _): "a multicast address"
        // Amazon's and Google's over IPv6.
        case (0xfd00_0ec2_0000_0000, 0x254), (0xfd20_00ce_0000_0000, 0x254): "a metadata service"
        default: nil
        }
    }
}
