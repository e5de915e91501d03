// SourceTreeTests: the rules read blanked text, so that what stands in a comment or a literal is no code, and the other way round.
import Testing

@Suite("Source tree")
struct SourceTreeTests {
    @Test(
        "Comments and literals are blanked, code and columns stay",
        arguments: [
            ("a // try!", "a        "),
            ("a /* x /* y */ z */ b", "a                   b"),
            ("a \"// b\" c", "a        c"),
            ("a \"\\\"//\" c", "a        c"),
            ("a \"x\\(b(1) + \"y\")z\" c", "a     b(1) +        c"),
            ("a #\"\"x\"\\\"# c", "a          c"),
            ("a \"\"\"\n \"x\" \n\"\"\" c", "a    \n     \n    c"),
            ("a #/\"/# c", "a       c"),
        ])
    func blanking(text: String, code: String) {
        let found = Blanking.code(of: text)
        #expect(found.utf8.count == text.utf8.count)
        #expect(found == code)
    }

    @Test("The tree that is read is this one")
    func tree() throws {
        let files = try SourceTree.files(under: "Sources", ".swift")
        #expect(files.contains { $0.path == "Sources/Base/Limits.swift" && $0.target == "Base" && $0.name == "Limits.swift" })
        #expect(try SourceTree.file("Package.swift").lines[0].hasPrefix("// swift-tools-version"))
    }
}
