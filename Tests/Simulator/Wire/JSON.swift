// JSON: a value as a peer reads it, by RFC 8259 to the letter: what the server writes is held against the rules by a reader of its own.
// Numbers keep their text, objects their order.

indirect enum JSON: Equatable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSON])
    case object([(name: String, value: JSON)])

    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    init(_ bytes: some Collection<UInt8>) throws(Malformed) {
        var reader = Reader(bytes: Array(bytes))
        self = try reader.whole()
    }

    init(_ text: String) throws(Malformed) { try self.init(text.utf8) }

    subscript(_ name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    var text: String? { if case .string(let text) = self { text } else { nil } }
    var integer: Int? { if case .number(let text) = self { Int(text) } else { nil } }
    var isTrue: Bool { self == .bool(true) }
    var elements: [JSON] { if case .array(let elements) = self { elements } else { [] } }
    var members: [(name: String, value: JSON)] { if case .object(let members) = self { members } else { [] } }

    static func == (left: JSON, right: JSON) -> Bool { left.written == right.written }

    /// The value without spaces, members as they came.
    var written: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let text): text
        case .string(let text): JSON.quoted(text)
        case .array(let elements): "[" + elements.map(\.written).joined(separator: ",") + "]"
        case .object(let members): "{" + members.map { JSON.quoted($0.name) + ":" + $0.value.written }.joined(separator: ",") + "}"
        }
    }

    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case _: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

private struct Reader {
    let bytes: [UInt8]
    var position = 0

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func wrong(_ what: String) -> JSON.Malformed {
        JSON.Malformed(description: "\(what) at byte \(position) of \(String(decoding: bytes.prefix(300), as: UTF8.self))")
    }

    mutating func whole() throws(JSON.Malformed) -> JSON {
        guard String(validating: bytes, as: UTF8.self) != nil else { throw wrong("no UTF-8") }
        let value = try self.value(depth: 0)
        skipSpace()
        guard next == nil else { throw wrong("more than a value") }
        return value
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 9 || byte == 10 || byte == 13 { position += 1 }
    }

    private mutating func take(_ byte: Character) throws(JSON.Malformed) {
        guard next == byte.asciiValue else { throw wrong("no \(byte)") }
        position += 1
    }

    private mutating func value(depth: Int) throws(JSON.Malformed) -> JSON {
        guard depth < 200 else { throw wrong("too deep") }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"):
            var members: [(name: String, value: JSON)] = []
            try list("{", "}") { reader throws(JSON.Malformed) in
                reader.skipSpace()
                let name = try reader.string()
                reader.skipSpace()
                try reader.take(":")
                guard !members.contains(where: { $0.name == name }) else { throw reader.wrong("\(name) twice") }
                members.append((name, try reader.value(depth: depth + 1)))
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSON] = []
            try list("[", "]") { reader throws(JSON.Malformed) in elements.append(try reader.value(depth: depth + 1)) }
            return .array(elements)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case _: return try number()
        }
    }

    private mutating func list(
        _ open: Character, _ close: Character, _ element: (inout Reader) throws(JSON.Malformed) -> Void
    ) throws(JSON.Malformed) {
        try take(open)
        skipSpace()
        if next == close.asciiValue { return position += 1 }
        while true {
            try element(&self)
            skipSpace()
            if next == close.asciiValue { return position += 1 }
            try take(",")
        }
    }

    private mutating func word(_ word: String, _ value: JSON) throws(JSON.Malformed) -> JSON {
        guard bytes[position...].starts(with: word.utf8) else { throw wrong("no \(word)") }
        position += word.utf8.count
        return value
    }

    private mutating func string() throws(JSON.Malformed) -> String {
        try take("\"")
        var units: [UInt16] = []
        var run = position
        func flush(_ end: Int, _ units: inout [UInt16]) { units += String(decoding: bytes[run..<end], as: UTF8.self).utf16 }
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                flush(position, &units)
                position += 1
                return String(decoding: units, as: UTF16.self)
            case UInt8(ascii: "\\"):
                flush(position, &units)
                position += 1
                units.append(try escape())
                run = position
            case 0..<0x20: throw wrong("a control character")
            case _: position += 1
            }
        }
        throw wrong("a string without end")
    }

    private mutating func escape() throws(JSON.Malformed) -> UInt16 {
        guard let byte = next else { throw wrong("an escape without end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return UInt16(byte)
        case UInt8(ascii: "b"): return 8
        case UInt8(ascii: "f"): return 12
        case UInt8(ascii: "n"): return 10
        case UInt8(ascii: "r"): return 13
        case UInt8(ascii: "t"): return 9
        case UInt8(ascii: "u"):
            guard position + 4 <= bytes.count,
                let unit = UInt16(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
            else { throw wrong("no four digits") }
            position += 4
            return unit
        case _: throw wrong("an unknown escape")
        }
    }

    private mutating func number() throws(JSON.Malformed) -> JSON {
        let start = position
        func digits(_ reader: inout Reader) throws(JSON.Malformed) {
            let first = reader.position
            while let byte = reader.next, (0x30...0x39).contains(byte) { reader.position += 1 }
            if reader.position == first { throw reader.wrong("no digit") }
        }
        if next == UInt8(ascii: "-") { position += 1 }
        if next == UInt8(ascii: "0") { position += 1 } else { try digits(&self) }
        if next == UInt8(ascii: ".") {
            position += 1
            try digits(&self)
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            position += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
            try digits(&self)
        }
        return .number(String(decoding: bytes[start..<position], as: UTF8.self))
    }
}
