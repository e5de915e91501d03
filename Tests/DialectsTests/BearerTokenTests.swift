// BearerTokenTests: the published tokens and another library's are accepted; whatever was forged, damaged, borrowed or outlived is refused,
// for the reason that the log shall name.
import Base
import Crypto
import Domain
import Testing
import TestSupport

@testable import Dialects

struct BearerTokenTests {
    /// 10 seconds into the foreign tokens' hour.
    private static let now = WallTime(milliseconds: 1_700_000_010_000)
    /// Before the published tokens ended.
    private static let then = WallTime(milliseconds: 1_300_000_000_000)
    private static let foreignRules = TokenRules(issuer: SharedBytes("https://issuer.example"), audience: SharedBytes("signalbox"))

    private enum Answer: Equatable, CustomStringConvertible {
        case principal(Principal)
        case refused(TokenProblem)

        var description: String {
            switch self {
            case .principal(let one): "\(String(describing: one.user)) as \(one.role)"
            case .refused(let problem): problem.reason.description
            }
        }
    }

    private func verify(
        _ token: String, _ keys: TokenKeys, _ rules: TokenRules = TokenRules(), at now: WallTime = BearerTokenTests.now
    ) -> Answer {
        verify(SharedBytes(token), keys, rules, at: now)
    }

    private func verify(_ token: SharedBytes, _ keys: TokenKeys, _ rules: TokenRules, at now: WallTime) -> Answer {
        do throws(TokenProblem) {
            return .principal(try BearerToken.verify(token.span, keys: keys, rules: rules, now: now))
        } catch {
            return .refused(error)
        }
    }

    private func keys(_ keys: [TokenKey]) throws -> TokenKeys {
        var all = TokenKeys()
        for key in keys { try all.add(key) }
        return all
    }

    private func keys(set text: String) throws -> TokenKeys { try keys(KeySet(SharedBytes(text).span).keys) }

    private func secret(_ text: String = SampleTokens.foreignSecret, id: String? = nil) throws -> TokenKey {
        TokenKey(secret: try TokenSecret(SharedBytes(text)), identifier: id.map { SharedBytes($0) })
    }

    /// Tokens of every algorithm by another library, and the keys that check them.
    private static let foreign = [
        SampleTokens.foreignHS256, SampleTokens.foreignRS256, SampleTokens.foreignES256, SampleTokens.foreignEdDSA,
    ]

    private func foreignKeys() throws -> TokenKeys {
        try keys(KeySet(SharedBytes(SampleTokens.foreignKeySet).span).keys + [secret()])
    }

    // MARK: What is accepted

    @Test("RFC 7515 A.1 to A.3: the published signatures hold, and what they sign is for nobody")
    func published() throws {
        let rfcSecret = TokenKey(secret: try TokenSecret(SampleTokens.bytes(ofLetters: SampleTokens.rfcSecret)))
        let keys = try keys(KeySet(SharedBytes(SampleTokens.rfcKeySet).span).keys + [rfcSecret])
        for token in [SampleTokens.rfcHS256, SampleTokens.rfcRS256, SampleTokens.rfcES256] {
            #expect(verify(token, keys, at: Self.then) == .refused(.missing(.subject)))
            #expect(verify(token.replacing("eyJpc3MiOiJqb2UiL", with: "eyJpc3MiOiJqb2VpL"), keys, at: Self.then) == .refused(.signature))
        }
    }

    @Test("RFC 8037 A.4: the published signature holds, and what it signs is no claims")
    func publishedEdDSA() throws {
        let keys = try keys(set: SampleTokens.rfcKeySet)
        #expect(verify(SampleTokens.rfcEdDSA, keys) == .refused(.notJSON(.claims)))
    }

    @Test("another library's tokens are read as they were meant", arguments: 0..<4)
    func foreign(_ place: Int) throws {
        let tasks = ["a", "1e9651fd-6aa1-4b2c-9d5e-0123456789ab"].compactMap { TaskID(SharedBytes($0).span) }
        let end = WallTime(milliseconds: 1_700_003_600_000 + Self.foreignRules.leeway.milliseconds)
        let principal = Principal(
            user: SharedBytes("42"), role: .publisher, tasks: tasks, expiry: end, issuedAt: WallTime(milliseconds: 1_700_000_000_000))
        #expect(verify(Self.foreign[place], try foreignKeys(), Self.foreignRules) == .principal(principal))
    }

    @Test("what is made here is read here, and says the same")
    func roundTrip() throws {
        let secret = try TokenSecret(SharedBytes(SampleTokens.foreignSecret))
        let keys = try keys([TokenKey(secret: secret)])
        for role in Role.allCases {
            let tasks = ["a \"quoted\" ñ", "b"].compactMap { TaskID(SharedBytes($0).span) }
            let token = BearerToken.make(
                TokenClaims(
                    subject: SharedBytes("uſer \\ \"7\""), role: role, tasks: tasks, issuer: Self.foreignRules.issuer,
                    audience: [SharedBytes("x"), SharedBytes("signalbox")], issuedAt: Self.now, notBefore: Self.now,
                    expiry: WallTime(milliseconds: 1_700_000_020_000)), secret: secret)
            let principal = Principal(
                user: SharedBytes("uſer \\ \"7\""), role: role, tasks: tasks, expiry: WallTime(milliseconds: 1_700_000_050_000),
                issuedAt: Self.now)
            #expect(verify(token, keys, Self.foreignRules, at: Self.now) == .principal(principal))
        }
        let least = BearerToken.make(TokenClaims(subject: SharedBytes("7")), secret: secret)
        #expect(verify(least, keys, TokenRules(), at: Self.now) == .principal(Principal(user: SharedBytes("7"))))
    }

    @Test("a token without an end is accepted, and can be told from others")
    func eternal() throws {
        guard case .principal(let one) = verify(SampleTokens.signed(claims: #"{"sub":"7"}"#), try foreignKeys()) else {
            Issue.record("refused")
            return
        }
        #expect(one.neverExpires)
    }

    // MARK: Forgery

    @Test("one letter anywhere, and the token is refused", arguments: 0..<4)
    func tampered(_ place: Int) throws {
        let keys = try foreignKeys()
        let token = Array(Self.foreign[place].utf8)
        for index in token.indices {
            var changed = token
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            let answer = verify(SharedBytes(changed), keys, Self.foreignRules, at: Self.now)
            if case .principal = answer { Issue.record("byte \(index): \(answer)") }
        }
    }

    @Test("parts of two good tokens make no good token")
    func mixed() throws {
        let one = SampleTokens.signed(claims: #"{"sub":"7"}"#).split(separator: ".")
        let other = SampleTokens.signed(claims: #"{"sub":"7","role":"admin"}"#).split(separator: ".")
        #expect(verify("\(one[0]).\(other[1]).\(one[2])", try foreignKeys()) == .refused(.signature))
        #expect(verify("\(one[0]).\(one[1]).\(other[2])", try foreignKeys()) == .refused(.signature))
    }

    @Test(
        "RFC 8725 §3.2: none, however it is written, and what else is no algorithm of ours",
        arguments: ["none", "None", "nOnE", "NONE", "", "HS384", "RS512", "PS256", "hs256", "HS256 ", "HS256\\u0000", "A128KW"])
    func algorithms(_ name: String) throws {
        let header = #"{"alg":"\#(name)"}"#
        let signed = SampleTokens.signed(header: header, claims: #"{"sub":"7"}"#)
        #expect(verify(signed, try foreignKeys()) == .refused(.algorithm))
        let bare = signed.split(separator: ".").dropLast().joined(separator: ".") + "."
        #expect(verify(bare, try foreignKeys()) == .refused(.algorithm))
    }

    @Test("an algorithm that is no text, or missing, is none", arguments: ["{}", #"{"alg":null}"#, #"{"alg":["HS256"]}"#, #"{"alg":256}"#])
    func noAlgorithm(_ header: String) throws {
        #expect(verify(SampleTokens.signed(header: header, claims: #"{"sub":"7"}"#), try foreignKeys()) == .refused(.algorithm))
    }

    @Test("RFC 8725 §2.1: a public key is no secret, whatever the token says")
    func confusion() throws {
        let rsa = try keys([TokenKey(publicKey: PublicKey(pem: SharedBytes(SampleTokens.rsaPEM).span))])
        for secret in [SampleTokens.rsaPEM, SampleTokens.rsaPEM + "\n", SampleTokens.rsaModulus] {
            let forged = SampleTokens.signed(claims: #"{"sub":"7","role":"admin"}"#, secret: secret)
            #expect(verify(forged, rsa) == .refused(.noKey))
            let disguised = SampleTokens.signed(header: #"{"alg":"RS256"}"#, claims: #"{"sub":"7"}"#, secret: secret)
            #expect(verify(disguised, rsa) == .refused(.signature))
        }
        #expect(throws: TokenSecretError.isPEM) { try TokenSecret(SharedBytes(SampleTokens.rsaPEM)) }
    }

    @Test("a token's algorithm chooses among keys of its kind only")
    func pinned() throws {
        let keys = try keys(set: SampleTokens.rfcKeySet)
        for (own, token) in [("RS256", SampleTokens.rfcRS256), ("ES256", SampleTokens.rfcES256), ("EdDSA", SampleTokens.rfcEdDSA)] {
            let parts = token.split(separator: ".")
            for name in ["RS256", "ES256", "EdDSA"] where name != own {
                let header = SampleTokens.letters(#"{"alg":"\#(name)"}"#)
                #expect(verify("\(header).\(parts[1]).\(parts[2])", keys) == .refused(.signature), "\(own) as \(name)")
            }
        }
        #expect(verify(SampleTokens.signed(claims: #"{"sub":"7"}"#), keys) == .refused(.noKey))
    }

    @Test("no keys, no bearer")
    func noKeys() {
        for token in Self.foreign { #expect(verify(token, TokenKeys(), Self.foreignRules) == .refused(.noKey)) }
    }

    @Test("a key in the token is not looked at")
    func carriedKeys() throws {
        let header = #"{"alg":"RS256","jku":"http://127.0.0.1/","jwk":{"kty":"oct","k":"AAAA"},"x5u":"file:///etc/passwd"}"#
        #expect(verify(SampleTokens.signed(header: header, claims: "{}"), try keys(set: SampleTokens.rfcKeySet)) == .refused(.signature))
    }

    // MARK: Header

    @Test("RFC 7515 §4.1.11: a token that demands extensions is refused", arguments: [#"["exp"]"#, "[]", "null", #"["b64"]"#, "7"])
    func critical(_ value: String) throws {
        let header = #"{"alg":"HS256","crit":\#(value),"b64":false}"#
        #expect(verify(SampleTokens.signed(header: header, claims: #"{"sub":"7"}"#), try foreignKeys()) == .refused(.critical))
    }

    @Test("of two ids that are there, both must be the same")
    func identifiers() throws {
        let claims = #"{"sub":"7"}"#
        let named = SampleTokens.signed(header: #"{"alg":"HS256","kid":"one","typ":"x"}"#, claims: claims)
        let bare = SampleTokens.signed(claims: claims)
        let good = Answer.principal(Principal(user: SharedBytes("7")))
        #expect(verify(named, try keys([secret(id: "one")])) == good)
        #expect(verify(named, try keys([secret()])) == good)
        #expect(verify(bare, try keys([secret(id: "one")])) == good)
        #expect(verify(named, try keys([secret(id: "two")])) == .refused(.noKey))
        #expect(verify(named, try keys([secret(id: "on")])) == .refused(.noKey))
        let wrong = String(repeating: "w", count: 32)
        #expect(verify(bare, try keys([secret(wrong, id: "a"), secret(id: "b")])) == good, "each key of the algorithm is tried")
        #expect(verify(named, try keys([secret(wrong, id: "one"), secret(id: "two")])) == .refused(.signature))
        for id in ["7", "null", "[]"] {
            let header = #"{"alg":"HS256","kid":\#(id)}"#
            #expect(verify(SampleTokens.signed(header: header, claims: claims), try keys([secret()])) == .refused(.keyID))
        }
    }

    // MARK: Form

    @Test(
        "what has not three parts is refused",
        arguments: ["", ".", "a", "a.b", "eyJhbGciOiJIUzI1NiJ9.e30", "a.b.c.d", "....", "e30.e30.e30.e30.e30"])
    func parts(_ text: String) throws {
        #expect(verify(text, try foreignKeys()) == .refused(.notThreeParts))
    }

    @Test("RFC 7515 §2: base64url without padding, spaces, line feeds or stray bits")
    func letters() throws {
        let token = SampleTokens.signed(claims: #"{"sub":"7"}"#)
        let parts = token.split(separator: ".").map(String.init)
        let keys = try foreignKeys()
        #expect(verify("\(parts[0])=.\(parts[1]).\(parts[2])", keys) == .refused(.notBase64(.header)))
        #expect(verify("\(parts[0]).\(parts[1])=.\(parts[2])", keys) == .refused(.notBase64(.claims)))
        #expect(verify("\(parts[0]).\(parts[1]).\(parts[2])=", keys) == .refused(.notBase64(.signature)))
        #expect(verify(token + "\n", keys) == .refused(.notBase64(.signature)))
        #expect(verify(" " + token, keys) == .refused(.notBase64(.header)))
        #expect(verify("\(parts[0]).\(parts[1]).+\(parts[2].dropFirst())", keys) == .refused(.notBase64(.signature)))
        // 32 bytes leave four stray bits in the last letter: another letter would stand for the same bytes.
        let last = parts[2].utf8.last.map { $0 == UInt8(ascii: "A") ? "B" : String(UnicodeScalar($0 + 1)) } ?? ""
        #expect(verify("\(parts[0]).\(parts[1]).\(parts[2].dropLast())\(last)", keys) == .refused(.notBase64(.signature)))
    }

    @Test("a header or claims that are no JSON object are refused", arguments: ["", "null", "[]", "7", "{", #"{"sub":"7"}x"#, "\"a\""])
    func json(_ text: String) throws {
        let keys = try foreignKeys()
        #expect(verify(SampleTokens.signed(header: text, claims: #"{"sub":"7"}"#), keys) == .refused(.notJSON(.header)))
        #expect(verify(SampleTokens.signed(claims: text), keys) == .refused(.notJSON(.claims)))
    }

    @Test("a token of 8 KiB may be good, and one byte more is too long")
    func length() throws {
        let keys = try foreignKeys()
        func token(_ padding: Int) -> String {
            SampleTokens.signed(claims: #"{"sub":"7","x":"\#(String(repeating: "x", count: padding))"}"#)
        }
        var padding = 6_000
        while token(padding + 1).utf8.count <= BearerToken.bytesMax { padding += 1 }
        #expect(verify(token(padding), keys) == .principal(Principal(user: SharedBytes("7"))))
        #expect(verify(token(padding + 3), keys) == .refused(.tooLong))
        #expect(verify(String(repeating: ".", count: BearerToken.bytesMax + 1), keys) == .refused(.tooLong))
    }

    @Test("nothing of the claims is read before the signature holds")
    func order() throws {
        let parts = SampleTokens.signed(claims: #"{"sub":7,"exp":0"#, secret: String(repeating: "x", count: 32))
        #expect(verify(parts, try foreignKeys()) == .refused(.signature))
    }

    @Test("garbage is refused without a trap", arguments: 0..<8 as Range<UInt64>)
    func garbage(_ seed: UInt64) throws {
        var random = Seeded(seed: seed)
        let keys = try foreignKeys()
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_..".utf8)
        let pieces = [
            "{", "}", "\"", ":", ",", "alg", "HS256", "kid", "crit", "sub", "exp", "tasks", "aud", "[", "]", "1e999", "-0", "\\u0000", " ",
        ]
        func some(_ count: UInt64) -> String {
            (0..<random.next() % count).map { _ in pieces[Int(random.next() % UInt64(pieces.count))] }.joined()
        }
        for round in 0..<300 {
            let token: SharedBytes
            switch round % 4 {
            case 0: token = SharedBytes((0..<random.next() % 200).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            case 1: token = SharedBytes((0..<random.next() % 200).map { _ in alphabet[Int(random.next() % UInt64(alphabet.count))] })
            case 2: token = SharedBytes(SampleTokens.signed(header: some(12), claims: some(12)))
            default:
                var bytes = Array(Self.foreign[Int(random.next() % 4)].utf8)
                for _ in 0...random.next() % 3 {
                    bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
                }
                if bytes == Array(Self.foreign[0].utf8) { continue }
                token = SharedBytes(bytes)
            }
            let answer = verify(token, keys, Self.foreignRules, at: Self.now)
            if case .principal = answer, !Self.foreign.contains(token.description) { Issue.record("accepted: \(token)") }
        }
    }
}
