// Socket: what is done to a connected descriptor. Nonblocking; owns nothing.
import CLinux
import Glibc

/// A view of a connection's descriptor, which the connection table owns.
struct Socket {
    let raw: Int32

    /// Reads at most `room` bytes to `target`; 0 bytes is the peer's end.
    @inline(__always)
    func receive(into target: UnsafeMutablePointer<UInt8>, room: Int) -> Transfer {
        Syscall.transfer("recv") { unsafe recv(raw, target, room, 0) }
    }

    /// Sends what the slices say, in one call: `send` for one of them, which is cheaper by the copying of a header, else `sendmsg`.
    @inline(__always)
    func send(_ slices: UnsafeMutablePointer<iovec>, count: Int) -> Transfer {
        // MSG_NOSIGNAL: a peer that is gone is an errno here, whatever the program has done about SIGPIPE.
        let flags = Int32(MSG_NOSIGNAL)
        if count == 1 {
            return Syscall.transfer("send") { unsafe Glibc.send(raw, slices.pointee.iov_base, slices.pointee.iov_len, flags) }
        }
        var message = unsafe msghdr()
        unsafe message.msg_iov = slices
        unsafe message.msg_iovlen = count
        return Syscall.transfer("sendmsg") { unsafe sendmsg(raw, &message, flags) }
    }

    /// Says that nothing more will be sent. That the peer is gone by now is no error: its end is read next.
    func shutdownOutput() {
        _ = shutdown(raw, Int32(SHUT_WR))
    }

    /// The error that waits on the socket, and takes it off; 0 for none.
    func takeError() -> Int32 {
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        let result = unsafe getsockopt(raw, SOL_SOCKET, SO_ERROR, &code, &size)
        return result == 0 ? code : errno
    }

    /// A new socket on its way to `address`, or there already.
    ///
    /// - Returns: the descriptor, owned by the caller.
    static func connecting(to address: SocketAddress) throws(Errno) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let raw = try Syscall.value("socket") { socket(address.family, type, 0) }
        do throws(Errno) {
            // As with accepted ones: we gather our writes ourselves.
            if address.family != AF_UNIX { try setOption(raw, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
            let result = unsafe address.withKernelForm { unsafe connect(raw, $0, $1) }
            // connect(2): one that a signal interrupted goes on by itself, and is not to be called again.
            guard result == 0 || errno == EINPROGRESS || errno == EINTR else { throw Errno(errno, in: "connect") }
        } catch {
            FileDescriptor.close(raw)
            throw error
        }
        return raw
    }

    static func setOption(_ raw: Int32, _ level: Int32, _ name: Int32, _ value: Int32) throws(Errno) {
        var value = value
        _ = try Syscall.value("setsockopt") {
            unsafe setsockopt(raw, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }
}
