// LimitsTests: every bound of the server says what it is, is kept by somebody, and fits the others. What keeping it means is tested where
// it is kept.
import Base
import Testing

/// The rules, each over a text.
enum LimitRules {
    static let path = "Sources/Base/Limits.swift"

    /// Names that say by themselves what they bound, where their group is documented.
    static let plainEndings = ["Max", "Min", "Default"]

    /// The stored bounds: their lines and names.
    static func bounds(in file: SourceFile) -> [(line: Int, name: String)] {
        file.code.enumerated().compactMap { index, line in
            guard !line.contains("{"), let match = line.firstMatch(of: /^\s*public\s+(?:var|let)\s+(\w+)/) else { return nil }
            return (index, String(match.1))
        }
    }

    /// Bounds without a doc comment of their own that are not plain members of a group: lines right below a documented bound, or below
    /// the group's mark.
    static func undocumented(in file: SourceFile) -> [String] {
        let lines = file.lines.map { $0.drop(while: \.isWhitespace) }
        let bounds = bounds(in: file)
        let boundLines = Set(bounds.map(\.line))
        return bounds.compactMap { line, name in
            var first = line
            while boundLines.contains(first - 1) { first -= 1 }
            let above = lines[..<first].suffix(2)
            let belowMark = above.count == 2 && above.last == "" && above.first?.hasPrefix("// MARK: ") == true
            let belowWords = above.last?.hasPrefix("///") == true
            if belowWords, first == line { return nil }
            if belowWords || belowMark, plainEndings.contains(where: name.hasSuffix) { return nil }
            return "\(file.path):\(line + 1): \(name) says nothing about itself"
        }
    }

    /// Bounds that nobody keeps. To declare one and to configure it is not to keep it.
    static func idle(in file: SourceFile, users: [SourceFile]) -> [String] {
        var words: Set<Substring> = []
        for user in users where user.path != file.path && !user.name.hasPrefix("Configuration") {
            for line in user.code { words.formUnion(line.split { !$0.isLetter && !$0.isNumber && $0 != "_" }) }
        }
        return bounds(in: file).filter { !words.contains(Substring($0.name)) }.map {
            "\(file.path):\($0.line + 1): nobody keeps \($0.name)"
        }
    }

    /// How many contradictions the file can tell.
    static func relations(in file: SourceFile) -> Int {
        file.code.drop { !$0.contains("var contradiction") }.count { $0.contains(/\breturn\b/) && !$0.contains(/\breturn\s+nil\b/) }
    }
}

@Suite("Limits")
struct LimitsTests {
    private func planted(_ body: String, at path: String = LimitRules.path) -> SourceFile { SourceFile(path: path, text: body) }

    @Test("Every bound says what it is")
    func documented() throws {
        let file = try SourceTree.file(LimitRules.path)
        #expect(LimitRules.bounds(in: file).count > 20)
        expectNone(LimitRules.undocumented(in: file))
    }

    @Test(
        "A planted bound without words is found",
        arguments: [
            "struct A {\n    public var bad = 1\n}",
            "/// One.\npublic var good = 1\n\npublic var badMax = 2",
            "/// One.\npublic var good = 1\npublic var bad = 2",
            "// MARK: Group\n\npublic var bad = 1",
            "// MARK: Group\n\n// A remark.\npublic var badMax = 1",
        ])
    func plantedSilence(text: String) {
        #expect(LimitRules.undocumented(in: planted(text)).count == 1)
    }

    @Test("A plain member of a documented group needs no words")
    func plantedGroup() {
        #expect(LimitRules.undocumented(in: planted("/// One.\npublic var a = 1\npublic var bMax = 2\npublic var cMin = 2")) == [])
        #expect(LimitRules.undocumented(in: planted("// MARK: Group\n\npublic var aMax = 1\npublic var bDefault = 2")) == [])
        #expect(LimitRules.bounds(in: planted("public var contradiction: String? {")).isEmpty)
    }

    @Test("Every bound is kept by somebody")
    func kept() throws {
        expectNone(LimitRules.idle(in: try SourceTree.file(LimitRules.path), users: try SourceTree.sources.get()))
    }

    @Test("A planted bound that is only declared and configured is found")
    func plantedIdle() {
        let file = planted("/// One.\npublic var aMax = 1")
        let configured = planted("limits.aMax = 2", at: "Sources/signalbox/Configuration.swift")
        let remark = planted("// aMax\nlet aMaxima = \"aMax\"", at: "Sources/Gateway/Server.swift")
        let kept = planted("if count > limits.aMax { return }", at: "Sources/Gateway/Server.swift")
        #expect(LimitRules.idle(in: file, users: [file, configured, remark]).count == 1)
        #expect(LimitRules.idle(in: file, users: [file, configured, kept]) == [])
    }

    /// Changes that no server can live with, one a relation of `contradiction`.
    private static let contradictions: [@Sendable (inout Limits) -> Void] = [
        { $0.taskTimeoutMax = .seconds(1) },
        { $0.taskTimeoutDefault = .seconds(601) },
        { $0.workerLease = .milliseconds(99) },
        { $0.retryDelay = $0.retryDelayMax + .milliseconds(1) },
        { $0.headerBytesMax = $0.targetBytesMax - 1 },
        { $0.headerBytesMax = 65_536 },
        { $0.headerCountMax = 255 },
        { $0.receiveBufferBytes = $0.headerBytesMax - 1 },
        {
            $0.queuedBytesMax = $0.messageBytesMax - 1; $0.bodyBytesMax = 1
        },
        {
            $0.queuedBytesMax = $0.bodyBytesMax - 1; $0.messageBytesMax = 1
        },
        { $0.bulletinBytesMax = $0.socketQueuedBytesMax },
        { $0.inputMemoryBytesMax = $0.bodyBytesMax - 1 },
        { $0.eagerFlushBytes = $0.writeBytesPerTurn + 1 },
        { $0.conflatedBytesMin = $0.burstBytesMax + 1 },
        {
            $0.conflatedBytesMin = $0.queuedBytesMax + 1; $0.burstBytesMax = .max
        },
    ]

    @Test("The bounds fit together as they are, and each relation between them is told apart")
    func contradictions() throws {
        #expect(Limits().contradiction == nil)
        var told: Set<String> = []
        for change in LimitsTests.contradictions {
            var limits = Limits()
            change(&limits)
            told.insert(try #require(limits.contradiction))
        }
        #expect(told.count == LimitsTests.contradictions.count)
        #expect(LimitRules.relations(in: try SourceTree.file(LimitRules.path)) == told.count, "a relation has no example here")
    }
}
