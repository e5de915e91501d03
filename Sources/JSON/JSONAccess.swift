// The questions a JSON index answers: what a value is, where it lies, what an object says of a name, what a string or number stands for.
// Every question about content takes the bytes that the index was built from; others give a wrong answer, or trap.
public import Base

extension JSONIndex {
    /// The one value of the text.
    ///
    /// - Precondition: the index was built; an empty one has no values to ask about.
    @inlinable public var root: JSONNode { JSONNode(place: 0) }

    public func kind(of node: JSONNode) -> JSONKind {
        switch entries[Int(node.place)].tag >> 29 {
        case 0: .object
        case 1: .array
        case 2: .string
        case 3: .number
        case 4: .bool
        default: .null
        }
    }

    /// Where the value lies, quotes and brackets included: for splicing it verbatim.
    @inlinable
    public func range(of node: JSONNode) -> Range<Int> {
        let entry = entries[Int(node.place)]
        return unsafe Range(uncheckedBounds: (entry.start, entry.end))
    }

    // MARK: Containers

    /// The value of the member `name`, the last where there are several; nil where there is none, or `object` is none.
    public func member(_ name: StaticString, of object: JSONNode, in bytes: Span<UInt8>) -> JSONNode? {
        member(JSONString.span(of: name), of: object, in: bytes)
    }

    /// As above, for a name that is no literal: its UTF-8, without escapes.
    public func member(_ name: Span<UInt8>, of object: JSONNode, in bytes: Span<UInt8>) -> JSONNode? {
        let container = entries[Int(object.place)]
        guard container.isObject else { return nil }
        var found: JSONNode?
        var place = object.place &+ 1
        while place < container.next {
            if equals(entries[Int(place)], name, in: bytes) { found = JSONNode(place: place &+ 1) }
            place = entries[Int(place &+ 1)].next
        }
        return found
    }

    /// Which lengths the names of an object's members have, each as a bit; all that are 63 bytes or longer share the last one. A name with
    /// escapes may have any length. For whoever asks for many names of which few are there.
    public func nameLengths(of object: JSONNode) -> UInt64 {
        let container = entries[Int(object.place)]
        guard container.isObject else { return 0 }
        var lengths: UInt64 = 0
        var place = object.place &+ 1
        while place < container.next {
            let name = entries[Int(place)]
            if name.mark { return .max }
            lengths |= 1 << UInt64(min(name.end &- name.start &- 2, 63))
            place = entries[Int(place &+ 1)].next
        }
        return lengths
    }

    /// The members of an object in the order of the text, equal keys and all; none where `object` is none.
    @inlinable
    public func members(of object: JSONNode) -> JSONMembers {
        JSONMembers(entries: entries, container: object)
    }

    /// The elements of an array; none where `array` is none.
    @inlinable
    public func elements(of array: JSONNode) -> JSONElements {
        JSONElements(entries: entries, container: array)
    }

    // MARK: Strings

    /// Whether the value is the string `text`.
    public func equals(_ node: JSONNode, _ text: StaticString, in bytes: Span<UInt8>) -> Bool {
        equals(entries[Int(node.place)], JSONString.span(of: text), in: bytes)
    }

    /// Whether the value is a string and stands for the UTF-8 `text`.
    public func equals(_ node: JSONNode, _ text: Span<UInt8>, in bytes: Span<UInt8>) -> Bool {
        equals(entries[Int(node.place)], text, in: bytes)
    }

    /// Where a string's content lies, between its quotes and still escaped; nil for other values.
    public func contents(of node: JSONNode) -> Range<Int>? {
        let entry = entries[Int(node.place)]
        return entry.isString ? JSONIndex.contents(entry) : nil
    }

    /// Whether the value is a string whose content is not yet its text.
    public func hasEscapes(_ node: JSONNode) -> Bool {
        let entry = entries[Int(node.place)]
        return entry.isString && entry.mark
    }

    /// Appends the text of a string, escapes resolved; a lone surrogate becomes U+FFFD.
    ///
    /// - Returns: false, with nothing appended, where the value is no string.
    public func decode(_ node: JSONNode, in bytes: Span<UInt8>, into writer: inout ByteWriter) -> Bool {
        let entry = entries[Int(node.place)]
        guard entry.isString else { return false }
        let contents = bytes.extracting(JSONIndex.contents(entry))
        if entry.mark { JSONString.decode(contents, into: &writer) } else { writer.append(contents) }
        return true
    }

    /// The text of a string; nil for other values. Not for the byte path.
    public func string(_ node: JSONNode, in bytes: Span<UInt8>) -> String? {
        let entry = entries[Int(node.place)]
        guard entry.isString else { return nil }
        let contents = bytes.extracting(JSONIndex.contents(entry))
        guard entry.mark else { return JSONString.text(valid: contents) }
        var writer = ByteWriter(capacity: contents.count)
        JSONString.decode(contents, into: &writer)
        return JSONString.text(valid: writer.span)
    }

    // MARK: Numbers and truth

    /// The exact integer that a number stands for (`5000.0` and `5e3` are 5000); nil for other values, fractions and what 64 bits
    /// cannot hold.
    public func int(_ node: JSONNode, in bytes: Span<UInt8>) -> Int64? {
        guard kind(of: node) == .number else { return nil }
        let text = bytes.extracting(range(of: node))
        // Below 18 digits nothing can overflow.
        guard entries[Int(node.place)].mark, text.count <= 18 else { return JSONNumber.int(valid: text) }
        var value: Int64 = 0
        let isNegative = text[0] == UInt8(ascii: "-")
        for place in (isNegative ? 1 : 0)..<text.count { value = value &* 10 &+ Int64(text[place] &- UInt8(ascii: "0")) }
        return isNegative ? -value : value
    }

    /// The double nearest to a number; nil for other values and what lies beyond the largest double.
    public func double(_ node: JSONNode, in bytes: Span<UInt8>) -> Double? {
        guard kind(of: node) == .number else { return nil }
        return JSONNumber.double(valid: bytes.extracting(range(of: node)))
    }

    /// Whether a value is `true`; nil where it is neither `true` nor `false`.
    public func bool(_ node: JSONNode) -> Bool? {
        guard kind(of: node) == .bool else { return nil }
        return entries[Int(node.place)].mark
    }

    // MARK: Members by name and type

    /// The text of the member `name`; nil where it is missing or no string.
    public func string(_ name: StaticString, of object: JSONNode, in bytes: Span<UInt8>) -> String? {
        member(name, of: object, in: bytes).flatMap { string($0, in: bytes) }
    }

    /// The integer of the member `name`, as ``int(_:in:)`` reads it.
    public func int(_ name: StaticString, of object: JSONNode, in bytes: Span<UInt8>) -> Int64? {
        member(name, of: object, in: bytes).flatMap { int($0, in: bytes) }
    }

    /// The number of the member `name`, as ``double(_:in:)`` reads it.
    public func double(_ name: StaticString, of object: JSONNode, in bytes: Span<UInt8>) -> Double? {
        member(name, of: object, in: bytes).flatMap { double($0, in: bytes) }
    }

    /// The truth of the member `name`, as ``bool(_:)`` reads it.
    public func bool(_ name: StaticString, of object: JSONNode, in bytes: Span<UInt8>) -> Bool? {
        member(name, of: object, in: bytes).flatMap { bool($0) }
    }

    // MARK: Inside

    @inline(__always)
    private func equals(_ entry: Entry, _ text: Span<UInt8>, in bytes: Span<UInt8>) -> Bool {
        guard entry.isString else { return false }
        let contents = JSONIndex.contents(entry)
        if !entry.mark, contents.count != text.count { return false }
        return JSONString.equals(bytes.extracting(contents), hasEscapes: entry.mark, text)
    }

    @inline(__always)
    private static func contents(_ entry: Entry) -> Range<Int> { entry.start &+ 1..<entry.end &- 1 }
}

/// The members of one object.
public struct JSONMembers: Sequence, IteratorProtocol, Sendable {
    @usableFromInline let entries: ContiguousArray<JSONIndex.Entry>
    @usableFromInline var place: UInt32
    @usableFromInline let end: UInt32

    @inlinable
    init(entries: ContiguousArray<JSONIndex.Entry>, container: JSONNode) {
        let entry = entries[Int(container.place)]
        self.entries = entries
        place = container.place &+ 1
        end = entry.isObject ? entry.next : place
    }

    @inlinable
    public mutating func next() -> (key: JSONNode, value: JSONNode)? {
        guard place < end else { return nil }
        let key = JSONNode(place: place)
        let value = JSONNode(place: place &+ 1)
        place = entries[Int(value.place)].next
        return (key, value)
    }
}

/// The elements of one array.
public struct JSONElements: Sequence, IteratorProtocol, Sendable {
    @usableFromInline let entries: ContiguousArray<JSONIndex.Entry>
    @usableFromInline var place: UInt32
    @usableFromInline let end: UInt32

    @inlinable
    init(entries: ContiguousArray<JSONIndex.Entry>, container: JSONNode) {
        let entry = entries[Int(container.place)]
        self.entries = entries
        place = container.place &+ 1
        end = entry.isArray ? entry.next : place
    }

    @inlinable
    public mutating func next() -> JSONNode? {
        guard place < end else { return nil }
        let node = JSONNode(place: place)
        place = entries[Int(place)].next
        return node
    }
}
