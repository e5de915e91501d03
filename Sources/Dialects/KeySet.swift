// KeySet: a JWK set (RFC 7517 §5), as identity providers publish and operators keep in a file: the keys of it that this server can use.
// Fetches nothing: a set comes from a file that the operator named, never from a URL in a token.
internal import Base
public import Crypto
internal import JSON

/// Why a text gives no keys.
public enum KeySetError: Error, Hashable, Sendable {
    case tooLong
    case notJSON
    /// No object with an array `keys`.
    case notAKeySet
    /// Every key of it was left out.
    case noUsableKey
}

/// The keys of one JWK set.
public struct KeySet: Sendable {
    /// Why a key was left out, which is no error (RFC 7517 §5).
    public enum Omission: Hashable, Sendable {
        /// No object, a missing number, or a member of a wrong type.
        case malformed
        /// A kind of key or an algorithm that this server does not use.
        case unsupported
        /// A key for something else than checking signatures.
        case otherUse
        case refused(PublicKeyError)
        case weakSecret(TokenSecretError)
    }

    /// Bytes of the text: some hundred keys, with their certificates.
    public static let bytesMax = 1 << 20

    public private(set) var keys: [TokenKey] = []
    /// Which keys of the list, counted from 0, were left out, and why.
    public private(set) var omissions: [(index: Int, omission: Omission)] = []

    public init(_ text: Span<UInt8>) throws(KeySetError) {
        guard text.count <= KeySet.bytesMax else { throw .tooLong }
        var index = JSONIndex(limits: JSONLimits(depthMax: 16, bytesMax: KeySet.bytesMax, nodesRetained: 0))
        do throws(JSONError) { try index.build(from: text) } catch { throw .notJSON }
        guard let list = index.member("keys", of: index.root, in: text), index.kind(of: list) == .array else { throw .notAKeySet }
        for (place, node) in index.elements(of: list).enumerated() {
            do throws(Omission) {
                keys.append(try JSONWebKey(index: index, object: node).key(in: text))
            } catch {
                omissions.append((place, error))
            }
        }
        guard !keys.isEmpty else { throw .noUsableKey }
    }
}

extension KeySet.Omission: Error {}

/// One JWK.
private struct JSONWebKey {
    let index: JSONIndex
    let object: JSONNode

    func key(in text: Span<UInt8>) throws(KeySet.Omission) -> TokenKey {
        try checkUse(in: text)
        let identifier = try string("kid", in: text)
        let key = try material(identifier, in: text)
        if let name = try string("alg", in: text) {
            // A key for another algorithm of its kind (RS512, PS256) is not ours to use with this one (RFC 8725 §3.1).
            guard TokenAlgorithm(name.span) == key.algorithm else { throw .unsupported }
        }
        return key
    }

    /// RFC 7517 §4.2 and §4.3: what the key is for, where it says so.
    private func checkUse(in text: Span<UInt8>) throws(KeySet.Omission) {
        if let use = index.member("use", of: object, in: text), !index.equals(use, "sig", in: text) { throw .otherUse }
        if let operations = index.member("key_ops", of: object, in: text) {
            guard index.elements(of: operations).contains(where: { index.equals($0, "verify", in: text) }) else { throw .otherUse }
        }
    }

    private func material(_ identifier: SharedBytes?, in text: Span<UInt8>) throws(KeySet.Omission) -> TokenKey {
        guard let name = try string("kty", in: text) else { throw .malformed }
        let kind = name.span
        let whole = 0..<kind.count
        if kind.equals("oct", at: whole) {
            // RFC 7518 §6.4.1
            let bytes = try octets("k", in: text)
            do throws(TokenSecretError) {
                return TokenKey(secret: try TokenSecret(bytes), identifier: identifier)
            } catch {
                throw .weakSecret(error)
            }
        }
        let publicKey: PublicKey
        if kind.equals("RSA", at: whole) {
            // RFC 7518 §6.3.1
            let (n, e) = (try octets("n", in: text), try octets("e", in: text))
            publicKey = try made { () throws(PublicKeyError) in try PublicKey(rsaModulus: n.span, exponent: e.span) }
        } else if kind.equals("EC", at: whole) {
            // RFC 7518 §6.2.1
            guard try isCurve("P-256", in: text) else { throw .unsupported }
            let (x, y) = (try octets("x", in: text), try octets("y", in: text))
            publicKey = try made { () throws(PublicKeyError) in try PublicKey(p256X: x.span, y: y.span) }
        } else if kind.equals("OKP", at: whole) {
            // RFC 8037 §2
            guard try isCurve("Ed25519", in: text) else { throw .unsupported }
            let x = try octets("x", in: text)
            publicKey = try made { () throws(PublicKeyError) in try PublicKey(ed25519: x.span) }
        } else {
            throw .unsupported
        }
        return TokenKey(publicKey: publicKey, identifier: identifier)
    }

    private func made(_ make: () throws(PublicKeyError) -> PublicKey) throws(KeySet.Omission) -> PublicKey {
        do throws(PublicKeyError) { return try make() } catch { throw .refused(error) }
    }

    // MARK: Members

    private func isCurve(_ curve: StaticString, in text: Span<UInt8>) throws(KeySet.Omission) -> Bool {
        guard let node = index.member("crv", of: object, in: text) else { throw .malformed }
        return index.equals(node, curve, in: text)
    }

    /// The text of a member; nil where there is none.
    private func string(_ name: StaticString, in text: Span<UInt8>) throws(KeySet.Omission) -> SharedBytes? {
        guard let node = index.member(name, of: object, in: text) else { return nil }
        var writer = ByteWriter(capacity: 64)
        guard index.decode(node, in: text, into: &writer) else { throw .malformed }
        return writer.seal()
    }

    /// The bytes that a member holds in base64url.
    private func octets(_ name: StaticString, in text: Span<UInt8>) throws(KeySet.Omission) -> SharedBytes {
        guard let letters = try string(name, in: text) else { throw .malformed }
        var writer = ByteWriter(capacity: letters.count)
        do throws(Base64Error) { try Base64.decode(letters.span, .urlSafe, into: &writer) } catch { throw .malformed }
        return writer.seal()
    }
}
