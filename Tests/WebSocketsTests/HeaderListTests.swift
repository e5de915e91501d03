// Goal: lists, parameters and tokens of header values.
import Testing

@testable import WebSockets

private func elements(_ text: String, _ separator: Character) -> (found: [String], isWellFormed: Bool) {
    let bytes = Array(text.utf8)
    var list = HeaderList(bytes.span)
    var found: [String] = []
    while let range = list.next(bytes.span, separator: separator.asciiValue ?? 0) {
        found.append(String(decoding: bytes[range], as: UTF8.self))
    }
    return (found, list.isWellFormed)
}

@Test("RFC 9110 §5.6.1.2: empty elements of a list are skipped, quoted separators are none")
func commaLists() {
    let table: [(String, [String])] = [
        ("", []), (",", []), (" , ,", []), ("a", ["a"]), ("a,b", ["a", "b"]), (" a\t,\tb ", ["a", "b"]),
        ("\"a,b\",c", ["\"a,b\"", "c"]), ("\"a\\\",b\",c", ["\"a\\\",b\"", "c"]), ("\"a,b", ["\"a,b"]),
        ("a\\", ["a\\"]), ("a\\,b", ["a\\", "b"]),
    ]
    for (text, found) in table { #expect(elements(text, ",").found == found, "\(text)") }
}

@Test("between parameters nothing may be empty")
func semicolonLists() {
    for text in ["a;", ";a", "a;;b", "a; ;b", "\"a;b"] { #expect(!elements(text, ";").isWellFormed, "\(text)") }
    for text in ["a", "a;b", " a ; b ", "\"a;\""] { #expect(elements(text, ";").isWellFormed, "\(text)") }
}

@Test("RFC 9110 §5.6.2: tokens")
func tokens() {
    for text in ["a", "A-Z.0_9", "!#$%&'*+-.^_`|~"] { #expect(Array(text.utf8).span.isToken == true, "\(text)") }
    for text in ["", " ", "a b", "a\"", "a,b", "a/b", "a:b", "a=b", "é", "\u{7f}", "a\n"] {
        #expect(Array(text.utf8).span.isToken == false, "\(text)")
    }
}
