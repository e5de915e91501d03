// TokenProblem: why a token is refused, for the log. Its bearer hears one sentence whatever was wrong, so that nobody learns from the
// answer how far a forgery got; neither text holds anything of the token.

/// Why a bearer token is refused.
public enum TokenProblem: Error, Hashable, Sendable {
    public enum Part: Hashable, Sendable {
        case header, claims, signature
    }

    public enum Claim: Hashable, Sendable {
        case subject, role, tasks, groups, issuer, audience, issuedAt, notBefore, expiry
    }

    /// More bytes than ``BearerToken/bytesMax``.
    case tooLong
    case notThreeParts
    case notBase64(Part)
    /// No JSON object.
    case notJSON(Part)
    /// The header names extensions that must be understood, and none is.
    case critical
    /// None of the algorithms of this server; `none` is one of the others.
    case algorithm
    /// A key id that is no text.
    case keyID
    /// No key of that algorithm and key id.
    case noKey
    case signature
    case expired
    case notYetValid
    /// Its user's tokens were revoked after it was issued.
    case revoked
    case wrongIssuer
    case wrongAudience
    /// The token names an audience and this server has no name to find in it.
    case unexpectedAudience
    case missing(Claim)
    /// Of a wrong type, out of bounds, or a word that nobody knows.
    case malformed(Claim)

    /// What the bearer hears of any other.
    public static let message: StaticString = "Invalid or expired token"

    /// What the bearer hears. Whose token was revoked has a good one, and learns nothing about how to forge another.
    public var words: StaticString { self == .revoked ? "The token was revoked" : TokenProblem.message }

    /// What the log says.
    public var reason: StaticString {
        switch self {
        case .tooLong: "the token is too long"
        case .notThreeParts: "the token does not have three parts"
        case .notBase64(.header): "the token's header is not base64url"
        case .notBase64(.claims): "the token's claims are not base64url"
        case .notBase64(.signature): "the token's signature is not base64url"
        case .notJSON(.header): "the token's header is no JSON object"
        case .notJSON(.claims): "the token's claims are no JSON object"
        case .notJSON(.signature): "the token's signature is no signature"
        case .critical: "the token demands extensions"
        case .algorithm: "the token's algorithm is not accepted"
        case .keyID: "the token's key id is no text"
        case .noKey: "no key has the token's algorithm and key id"
        case .signature: "the token's signature does not match"
        case .expired: "the token has expired"
        case .notYetValid: "the token is not valid yet"
        case .revoked: "the token was revoked"
        case .wrongIssuer: "the token's issuer is another"
        case .wrongAudience: "the token is for another audience"
        case .unexpectedAudience: "the token is for an audience, and none is configured"
        case .missing(let claim): claim.missing
        case .malformed(let claim): claim.malformed
        }
    }
}

extension TokenProblem.Claim {
    fileprivate var missing: StaticString {
        switch self {
        case .subject: "the token has no sub"
        case .role: "the token has no role"
        case .tasks: "the token has no tasks"
        case .groups: "the token has no groups"
        case .issuer: "the token has no iss"
        case .audience: "the token has no aud"
        case .issuedAt: "the token has no iat"
        case .notBefore: "the token has no nbf"
        case .expiry: "the token has no exp"
        }
    }

    fileprivate var malformed: StaticString {
        switch self {
        case .subject: "the token's sub is no user id"
        case .role: "the token's role is not known"
        case .tasks: "the token's tasks are no list of task ids"
        case .groups: "the token's groups are no list of names"
        case .issuer: "the token's iss is no text"
        case .audience: "the token's aud is no text and no list of texts"
        case .issuedAt: "the token's iat is no time"
        case .notBefore: "the token's nbf is no time"
        case .expiry: "the token's exp is no time"
        }
    }
}
