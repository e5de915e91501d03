// ByteSearchTests: finding bytes in bytes, at the edges too.

import LoadSupport
import Testing

@Suite struct ByteSearchTests {
    @Test("the first place at or after the start", arguments: [
        ("abcabc", "abc", 0, 0), ("abcabc", "abc", 1, 3), ("abcab", "abc", 1, nil), ("aab", "ab", 0, 1),
        ("", "a", 0, nil), ("a", "", 0, nil),
        ("ab", "abc", 0, nil), ("abc", "c", 9, nil),
    ] as [(String, String, Int, Int?)])
    func search(_ text: String, _ needle: String, _ start: Int, _ expected: Int?) {
        let bytes = Array(text.utf8)
        let found = bytes.span.firstIndex(of: Array(needle.utf8), from: start)
        #expect(found == expected)
    }

    @Test("a decimal ends where the digits end", arguments: [
        ("12a", 0, 12), ("x0", 1, 0), ("", 0, nil), ("a", 0, nil), ("9223372036854775807", 0, .max), ("9223372036854775808", 0, nil),
    ] as [(String, Int, Int?)])
    func decimal(_ text: String, _ start: Int, _ expected: Int?) {
        let bytes = Array(text.utf8)
        let number = bytes.span.decimal(at: start)
        #expect(number == expected)
    }
}
