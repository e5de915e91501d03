// Revocation: the word that a user's tokens up to a moment are good no more, and by what a token is measured against it. Plain values: who
// is told, and what is closed, is the gateway's.
public import Base

/// What shows who somebody is: a token or a certificate, as far as revoking goes.
public struct Credential: Hashable, Sendable {
    public let user: SharedBytes
    /// When it was issued; nil where it does not say.
    public let issuedAt: WallTime?

    public init(user: SharedBytes, issuedAt: WallTime?) {
        self.user = user
        self.issuedAt = issuedAt
    }
}

/// A user's tokens up to a second are refused.
public struct Revocation: Sendable, Equatable {
    /// Its place among all revocations: a later one has a greater number, also after a restart.
    public let number: UInt64
    public let user: SharedBytes
    /// The last second, since 1970, whose tokens are refused.
    public let before: Int64
    public let revokedAt: WallTime
    /// Who asked for it; nil where nobody was asked who he is.
    public let revokedBy: SharedBytes?

    public init(number: UInt64, user: SharedBytes, before: Int64, revokedAt: WallTime, revokedBy: SharedBytes?) {
        self.number = number
        self.user = user
        self.before = before
        self.revokedAt = revokedAt
        self.revokedBy = revokedBy
    }

    /// Whether a token of the user is meant: one that does not say when it was issued may have been issued before.
    func covers(_ issuedAt: WallTime?) -> Bool { issuedAt.map { $0.seconds <= before } ?? true }
}

/// Why nothing is revoked, or forgotten.
public enum RevocationRefusal: Error {
    /// As many users as may have revoked tokens do.
    case tooMany
    case unknown
}
