// Classes of characters, each against its list in the standard.
@testable import HTTP1
import Testing

@Suite struct OctetsTests {
    @Test("RFC 9110 §5.6.2: tokens have these characters and no others")
    func tokens() {
        let allowed = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
        for byte in UInt8.min...UInt8.max { #expect(byte.isToken == allowed.contains(byte), "\(byte)") }
    }

    @Test("RFC 9110 §5.5: field values have no controls but HTAB")
    func content() {
        for byte in UInt8.min...UInt8.max {
            #expect(byte.isFieldContent == (byte == 9 || (byte >= 32 && byte != 127)), "\(byte)")
        }
    }

    @Test("RFC 9110 §5.6.3: optional whitespace at both ends goes", arguments: [
        ("", ""), (" \t ", ""), ("a", "a"), ("\t a b \t", "a b"),
    ])
    func trimmed(_ text: String, _ wanted: String) {
        let bytes = Array(text.utf8)
        let range = bytes.span.trimmed(0..<bytes.count)
        #expect(String(decoding: bytes[range], as: UTF8.self) == wanted)
    }
}
