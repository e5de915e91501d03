// CompressedFrame: one message compressed by itself into one shared block, on any thread. Keeps no context and no connection; whoever
// sends it on a connection that keeps its own context calls `resetDeflateContext` there. Obeys RFC 7692 §7.2.1.
public import Base

public enum CompressedFrame {
    /// A whole frame, header and compressed payload, for every connection whose agreed server window is at least that of `parameters`.
    ///
    /// Where zlib gets no memory the frame is whole and not compressed, which is always allowed (RFC 7692 §6).
    public static func make(_ kind: MessageKind, _ payload: Span<UInt8>, _ parameters: DeflateParameters) -> SharedBytes {
        var frame = ByteWriter(capacity: payload.count / 2 + 64)
        guard var stream = DeflateStream(parameters) else {
            FrameWriter.append(kind, payload, to: &frame)
            return frame.seal()
        }
        let start = FrameWriter.beginFrame(in: &frame)
        stream.compress(payload, Chunk(), into: &frame)
        let first = FrameWriter.finishFrame(kind, start: start, isCompressed: true, in: &frame)
        return SharedBytes(copying: frame.span.extracting(first..<frame.count))
    }
}
