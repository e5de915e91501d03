// TLSSession: one connection's TLS, over the socket itself, so that the kernel can take the enciphering over where it knows how. Says what
// each step came to and what it waits for; when to step, and what to watch, is the loop's.
//
// Cost: a full handshake is a signature, 50 µs (P-256) to 1 ms (RSA), and some 100 µs besides; a resumed one is the latter. A record is
// about 1 µs and 0.3 ns a byte.
import Base
import COpenSSL
import Glibc

/// What became of bytes that were to go through TLS.
enum SecureTransfer: Equatable {
    case bytes(Int)
    /// The peer has to send something first.
    case wantsInput
    /// The kernel has to take something first.
    case wantsOutput
    /// The peer has ended its side.
    case ended
    case failed(errno: Int32)
}

/// What one step of a handshake came to.
enum HandshakeStep: Equatable {
    case done
    case wantsInput
    case wantsOutput
    /// The peer speaks plain HTTP.
    case plainText
    /// It is over, and the peer may have been told why: something may be on its way to it.
    case refused
    /// The peer is gone.
    case gone
}

// @safe: handle and meter are this object's own and are freed once, in its deinit; OpenSSL is given no address beyond a call but the meter.
@safe
final class TLSSession {
    private enum Phase: Equatable {
        case handshaking
        case open
        /// Our close_notify is on its way: nothing more is sent.
        case shut
        /// OpenSSL is not to be asked again.
        case broken(errno: Int32)
    }

    /// What holds a direction back that waits for the other one.
    enum Stall {
        case none
        /// To read, something has to be sent first.
        case readingNeedsRoom
        /// To send, something has to be read first.
        case sendingNeedsInput
    }

    /// The bytes of a record (RFC 8446 §5.1): what one write of ours is.
    static let recordBytes = 16 << 10
    /// What one call may read from the socket: the rest of one record and a whole one. A call that has read all of this and has nothing
    /// to show for it was fed records without content.
    private static let readBytesMax = 2 * (recordBytes + 2_048)

    /// RFC 5280 (appendix A.1) gives a common name 64 characters.
    private static let nameBytesMax = 256

    private let handle: OpaquePointer
    private let isCaller: Bool
    private let readLeft: UnsafeMutablePointer<Int>
    private var phase = Phase.handshaking
    /// Who called; of whom we call nobody asks.
    let peer: PeerAddress
    /// Why a server that we called is not spoken to, where that is TLS's doing.
    private(set) var refusal: TLSRefusal?
    /// Whether its handshake stands in the loop's line.
    var isDue = false
    /// Whether there is input, or an end, that epoll does not know of.
    var hasMore = false
    /// Whether it stands in the loop's line of those.
    var isUnread = false
    var stall = Stall.none

    /// The session with who called.
    ///
    /// - Returns: nil where there is no memory for it.
    convenience init?(_ context: TLSContext, descriptor: Int32, peer: PeerAddress) {
        unsafe self.init(of: context.handle, descriptor, peer, isCaller: false)
        unsafe SSL_set_accept_state(handle)
    }

    /// The session with whom we call.
    ///
    /// - Parameter host: a name or an address, for which its certificate has to be.
    /// - Returns: nil where there is no memory for it.
    convenience init?(calling host: String, _ trust: TLSTrust, descriptor: Int32) {
        unsafe self.init(of: trust.handle, descriptor, .unix, isCaller: true)
        guard unsafe signalbox_expect(handle, host) == 1 else {
            ERR_clear_error()
            return nil
        }
        unsafe SSL_set_connect_state(handle)
    }

    private init?(of context: OpaquePointer, _ descriptor: Int32, _ peer: PeerAddress, isCaller: Bool) {
        guard let made = unsafe SSL_new(context) else {
            ERR_clear_error()
            return nil
        }
        unsafe handle = made
        unsafe readLeft = .allocate(capacity: 1)
        unsafe readLeft.initialize(to: TLSSession.readBytesMax)
        self.isCaller = isCaller
        self.peer = peer
        guard unsafe signalbox_start(made, descriptor, readLeft) == 1 else {
            ERR_clear_error()
            return nil
        }
    }

    deinit {
        unsafe SSL_free(handle)
        unsafe readLeft.deallocate()
    }

    // MARK: The handshake

    func shakeHands() -> HandshakeStep {
        guard phase == .handshaking else { return .refused }
        prepare()
        errno = 0
        let result = unsafe SSL_do_handshake(handle)
        let code = errno
        if result == 1 {
            phase = .open
            return .done
        }
        // What a handshake reads is bounded by the sizes of its messages, so a meter that is used up is no reason to end it: epoll knows.
        switch unsafe SSL_get_error(handle, result) {
        case SSL_ERROR_WANT_READ: return .wantsInput
        case SSL_ERROR_WANT_WRITE: return .wantsOutput
        case SSL_ERROR_SSL:
            let reason = signalbox_error_reason(ERR_peek_error())
            if isCaller { refusal = unsafe TLSRefusal(verdict: SSL_get_verify_result(handle), code: ERR_peek_error()) }
            ERR_clear_error()
            phase = .broken(errno: EPROTO)
            return reason == SSL_R_HTTP_REQUEST ? .plainText : .refused
        default:
            ERR_clear_error()
            phase = .broken(errno: code == 0 || code == EAGAIN ? ECONNRESET : code)
            return .gone
        }
    }

    /// The error that OpenSSL is not asked again behind; 0 for none.
    var brokenBy: Int32 { if case .broken(let code) = phase { code } else { 0 } }

    /// The certificate that the peer has shown, in this session or in the one that it resumes; nil where it has shown none.
    var peerCertificate: PeerCertificate? {
        guard phase != .handshaking, let certificate = unsafe SSL_get0_peer_certificate(handle),
            unsafe SSL_get_verify_result(handle) == Int(X509_V_OK)
        else { return nil }
        guard let expiry = unsafe TLSSession.time(X509_get0_notAfter(certificate)) else { return nil }
        return unsafe PeerCertificate(
            name: TLSSession.commonName(X509_get_subject_name(certificate)),
            issuedAt: TLSSession.time(X509_get0_notBefore(certificate)), expiry: expiry)
    }

    /// A time of a certificate; nil for one that is none.
    private static func time(_ text: UnsafePointer<ASN1_TIME>?) -> WallTime? {
        var parts = unsafe tm()
        guard unsafe ASN1_TIME_to_tm(text, &parts) == 1 else {
            ERR_clear_error()
            return nil
        }
        return WallTime(milliseconds: Int64(unsafe timegm(&parts)) * 1_000)
    }

    /// The subject's common name; empty where it has none, or one that is no name.
    private static func commonName(_ subject: OpaquePointer?) -> SharedBytes {
        let index = unsafe X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
        guard index >= 0, let entry = unsafe X509_NAME_get_entry(subject, index), let data = unsafe X509_NAME_ENTRY_get_data(entry)
        else { return SharedBytes("") }
        var text: UnsafeMutablePointer<UInt8>?
        let count = unsafe Int(ASN1_STRING_to_UTF8(&text, data))
        guard count >= 0, let text = unsafe text else {
            ERR_clear_error()
            return SharedBytes("")
        }
        defer { unsafe CRYPTO_free(text, "", 0) }
        return count <= nameBytesMax ? unsafe SharedBytes(copying: Span(_unsafeStart: UnsafePointer(text), count: count)) : SharedBytes("")
    }

    /// Whether this session was begun by an earlier one's ticket.
    var isResumed: Bool { unsafe SSL_session_reused(handle) == 1 }

    /// Whether the kernel enciphers what is sent.
    var isSentByKernel: Bool { unsafe signalbox_kernel_sends(handle) == 1 }

    // MARK: Bytes

    /// Reads what one record has left, or one more.
    func receive(into target: UnsafeMutablePointer<UInt8>, room: Int) -> SecureTransfer {
        if case .broken(let code) = phase { return .failed(errno: code) }
        prepare()
        var count = 0
        let result = unsafe SSL_read_ex(handle, target, room, &count)
        if result == 1 { return .bytes(count) }
        let outcome = verdict(result)
        if outcome == .wantsInput, unsafe readLeft.pointee == 0 {
            // As much as two records, and not a byte in them: new keys, or nothing, again and again.
            phase = .broken(errno: EPROTO)
            return .failed(errno: EPROTO)
        }
        return outcome
    }

    /// Whether bytes that were read lie in the session, be they a record or the beginning of one.
    var holdsInput: Bool { unsafe SSL_has_pending(handle) == 1 }

    /// Sends at most a record. What was offered and not taken has to be offered again, and may then lie elsewhere and have more behind it.
    func send(_ bytes: UnsafeRawPointer, count: Int) -> SecureTransfer {
        if case .broken(let code) = phase { return .failed(errno: code) }
        prepare()
        var taken = 0
        let result = unsafe SSL_write_ex(handle, bytes, count, &taken)
        return result == 1 ? .bytes(taken) : verdict(result)
    }

    /// Says that nothing more will be sent: close_notify (RFC 8446 §6.1).
    ///
    /// - Returns: false where the kernel has no room for it; it is to be called again.
    func sayFarewell() -> Bool {
        guard phase == .open else { return true }
        prepare()
        let result = unsafe SSL_shutdown(handle)
        if result >= 0 {
            phase = .shut
            return true
        }
        return verdict(result) != .wantsOutput
    }

    /// OpenSSL's notes are this thread's, and it judges by them.
    private func prepare() {
        ERR_clear_error()
        unsafe readLeft.pointee = TLSSession.readBytesMax
    }

    private func verdict(_ result: Int32) -> SecureTransfer {
        let error = unsafe SSL_get_error(handle, result)
        let code = errno
        switch error {
        case SSL_ERROR_WANT_READ: return .wantsInput
        case SSL_ERROR_WANT_WRITE: return .wantsOutput
        case SSL_ERROR_ZERO_RETURN: return .ended
        case SSL_ERROR_SYSCALL where code != 0 && code != EAGAIN: phase = .broken(errno: code)
        default:
            // RFC 8446 §4.4.2.4: who has no use for our certificate says so when we have shaken hands.
            if isCaller, error == SSL_ERROR_SSL { refusal = TLSRefusal(verdict: Int(X509_V_OK), code: ERR_peek_error()) }
            phase = .broken(errno: EPROTO)
        }
        ERR_clear_error()
        if case .broken(let code) = phase { return .failed(errno: code) }
        return .failed(errno: EPROTO)
    }
}
