// TLSRefusal: why hands were not shaken with a server that was called: what is wrong with its certificate (RFC 5280 §6, RFC 9110 §4.3.4),
// or what it said. Words for people; what is done about it is the caller's.
import COpenSSL

public enum TLSRefusal: Equatable, Sendable {
    /// A certificate of the chain has ended.
    case expired
    /// A certificate of the chain has not begun.
    case notYetValid
    /// The certificate is somebody else's.
    case wrongName
    /// It leads to no authority that is believed.
    case unknownAuthority
    /// Anything else that is wrong with it, in OpenSSL's words.
    case certificate(String)
    /// What answers does not speak TLS.
    case plainText
    /// One of the two ends the conversation, in OpenSSL's words.
    case words(String)

    /// What OpenSSL found, and how it says what was wrong at last.
    ///
    /// - Parameters:
    ///   - verdict: `SSL_get_verify_result`.
    ///   - code: the first error of its queue; 0 for none.
    init(verdict: Int, code: UInt) {
        switch Int32(truncatingIfNeeded: verdict) {
        case X509_V_OK:
            let reason = signalbox_error_reason(code)
            // "wrong version number": what should be a record's head is the beginning of something else.
            if reason == SSL_R_WRONG_VERSION_NUMBER {
                self = .plainText
            } else if let words = unsafe ERR_reason_error_string(code) {
                self = .words(unsafe String(cString: words))
            } else {
                self = .words("error \(code)")
            }
        case X509_V_ERR_CERT_HAS_EXPIRED: self = .expired
        case X509_V_ERR_CERT_NOT_YET_VALID: self = .notYetValid
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: self = .wrongName
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            self = .unknownAuthority
        default: self = .certificate(unsafe String(cString: X509_verify_cert_error_string(verdict)))
        }
    }

    /// The refusal as a sentence about the server at `host`.
    public func sentence(of host: String) -> String {
        switch self {
        case .expired: "the certificate of \(host), or one that leads to it, has expired"
        case .notYetValid: "the certificate of \(host), or one that leads to it, is not valid yet"
        case .wrongName: "the server's certificate is for another name than \(host)"
        case .unknownAuthority: "the certificate of \(host) is by no authority that is known here; --ca FILE names one"
        case .certificate(let words): "the certificate of \(host) is not believed: \(words)"
        case .plainText: "what answers at \(host) does not speak TLS"
        case .words(let words): "no TLS with \(host): \(words)"
        }
    }
}
