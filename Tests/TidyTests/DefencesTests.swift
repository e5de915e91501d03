// DefencesTests: the table of defences in Tests/README.md stays true: it has every line, and each file, symbol and test that it names is
// there. Also two rules that no behaviour shows: secrets are compared in constant time, and statements of SQL are constants.
import Testing

/// The rules, each over a text.
enum DefenceRules {
    static let path = "Tests/README.md"
    /// Lines of the rules for what the server must withstand.
    static let count = 43

    /// One row of the table.
    struct Row {
        let number: Int
        let defence: Substring
        let tests: Substring
    }

    static func rows(of text: String) -> [Row] {
        text.split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
            guard cells.count == 6, let number = Int(cells[1].filter { $0 != " " }) else { return nil }
            return Row(number: number, defence: cells[3], tests: cells[4])
        }
    }

    /// What stands between backquotes.
    static func spans(of cell: Substring) -> [String] {
        cell.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    /// Defences that are not where the row says: files that are not there, and words that do not stand in the code of the file before them.
    static func lostDefences(of row: Row, _ read: (String) -> SourceFile?) -> [String] {
        var words: Set<Substring>?
        var found: [String] = []
        for span in spans(of: row.defence) where !span.hasPrefix("--") && !span.hasPrefix("make ") && span != "*" && span != "Origin" {
            if span.hasSuffix(".swift") {
                guard let file = read("Sources/\(span)") else {
                    found.append("\(row.number): there is no \(span)")
                    words = nil
                    continue
                }
                words = Set(file.code.flatMap { $0.split { !$0.isLetter && !$0.isNumber && $0 != "_" } })
                // Fields of answers are words of literals.
                if file.text.contains("nosniff") { words?.insert("nosniff") }
            } else if words?.contains(Substring(span)) == false {
                found.append("\(row.number): \(span) is not in the file before it")
            }
        }
        return found
    }

    /// Tests that are not there.
    static func lostTests(of row: Row, _ read: (String) -> SourceFile?) -> [String] {
        spans(of: row.tests).filter { span in
            guard let dot = span.lastIndex(of: ".") else { return true }
            let (file, name) = (span[..<dot], span[span.index(after: dot)...])
            if let swift = read("Tests/\(file).swift") { return !swift.lines.contains { begins($0, "func \(name)(") } }
            guard let python = read("Tests/\(file).py") else { return true }
            return !python.lines.contains { begins($0, "def \(name)(") }
        }.map { "\(row.number): there is no test \($0)" }
    }

    /// Whether the line declares it, and is no remark.
    private static func begins(_ line: Substring, _ declaration: String) -> Bool {
        line.contains(declaration) && !line.contains("//") && !line.contains("#")
    }

    /// Statements that are put together: a value in the text of one is not bound to it.
    static func assembled(in file: SourceFile) -> [String] {
        file.lines.enumerated().compactMap { index, line in
            guard line.contains(#"\("#), line.contains(/\b(SELECT|INSERT|UPDATE|DELETE|WHERE|VALUES|FROM|LIMIT)\b/) else { return nil }
            return "\(file.path):\(index + 1): a statement that is put together"
        }
    }
}

@Suite("Defences")
struct DefencesTests {
    private static func read(_ path: String) -> SourceFile? { try? SourceTree.file(path) }

    @Test("The table has every line, in order, and each is shown by a test or says that there is nothing to defend")
    func complete() throws {
        let rows = DefenceRules.rows(of: try SourceTree.file(DefenceRules.path).text)
        #expect(rows.map(\.number) == Array(1...DefenceRules.count))
        expectNone(rows.filter { DefenceRules.spans(of: $0.tests).isEmpty && !$0.defence.contains("Nothing to defend") }.map {
            "\($0.number): nothing shows it"
        })
    }

    @Test("What the table names exists")
    func existing() throws {
        let rows = DefenceRules.rows(of: try SourceTree.file(DefenceRules.path).text)
        expectNone(rows.flatMap { DefenceRules.lostDefences(of: $0, Self.read) })
        expectNone(rows.flatMap { DefenceRules.lostTests(of: $0, Self.read) })
    }

    @Test("A planted row that names what is not there is found")
    func planted() throws {
        func row(_ defence: String, _ tests: String) throws -> DefenceRules.Row {
            try #require(DefenceRules.rows(of: "| 7 | x | \(defence) | \(tests) |").first)
        }
        let good = try row("`Base/Limits.swift` · `Limits`, by `--option`", "`TidyTests/DefencesTests.planted`")
        #expect(DefenceRules.lostDefences(of: good, Self.read) == [] && DefenceRules.lostTests(of: good, Self.read) == [])
        for defence in ["`Base/Nothing.swift`", "`Base/Limits.swift` · `nothing`"] {
            #expect(DefenceRules.lostDefences(of: try row(defence, "–"), Self.read).count == 1)
        }
        let absent = ["TidyTests/DefencesTests.nothing", "TidyTests/Nothing.planted", "EndToEndTests/test_http.test_nothing", "nothing"]
        for tests in absent.map({ "`\($0)`" }) {
            #expect(DefenceRules.lostTests(of: try row("x", tests), Self.read).count == 1)
        }
    }

    @Test("Secrets are compared in constant time, by the library, and signatures in no other way")
    func secrets() throws {
        #expect(try SourceTree.file("Sources/Crypto/ConstantTime.swift").code.contains { $0.contains("CRYPTO_memcmp(") })
        let verifying = try SourceTree.file("Sources/Dialects/TokenKeys.swift").code.drop { !$0.contains("func verifies") }.prefix(10)
        #expect(verifying.contains { $0.contains("ConstantTime.equal(own.span, signature)") })
        #expect(!verifying.contains { $0.contains("==") })
    }

    @Test("Statements of SQL are constants: what users wrote is bound to them")
    func statements() throws {
        let files = try SourceTree.sources.get().filter { $0.target == "Storage" }
        #expect(files.contains { $0.lines.contains { $0.contains("INSERT INTO submitted_tasks") } })
        expectNone(files.flatMap(DefenceRules.assembled))
        let planted = SourceFile(path: "x.swift", text: #"run("SELECT id FROM tasks WHERE id = '\(id)'")"#)
        #expect(DefenceRules.assembled(in: planted).count == 1)
    }
}
