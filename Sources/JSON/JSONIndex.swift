// JSONIndex: one pass over a JSON text (RFC 8259, strictly) that notes where its values lie and what they are; the text stays where it
// is and values are read from it on demand (JSONAccess.swift). Not a tree, and no copy of anything.
// Strict: one value and nothing after it, no comments, no byte order mark, UTF-8 only. Of equal keys the last one counts.
//
// Cost: 12 bytes and some 5 ns a value, strings 0.2 ns a byte; a reused index allocates nothing once it has grown to its messages.
public import Base

/// What a JSON text may cost.
public struct JSONLimits: Hashable, Sendable {
    /// Containers within each other.
    public let depthMax: Int
    /// Bytes of a text; below 2^28, what a node's length can say.
    public let bytesMax: Int
    /// Values for which a reused index keeps memory, at 12 bytes each.
    public let nodesRetained: Int

    public init(depthMax: Int = 128, bytesMax: Int = 64 << 20, nodesRetained: Int = 1 << 16) {
        precondition(depthMax > 0 && nodesRetained >= 0, "limits of \(depthMax) levels and \(nodesRetained) nodes")
        precondition(bytesMax >= 0 && bytesMax < 1 << 28, "an index cannot reach \(bytesMax) bytes")
        self.depthMax = depthMax
        self.bytesMax = bytesMax
        self.nodesRetained = nodesRetained
    }
}

/// What a value is.
public enum JSONKind: UInt8, Hashable, Sendable {
    case object, array, string, number, bool, null
}

/// A value's place in the index it came from; says nothing without it.
public struct JSONNode: Hashable, Sendable {
    @usableFromInline let place: UInt32

    @inlinable
    init(place: UInt32) { self.place = place }
}

/// Where the values of one JSON text lie.
///
/// Owned by the loop and built again for every message, or built on another thread and handed back: it is a value, and Sendable. Every
/// question takes the bytes that it was built from.
public struct JSONIndex: Sendable {
    @usableFromInline
    struct Entry: Sendable {
        @usableFromInline var offset: UInt32
        /// The kind in 3 bits, a mark in one, the length in bytes in 28.
        @usableFromInline var tag: UInt32
        /// The entry after this value and all it holds. While a container is open: the container around it.
        @usableFromInline var next: UInt32

        @inline(__always)
        init(_ kind: JSONKind, mark: Bool = false, from start: Int, to end: Int, next: Int) {
            offset = UInt32(truncatingIfNeeded: start)
            tag = UInt32(kind.rawValue) << 29 | (mark ? 1 << 28 : 0) | UInt32(truncatingIfNeeded: end &- start)
            self.next = UInt32(truncatingIfNeeded: next)
        }

        @inlinable var isObject: Bool { tag >> 29 == 0 }
        @inlinable var isArray: Bool { tag >> 29 == 1 }
        @inlinable var isString: Bool { tag >> 29 == 2 }
        /// A string with escapes, a number of digits alone, or true.
        @inlinable var mark: Bool { tag & 1 << 28 != 0 }
        @inlinable var start: Int { Int(offset) }
        @inlinable var end: Int { Int(offset) &+ Int(tag & (1 << 28 - 1)) }
    }

    /// No container is open.
    private static let outside = UInt32.max

    public let limits: JSONLimits
    @usableFromInline var entries: ContiguousArray<Entry> = []

    /// An index of nothing yet.
    public init(limits: JSONLimits = JSONLimits()) {
        self.limits = limits
    }

    /// The index of `bytes`: for any thread, which may send it on.
    public init(of bytes: SharedBytes, limits: JSONLimits = JSONLimits()) throws(JSONError) {
        self.limits = limits
        try build(from: bytes.span)
    }

    /// Forgets the text before and indexes `bytes`; after an error the index is empty.
    ///
    /// - Throws: ``JSONError`` with the first byte that breaks the grammar or a limit.
    public mutating func build(from bytes: Span<UInt8>) throws(JSONError) {
        reset()
        guard bytes.count <= limits.bytesMax else { throw JSONError(.tooLong, at: limits.bytesMax) }
        do throws(JSONError) {
            try scan(bytes)
        } catch {
            reset()
            throw error
        }
    }

    /// Forgets the text; keeps no more memory than the limits say.
    public mutating func reset() {
        entries.removeAll(keepingCapacity: entries.capacity <= limits.nodesRetained)
    }

    /// Whether there is nothing to ask: not built yet, or the text was refused.
    @inlinable public var isEmpty: Bool { entries.isEmpty }

    private mutating func scan(_ bytes: Span<UInt8>) throws(JSONError) {
        var around = JSONIndex.outside
        var depth = 0
        var at = JSONIndex.skipSpace(bytes, from: 0)
        while true {
            at = try scanValue(bytes, from: at, around: &around, depth: &depth)
            // A container that holds something goes on with its first value.
            if at < 0 {
                at = ~at
                continue
            }
            guard let next = try closeContainers(bytes, from: at, around: &around, depth: &depth) else { return }
            at = next
        }
    }

    /// Notes the value at `at`, or the opening of a container.
    ///
    /// - Returns: the offset after the value; the complement of the offset of the first value in a container that was opened.
    @inline(__always)
    private mutating func scanValue(
        _ bytes: Span<UInt8>, from at: Int, around: inout UInt32, depth: inout Int
    ) throws(JSONError) -> Int {
        guard at < bytes.count else { throw JSONError(.expectedValue, at: at) }
        let after = entries.count &+ 1
        switch bytes[at] {
        case UInt8(ascii: "\""):
            let (end, hasEscapes) = try JSONString.scan(bytes, from: at &+ 1)
            entries.append(Entry(.string, mark: hasEscapes, from: at, to: end, next: after))
            return end
        case UInt8(ascii: "{"):
            try open(.object, at: at, around: &around, depth: &depth)
            let first = JSONIndex.skipSpace(bytes, from: at &+ 1)
            if first < bytes.count, bytes[first] == UInt8(ascii: "}") { return first }
            return ~(try scanKey(bytes, from: first))
        case UInt8(ascii: "["):
            try open(.array, at: at, around: &around, depth: &depth)
            let first = JSONIndex.skipSpace(bytes, from: at &+ 1)
            if first < bytes.count, bytes[first] == UInt8(ascii: "]") { return first }
            return ~first
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let (end, isPlain) = try JSONNumber.scan(bytes, from: at)
            entries.append(Entry(.number, mark: isPlain, from: at, to: end, next: after))
            return end
        case UInt8(ascii: "t"):
            let end = try JSONIndex.literal("true", bytes, from: at)
            entries.append(Entry(.bool, mark: true, from: at, to: end, next: after))
            return end
        case UInt8(ascii: "f"):
            let end = try JSONIndex.literal("false", bytes, from: at)
            entries.append(Entry(.bool, mark: false, from: at, to: end, next: after))
            return end
        case UInt8(ascii: "n"):
            let end = try JSONIndex.literal("null", bytes, from: at)
            entries.append(Entry(.null, from: at, to: end, next: after))
            return end
        default:
            throw JSONError(.expectedValue, at: at)
        }
    }

    @inline(__always)
    private mutating func open(_ kind: JSONKind, at offset: Int, around: inout UInt32, depth: inout Int) throws(JSONError) {
        depth &+= 1
        guard depth <= limits.depthMax else { throw JSONError(.tooDeep, at: offset) }
        let place = UInt32(truncatingIfNeeded: entries.count)
        entries.append(Entry(kind, from: offset, to: offset, next: Int(around)))
        around = place
    }

    /// Notes the key at `at` and passes its colon.
    ///
    /// - Returns: the offset of the value.
    @inline(__always)
    private mutating func scanKey(_ bytes: Span<UInt8>, from at: Int) throws(JSONError) -> Int {
        guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw JSONError(.expectedKey, at: at) }
        let (end, hasEscapes) = try JSONString.scan(bytes, from: at &+ 1)
        entries.append(Entry(.string, mark: hasEscapes, from: at, to: end, next: entries.count &+ 1))
        let colon = JSONIndex.skipSpace(bytes, from: end)
        guard colon < bytes.count, bytes[colon] == UInt8(ascii: ":") else { throw JSONError(.expectedColon, at: colon) }
        return JSONIndex.skipSpace(bytes, from: colon &+ 1)
    }

    /// Goes from the end of a value to the next value, closing the containers that end between them.
    ///
    /// - Returns: nil where the text is over.
    @inline(__always)
    private mutating func closeContainers(
        _ bytes: Span<UInt8>, from end: Int, around: inout UInt32, depth: inout Int
    ) throws(JSONError) -> Int? {
        var at = JSONIndex.skipSpace(bytes, from: end)
        while around != JSONIndex.outside {
            let container = entries[Int(around)]
            let byte = at < bytes.count ? bytes[at] : 0
            if byte == UInt8(ascii: ",") {
                let next = JSONIndex.skipSpace(bytes, from: at &+ 1)
                return container.isObject ? try scanKey(bytes, from: next) : next
            }
            guard byte == (container.isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                throw JSONError(container.isObject ? .expectedCommaOrBrace : .expectedCommaOrBracket, at: at)
            }
            entries[Int(around)] = Entry(
                container.isObject ? .object : .array, from: container.start, to: at &+ 1, next: entries.count)
            around = container.next
            depth &-= 1
            at = JSONIndex.skipSpace(bytes, from: at &+ 1)
        }
        guard at == bytes.count else { throw JSONError(.expectedEnd, at: at) }
        return nil
    }

    /// RFC 8259 §2: space, tab, line feed and carriage return.
    @inline(__always)
    private static func skipSpace(_ bytes: Span<UInt8>, from start: Int) -> Int {
        var at = start
        while at < bytes.count, bytes[at] <= 0x20 {
            guard bytes[at] == 0x20 || bytes[at] == 0x0a || bytes[at] == 0x0d || bytes[at] == 0x09 else { return at }
            at &+= 1
        }
        return at
    }

    @inline(__always)
    private static func literal(_ word: StaticString, _ bytes: Span<UInt8>, from start: Int) throws(JSONError) -> Int {
        let letters = JSONString.span(of: word)
        let end = start &+ letters.count
        guard end <= bytes.count else { throw JSONError(.expectedValue, at: start) }
        for place in 0..<letters.count where bytes[start &+ place] != letters[place] { throw JSONError(.expectedValue, at: start) }
        return end
    }
}
