// Listening sockets: ports, and the file of a unix socket from bind to unlink.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

struct ListenerTests {
    private func mode(_ path: String) -> mode_t? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status.st_mode : nil
    }

    @Test("port 0 becomes the port that the kernel chose")
    func boundAddress() throws {
        let listener = try Listener(SocketAddress("127.0.0.1:0"), backlog: 8, sharesPort: false)
        guard case .v4(0x7f00_0001, let port) = listener.address else { return #expect(Bool(false), "\(listener.address)") }
        #expect(port != 0)
        let peer = try Peer(listener.address)
        guard case .connection(let raw, let address) = listener.accept() else { return #expect(Bool(false), "nobody came") }
        #expect(address.v4 == 0x7f00_0001 && address.port != port)
        FileDescriptor.close(raw)
        guard case .nobody = listener.accept() else { return #expect(Bool(false), "somebody else came") }
        peer.close()
    }

    @Test("a taken port is refused, unless it is shared")
    func sharedPort() throws {
        let single = try Listener(SocketAddress("127.0.0.1:0"), backlog: 8, sharesPort: false)
        let address = single.address
        #expect(throws: Errno(EADDRINUSE, in: "bind")) { _ = try Listener(address, backlog: 8, sharesPort: false).address }
        let first = try Listener(SocketAddress("[::1]:0"), backlog: 8, sharesPort: true)
        let second = try Listener(first.address, backlog: 8, sharesPort: true)
        #expect(first.address == second.address)
    }

    @Test("a port that was taken over is shared from then on, where that is wished")
    func sharedLater() throws {
        func bound() throws -> (Int32, SocketAddress) {
            let made = try Listener(SocketAddress("127.0.0.1:0"), backlog: 8, sharesPort: false)
            return (dup(made.descriptor.raw), made.address)
        }
        let (raw, address) = try bound()
        let adopted = try Listener(adopting: raw, ownsFile: false, sharesPort: true)
        let other = try Listener(address, backlog: 8, sharesPort: true)
        #expect(adopted.address == other.address)
        let (single, taken) = try bound()
        let alone = try Listener(adopting: single, ownsFile: false)
        #expect(throws: Errno(EADDRINUSE, in: "bind")) { _ = try Listener(taken, backlog: 8, sharesPort: true).address }
        #expect(alone.address == taken)
    }

    @Test("a unix socket's file is for owner and group, and goes with the listener")
    func unixFile() throws {
        let path = socketPath("mode")
        do {
            let listener = try Listener(.unix(path: path), backlog: 8, sharesPort: false)
            #expect(mode(path) == S_IFSOCK | 0o660)
            _ = listener.address
        }
        #expect(mode(path) == nil)
    }

    @Test("the file of a server that is gone is replaced; one where somebody answers is not, nor a file that is no socket")
    func staleFile() throws {
        let path = socketPath("stale")
        // Bound and closed without a listener's care: what a crash leaves behind.
        let address = SocketAddress.unix(path: path)
        do {
            let raw = FileDescriptor(owning: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
            #expect(unsafe address.withKernelForm { unsafe bind(raw.raw, $0, $1) } == 0)
        }
        #expect(mode(path) != nil)
        let listener = try Listener(address, backlog: 8, sharesPort: false)
        #expect(throws: Errno(EADDRINUSE, in: "bind")) { _ = try Listener(address, backlog: 8, sharesPort: false).address }
        #expect(mode(path) != nil)
        _ = listener.address

        let file = socketPath("file")
        FileDescriptor.close(unsafe open(file, O_CREAT | O_WRONLY, 0o600))
        #expect(throws: Errno(EADDRINUSE, in: "bind")) { _ = try Listener(.unix(path: file), backlog: 8, sharesPort: false).address }
        #expect(mode(file) == S_IFREG | 0o600)
        unsafe unlink(file)
    }

    @Test("another's file under the same name is left alone at the end")
    func replacedFile() throws {
        let path = socketPath("replaced")
        do {
            let listener = try Listener(.unix(path: path), backlog: 8, sharesPort: false)
            unsafe unlink(path)
            FileDescriptor.close(unsafe open(path, O_CREAT | O_WRONLY, 0o600))
            _ = listener.address
        }
        #expect(mode(path) == S_IFREG | 0o600)
        unsafe unlink(path)
    }
}
