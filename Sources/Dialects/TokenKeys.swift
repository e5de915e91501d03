// TokenKeys: what tokens are checked with: shared secrets and public keys, each with the one algorithm that it is for. The operator gives
// them; nothing that a token says adds one. Their texts are read by KeySet (JWK sets), Crypto (PEM) and the program (secrets).
public import Base
public import Crypto

/// The algorithms of this server's tokens (RFC 7518 §3.1, RFC 8037 §3.1).
public enum TokenAlgorithm: Hashable, Sendable, CaseIterable {
    case hs256, rs256, es256, edDSA
}

/// Why bytes are no secret to sign with.
public enum TokenSecretError: Error, Hashable, Sendable {
    /// Fewer bytes than the digest has.
    case tooShort(bytes: Int)
    case tooLong
    /// A PEM text: a public key taken for a secret would let everybody sign who has seen it.
    case isPEM
}

/// A secret for HS256. Its text is its key, byte for byte, as other programs take theirs.
public struct TokenSecret: Sendable {
    /// RFC 7518 §3.2: a key of the same size as the hash output or larger MUST be used.
    public static let bytesMin = 32
    public static let bytesMax = 4 << 10

    let bytes: SharedBytes

    public init(_ bytes: SharedBytes) throws(TokenSecretError) {
        guard bytes.count <= TokenSecret.bytesMax else { throw .tooLong }
        guard !bytes.span.hasPrefix("-----BEGIN ") else { throw .isPEM }
        guard bytes.count >= TokenSecret.bytesMin else { throw .tooShort(bytes: bytes.count) }
        self.bytes = bytes
    }

    /// The HS256 signature of `message`.
    func sign(_ message: Span<UInt8>) -> InlineArray<32, UInt8> { HMAC.sha256(message, key: bytes.span) }
}

extension TokenSecret: CustomStringConvertible {
    /// Says nothing: a secret that is printed is none.
    public var description: String { "a secret" }
}

/// One key, and the only algorithm that it is used with.
public struct TokenKey: Sendable {
    private enum Material: Sendable {
        case secret(TokenSecret)
        case publicKey(PublicKey)
    }

    /// The key's id (`kid`); nil for a key without one, which serves whatever id a token names.
    public let identifier: SharedBytes?
    private let material: Material

    public init(secret: TokenSecret, identifier: SharedBytes? = nil) {
        self.identifier = identifier
        material = .secret(secret)
    }

    public init(publicKey: PublicKey, identifier: SharedBytes? = nil) {
        self.identifier = identifier
        material = .publicKey(publicKey)
    }

    public var algorithm: TokenAlgorithm {
        switch material {
        case .secret: return .hs256
        case .publicKey(let key):
            switch key.kind {
            case .rsa: return .rs256
            case .p256: return .es256
            case .ed25519: return .edDSA
            }
        }
    }

    /// Whether a token of that algorithm and key id may have been signed with it.
    func serves(_ algorithm: TokenAlgorithm, _ identifier: SharedBytes?) -> Bool {
        guard self.algorithm == algorithm else { return false }
        guard let mine = self.identifier, let identifier else { return true }
        return mine == identifier
    }

    func verifies(_ signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
        switch material {
        case .secret(let secret):
            let own = secret.sign(message)
            return ConstantTime.equal(own.span, signature)
        case .publicKey(let key):
            return key.verifies(signature, of: message)
        }
    }
}

/// One more key than ``TokenKeys/countMax``.
public struct TooManyTokenKeys: Error, Hashable, Sendable {}

/// All keys that tokens are checked with; made at the start, sent to any thread.
public struct TokenKeys: Sendable {
    /// A token without a key id is checked with each key of its algorithm: a bound on what a forgery costs, some 2 ms.
    public static let countMax = 16

    public private(set) var keys: [TokenKey] = []

    public init() {}

    public var isEmpty: Bool { keys.isEmpty }

    public mutating func add(_ key: TokenKey) throws(TooManyTokenKeys) {
        guard keys.count < TokenKeys.countMax else { throw TooManyTokenKeys() }
        keys.append(key)
    }
}
