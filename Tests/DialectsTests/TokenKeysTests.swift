// TokenKeysTests: which secrets are none, that they are not printed, and how many keys there may be.
import Base
import Crypto
import Testing

@testable import Dialects

struct TokenKeysTests {
    private func refusal(_ text: String) -> TokenSecretError? {
        do throws(TokenSecretError) { _ = try TokenSecret(SharedBytes(text)) } catch { return error }
        return nil
    }

    @Test("RFC 7518 §3.2: a secret has 32 bytes or more, and a bound")
    func secrets() {
        #expect(refusal(String(repeating: "s", count: 32)) == nil)
        #expect(refusal(String(repeating: "s", count: 31)) == .tooShort(bytes: 31))
        #expect(refusal("") == .tooShort(bytes: 0))
        #expect(refusal(String(repeating: "s", count: 4_096)) == nil)
        #expect(refusal(String(repeating: "s", count: 4_097)) == .tooLong)
        #expect(refusal(SampleTokens.rsaPEM) == .isPEM)
    }

    @Test("a secret that is printed does not tell itself")
    func silent() throws {
        let secret = try TokenSecret(SharedBytes(SampleTokens.foreignSecret))
        #expect(!"\(secret)".contains("0123"))
        #expect(!"\(String(reflecting: secret))".contains("0123"))
    }

    @Test("a key's kind is its algorithm")
    func algorithms() throws {
        let set = try KeySet(SharedBytes(SampleTokens.rfcKeySet).span)
        #expect(set.keys.map(\.algorithm) == [.rs256, .es256, .edDSA])
        #expect(TokenKey(secret: try TokenSecret(SharedBytes(SampleTokens.foreignSecret))).algorithm == .hs256)
    }

    @Test("there are at most 16 keys")
    func bound() throws {
        let key = TokenKey(secret: try TokenSecret(SharedBytes(SampleTokens.foreignSecret)))
        var keys = TokenKeys()
        #expect(keys.isEmpty)
        for _ in 0..<TokenKeys.countMax { try keys.add(key) }
        #expect(!keys.isEmpty)
        #expect(throws: TooManyTokenKeys.self) { try keys.add(key) }
        #expect(keys.keys.count == 16)
    }

    @Test("an algorithm is named letter for letter; Ed25519 is EdDSA's newer name")
    func names() {
        let names: [(String, TokenAlgorithm?)] = [
            ("HS256", .hs256), ("RS256", .rs256), ("ES256", .es256), ("EdDSA", .edDSA), ("Ed25519", .edDSA), ("Ed448", nil), ("eddsa", nil),
            ("HS25", nil), ("HS2566", nil), ("", nil), ("none", nil),
        ]
        for (name, algorithm) in names { #expect(TokenAlgorithm(SharedBytes(name).span) == algorithm, "\(name)") }
    }
}
