// PublicKey: a key that checks signatures: RSA, P-256 or Ed25519, from PEM (RFC 7468) or from the numbers of a JWK (RFC 7518 §6, RFC
// 8037 §2). Its kind fixes its one algorithm. Reads no JSON, holds no private key, and does not judge a certificate: it takes its key.
internal import Base
internal import COpenSSL

/// Why bytes are not a public key that is fit for use.
public enum PublicKeyError: Error, Hashable, Sendable {
    /// No PEM, no DER, or numbers that are no key: off the curve, an even exponent.
    case malformed
    /// A private key, which has no business on a server that only checks.
    case privateKey
    /// A key of another kind or curve, or an RSA modulus beyond ``PublicKey/rsaBitsMax``.
    case unsupported
    /// An RSA modulus of fewer than 2048 bits (RFC 7518 §3.3).
    case weak(bits: Int)
}

/// A public key, ready to check signatures on any thread.
// @safe: the handle is this object's own and is freed once, in its deinit.
// @unchecked: nothing changes the key once it is made, and libcrypto lets any number of threads read one.
@safe
public final class PublicKey: @unchecked Sendable {
    public enum Kind: Hashable, Sendable {
        case rsa
        case p256
        case ed25519
    }

    /// RFC 7518 §3.3: a key of 2048 bits or larger MUST be used.
    public static let rsaBitsMin = 2_048
    /// A check costs the square of the size, and nobody issues larger ones.
    public static let rsaBitsMax = 8_192

    public let kind: Kind
    let handle: OpaquePointer

    /// Takes over a handle, and frees it where the key is refused.
    private init(owning handle: OpaquePointer) throws(PublicKeyError) {
        do throws(PublicKeyError) {
            kind = try unsafe PublicKey.check(handle)
        } catch {
            unsafe EVP_PKEY_free(handle)
            throw error
        }
        unsafe self.handle = handle
    }

    deinit { unsafe EVP_PKEY_free(handle) }

    // MARK: Ways to make one

    /// The key of the first block of a PEM text: `PUBLIC KEY`, or the key inside a `CERTIFICATE`.
    public convenience init(pem: Span<UInt8>) throws(PublicKeyError) {
        try unsafe self.init(owning: PublicKey.read(pem: pem))
    }

    /// An RSA key from its two numbers, most significant byte first (RFC 7518 §6.3.1).
    public convenience init(rsaModulus modulus: Span<UInt8>, exponent: Span<UInt8>) throws(PublicKeyError) {
        // One byte more: some writers put a zero in front.
        guard modulus.count <= PublicKey.rsaBitsMax / 8 + 1, exponent.count <= modulus.count else { throw .unsupported }
        try unsafe self.init(owning: PublicKey.rsa(modulus, exponent))
    }

    /// A point of the curve P-256 by its coordinates, 32 bytes each (RFC 7518 §6.2.1).
    public convenience init(p256X x: Span<UInt8>, y: Span<UInt8>) throws(PublicKeyError) {
        // RFC 7518 §6.2.1.2: the length MUST be the full size of a coordinate.
        guard x.count == 32, y.count == 32 else { throw .malformed }
        try unsafe self.init(owning: PublicKey.p256(x, y))
    }

    /// An Ed25519 key by its 32 bytes (RFC 8037 §2).
    public convenience init(ed25519 bytes: Span<UInt8>) throws(PublicKeyError) {
        let handle = unsafe bytes.withUnsafeBufferPointer { source in
            unsafe EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, source.baseAddress, source.count)
        }
        guard let handle = unsafe handle else { throw LibraryErrors.malformed() }
        try unsafe self.init(owning: handle)
    }

    // MARK: What a key must be

    private static func check(_ handle: OpaquePointer) throws(PublicKeyError) -> Kind {
        let kind: Kind
        switch unsafe EVP_PKEY_get_base_id(handle) {
        case EVP_PKEY_RSA:
            let bits = Int(unsafe EVP_PKEY_get_bits(handle))
            guard bits >= rsaBitsMin else { throw .weak(bits: bits) }
            guard bits <= rsaBitsMax else { throw .unsupported }
            kind = .rsa
        case EVP_PKEY_EC:
            // A curve spelled out has a name only where it is a known one to the last parameter: not with a generator of somebody's choice.
            guard unsafe groupName(handle) == SN_X9_62_prime256v1 else { throw .unsupported }
            kind = .p256
        case EVP_PKEY_ED25519:
            kind = .ed25519
        default:
            throw .unsupported
        }
        guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, handle, nil) else { throw LibraryErrors.malformed() }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        guard unsafe EVP_PKEY_public_check(context) == 1 else { throw LibraryErrors.malformed() }
        return kind
    }

    private static func groupName(_ handle: OpaquePointer) -> String? {
        var name = [CChar](repeating: 0, count: 64)
        var length = 0
        guard unsafe EVP_PKEY_get_group_name(handle, &name, name.count, &length) == 1 else {
            LibraryErrors.forget()
            return nil
        }
        return String(decoding: name.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: PEM

    private static func read(pem: Span<UInt8>) throws(PublicKeyError) -> OpaquePointer {
        guard pem.count > 0, pem.count <= pemBytesMax else { throw .malformed }
        return try unsafe pem.withUnsafeBufferPointer { source throws(PublicKeyError) in
            guard let input = unsafe BIO_new_mem_buf(source.baseAddress, Int32(source.count)) else { throw LibraryErrors.malformed() }
            defer { unsafe BIO_free_all(input) }
            var name: UnsafeMutablePointer<CChar>?
            var header: UnsafeMutablePointer<CChar>?
            var data: UnsafeMutablePointer<UInt8>?
            var length = 0
            guard unsafe PEM_read_bio(input, &name, &header, &data, &length) == 1, let name = unsafe name, let data = unsafe data else {
                throw LibraryErrors.malformed()
            }
            defer {
                unsafe CRYPTO_free(name, nil, 0)
                unsafe CRYPTO_free(header, nil, 0)
                unsafe CRYPTO_free(data, nil, 0)
            }
            return try unsafe read(der: UnsafePointer(data), length, label: String(cString: name))
        }
    }

    /// A chain of certificates is some kilobytes; this is far more.
    private static let pemBytesMax = 64 << 10

    private static func read(der: UnsafePointer<UInt8>, _ length: Int, label: String) throws(PublicKeyError) -> OpaquePointer {
        var end: UnsafePointer<UInt8>? = unsafe der
        switch label {
        case "PUBLIC KEY":
            guard let handle = unsafe d2i_PUBKEY(nil, &end, length) else { throw LibraryErrors.malformed() }
            guard unsafe end == der + length else {
                unsafe EVP_PKEY_free(handle)
                throw .malformed
            }
            return unsafe handle
        case "CERTIFICATE":
            guard let certificate = unsafe d2i_X509(nil, &end, length) else { throw LibraryErrors.malformed() }
            defer { unsafe X509_free(certificate) }
            guard unsafe end == der + length, let handle = unsafe X509_get_pubkey(certificate) else { throw LibraryErrors.malformed() }
            return unsafe handle
        default:
            throw label.hasSuffix("PRIVATE KEY") ? .privateKey : .unsupported
        }
    }

    // MARK: Numbers

    private static func rsa(_ modulus: Span<UInt8>, _ exponent: Span<UInt8>) throws(PublicKeyError) -> OpaquePointer {
        guard let n = unsafe number(modulus) else { throw LibraryErrors.malformed() }
        defer { unsafe BN_free(n) }
        guard let e = unsafe number(exponent) else { throw LibraryErrors.malformed() }
        defer { unsafe BN_free(e) }
        return try unsafe key("RSA") { builder in unsafe signalbox_push_rsa(builder, n, e) == 1 }
    }

    private static func number(_ bytes: Span<UInt8>) -> OpaquePointer? {
        unsafe bytes.withUnsafeBufferPointer { source in unsafe BN_bin2bn(address(source), Int32(source.count), nil) }
    }

    private static func p256(_ x: Span<UInt8>, _ y: Span<UInt8>) throws(PublicKeyError) -> OpaquePointer {
        // SEC 1 §2.3.3: 4, then both coordinates.
        var point = ByteWriter(capacity: 65)
        point.append(4)
        point.append(x)
        point.append(y)
        let bytes = point.seal()
        return try unsafe bytes.span.withUnsafeBufferPointer { source throws(PublicKeyError) in
            try unsafe key("EC") { builder in unsafe signalbox_push_p256(builder, source.baseAddress, source.count) == 1 }
        }
    }

    /// A key of the kind that `name` says, from the parameters that `fill` pushes; what they refer to must last until the end.
    private static func key(_ name: String, _ fill: (OpaquePointer) -> Bool) throws(PublicKeyError) -> OpaquePointer {
        guard let builder = unsafe OSSL_PARAM_BLD_new() else { throw LibraryErrors.malformed() }
        defer { unsafe OSSL_PARAM_BLD_free(builder) }
        guard unsafe fill(builder), let parameters = unsafe OSSL_PARAM_BLD_to_param(builder) else { throw LibraryErrors.malformed() }
        defer { unsafe OSSL_PARAM_free(parameters) }
        guard let context = unsafe EVP_PKEY_CTX_new_from_name(nil, name, nil) else { throw LibraryErrors.malformed() }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        var handle: OpaquePointer?
        guard unsafe EVP_PKEY_fromdata_init(context) == 1,
            unsafe EVP_PKEY_fromdata(context, &handle, signalbox_public_key_selection(), parameters) == 1,
            let handle = unsafe handle
        else { throw LibraryErrors.malformed() }
        return unsafe handle
    }
}

/// What libcrypto notes about a failure, thread by thread. It must not stay: TLS reads the same notes.
enum LibraryErrors {
    static func forget() { ERR_clear_error() }

    /// Whether there are any, of this thread.
    static var areNoted: Bool { ERR_peek_error() != 0 }

    /// Forgets the notes of a key that was refused.
    static func malformed() -> PublicKeyError {
        forget()
        return .malformed
    }
}
