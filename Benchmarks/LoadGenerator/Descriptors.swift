// Descriptors: how many sockets this process may have. Raises the soft limit to the hard one, which needs no rights.

import CLinux
import Glibc

enum Descriptors {
    /// Descriptors that are not connections: the standard three, epoll, and some for files that are read.
    private static let reserved = 16

    static func raise() {
        guard var limit = current() else { return }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit)
    }

    /// Fails early, and in words, instead of somewhere in the middle of a run.
    static func demand(_ connections: Int) throws(RunError) {
        guard let limit = current(), UInt64(connections + reserved) > UInt64(limit.rlim_cur) else { return }
        throw RunError("\(connections) connections do not fit the \(limit.rlim_cur) descriptors of this process")
    }

    private static func current() -> rlimit? {
        var limit = rlimit()
        return unsafe getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit) == 0 ? limit : nil
    }
}
