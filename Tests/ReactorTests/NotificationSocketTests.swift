// Goal: datagrams reach a path and a name without a file, whole; nobody who listens is no error.
import CLinux
import Glibc
import Testing

@testable import Reactor

struct NotificationSocketTests {
    /// Waits for datagrams at an address as NOTIFY_SOCKET has it.
    private func listener(_ name: String) throws -> Int32 {
        let raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var form = sockaddr_un()
        form.sun_family = sa_family_t(AF_UNIX)
        let isAbstract = name.hasPrefix("@")
        let bytes = isAbstract ? [0] + name.utf8.dropFirst() : name.utf8 + [0]
        unsafe withUnsafeMutableBytes(of: &form.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let size = socklen_t(2 + bytes.count)
        let result = unsafe withUnsafePointer(to: &form) { form in
            unsafe form.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(raw, $0, size) }
        }
        try #require(result == 0)
        return raw
    }

    private func datagram(_ raw: Int32) -> String? {
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = unsafe recv(raw, &bytes, bytes.count, 0)
        return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    @Test("to a path, and to a name without a file", arguments: [true, false])
    func sends(isAbstract: Bool) throws {
        let name = isAbstract ? "@signalbox-test-\(getpid())-\(UInt32.random(in: 0 ... .max))" : socketPath("notify")
        let raw = try listener(name)
        let notes = try #require(try NotificationSocket(name))
        #expect(notes.send("READY=1\n") && notes.send("STATUS=well\n"))
        #expect(datagram(raw) == "READY=1\n" && datagram(raw) == "STATUS=well\n" && datagram(raw) == nil)
        PassingSocket.close(raw)
        if !isAbstract { _ = unsafe unlink(name) }
        // Whoever listened is gone.
        #expect(!notes.send("more"))
    }

    @Test("a reader that does not read holds nobody up")
    func full() throws {
        let name = socketPath("full")
        let raw = try listener(name)
        let notes = try #require(try NotificationSocket(name))
        var count = 0
        while count < 100_000, notes.send("WATCHDOG=1\n") { count += 1 }
        #expect(count < 100_000)
        PassingSocket.close(raw)
        _ = unsafe unlink(name)
    }

    @Test("a name of another kind is none", arguments: ["", "/", "@", "relative", "vsock:1:2", "/\(String(repeating: "x", count: 107))"])
    func kinds(_ name: String) throws {
        #expect(try NotificationSocket(name) == nil)
    }
}
