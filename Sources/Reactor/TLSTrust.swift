// TLSTrust: a client's side of TLS 1.2 and 1.3: whose certificates are believed, and which one of its own it shows. Made from files, once a
// process. Knows no server: whose certificate is wanted is each session's.
import CLinux
import COpenSSL
import Glibc

/// What all calls over TLS have in common.
// @safe: the handle is this object's own and is let go once, in its deinit; sessions hold on to it by OpenSSL's own count.
@safe
public final class TLSTrust {
    let handle: OpaquePointer

    /// Reads the files.
    ///
    /// - Parameters:
    ///   - authorities: a PEM file with the authorities that are believed; nil for those of the system, which OpenSSL finds, or those that
    ///     the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    ///   - certificate: what is shown to servers that ask for it, both PEM; nil for nothing.
    public init(authorities: String? = nil, certificate: (file: String, key: String)? = nil) throws(TLSMistake) {
        ERR_clear_error()
        guard let made = unsafe SSL_CTX_new(TLS_client_method()) else { throw TLSContext.mistake("cannot speak TLS") }
        do throws(TLSMistake) {
            guard unsafe signalbox_set_client(made) == 1 else { throw TLSContext.mistake("cannot speak TLS as this program does") }
            if let authorities {
                _ = try TLSContext.mode(of: authorities)
                guard unsafe SSL_CTX_load_verify_file(made, authorities) == 1 else {
                    throw TLSContext.mistake("cannot use the certificates in \(authorities)")
                }
            } else if unsafe SSL_CTX_set_default_verify_paths(made) != 1 {
                throw TLSContext.mistake("cannot use the system's certificates")
            }
            if let certificate { _ = try unsafe TLSContext.use(certificate: certificate.file, key: certificate.key, in: made) }
        } catch {
            unsafe SSL_CTX_free(made)
            throw error
        }
        unsafe handle = made
        // OpenSSL writes to sockets without MSG_NOSIGNAL: a peer that is gone is to be EPIPE.
        _ = signal(SIGPIPE, SIG_IGN)
    }

    deinit { unsafe SSL_CTX_free(handle) }
}
