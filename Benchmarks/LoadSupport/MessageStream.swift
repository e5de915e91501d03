// MessageStream: the whole messages and the pings of one WebSocket, however frames and reads cut them. For messages that are looked
// at as a whole; EchoRun, which checks piece by piece, uses ServerFrameReader alone.

/// What came of a message that is not whole yet, and the reader beneath.
public struct MessageStream: Sendable {
    /// A message longer than this is not waited for: none of the protocols under test sends one to a worker.
    private static let messageBytesMax = 1 << 20

    /// What a stream brings.
    public enum Item: Equatable, Sendable {
        case message
        case ping
        case close
        case broken
    }

    private var reader = ServerFrameReader()
    private var partial: [UInt8] = []

    public init() {}

    /// Takes a read and hands on what it completes, with the message's or the control frame's bytes. Nothing follows `broken`.
    public mutating func receive(_ bytes: Span<UInt8>, _ take: (Item, Span<UInt8>) -> Void) {
        var position = 0
        while true {
            switch reader.next(in: bytes, from: &position) {
            case .incomplete:
                return
            case .payload(let range, let offset, let isLast):
                if isLast, offset == 0 {
                    take(.message, bytes.extracting(range))
                    continue
                }
                guard partial.count + range.count <= Self.messageBytesMax else {
                    take(.broken, Span())
                    return
                }
                let piece = bytes.extracting(range)
                unsafe piece.withUnsafeBufferPointer { unsafe partial.append(contentsOf: $0) }
                if isLast {
                    take(.message, partial.span)
                    partial = []
                }
            case .control(.ping):
                let payload = reader.controlPayload
                take(.ping, payload.span)
            case .control(.close):
                take(.close, Span())
            case .control:
                continue
            case .broken:
                take(.broken, Span())
                return
            }
        }
    }
}
