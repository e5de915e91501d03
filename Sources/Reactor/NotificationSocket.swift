// NotificationSocket: a socket for plain datagrams to one address, which is a path, or a name that begins with @. Knows nothing of what
// they say. Whoever should listen and does not is no error of the one who speaks.
import CLinux
import Glibc

/// Where somebody wants to be told how the process is.
public final class NotificationSocket {
    private let descriptor: FileDescriptor
    private var address = sockaddr_un()
    private let size: socklen_t

    /// - Parameter name: an absolute path, or `@name` for a socket without a file; at most 107 bytes.
    /// - Returns: nil for a name of another kind.
    /// - Throws: where there is no socket to be had.
    public init?(_ name: String) throws(Errno) {
        var bytes = Array(name.utf8)
        guard bytes.count > 1, bytes.count < SocketAddress.pathBytesMax, !bytes.contains(0) else { return nil }
        switch bytes[0] {
        case UInt8(ascii: "/"): bytes.append(0)
        // unix(7): the name is all of the address, so its length counts, and its first byte is zero.
        case UInt8(ascii: "@"): bytes[0] = 0
        default: return nil
        }
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        descriptor = FileDescriptor(owning: try Syscall.value("socket") { socket(AF_UNIX, type, 0) })
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        size = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    }

    /// Sends one datagram, and waits for nothing.
    ///
    /// - Returns: whether the kernel took it.
    @discardableResult
    public func send(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let raw = descriptor.raw
        let size = size
        let sent = unsafe withUnsafePointer(to: &address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                Syscall.transfer("sendto") { unsafe sendto(raw, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, size) }
            }
        }
        return sent == .bytes(bytes.count)
    }
}
