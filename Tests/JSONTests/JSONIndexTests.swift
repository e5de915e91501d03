// The grammar of RFC 8259, case by case and against a second reader that is too simple to be wrong in the same way.
import Base
@testable import JSON
import TestSupport
import Testing

struct JSONIndexTests {
    static func refusal(_ bytes: [UInt8], _ limits: JSONLimits = JSONLimits()) -> JSONError? {
        var index = JSONIndex(limits: limits)
        do {
            try index.build(from: bytes.span)
            return nil
        } catch {
            return error
        }
    }

    // MARK: What must be read

    static let accepted = [
        "{}", "[]", "0", "-0", "true", "false", "null", "\"\"", " \t\r\n1 \t\r\n", "[[]]", "[{}]", "{\"\":0}", "{\"a\":{}}",
        "[1,2]", "[ 1 , 2 ]", "{\"a\":1,\"b\":2}", "{ \"a\" : 1 , \"b\" : 2 }", "{\"a\":1,\"a\":2}", "[[],[[]],{\"a\":[]}]",
        "1.5", "-1.5", "1e5", "1E5", "1e+5", "1e-5", "1.5e5", "0e0", "0.0", "-0.0e-0", "123456789012345678901234567890", "1e999", "0.1",
        "[-1]", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0000\"", "\"\\u00e9\"", "\"\\uABCD\\uabcd\"", "\"\\ud83d\\ude00\"",
        "\"\u{7f}\"", "\"\u{80}\"", "\"\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\"", "\"é中😀\"", "\"\u{2028}\u{2029}\"", "\"\u{fffe}\"",
        "[true,false,null,\"x\",1]", "{\"a\":[{\"b\":[{\"c\":null}]}]}", "\"0123456\"", "\"01234567\"", "\"012345678\"",
        // Left open by RFC 8259 §8.2 and passed on: surrogates without their other half.
        "\"\\ud800\"", "\"\\udc00\"", "\"\\udc00\\ud800\"", "\"\\ud800\\u0041\"", "\"\\ud800x\"",
    ]

    @Test("RFC 8259: what the grammar allows is read, and the root is all of it but the space around", arguments: accepted)
    func accepts(_ text: String) throws {
        let bytes = Array(text.utf8)
        var index = JSONIndex()
        try index.build(from: bytes.span)
        let space: Set<UInt8> = [0x20, 0x09, 0x0a, 0x0d]
        let start = bytes.firstIndex { !space.contains($0) }
        let end = bytes.lastIndex { !space.contains($0) }
        #expect(index.range(of: index.root).lowerBound == start)
        #expect(index.range(of: index.root).upperBound == end.map { $0 + 1 })
        #expect(Oracle.accepts(bytes))
    }

    // MARK: What must be refused, and where

    static let refused: [(String, JSONError.Reason, Int)] = [
        ("", .expectedValue, 0), (" ", .expectedValue, 1), ("x", .expectedValue, 0), ("[", .expectedValue, 1), ("{", .expectedKey, 1),
        ("]", .expectedValue, 0), ("}", .expectedValue, 0), ("[1", .expectedCommaOrBracket, 2), ("[1,", .expectedValue, 3),
        ("[1,]", .expectedValue, 3), ("[,1]", .expectedValue, 1), ("[1,,2]", .expectedValue, 3), ("[1 2]", .expectedCommaOrBracket, 3),
        ("[1}", .expectedCommaOrBracket, 2), ("{\"a\":1]", .expectedCommaOrBrace, 6), ("{\"a\"", .expectedColon, 4),
        ("{\"a\":", .expectedValue, 5), ("{\"a\":}", .expectedValue, 5), ("{\"a\" 1}", .expectedColon, 5), ("{\"a\":1,}", .expectedKey, 7),
        ("{,}", .expectedKey, 1), ("{a:1}", .expectedKey, 1), ("{'a':1}", .expectedKey, 1), ("{1:1}", .expectedKey, 1),
        ("{\"a\":1 \"b\":2}", .expectedCommaOrBrace, 7), ("{\"a\":1", .expectedCommaOrBrace, 6), ("{\"a\":1,\"b\"}", .expectedColon, 10),
        ("{\"a\",\"b\"}", .expectedColon, 4), ("[\"a\":1]", .expectedCommaOrBracket, 4), ("1 2", .expectedEnd, 2),
        ("{}{}", .expectedEnd, 2),
        ("[]]", .expectedEnd, 2), ("null,", .expectedEnd, 4), ("nul", .expectedValue, 0), ("nulL", .expectedValue, 0),
        ("True", .expectedValue, 0), ("truex", .expectedEnd, 4), ("fals", .expectedValue, 0), ("NaN", .expectedValue, 0),
        ("Infinity", .expectedValue, 0), ("-Infinity", .expectedDigit, 1), ("undefined", .expectedValue, 0),
        ("01", .expectedEnd, 1), ("-01", .expectedEnd, 2), ("00", .expectedEnd, 1), ("+1", .expectedValue, 0), ("-", .expectedDigit, 1),
        ("--1", .expectedDigit, 1), (".5", .expectedValue, 0), ("1.", .expectedDigit, 2), ("1.e5", .expectedDigit, 2),
        ("1e", .expectedDigit, 2),
        ("1e+", .expectedDigit, 3), ("1e5.5", .expectedEnd, 3), ("1.2.3", .expectedEnd, 3), ("0x10", .expectedEnd, 1),
        ("1_000", .expectedEnd, 1),
        ("1a", .expectedEnd, 1), ("[1e]", .expectedDigit, 3), ("[-]", .expectedDigit, 2), ("１", .expectedValue, 0),
        ("\"", .unterminatedString, 1), ("\"abc", .unterminatedString, 4), ("\"abcdefghijk", .unterminatedString, 12),
        ("\"a\\\"", .unterminatedString, 4), ("\"\\", .unterminatedString, 2), ("\"\\u00", .unterminatedString, 5),
        ("'a'", .expectedValue, 0),
        ("\"\\x\"", .badEscape, 2), ("\"\\a\"", .badEscape, 2), ("\"\\U0041\"", .badEscape, 2), ("\"\\u00g0\"", .badEscape, 5),
        ("\"\\u004\"", .badEscape, 6), ("\"\\ \"", .badEscape, 2), ("\"\\é\"", .badEscape, 2), ("\"\\0\"", .badEscape, 2),
        ("\"\t\"", .controlCharacter, 1), ("\"a\nb\"", .controlCharacter, 2), ("\"\u{0}\"", .controlCharacter, 1),
        ("\"01234567\u{1f}\"", .controlCharacter, 9), ("\"abcdefg\u{1f}8901234\"", .controlCharacter, 8),
        ("\u{feff}{}", .expectedValue, 0), ("\u{a0}1", .expectedValue, 0), ("1\u{0c}", .expectedEnd, 1), ("\u{0}", .expectedValue, 0),
        ("[1]\u{0}", .expectedEnd, 3), ("/**/1", .expectedValue, 0), ("1//", .expectedEnd, 1), ("[1,2]#", .expectedEnd, 5),
        ("*", .expectedValue, 0),
    ]

    @Test("RFC 8259: what the grammar does not allow is refused at the first byte that cannot stand", arguments: refused)
    func refuses(_ text: String, _ reason: JSONError.Reason, _ offset: Int) {
        #expect(Self.refusal(Array(text.utf8)) == JSONError(reason, at: offset))
        #expect(!Oracle.accepts(Array(text.utf8)))
    }

    static let notUTF8: [[UInt8]] = [
        [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xc2], [0xc2, 0x20], [0xe0, 0x9f, 0xbf], [0xe1, 0x80], [0xed, 0xa0, 0x80],
        [0xed, 0xbf, 0xbf], [0xe2, 0x82, 0x28], [0xf0, 0x8f, 0xbf, 0xbf], [0xf0, 0x9f, 0x98], [0xf4, 0x90, 0x80, 0x80],
        [0xf5, 0x80, 0x80, 0x80], [0xff], [0xfe], [0xf0, 0x9f, 0x28, 0x80], [0xc3, 0xa9, 0x80],
    ]

    @Test("RFC 3629 §4: what is not UTF-8 is refused at every place of a word, in values and in keys", arguments: notUTF8)
    func refusesBadUTF8(_ bad: [UInt8]) {
        for lead in 0..<17 {
            let before = [UInt8](repeating: UInt8(ascii: "a"), count: lead)
            let valid = bad == [0xc3, 0xa9, 0x80] ? 2 : 0
            for (prefix, suffix) in [("\"", "\""), ("{\"", "\":1}"), ("[\"", "       \"]")] {
                let text = Array(prefix.utf8) + before + bad + Array(suffix.utf8)
                let place = prefix.utf8.count + lead + valid
                #expect(Self.refusal(text) == JSONError(.badUTF8, at: place), "\(lead) bytes before, \(prefix)")
            }
        }
    }

    @Test("every cut of a good text is refused where it ends, or at the word or character that was cut")
    func truncated() throws {
        let text = Array(#"{"a": [1.5e3, true, "x\u00e9é"], "b": {"c": null}}"#.utf8)
        #expect(Self.refusal(text) == nil)
        for length in 0..<text.count {
            let error = try #require(Self.refusal(Array(text[..<length])))
            #expect(error.offset <= length && error.offset + 4 > length, "cut at \(length): \(error)")
        }
    }

    // MARK: Limits

    @Test("as many containers within each other as the limit, and not one more", arguments: [1, 2, 128] as [Int])
    func depth(_ limit: Int) {
        let limits = JSONLimits(depthMax: limit)
        func nest(_ open: String, _ close: String, _ levels: Int) -> [UInt8] {
            Array((String(repeating: open, count: levels) + String(repeating: close, count: levels)).utf8)
        }
        #expect(Self.refusal(nest("[", "]", limit), limits) == nil)
        #expect(Self.refusal(nest("[", "]", limit + 1), limits) == JSONError(.tooDeep, at: limit))
        #expect(Self.refusal(Array(String(repeating: "{\"a\":", count: limit + 1).utf8), limits) == JSONError(.tooDeep, at: 5 * limit))
        // Siblings are not depth.
        #expect(Self.refusal(Array("[0\(limit == 1 ? "" : String(repeating: ",[]", count: 1000))]".utf8), limits) == nil)
    }

    @Test("a million brackets are refused at the limit, not followed")
    func bomb() {
        #expect(Self.refusal([UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)) == JSONError(.tooDeep, at: 128))
    }

    @Test("a text longer than the limit is not looked at")
    func length() {
        let limits = JSONLimits(bytesMax: 4)
        #expect(Self.refusal(Array("true".utf8), limits) == nil)
        #expect(Self.refusal(Array("xxxxx".utf8), limits) == JSONError(.tooLong, at: 4))
    }

    // MARK: Reuse

    @Test("an index built again says nothing of the text before, and after a refusal nothing at all")
    func reuse() throws {
        var index = JSONIndex()
        let first = Array(#"{"a":[1,2,3]}"#.utf8)
        let second = Array("7".utf8)
        let bad = Array("[1,".utf8)
        try index.build(from: first.span)
        try index.build(from: second.span)
        #expect(index.kind(of: index.root) == .number)
        #expect(index.entries.count == 1)
        #expect(throws: JSONError.self) { try index.build(from: bad.span) }
        #expect(index.isEmpty)
    }

    @Test("memory is kept from text to text up to the limit, and given back beyond it")
    func memory() throws {
        var index = JSONIndex(limits: JSONLimits(nodesRetained: 64))
        let small = Array("[1,2,3]".utf8)
        let large = Array(("[0" + String(repeating: ",1", count: 1000) + "]").utf8)
        try index.build(from: small.span)
        func address() -> Int { unsafe index.entries.withUnsafeBufferPointer { Int(bitPattern: $0.baseAddress) } }
        let before = address()
        try index.build(from: small.span)
        #expect(address() == before)
        try index.build(from: large.span)
        #expect(index.entries.capacity > 64)
        try index.build(from: small.span)
        #expect(index.entries.capacity <= 64)
    }

    @Test("an index made on another thread of shared bytes answers here")
    func elsewhere() async throws {
        let bytes = SharedBytes(#"{"id":"x"}"#)
        let index = try await Task.detached { try JSONIndex(of: bytes) }.value
        let id = index.string("id", of: index.root, in: bytes.span)
        #expect(id == "x")
    }

    // MARK: Against the second reader

    static let seeds: [UInt64] = [1, 2, 3, 4, 5, 6, 7, 8]

    @Test("mutated texts never trap, and are read exactly where the second reader reads them", arguments: seeds)
    func mutated(seed: UInt64) {
        var random = Seeded(seed: seed)
        let alphabet = Array("{}[]\",:\\u0123eE+-.truefalsn \n\t\u{1}".utf8) + [0x80, 0xc3, 0xe2, 0xed, 0xf0, 0xff]
        var index = JSONIndex(limits: JSONLimits(depthMax: 40))
        var accepted = 0
        for round in 0..<3000 {
            var text = Array(Sample.text(using: &random).utf8)
            for _ in 0..<(round % 4) where !text.isEmpty {
                let place = Int.random(in: 0..<text.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: text[place] = alphabet.randomElement(using: &random) ?? 0
                case 1: text.insert(alphabet.randomElement(using: &random) ?? 0, at: place)
                case 2: text.remove(at: place)
                default: text.replaceSubrange(place..., with: text[Int.random(in: 0..<text.count, using: &random)...])
                }
            }
            var isRead = true
            do { try index.build(from: text.span) } catch {
                isRead = false
                #expect(error.offset >= 0 && error.offset <= text.count)
            }
            guard isRead == Oracle.accepts(text) else {
                Issue.record("read: \(isRead), bytes \(text)")
                continue
            }
            if isRead {
                accepted += 1
                Walk.everything(index, text)
            }
        }
        #expect(accepted > 750 && accepted < 3000)
    }
}
