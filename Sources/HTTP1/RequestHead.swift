// RequestHead: the request line and the header fields of one request as a table of offsets into the bytes they came in. Not how the
// body is framed (BodyDecoder), nor what the fields mean for the connection (ServerExchange). RFC 9112 §3 to §5, RFC 9110 §5 and §7.2.
//
// Cost: one pass over the head after its end was found, below 2 ns a byte with all that follows; the table is reused, so
// nothing is allocated in steady state. What dominates is checking every byte of names and values against its character class.
import Base

/// A version of HTTP that is spoken here.
public enum HTTPVersion: UInt8, Hashable, Sendable {
    case http10
    case http11
}

/// A request method; one that is not named here is `other` and stands in ``RequestHead/methodName``.
public enum HTTPMethod: UInt8, Hashable, Sendable {
    case get, head, post, put, patch, delete, options
    case other
}

/// One request's head. Filled by ``ServerExchange/next(_:_:head:limits:)`` and filled again by the next request, of any connection.
///
/// All ranges point into the span that was given to that call, and are of use as long as those bytes stay where they are.
public struct RequestHead: ~Copyable {
    /// A field with offsets from the first byte of the head, which has at most 65,535 bytes.
    private struct Entry {
        var nameStart: UInt16
        var nameEnd: UInt16
        var valueStart: UInt16
        var valueEnd: UInt16
        var known: FieldName
        /// One more than the index of the next field of the same known name; 0 for none.
        var next: UInt8
    }

    public private(set) var method: HTTPMethod = .other
    public private(set) var methodName: Range<Int> = 0..<0
    public private(set) var target: RequestTarget = .none
    public private(set) var version: HTTPVersion = .http11
    /// Where the head stood, blank line included.
    public private(set) var range: Range<Int> = 0..<0

    private var entries: [Entry] = []
    /// One more than the index of the first and the last field of each known name; 0 for none.
    private var firsts = Links(repeating: 0)
    private var lasts = Links(repeating: 0)

    /// Room for every known name.
    static let namesMax = 40
    private typealias Links = InlineArray<40, UInt8>

    public init() { entries.reserveCapacity(32) }

    // MARK: Reading

    /// Header fields in the request.
    public var count: Int { entries.count }

    /// The field at `index`, in the order in which they came.
    public subscript(index: Int) -> Field {
        let entry = entries[index]
        return Field(name: place(entry.nameStart, entry.nameEnd), value: place(entry.valueStart, entry.valueEnd), known: entry.known)
    }

    /// The value of the first field of that name. O(1).
    public func value(_ name: FieldName) -> Range<Int>? {
        first(name).map { self[$0].value }
    }

    /// The index of the first field of that name. O(1).
    public func first(_ name: FieldName) -> Int? {
        let link = firsts[Int(name.rawValue)]
        return link == 0 ? nil : Int(link) &- 1
    }

    /// The index of the next field of the same known name. O(1).
    public func next(_ index: Int) -> Int? {
        let link = entries[index].next
        return link == 0 ? nil : Int(link) &- 1
    }

    /// Whether there is more than one field of that name.
    public func repeats(_ name: FieldName) -> Bool {
        firsts[Int(name.rawValue)] != lasts[Int(name.rawValue)]
    }

    /// The index of the first field at or behind `start` whose name is `name`, which is given in lower case. O(fields).
    public func first(named name: StaticString, from start: Int = 0, in bytes: Span<UInt8>) -> Int? {
        var index = start
        while index < entries.count {
            if bytes.equals(name, ignoringASCIICaseAt: self[index].name) { return index }
            index += 1
        }
        return nil
    }

    /// Whether one of the fields of that name lists `member`, given in lower case, whatever the case of its letters.
    public func lists(_ name: FieldName, _ member: StaticString, in bytes: Span<UInt8>) -> Bool {
        var index = first(name)
        while let at = index {
            // Mostly it is listed alone.
            if bytes.equals(member, ignoringASCIICaseAt: self[at].value) { return true }
            var members = ListMembers(self[at].value)
            while let found = members.next(in: bytes) {
                if bytes.equals(member, ignoringASCIICaseAt: found) { return true }
            }
            index = next(at)
        }
        return false
    }

    /// The host and port that the request is for: those of an absolute target, or of the Host field.
    public var authority: Range<Int>? {
        // RFC 9112 §3.2.2: with an absolute target the Host field is ignored.
        target.authority ?? value(.host)
    }

    private func place(_ start: UInt16, _ end: UInt16) -> Range<Int> {
        range.lowerBound &+ Int(start)..<range.lowerBound &+ Int(end)
    }

    // MARK: Filling

    /// Fills the table from the head in `whole`, of which the caller knows that it ends with the first blank line and keeps the limits.
    mutating func parse(_ bytes: Span<UInt8>, _ whole: Range<Int>, limits: HTTPLimits) throws(HTTPError) {
        reset(whole)
        var cursor = whole.lowerBound
        try parseLine(bytes, &cursor, limits: limits)
        while bytes[cursor] != .carriageReturn {
            try parseField(bytes, &cursor)
        }
        try endLine(bytes, &cursor)
        try checkHost(bytes)
    }

    private mutating func reset(_ whole: Range<Int>) {
        range = whole
        method = .other
        methodName = whole.lowerBound..<whole.lowerBound
        target = .none
        version = .http11
        entries.removeAll(keepingCapacity: true)
        firsts = .init(repeating: 0)
        lasts = .init(repeating: 0)
    }

    private mutating func parseLine(_ bytes: Span<UInt8>, _ cursor: inout Int, limits: HTTPLimits) throws(HTTPError) {
        let start = cursor
        while bytes[cursor].isToken { cursor &+= 1 }
        guard cursor > start else { throw .invalidMethod }
        // §3: one space between the parts; to guess at others is how two readers come to differ.
        guard bytes[cursor] == .space else { throw bytes[cursor] == .carriageReturn ? .malformedRequestLine : .invalidMethod }
        methodName = start..<cursor
        method = Self.method(methodName, in: bytes)
        cursor &+= 1

        let targetStart = cursor
        while bytes[cursor] > .space, bytes[cursor] < 0x7f { cursor &+= 1 }
        guard bytes[cursor] == .space else {
            throw bytes[cursor] >= 0x7f ? .invalidTarget : .malformedRequestLine
        }
        let targetEnd = cursor
        guard targetEnd - targetStart <= limits.targetBytesMax else { throw .targetTooLong }
        cursor &+= 1

        version = try Self.version(bytes, &cursor)
        try endLine(bytes, &cursor)
        if bytes.equals("CONNECT", at: methodName) { throw .connectUnsupported }
        target = try RequestTarget(parsing: targetStart..<targetEnd, of: bytes, method: method)
    }

    private static func method(_ name: Range<Int>, in bytes: Span<UInt8>) -> HTTPMethod {
        // RFC 9110 §9.1: methods are case-sensitive.
        switch name.count {
        case 3: bytes.equals("GET", at: name) ? .get : bytes.equals("PUT", at: name) ? .put : .other
        case 4: bytes.equals("POST", at: name) ? .post : bytes.equals("HEAD", at: name) ? .head : .other
        case 5: bytes.equals("PATCH", at: name) ? .patch : .other
        case 6: bytes.equals("DELETE", at: name) ? .delete : .other
        case 7: bytes.equals("OPTIONS", at: name) ? .options : .other
        default: .other
        }
    }

    private static func version(_ bytes: Span<UInt8>, _ cursor: inout Int) throws(HTTPError) -> HTTPVersion {
        let start = cursor
        while bytes[cursor] > .space, bytes[cursor] < 0x7f { cursor &+= 1 }
        // RFC 9112 §2.3: HTTP-name is case-sensitive, one digit on each side of the dot.
        guard cursor - start == 8, bytes.equals("HTTP/", at: start..<start + 5), bytes[start + 6] == UInt8(ascii: "."),
            bytes[start + 5].isASCIIDigit, bytes[start + 7].isASCIIDigit
        else { throw .malformedVersion }
        guard bytes[start + 5] == UInt8(ascii: "1") else { throw .unsupportedVersion }
        switch bytes[start + 7] {
        case UInt8(ascii: "0"): return .http10
        case UInt8(ascii: "1"): return .http11
        default: throw .unsupportedVersion
        }
    }

    private mutating func parseField(_ bytes: Span<UInt8>, _ cursor: inout Int) throws(HTTPError) {
        let nameStart = cursor
        while bytes[cursor].isToken { cursor &+= 1 }
        let nameEnd = cursor
        guard bytes[cursor] == UInt8(ascii: ":"), nameEnd > nameStart else {
            // §5.2: a server refuses folded lines; §5.1: and whitespace between name and colon.
            if nameEnd == nameStart, bytes[cursor].isBlank { throw .foldedField }
            throw bytes[cursor].isBlank ? .spaceBeforeColon : .invalidFieldName
        }
        cursor &+= 1
        let valueStart = cursor
        while bytes[cursor].isFieldContent { cursor &+= 1 }
        let value = bytes.trimmed(valueStart..<cursor)
        // RFC 9110 §5.5: CR, LF and NUL in a value are dangerous, the other controls invalid.
        guard bytes[cursor] == .carriageReturn else { throw .invalidFieldValue }
        try endLine(bytes, &cursor)
        append(nameStart..<nameEnd, value, FieldName.find(nameStart..<nameEnd, in: bytes))
    }

    private mutating func append(_ name: Range<Int>, _ value: Range<Int>, _ known: FieldName) {
        let origin = range.lowerBound
        let link = UInt8(truncatingIfNeeded: entries.count &+ 1)
        entries.append(Entry(
            nameStart: UInt16(truncatingIfNeeded: name.lowerBound &- origin),
            nameEnd: UInt16(truncatingIfNeeded: name.upperBound &- origin),
            valueStart: UInt16(truncatingIfNeeded: value.lowerBound &- origin),
            valueEnd: UInt16(truncatingIfNeeded: value.upperBound &- origin),
            known: known, next: 0))
        guard known != .other else { return }
        let slot = Int(known.rawValue)
        if firsts[slot] == 0 {
            firsts[slot] = link
        } else {
            entries[Int(lasts[slot]) &- 1].next = link
        }
        lasts[slot] = link
    }

    private func endLine(_ bytes: Span<UInt8>, _ cursor: inout Int) throws(HTTPError) {
        // RFC 9112 §2.2: a bare CR is invalid; a bare LF never comes this far.
        guard bytes[cursor] == .carriageReturn else { throw .malformedRequestLine }
        guard bytes[cursor &+ 1] == .lineFeed else { throw .bareCarriageReturn }
        cursor &+= 2
    }

    private func checkHost(_ bytes: Span<UInt8>) throws(HTTPError) {
        // RFC 9112 §3.2: 400 to a request of HTTP/1.1 without Host, and to any with more than one or with an invalid one.
        guard let host = value(.host) else {
            switch version {
            case .http10: return
            case .http11: throw .missingHost
            }
        }
        if repeats(.host) { throw .repeatedHost }
        guard RequestTarget.isAuthority(host, in: bytes) else { throw .invalidHost }
    }
}
