// Headers: the names of header fields that this server reads, looked up once while parsing, and the lists that field values hold.
// Not the table of a request's fields, which is RequestHead. RFC 9110 §5.1 (names), §5.6.1 (lists).

/// A header field name that somebody here asks for; every other one is `other` and found by its bytes.
public enum FieldName: UInt8, Hashable, Sendable, CaseIterable {
    case other
    case te
    case host, date
    case range
    case accept, cookie, expect, origin
    case referer, upgrade, trailer, xGroup
    case forwarded, apiKey
    case connection, userAgent
    case traceparent
    case contentType, xRequestID
    case authorization, lastEventID, ifNoneMatch, cacheControl
    case contentLength, secFetchSite
    case acceptEncoding, idempotencyKey, xForwardedFor
    case contentEncoding, xForwardedHost
    case transferEncoding, secWebSocketKey, xForwardedProto
    case secWebSocketVersion
    case secWebSocketProtocol
    case secWebSocketExtensions
    case accessControlRequestMethod
    case accessControlRequestHeaders

    /// The name in lower case; empty for `other`.
    public var text: StaticString {
        switch self {
        case .other: ""
        case .te: "te"
        case .host: "host"
        case .date: "date"
        case .range: "range"
        case .accept: "accept"
        case .cookie: "cookie"
        case .expect: "expect"
        case .origin: "origin"
        case .referer: "referer"
        case .upgrade: "upgrade"
        case .trailer: "trailer"
        case .xGroup: "x-group"
        case .forwarded: "forwarded"
        case .apiKey: "x-api-key"
        case .connection: "connection"
        case .userAgent: "user-agent"
        case .traceparent: "traceparent"
        case .contentType: "content-type"
        case .xRequestID: "x-request-id"
        case .authorization: "authorization"
        case .lastEventID: "last-event-id"
        case .ifNoneMatch: "if-none-match"
        case .cacheControl: "cache-control"
        case .contentLength: "content-length"
        case .secFetchSite: "sec-fetch-site"
        case .acceptEncoding: "accept-encoding"
        case .idempotencyKey: "idempotency-key"
        case .xForwardedFor: "x-forwarded-for"
        case .contentEncoding: "content-encoding"
        case .xForwardedHost: "x-forwarded-host"
        case .transferEncoding: "transfer-encoding"
        case .secWebSocketKey: "sec-websocket-key"
        case .xForwardedProto: "x-forwarded-proto"
        case .secWebSocketVersion: "sec-websocket-version"
        case .secWebSocketProtocol: "sec-websocket-protocol"
        case .secWebSocketExtensions: "sec-websocket-extensions"
        case .accessControlRequestMethod: "access-control-request-method"
        case .accessControlRequestHeaders: "access-control-request-headers"
        }
    }

    /// The name that the bytes of `range` spell, whatever the case of their letters.
    static func find(_ range: Range<Int>, in bytes: Span<UInt8>) -> FieldName {
        guard let first = range.first else { return .other }
        let name = candidate(length: range.count, first: bytes[first] | 0x20)
        return name != .other && spells(range, name.text, in: bytes) ? name : .other
    }

    /// Whether the token in `range` is `text`, of the same length and in lower case. Of the characters of tokens, only a capital becomes a
    /// small letter by that bit, and none becomes a hyphen or a digit: a compare of two bytes is enough here.
    private static func spells(_ range: Range<Int>, _ text: StaticString, in bytes: Span<UInt8>) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        let wanted = unsafe text.utf8Start
        for offset in 0..<range.count where unsafe bytes[range.lowerBound &+ offset] | 0x20 != wanted[offset] { return false }
        return true
    }

    /// The one name of that length and first letter: the list above is such that there is never a second.
    private static func candidate(length: Int, first: UInt8) -> FieldName {
        switch (length, Unicode.Scalar(first)) {
        case (2, "t"): .te
        case (4, "h"): .host
        case (4, "d"): .date
        case (5, "r"): .range
        case (6, "a"): .accept
        case (6, "c"): .cookie
        case (6, "e"): .expect
        case (6, "o"): .origin
        case (7, "r"): .referer
        case (7, "u"): .upgrade
        case (7, "t"): .trailer
        case (7, "x"): .xGroup
        case (9, "f"): .forwarded
        case (9, "x"): .apiKey
        case (10, "c"): .connection
        case (10, "u"): .userAgent
        case (11, "t"): .traceparent
        case (12, "c"): .contentType
        case (12, "x"): .xRequestID
        case (13, "a"): .authorization
        case (13, "l"): .lastEventID
        case (13, "i"): .ifNoneMatch
        case (13, "c"): .cacheControl
        case (14, "c"): .contentLength
        case (14, "s"): .secFetchSite
        case (15, "a"): .acceptEncoding
        case (15, "i"): .idempotencyKey
        case (15, "x"): .xForwardedFor
        case (16, "c"): .contentEncoding
        case (16, "x"): .xForwardedHost
        case (17, "t"): .transferEncoding
        case (17, "s"): .secWebSocketKey
        case (17, "x"): .xForwardedProto
        case (21, "s"): .secWebSocketVersion
        case (22, "s"): .secWebSocketProtocol
        case (24, "s"): .secWebSocketExtensions
        case (29, "a"): .accessControlRequestMethod
        case (30, "a"): .accessControlRequestHeaders
        default: .other
        }
    }
}

/// One header field of a request; the ranges point into the bytes that the head was parsed from.
public struct Field: Hashable, Sendable {
    /// The name as it was sent.
    public let name: Range<Int>
    /// The value without the whitespace around it.
    public let value: Range<Int>
    public let known: FieldName
}

/// The members of a comma-separated list (RFC 9110 §5.6.1), one after the other.
///
/// Commas in quoted strings separate nothing. Empty members are passed over, as §5.6.1.2 asks of recipients.
public struct ListMembers: Sendable {
    private var rest: Range<Int>

    /// The members of the list that stands in `value`.
    public init(_ value: Range<Int>) { rest = value }

    /// The next member without the whitespace around it; nil at the end.
    public mutating func next(in bytes: Span<UInt8>) -> Range<Int>? {
        while !rest.isEmpty {
            let end = memberEnd(in: bytes)
            let member = bytes.trimmed(rest.lowerBound..<end)
            rest = min(end &+ 1, rest.upperBound)..<rest.upperBound
            if !member.isEmpty { return member }
        }
        return nil
    }

    private func memberEnd(in bytes: Span<UInt8>) -> Int {
        var index = rest.lowerBound
        var quoted = false
        while index < rest.upperBound {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                quoted.toggle()
            } else if quoted, byte == UInt8(ascii: "\\") {
                // §5.6.4: a backslash takes the meaning from the character behind it.
                index &+= 1
            } else if !quoted, byte == UInt8(ascii: ",") {
                return index
            }
            index &+= 1
        }
        return rest.upperBound
    }
}
