// ByteScanner: the small questions answer for every position and every length, and numbers that do not fit are none.
@testable import Base
import Testing

@Suite struct ByteScannerTests {
    @Test("find: the first place from any start, as a plain loop has it")
    func find() {
        let bytes = Array("GET /task HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        for byte in [UInt8(ascii: "\r"), UInt8(ascii: " "), UInt8(ascii: "G"), 0, 255] {
            for start in 0...bytes.count {
                #expect(bytes.span.find(byte, from: start) == bytes[start...].firstIndex(of: byte))
            }
        }
        #expect([UInt8]().span.find(0) == nil)
    }

    @Test("a prefix needs all of its bytes to be there")
    func prefix() {
        let bytes = Array("HTTP/1.1".utf8)
        #expect(bytes.span.hasPrefix("HTTP/") == true)
        #expect(bytes.span.hasPrefix("1.1", at: 5) == true)
        #expect(bytes.span.hasPrefix("1.10", at: 5) == false)
        #expect(bytes.span.hasPrefix("http/") == false)
        #expect(bytes.span.hasPrefix("", at: 8) == true)
        #expect([UInt8]().span.hasPrefix("") == true)
    }

    @Test("equals: the whole range or nothing")
    func equals() {
        let bytes = Array("xUpgradex".utf8)
        #expect(bytes.span.equals("Upgrade", at: 1..<8) == true)
        #expect(bytes.span.equals("upgrade", at: 1..<8) == false)
        #expect(bytes.span.equals("Upgrade", at: 1..<9) == false)
        #expect(bytes.span.equals("Upgrade", at: 0..<7) == false)
    }

    @Test("ignoring case: letters of ASCII fold, and nothing else that differs by the same bit", arguments: 0...255)
    func folding(_ byte: Int) {
        let byte = UInt8(byte)
        let pair = [byte, UInt8(ascii: "x")]
        #expect(pair.span.equals("ax", ignoringASCIICaseAt: 0..<2) == (byte == UInt8(ascii: "a") || byte == UInt8(ascii: "A")))
        #expect(pair.span.equals("@x", ignoringASCIICaseAt: 0..<2) == (byte == UInt8(ascii: "@")))
        #expect(pair.span.equals("[x", ignoringASCIICaseAt: 0..<2) == (byte == UInt8(ascii: "[")))
        #expect(pair.span.equals("-x", ignoringASCIICaseAt: 0..<2) == (byte == UInt8(ascii: "-")))
    }

    @Test("decimal: digits only, and only what an Int holds", arguments: [
        ("0", 0), ("007", 7), ("9223372036854775807", Int.max), ("9223372036854775808", nil), ("99999999999999999999", nil),
        ("", nil), ("-1", nil), ("+1", nil), ("1 ", nil), ("1a", nil), ("/", nil), (":", nil),
    ] as [(String, Int?)])
    func decimal(_ text: String, _ value: Int?) {
        let bytes = Array(("<" + text + ">").utf8)
        #expect(bytes.span.decimal(at: 1..<bytes.count - 1) == value)
    }

    @Test("hex: digits of either case, and only what 64 bits hold", arguments: [
        ("0", 0), ("fF", 255), ("0000000000000000000a", 10), ("ffffffffffffffff", UInt64.max), ("10000000000000000", nil),
        ("", nil), ("g", nil), ("G", nil), ("@", nil), ("0x1", nil), ("-1", nil),
    ] as [(String, UInt64?)])
    func hex(_ text: String, _ value: UInt64?) {
        let bytes = Array(("<" + text + ">").utf8)
        #expect(bytes.span.hex(at: 1..<bytes.count - 1) == value)
    }

    @Test("the kinds of a byte agree with the standard library", arguments: 0...255)
    func kinds(_ value: Int) {
        let byte = UInt8(value)
        let character = Character(Unicode.Scalar(byte))
        #expect(byte.isASCIILetter == (character.isASCII && character.isLetter))
        #expect(byte.isASCIIDigit == (character.isASCII && character.isWholeNumber))
        #expect(byte.hexDigit.map(Int.init) == (character.isASCII ? character.hexDigitValue : nil))
    }
}
