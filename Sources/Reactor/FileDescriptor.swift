// FileDescriptor: a descriptor with one owner, closed once, when the owner lets go. The descriptors of connections are not of this type:
// they stand in the connection table and are closed in the last phase of a turn.
import CLinux
import Glibc

/// An open descriptor, owned.
struct FileDescriptor: ~Copyable, Sendable {
    let raw: Int32

    init(owning raw: Int32) {
        precondition(raw >= 0, "\(raw) is no descriptor")
        self.raw = raw
    }

    deinit { FileDescriptor.close(raw) }

    /// Closes a descriptor that is owned elsewhere. EINTR is not tried again: on Linux the descriptor is gone by then.
    static func close(_ raw: Int32) {
        let result = Glibc.close(raw)
        precondition(result == 0 || errno != EBADF, "descriptor \(raw) is closed twice")
    }
}

/// How many descriptors the process may have open.
public enum DescriptorLimit {
    /// Raises the soft limit to the hard one, which needs no privilege.
    ///
    /// - Returns: the limit that holds from now on.
    public static func raise() throws(Errno) -> Int {
        var limit = rlimit()
        _ = try Syscall.value("getrlimit") { unsafe signalbox_descriptor_limit(&limit) }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            _ = try Syscall.value("setrlimit") { unsafe signalbox_set_descriptor_limit(&limit) }
        }
        return Int(clamping: limit.rlim_cur)
    }
}
