// MessageProgress: what a connection needs while something of it is in pieces, or was agreed to stay: the frame that is being read, the
// bytes of a cut header, the message so far, zlib's streams. Held only that long, and shared out by the WebSocketWorkspace: an idle
// connection is a pointer. Decides nothing.

final class MessageProgress {
    /// The frame whose payload is being read.
    var opcode = Opcode.continuation
    var isFinal = true
    var mask: UInt32 = 0
    var remaining = 0
    var parser = FrameParser()
    /// Held while a message or a control frame is in pieces, and until the caller has seen the whole.
    var assembler: MessageAssembler?
    /// Held while a compressed message is read; for ever where its context was agreed to stay.
    var inflater: InflateContext?
    /// Held from the first compressed message on where its context was agreed to stay.
    var deflater: DeflateContext?

    /// Whether nothing is held that the next frame could miss.
    var isOver: Bool { parser.spilledCount == 0 && assembler == nil && inflater == nil && deflater == nil }
}
