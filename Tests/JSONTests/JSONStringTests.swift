// Strings: escapes resolved, compared and made.
import Base
@testable import JSON
import TestSupport
import Testing

struct JSONStringTests {
    static func decoded(_ contents: String) -> String? {
        guard let it = try? Reading("\"\(contents)\"") else { return nil }
        return it.string(it.root)
    }

    static func escaped(_ text: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.jsonString(text.span)
        return (0..<writer.count).map { writer.span[$0] }
    }

    static let escapes: [(String, String)] = [
        ("", ""), ("plain", "plain"), ("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\u{8}\u{c}\n\r\t"), ("a\\nb\\tc", "a\nb\tc"),
        ("\\u0041\\u00e9\\u4e2d", "Aé中"), ("\\u0000", "\u{0}"), ("\\u00E9", "é"), ("\\ud83d\\ude00!", "😀!"), ("x\\uD83D\\uDE00", "x😀"),
        ("\\ud800", "\u{fffd}"), ("\\udc00", "\u{fffd}"), ("\\ud800x", "\u{fffd}x"), ("\\ud800\\u0041", "\u{fffd}A"),
        ("\\ud800\\ud83d\\ude00", "\u{fffd}😀"), ("\\udc00\\ud800", "\u{fffd}\u{fffd}"), ("\\ud83d\\n", "\u{fffd}\n"),
        ("\\uffff", "\u{ffff}"), ("\\udbff\\udfff", "\u{10ffff}"), ("é\\n中", "é\n中"), ("\\\\u0041", "\\u0041"),
        ("\\ud83d\\\\ude00", "\u{fffd}\\ude00"),
    ]

    @Test("RFC 8259 §7: an escaped string decodes to its text, a lone surrogate to U+FFFD", arguments: escapes)
    func decodes(_ contents: String, _ text: String) {
        #expect(Self.decoded(contents)?.unicodeScalars.elementsEqual(text.unicodeScalars) == true)
    }

    @Test("a string equals its decoded text, and no part or other of it", arguments: escapes)
    func equality(_ contents: String, _ text: String) throws {
        let it = try Reading("\"\(contents)\"")
        let utf8 = Array(text.utf8)
        #expect(it.equals(it.root, utf8))
        #expect(!it.equals(it.root, utf8 + [0x61]))
        for place in utf8.indices {
            #expect(!it.equals(it.root, Array(utf8[..<place])))
            var other = utf8
            other[place] ^= 1
            #expect(!it.equals(it.root, other))
        }
    }

    static let texts: [(String, String)] = [
        ("", "\"\""), ("plain", "\"plain\""), ("say \"hi\"", "\"say \\\"hi\\\"\""), ("a\\b", "\"a\\\\b\""), ("a/b", "\"a/b\""),
        ("\u{8}\t\n\u{c}\r", "\"\\b\\t\\n\\f\\r\""), ("\u{0}\u{1f}\u{b}", "\"\\u0000\\u001f\\u000b\""), ("\u{7f}é中😀", "\"\u{7f}é中😀\""),
    ]

    @Test("RFC 8259 §7: only the quote, the backslash and controls are escaped", arguments: texts)
    func escapesLeast(_ text: String, _ json: String) {
        #expect(Self.escaped(Array(text.utf8)) == Array(json.utf8))
    }

    @Test("every byte that must be escaped is found at every place of a word")
    func everyPlace() throws {
        for length in 1..<20 {
            for place in 0..<length {
                for special in [0x00, 0x1f, 0x22, 0x5c] as [UInt8] {
                    var text = [UInt8](repeating: UInt8(ascii: "!"), count: length)
                    text[place] = special
                    let json = Self.escaped(text)
                    #expect(json.count > length + 2)
                    let it = try Reading(json)
                    #expect(it.equals(it.root, text))
                }
            }
        }
    }

    @Test("any text comes back from its escaped form", arguments: [1, 2, 3] as [UInt64])
    func roundTrip(seed: UInt64) {
        var random = Seeded(seed: seed)
        for _ in 0..<500 {
            var scalars = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0..<40, using: &random) {
                let limit: UInt32 = [0x30, 0x80, 0x800, 0x11_0000].randomElement(using: &random) ?? 0x80
                if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &random)) { scalars.append(scalar) }
            }
            let text = String(scalars)
            let json = Self.escaped(Array(text.utf8))
            #expect(Oracle.accepts(json))
            let decoded = Self.decoded(String(decoding: json.dropFirst().dropLast(), as: UTF8.self))
            #expect(decoded?.utf8.elementsEqual(text.utf8) == true)
        }
    }
}
