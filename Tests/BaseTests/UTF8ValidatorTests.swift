// UTF8Validator: agrees with the standard library on every short sequence and with RFC 3629 on where a text goes wrong.
import Base
import TestSupport
import Testing

@Suite struct UTF8ValidatorTests {
    @Test("RFC 3629 §4: every scalar value is right in its own form, wherever it is cut")
    func everyScalar() {
        var wrong = 0
        for value in UInt32(0)...0x10ffff {
            guard let scalar = Unicode.Scalar(value), let encoded = Unicode.UTF8.encode(scalar) else { continue }
            var validator = UTF8Validator()
            var left = encoded.count
            for byte in encoded {
                left -= 1
                if !validator.validate([byte].span) || validator.isComplete != (left == 0) { wrong += 1 }
            }
        }
        #expect(wrong == 0)
    }

    @Test("every sequence of three bytes is judged as the standard library does", arguments: [
        UInt8(0x7f), 0x80, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef,
    ])
    func everyTriple(_ first: UInt8) {
        var wrong = 0
        for second in UInt8.min...(.max) {
            for third in UInt8.min...(.max) {
                let bytes = [first, second, third]
                if UTF8Validator.isValid(bytes.span) != (String(validating: bytes, as: UTF8.self) != nil) { wrong += 1 }
            }
        }
        #expect(wrong == 0)
    }

    @Test("every lead of four bytes is judged as the standard library does", arguments: [UInt8(0xf0), 0xf1, 0xf4, 0xf5, 0xff])
    func everyQuadruple(_ first: UInt8) {
        let edges: [UInt8] = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff]
        for second in edges {
            for third in edges {
                for fourth in edges {
                    let bytes = [first, second, third, fourth]
                    #expect(UTF8Validator.isValid(bytes.span) == (String(validating: bytes, as: UTF8.self) != nil), "\(bytes)")
                }
            }
        }
    }

    @Test("a text goes wrong at the first byte that cannot be right, not at the end of its sequence", arguments: [
        ([0x80], 0), ([0xbf], 0), ([0xc0], 0), ([0xc1], 0), ([0xf5], 0), ([0xff], 0),
        ([0xc2, 0x41], 1), ([0xe0, 0x9f], 1), ([0xed, 0xa0], 1), ([0xf0, 0x8f], 1), ([0xf4, 0x90], 1),
        ([0xe1, 0x80, 0xc0], 2), ([0xf1, 0x80, 0x80, 0x20], 3),
        (Array("κόσμε".utf8) + [0xf4, 0x90], 11), (Array("sixteen bytes...".utf8) + [0xfe], 16),
    ] as [([UInt8], Int)])
    func failsAtOnce(_ bytes: [UInt8], _ at: Int) {
        var validator = UTF8Validator()
        for (index, byte) in bytes.enumerated() {
            #expect(validator.validate([byte].span) == (index < at), "byte \(index)")
        }
        #expect(!validator.isComplete)
        #expect(validator.validate(Array("good".utf8).span) == false, "once wrong, always wrong")
        #expect(validator.validate([UInt8]().span) == false)
        #expect(UTF8Validator.isValid(bytes.span) == false)
    }

    @Test("an unfinished text is right so far and not complete", arguments: Chunking.all)
    func unfinished(_ chunking: Chunking) {
        let text = Array("ascii, then Grüße, 日本語 and 𝄞: ".utf8)
        for length in 0...text.count {
            var validator = UTF8Validator()
            for piece in chunking.split(Array(text[..<length])) { #expect(validator.validate(piece.span) == true) }
            #expect(validator.isComplete == (String(validating: text[..<length], as: UTF8.self) != nil))
        }
    }

    @Test("one wrong byte is found at every place of a long ASCII text", arguments: 0..<40)
    func words(_ place: Int) {
        var bytes = [UInt8](repeating: UInt8(ascii: "a"), count: 40)
        #expect(UTF8Validator.isValid(bytes.span) == true)
        bytes[place] = 0x80
        #expect(UTF8Validator.isValid(bytes.span) == false)
    }

    @Test("random bytes near valid text are judged as the standard library does", arguments: UInt64(0)..<20)
    func random(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        for _ in 0..<200 {
            var bytes = Array(String((0..<20).map { _ in Character(["a", "é", "€", "😀"].randomElement(using: &random) ?? "a") }).utf8)
            if Bool.random(using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            var validator = UTF8Validator()
            var isRight = true
            for piece in Chunking.seeded(random.next()).split(bytes) { isRight = validator.validate(piece.span) }
            #expect((isRight && validator.isComplete) == (String(validating: bytes, as: UTF8.self) != nil))
        }
    }
}
