// SignatureTests: the published signatures hold, and nothing else does: no other message, no other key, no damage, no other form.
import Base
import Testing
import TestSupport

@testable import Crypto

struct SignatureTests {
    struct Example: Sendable, CustomTestStringConvertible {
        let name: String
        let key: PublicKey
        let message: [UInt8]
        let signature: [UInt8]
        var testDescription: String { name }

        init(_ name: String, _ key: PublicKey, _ message: String, _ signature: String) {
            self.name = name
            self.key = key
            self.message = Array(message.utf8)
            self.signature = SampleKeys.decoded(signature)
        }
    }

    private static let examples = Result {
        [
            Example("RFC 7515 A.2 RS256", try SampleKeys.rsa(), SampleKeys.rsaMessage, SampleKeys.rsaSignature),
            Example("RFC 7515 A.3 ES256", try SampleKeys.p256(), SampleKeys.p256Message, SampleKeys.p256Signature),
            Example("RFC 8037 A.4 EdDSA", try SampleKeys.edwards(), SampleKeys.ed25519Message, SampleKeys.ed25519Signature),
        ]
    }

    private func verifies(_ key: PublicKey, _ signature: [UInt8], _ message: [UInt8]) -> Bool {
        let holds = key.verifies(signature.span, of: message.span)
        #expect(!LibraryErrors.areNoted)
        return holds
    }

    @Test("the published signature holds, by numbers and by PEM", arguments: 0..<3)
    func published(_ place: Int) throws {
        let example = try Self.examples.get()[place]
        #expect(verifies(example.key, example.signature, example.message))
        let pem = [SampleKeys.rsaPEM, SampleKeys.p256PEM, SampleKeys.ed25519PEM][place]
        #expect(verifies(try PublicKey(pem: SharedBytes(pem).span), example.signature, example.message))
    }

    @Test("a certificate's key is the key")
    func certificate() throws {
        let key = try PublicKey(pem: SharedBytes(SampleKeys.certificatePEM).span)
        #expect(verifies(key, SampleKeys.decoded(SampleKeys.p256Signature), Array(SampleKeys.p256Message.utf8)))
    }

    @Test("one bit anywhere, in the message or in the signature, and it does not hold", arguments: 0..<3)
    func bits(_ place: Int) throws {
        let example = try Self.examples.get()[place]
        for index in example.signature.indices {
            var signature = example.signature
            signature[index] ^= 1 << (index % 8)
            #expect(!verifies(example.key, signature, example.message), "byte \(index)")
        }
        for index in example.message.indices {
            var message = example.message
            message[index] ^= 1 << (index % 8)
            #expect(!verifies(example.key, example.signature, message), "byte \(index)")
        }
    }

    @Test("a signature of another length does not hold, nor one of no bytes", arguments: 0..<3)
    func lengths(_ place: Int) throws {
        let example = try Self.examples.get()[place]
        for signature in [
            [], [0], Array(example.signature.dropLast()), Array(example.signature.dropFirst()), example.signature + [0],
            [0] + example.signature,
        ] {
            #expect(!verifies(example.key, signature, example.message))
        }
        #expect(!verifies(example.key, example.signature, []))
    }

    @Test("nobody's signature is another's")
    func crossed() throws {
        let examples = try Self.examples.get()
        for one in examples {
            for other in examples where one.name != other.name { #expect(!verifies(one.key, other.signature, other.message)) }
        }
    }

    @Test("RFC 7518 §3.4: the numbers stand side by side; the form of certificates is refused, and so are zeros")
    func p256Forms() throws {
        let example = try Self.examples.get()[1]
        let (r, s) = (Array(example.signature[..<32]), Array(example.signature[32...]))
        // Neither number of the example needs a zero in front, but the second: it begins with 0xc5.
        let sequence = [0x30, 0x45, 0x02, 0x20] + r + [0x02, 0x21, 0x00] + s
        #expect(!verifies(example.key, sequence, example.message))
        let zero = [UInt8](repeating: 0, count: 32)
        #expect(!verifies(example.key, zero + zero, example.message))
        #expect(!verifies(example.key, r + zero, example.message))
        #expect(!verifies(example.key, zero + s, example.message))
        #expect(!verifies(example.key, [UInt8](repeating: 0xff, count: 64), example.message))
    }

    @Test("one key serves many threads at once")
    func threads() async throws {
        let example = try Self.examples.get()[1]
        let count = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<64 { group.addTask { example.key.verifies(example.signature.span, of: example.message.span) } }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(count == 64)
    }
}
