// Members: the members of one JSON object, asked for by name and type. A null member counts as absent, as clients send it for what they
// leave open; a member of another type is a problem that names it.
internal import Base
internal import JSON

/// Reads an object's members; holds where they are, not what they say.
struct Members {
    let index: JSONIndex
    let object: JSONNode
    /// Most of what is asked for is not there, and most of that has no name of its length.
    private let lengths: UInt64

    /// - Throws: `notAnObject` where the value is something else.
    init(_ index: JSONIndex) throws(RequestProblem) {
        try self.init(index, of: index.root)
    }

    /// The members of an object that is not the whole message.
    init(_ index: JSONIndex, of node: JSONNode) throws(RequestProblem) {
        guard index.kind(of: node) == .object else { throw .notAnObject }
        self.index = index
        object = node
        lengths = index.nameLengths(of: node)
    }

    @inline(__always)
    func node(_ name: StaticString, in bytes: Span<UInt8>) -> JSONNode? {
        lengths >> UInt64(min(name.utf8CodeUnitCount, 63)) & 1 != 0 ? find(name, in: bytes) : nil
    }

    private func find(_ name: StaticString, in bytes: Span<UInt8>) -> JSONNode? {
        guard let node = index.member(name, of: object, in: bytes), index.kind(of: node) != .null else { return nil }
        return node
    }

    /// The raw bytes of a value of that kind.
    func raw(
        _ name: StaticString, _ kind: JSONKind, _ expected: StaticString, in bytes: Span<UInt8>
    ) throws(RequestProblem) -> Range<Int>? {
        guard let node = node(name, in: bytes) else { return nil }
        guard index.kind(of: node) == kind else { throw .wrongType(member: name, expected: expected) }
        return index.range(of: node)
    }

    func bool(_ name: StaticString, in bytes: Span<UInt8>) throws(RequestProblem) -> Bool? {
        guard let node = node(name, in: bytes) else { return nil }
        guard let value = index.bool(node) else { throw .wrongType(member: name, expected: "true or false") }
        return value
    }

    func number(_ name: StaticString, in bytes: Span<UInt8>) throws(RequestProblem) -> Double? {
        guard let node = node(name, in: bytes) else { return nil }
        guard index.kind(of: node) == .number else { throw .wrongType(member: name, expected: "a number") }
        // A number beyond the largest double is as large as a number can be.
        return index.double(node, in: bytes) ?? (bytes[index.range(of: node).lowerBound] == UInt8(ascii: "-") ? -.infinity : .infinity)
    }

    /// The text of a string, its escapes resolved.
    func text(
        _ name: StaticString, bytesMax: Int, in bytes: Span<UInt8>, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> SharedBytes? {
        guard let node = node(name, in: bytes) else { return nil }
        return try text(node, name, bytesMax: bytesMax, in: bytes, &scratch)
    }

    func text(
        _ node: JSONNode, _ name: StaticString, bytesMax: Int, in bytes: Span<UInt8>, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> SharedBytes {
        guard let contents = index.contents(of: node) else { throw .wrongType(member: name, expected: "a text") }
        // Escapes only shrink: a text of more bytes than its longest escape form allows need not be decoded.
        guard contents.count <= bytesMax * 6 else { throw tooLong(name, bytesMax) }
        let text: SharedBytes
        if index.hasEscapes(node) {
            let start = scratch.count
            _ = index.decode(node, in: bytes, into: &scratch)
            text = SharedBytes(copying: scratch.span.extracting(start..<scratch.count))
            scratch.truncate(to: start)
        } else {
            text = SharedBytes(copying: bytes.extracting(contents))
        }
        guard text.count <= bytesMax else { throw tooLong(name, bytesMax) }
        return text
    }

    /// A text, or a whole number as text: programs have both for what they call an id.
    func textOrNumber(
        _ name: StaticString, _ bytesMax: Int, _ bytes: Span<UInt8>, _ scratch: inout ByteWriter
    ) throws(RequestProblem) -> SharedBytes? {
        guard let node = node(name, in: bytes) else { return nil }
        switch index.kind(of: node) {
        case .string: return try text(node, name, bytesMax: bytesMax, in: bytes, &scratch)
        case .number:
            guard let number = index.int(node, in: bytes) else { throw .wrongType(member: name, expected: "a text or a whole number") }
            return SharedBytes(String(number))
        case .object, .array, .bool, .null: throw .wrongType(member: name, expected: "a text or a whole number")
        }
    }

    private func tooLong(_ name: StaticString, _ bytesMax: Int) -> RequestProblem {
        .outOfRange(member: name, expected: "at most \(bytesMax) bytes long")
    }
}
