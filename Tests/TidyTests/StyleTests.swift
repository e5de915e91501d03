// StyleTests: the parts of the house's style that a machine can see. Formatting belongs to swift-format, layering to LayeringTests.
import Testing

/// The rules, each over a text.
enum Style {
    static let lineLengthMax = 140
    static let fileLinesMax = 500

    /// Declarations that take the compiler's proof of safety upon themselves. Each says why, in a comment above it.
    static let unchecked: Set<String> = [
        "Sources/Base/Bytes/SharedBytes.swift: SharedBytes", "Sources/Crypto/PublicKey.swift: PublicKey",
    ]

    /// Whoever reads a clock is not deterministic: everybody else is told the time.
    static let clockFile = "Sources/Reactor/SystemClock.swift"
    static let clocks = [
        "clock_gettime", "clock_getres", "clock_nanosleep", "gettimeofday", "nanosleep", "ContinuousClock", "SuspendingClock",
        "DispatchTime", "DispatchWallTime",
    ]

    /// What is left for later has no place here. Written in halves, so that this file passes its own rule.
    static let unfinished = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]

    private static func found(_ file: SourceFile, _ index: Int, _ what: String) -> String { "\(file.path):\(index + 1): \(what)" }

    static func clockCalls(in file: SourceFile) -> [String] {
        if file.path == clockFile { return [] }
        return file.code.enumerated().flatMap { index, line in
            let words = line.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
            return clocks.filter { clock in words.contains { $0 == clock } }.map { found(file, index, "\($0) outside \(clockFile)") }
        }
    }

    static func marksOfUnfinishedWork(in file: SourceFile) -> [String] {
        file.lines.enumerated().flatMap { index, line in
            unfinished.filter { line.contains($0) }.map { found(file, index, $0) }
        }
    }

    static func longLines(in file: SourceFile) -> [String] {
        file.lines.enumerated().filter { $0.element.count > lineLengthMax }.map { index, line in
            found(file, index, "\(line.count) characters, \(lineLengthMax) at most")
        }
    }

    static func length(of file: SourceFile) -> [String] {
        let count = file.lines.count
        return count > fileLinesMax ? ["\(file.path): \(count) lines, \(fileLinesMax) at most"] : []
    }

    static func opening(of file: SourceFile) -> [String] {
        let first = file.lines.first ?? ""
        return first.hasPrefix("// ") ? [] : ["\(file.path): does not open with a comment that says what it is"]
    }

    /// What ends the process for everybody: it stands with the invariant that makes it unreachable, on the same line.
    static func traps(in file: SourceFile) -> [String] {
        zip(file.code, file.lines).enumerated().flatMap { index, pair in
            let (code, line) = pair
            if line.contains(/\/\/ invariant: \S/) { return [String]() }
            return ["try!", "as!", "fatalError("].filter { code.contains($0) }.map { found(file, index, "\($0) without an invariant") }
        }
    }

    /// A `switch` over an enum of ours names every case, so that a new one is thought of everywhere; over numbers, bytes and texts, whose
    /// cases nobody can name, it says `default`, and so that one is not taken for the other there is no third word.
    static func disguisedDefaults(in file: SourceFile) -> [String] {
        file.code.enumerated().filter { $0.element.contains(/\bcase\s+_\s*:/) }.map { found(file, $0.offset, "a default in disguise") }
    }

    /// The declarations with `@unchecked Sendable` or `nonisolated(unsafe)`, as `path: name`, and those among them that give no reason.
    static func uncheckedDeclarations(in file: SourceFile) -> (all: [String], silent: [String]) {
        var all: [String] = []
        var silent: [String] = []
        let lines = file.lines
        for (index, code) in file.code.enumerated() where code.contains(/@unchecked\s+Sendable|nonisolated\(unsafe\)/) {
            let declaration = code.firstMatch(of: /\b(?:struct|class|enum|actor|extension|let|var)\s+(\w+)/)
            let name = declaration.map { String($0.1) } ?? "line \(index + 1)"
            all.append("\(file.path): \(name)")
            let above = lines[..<index].reversed().map { $0.drop(while: \.isWhitespace) }.prefix { $0.hasPrefix("//") || $0.hasPrefix("@") }
            if !above.contains(where: { $0.hasPrefix("// ") }) { silent.append(found(file, index, "\(name) gives no reason")) }
        }
        return (all, silent)
    }
}

@Suite("Style")
struct StyleTests {
    /// Every Swift file of the project but its manifest.
    private static let all = Result { try ["Sources", "Tests", "Benchmarks"].flatMap { try SourceTree.files(under: $0, ".swift") } }
    private let sources: [SourceFile]
    private let all: [SourceFile]

    init() throws {
        sources = try SourceTree.sources.get()
        all = try StyleTests.all.get()
    }

    private func planted(_ text: String) -> SourceFile { SourceFile(path: "Sources/Base/Planted.swift", text: text) }

    @Test("One file reads the clock")
    func clock() {
        expectNone(sources.flatMap(Style.clockCalls))
        #expect(Style.clockCalls(in: planted("unsafe clock_gettime(CLOCK_MONOTONIC, &time)")).count == 1)
        #expect(Style.clockCalls(in: planted("let clock = ContinuousClock()")).count == 1)
        #expect(Style.clockCalls(in: planted("// clock_gettime\nlet my_clock_gettime_count = \"gettimeofday\"")) == [])
    }

    @Test("What is unchecked is known, and says why")
    func unchecked() {
        let declarations = sources.map(Style.uncheckedDeclarations)
        #expect(Set(declarations.flatMap(\.all)) == Style.unchecked)
        expectNone(declarations.flatMap(\.silent))
    }

    @Test(
        "A planted unchecked declaration is found, with or without a reason",
        arguments: [
            "final class Bad: @unchecked Sendable {", "extension Bad: @unchecked  Sendable {}", "nonisolated(unsafe) var Bad = 0",
        ])
    func plantedUnchecked(line: String) {
        let name = "Sources/Base/Planted.swift: Bad"
        let reasoned = Style.uncheckedDeclarations(in: planted("/// A thing.\n// One thread holds it.\n@safe\n\(line)"))
        #expect(reasoned.all == [name])
        #expect(reasoned.silent == [])
        let silent = Style.uncheckedDeclarations(in: planted("// Planted: a file.\n\n/// A thing.\n\(line)"))
        #expect(silent.all == [name])
        #expect(silent.silent.count == 1)
        #expect(Style.uncheckedDeclarations(in: planted("// \(line)")).all == [])
    }

    @Test("Nothing is left for later")
    func unfinished() {
        expectNone(all.flatMap(Style.marksOfUnfinishedWork))
        for mark in Style.unfinished { #expect(Style.marksOfUnfinishedWork(in: planted("let a = 1 // \(mark): b")).count == 1) }
    }

    @Test("Lines have a length")
    func lineLength() throws {
        expectNone(try (all + [SourceTree.file("Package.swift")]).flatMap(Style.longLines))
        #expect(Style.longLines(in: planted(String(repeating: "é", count: 140) + "\n")) == [])
        #expect(Style.longLines(in: planted("\n" + String(repeating: "x", count: 141))).count == 1)
    }

    @Test("Files have a length")
    func fileLength() {
        expectNone(all.flatMap(Style.length))
        #expect(Style.length(of: planted(String(repeating: "\n", count: 500))) == [])
        #expect(Style.length(of: planted(String(repeating: "\n", count: 501))).count == 1)
    }

    @Test("A file opens by saying what it is")
    func opening() throws {
        expectNone(try (all + SourceTree.files(under: "Sources", ".h", ".c")).flatMap(Style.opening))
        #expect(Style.opening(of: planted("import Base\n")).count == 1)
        #expect(Style.opening(of: planted("\n// Late.\n")).count == 1)
        #expect(Style.opening(of: planted("")).count == 1)
    }

    @Test("What ends the process names the invariant that prevents it")
    func traps() {
        expectNone(sources.flatMap(Style.traps))
        for trap in ["try! f()", "x as! Int", "fatalError(\"no\")"] {
            #expect(Style.traps(in: planted("let a = \(trap)")).count == 1, "\(trap)")
            #expect(Style.traps(in: planted("let a = \(trap) // invariant:")).count == 1, "\(trap)")
            #expect(Style.traps(in: planted("let a = \(trap) // invariant: a is made two lines above")) == [], "\(trap)")
        }
        #expect(Style.traps(in: planted("// try! as! fatalError(\nlet a = \"try!\"")) == [])
    }

    @Test("No default in disguise")
    func disguises() {
        expectNone(sources.flatMap(Style.disguisedDefaults))
        #expect(Style.disguisedDefaults(in: planted("switch a {\ncase .b: 1\ncase _: 2\n}")).count == 1)
        #expect(Style.disguisedDefaults(in: planted("case (_, _): 1\ncase .a(_): 2\ndefault: 3\n// case _: 4")) == [])
    }
}
