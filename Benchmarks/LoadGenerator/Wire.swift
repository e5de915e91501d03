// Wire: one connection's bytes, as the socket has them or through TLS (OpenSSL). Not a buffer, and not a poller: what cannot be had or
// given at once is errno EAGAIN, as the system has it.
//
// Cost: the system call, some 2 µs; with TLS some 1 µs more a record. The certificate is not checked: both ends are ours.

import COpenSSL
import Glibc

// @safe: the session is this wire's own until `close`; OpenSSL is given no address beyond a call.
@safe
struct Wire {
    enum Handshake {
        case done, wantsInput, wantsOutput, failed
    }

    let socket: Int32
    private let session: OpaquePointer?

    /// What all sessions of the program have in common; lives as long as it.
    static func context() throws(RunError) -> OpaquePointer {
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw RunError("OpenSSL makes no context") }
        // A record's head and body in one read, and no buffers of an idle session.
        let mode = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS
        _ = unsafe SSL_CTX_ctrl(context, SSL_CTRL_MODE, Int(mode), nil)
        unsafe SSL_CTX_set_default_read_buffer_len(context, 64 << 10)
        _ = unsafe SSL_CTX_ctrl(context, SSL_CTRL_SET_READ_AHEAD, 1, nil)
        return unsafe context
    }

    /// - Parameter context: Of TLS; nil for a plain wire.
    init(_ socket: Int32, _ context: OpaquePointer?) throws(RunError) {
        self.socket = socket
        guard let context = unsafe context else {
            unsafe session = nil
            return
        }
        unsafe session = SSL_new(context)
        guard let session = unsafe session, unsafe SSL_set_fd(session, socket) == 1 else { throw RunError("OpenSSL makes no session") }
        unsafe SSL_set_connect_state(session)
    }

    /// Goes on with the handshake; done at once on a plain wire.
    func shakeHands() -> Handshake {
        guard let session = unsafe session else { return .done }
        let result = unsafe SSL_do_handshake(session)
        if result == 1 { return .done }
        let kind = unsafe SSL_get_error(session, result)
        ERR_clear_error()
        return kind == SSL_ERROR_WANT_READ ? .wantsInput : kind == SSL_ERROR_WANT_WRITE ? .wantsOutput : .failed
    }

    /// As recv.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let session = unsafe session else { return unsafe recv(socket, buffer.baseAddress, buffer.count, 0) }
        var count = 0
        // What OpenSSL has read ahead raises no readiness, so it is all taken.
        repeat {
            let got = unsafe SSL_read(session, buffer.baseAddress.map { unsafe $0 + count }, Int32(buffer.count - count))
            guard got > 0 else { return count > 0 ? count : unsafe Self.failure(session, got) }
            count += Int(got)
        } while unsafe count < buffer.count && SSL_has_pending(session) == 1
        return count
    }

    /// As send.
    func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard let session = unsafe session else { return unsafe send(socket, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)) }
        var count = 0
        while count < bytes.count {
            let put = unsafe SSL_write(session, bytes.baseAddress.map { unsafe $0 + count }, Int32(bytes.count - count))
            guard put > 0 else { return count > 0 ? count : unsafe Self.failure(session, put) }
            count += Int(put)
        }
        return count
    }

    func close() {
        unsafe SSL_free(session)
        _ = Glibc.close(socket)
    }

    /// Closes without a goodbye: neither side keeps the address busy.
    func reset() {
        var lingering = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(socket, SOL_SOCKET, SO_LINGER, &lingering, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    private static func failure(_ session: OpaquePointer, _ result: Int32) -> Int {
        let kind = unsafe SSL_get_error(session, result)
        ERR_clear_error()
        if kind == SSL_ERROR_ZERO_RETURN { return 0 }
        errno = kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO
        return -1
    }
}
