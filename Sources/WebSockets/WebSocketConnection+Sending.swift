// WebSocketConnection, the other direction: messages, compressed where that was agreed and pays, and our side of the closing handshake.
// What needs no state of the connection is FrameWriter's.
public import Base

extension WebSocketConnection {
    /// Whether a close frame may go out now, and the note that it does: at most once a connection (RFC 6455 §5.5.1).
    public mutating func startClose() -> Bool {
        switch closing {
        case .open: closing = .closeSent
        case .closeReceived: closing = .done
        case .closeSent, .done: return false
        }
        return true
    }

    /// Appends a message as one frame, compressed where that was agreed.
    ///
    /// - Parameter compressedFrom: payloads below so many bytes go out as they are: they would gain nothing.
    public mutating func append(
        _ kind: MessageKind, _ payload: Span<UInt8>, compressedFrom: Int = 64, _ workspace: WebSocketWorkspace, to writer: inout ByteWriter
    ) {
        if let deflateParameters, payload.count >= compressedFrom {
            if deflateParameters.keepsServerContext {
                let progress = hold(workspace)
                if progress.deflater == nil { progress.deflater = DeflateContext(deflateParameters) }
                if let deflater = progress.deflater { return workspace.appendCompressed(kind, payload, deflater, to: &writer) }
            } else if workspace.appendCompressed(kind, payload, deflateParameters, to: &writer) {
                return
            }
        }
        FrameWriter.append(kind, payload, to: &writer)
    }

    /// Forgets what earlier messages taught the compressor; to be called when a compressed message went out that it did not write.
    public func resetDeflateContext() { progress?.deflater?.stream.reset() }
}
