// SourceTree: the project's own files, as text, and a Swift text with its comments and literals blanked. It knows no rule: those are in
// LayeringTests, StyleTests and LimitsTests.
import Foundation
import Testing

/// One file of the project.
struct SourceFile {
    /// From the root of the project, as `Sources/Base/Limits.swift`.
    let path: String
    let text: String

    /// The lines as they stand. The end of the last line does not begin another.
    var lines: [Substring] { SourceFile.lines(of: text) }

    /// The same lines without comments and literals: a word found here is code.
    var code: [Substring] { SourceFile.lines(of: Blanking.code(of: text)) }

    private static func lines(of text: String) -> [Substring] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last == "" { lines.removeLast() }
        return lines
    }

    /// The target that the file belongs to: `Base` of `Sources/Base/Limits.swift`.
    var target: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }

    var name: String { String(path.split(separator: "/").last ?? "") }
}

/// Expects that a rule found nothing, and else says all that it found.
func expectNone(_ found: [String], sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(found.isEmpty, "\(found.joined(separator: "\n"))", sourceLocation: sourceLocation)
}

enum SourceTree {
    /// The project's own Swift sources.
    static let sources = Result { try files(under: "Sources", ".swift") }

    static let root: URL = {
        var url = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url
    }()

    /// The files below `folder` whose names end in one of `suffixes`, by path. What is built or hidden is left out.
    static func files(under folder: String, _ suffixes: String...) throws -> [SourceFile] {
        let base = root.appendingPathComponent(folder)
        let keys: [URLResourceKey] = [.isRegularFileKey]
        guard let walk = FileManager.default.enumerator(at: base, includingPropertiesForKeys: keys, options: [.skipsHiddenFiles]) else {
            return []
        }
        var files: [SourceFile] = []
        for case let url as URL in walk where suffixes.contains(where: url.lastPathComponent.hasSuffix) {
            guard try url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else { continue }
            files.append(try file(String(url.path.dropFirst(root.path.count + 1))))
        }
        return files.sorted { $0.path < $1.path }
    }

    /// One file of the project.
    /// - Throws: what Foundation throws where there is none.
    static func file(_ path: String) throws -> SourceFile {
        SourceFile(path: path, text: try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8))
    }
}

/// Puts spaces in place of comments and of the content of literals, so that lines and columns stay. Interpolated code stays code.
struct Blanking {
    private let bytes: [UInt8]
    private var kept: [UInt8]
    private var index = 0

    static func code(of text: String) -> String {
        var blanking = Blanking(text)
        blanking.walkCode(insideInterpolation: false)
        return String(decoding: blanking.kept, as: UTF8.self)
    }

    private init(_ text: String) {
        bytes = Array(text.utf8)
        kept = bytes
    }

    private func stands(_ text: StaticString, at start: Int) -> Bool {
        guard start + text.utf8CodeUnitCount <= bytes.count else { return false }
        return unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount).elementsEqual(
            bytes[start..<start + text.utf8CodeUnitCount])
    }

    /// Blanks `count` bytes and steps over them.
    private mutating func blank(_ count: Int) {
        for _ in 0..<count where index < bytes.count {
            if bytes[index] != UInt8(ascii: "\n") { kept[index] = UInt8(ascii: " ") }
            index += 1
        }
    }

    private mutating func walkCode(insideInterpolation: Bool) {
        var depth = 0
        while index < bytes.count {
            if stands("//", at: index) {
                while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { blank(1) }
            } else if stands("/*", at: index) {
                walkBlockComment()
            } else if stands("#/", at: index) {
                blank(2)
                while index < bytes.count, !stands("/#", at: index) { blank(1) }
                blank(2)
            } else if let hashes = literalHashes() {
                walkLiteral(hashes: hashes)
            } else {
                if bytes[index] == UInt8(ascii: "(") { depth += 1 }
                if bytes[index] == UInt8(ascii: ")") {
                    if insideInterpolation, depth == 0 { return }
                    depth -= 1
                }
                index += 1
            }
        }
    }

    private mutating func walkBlockComment() {
        var depth = 0
        repeat {
            if stands("/*", at: index) {
                depth += 1
                blank(2)
            } else if stands("*/", at: index) {
                depth -= 1
                blank(2)
            } else {
                blank(1)
            }
        } while depth > 0 && index < bytes.count
    }

    /// How many `#` open the literal that begins here; nil where none does.
    private func literalHashes() -> Int? {
        var end = index
        while end < bytes.count, bytes[end] == UInt8(ascii: "#") { end += 1 }
        return end < bytes.count && bytes[end] == UInt8(ascii: "\"") ? end - index : nil
    }

    private mutating func walkLiteral(hashes: Int) {
        blank(hashes)
        let quotes = stands("\"\"\"", at: index) ? 3 : 1
        blank(quotes)
        let marks = [UInt8](repeating: UInt8(ascii: "#"), count: hashes)
        let close = [UInt8](repeating: UInt8(ascii: "\""), count: quotes) + marks
        let escape = [UInt8(ascii: "\\")] + marks
        while index < bytes.count {
            if bytes[index...].starts(with: close) {
                blank(close.count)
                return
            }
            if bytes[index...].starts(with: escape) {
                blank(escape.count)
                if index < bytes.count, bytes[index] == UInt8(ascii: "(") {
                    blank(1)
                    walkCode(insideInterpolation: true)
                }
            }
            blank(1)
        }
    }
}
