// BearerToken: a JSON Web Token in its compact form (RFC 7515 §3.1, RFC 7519): whose it is, or why it is refused. Follows RFC 8725: the
// keys choose the algorithm, and nothing of the claims is read before the signature holds. No encryption, no extension, no key by URL.
//
// Cost: HS256 3 µs; else the signature, some 30 to 120 µs a key that may serve. A dozen allocations, all of them small.
public import Base
internal import Crypto
public import Domain

public enum BearerToken {
    /// Bytes of a token: what fits into a request's target.
    public static let bytesMax = 8 << 10

    /// Who bears `token`.
    ///
    /// A pure function of Sendable values: it may run on any thread.
    ///
    /// - Parameter now: the time of day.
    /// - Throws: ``TokenProblem``, for the log; its bearer hears ``TokenProblem/message``.
    public static func verify(
        _ token: Span<UInt8>, keys: TokenKeys, rules: TokenRules, now: WallTime
    ) throws(TokenProblem) -> Principal {
        let parts = try TokenParts(token)
        let message = token.extracting(0..<parts.signedCount)
        let candidates = try candidates(keys, header: parts.header.span)
        guard candidates.contains(where: { $0.verifies(parts.signature.span, of: message) }) else { throw .signature }
        return try TokenClaims(json: parts.claims.span).principal(under: rules, at: now)
    }

    /// A token that says `claims`, signed with HS256.
    public static func make(_ claims: TokenClaims, secret: TokenSecret) -> SharedBytes {
        var json = ByteWriter()
        claims.write(to: &json)
        var token = ByteWriter(capacity: 512)
        Base64.encode(SharedBytes(#"{"alg":"HS256","typ":"JWT"}"#).span, .urlSafe, into: &token)
        token.append(UInt8(ascii: "."))
        Base64.encode(json.span, .urlSafe, into: &token)
        let signature = secret.sign(token.span)
        token.append(UInt8(ascii: "."))
        Base64.encode(signature.span, .urlSafe, into: &token)
        return token.seal()
    }

    /// The keys that may have signed a token with this header: those whose own algorithm the header names, and whose id, where both have
    /// one, is the same.
    private static func candidates(_ keys: TokenKeys, header: Span<UInt8>) throws(TokenProblem) -> [TokenKey] {
        let object = try TokenObject(header, .header)
        // RFC 7515 §4.1.11: extensions that are not understood make the token invalid, and an empty list is none.
        guard !object.has("crit", in: header) else { throw .critical }
        guard let name = object.node("alg", in: header), let text = object.text(name, in: header),
            let algorithm = TokenAlgorithm(text.span)
        else { throw .algorithm }
        var identifier: SharedBytes?
        if let node = object.node("kid", in: header) {
            guard let text = object.text(node, in: header) else { throw .keyID }
            identifier = text
        }
        let candidates = keys.keys.filter { $0.serves(algorithm, identifier) }
        guard !candidates.isEmpty else { throw .noKey }
        return candidates
    }
}

extension TokenAlgorithm {
    /// The algorithm that an `alg` names, letter for letter.
    init?(_ name: Span<UInt8>) {
        let whole = 0..<name.count
        if name.equals("HS256", at: whole) {
            self = .hs256
        } else if name.equals("RS256", at: whole) {
            self = .rs256
        } else if name.equals("ES256", at: whole) {
            self = .es256
        } else if name.equals("EdDSA", at: whole) || name.equals("Ed25519", at: whole) {
            // RFC 9864 §2.2 gives the older name's most common meaning a name of its own.
            self = .edDSA
        } else {
            return nil
        }
    }
}

/// A token's three parts, decoded.
private struct TokenParts {
    let header: SharedBytes
    let claims: SharedBytes
    let signature: SharedBytes
    /// How many bytes of the token are signed: all before the second dot.
    let signedCount: Int

    init(_ token: Span<UInt8>) throws(TokenProblem) {
        guard token.count <= BearerToken.bytesMax else { throw .tooLong }
        guard let first = token.find(UInt8(ascii: ".")), let second = token.find(UInt8(ascii: "."), from: first + 1),
            token.find(UInt8(ascii: "."), from: second + 1) == nil
        else { throw .notThreeParts }
        header = try TokenParts.decode(token.extracting(0..<first), .header)
        claims = try TokenParts.decode(token.extracting(first + 1..<second), .claims)
        signature = try TokenParts.decode(token.extracting(second + 1..<token.count), .signature)
        signedCount = second
    }

    private static func decode(_ text: Span<UInt8>, _ part: TokenProblem.Part) throws(TokenProblem) -> SharedBytes {
        var writer = ByteWriter(capacity: text.count)
        do throws(Base64Error) { try Base64.decode(text, .urlSafe, into: &writer) } catch { throw .notBase64(part) }
        return writer.seal()
    }
}
