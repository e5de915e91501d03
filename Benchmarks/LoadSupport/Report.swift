// Report: the figures of a run, in the order they were added, as a table for people or as one line of JSON (RFC 8259). Knows names
// and numbers; what they mean is the run's affair.

/// A list of named figures.
public struct Report: Equatable, Sendable {
    public enum Format: Sendable {
        case table
        case json
    }

    private enum Value: Equatable, Sendable {
        case text(String)
        case count(Int)
        case decimal(Double, places: Int)
    }

    private var figures: [(name: String, value: Value)] = []

    public init() {}

    public static func == (left: Report, right: Report) -> Bool {
        left.figures.elementsEqual(right.figures) { $0.name == $1.name && $0.value == $1.value }
    }

    public mutating func add(_ name: String, _ text: String) { figures.append((name, .text(text))) }

    public mutating func add(_ name: String, _ count: Int) { figures.append((name, .count(count))) }

    /// Adds a number rounded to `places` decimals; one that is not finite counts as 0.
    public mutating func add(_ name: String, _ number: Double, places: Int) {
        figures.append((name, .decimal(number.isFinite ? number : 0, places: places)))
    }

    /// The report as it is printed, without a line end.
    public func text(_ format: Format) -> String {
        switch format {
        case .json:
            return "{" + figures.map { "\(Self.quoted($0.name)):\(Self.json($0.value))" }.joined(separator: ",") + "}"
        case .table:
            let width = figures.map(\.name.utf8.count).max() ?? 0
            return figures.map { figure in
                figure.name + String(repeating: " ", count: width + 2 - figure.name.utf8.count) + Self.plain(figure.value)
            }.joined(separator: "\n")
        }
    }

    private static func json(_ value: Value) -> String {
        switch value {
        case .text(let text): quoted(text)
        case .count, .decimal: plain(value)
        }
    }

    private static func plain(_ value: Value) -> String {
        switch value {
        case .text(let text): text
        case .count(let count): String(count)
        case .decimal(let number, let places): fixed(number, places: places)
        }
    }

    private static func fixed(_ number: Double, places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        guard let scaled = Int(exactly: (number * scale).rounded()) else { return "0" }
        guard places > 0 else { return String(scaled) }
        let digits = String(scaled.magnitude)
        let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
        return (scaled < 0 ? "-" : "") + padded.dropLast(places) + "." + padded.suffix(places)
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\u{00}"..."\u{1f}":
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
