// TokenProblemTests: the log tells each problem apart, and the bearer hears one sentence.
import Testing

@testable import Dialects

struct TokenProblemTests {
    private static let claims: [TokenProblem.Claim] = [
        .subject, .role, .tasks, .groups, .issuer, .audience, .issuedAt, .notBefore, .expiry,
    ]
    private static let parts: [TokenProblem.Part] = [.header, .claims, .signature]

    @Test("each problem has a sentence of its own, and none of them is what the bearer hears, but for a revoked token's")
    func reasons() {
        let plain: [TokenProblem] = [
            .tooLong, .notThreeParts, .critical, .algorithm, .keyID, .noKey, .signature, .expired, .notYetValid, .revoked,
            .wrongIssuer, .wrongAudience, .unexpectedAudience,
        ]
        let all =
            plain + Self.parts.map { .notBase64($0) } + Self.parts.map { .notJSON($0) } + Self.claims.map { .missing($0) }
            + Self.claims.map { .malformed($0) }
        let sentences = Set(all.map(\.reason.description))
        #expect(sentences.count == all.count)
        #expect(!sentences.contains(TokenProblem.message.description))
        for problem in all {
            #expect(problem.words.description == (problem == .revoked ? "The token was revoked" : TokenProblem.message.description))
        }
    }
}
