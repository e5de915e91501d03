// Fanout: one publication out to everybody who hears it: written once for each format that somebody listens in, framed once, and queued
// by reference. Decides nothing about who hears; the hub does. Who cannot take it as it is, or reads too slowly, is the senders' business.
//
// Cost: an encoding a format, whatever the number of watchers; a watcher is a row of the outbox looked up and a reference appended, some
// 20 ns, and nothing else of it is touched. What one watcher hears in a row lies in a row, and leaves as one piece: joined on the way, at
// no cost. The hub's list and the outbox's rows are what it reads; nothing is allocated but pages.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1
internal import WebSockets

final class Fanout {
    private let context: Context
    private let sender: WebSocketSender
    private let eventStreams: EventStreamService
    private let completions: CompletionService
    private let sockets: SocketService
    /// Where each format's deliveries lie.
    private let pages = Format.allCases.map { _ in SharedPage() }

    init(
        _ context: Context, sender: WebSocketSender, eventStreams: EventStreamService, completions: CompletionService,
        sockets: SocketService
    ) {
        self.context = context
        self.sender = sender
        self.eventStreams = eventStreams
        self.completions = completions
        self.sockets = sockets
    }

    /// Tells everybody who hears of it.
    func deliver(_ publication: Publication) {
        let hub = context.broker.hub
        // Most tasks have no watcher: then nobody is looked for.
        guard hub.topicCount > 0 else { return }
        let wanted = FormatSet.telling(of: publication.event)
        guard !hub.formats(of: publication).isDisjoint(with: wanted) else { return }
        hub.deliver(publication, in: wanted) { format, recipients in
            let delivery = encode(publication, format)
            context.metrics.encodings += 1
            context.metrics.deliveries += UInt64(recipients.count)
            send(delivery, of: Occasion(publication), to: recipients)
        }
    }

    /// Tells everybody who listens to the bulletin's channel, and may know of it.
    func deliver(_ edition: Edition, at now: Instant) {
        let hub = context.broker.hub
        guard hub.topicCount > 0 else { return }
        let bulletin = edition.bulletin
        guard let owner = bulletin.owner else { return deliver(edition, to: .channel(bulletin.event.channel), at: now) }
        // Nobody listens to both.
        deliver(edition, to: .ownedActivities, at: now)
        deliver(edition, to: .activities(of: owner), at: now)
    }

    private func deliver(_ edition: Edition, to topic: Topic, at now: Instant) {
        context.broker.hub.deliver(edition.bulletin.number, to: topic) { format, recipients in
            context.metrics.deliveries += UInt64(recipients.count)
            switch format {
            case .monitor:
                send(edition.text(omittingOffset: false, context).delivery, of: Occasion(edition.bulletin), to: recipients)
            case .monitorBare:
                send(edition.text(omittingOffset: true, context).delivery, of: Occasion(edition.bulletin), to: recipients)
            case .monitorPolled: sockets.send(edition, to: recipients, at: now)
            case .task, .user, .hub, .hubBatched, .events, .completion: preconditionFailure("a channel is listened to in \(format)")
            }
        }
    }

    private func send(_ delivery: Delivery, of occasion: Occasion, to recipients: Span<Recipient>) {
        let outbox = context.outbox
        let bytes = delivery.bytes
        let number = occasion.number
        // Streams end with their task: each of them has something to do then.
        let endsStreams = delivery.form == .chunk && occasion.isLast
        var shared = 0
        for index in recipients.indices {
            let id = ConnectionID(raw: recipients[index].target)
            if !endsStreams, outbox.share(bytes, numbered: number, with: id) {
                shared += 1
            } else {
                send(delivery, of: occasion, to: id)
            }
        }
        context.metrics.messagesOut &+= UInt64(shared * delivery.messageCount)
    }

    /// Those who are not just given a reference.
    @inline(never)
    private func send(_ delivery: Delivery, of occasion: Occasion, to id: ConnectionID) {
        switch context.conversation(id) {
        case .webSocket(let conversation): sender.send(delivery, of: occasion, to: conversation)
        case .http(let conversation):
            if case .completing(let exchange) = conversation.request {
                completions.send(delivery, exchange, to: conversation)
            } else {
                eventStreams.send(delivery, of: occasion, to: conversation)
            }
        case .probe, nil: break
        }
    }

    // MARK: Encoding

    private func encode(_ publication: Publication, _ format: Format) -> Delivery {
        switch format {
        case .task:
            frames(.task, TaskDialect.messageCount(of: publication)) { TaskDialect.write(publication, part: $0, to: &$1) }
        case .user:
            frames(.user, UserDialect.messageCount(of: publication.event)) { UserDialect.write(publication, part: $0, to: &$1) }
        case .hub:
            frames(.hub, HubDialect.messageCount(of: publication.event)) { HubDialect.write(publication, part: $0, to: &$1) }
        case .hubBatched: lines(publication)
        case .events:
            chunk(.events, TaskDialect.messageCount(of: publication)) { EventStreamDialect.write(publication, to: &$0) }
        case .completion: piece(publication)
        case .monitor, .monitorBare, .monitorPolled: preconditionFailure("a task is listened to in \(format)")
        }
    }

    private func frames(_ format: Format, _ count: Int, _ write: (Int, inout ByteWriter) -> Void) -> Delivery {
        context.text.removeAll()
        let (begin, first) = frame { write(0, &$0) }
        guard count > 1 else { return delivery(.frames, format, from: begin, first, count: count) }
        // The second frame is written behind the room for the longest header, and both are put side by side.
        context.scratch.removeAll()
        context.text.withSpan { context.scratch.append($0.extracting(begin..<$0.count)) }
        let length = context.scratch.count
        context.text.removeAll()
        let (secondBegin, second) = frame { write(1, &$0) }
        context.text.withSpan { context.scratch.append($0.extracting(secondBegin..<$0.count)) }
        let bytes = context.scratch.withSpan { pages[Int(format.rawValue)].add($0) }
        context.scratch.removeAll()
        return Delivery(
            form: .frames, bytes: bytes, first: first.shifted(by: -begin), second: second.shifted(by: length - secondBegin),
            messageCount: count)
    }

    /// Writes a frame into `context.text`.
    ///
    /// - Returns: where it begins, and its text.
    private func frame(_ write: (inout ByteWriter) -> Void) -> (begin: Int, text: Range<Int>) {
        let start = FrameWriter.beginFrame(in: &context.text)
        let body = context.text.count
        write(&context.text)
        let end = context.text.count
        return (FrameWriter.finishFrame(.text, start: start, in: &context.text), body..<end)
    }

    private func lines(_ publication: Publication) -> Delivery {
        context.text.removeAll()
        let (begin, text) = frame { HubDialect.writeLines(publication, to: &$0) }
        context.text.append(HubDialect.lineFeed)
        return delivery(.lines, .hubBatched, from: begin, text, count: HubDialect.messageCount(of: publication.event))
    }

    private func piece(_ publication: Publication) -> Delivery {
        guard case .chunk(let piece) = publication.event else { preconditionFailure("a stream of pieces is told of something else") }
        return chunk(.completion, 1) { CompletionStream.writePiece(piece, to: &$0) }
    }

    private func chunk(_ format: Format, _ count: Int, _ write: (inout ByteWriter) -> Void) -> Delivery {
        context.scratch.removeAll()
        write(&context.scratch)
        let shape = ResponseShape(version: .http11)
        let length = context.scratch.count
        context.text.removeAll()
        ResponseWriter.beginChunk(length, shape, into: &context.text)
        let start = context.text.count
        context.scratch.withSpan { context.text.append($0) }
        context.scratch.removeAll()
        ResponseWriter.endChunk(shape, into: &context.text)
        return delivery(.chunk, format, from: 0, start..<start + length, count: count)
    }

    /// What stands in `context.text`, as a slice of the format's page.
    private func delivery(_ form: Delivery.Form, _ format: Format, from begin: Int, _ text: Range<Int>, count: Int) -> Delivery {
        let bytes = context.text.withSpan { pages[Int(format.rawValue)].add($0.extracting(begin..<$0.count)) }
        return Delivery(form: form, bytes: bytes, first: text.shifted(by: -begin), second: 0..<0, messageCount: count)
    }
}

extension FormatSet {
    /// The formats that have a message for the event.
    fileprivate static func telling(of event: TaskEvent) -> FormatSet {
        var formats: FormatSet = []
        if TaskDialect.messageCount(of: event) > 0 { formats.formUnion([FormatSet(.task), FormatSet(.events)]) }
        if UserDialect.messageCount(of: event) > 0 { formats.formUnion(FormatSet(.user)) }
        if HubDialect.messageCount(of: event) > 0 { formats.formUnion([FormatSet(.hub), FormatSet(.hubBatched)]) }
        if case .chunk = event { formats.formUnion(FormatSet(.completion)) }
        return formats
    }
}

extension Range<Int> {
    fileprivate func shifted(by distance: Int) -> Range<Int> { lowerBound + distance..<upperBound + distance }
}
