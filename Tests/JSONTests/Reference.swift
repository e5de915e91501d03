// What the JSON tests measure against: a recursive reader that only says yes or no, texts made at random, and a walk over an index.
import Base
import JSON
import Testing

/// The grammar of RFC 8259 written down a second time, as plainly as it goes.
struct Oracle {
    private var rest: ArraySlice<UInt8>

    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        var reader = Oracle(rest: bytes[...])
        reader.space()
        guard reader.value() else { return false }
        reader.space()
        return reader.rest.isEmpty
    }

    private mutating func take(_ letter: Character) -> Bool {
        guard let byte = letter.asciiValue, rest.first == byte else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func space() {
        while let byte = rest.first, [0x20, 0x09, 0x0a, 0x0d].contains(byte) { rest.removeFirst() }
    }

    private mutating func value() -> Bool {
        if take("{") { return list(until: "}") { $0.string() && $0.colon() && $0.value() } }
        if take("[") { return list(until: "]") { $0.value() } }
        if rest.first == UInt8(ascii: "\"") { return string() }
        for word in ["true", "false", "null"] where rest.starts(with: word.utf8) {
            rest.removeFirst(word.utf8.count)
            return true
        }
        return number()
    }

    private mutating func list(until close: Character, _ item: (inout Oracle) -> Bool) -> Bool {
        space()
        if take(close) { return true }
        while item(&self) {
            space()
            if take(close) { return true }
            guard take(",") else { return false }
            space()
        }
        return false
    }

    private mutating func colon() -> Bool {
        space()
        guard take(":") else { return false }
        space()
        return true
    }

    private mutating func string() -> Bool {
        guard take("\"") else { return false }
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\"") { return true }
            if byte < 0x20 { return false }
            guard byte == UInt8(ascii: "\\") else { continue }
            guard let escape = rest.popFirst(), "\"\\/bfnrtu".utf8.contains(escape) else { return false }
            guard escape == UInt8(ascii: "u") else { continue }
            let digits = rest.prefix(4)
            guard digits.count == 4, digits.allSatisfy({ "0123456789abcdefABCDEF".utf8.contains($0) }) else { return false }
            rest.removeFirst(4)
        }
        return false
    }

    private mutating func number() -> Bool {
        _ = take("-")
        if !take("0"), !digits() { return false }
        if take("."), !digits() { return false }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            return digits()
        }
        return true
    }

    private mutating func digits() -> Bool {
        let digits = rest.prefix { "0123456789".utf8.contains($0) }
        rest.removeFirst(digits.count)
        return !digits.isEmpty
    }
}

/// Texts made at random.
enum Sample {
    static func text(using random: inout some RandomNumberGenerator) -> String { value(levels: 4, using: &random) }

    private static func value(levels: Int, using random: inout some RandomNumberGenerator) -> String {
        let space = ["", "", "", " ", "\n\t"].randomElement(using: &random) ?? ""
        switch Int.random(in: levels > 0 ? 0..<8 : 2..<8, using: &random) {
        case 0:
            let members = (0..<Int.random(in: 0..<5, using: &random)).map { _ in
                string(using: &random) + space + ":" + space + value(levels: levels - 1, using: &random)
            }
            return "{" + space + members.joined(separator: space + ",") + space + "}"
        case 1:
            let elements = (0..<Int.random(in: 0..<5, using: &random)).map { _ in value(levels: levels - 1, using: &random) }
            return "[" + space + elements.joined(separator: "," + space) + space + "]"
        case 2: return "\(Int.random(in: -9999...9999, using: &random))"
        case 3: return "\(Double.random(in: -1...1, using: &random))"
        case 4: return ["1e5", "0.25E-2", "-0", "12345678901234567890", "1E+2"].randomElement(using: &random) ?? "0"
        case 5: return ["true", "false", "null"].randomElement(using: &random) ?? "null"
        default: return string(using: &random)
        }
    }

    private static func string(using random: inout some RandomNumberGenerator) -> String {
        let pieces = [
            "a", "bc", "task_complete", " ", "\\n", "\\\"", "\\\\", "\\u0041", "\\ud83d\\ude00", "\\ud800", "é", "中文", "😀",
        ]
        let content = (0..<Int.random(in: 0..<6, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }
        return "\"" + content.joined() + "\""
    }
}

/// A text and its index together, for expectations, which cannot hold a span.
struct Reading {
    let bytes: [UInt8]
    let index: JSONIndex

    init(_ text: String) throws { try self.init(Array(text.utf8)) }

    init(_ bytes: [UInt8]) throws {
        self.bytes = bytes
        index = try JSONIndex(of: SharedBytes(bytes))
    }

    var root: JSONNode { index.root }
    func raw(_ node: JSONNode) -> String { String(decoding: bytes[index.range(of: node)], as: UTF8.self) }
    func kind(_ node: JSONNode) -> JSONKind { index.kind(of: node) }
    func member(_ name: StaticString, of node: JSONNode? = nil) -> JSONNode? { index.member(name, of: node ?? root, in: bytes.span) }
    func member(named name: [UInt8]) -> JSONNode? { index.member(name.span, of: root, in: bytes.span) }
    func equals(_ node: JSONNode, _ text: StaticString) -> Bool { index.equals(node, text, in: bytes.span) }
    func equals(_ node: JSONNode, _ text: [UInt8]) -> Bool { index.equals(node, text.span, in: bytes.span) }
    func string(_ node: JSONNode) -> String? { index.string(node, in: bytes.span) }
    func int(_ node: JSONNode) -> Int64? { index.int(node, in: bytes.span) }
    func string(_ name: StaticString) -> String? { index.string(name, of: root, in: bytes.span) }
    func int(_ name: StaticString) -> Int64? { index.int(name, of: root, in: bytes.span) }
    func double(_ name: StaticString) -> Double? { index.double(name, of: root, in: bytes.span) }
    func bool(_ name: StaticString) -> Bool? { index.bool(name, of: root, in: bytes.span) }
    func contents(_ node: JSONNode) -> String? {
        index.contents(of: node).map { String(decoding: bytes[$0], as: UTF8.self) }
    }
    func decode(_ node: JSONNode, into writer: inout ByteWriter) -> Bool { index.decode(node, in: bytes.span, into: &writer) }
}

/// Asks an index everything there is to ask.
enum Walk {
    static func everything(_ index: JSONIndex, _ bytes: [UInt8]) {
        var waiting = [index.root]
        var writer = ByteWriter()
        while let node = waiting.popLast() {
            let range = index.range(of: node)
            let children = index.elements(of: node) + index.members(of: node).flatMap { [$0.key, $0.value] }
            var end = range.lowerBound
            for child in children {
                let inner = index.range(of: child)
                #expect(inner.lowerBound > end && inner.upperBound < range.upperBound)
                end = inner.upperBound - 1
            }
            for (key, _) in index.members(of: node) {
                writer.removeAll()
                #expect(index.decode(key, in: bytes.span, into: &writer))
                let isThere = index.member(writer.span, of: node, in: bytes.span) != nil
                #expect(isThere)
                let isEqual = index.equals(key, writer.span, in: bytes.span)
                #expect(isEqual)
            }
            switch index.kind(of: node) {
            case .object, .array: #expect(index.string(node, in: bytes.span) == nil)
            case .string: #expect(index.string(node, in: bytes.span) != nil)
            case .number:
                let value = index.double(node, in: bytes.span)
                let expected = Double(String(decoding: bytes[range], as: UTF8.self))
                #expect(value == (expected?.isFinite == true ? expected : nil))
                if let int = index.int(node, in: bytes.span) { #expect(value == Double(int)) }
            case .bool: #expect(index.bool(node) != nil)
            case .null: #expect(range.count == 4)
            }
            waiting += children
        }
    }
}
