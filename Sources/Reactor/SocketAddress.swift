// SocketAddress: where to listen or to connect to, as people write it and as the kernel wants it. Numeric hosts and `localhost` only:
// nobody is asked.
import Base
import CLinux
import Glibc

/// An address of a socket: `HOST:PORT`, `[IPv6]:PORT` or `unix:PATH`.
public enum SocketAddress: Hashable, Sendable {
    /// Host order.
    case v4(UInt32, port: UInt16)
    /// Network order, 8 bytes each.
    case v6(high: UInt64, low: UInt64, port: UInt16)
    case unix(path: String)

    /// Why a text is no address.
    public enum Mistake: Error, Equatable, Sendable {
        case portMissing
        case portInvalid
        case hostInvalid
        /// Empty, or longer than the 107 bytes that a socket address has room for.
        case pathInvalid
    }

    /// Reads `127.0.0.1:8080`, `localhost:8080`, `[::1]:8080` or `unix:/run/x.sock`; port 0 lets the kernel choose.
    public init(_ text: String) throws(Mistake) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            // The path ends with a zero byte, which it must not contain.
            guard !path.isEmpty, path.utf8.count < SocketAddress.pathBytesMax, !path.utf8.contains(0) else { throw .pathInvalid }
            self = .unix(path: path)
            return
        }
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { throw .portMissing }
        let digits = text[text.utf8.index(after: colon)...]
        guard digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let port = UInt16(digits) else { throw .portInvalid }
        let host = text[..<colon]
        if host == "localhost" {
            self = .v4(0x7f00_0001, port: port)
        } else if host.hasPrefix("["), host.hasSuffix("]"), let (high, low) = SocketAddress.v6(String(host.dropFirst().dropLast())) {
            self = .v6(high: high, low: low, port: port)
        } else if let address = SocketAddress.v4(String(host)) {
            self = .v4(address, port: port)
        } else {
            throw .hostInvalid
        }
    }

    static let pathBytesMax = MemoryLayout.size(ofValue: sockaddr_un().sun_path)

    private static func v4(_ host: String) -> UInt32? {
        var address = in_addr()
        return unsafe inet_pton(AF_INET, host, &address) == 1 ? UInt32(bigEndian: address.s_addr) : nil
    }

    private static func v6(_ host: String) -> (high: UInt64, low: UInt64)? {
        var address: (UInt64, UInt64) = (0, 0)
        guard unsafe inet_pton(AF_INET6, host, &address) == 1 else { return nil }
        return (UInt64(bigEndian: address.0), UInt64(bigEndian: address.1))
    }

    var family: Int32 {
        switch self {
        case .v4: AF_INET
        case .v6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// Shows the address to a call in the kernel's form.
    func withKernelForm<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        switch self {
        case .v4(let address, let port):
            var form = sockaddr_in()
            form.sin_family = sa_family_t(AF_INET)
            form.sin_port = port.bigEndian
            form.sin_addr.s_addr = address.bigEndian
            return unsafe SocketAddress.show(&form, socklen_t(MemoryLayout<sockaddr_in>.size), body)
        case .v6(let high, let low, let port):
            var form = sockaddr_in6()
            form.sin6_family = sa_family_t(AF_INET6)
            form.sin6_port = port.bigEndian
            unsafe withUnsafeMutableBytes(of: &form.sin6_addr) { bytes in
                unsafe bytes.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
                unsafe bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            return unsafe SocketAddress.show(&form, socklen_t(MemoryLayout<sockaddr_in6>.size), body)
        case .unix(let path):
            var form = sockaddr_un()
            form.sun_family = sa_family_t(AF_UNIX)
            precondition(path.utf8.count < SocketAddress.pathBytesMax, "a socket's path has fewer than 108 bytes")
            unsafe withUnsafeMutableBytes(of: &form.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
            return unsafe SocketAddress.show(&form, socklen_t(MemoryLayout<sockaddr_un>.size), body)
        }
    }

    private static func show<Form, Result>(
        _ form: inout Form, _ size: socklen_t, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        unsafe withUnsafePointer(to: &form) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, size) }
        }
    }

    /// The address that a socket is bound to; nil for one of another family.
    init?(ownOf raw: Int32) throws(Errno) {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        _ = try Syscall.value("getsockname") {
            unsafe withUnsafeMutablePointer(to: &storage) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(raw, $0, &size) }
            }
        }
        switch Int32(storage.ss_family) {
        case AF_INET:
            let name = SocketAddress.peer(&storage)
            self = .v4(name.v4 ?? 0, port: name.port)
        case AF_INET6:
            let name = SocketAddress.peer(&storage)
            self = .v6(high: name.high, low: name.low, port: name.port)
        case AF_UNIX:
            let room = Int(size) - MemoryLayout<sa_family_t>.size
            let name = unsafe withUnsafeBytes(of: &storage) { bytes in
                unsafe Array(bytes.dropFirst(MemoryLayout<sa_family_t>.size).prefix(max(room, 0)))
            }
            // unix(7): a path ends with a zero byte; a name without a file begins with one, and is written with an @.
            let isAbstract = name.first == 0 && name.count > 1
            let text = isAbstract ? [UInt8(ascii: "@")] + name.dropFirst() : Array(name.prefix { $0 != 0 })
            self = .unix(path: String(decoding: text, as: UTF8.self))
        default: return nil
        }
    }

    /// The peer that the kernel filled in; anything but IPv4 and IPv6 is a unix socket, which has no name.
    static func peer(_ storage: inout sockaddr_storage) -> PeerAddress {
        let family = Int32(storage.ss_family)
        return unsafe withUnsafeBytes(of: &storage) { bytes in
            switch family {
            case AF_INET:
                let form = unsafe bytes.loadUnaligned(as: sockaddr_in.self)
                return .v4(UInt32(bigEndian: form.sin_addr.s_addr), port: UInt16(bigEndian: form.sin_port))
            case AF_INET6:
                // sockaddr_in6: the port is at 2, the address at 8.
                let high = unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                let low = unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
                let port = unsafe UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
                return PeerAddress(high: high, low: low, port: port)
            default:
                return .unix
            }
        }
    }
}

extension SocketAddress: CustomStringConvertible {
    /// The address as it is written.
    public var description: String {
        switch self {
        case .v4(let address, let port): PeerAddress.v4(address, port: port).description
        case .v6(let high, let low, let port): "[\(PeerAddress.v6Text(high, low))]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
