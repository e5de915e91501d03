// LayeringTests: who may know whom. The table is the house's plan, lowest floor first; an import that it does not list is an
// architectural act and belongs here first. SwiftPM itself lets a target import what its dependencies depend on.
import Testing

/// The rules, each over a text.
enum Layering {
    struct Floor {
        let name: String
        /// Targets of ours below, as Package.swift lists them.
        let below: Set<String>
        /// Modules of the toolchain.
        let system: Set<String>

        init(_ name: String, _ below: Set<String> = [], system: Set<String> = []) {
            self.name = name
            self.below = below
            self.system = system
        }
    }

    static let floors = [
        Floor("CLinux"),
        Floor("COpenSSL"),
        Floor("CSQLite"),
        Floor("CZlib"),
        Floor("Base", system: ["Glibc"]),
        Floor("Crypto", ["Base", "COpenSSL"], system: ["Glibc"]),
        Floor("JSON", ["Base"], system: ["Glibc"]),
        Floor("HTTP1", ["Base"]),
        Floor("WebSockets", ["Base", "Crypto", "CZlib"]),
        Floor("SocketIO", ["Base", "Crypto", "JSON"]),
        Floor("Domain", ["Base"]),
        Floor("Clients", ["Base"]),
        Floor("Dialects", ["Base", "Crypto", "Domain", "JSON"]),
        Floor("Gateway", ["Base", "Clients", "Dialects", "Domain", "HTTP1", "JSON", "SocketIO", "WebSockets"]),
        Floor("Reactor", ["Base", "CLinux", "COpenSSL"], system: ["Dispatch", "Glibc", "Synchronization"]),
        Floor("Storage", ["Base", "CSQLite", "Domain"], system: ["Dispatch", "Glibc", "Synchronization"]),
        Floor("Vitals", ["Base", "CLinux", "Domain"], system: ["Glibc", "Synchronization"]),
        Floor(
            "signalbox",
            ["Base", "Crypto", "Dialects", "Domain", "Gateway", "JSON", "Reactor", "SocketIO", "Storage", "Vitals", "WebSockets"],
            system: ["Dispatch", "Glibc"]),
    ]

    /// Imports that one file has beyond its floor.
    static let exceptions: [String: Set<String>] = ["Sources/Base/Log.swift": ["Synchronization"]]

    /// The modules that a file imports, with their line numbers.
    static func imports(of file: SourceFile) -> [(line: Int, module: String)] {
        let kinds = "struct|class|enum|protocol|func|var|let|typealias"
        guard let pattern = try? Regex(#"^\s*(?:[@\w()]+\s+)*import\s+(?:(?:\#(kinds))\s+)?(\w+)"#, as: (Substring, Substring).self) else {
            return []
        }
        return file.code.enumerated().compactMap { index, line in
            (try? pattern.firstMatch(in: line)).map { (index + 1, String($0.output.1)) }
        }
    }

    /// Imports that the table does not allow.
    static func foreignImports(in file: SourceFile) -> [String] {
        guard let floor = floors.first(where: { $0.name == file.target }) else {
            return ["\(file.path): \(file.target) is no floor of the house"]
        }
        let allowed = floor.below.union(floor.system).union(exceptions[file.path] ?? [])
        return imports(of: file).filter { !allowed.contains($0.module) }.map {
            "\(file.path):\($0.line): \(file.target) may not import \($0.module)"
        }
    }

    /// The targets that a manifest declares below Sources, and what each depends on.
    static func targets(of manifest: SourceFile) -> [String: Set<String>] {
        let lines = manifest.lines.filter { !$0.drop(while: \.isWhitespace).hasPrefix("//") }
        let text = lines.joined(separator: "\n")
        let kinds = #"(?:\bfloor\(|\.(?:systemLibrary|target|executableTarget)\(\s*name: )"#
        guard
            let declaration = try? Regex(
                kinds + #""(\w+)"(?:,\s*(?:dependencies: )?\[([^\]]*)\])?"#, as: (Substring, Substring, Substring?).self)
        else { return [:] }
        var targets: [String: Set<String>] = [:]
        for match in text.matches(of: declaration) {
            // A target that lies elsewhere says so before the next one begins.
            let rest = text[match.range.upperBound...]
            let next = rest.firstMatch(of: /\b(?:floor|tests|systemLibrary|\w*[tT]arget)\(/)
            if rest[..<(next?.range.lowerBound ?? rest.endIndex)].contains(/path: "(?:Tests|Benchmarks)\//) { continue }
            targets[String(match.1)] = Set((match.2 ?? "").matches(of: /"(\w+)"/).map { String($0.1) })
        }
        return targets
    }

    /// Where a manifest and the table disagree.
    static func disagreements(with manifest: SourceFile) -> [String] {
        let targets = targets(of: manifest)
        var found = Set(targets.keys).subtracting(floors.map(\.name)).sorted().map { "\(manifest.path): \($0) is no floor of the house" }
        for floor in floors where targets[floor.name] != floor.below {
            let declared = targets[floor.name].map { $0.sorted().joined(separator: ", ") } ?? "missing"
            found.append("\(manifest.path): \(floor.name): [\(declared)], by the table [\(floor.below.sorted().joined(separator: ", "))]")
        }
        return found
    }

    /// Dependencies on packages: there are none.
    static func packages(in manifest: SourceFile) -> [String] {
        manifest.code.enumerated().filter { $0.element.contains(/\.(package|product)\s*\(/) }.map {
            "\(manifest.path):\($0.offset + 1): a package is named"
        }
    }

    /// Declared dependencies that no file of the target imports.
    static func idle(_ files: [SourceFile]) -> [String] {
        floors.flatMap { floor -> [String] in
            let own = files.filter { $0.target == floor.name }
            if own.isEmpty { return [] }
            let used = Set(own.flatMap { imports(of: $0).map(\.module) })
            return floor.below.subtracting(used).sorted().map { "\(floor.name) depends on \($0) and never imports it" }
        }
    }
}

@Suite("Layering")
struct LayeringTests {
    private func planted(_ text: String, at path: String = "Sources/Domain/Planted.swift") -> SourceFile {
        SourceFile(path: path, text: text)
    }

    @Test("A floor of the table names only floors below it")
    func table() {
        for (index, floor) in Layering.floors.enumerated() {
            #expect(floor.below.isSubset(of: Layering.floors[..<index].map(\.name)), "\(floor.name)")
            #expect(!floor.system.contains { $0.hasPrefix("Foundation") }, "\(floor.name)")
        }
    }

    @Test("A file imports only what its floor may")
    func imports() throws {
        expectNone(try SourceTree.sources.get().flatMap(Layering.foreignImports))
    }

    @Test(
        "A planted import is found, whichever way it is written",
        arguments: [
            "import Foundation", "import FoundationEssentials", "public import JSON", "@_exported import Glibc",
            "import struct HTTP1.RequestHead", "@preconcurrency internal import Dispatch", "    import Synchronization",
            "@_spi(Testing) public import Gateway",
        ])
    func plantedImport(line: String) {
        #expect(Layering.foreignImports(in: planted("// x\nimport Base\n\(line)\n")).count == 1)
        #expect(Layering.foreignImports(in: planted("// \(line)\nlet text = \"\(line)\"\n")) == [])
    }

    @Test("What one floor may, another may not")
    func plantedFloors() {
        #expect(Layering.foreignImports(in: planted("import Dispatch", at: "Sources/Reactor/WorkPool.swift")) == [])
        #expect(Layering.foreignImports(in: planted("import Dispatch", at: "Sources/Base/Log.swift")).count == 1)
        #expect(Layering.foreignImports(in: planted("import Synchronization", at: "Sources/Base/Log.swift")) == [])
        #expect(Layering.foreignImports(in: planted("import Synchronization", at: "Sources/Base/Limits.swift")).count == 1)
        #expect(Layering.foreignImports(in: planted("import Base", at: "Sources/Attic/Attic.swift")).count == 1)
    }

    @Test("Package.swift and the table agree")
    func manifest() throws {
        expectNone(Layering.disagreements(with: try SourceTree.file("Package.swift")))
    }

    @Test("A planted dependency is found")
    func plantedDependency() {
        let lines = Layering.floors.map { floor in
            "floor(\"\(floor.name)\", [\(floor.below.sorted().map { "\"\($0)\"" }.joined(separator: ", "))]),\n"
        }
        let manifest = lines.joined()
        #expect(Layering.disagreements(with: planted(manifest, at: "Package.swift")) == [])
        let changes = [
            ("\"Domain\", [\"Base\"]", "\"Domain\", [\"Base\", \"JSON\"]"),
            ("\"Domain\", [\"Base\"]", "\"Domain\""),
            ("floor(\"Domain\", [\"Base\"]),", ""),
            ("floor(\"Base\", []),", "floor(\"Base\"), floor(\"Attic\"),"),
            ("floor(\"Base\", []),", "floor(\"Base\"), .target(\n name: \"Attic\", dependencies: [\"Base\"]),"),
        ]
        for (from, to) in changes {
            let changed = manifest.replacing(from, with: to)
            #expect(Layering.disagreements(with: planted(changed, at: "Package.swift")).count == 1, "\(to)")
        }
    }

    @Test("Targets of tests and benchmarks are no floors")
    func elsewhere() {
        let text = """
            .executableTarget(name: "Load", dependencies: ["Base"], path: "Benchmarks/Load"), .target(
                name: "TestSupport",
                path: "Tests/TestSupport"),
            .target(name: "Clients", dependencies: ["Base"], resources: [.embedInCode("a[0].py")]), tests("Base", ["Base"]),
            """
        #expect(Layering.targets(of: planted(text)) == ["Clients": ["Base"]])
    }

    @Test("Package.swift names no package")
    func packages() throws {
        expectNone(Layering.packages(in: try SourceTree.file("Package.swift")))
        #expect(Layering.packages(in: planted("    .package(url: \"https://example.org/x\", from: \"1.0.0\")")).count == 1)
        #expect(Layering.packages(in: planted("    .product(name: \"X\", package: \"x\")")).count == 1)
    }

    @Test("Every declared dependency is imported")
    func idle() throws {
        expectNone(Layering.idle(try SourceTree.sources.get()))
        #expect(Layering.idle([planted("import Swift")]) == ["Domain depends on Base and never imports it"])
    }
}
