// The digests against the examples of FIPS 180-4 and the accept key of RFC 6455.
import Base
import Crypto
import Testing

struct DigestTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        let text: String
        let sha1: String
        let sha256: String
        var testDescription: String { "\(text.utf8.count) bytes" }
    }

    static let vectors = [
        Vector(
            text: "", sha1: "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        Vector(
            text: "abc", sha1: "a9993e364706816aba3e25717850c26c9cd0d89d",
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        Vector(
            text: "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            sha1: "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
            sha256: "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
        Vector(
            text: String(repeating: "a", count: 1_000_000), sha1: "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
            sha256: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ]

    static func hex(_ bytes: Span<UInt8>) -> String {
        var writer = ByteWriter()
        for index in bytes.indices { writer.append(hex: UInt64(bytes[index]), digits: 2) }
        return writer.seal().description
    }

    @Test("FIPS 180-4: the published messages have the published digests", arguments: vectors)
    func published(_ vector: Vector) {
        let bytes = Array(vector.text.utf8)
        let sha1 = Digest.sha1(bytes.span)
        let sha256 = Digest.sha256(bytes.span)
        #expect(Self.hex(sha1.span) == vector.sha1)
        #expect(Self.hex(sha256.span) == vector.sha256)
    }

    @Test("RFC 6455 §1.3: the sample key has the sample accept key")
    func acceptKey() {
        let bytes = Array("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)
        let digest = Digest.sha1(bytes.span)
        var writer = ByteWriter()
        Base64.encode(digest.span, into: &writer)
        #expect(writer.seal().description == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }
}
