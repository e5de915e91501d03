// Numbers: exact integers in every spelling, doubles rounded right, and the shortest text back.
import Base
import JSON
import TestSupport
import Testing

struct JSONNumberTests {
    static func int(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        return JSONNumber.int(bytes.span)
    }

    static func double(_ text: String) -> Double? {
        let bytes = Array(text.utf8)
        return JSONNumber.double(bytes.span)
    }

    static func text(_ value: Double) -> String {
        var writer = ByteWriter()
        JSONNumber.append(value, to: &writer)
        return writer.seal().description
    }

    static let integers: [(String, Int64?)] = [
        ("0", 0), ("-0", 0), ("0.0", 0), ("-0.0e5", 0), ("0e999999999999999999999", 0), ("1", 1), ("-1", -1), ("5000", 5000),
        ("5000.0", 5000), ("5000.000000000000000000000000000", 5000), ("1e3", 1000), ("1E+3", 1000), ("1.5e1", 15), ("1500e-2", 15),
        ("0.00012e5", 12), ("-2.5e1", -25), ("1000000000000000000000000e-20", 10000), ("100e-3", nil), ("1.5", nil), ("1e-1", nil),
        ("9007199254740993", 9_007_199_254_740_993), ("999999999999999999", 999_999_999_999_999_999),
        ("9223372036854775807", .max), ("9223372036854775807.0", .max), ("92233720368547758070e-1", .max), ("9223372036854775808", nil),
        ("-9223372036854775808", .min), ("-9223372036854775808.0", .min), ("-9223372036854775809", nil), ("18446744073709551616", nil),
        ("1e18", 1_000_000_000_000_000_000), ("1e19", nil), ("-1e19", nil), ("1e999999999999999999999999", nil),
        ("1e-999999999999999999999999", nil), ("123456789012345678901234567890", nil), ("0.1e1", 1),
        ("", nil), ("-", nil), ("01", nil), ("+1", nil), ("1 ", nil), ("1x", nil), ("1.", nil), ("NaN", nil),
    ]

    @Test("an integer is exact however it is spelled, and nothing else is one", arguments: integers)
    func exactIntegers(_ text: String, _ value: Int64?) {
        #expect(Self.int(text) == value)
        // The same number as a value in a text takes the short way for plain digits.
        guard let it = try? Reading("[\(text)]"), let node = Array(it.index.elements(of: it.root)).first else { return }
        guard it.raw(node) == text else { return }
        #expect(it.int(node) == value)
    }

    static let doubles: [(String, Double?)] = [
        ("0", 0), ("1.5", 1.5), ("-1.5e3", -1500), ("0.1", 0.1), ("1e22", 1e22), ("1e23", 1e23),
        ("9007199254740993", 9_007_199_254_740_992),
        ("3.141592653589793", 3.141592653589793), ("2.2250738585072014e-308", 2.2250738585072014e-308), ("5e-324", .leastNonzeroMagnitude),
        ("1e-400", 0), ("1.7976931348623157e308", .greatestFiniteMagnitude), ("1e309", nil), ("-1e309", nil),
        ("1e999999999999999999999", nil),
        ("0e999999999999999999999", 0), ("123456789012345678901234567890", 123456789012345678901234567890.0), ("5000.0", 5000),
        ("0.30000000000000004", 0.1 + 0.2), ("1e-7", 1e-7), ("", nil), ("1.", nil), ("inf", nil), ("nan", nil), ("0x10", nil),
    ]

    @Test("a double is the nearest, and nil beyond the largest", arguments: doubles)
    func nearestDoubles(_ text: String, _ value: Double?) {
        #expect(Self.double(text) == value)
    }

    @Test("minus zero keeps its sign")
    func minusZero() {
        #expect(Self.double("-0.0")?.sign == .minus)
        #expect(Self.text(-0.0) == "-0")
    }

    static let printed: [(Double, String)] = [
        (0, "0"), (1, "1"), (-1, "-1"), (42.5, "42.5"), (0.1, "0.1"), (0.3, "0.3"), (99.99, "99.99"), (0.000001, "0.000001"),
        (0.001, "0.001"), (1.0 / 3, "0.3333333333333333"), (0.1 + 0.2, "0.30000000000000004"), (1e14, "100000000000000"),
        (1e300, "1e+300"),
        (1e16, "1e+16"), (.leastNonzeroMagnitude, "5e-324"), (.infinity, "null"), (-.infinity, "null"), (.nan, "null"), (-0.05, "-0.05"),
        (12.0345, "12.0345"),
    ]

    @Test("a double is printed in its shortest form, and what JSON cannot say as null", arguments: printed)
    func shortest(_ value: Double, _ text: String) {
        #expect(Self.text(value) == text)
    }

    @Test("every double comes back from its text, and no shorter text would do", arguments: [1, 2, 3] as [UInt64])
    func roundTrip(seed: UInt64) {
        var random = Seeded(seed: seed)
        for round in 0..<3000 {
            let value: Double
            switch round % 3 {
            case 0: value = Double(bitPattern: random.next())
            case 1: value = Double(Int.random(in: -10_000_000...10_000_000, using: &random)) / 1000
            default: value = Double.random(in: 0...100, using: &random)
            }
            guard value.isFinite else { continue }
            let text = Self.text(value)
            #expect(Self.double(text) == value)
            #expect(text.utf8.count <= value.description.utf8.count + 4, "\(text) for \(value)")
            let short = value.description.hasSuffix(".0") ? String(value.description.dropLast(2)) : value.description
            if round % 3 == 1 { #expect(text == short) }
        }
    }

    @Test("every integer comes back from its text", arguments: [1, 2, 3] as [UInt64])
    func integersRoundTrip(seed: UInt64) {
        var random = Seeded(seed: seed)
        for _ in 0..<2000 {
            let value = Int64(truncatingIfNeeded: random.next()) >> Int64.random(in: 0..<64, using: &random)
            #expect(Self.int("\(value)") == value)
            #expect(Self.int("\(value).0") == value)
        }
    }
}
