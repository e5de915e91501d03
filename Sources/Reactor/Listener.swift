// Listener: a socket that waits for connections, and the unix socket's file in the file system. Accepts; knows no connection.
import Base
import CLinux
import Glibc

/// What one attempt to accept gave.
enum Acceptance {
    case connection(Int32, PeerAddress)
    /// Nobody waits.
    case nobody
    /// Whoever it was has gone, or the network had a hiccup: the next one may be well.
    case lost
    /// The process or the system is out of descriptors or memory.
    case shortage(errno: Int32)
}

/// A listening socket. A unix socket's file goes with it.
struct Listener: ~Copyable {
    let descriptor: FileDescriptor
    /// Where it listens, with the port that the kernel chose.
    let address: SocketAddress
    /// The file of a unix socket, as it was made: another's file under the same name is left alone.
    private var file: (device: dev_t, inode: ino_t)?

    init(_ wanted: SocketAddress, backlog: Int32, sharesPort: Bool) throws(Errno) {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let owned = FileDescriptor(owning: try Syscall.value("socket") { socket(wanted.family, type, 0) })
        let raw = owned.raw
        switch wanted {
        case .v4, .v6:
            try Socket.setOption(raw, SOL_SOCKET, SO_REUSEADDR, 1)
            if sharesPort { try Socket.setOption(raw, SOL_SOCKET, SO_REUSEPORT, 1) }
            // Accepted sockets inherit it: one call here instead of one a connection. We gather our writes ourselves.
            try Socket.setOption(raw, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            // [::] and 0.0.0.0 may then stand side by side.
            if wanted.family == AF_INET6 { try Socket.setOption(raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        case .unix(let path):
            try Listener.removeStale(path, wanted)
            // Before there is a file: it is never open to others, whatever the umask.
            _ = try Syscall.value("fchmod") { fchmod(raw, 0o660) }
        }
        _ = try Syscall.value("bind") { unsafe wanted.withKernelForm { unsafe bind(raw, $0, $1) } }
        var made: stat?
        if case .unix(let path) = wanted {
            // The umask may have taken the group's bits.
            _ = try Syscall.value("chmod") { unsafe chmod(path, 0o660) }
            made = Listener.status(path)
        }
        _ = try Syscall.value("listen") { listen(raw, backlog) }
        address = try Listener.bound(raw, wanted)
        file = made.map { ($0.st_dev, $0.st_ino) }
        descriptor = owned
    }

    /// Takes over a socket that another process made, and that is owned from now on.
    ///
    /// - Parameter ownsFile: whether a unix socket's file goes with the listener.
    /// - Throws: ENOTSOCK for what is no socket, EPROTOTYPE for one that carries no streams, EINVAL for one that does not listen,
    ///   EAFNOSUPPORT for one that is neither of the internet nor a unix socket.
    init(adopting raw: Int32, ownsFile: Bool, sharesPort: Bool = false) throws(Errno) {
        let address = try Listener.examine(raw)
        // Both may be unset, as the other process wished.
        _ = try Syscall.value("fcntl") { fcntl(raw, F_SETFD, FD_CLOEXEC) }
        let flags = try Syscall.value("fcntl") { fcntl(raw, F_GETFL) }
        _ = try Syscall.value("fcntl") { fcntl(raw, F_SETFL, flags | O_NONBLOCK) }
        var made: stat?
        if case .unix(let path) = address {
            if ownsFile { made = Listener.status(path) }
        } else {
            // socket(7): the first of several has to have it before the second is bound, which it may be long after this one was.
            if sharesPort { try Socket.setOption(raw, SOL_SOCKET, SO_REUSEPORT, 1) }
            try Socket.setOption(raw, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        }
        self.address = address
        file = made.map { ($0.st_dev, $0.st_ino) }
        descriptor = FileDescriptor(owning: raw)
    }

    /// Leaves a unix socket's file to somebody else.
    mutating func leaveFile() { file = nil }

    /// A unix socket's file goes with it from now on.
    mutating func ownFile() {
        guard case .unix(let path) = address else { return }
        file = Listener.status(path).map { ($0.st_dev, $0.st_ino) }
    }

    var ownsFile: Bool { file != nil }

    /// Where a descriptor listens, which may be anything.
    static func examine(_ raw: Int32) throws(Errno) -> SocketAddress {
        // Not by `Syscall`: that the descriptor is not open is no bug of ours.
        guard fcntl(raw, F_GETFD) >= 0 else { throw Errno(errno, in: "fcntl") }
        guard try option(raw, SO_TYPE) == Int32(SOCK_STREAM.rawValue) else { throw Errno(EPROTOTYPE, in: "getsockopt") }
        guard try option(raw, SO_ACCEPTCONN) != 0 else { throw Errno(EINVAL, in: "getsockopt") }
        guard let address = try SocketAddress(ownOf: raw) else { throw Errno(EAFNOSUPPORT, in: "getsockname") }
        return address
    }

    private static func option(_ raw: Int32, _ name: Int32) throws(Errno) -> Int32 {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        _ = try Syscall.value("getsockopt") { unsafe getsockopt(raw, SOL_SOCKET, name, &value, &size) }
        return value
    }

    deinit {
        guard case .unix(let path) = address, let file, let now = Listener.status(path) else { return }
        if now.st_dev == file.device, now.st_ino == file.inode { _ = unsafe unlink(path) }
    }

    /// Takes one connection out of the backlog.
    func accept() -> Acceptance {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let raw = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe accept4(descriptor.raw, $0, &size, flags) }
        }
        if raw >= 0 { return .connection(raw, SocketAddress.peer(&storage)) }
        switch errno {
        case EAGAIN: return .nobody
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .shortage(errno: errno)
        case EBADF, EFAULT, EINVAL, ENOTSOCK: preconditionFailure("accept4 was given what is no listener of ours: errno \(errno)")
        // accept(2): Linux passes pending network errors of the new socket on; they are to be treated like EAGAIN.
        default: return .lost
        }
    }

    private static func bound(_ raw: Int32, _ wanted: SocketAddress) throws(Errno) -> SocketAddress {
        if case .unix = wanted { return wanted }
        return try SocketAddress(ownOf: raw) ?? wanted
    }

    /// Removes the socket file of a server that is gone; one that still answers keeps it, and a file that is no socket is not touched.
    private static func removeStale(_ path: String, _ address: SocketAddress) throws(Errno) {
        guard let status = status(path), status.st_mode & S_IFMT == S_IFSOCK else { return }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let probe = FileDescriptor(owning: try Syscall.value("socket") { socket(AF_UNIX, type, 0) })
        let result = unsafe address.withKernelForm { unsafe connect(probe.raw, $0, $1) }
        guard result != 0, errno == ECONNREFUSED else { throw Errno(EADDRINUSE, in: "bind") }
        _ = try Syscall.value("unlink") { unsafe unlink(path) }
    }

    private static func status(_ path: String) -> stat? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status : nil
    }
}
