// WebSocketCheck: no bytes make a connection trap; and the messages, the pings, the close and the error are the same whichever way the
// bytes were cut into reads, with and without compression; what zlib compressed comes out as it was, what zlib cannot read is refused,
// and never more than the limit comes out; what the server writes, a client reads.
import Base
import WebSockets

private let limits = WebSocketLimits(messageBytesMax: 1 << 12, fragmentsMax: 64)

func checkWebSocket(_ input: FuzzInput) {
    switch input.choice >> 4 & 3 {
    case 0: checkFrames(input)
    case 1: checkInflating(input)
    case 2: checkMessages(input)
    default: checkWriting(input)
    }
}

/// What the upper two bits choose.
private func agreed(_ choice: UInt8) -> DeflateParameters? {
    let policy = DeflatePolicy(keepsServerContext: true, keepsClientContext: true)
    let offer: StaticString? =
        switch choice >> 6 {
        case 0: nil
        case 1: "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9"
        case 2: "permessage-deflate"
        default: "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
        }
    guard let offer else { return nil }
    let bytes = Array(offer.description.utf8)
    guard let parameters = DeflateNegotiation.accept(bytes.span, policy) else { fatalError("\(offer) is not accepted") }
    return parameters
}

// MARK: The ways

/// The bytes are frames, or whatever else.
private func checkFrames(_ input: FuzzInput) {
    let deflate = agreed(input.choice)
    let whole = Conversation.said(input.bytes, ends: [input.bytes.count], deflate)
    let cut = Conversation.said(input.bytes, ends: input.ends, deflate)
    require(whole == cut, "whole: \(whole)\ncut: \(cut)")
    // Whoever sends an offer of his own may send any; the second byte chooses what the server likes.
    let policy = DeflatePolicy(keepsServerContext: input.choice & 1 == 0, serverWindowBits: 9 + input.choice % 7)
    guard let parameters = DeflateNegotiation.accept(input.bytes.span, policy) else { return }
    require(parameters.serverWindowBits <= policy.serverWindowBits && parameters.clientWindowBits <= 15, "a window that was not allowed")
    var answer = ByteWriter()
    parameters.writeResponse(to: &answer)
    let again = DeflateNegotiation.accept(answer.span, policy)
    require(again.map { $0.serverWindowBits } == parameters.serverWindowBits, "\(array(answer.span)) answers \(input.bytes)")
}

/// The bytes are what a client takes for a compressed message: zlib, asked once for all of it, has the last word.
private func checkInflating(_ input: FuzzInput) {
    let deflate = agreed(input.choice | 0x80)
    let frames = ClientFrame.message(.binary, input.pieces, isCompressed: true)
    let ends = FuzzInput(choice: input.choice, bytes: frames).ends
    let said = Conversation.said(frames, ends: ends, deflate)
    switch (said.first, RawDeflate.inflated(input.bytes, max: limits.messageBytesMax)) {
    case (.binary(let read)?, .whole(let reference)):
        require(read == reference && said.count == 1, "read \(read)\nzlib \(reference)")
    case (.failed(.messageTooBig)?, .tooLong), (.failed(.invalidDeflate)?, .invalid): break
    case (.failed(.tooManyFragments)?, _): require(input.pieces.count > limits.fragmentsMax, "\(input.pieces.count) fragments")
    // Blocks without content: the wire has a limit of its own.
    case (.failed(.messageTooBig)?, _): require(input.bytes.count > limits.messageBytesMax, "\(input.bytes.count) bytes are too much")
    case (let read, let reference): fatalError("read \(read as Any), zlib \(reference)")
    }
}

/// The bytes are messages, which a client compresses, cuts into frames and sends; they arrive as they were.
private func checkMessages(_ input: FuzzInput) {
    guard let deflate = agreed(input.choice | 0x40), let client = RawDeflate(deflate.clientWindowBits, level: Int32(input.choice % 10))
    else {
        return
    }
    var frames: [UInt8] = []
    var sent: [Conversation.Line] = []
    for message in input.bytes.split(separator: 0x1e, maxSplits: 6, omittingEmptySubsequences: false).map(Array.init) {
        let compressed = client.compressed(message)
        if !deflate.keepsClientContext { client.reset() }
        let pieces = FuzzInput(choice: input.choice, bytes: compressed).pieces
        // Longer pieces where these would be too many.
        frames += ClientFrame.message(.binary, pieces.count > 32 ? [compressed] : pieces, isCompressed: true)
        sent.append(.binary(message))
    }
    let said = Conversation.said(frames, ends: FuzzInput(choice: input.choice, bytes: frames).ends, deflate)
    require(said == sent, "sent \(sent)\nread \(said)")
}

/// The bytes are what the server sends: a client reads it, with zlib where it is compressed.
private func checkWriting(_ input: FuzzInput) {
    var connection = WebSocketConnection(deflate: agreed(input.choice))
    let workspace = WebSocketWorkspace()
    let keeps = connection.deflateParameters?.keepsServerContext ?? false
    guard let client = RawInflate(connection.deflateParameters?.serverWindowBits ?? 15) else { return }
    for piece in input.pieces.prefix(8) {
        var writer = ByteWriter()
        connection.append(.binary, piece.span, compressedFrom: 2, workspace, to: &writer)
        let (payload, isCompressed) = ServerFrame.payload(array(writer.span))
        require(isCompressed == (connection.deflateParameters != nil && piece.count >= 2), "a message of \(piece.count) bytes")
        if isCompressed && !keeps { client.reset() }
        require(
            isCompressed ? client.inflated(payload, max: piece.count) == .whole(piece) : payload == piece, "\(piece) is written \(payload)")
        if let deflate = connection.deflateParameters {
            let shared = ServerFrame.payload(array(CompressedFrame.make(.binary, piece.span, deflate).span))
            require(shared.isCompressed && RawDeflate.inflated(shared.payload, max: piece.count) == .whole(piece), "\(piece) for many")
        }
    }
    var control = ByteWriter()
    let short = Array(input.bytes.prefix(125))
    FrameWriter.appendPong(short.span, to: &control)
    require(ServerFrame.payload(array(control.span)).payload == short, "another pong")
}

// MARK: One connection's life

private struct Conversation: ~Copyable {
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

    /// What the connection made of the bytes when the reads ended at `ends`.
    static func said(_ bytes: [UInt8], ends: [Int], _ deflate: DeflateParameters?) -> [Line] {
        var conversation = Conversation(connection: WebSocketConnection(deflate: deflate))
        var start = 0
        for end in ends {
            guard conversation.read(Array(bytes[start..<end])) else { break }
            start = end
        }
        return conversation.lines
    }

    private init(connection: consuming WebSocketConnection) { self.connection = connection }

    /// Whether the connection goes on.
    private mutating func read(_ piece: [UInt8]) -> Bool {
        var piece = piece
        let count = piece.count
        var bytes = piece.mutableSpan
        var position = 0
        while true {
            let event = connection.next(&bytes, &position, limits, workspace)
            require(position >= 0 && position <= count, "position \(position) of \(count)")
            require(connection.pendingBytes <= limits.messageBytesMax, "\(connection.pendingBytes) bytes are held")
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
        let shown = connection.withPayload(payload, bytes) { array($0) }
        require(shown.count <= limits.messageBytesMax, "a message of \(shown.count) bytes")
        return shown
    }
}

// MARK: Frames as a client has them

private enum ClientFrame {
    /// A message of so many fragments, masked.
    static func message(_ kind: MessageKind, _ pieces: [[UInt8]], isCompressed: Bool) -> [UInt8] {
        var frames: [UInt8] = []
        for (index, piece) in pieces.enumerated() {
            let first = index == 0 ? kind.rawValue | (isCompressed ? 0x40 : 0) : 0
            frames.append(first | (index == pieces.count - 1 ? 0x80 : 0))
            if piece.count <= 125 {
                frames.append(0x80 | UInt8(piece.count))
            } else {
                frames += [0x80 | 126, UInt8(piece.count >> 8), UInt8(piece.count & 0xff)]
            }
            let mask: [UInt8] = [0x37, 0xfa, 0x21, 0x3d]
            frames += mask
            frames += piece.enumerated().map { $1 ^ mask[$0 & 3] }
        }
        return frames
    }
}

private enum ServerFrame {
    /// The payload of the one frame that the bytes are.
    static func payload(_ frame: [UInt8]) -> (payload: [UInt8], isCompressed: Bool) {
        require(frame.count >= 2 && frame[0] & 0xb0 == 0x80 && frame[1] < 127, "no frame: \(frame)")
        var length = Int(frame[1])
        var start = 2
        if length == 126 {
            length = Int(frame[2]) << 8 | Int(frame[3])
            start = 4
            require(length > 125, "a length that is longer than it must be")
        }
        require(frame.count == start + length, "a frame of \(frame.count) bytes says \(length)")
        return (Array(frame[start...]), frame[0] & 0x40 != 0)
    }
}
