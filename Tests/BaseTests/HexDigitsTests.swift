// Hexadecimal digits in registers, against a reader that goes digit by digit.
import Testing

@testable import Base

@Suite struct HexDigitsTests {
    /// Digit by digit, as a reader would do it.
    private static func spelled(_ number: UInt32) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return (0..<8).map { digits[Int(number >> (28 - 4 * $0)) & 15] }
    }

    private static func word(_ bytes: [UInt8]) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    @Test("every digit in every place, written and read")
    func digits() {
        for place in 0..<8 {
            for digit in UInt32(0)..<16 {
                for others in [UInt32(0), 0x9a9a_9a9a, .max] {
                    let number = others & ~(15 << (4 * UInt32(place))) | digit << (4 * UInt32(place))
                    let text = Self.word(Self.spelled(number))
                    #expect(HexDigits.text(of: number) == text)
                    #expect(HexDigits.number(of: text) == number)
                }
            }
        }
    }

    @Test("every byte that is no digit of lower case, in every place", arguments: 0..<8)
    func strangers(_ place: Int) {
        for byte in UInt8.min...(.max) {
            let isDigit = (48...57).contains(byte) || (97...102).contains(byte)
            for others in [UInt32(0), 0x9a9a_9a9a, .max] {
                var text = Self.spelled(others)
                text[place] = byte
                #expect((HexDigits.number(of: Self.word(text)) != nil) == isDigit, "\(byte) among \(others)")
            }
        }
    }

    @Test("a word of a text is its eight bytes, wherever they stand")
    func words() {
        let text = (UInt8(0)..<24).map { $0 }
        for offset in 0...16 { #expect(text.span.word(at: offset) == Self.word(Array(text[offset..<offset + 8]))) }
    }
}
