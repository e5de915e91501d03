// ResponseStream: the responses of one connection, however the reads cut them. Keeps what is not whole yet and nothing else; what a
// response is, ResponseParser knows.

/// What came of a response that is not whole yet.
public struct ResponseStream: Sendable {
    private var partial: [UInt8] = []

    public init() {}

    /// Takes a read and hands on each response that it completes: its status and its body.
    /// - Returns: False when these are no responses; the connection is to be dropped.
    public mutating func receive(_ bytes: Span<UInt8>, by parser: inout ResponseParser, _ take: (Int, Span<UInt8>) -> Void) -> Bool {
        guard !partial.isEmpty else {
            guard let rest = Self.consume(bytes, by: &parser, take) else { return false }
            Self.keep(bytes.extracting(rest...), in: &partial)
            return true
        }
        var joined = partial
        partial = []
        Self.keep(bytes, in: &joined)
        guard let rest = Self.consume(joined.span, by: &parser, take) else { return false }
        partial = Array(joined[rest...])
        return true
    }

    /// Where the first response begins that is not whole; nil when something is broken.
    private static func consume(_ bytes: Span<UInt8>, by parser: inout ResponseParser, _ take: (Int, Span<UInt8>) -> Void) -> Int? {
        var position = 0
        while position < bytes.count {
            switch parser.parse(bytes, from: position) {
            case .incomplete:
                return position
            case .broken:
                return nil
            case .response(let status, let body, let end):
                take(status, bytes.extracting(body))
                position = end
            }
        }
        return position
    }

    private static func keep(_ bytes: Span<UInt8>, in target: inout [UInt8]) {
        unsafe bytes.withUnsafeBufferPointer { unsafe target.append(contentsOf: $0) }
    }
}
