// Edition: a bulletin and the texts in which it goes out, each written at most once however many get it: a WebSocket frame around a
// Socket.IO packet, with the offset behind the event or without. A polling client gets the packet out of the same block.
//
// Cost: the event is written as JSON once; the second text is a copy of the first.
internal import Base
internal import Dialects
internal import Domain
internal import SocketIO
internal import WebSockets

final class Edition {
    /// One of its texts.
    struct Text {
        /// The frame.
        let bytes: SharedBytes
        /// The packet within it, from Engine.IO's digit on.
        let packet: Range<Int>

        var frame: EngineFrame { EngineFrame(.text, bytes[packet]) }

        var delivery: Delivery {
            Delivery(form: .frames, bytes: bytes, first: packet, second: 0..<0, messageCount: 1)
        }
    }

    let bulletin: Bulletin
    private var bare: Text?
    private var numbered: Text?

    init(_ bulletin: Bulletin) { self.bulletin = bulletin }

    /// Bytes that keeping it costs.
    ///
    /// Texts that are not written yet may be later, and are about as long as what they say.
    var byteCount: Int {
        let event = bulletin.event.byteCount
        return 256 + event + (bare?.bytes.count ?? event) + (numbered?.bytes.count ?? event)
    }

    /// The text, written now if it was not yet.
    func text(omittingOffset omitsOffset: Bool, _ context: Context) -> Text {
        let bare = bare ?? write(context)
        self.bare = bare
        guard !omitsOffset else { return bare }
        if let numbered { return numbered }
        context.metrics.encodings += 1
        let text = Edition.number(bare, bulletin.offset, context)
        numbered = text
        return text
    }

    private func write(_ context: Context) -> Text {
        context.metrics.encodings += 1
        return Edition.frame(context) { writer in
            Edition.beginEvent(MonitorDialect.eventName(of: bulletin.event), to: &writer)
            MonitorDialect.write(bulletin.event, at: bulletin.at, to: &writer)
            writer.append(UInt8(ascii: "]"))
        }
    }

    /// The text with an offset behind its event: a copy, nothing of it is written anew.
    static func number(_ bare: Text, _ offset: UInt64, _ context: Context) -> Text {
        frame(context) { writer in
            writer.append(bare.bytes.span.extracting(bare.packet.lowerBound..<bare.packet.upperBound - 1))
            endEvent(offset: offset, to: &writer)
        }
    }

    /// Appends an event's packet up to its first argument.
    static func beginEvent(_ name: StaticString, to writer: inout ByteWriter) {
        EnginePacket.write(.message, into: &writer)
        PacketWriter.head(.event, namespace: Span(), to: &writer)
        writer.append("[\"")
        writer.append(name)
        writer.append("\",")
    }

    /// Ends the packet behind its last argument, with the offset as one more unless it is nil.
    static func endEvent(offset: UInt64?, to writer: inout ByteWriter) {
        if let offset {
            writer.append(",\"")
            writer.append(decimal: Int(clamping: offset))
            writer.append(UInt8(ascii: "\""))
        }
        writer.append(UInt8(ascii: "]"))
    }

    private static func frame(_ context: Context, _ write: (inout ByteWriter) -> Void) -> Text {
        context.text.removeAll()
        let start = FrameWriter.beginFrame(in: &context.text)
        let body = context.text.count
        write(&context.text)
        let end = context.text.count
        let begin = FrameWriter.finishFrame(.text, start: start, in: &context.text)
        let bytes = context.text.withSpan { SharedBytes(copying: $0.extracting(begin..<end)) }
        return Text(bytes: bytes, packet: body - begin..<end - begin)
    }
}
