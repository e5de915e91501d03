// WebSocketWorkspace: what the connections of one loop share so that each can hold nothing while it is idle: assemblers, zlib streams
// without context, the chunk zlib writes to. Not Sendable; one a loop. It decides nothing.

internal import Base
/// The shared memory of a loop's WebSocket connections.
public final class WebSocketWorkspace {
    /// Assemblers kept for their next user: more messages than these are seldom in progress at once; each keeps at most 16 KiB.
    private static let spareAssemblersMax = 16
    /// zlib streams kept: 8 × 44 KiB and 4 × 256 KiB at most.
    private static let spareInflatersMax = 8
    private static let spareDeflatersMax = 4
    /// What the scratch for compressed output keeps from message to message.
    private static let scratchBytesRetained = 64 << 10

    let chunk = Chunk()
    private var scratch = ByteWriter(capacity: 4 << 10)
    private var progresses: [MessageProgress] = []
    private var assemblers: [MessageAssembler] = []
    private var inflaters: [InflateContext] = []
    private var deflaters: [DeflateContext] = []

    public init() {}

    // MARK: Coming in

    func takeProgress() -> MessageProgress { progresses.popLast() ?? MessageProgress() }

    /// - Precondition: it is over.
    func giveBack(_ progress: MessageProgress) {
        if progresses.count < WebSocketWorkspace.spareAssemblersMax { progresses.append(progress) }
    }

    func takeAssembler() -> MessageAssembler { assemblers.popLast() ?? MessageAssembler() }

    func giveBack(_ assembler: MessageAssembler) {
        guard assemblers.count < WebSocketWorkspace.spareAssemblersMax else { return }
        assembler.reset()
        assemblers.append(assembler)
    }

    /// A stream that remembers nothing, with the largest window: it reads what any window wrote.
    func takeInflater() -> InflateContext? { inflaters.popLast() ?? InflateContext(windowBits: 15) }

    func giveBack(_ inflater: InflateContext) {
        guard inflaters.count < WebSocketWorkspace.spareInflatersMax else { return }
        inflater.stream.reset()
        inflaters.append(inflater)
    }

    // MARK: Going out

    /// Appends a frame whose payload `context` compresses.
    func appendCompressed(
        _ kind: MessageKind, _ payload: Span<UInt8>, _ context: DeflateContext, to writer: inout ByteWriter
    ) {
        scratch.removeAll()
        context.stream.compress(payload, chunk, into: &scratch)
        FrameWriter.appendHeader(kind.opcode, length: scratch.count, isCompressed: true, to: &writer)
        writer.append(scratch.span)
        scratch.removeAll(retaining: WebSocketWorkspace.scratchBytesRetained)
    }

    /// Appends a frame whose payload is compressed without regard to any other message.
    ///
    /// - Returns: false, and nothing is appended, where zlib gets no memory.
    func appendCompressed(
        _ kind: MessageKind, _ payload: Span<UInt8>, _ parameters: DeflateParameters, to writer: inout ByteWriter
    ) -> Bool {
        guard let context = takeDeflater(parameters) else { return false }
        appendCompressed(kind, payload, context, to: &writer)
        giveBack(context)
        return true
    }

    /// A context of the wanted window: one policy rules a loop, so that windows differ only where clients ask for smaller ones.
    private func takeDeflater(_ parameters: DeflateParameters) -> DeflateContext? {
        for index in deflaters.indices where deflaters[index].windowBits == Int(parameters.serverWindowBits) {
            return deflaters.remove(at: index)
        }
        return DeflateContext(parameters)
    }

    private func giveBack(_ context: DeflateContext) {
        if deflaters.count == WebSocketWorkspace.spareDeflatersMax { deflaters.removeFirst() }
        context.stream.reset()
        deflaters.append(context)
    }
}
