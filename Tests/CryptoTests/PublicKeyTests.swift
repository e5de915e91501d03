// PublicKeyTests: which texts and numbers are keys, of which kind, and why others are refused.
import Base
import Testing
import TestSupport

@testable import Crypto

struct PublicKeyTests {
    private func key(_ pem: String) throws(PublicKeyError) -> PublicKey { try PublicKey(pem: SharedBytes(pem).span) }

    private func refusal(_ pem: String) -> PublicKeyError? {
        do throws(PublicKeyError) { _ = try key(pem) } catch { return error }
        return nil
    }

    private func rsaRefusal(_ modulus: [UInt8], _ exponent: [UInt8]) -> PublicKeyError? {
        do throws(PublicKeyError) { _ = try PublicKey(rsaModulus: modulus.span, exponent: exponent.span) } catch { return error }
        return nil
    }

    private func p256Refusal(_ x: [UInt8], _ y: [UInt8]) -> PublicKeyError? {
        do throws(PublicKeyError) { _ = try PublicKey(p256X: x.span, y: y.span) } catch { return error }
        return nil
    }

    @Test("a PEM text gives a key of its kind; a certificate, its key")
    func pem() throws {
        #expect(try key(SampleKeys.rsaPEM).kind == .rsa)
        #expect(try key(SampleKeys.p256PEM).kind == .p256)
        #expect(try key(SampleKeys.ed25519PEM).kind == .ed25519)
        #expect(try key(SampleKeys.certificatePEM).kind == .p256)
        #expect(try key(SampleKeys.spelledCurvePEM).kind == .p256)
        #expect(try key("words before\n" + SampleKeys.p256PEM + "\nand after\n").kind == .p256)
    }

    @Test("RFC 7518 §6 and RFC 8037 §2: numbers give a key of their kind")
    func numbers() throws {
        #expect(try SampleKeys.rsa().kind == .rsa)
        #expect(try SampleKeys.p256().kind == .p256)
        #expect(try SampleKeys.edwards().kind == .ed25519)
    }

    @Test("RFC 7518 §3.3: an RSA key of fewer than 2048 bits is refused, from PEM and from numbers")
    func weak() {
        #expect(refusal(SampleKeys.rsa1024PEM) == .weak(bits: 1_024))
        var modulus = SampleKeys.decoded(SampleKeys.rsaModulus)
        modulus[0] = 0x7f
        #expect(rsaRefusal(modulus, [1, 0, 1]) == .weak(bits: 2_047))
    }

    @Test("kinds and curves that no algorithm of ours uses are refused")
    func unsupported() {
        for pem in [
            SampleKeys.rsaPSSPEM, SampleKeys.p384PEM, SampleKeys.secp256k1PEM, SampleKeys.x25519PEM, SampleKeys.otherGeneratorPEM,
        ] {
            #expect(refusal(pem) == .unsupported, "\(pem)")
        }
        #expect(rsaRefusal([UInt8](repeating: 0xff, count: PublicKey.rsaBitsMax / 8 + 2), [1, 0, 1]) == .unsupported)
        #expect(rsaRefusal([UInt8](repeating: 0xff, count: PublicKey.rsaBitsMax / 8 + 1), [1, 0, 1]) == .unsupported)
        #expect(rsaRefusal([1], [1, 0, 1]) == .unsupported, "an exponent longer than its modulus")
    }

    @Test("a private key is refused by its name")
    func privateKey() {
        for kind in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            #expect(refusal("-----BEGIN \(kind)-----\nAAAA\n-----END \(kind)-----\n") == .privateKey)
        }
    }

    @Test("an exponent that hides nothing is refused", arguments: [[], [0], [1], [2], [1, 0, 0]] as [[UInt8]])
    func exponents(_ exponent: [UInt8]) {
        #expect(rsaRefusal(SampleKeys.decoded(SampleKeys.rsaModulus), exponent) == .malformed)
    }

    @Test("an even or prime-like modulus is no modulus")
    func moduli() {
        var modulus = SampleKeys.decoded(SampleKeys.rsaModulus)
        modulus[255] &= 0xfe
        #expect(rsaRefusal(modulus, [1, 0, 1]) == .malformed)
    }

    @Test("RFC 7518 §6.2.1.2: coordinates have 32 bytes, and the point lies on the curve")
    func points() {
        let x = SampleKeys.decoded(SampleKeys.p256X)
        let y = SampleKeys.decoded(SampleKeys.p256Y)
        #expect(p256Refusal(x, y) == nil)
        #expect(p256Refusal(y, x) == .malformed)
        #expect(p256Refusal(x, Array(y.dropLast())) == .malformed)
        #expect(p256Refusal(x, y + [0]) == .malformed)
        #expect(p256Refusal([], []) == .malformed)
        #expect(p256Refusal([UInt8](repeating: 0, count: 32), [UInt8](repeating: 0, count: 32)) == .malformed)
        #expect(p256Refusal([UInt8](repeating: 0xff, count: 32), y) == .malformed)
    }

    @Test("RFC 8037 §2: an Ed25519 key has 32 bytes", arguments: [0, 31, 33, 64])
    func edwardsLength(_ count: Int) {
        #expect(throws: PublicKeyError.malformed) { try PublicKey(ed25519: [UInt8](repeating: 1, count: count).span) }
    }

    @Test(
        "what is no PEM is refused",
        arguments: [
            "", "\0", "words", "-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
            "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END CERTIFICATE-----\n",
        ])
    func noPEM(_ text: String) {
        #expect(refusal(text) == .malformed)
    }

    @Test("a PEM text of another kind is not supported, and one beyond all bounds is none")
    func otherPEM() {
        #expect(refusal("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n") == .unsupported)
        #expect(refusal(String(repeating: "\n", count: 64 << 10) + SampleKeys.p256PEM) == .malformed)
    }

    @Test("bytes after the key inside its block are refused")
    func trailing() throws {
        let lines = SampleKeys.ed25519PEM.split(separator: "\n").map(String.init)
        // 44 bytes end in one `=`; the 45th changes the last letters.
        let body = try #require(lines.dropFirst().first).replacing("=", with: "A")
        #expect(refusal("\(lines[0])\n\(body)\n\(lines[2])\n") == .malformed)
        #expect(refusal("\(lines[0])\n\(lines[1])\n\(lines[2])\n") == nil)
    }

    @Test("PEM texts that were damaged anywhere are keys or refused, and leave no notes behind", arguments: 0..<4 as Range<UInt64>)
    func damaged(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        let texts = [SampleKeys.rsaPEM, SampleKeys.p256PEM, SampleKeys.ed25519PEM, SampleKeys.certificatePEM].map { Array($0.utf8) }
        for _ in 0..<100 {
            var text = texts[Int(random.next() % 4)]
            for _ in 0...Int(random.next() % 3) { text[Int(random.next() % UInt64(text.count))] = UInt8(truncatingIfNeeded: random.next()) }
            if random.next() % 4 == 0 { text.removeLast(Int(random.next() % UInt64(text.count))) }
            do throws(PublicKeyError) { _ = try PublicKey(pem: text.span) } catch {}
            #expect(!LibraryErrors.areNoted)
        }
    }
}
