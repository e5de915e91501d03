// PassingSocket: a unix socket between processes of one user, over which whole messages go, and open descriptors beside them (unix(7),
// SOCK_SEQPACKET and SCM_RIGHTS). Waits for nothing; what the messages say, it does not know.
import CLinux
import Glibc

/// One end, or the door at which others knock.
public final class PassingSocket {
    /// What came.
    public enum Reception: Equatable {
        /// A message, and descriptors that are the receiver's from now on.
        case message(String, [Int32])
        case nothing
        /// The other end is closed.
        case ended
        /// What came was too long, or carried too much, or the socket broke.
        case failed
    }

    /// Bytes of one message.
    public static let messageBytesMax = 64 << 10
    public static let descriptorsMax = Int(SIGNALBOX_DESCRIPTORS_MAX)

    private let descriptor: FileDescriptor
    /// Where it waits for others, and the file, as it was made; nil for an end.
    private var file: (path: String, device: dev_t, inode: ino_t)?

    private init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

    deinit {
        guard let file, let now = PassingSocket.status(file.path) else { return }
        if now.st_dev == file.device, now.st_ino == file.inode { _ = unsafe unlink(file.path) }
    }

    /// The number, for whoever watches it.
    public var raw: Int32 { descriptor.raw }

    // MARK: Doors

    /// Waits for others at `path`, where nobody does; the file is for its owner alone.
    ///
    /// - Throws: EADDRINUSE where somebody answers there, or where there is a file of another kind.
    public static func listening(at path: String) throws(Errno) -> PassingSocket {
        let address = SocketAddress.unix(path: path)
        if let status = status(path), status.st_mode & S_IFMT == S_IFSOCK {
            guard try connected(to: path) == nil else { throw Errno(EADDRINUSE, in: "bind") }
            _ = try Syscall.value("unlink") { unsafe unlink(path) }
        }
        let socket = PassingSocket(try made())
        // Before there is a file: it is never open to others.
        _ = try Syscall.value("fchmod") { fchmod(socket.raw, 0o600) }
        _ = try Syscall.value("bind") { unsafe address.withKernelForm { unsafe bind(socket.raw, $0, $1) } }
        _ = try Syscall.value("listen") { listen(socket.raw, 128) }
        socket.ownFile(path)
        return socket
    }

    /// A door that another process made.
    public static func adopting(_ raw: Int32) -> PassingSocket { PassingSocket(FileDescriptor(owning: raw)) }

    /// The file at `path` goes with the socket from now on.
    public func ownFile(_ path: String) {
        file = PassingSocket.status(path).map { (path, $0.st_dev, $0.st_ino) }
    }

    /// Leaves the file to somebody else.
    public func leaveFile() { file = nil }

    /// Who has knocked; nil where nobody has.
    public func accept() -> PassingSocket? {
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let raw = accept4(self.raw, nil, nil, flags)
        return raw >= 0 ? PassingSocket(FileDescriptor(owning: raw)) : nil
    }

    /// Knocks at `path`.
    ///
    /// - Returns: nil where nobody is there.
    public static func connected(to path: String) throws(Errno) -> PassingSocket? {
        let socket = PassingSocket(try made())
        let address = SocketAddress.unix(path: path)
        guard unsafe address.withKernelForm({ unsafe connect(socket.raw, $0, $1) }) != 0 else { return socket }
        switch errno {
        case ENOENT, ECONNREFUSED: return nil
        default: throw Errno(errno, in: "connect")
        }
    }

    private static func made() throws(Errno) -> FileDescriptor {
        let type = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        return FileDescriptor(owning: try Syscall.value("socket") { socket(AF_UNIX, type, 0) })
    }

    private static func status(_ path: String) -> stat? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status : nil
    }

    /// Whether anybody may put files where `path` is: then it is no place for a door.
    public static func isOpenToAll(_ path: String) -> Bool {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        var status = stat()
        return unsafe stat(folder, &status) == 0 && status.st_mode & S_IWOTH != 0
    }

    // MARK: Ends

    /// Whether the other end is a process of this one's user: whoever connected, or whoever listens.
    public var isOfOurUser: Bool {
        var user: uid_t = 0
        return unsafe signalbox_peer_user(raw, &user) == 0 && user == geteuid()
    }

    /// Sends a message and descriptors, which stay open here.
    ///
    /// - Returns: whether the kernel took it.
    public func send(_ text: String, _ descriptors: [Int32] = []) -> Bool {
        precondition(descriptors.count <= PassingSocket.descriptorsMax, "\(descriptors.count) descriptors do not fit beside one message")
        let bytes = Array(text.utf8)
        let raw = raw
        let sent = Syscall.transfer("sendmsg") {
            unsafe signalbox_send_descriptors(raw, bytes, bytes.count, descriptors, descriptors.count)
        }
        return sent == .bytes(bytes.count)
    }

    /// Takes the next message.
    public func receive() -> Reception {
        var bytes = [UInt8](repeating: 0, count: PassingSocket.messageBytesMax)
        var descriptors = [Int32](repeating: -1, count: PassingSocket.descriptorsMax)
        let room = bytes.count
        var count = 0
        var isWhole: Int32 = 0
        let raw = raw
        let transfer = Syscall.transfer("recvmsg") {
            unsafe signalbox_receive_descriptors(raw, &bytes, room, &descriptors, &count, &isWhole)
        }
        descriptors.removeLast(descriptors.count - count)
        switch transfer {
        case .wouldBlock: return .nothing
        case .failed: return .failed
        case .bytes(let length):
            guard isWhole != 0 else {
                descriptors.forEach(PassingSocket.close)
                return .failed
            }
            // No message of ours is empty: it is the end.
            guard length > 0 || !descriptors.isEmpty else { return .ended }
            return .message(String(decoding: bytes.prefix(length), as: UTF8.self), descriptors)
        }
    }

    /// Closes a descriptor that came and is not wanted.
    public static func close(_ raw: Int32) { FileDescriptor.close(raw) }

    /// Waits until something can be received, or ends.
    ///
    /// - Returns: whether it can; false when the time is over.
    public func wait(atMost milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, milliseconds) > 0
    }
}
