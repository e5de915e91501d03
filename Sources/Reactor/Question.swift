// Question: one GET over HTTP/1.1, asked and waited for: for commands of this program that look at a server, and never on a loop. Follows
// no redirection and reads no chunks: what it asks answers with a length, or with the end of the connection (RFC 9112 §6.3).
public import Base
import CLinux
import Glibc

public enum Question {
    /// What was answered.
    public struct Answer: Sendable {
        public let status: Int
        public let body: SharedBytes
    }

    private static let answerBytesMax = 16 << 20

    /// Asks, and waits for the whole answer.
    ///
    /// - Parameters:
    ///   - token: goes with the request where it is not empty.
    ///   - patience: how long nothing may happen.
    public static func ask(
        _ path: String, of address: SocketAddress, authority: String, token: String, patience: TimeSpan
    ) throws(Errno) -> Answer {
        let socket = Socket(raw: try Socket.connecting(to: address))
        defer { FileDescriptor.close(socket.raw) }
        try wait(socket.raw, Int16(POLLOUT), patience)
        let code = socket.takeError()
        guard code == 0 else { throw Errno(code, in: "connect") }
        let credentials = token.isEmpty ? "" : "Authorization: Bearer \(token)\r\n"
        let request = Array("GET \(path) HTTP/1.1\r\nHost: \(authority)\r\nConnection: close\r\n\(credentials)\r\n".utf8)
        var sent = 0
        while sent < request.count {
            sent += try Syscall.value("send") {
                unsafe request[sent...].withUnsafeBytes { bytes in
                    unsafe send(socket.raw, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
                }
            }
        }
        var answer = ByteWriter()
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while answer.count < answerBytesMax {
            try wait(socket.raw, Int16(POLLIN), patience)
            let count = try Syscall.value("recv") {
                unsafe buffer.withUnsafeMutableBytes { unsafe recv(socket.raw, $0.baseAddress, $0.count, 0) }
            }
            guard count > 0 else { return try read(answer.span) }
            answer.append(buffer.span.extracting(0..<count))
        }
        throw Errno(EMSGSIZE, in: "recv")
    }

    private static func wait(_ raw: Int32, _ events: Int16, _ patience: TimeSpan) throws(Errno) {
        var watched = pollfd(fd: raw, events: events, revents: 0)
        let ready = try Syscall.value("poll") { unsafe poll(&watched, 1, Int32(clamping: patience.milliseconds)) }
        guard ready > 0 else { throw Errno(ETIMEDOUT, in: "poll") }
    }

    /// `HTTP/1.1 200 …`, and what stands behind the head.
    private static func read(_ bytes: Span<UInt8>) throws(Errno) -> Answer {
        guard bytes.count > 12, bytes.hasPrefix("HTTP/1."), let status = bytes.decimal(at: 9..<12) else { throw Errno(EPROTO, in: "recv") }
        var index = 3
        while index < bytes.count {
            if bytes[index] == 10, bytes[index - 1] == 13, bytes[index - 2] == 10, bytes[index - 3] == 13 {
                return Answer(status: Int(status), body: SharedBytes(copying: bytes.extracting(index + 1..<bytes.count)))
            }
            index += 1
        }
        throw Errno(EPROTO, in: "recv")
    }
}
