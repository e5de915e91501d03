// Names that are known, and lists.
@testable import HTTP1
import Testing
import TestSupport

@Suite struct HeadersTests {
    @Test("every known name is found in small, capital and mixed letters", arguments: FieldName.allCases)
    func known(_ name: FieldName) {
        let text = name.text.description
        var mixed = text.uppercased()
        if let first = text.first { mixed = String(first) + mixed.dropFirst() }
        for spelling in [text, text.uppercased(), mixed] {
            let bytes = Array(spelling.utf8)
            let found = FieldName.find(0..<bytes.count, in: bytes.span)
            #expect(found == name)
        }
    }

    @Test("names of the same length and first letter are not taken for known ones", arguments: [
        "hosu", "hosT-", "contenu-length", "content-lengt", "transfer_encoding", "x", "accept-language", "te2",
    ])
    func unknown(_ text: String) {
        let bytes = Array(text.utf8)
        let found = FieldName.find(0..<bytes.count, in: bytes.span)
        #expect(found == .other)
    }

    @Test("the table of a head has room for every known name")
    func room() {
        #expect(FieldName.allCases.count <= RequestHead.namesMax)
    }

    @Test("RFC 9110 §5.6.1: members of lists, without whitespace and empty ones", arguments: [
        ("a", ["a"]), ("a,b", ["a", "b"]), (" a , b\t,c ", ["a", "b", "c"]), (",, ,a,,", ["a"]), ("", []), (" , ", []), ("a b", ["a b"]),
        ("a;x=\"1,2\", b", ["a;x=\"1,2\"", "b"]), ("\"\\\",\",b", ["\"\\\",\"", "b"]), ("\"a,b", ["\"a,b"]), ("\"a\\", ["\"a\\"]),
    ] as [(String, [String])])
    func lists(_ text: String, _ wanted: [String]) {
        let bytes = Array(text.utf8)
        var members = ListMembers(0..<bytes.count)
        var found: [String] = []
        while let member = members.next(in: bytes.span) { found.append(String(decoding: bytes[member], as: UTF8.self)) }
        #expect(found == wanted)
    }
}
