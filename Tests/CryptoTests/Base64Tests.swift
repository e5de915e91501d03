// Base64 against the vectors of RFC 4648 §10, and what a strict reader refuses.
import Base
import Crypto
import TestSupport
import Testing

struct Base64Tests {
    static func encode(_ bytes: [UInt8], _ alphabet: Base64.Alphabet) -> String {
        var writer = ByteWriter()
        Base64.encode(bytes.span, alphabet, into: &writer)
        return writer.seal().description
    }

    static func decode(_ text: String, _ alphabet: Base64.Alphabet) throws(Base64Error) -> [UInt8] {
        var writer = ByteWriter()
        let letters = Array(text.utf8)
        try Base64.decode(letters.span, alphabet, into: &writer)
        return (0..<writer.count).map { writer.span[$0] }
    }

    static let vectors = [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ]

    @Test("RFC 4648 §10: the published texts, both ways", arguments: vectors)
    func published(_ plain: String, _ encoded: String) throws {
        #expect(Self.encode(Array(plain.utf8), .standard) == encoded)
        #expect(try Self.decode(encoded, .standard) == Array(plain.utf8))
        let unpadded = String(encoded.prefix { $0 != "=" })
        #expect(Self.encode(Array(plain.utf8), .urlSafe) == unpadded)
        #expect(try Self.decode(unpadded, .urlSafe) == Array(plain.utf8))
    }

    @Test("RFC 4648 §5: the two alphabets differ in their last two letters only")
    func alphabets() throws {
        #expect(Self.encode([0xfb, 0xef, 0xff], .standard) == "++//")
        #expect(Self.encode([0xfb, 0xef, 0xff], .urlSafe) == "--__")
        #expect(throws: Base64Error.character(at: 0)) { try Self.decode("--__", .standard) }
        #expect(throws: Base64Error.character(at: 0)) { try Self.decode("++//", .urlSafe) }
    }

    static let refused: [(String, Base64.Alphabet, Base64Error)] = [
        ("Zg", .standard, .length(2)), ("Zg=", .standard, .length(3)), ("Zm9vY", .urlSafe, .length(5)),
        ("Zg==", .urlSafe, .character(at: 2)), ("Z===", .standard, .character(at: 1)), ("====", .standard, .character(at: 0)),
        ("Zg==Zg==", .standard, .character(at: 2)), ("Zm9v\n===", .standard, .character(at: 4)), ("Zm 9", .standard, .character(at: 2)),
        ("Zh==", .standard, .strayBits(at: 1)), ("Zm9=", .standard, .strayBits(at: 2)), ("Zh", .urlSafe, .strayBits(at: 1)),
        ("Zm\u{e9}", .standard, .character(at: 2)),
    ]

    @Test("RFC 4648 §3: what is not the one encoding of some bytes is refused, and leaves the writer as it was", arguments: refused)
    func strict(_ text: String, _ alphabet: Base64.Alphabet, _ error: Base64Error) {
        let letters = Array(text.utf8)
        var writer = ByteWriter()
        writer.append("kept" as StaticString)
        var thrown: Base64Error?
        do { try Base64.decode(letters.span, alphabet, into: &writer) } catch { thrown = error }
        #expect(thrown == error)
        #expect(writer.seal().description == "kept")
    }

    @Test("any bytes come back, and take the letters that were foretold", arguments: [1, 2, 3] as [UInt64])
    func roundTrip(seed: UInt64) throws {
        var random = Seeded(seed: seed)
        for length in 0..<100 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            for alphabet in [Base64.Alphabet.standard, .urlSafe] {
                let text = Self.encode(bytes, alphabet)
                #expect(text.utf8.count == Base64.encodedCount(of: length, alphabet))
                #expect(try Self.decode(text, alphabet) == bytes)
            }
        }
    }
}
