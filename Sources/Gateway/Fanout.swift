// Fanout: one publication out to everybody who hears it: encoded once for each format that somebody listens in, framed once, and queued
// by reference. Decides nothing about who hears; the hub does.
//
// Cost: an encoding a format, whatever the number of watchers; a watcher is a table look-up and a reference appended, some 20 ns.
internal import Base
internal import Dialects
internal import Domain
internal import WebSockets

final class Fanout {
    private let context: Context
    private let sender: WebSocketSender
    /// The messages of the format at hand, each framed.
    private var frames: [Frame] = []

    /// One message: its frame as a plain WebSocket sends it, and how long the header in front of its text is.
    private struct Frame {
        let bytes: SharedBytes
        let headerSize: Int
    }

    init(_ context: Context, sender: WebSocketSender) {
        self.context = context
        self.sender = sender
    }

    /// Tells everybody who hears of it.
    func deliver(_ publication: Publication) {
        let hub = context.broker.hub
        // Most tasks have no watcher: then nobody is looked for.
        guard hub.topicCount > 0, hub.formats(of: publication) != [] else { return }
        hub.deliver(publication) { format, recipients in
            encode(publication, format)
            for index in recipients.indices { send(to: ConnectionID(raw: recipients[index].target)) }
        }
        frames.removeAll(keepingCapacity: true)
    }

    private func send(to id: ConnectionID) {
        guard case .webSocket(let conversation) = context.conversation(id) else { return }
        for frame in frames { sender.send(frame.bytes, headerSize: frame.headerSize, to: conversation) }
    }

    private func encode(_ publication: Publication, _ format: Format) {
        frames.removeAll(keepingCapacity: true)
        switch format {
        case .task:
            for part in 0..<TaskDialect.messageCount(of: publication) {
                frame { TaskDialect.write(publication, part: part, to: &$0) }
            }
        case .user, .hub, .hubBatched, .events:
            break
        }
    }

    private func frame(_ write: (inout ByteWriter) -> Void) {
        context.text.removeAll()
        let start = FrameWriter.beginFrame(in: &context.text)
        let body = context.text.count
        write(&context.text)
        let begin = FrameWriter.finishFrame(.text, start: start, in: &context.text)
        let bytes = context.text.withSpan { SharedBytes(copying: $0.extracting(begin..<$0.count)) }
        frames.append(Frame(bytes: bytes, headerSize: body - begin))
    }
}
