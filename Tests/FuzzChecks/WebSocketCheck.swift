// WebSocketFuzzer: no bytes make a connection trap; and the messages, the pings, the close and the error are the same whichever way the
// bytes were cut into reads, with and without compression.
import Base
import WebSockets

private let limits = WebSocketLimits(messageBytesMax: 1 << 12, fragmentsMax: 64)
private let policy = DeflatePolicy(keepsServerContext: true, keepsClientContext: true)

@c public func LLVMFuzzerTestOneInput(_ data: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
    let input = unsafe FuzzInput(data, count)
    let whole = Conversation.said(input, ends: [input.bytes.count])
    let cut = Conversation.said(input, ends: input.ends)
    require(whole == cut, "whole: \(whole)\ncut: \(cut)")
    return 0
}

/// One connection's life.
private struct Conversation {
    enum Line: Equatable {
        case text([UInt8])
        case binary([UInt8])
        case ping([UInt8])
        case pong([UInt8])
        case close(CloseCode?, [UInt8])
        case failed(FrameError)
    }

    private var connection: WebSocketConnection
    private let workspace = WebSocketWorkspace()
    private var lines: [Line] = []

    /// What the connection made of the input when the reads ended at `ends`.
    static func said(_ input: FuzzInput, ends: [Int]) -> [Line] {
        var conversation = Conversation(input.choice)
        var start = 0
        for end in ends {
            guard conversation.read(Array(input.bytes[start..<end])) else { break }
            start = end
        }
        return conversation.lines
    }

    private init(_ choice: UInt8) {
        let offer: StaticString? =
            switch choice >> 6 {
            case 0, 1: nil
            case 2: "permessage-deflate"
            default: "permessage-deflate; client_no_context_takeover"
            }
        let bytes = Array((offer?.description ?? "").utf8)
        connection = WebSocketConnection(deflate: DeflateNegotiation.accept(bytes.span, policy))
    }

    /// Whether the connection goes on.
    private mutating func read(_ piece: [UInt8]) -> Bool {
        var piece = piece
        let count = piece.count
        var bytes = piece.mutableSpan
        var position = 0
        while true {
            let event = connection.next(&bytes, &position, limits, workspace)
            require(position >= 0 && position <= count, "position \(position) of \(count)")
            switch event {
            case .needMore:
                require(position == count, "\(count - position) bytes were left")
                return true
            case .text(let payload): lines.append(.text(shown(payload, bytes)))
            case .binary(let payload): lines.append(.binary(shown(payload, bytes)))
            case .ping(let payload): lines.append(.ping(shown(payload, bytes)))
            case .pong(let payload): lines.append(.pong(shown(payload, bytes)))
            case .close(let code, let reason):
                lines.append(.close(code, shown(reason, bytes)))
                require(connection.startClose() && !connection.startClose(), "a close frame goes out once")
                return false
            case .failed(let error):
                lines.append(.failed(error))
                return false
            }
        }
    }

    private func shown(_ payload: Payload, _ bytes: borrowing MutableSpan<UInt8>) -> [UInt8] {
        connection.withPayload(payload, bytes) { span in span.indices.map { span[$0] } }
    }
}
