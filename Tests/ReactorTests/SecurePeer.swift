// SecurePeer: the other end of a TLS connection. Its bytes are made in memory and sent by hand, so that a test says which of them arrive
// when.
import Base
import CLinux
import COpenSSL
import Glibc
import Testing

@testable import Reactor

/// A client of TLS over a socket.
@safe
final class SecurePeer {
    let peer: Peer
    private let context: OpaquePointer
    private let handle: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    /// Bytes that were made and not sent.
    var unsent: [UInt8] = []
    /// Bytes of the application that came.
    var received: [UInt8] = []

    /// - Parameters:
    ///   - version: the only one that is offered; nil for all that OpenSSL has.
    ///   - certificate: the name of a certificate to show.
    ///   - session: what to resume.
    init(_ address: SocketAddress, version: Int32? = nil, certificate: String? = nil, session: Session? = nil) throws {
        peer = try Peer(address)
        unsafe context = try unsafe #require(unsafe SSL_CTX_new(TLS_client_method()))
        if let version {
            unsafe SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(version), nil)
            unsafe SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(version), nil)
            // Debian refuses old versions to its own clients too.
            unsafe SSL_CTX_set_security_level(context, 0)
        }
        if let certificate {
            #expect(unsafe SSL_CTX_use_certificate_chain_file(context, Certificates.made.path("\(certificate).pem")) == 1)
            #expect(unsafe SSL_CTX_use_PrivateKey_file(context, Certificates.made.path("\(certificate).key"), SSL_FILETYPE_PEM) == 1)
        }
        unsafe handle = try unsafe #require(unsafe SSL_new(context))
        unsafe incoming = try unsafe #require(unsafe BIO_new(BIO_s_mem()))
        unsafe outgoing = try unsafe #require(unsafe BIO_new(BIO_s_mem()))
        // Empty is not the end.
        unsafe BIO_ctrl(incoming, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, nil)
        unsafe SSL_set_bio(handle, incoming, outgoing)
        unsafe SSL_set_connect_state(handle)
        if let session { #expect(unsafe SSL_set_session(handle, session.handle) == 1) }
    }

    deinit {
        unsafe SSL_free(handle)
        unsafe SSL_CTX_free(context)
    }

    /// What a later connection begins with.
    @safe
    final class Session {
        fileprivate let handle: OpaquePointer
        fileprivate init(_ handle: OpaquePointer) { unsafe self.handle = handle }
        deinit { unsafe SSL_SESSION_free(handle) }
    }

    var session: Session? { unsafe SSL_get1_session(handle).map { unsafe Session($0) } }
    var isResumed: Bool { unsafe SSL_session_reused(handle) == 1 }
    var isOpen: Bool { unsafe SSL_is_init_finished(handle) == 1 }
    /// Whether the server has said its farewell.
    var hasEnded: Bool { unsafe SSL_get_shutdown(handle) & SSL_RECEIVED_SHUTDOWN != 0 }

    /// The common name that the server has shown.
    var serverName: String? {
        guard let shown = unsafe SSL_get0_peer_certificate(handle) else { return nil }
        var text = [UInt8](repeating: 0, count: 64)
        let count = unsafe text.withUnsafeMutableBytes {
            unsafe X509_NAME_get_text_by_NID(
                X509_get_subject_name(shown), NID_commonName, $0.baseAddress?.assumingMemoryBound(to: CChar.self), 64)
        }
        return String(decoding: text.prefix(Int(max(0, count))), as: UTF8.self)
    }

    // MARK: Steps

    /// Goes on with the handshake in memory; what it made waits in `unsent`.
    func shakeHands() {
        if !isOpen { _ = unsafe SSL_do_handshake(handle) }
        ERR_clear_error()
        collect()
    }

    /// Makes records of bytes; they wait in `unsent`.
    func seal(_ bytes: [UInt8]) {
        var taken = 0
        let result = unsafe SSL_write_ex(handle, bytes, bytes.count, &taken)
        #expect(result == 1 && taken == bytes.count)
        collect()
    }

    /// New keys; a record without content.
    func changeKeys() {
        #expect(unsafe SSL_key_update(handle, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
        #expect(unsafe SSL_do_handshake(handle) == 1)
        collect()
    }

    /// Ends our side: close_notify.
    func sayFarewell() {
        _ = unsafe SSL_shutdown(handle)
        collect()
    }

    private func collect() {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe BIO_read(outgoing, &buffer, Int32(buffer.count))
            if count <= 0 { return }
            unsent += buffer.prefix(Int(count))
        }
    }

    /// Sends what waits, or its first bytes.
    func push(_ count: Int = .max) {
        let sent = peer.send(Array(unsent.prefix(count)))
        unsent.removeFirst(sent)
    }

    /// Takes in what the socket has.
    ///
    /// - Returns: whether there may be more; false at the end.
    @discardableResult
    func pull() -> Bool {
        while true {
            switch peer.receive() {
            case .wouldBlock: return true
            case .failed: return false
            case .bytes(let bytes):
                if bytes.isEmpty { return false }
                #expect(unsafe BIO_write(incoming, bytes, Int32(bytes.count)) == Int32(bytes.count))
                open()
            }
        }
    }

    private func open() {
        shakeHands()
        guard isOpen else { return }
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        var count = 0
        while unsafe SSL_read_ex(handle, &buffer, buffer.count, &count) == 1 { received += buffer.prefix(count) }
        ERR_clear_error()
        collect()
    }
}

extension Rig {
    /// A loop that speaks TLS, by the certificate of that name.
    static func secured(
        _ name: String = "server", clients: String? = nil, _ adjust: (inout EventLoop.Settings) -> Void = { _ in }
    ) throws -> Rig {
        try Rig(.v4(0x7f00_0001, port: 0), tls: TLSContext(Certificates.made.files(name, clients: clients)), adjust)
    }

    /// A peer that has shaken hands, and the identity that the loop gave it.
    func connectSecurely(
        version: Int32? = nil, certificate: String? = nil, session: SecurePeer.Session? = nil
    ) throws -> (SecurePeer, ConnectionID) {
        let peer = try SecurePeer(address, version: version, certificate: certificate, session: session)
        totals.peers.append(peer.peer)
        let before = host.notes.count
        try shakeHands(peer) { host.notes.count > before }
        guard case .opened(let id) = host.notes[before] else { throw Errno(EPROTO, in: "connect") }
        return (peer, id)
    }

    func shakeHands(_ peer: SecurePeer, until condition: () -> Bool) throws {
        try turn {
            peer.pull()
            peer.shakeHands()
            peer.push()
            return condition()
        }
    }

    /// Turns the loop until the peer has `count` bytes, sending what the peer has not sent.
    func exchange(_ peer: SecurePeer, until count: Int, _ place: SourceLocation = #_sourceLocation) throws {
        try turn(
            until: {
                peer.push()
                peer.pull()
                return peer.received.count >= count
            }, place)
    }
}
