// Question: one GET over HTTP/1.1, with or without TLS, asked and waited for: for commands of this program that look at a server, and never
// on a loop. Follows no redirection and reads no chunks: what it asks answers with a length, or with the end of the connection (RFC 9112
// §6.3).
public import Base
import CLinux
import Glibc

public enum Question {
    /// What was answered.
    public struct Answer: Sendable {
        public let status: Int
        public let body: SharedBytes
    }

    /// Why there is no answer.
    public enum Failure: Error {
        case broken(Errno)
        case refused(TLSRefusal)
    }

    private static let answerBytesMax = 16 << 20

    /// Asks, and waits for the whole answer.
    ///
    /// - Parameters:
    ///   - identity: where it is asked over TLS: for whom the server's certificate has to be, and whose certificates are believed.
    ///   - token: goes with the request where it is not empty.
    ///   - patience: how long nothing may happen.
    public static func ask(
        _ path: String, of address: SocketAddress, _ identity: (host: String, trust: TLSTrust)? = nil, authority: String, token: String,
        patience: TimeSpan
    ) throws(Failure) -> Answer {
        var session: TLSSession?
        do throws(Errno) {
            let socket = Socket(raw: try Socket.connecting(to: address))
            defer { FileDescriptor.close(socket.raw) }
            try wait(socket.raw, Int16(POLLOUT), patience)
            let code = socket.takeError()
            guard code == 0 else { throw Errno(code, in: "connect") }
            if let identity {
                session = TLSSession(calling: identity.host, identity.trust, descriptor: socket.raw)
                guard let session else { throw Errno(ENOMEM, in: "connect") }
                try shakeHands(session, socket.raw, patience)
            }
            let credentials = token.isEmpty ? "" : "Authorization: Bearer \(token)\r\n"
            let request = Array("GET \(path) HTTP/1.1\r\nHost: \(authority)\r\nConnection: close\r\n\(credentials)\r\n".utf8)
            var sent = 0
            while sent < request.count { sent += try send(request.span.extracting(sent...), session, socket.raw, patience) }
            var answer = ByteWriter()
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            while answer.count < answerBytesMax {
                let count = try receive(into: &buffer, session, socket.raw, patience)
                guard count > 0 else { return try read(answer.span) }
                answer.append(buffer.span.extracting(0..<count))
            }
            throw Errno(EMSGSIZE, in: "recv")
        } catch {
            if let refusal = session?.refusal { throw .refused(refusal) }
            throw .broken(error)
        }
    }

    private static func shakeHands(_ session: TLSSession, _ raw: Int32, _ patience: TimeSpan) throws(Errno) {
        while true {
            switch session.shakeHands() {
            case .done: return
            case .wantsInput: try wait(raw, Int16(POLLIN), patience)
            case .wantsOutput: try wait(raw, Int16(POLLOUT), patience)
            case .plainText, .refused, .gone: throw Errno(session.brokenBy, in: "connect")
            }
        }
    }

    /// - Returns: how many were taken.
    private static func send(_ bytes: Span<UInt8>, _ session: TLSSession?, _ raw: Int32, _ patience: TimeSpan) throws(Errno) -> Int {
        while true {
            guard let session else {
                return try Syscall.value("send") {
                    unsafe bytes.withUnsafeBufferPointer { unsafe Glibc.send(raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                }
            }
            let transfer = unsafe bytes.withUnsafeBytes { bytes in
                unsafe bytes.baseAddress.map { unsafe session.send($0, count: min(bytes.count, TLSSession.recordBytes)) }
            }
            if let count = try take(transfer ?? .bytes(0), raw, patience, "send") { return count }
        }
    }

    /// - Returns: how many came; 0 at the end.
    private static func receive(
        into buffer: inout [UInt8], _ session: TLSSession?, _ raw: Int32, _ patience: TimeSpan
    ) throws(Errno) -> Int {
        while true {
            guard let session else {
                try wait(raw, Int16(POLLIN), patience)
                return try Syscall.value("recv") {
                    unsafe buffer.withUnsafeMutableBytes { unsafe recv(raw, $0.baseAddress, $0.count, 0) }
                }
            }
            let transfer = unsafe buffer.withUnsafeMutableBufferPointer { buffer in
                unsafe buffer.baseAddress.map { unsafe session.receive(into: $0, room: buffer.count) }
            }
            if let count = try take(transfer ?? .ended, raw, patience, "recv") { return count }
        }
    }

    /// What a session's step came to.
    ///
    /// - Returns: nil where it is to be tried again, now that what it waited for has come.
    private static func take(
        _ transfer: SecureTransfer, _ raw: Int32, _ patience: TimeSpan, _ call: StaticString
    ) throws(Errno) -> Int? {
        switch transfer {
        case .bytes(let count): return count
        case .ended: return 0
        case .failed(let code): throw Errno(code, in: call)
        case .wantsInput: try wait(raw, Int16(POLLIN), patience)
        case .wantsOutput: try wait(raw, Int16(POLLOUT), patience)
        }
        return nil
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
