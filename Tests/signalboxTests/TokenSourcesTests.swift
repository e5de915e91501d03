// TokenSourcesTests: the keys of the operator are taken from where he said; where he gave none there is a secret all the same; a file that
// is not what it should be is named.
import Base
import Dialects
import Domain
import Gateway
import Glibc
import Testing

@testable import signalbox

struct TokenSourcesTests {
    private static let secret = "0123456789abcdef0123456789abcdef"
    /// RFC 8037 Appendix A.1, as PEM and as a JWK.
    private static let pem = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
        -----END PUBLIC KEY-----
        """
    private static let jwk = #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
    /// Of RFC 8410 §10.3.
    private static let privatePEM = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
        -----END PRIVATE KEY-----
        """

    private struct Outcome {
        var authentication: Authentication?
        var warnings: [String] = []
        var sentence: String?

        var algorithms: [TokenAlgorithm]? { authentication?.keys.keys.map(\.algorithm) }
    }

    private func load(_ sources: TokenSources, data: String, _ environment: [String: String] = [:]) -> Outcome {
        var outcome = Outcome()
        var warnings: [String] = []
        do throws(Mistake) {
            outcome.authentication = try sources.authentication(data: data, environment: { environment[$0] }, warn: { warnings.append($0) })
        } catch {
            outcome.sentence = error.sentence
        }
        outcome.warnings = warnings
        return outcome
    }

    @Test("where the operator gave nothing, a secret is made, kept for its owner, and the same the next time")
    func made() throws {
        let folder = try Folder()
        let data = "\(folder.path)/data"
        defer {
            _ = unsafe unlink("\(data)/\(SecretFile.name)")
            _ = unsafe rmdir(data)
        }
        let first = load(TokenSources(), data: data)
        #expect(first.algorithms == [.hs256])
        #expect(first.authentication?.mode == .users)
        #expect(folder.mode("data") == 0o700)
        #expect(folder.mode("data/\(SecretFile.name)") == 0o600)
        let answer = token(["--sub", "42", "--data", data], environment: { _ in nil }, now: WallTime(milliseconds: 0))
        let second = load(TokenSources(), data: data)
        let text = SharedBytes(String(answer.text.dropLast()))
        for one in [first, second] {
            let authentication = try #require(one.authentication)
            let principal = try BearerToken.verify(
                text.span, keys: authentication.keys, rules: authentication.rules, now: WallTime(milliseconds: 1_000))
            #expect(principal.user == SharedBytes("42"))
            #expect(one.warnings.isEmpty)
        }
    }

    @Test("with off nothing is read and nothing is made")
    func off() throws {
        let folder = try Folder()
        let outcome = load(
            TokenSources(mode: .off, publicKey: "\(folder.path)/none"), data: "\(folder.path)/data", ["JWT_SECRET": "short"])
        #expect(outcome.algorithms == [])
        #expect(outcome.authentication?.mode == .off)
        #expect(folder.names.isEmpty)
    }

    @Test("keys that were given are taken, all of them, and no secret is made")
    func given() throws {
        let folder = try Folder()
        folder.write("k.pem", Self.pem, mode: 0o644)
        folder.write("k.json", #"{"keys":[\#(Self.jwk),{"kty":"OKP","crv":"X25519","x":"AA"},\#(Self.jwk)]}"#, mode: 0o644)
        let (pem, set) = ("\(folder.path)/k.pem", "\(folder.path)/k.json")
        #expect(load(TokenSources(publicKey: pem), data: folder.path).algorithms == [.edDSA])
        #expect(load(TokenSources(publicKey: Self.pem), data: folder.path).algorithms == [.edDSA], "the text itself")
        let all = load(TokenSources(mode: .all, publicKey: pem, keySet: set), data: folder.path, ["JWT_SECRET": Self.secret])
        #expect(all.algorithms == [.edDSA, .edDSA, .edDSA, .hs256])
        #expect(all.authentication?.mode == .all)
        #expect(all.warnings == ["\(set): the key at index 1 is left out: its kind or its algorithm is not used here"])
        #expect(load(TokenSources(), data: folder.path, ["JWT_SECRET": Self.secret]).algorithms == [.hs256])
        #expect(folder.names == ["k.json", "k.pem"])
    }

    @Test("the names that tokens must carry are passed on")
    func names() throws {
        let sources = TokenSources(issuer: SharedBytes("us"), audience: SharedBytes("sb"))
        let rules = try #require(load(sources, data: ":memory:", ["JWT_SECRET": Self.secret]).authentication?.rules)
        #expect(rules.issuer == SharedBytes("us"))
        #expect(rules.audience == SharedBytes("sb"))
    }

    @Test("a server that keeps nothing says that nobody can make a token for it")
    func memory() {
        let alone = load(TokenSources(), data: ":memory:")
        #expect(alone.algorithms == [.hs256])
        #expect(
            alone.warnings == [
                "no token can be made for this server: it keeps no data, and neither JWT_SECRET nor a public key is set"
            ])
        let given = load(TokenSources(), data: ":memory:", ["JWT_SECRET": Self.secret])
        #expect(given.algorithms == [.hs256])
        #expect(given.warnings.isEmpty)
    }

    @Test("what is no key is named, and why")
    func mistakes() throws {
        let folder = try Folder()
        func sentence(_ sources: TokenSources, _ environment: [String: String] = [:]) -> String? {
            load(sources, data: folder.path, environment).sentence
        }
        let path = folder.path
        folder.write("empty", "")
        folder.write("private", Self.privatePEM)
        folder.write("object", "{}")
        folder.write("text", "keys")
        folder.write("unusable", #"{"keys":[{"kty":"oct","k":"AA"}]}"#)
        folder.write("many", "{\"keys\":[\(Array(repeating: Self.jwk, count: 17).joined(separator: ","))]}")
        folder.write("large", String(repeating: "x", count: 65 << 10))
        let pem: [(String, String)] = [
            ("none", "cannot read \(path)/none: No such file or directory"),
            ("empty", "\(path)/empty: this is no public key in PEM"),
            (
                "private",
                "\(path)/private: this is a private key, its issuer's alone; wanted is the public half (openssl pkey -pubout)"
            ),
            ("large", "\(path)/large: this has more than 65536 bytes"),
            ("", "cannot read \(path)/: Is a directory"),
        ]
        for (name, expected) in pem { #expect(sentence(TokenSources(publicKey: "\(path)/\(name)")) == expected) }
        let sets: [(String, String)] = [
            ("none", "cannot read \(path)/none: No such file or directory"),
            ("text", "\(path)/text: this is no JSON"),
            ("object", "\(path)/object: this is no JWK set: wanted is {\"keys\":[...]}"),
            (
                "unusable",
                "\(path)/unusable: no key of this JWK set can be used; wanted are RSA, P-256, Ed25519 or secret ones that check signatures"
            ),
            ("many", "tokens are checked with at most 16 keys, and there are more"),
        ]
        for (name, expected) in sets { #expect(sentence(TokenSources(keySet: "\(path)/\(name)")) == expected) }
        #expect(
            sentence(TokenSources(), ["JWT_SECRET": "hush"]) == "JWT_SECRET: a secret of 4 bytes can be guessed; wanted are 32 or more")
        #expect(
            sentence(TokenSources(), ["JWT_SECRET": Self.pem])
                == "JWT_SECRET: this is a PEM text, not a secret; public keys go into JWT_PUBLIC_KEY")
        #expect(load(TokenSources(), data: "\(path)/no/data").sentence == "cannot make \(path)/no/data: No such file or directory")
    }
}
