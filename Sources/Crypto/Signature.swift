// Signature: whether a signature is a key's, over bytes that are all there: RS256, ES256 and EdDSA as JOSE writes them (RFC 7518 §3.3 and
// §3.4, RFC 8037 §3.1). The key's kind decides which; what a token says of its algorithm is never asked here. Signs nothing.
//
// Cost: some 30 µs for RSA of 2048 bits, 80 µs for P-256, 100 µs for Ed25519, all of it arithmetic: a matter for any thread.
internal import Base
internal import COpenSSL

extension PublicKey {
    /// Whether `signature` was made over `message` with this key's private half. A signature of a wrong form is simply none.
    public func verifies(_ signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
        switch kind {
        case .rsa:
            return unsafe verifies(signature, of: message, EVP_sha256())
        case .p256:
            guard let sequence = PublicKey.sequence(ofRaw: signature) else { return false }
            return unsafe verifies(sequence.span, of: message, EVP_sha256())
        case .ed25519:
            // RFC 8032 §5.1: the digest is a part of the algorithm.
            return unsafe verifies(signature, of: message, nil)
        }
    }

    private func verifies(_ signature: Span<UInt8>, of message: Span<UInt8>, _ digest: OpaquePointer?) -> Bool {
        defer { LibraryErrors.forget() }
        guard let context = unsafe EVP_MD_CTX_new() else { return false }
        defer { unsafe EVP_MD_CTX_free(context) }
        var settings: OpaquePointer?
        guard unsafe EVP_DigestVerifyInit(context, &settings, digest, nil, handle) == 1 else { return false }
        if kind == .rsa {
            // RFC 7518 §3.3: RSASSA-PKCS1-v1_5, whatever the library's own choice is.
            guard unsafe EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PADDING) == 1 else { return false }
        }
        return unsafe signature.withUnsafeBufferPointer { claimed in
            unsafe message.withUnsafeBufferPointer { bytes in
                unsafe EVP_DigestVerify(context, address(claimed), claimed.count, address(bytes), bytes.count) == 1
            }
        }
    }

    /// The ASN.1 form that libcrypto wants of the two numbers that JOSE writes side by side (RFC 7518 §3.4); nil where the length is wrong.
    private static func sequence(ofRaw signature: Span<UInt8>) -> SharedBytes? {
        guard signature.count == 64 else { return nil }
        defer { LibraryErrors.forget() }
        guard let pair = unsafe ECDSA_SIG_new() else { return nil }
        defer { unsafe ECDSA_SIG_free(pair) }
        let isSet = unsafe signature.withUnsafeBufferPointer { source in
            guard let base = source.baseAddress else { return false }
            let r = unsafe BN_bin2bn(base, 32, nil)
            let s = unsafe BN_bin2bn(base + 32, 32, nil)
            // From here on the pair owns both.
            if unsafe ECDSA_SIG_set0(pair, r, s) == 1 { return true }
            unsafe BN_free(r)
            unsafe BN_free(s)
            return false
        }
        guard isSet else { return nil }
        var text: UnsafeMutablePointer<UInt8>?
        let length = unsafe i2d_ECDSA_SIG(pair, &text)
        guard length > 0, let text = unsafe text else { return nil }
        defer { unsafe CRYPTO_free(text, nil, 0) }
        return unsafe SharedBytes(copying: Span(_unsafeStart: UnsafePointer(text), count: Int(length)))
    }
}
