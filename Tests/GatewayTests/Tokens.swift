// Tokens: a server that asks for tokens, and tokens that it takes. For transcripts about who may do what.
import Base
import Dialects
import Domain

@testable import Gateway

enum Tokens {
    private static let secret = SharedBytes("0123456789abcdef0123456789abcdef")

    /// A server that asks as its users are asked out of the box.
    static func settings(_ mode: Authentication.Mode = .users) throws -> Settings {
        var keys = TokenKeys()
        try keys.add(TokenKey(secret: try TokenSecret(secret)))
        return Settings(authentication: Authentication(mode: mode, keys: keys))
    }

    /// A token that ends so long after the clock of a stage began.
    ///
    /// - Parameter issued: seconds since then, at which it was issued; nil for one that does not say.
    static func token(
        _ user: String, _ role: Role = .user, tasks: [String] = [], seconds: Int64 = 3_600, issued: Double? = nil
    ) throws -> String {
        let claims = TokenClaims(
            subject: SharedBytes(user), role: role, tasks: tasks.compactMap { TaskID(SharedBytes($0).span) },
            issuedAt: issued.map { WallTime(milliseconds: FakeNetwork.wallAtStart + Int64($0 * 1_000)) },
            expiry: WallTime(milliseconds: FakeNetwork.wallAtStart + seconds * 1_000))
        return BearerToken.make(claims, secret: try TokenSecret(secret)).description
    }
}
