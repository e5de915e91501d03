// Query: the parameters of a request target's query, found by name and decoded on demand. Builds no dictionary and knows no nesting
// (`a[b][c]` is a name like any other). The URL standard's application/x-www-form-urlencoded, read strictly.
public import Base

/// The parameters of a query, as they were sent, one after the other; empty ones are passed over.
public struct QueryParameters: Sendable {
    /// Parameters that are looked at; a query with more is refused.
    public static let max = 64

    /// One parameter; a name without `=` has an empty value.
    public struct Parameter: Hashable, Sendable {
        public let name: Range<Int>
        public let value: Range<Int>
    }

    private var rest: Range<Int>
    private var taken = 0

    public init(_ query: Range<Int>) { rest = query }

    /// The next parameter; nil at the end.
    ///
    /// - Throws: ``HTTPError/tooManyParameters``.
    public mutating func next(in bytes: Span<UInt8>) throws(HTTPError) -> Parameter? {
        while !rest.isEmpty {
            let start = rest.lowerBound
            var end = start
            var equals: Int?
            while end < rest.upperBound, bytes[end] != UInt8(ascii: "&") {
                if equals == nil, bytes[end] == UInt8(ascii: "=") { equals = end }
                end &+= 1
            }
            rest = min(end &+ 1, rest.upperBound)..<rest.upperBound
            guard end > start else { continue }
            guard taken < Self.max else { throw .tooManyParameters }
            taken += 1
            guard let equals else { return Parameter(name: start..<end, value: end..<end) }
            return Parameter(name: start..<equals, value: equals &+ 1..<end)
        }
        return nil
    }
}

extension RequestTarget {
    /// The value of the first parameter of that name as it was sent. O(query).
    ///
    /// - Throws: ``HTTPError/tooManyParameters``, and ``HTTPError/invalidEscape`` for a malformed name on the way.
    public func parameter(_ name: StaticString, in bytes: Span<UInt8>) throws(HTTPError) -> Range<Int>? {
        guard let query else { return nil }
        var parameters = QueryParameters(query)
        while let parameter = try parameters.next(in: bytes) {
            if try Self.isNamed(parameter.name, name, in: bytes) { return parameter.value }
        }
        return nil
    }

    /// Appends the value of the first parameter of that name, escapes and `+` decoded. O(query).
    ///
    /// - Returns: where in `writer` it stands; nil where there is no such parameter.
    /// - Throws: ``HTTPError/tooManyParameters``, ``HTTPError/invalidEscape`` or ``HTTPError/invalidText``, with nothing appended.
    public func parameter(
        _ name: StaticString, in bytes: Span<UInt8>, into writer: inout ByteWriter
    ) throws(HTTPError) -> Range<Int>? {
        guard let value = try parameter(name, in: bytes) else { return nil }
        return try Self.decode(value, of: bytes, plusIsSpace: true, into: &writer)
    }

    fileprivate static func isNamed(_ range: Range<Int>, _ name: StaticString, in bytes: Span<UInt8>) throws(HTTPError) -> Bool {
        var escapes = Escapes(range, plusIsSpace: true)
        for index in 0..<name.utf8CodeUnitCount {
            guard let byte = try escapes.next(in: bytes), unsafe byte == name.utf8Start[index] else { return false }
        }
        return escapes.isEmpty
    }
}

/// A request's query, kept for when the rest of its head is gone.
public struct QueryText: Hashable, Sendable {
    private let bytes: SharedBytes

    public init(of target: RequestTarget, in bytes: Span<UInt8>) {
        self.bytes = target.query.map { SharedBytes(copying: bytes.extracting($0)) } ?? .empty
    }

    /// The value of the first parameter of that name, escapes and `+` decoded; nil where there is none. O(query).
    ///
    /// - Throws: as ``RequestTarget/parameter(_:in:into:)``.
    public func value(of name: StaticString) throws(HTTPError) -> SharedBytes? {
        guard !bytes.isEmpty else { return nil }
        var parameters = QueryParameters(0..<bytes.count)
        while let parameter = try parameters.next(in: bytes.span) {
            guard try RequestTarget.isNamed(parameter.name, name, in: bytes.span) else { continue }
            var text = ByteWriter(capacity: parameter.value.count)
            _ = try RequestTarget.decode(parameter.value, of: bytes.span, plusIsSpace: true, into: &text)
            return text.seal()
        }
        return nil
    }

    /// Whether both parameters are there and the one stands before the other.
    public func names(_ first: StaticString, before second: StaticString) -> Bool {
        var parameters = QueryParameters(0..<bytes.count)
        var isFound = false
        while let parameter = try? parameters.next(in: bytes.span) {
            if (try? RequestTarget.isNamed(parameter.name, second, in: bytes.span)) == true { return isFound }
            if (try? RequestTarget.isNamed(parameter.name, first, in: bytes.span)) == true { isFound = true }
        }
        return false
    }
}
