// ProcTextTests: lines, words and figures, of any bytes.
import Testing

@testable import Vitals

@Suite("ProcText")
struct ProcTextTests {
    private func lines(_ text: String) -> [String] {
        let bytes = Array(text.utf8)
        var lines: [String] = []
        var start = 0
        while let line = ProcText.line(of: bytes.span, from: start) {
            start = line.upperBound + 1
            lines.append(String(decoding: bytes[line], as: UTF8.self))
        }
        return lines
    }

    @Test(
        "A line ends with its sign; what was cut off is none",
        arguments: [("", []), ("a", []), ("a\n", ["a"]), ("\n\nb\nc", ["", "", "b"])] as [(String, [String])])
    func lines(text: String, lines: [String]) {
        #expect(self.lines(text) == lines)
    }

    @Test(
        "Words are what stands between blanks",
        arguments: [("", []), (" \t ", []), ("a", ["a"]), (" MemTotal:\t 12  kB ", ["MemTotal:", "12", "kB"])] as [(String, [String])])
    func words(text: String, words: [String]) {
        let bytes = Array(text.utf8)
        var rest = 0..<bytes.count
        var found: [String] = []
        while let word = ProcText.word(of: bytes.span, in: &rest) { found.append(String(decoding: bytes[word], as: UTF8.self)) }
        #expect(found == words)
    }

    @Test(
        "A number is digits within 64 bits",
        arguments: [
            ("0", 0), ("007", 7), ("18446744073709551615", .max), ("18446744073709551616", nil), ("99999999999999999999", nil), ("", nil),
            ("-1", nil), ("1.5", nil), ("1x", nil), ("\u{ff}", nil),
        ] as [(String, UInt64?)])
    func numbers(text: String, number: UInt64?) {
        let bytes = Array(text.utf8)
        #expect(ProcText.number(of: bytes.span, 0..<bytes.count) == number)
    }

    @Test(
        "A decimal may have a point",
        arguments: [
            ("2596", 2596), ("2596.125", 2596.125), ("2596.", 2596), (".5", nil), ("1.2.3", nil), ("1.x", nil), ("", nil), (".", nil),
        ] as [(String, Double?)])
    func decimals(text: String, decimal: Double?) {
        let bytes = Array(text.utf8)
        #expect(ProcText.decimal(of: bytes.span, 0..<bytes.count) == decimal)
    }

    @Test("A word is compared whole, a prefix from its beginning")
    func comparison() {
        let bytes = Array("cpu0".utf8)
        let found = [
            ProcText.starts(bytes.span, 0..<4, with: "cpu"), ProcText.starts(bytes.span, 0..<2, with: "cpu"),
            ProcText.starts(bytes.span, 1..<4, with: "cpu"), ProcText.equal(bytes.span, 0..<4, "cpu"),
            ProcText.equal(bytes.span, 0..<3, "cpu"),
        ]
        #expect(found == [true, false, false, false, true])
    }
}
