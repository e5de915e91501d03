// TLSContext: what all TLS sessions of a server have in common: its certificate and key, whom it asks for theirs, and RFC 8446 and 5246 as
// this server speaks them. Made from files; made anew when they change. Knows no connection.
import CLinux
import COpenSSL
import Glibc

/// Why TLS cannot be spoken with these files, as a sentence for the operator.
public struct TLSMistake: Error, Equatable, Sendable {
    public let sentence: String
}

/// The files that TLS is spoken with, all PEM.
public struct TLSFiles: Sendable {
    /// The server's certificate, and behind it those of the authorities between it and one that clients know.
    public var certificate: String
    /// The certificate's private key, without a password.
    public var key: String
    /// Certificates of authorities: a client may show a certificate of theirs. Nil: nobody is asked for one.
    public var clientAuthorities: String?

    public init(certificate: String, key: String, clientAuthorities: String? = nil) {
        self.certificate = certificate
        self.key = key
        self.clientAuthorities = clientAuthorities
    }
}

/// A server's side of TLS 1.2 and 1.3. Sessions keep the one that they began with, whatever comes after it.
// @safe: the handle is this object's own and is let go once, in its deinit; sessions hold on to it by OpenSSL's own count.
@safe
public final class TLSContext {
    let handle: OpaquePointer
    /// What an operator should know about the files and can live with.
    public let warnings: [String]

    /// Reads the files. They are ordinary files and small, so this may be called between two turns.
    public init(_ files: TLSFiles) throws(TLSMistake) {
        ERR_clear_error()
        guard let made = unsafe SSL_CTX_new(TLS_server_method()) else { throw TLSContext.mistake("cannot speak TLS") }
        do throws(TLSMistake) {
            warnings = try unsafe TLSContext.load(files, into: made)
        } catch {
            unsafe SSL_CTX_free(made)
            throw error
        }
        unsafe handle = made
        // OpenSSL writes to sockets without MSG_NOSIGNAL: a peer that is gone is to be EPIPE.
        _ = signal(SIGPIPE, SIG_IGN)
    }

    deinit { unsafe SSL_CTX_free(handle) }

    // MARK: Reading

    private static func load(_ files: TLSFiles, into context: OpaquePointer) throws(TLSMistake) -> [String] {
        guard unsafe signalbox_set_protocols(context) == 1 else { throw mistake("cannot speak TLS as this server does") }
        unsafe signalbox_set_callbacks(context)
        // Tickets are taken back by the server that gave them; OpenSSL wants it named where clients show certificates.
        guard unsafe SSL_CTX_set_session_id_context(context, "signalbox", 9) == 1 else { throw mistake("cannot name TLS sessions") }

        var warnings: [String] = []
        if try unsafe use(certificate: files.certificate, key: files.key, in: context) & 0o007 != 0 {
            warnings.append("\(files.key) can be read by everybody on this machine, and with it the server's place be taken: chmod 600")
        }
        if let authorities = files.clientAuthorities {
            _ = try mode(of: authorities)
            guard unsafe signalbox_ask_for_certificates(context, authorities) == 1 else {
                throw mistake("cannot use the certificates in \(authorities)")
            }
        }
        if let leaf = unsafe SSL_CTX_get0_certificate(context), unsafe X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0 {
            warnings.append("the certificate in \(files.certificate) has expired")
        }
        return warnings
    }

    /// Has a context show this certificate.
    ///
    /// - Returns: the permissions of the key's file.
    static func use(certificate: String, key: String, in context: OpaquePointer) throws(TLSMistake) -> mode_t {
        _ = try mode(of: certificate)
        guard unsafe SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
            throw mistake("cannot use the certificate in \(certificate)")
        }
        let permissions = try mode(of: key)
        guard unsafe SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 else {
            throw mistake("cannot use the private key in \(key)")
        }
        guard unsafe SSL_CTX_check_private_key(context) == 1 else {
            ERR_clear_error()
            throw TLSMistake(sentence: "the key in \(key) is not that of the certificate in \(certificate)")
        }
        return permissions
    }

    /// The permissions of an ordinary file: to open a pipe could be to wait for its other end.
    static func mode(of path: String) throws(TLSMistake) -> mode_t {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            throw TLSMistake(sentence: "cannot read \(path): \(unsafe String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw TLSMistake(sentence: "cannot read \(path): it is no ordinary file") }
        return status.st_mode
    }

    /// The sentence, and OpenSSL's first reason, which it then forgets.
    static func mistake(_ sentence: String) -> TLSMistake {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return TLSMistake(sentence: sentence) }
        guard let reason = unsafe ERR_reason_error_string(code) else { return TLSMistake(sentence: "\(sentence): error \(code)") }
        return TLSMistake(sentence: "\(sentence): \(unsafe String(cString: reason))")
    }
}
