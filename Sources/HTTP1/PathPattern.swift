// PathPattern: a path taken apart at its slashes and compared with a literal such as "/api/task/{id}/cancel". Keeps no table: a route is
// one comparison. RFC 3986 §3.3; escapes are compared decoded (§6.2.2.2), and an escaped slash never separates.
//
// Cost: one pass over path and pattern up to the first difference, no allocation; a mismatch mostly ends in the first segment.

/// The segments of a path, as they were sent, one after the other.
public struct PathSegments: Sendable {
    private var next: Int
    private let end: Int

    /// The segments of `path`, which begins with a slash.
    public init(_ path: Range<Int>) {
        next = path.lowerBound
        end = path.upperBound
    }

    /// The next segment without its slash; empty between two slashes and behind a last one; nil at the end.
    public mutating func next(in bytes: Span<UInt8>) -> Range<Int>? {
        guard next < end, bytes[next] == UInt8(ascii: "/") else { return nil }
        let start = next &+ 1
        var cursor = start
        while cursor < end, bytes[cursor] != UInt8(ascii: "/") { cursor &+= 1 }
        next = cursor
        return start..<cursor
    }

    /// What has not been taken yet, from its slash on.
    public var rest: Range<Int> { next..<end }
}

/// What stood in the places of a pattern, as it was sent.
public struct PathCaptures: Hashable, Sendable {
    /// The most captures of one pattern.
    public static let max = 4

    public private(set) var count = 0
    private var first: Range<Int> = 0..<0
    private var second: Range<Int> = 0..<0
    private var third: Range<Int> = 0..<0
    private var fourth: Range<Int> = 0..<0

    init() {}

    /// The capture at `index`, in the pattern's order; ``RequestTarget/decode(_:of:into:)`` takes its escapes away.
    public subscript(index: Int) -> Range<Int> {
        precondition(index >= 0 && index < count, "capture \(index) of \(count)")
        switch index {
        case 0: return first
        case 1: return second
        case 2: return third
        default: return fourth
        }
    }

    mutating func append(_ range: Range<Int>) {
        switch count {
        case 0: first = range
        case 1: second = range
        case 2: third = range
        default:
            precondition(count < Self.max, "a pattern has more than \(Self.max) captures")
            fourth = range
        }
        count += 1
    }
}

extension RequestTarget {
    /// Compares the path with a pattern such as `/api/task/{id}/cancel`.
    ///
    /// `{name}` takes one segment, which is not empty; `{name...}` at the end takes all that is left, slashes and all, which may be empty.
    /// The names are for the reader: captures are counted. Other segments are compared with their escapes decoded.
    ///
    /// - Returns: the captures, as they were sent; nil where the path is another.
    public func match(_ pattern: StaticString, in bytes: Span<UInt8>) -> PathCaptures? {
        guard !differsAtOnce(from: pattern, in: bytes) else { return nil }
        var captures = PathCaptures()
        var segments = PathSegments(path)
        // RFC 9110 §4.2.3: an absolute target without a path means the root.
        var implied = form == .absolute && path.isEmpty ? path : nil
        var cursor = 0
        let end = pattern.utf8CodeUnitCount
        while cursor < end {
            precondition(unsafe pattern.utf8Start[cursor] == UInt8(ascii: "/"), "a pattern's segments begin with a slash")
            let start = cursor + 1
            cursor = start
            while cursor < end, unsafe pattern.utf8Start[cursor] != UInt8(ascii: "/") { cursor += 1 }
            guard let segment = segments.next(in: bytes) ?? implied else { return nil }
            implied = nil
            switch unsafe Self.place(pattern.utf8Start, start..<cursor) {
            case .literal:
                guard unsafe Self.isLiteral(segment, pattern.utf8Start, start..<cursor, in: bytes) else { return nil }
            case .segment:
                guard !segment.isEmpty else { return nil }
                captures.append(segment)
            case .rest:
                captures.append(segment.lowerBound..<path.upperBound)
                return captures
            }
        }
        return segments.rest.isEmpty ? captures : nil
    }

    /// Whether the first letters tell: a table of patterns is mostly misses.
    @inline(__always)
    private func differsAtOnce(from pattern: StaticString, in bytes: Span<UInt8>) -> Bool {
        guard path.count > 1, pattern.utf8CodeUnitCount > 1 else { return false }
        let (here, wanted) = unsafe (bytes[path.lowerBound + 1], pattern.utf8Start[1])
        return here != wanted && here != UInt8(ascii: "%") && wanted != UInt8(ascii: "{")
    }

    private enum Place { case literal, segment, rest }

    /// What the part of a pattern at `range` takes.
    private static func place(_ pattern: UnsafePointer<UInt8>, _ range: Range<Int>) -> Place {
        guard range.count >= 2, unsafe pattern[range.lowerBound] == UInt8(ascii: "{") else { return .literal }
        return unsafe pattern[range.upperBound - 2] == UInt8(ascii: ".") ? .rest : .segment
    }

    private static func isLiteral(
        _ segment: Range<Int>, _ pattern: UnsafePointer<UInt8>, _ range: Range<Int>, in bytes: Span<UInt8>
    ) -> Bool {
        var escapes = Escapes(segment, plusIsSpace: false)
        // The path's escapes were checked when the head was parsed: there is no error left to meet.
        for index in range {
            guard let byte = try? escapes.next(in: bytes), unsafe byte == pattern[index] else { return false }
        }
        return escapes.isEmpty
    }
}
