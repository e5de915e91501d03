// Transcript: a conversation between a server and several peers, written as text, one move a line. Takes the text apart and compares
// what came with what was expected; knows no server and no protocol: whoever plays it gives the verbs their meaning.
//
//     name verb rest…      a move of, or to, the peer of that name
//     * verb rest…         a move of the world: time, the pool, the operator
//     # …                  a remark
//
// In a move's text `$name` stands for what was found there first and must be found there again, and `@1000` for a thousand letters x.

public struct Transcript: Sendable {
    public struct Move: Sendable {
        /// The line in the text, from 1.
        public let line: Int
        /// The peer's name; `*` for the world.
        public let peer: String
        public let verb: String
        public let text: String
    }

    public let moves: [Move]

    public init(_ text: String) {
        var moves: [Move] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let trimmed = line.drop { $0 == " " }
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            let words = trimmed.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true)
            moves.append(Move(
                line: index + 1, peer: String(words[0]), verb: words.count > 1 ? String(words[1]) : "",
                text: words.count > 2 ? Transcript.spread(String(words[2])) : ""))
        }
        self.moves = moves
    }

    /// Puts letters for `@1000`.
    private static func spread(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "@")) else { return text }
        var spread = ""
        var rest = text[...]
        while let at = rest.firstIndex(of: "@") {
            spread += rest[..<at]
            rest = rest[rest.index(after: at)...]
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest[digits.endIndex...]
            if let count = Int(digits) { spread += String(repeating: "x", count: count) } else { spread += "@" }
        }
        return spread + rest
    }
}

/// What the names in a transcript were found to stand for.
public struct Bindings: Sendable {
    private var values: [String: [UInt8]] = [:]

    public init() {}

    public subscript(name: String) -> String? { values[name].map { String(decoding: $0, as: UTF8.self) } }

    /// The text with every known name replaced.
    public func fill(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        var filled: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.first {
            if byte == UInt8(ascii: "$"), let name = Bindings.name(rest), let value = values[name] {
                filled += value
                rest = rest.dropFirst(name.utf8.count + 1)
            } else {
                filled.append(byte)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: filled, as: UTF8.self)
    }

    /// Whether `actual` is what was expected; new names are bound where it is.
    public mutating func match(_ expected: String, _ actual: String) -> Bool {
        var found = values
        var pattern = Array(expected.utf8)[...]
        var text = Array(actual.utf8)[...]
        while let byte = pattern.first {
            if byte == UInt8(ascii: "$"), let name = Bindings.name(pattern) {
                pattern = pattern.dropFirst(name.utf8.count + 1)
                let value: [UInt8]
                if let known = found[name] {
                    value = known
                } else {
                    let stop = pattern.first
                    value = Array(text.prefix { $0 != stop && $0 != UInt8(ascii: "\"") })
                    found[name] = value
                }
                guard text.starts(with: value) else { return false }
                text = text.dropFirst(value.count)
            } else {
                guard text.first == byte else { return false }
                pattern = pattern.dropFirst()
                text = text.dropFirst()
            }
        }
        guard text.isEmpty else { return false }
        values = found
        return true
    }

    /// The name behind a dollar sign.
    private static func name(_ text: ArraySlice<UInt8>) -> String? {
        let name = text.dropFirst().prefix { $0 >= 97 && $0 <= 122 || $0 >= 48 && $0 <= 57 }
        guard let first = name.first, first >= 97 else { return nil }
        return String(decoding: name, as: UTF8.self)
    }
}
