// KeySetTests: which keys of a JWK set are taken, why others are left out, and which texts are no sets.
import Base
import Crypto
import Testing
import TestSupport

@testable import Dialects

struct KeySetTests {
    private static let point = #""x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#
    private static let good = #"{"kty":"EC","crv":"P-256",\#(point)}"#

    private func refusal(_ text: String) -> KeySetError? {
        do throws(KeySetError) { _ = try KeySet(SharedBytes(text).span) } catch { return error }
        return nil
    }

    /// Why `key` is left out, next to one that is not.
    private func omission(_ key: String) throws -> KeySet.Omission? {
        let set = try KeySet(SharedBytes(#"{"keys":[\#(Self.good),\#(key)]}"#).span)
        #expect(set.omissions.allSatisfy { $0.index == 1 })
        #expect(set.keys.count + set.omissions.count == 2)
        return set.omissions.first?.omission
    }

    @Test("RFC 7517 §5: a set gives its keys, with their ids")
    func foreign() throws {
        let set = try KeySet(SharedBytes(SampleTokens.foreignKeySet).span)
        #expect(set.keys.map(\.algorithm) == [.rs256, .es256, .edDSA])
        #expect(set.keys.map { $0.identifier?.description } == ["RS256", "ES256", "EdDSA"])
        #expect(set.omissions.isEmpty)
        let bare = try KeySet(SharedBytes(SampleTokens.rfcKeySet).span)
        #expect(bare.keys.map(\.identifier) == [nil, nil, nil])
    }

    @Test("a key for signatures is taken, whatever else is said of it")
    func taken() throws {
        for more in [
            #""use":"sig""#, #""alg":"ES256""#, #""key_ops":["sign","verify"]"#, #""kid":"k","x5c":["AAAA"],"x5t":"x","d":"AAAA""#,
        ] {
            #expect(try omission(#"{"kty":"EC","crv":"P-256",\#(more),\#(Self.point)}"#) == nil, "\(more)")
        }
        let secret = SampleTokens.letters(SampleTokens.foreignSecret)
        #expect(try omission(#"{"kty":"oct","k":"\#(secret)","alg":"HS256"}"#) == nil)
        #expect(try omission(#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","alg":"Ed25519"}"#) == nil)
    }

    @Test("a key for something else is left out")
    func otherUse() throws {
        for more in [#""use":"enc""#, #""use":7"#, #""key_ops":["sign"]"#, #""key_ops":[]"#, #""key_ops":"verify""#] {
            #expect(try omission(#"{"kty":"EC","crv":"P-256",\#(more),\#(Self.point)}"#) == .otherUse, "\(more)")
        }
    }

    @Test("a kind, a curve or an algorithm that is not ours is left out")
    func unsupported() throws {
        #expect(try omission(#"{"kty":"EC","crv":"P-384",\#(Self.point)}"#) == .unsupported)
        #expect(try omission(#"{"kty":"OKP","crv":"X25519","x":"AAAA"}"#) == .unsupported)
        #expect(try omission(#"{"kty":"new"}"#) == .unsupported)
        #expect(try omission(#"{"kty":"EC","crv":"P-256","alg":"RS256",\#(Self.point)}"#) == .unsupported)
        #expect(try omission(#"{"kty":"RSA","alg":"PS256","e":"AQAB","n":"\#(SampleTokens.rsaModulus)"}"#) == .unsupported)
        #expect(try omission(#"{"kty":"RSA","alg":"RS512","e":"AQAB","n":"\#(SampleTokens.rsaModulus)"}"#) == .unsupported)
    }

    @Test(
        "a key with a number missing, or no number, is left out",
        arguments: [
            "7", "{}", #"{"kty":7}"#, #"{"kty":"RSA","e":"AQAB"}"#, #"{"kty":"RSA","e":"AQAB","n":"a+b="}"#,
            #"{"kty":"EC","crv":"P-256","x":"AAAA"}"#, #"{"kty":"oct"}"#, #"{"kty":"oct","k":7}"#, #"{"kty":"EC"}"#,
            #"{"kty":"OKP","crv":"Ed25519"}"#, #"{"kty":"EC","kid":7}"#,
        ])
    func malformed(_ key: String) throws {
        #expect(try omission(key) == .malformed)
    }

    @Test("a key that is refused is left out, with the reason")
    func refused() throws {
        let short = SampleTokens.letters([UInt8](repeating: 0xff, count: 128).span)
        #expect(try omission(#"{"kty":"RSA","e":"AQAB","n":"\#(short)"}"#) == .refused(.weak(bits: 1_024)))
        #expect(try omission(#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}"#) == .refused(.malformed))
        #expect(try omission(#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#) == .refused(.malformed))
        #expect(try omission(#"{"kty":"oct","k":"AAAA"}"#) == .weakSecret(.tooShort(bytes: 3)))
    }

    @Test("what is no set is refused")
    func noSets() {
        #expect(refusal("") == .notJSON)
        #expect(refusal("{") == .notJSON)
        #expect(refusal("[]") == .notAKeySet)
        #expect(refusal("{}") == .notAKeySet)
        #expect(refusal(#"{"keys":{}}"#) == .notAKeySet)
        #expect(refusal(Self.good) == .notAKeySet)
        #expect(refusal(#"{"keys":[]}"#) == .noUsableKey)
        #expect(refusal(#"{"keys":[{"kty":"new"}]}"#) == .noUsableKey)
        #expect(refusal(String(repeating: " ", count: KeySet.bytesMax + 1)) == .tooLong)
    }

    @Test("sets that were damaged anywhere are sets or refused", arguments: 0..<4 as Range<UInt64>)
    func damaged(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        for _ in 0..<60 {
            var text = Array(SampleTokens.foreignKeySet.utf8)
            for _ in 0...random.next() % 4 { text[Int(random.next() % UInt64(text.count))] = UInt8(truncatingIfNeeded: random.next()) }
            do throws(KeySetError) {
                let set = try KeySet(text.span)
                #expect(set.keys.count + set.omissions.count <= 3)
            } catch {}
        }
    }
}
