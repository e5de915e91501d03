// RequestTarget: the path and the query of a request, compared and decoded where they stand. Not the table of routes, which is the
// caller's. RFC 9112 §3.2 (forms), RFC 3986 §2.1 and §3 (escapes, components), the URL standard's forms (+ is a space in a query).
public import Base

/// What a request is for; the ranges point into the bytes that the head was parsed from.
public struct RequestTarget: Hashable, Sendable {
    public enum Form: UInt8, Hashable, Sendable {
        /// `/path?query`
        case origin
        /// `http://host/path?query`
        case absolute
        /// `*`, of OPTIONS only
        case asterisk
    }

    public let form: Form
    /// The path as it was sent; empty for an asterisk and for an absolute target without one, which both stand for the whole server.
    ///
    /// Its escapes are known to be well-formed, to decode to UTF-8, and not to be `%00`.
    public let path: Range<Int>
    /// The query without its question mark, as it was sent.
    public let query: Range<Int>?
    /// The host and port of an absolute target.
    public let authority: Range<Int>?

    static let none = RequestTarget(form: .asterisk, path: 0..<0, query: nil, authority: nil)

    private init(form: Form, path: Range<Int>, query: Range<Int>?, authority: Range<Int>?) {
        self.form = form
        self.path = path
        self.query = query
        self.authority = authority
    }

    /// Takes the target in `range`, which holds visible ASCII only.
    init(parsing range: Range<Int>, of bytes: Span<UInt8>, method: HTTPMethod) throws(HTTPError) {
        guard let first = range.first else { throw .invalidTarget }
        if bytes[first] == UInt8(ascii: "/") {
            try self.init(.origin, range, authority: nil, of: bytes)
        } else if range.count == 1, bytes[first] == UInt8(ascii: "*") {
            // §3.2.4: the asterisk is for OPTIONS alone.
            guard method == .options else { throw .invalidTarget }
            self.init(form: .asterisk, path: range.upperBound..<range.upperBound, query: nil, authority: nil)
        } else {
            guard let start = Self.authorityStart(range, in: bytes) else { throw .invalidTarget }
            var end = start
            while end < range.upperBound, bytes[end] != UInt8(ascii: "/"), bytes[end] != UInt8(ascii: "?") { end &+= 1 }
            // RFC 9110 §4.2.1: an empty host is invalid; §4.2.4: so is user information.
            guard end > start, Self.isAuthority(start..<end, in: bytes) else { throw .invalidTarget }
            try self.init(.absolute, end..<range.upperBound, authority: start..<end, of: bytes)
        }
    }

    private init(_ form: Form, _ range: Range<Int>, authority: Range<Int>?, of bytes: Span<UInt8>) throws(HTTPError) {
        var end = range.upperBound
        var escaped = false
        for index in range {
            let byte = bytes[index]
            // RFC 3986 §3.5: a fragment is never sent.
            if byte == UInt8(ascii: "#") { throw .invalidTarget }
            if byte == UInt8(ascii: "?"), end == range.upperBound { end = index }
            if byte == UInt8(ascii: "%"), end == range.upperBound { escaped = true }
        }
        if escaped { try Self.check(range.lowerBound..<end, in: bytes) }
        let query = end < range.upperBound ? end &+ 1..<range.upperBound : nil
        self.init(form: form, path: range.lowerBound..<end, query: query, authority: authority)
    }

    private static func authorityStart(_ range: Range<Int>, in bytes: Span<UInt8>) -> Int? {
        behindScheme("http://", range, in: bytes) ?? behindScheme("https://", range, in: bytes)
    }

    private static func behindScheme(_ scheme: StaticString, _ range: Range<Int>, in bytes: Span<UInt8>) -> Int? {
        let end = range.lowerBound &+ scheme.utf8CodeUnitCount
        return end <= range.upperBound && bytes.equals(scheme, ignoringASCIICaseAt: range.lowerBound..<end) ? end : nil
    }

    /// Whether `range` has only characters of `uri-host [":" port]` (RFC 3986 §3.2.2), user information not among them.
    static func isAuthority(_ range: Range<Int>, in bytes: Span<UInt8>) -> Bool {
        for index in range {
            let byte = bytes[index]
            switch Unicode.Scalar(byte) {
            case "a"..."z", "A"..."Z", "0"..."9", "-", ".", "_", "~", ":", "[", "]", "%": continue
            case "!", "$", "&", "'", "(", ")", "*", "+", ",", ";", "=": continue
            default: return false
            }
        }
        return true
    }

    private static func check(_ range: Range<Int>, in bytes: Span<UInt8>) throws(HTTPError) {
        var escapes = Escapes(range, plusIsSpace: false)
        var text = UTF8Validator()
        while let byte = try escapes.next(in: bytes) {
            let one: InlineArray<1, UInt8> = [byte]
            guard text.validate(one.span) else { throw .invalidText }
        }
        guard text.isComplete else { throw .invalidText }
    }

    /// Appends what `range` of a path decodes to.
    ///
    /// - Returns: where in `writer` it stands.
    /// - Throws: ``HTTPError/invalidEscape`` or ``HTTPError/invalidText``, with nothing appended.
    public static func decode(
        _ range: Range<Int>, of bytes: Span<UInt8>, into writer: inout ByteWriter
    ) throws(HTTPError) -> Range<Int> {
        try decode(range, of: bytes, plusIsSpace: false, into: &writer)
    }

    static func decode(
        _ range: Range<Int>, of bytes: Span<UInt8>, plusIsSpace: Bool, into writer: inout ByteWriter
    ) throws(HTTPError) -> Range<Int> {
        let start = writer.count
        do throws(HTTPError) {
            var escapes = Escapes(range, plusIsSpace: plusIsSpace)
            while let byte = try escapes.next(in: bytes) { writer.append(byte) }
            guard UTF8Validator.isValid(writer.span.extracting(start..<writer.count)) else { throw HTTPError.invalidText }
        } catch {
            writer.truncate(to: start)
            throw error
        }
        return start..<writer.count
    }

    /// Whether `range` decodes to itself, so that the bytes may be used where they stand.
    public static func isPlain(_ range: Range<Int>, of bytes: Span<UInt8>) -> Bool {
        for index in range where bytes[index] == UInt8(ascii: "%") { return false }
        return true
    }
}

/// The bytes of a component, escapes decoded, one after the other.
struct Escapes {
    private var rest: Range<Int>
    private let plusIsSpace: Bool

    init(_ range: Range<Int>, plusIsSpace: Bool) {
        rest = range
        self.plusIsSpace = plusIsSpace
    }

    /// Whether everything was taken.
    var isEmpty: Bool { rest.isEmpty }

    mutating func next(in bytes: Span<UInt8>) throws(HTTPError) -> UInt8? {
        guard let at = rest.first else { return nil }
        let byte = bytes[at]
        guard byte == UInt8(ascii: "%") else {
            rest = at &+ 1..<rest.upperBound
            return plusIsSpace && byte == UInt8(ascii: "+") ? .space : byte
        }
        guard rest.count >= 3, let high = bytes[at &+ 1].hexDigit, let low = bytes[at &+ 2].hexDigit, high | low != 0 else {
            throw .invalidEscape
        }
        rest = at &+ 3..<rest.upperBound
        return high << 4 | low
    }
}
