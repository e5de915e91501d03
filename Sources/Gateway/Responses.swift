// Responses: the server's answers, written: status, fields, the text that stands ready, and what then becomes of the connection. Knows no
// byte of HTTP's syntax, which is ResponseWriter's, and not why an answer is what it is.
internal import Base
internal import Dialects
internal import HTTP1

final class Responses {
    private let context: Context

    init(_ context: Context) { self.context = context }

    func fail(_ conversation: HTTPConversation, _ status: HTTPStatus, _ problem: RequestProblem, at now: Instant) {
        context.text.removeAll()
        if conversation.speaksOpenAI {
            CompletionAPI.writeError(problem, Int(status.rawValue), to: &context.text)
        } else {
            writeError(problem.sentence, to: &context.text)
        }
        respond(conversation, status, at: now)
    }

    func fail(
        _ conversation: HTTPConversation, _ status: HTTPStatus, _ words: StaticString, allow: StaticString = "",
        extra: StaticString = "", at now: Instant
    ) {
        context.text.removeAll()
        if conversation.speaksOpenAI {
            // The one code of OpenAI's that says what to do: look at the key.
            let code: StaticString? = status == .unauthorized ? "invalid_api_key" : nil
            CompletionAPI.writeError(Int(status.rawValue), words, code: code, to: &context.text)
        } else {
            writeError(words, to: &context.text)
        }
        respond(conversation, status, allow: allow, extra: extra, at: now)
    }

    func respond(_ conversation: HTTPConversation, _ status: HTTPStatus, text: StaticString, at now: Instant) {
        context.text.removeAll()
        context.text.append(text)
        respond(conversation, status, at: now)
    }

    /// Answers with what stands in `context.text`, and ends the request.
    ///
    /// - Parameters:
    ///   - extra: further fields, each with its line's end; as `fields`.
    func respond(
        _ conversation: HTTPConversation, _ status: HTTPStatus, contentType: StaticString = "application/json",
        allow: StaticString = "", extra: StaticString = "", fields: SharedBytes = .empty, splice: Splice? = nil, at now: Instant
    ) {
        var shape = conversation.exchange.shape
        // A read full of small requests may ask for a thousand times its size. Who sends the next one while so much waits is not answered
        // without end: the connection closes, and what was not answered may be sent again (RFC 9112 §9.3.2).
        let isFlooded = context.outbox.queuedBytes(conversation.id) > context.limits.pauseReadingBytes
        if context.isDraining || isFlooded { shape.keepsAlive = false }
        let length = context.text.count + (splice?.value.count ?? 0)
        let date = context.date(now)
        var hasBody = false
        context.outbox.write(to: conversation.id) { writer in
            hasBody = ResponseWriter.begin(status, &shape, .length(length), date: date.span, into: &writer)
            if hasBody || shape.isHead { ResponseWriter.field("Content-Type", contentType, into: &writer) }
            if allow.utf8CodeUnitCount > 0 { ResponseWriter.field("Allow", allow, into: &writer) }
            // RFC 9110 §10.2.3: there will be somebody again soon.
            if context.isDraining, status == .serviceUnavailable { ResponseWriter.field("Retry-After", "1", into: &writer) }
            writer.append(extra)
            writer.append(fields)
            conversation.reader.write(to: &writer)
            ResponseWriter.end(into: &writer)
        }
        if hasBody {
            context.text.withSpan { context.outbox.write($0, splice, to: conversation.id, spliceBytesMin: context.limits.spliceBytesMin) }
        }
        context.metrics.count(status)
        if let note = conversation.note { context.text.withSpan { context.exchanges.end(note, status, $0, splice, at: now) } }
        conclude(conversation, shape)
    }

    /// Refuses a request that is not HTTP, or too much of it, or too slow, and ends the connection; one that has its answer already, and
    /// was still sending, just ends.
    func refuse(_ conversation: HTTPConversation, _ error: HTTPError, at now: Instant) {
        if let bound = Bound(error) { context.metrics.bounds.count(bound) }
        guard conversation.exchange.owesResponse else { return close(conversation) }
        var shape = conversation.exchange.shape
        shape.keepsAlive = false
        let date = context.date(now)
        context.outbox.write(to: conversation.id) { writer in
            ResponseWriter.refuse(error, shape, date: date.span, into: &writer) { conversation.reader.write(to: &$0) }
        }
        context.metrics.count(error.status)
        conclude(conversation, shape)
    }

    /// Refuses a request whose token was revoked while it waited.
    func refuseRevoked(_ conversation: HTTPConversation, at now: Instant) {
        let refusal = Refusal.token(.revoked)
        fail(conversation, refusal.status, refusal.words, extra: refusal.fields, at: now)
        context.resumable.append(conversation.id)
    }

    /// Refuses a request for want of memory or room, and ends the connection: who comes back a little later may be let in.
    func turnAway(_ conversation: HTTPConversation, _ words: StaticString, at now: Instant) {
        guard conversation.exchange.owesResponse else { return close(conversation) }
        conversation.exchange.stopReading()
        fail(conversation, .serviceUnavailable, words, extra: "Retry-After: 5\r\n", at: now)
    }

    // MARK: Streams

    /// A piece above this size gets a block of its own instead of growing the turn's arena.
    private static let arenaBytesMax = 256 << 10

    /// Begins an answer of server-sent events, whose length nobody knows.
    ///
    /// - Returns: the form in which it was begun.
    func beginStream(_ conversation: HTTPConversation, fields: SharedBytes = .empty, at now: Instant) -> ResponseShape {
        var shape = conversation.exchange.shape
        if context.isDraining { shape.keepsAlive = false }
        let date = context.date(now)
        context.outbox.write(to: conversation.id) { writer in
            ResponseWriter.begin(.ok, &shape, .streamed, date: date.span, into: &writer)
            ResponseWriter.field("Content-Type", "text/event-stream", into: &writer)
            ResponseWriter.field("Cache-Control", "no-store", into: &writer)
            // A proxy of the common kind would wait for more before it passes on what it has.
            ResponseWriter.field("X-Accel-Buffering", "no", into: &writer)
            conversation.reader.write(to: &writer)
            writer.append(fields)
            ResponseWriter.end(into: &writer)
        }
        context.metrics.count(.ok)
        return shape
    }

    /// Sends what stands in `context.text` as the next piece of a stream.
    func sendPiece(_ conversation: HTTPConversation, _ shape: ResponseShape) {
        let outbox = context.outbox
        context.text.withSpan { text in
            guard text.count > Responses.arenaBytesMax else {
                return outbox.write(to: conversation.id) { writer in
                    ResponseWriter.beginChunk(text.count, shape, into: &writer)
                    writer.append(text)
                    ResponseWriter.endChunk(shape, into: &writer)
                }
            }
            outbox.write(to: conversation.id) { ResponseWriter.beginChunk(text.count, shape, into: &$0) }
            outbox.append(SharedBytes(copying: text), to: conversation.id)
            outbox.write(to: conversation.id) { ResponseWriter.endChunk(shape, into: &$0) }
        }
    }

    /// Ends a stream, and the request with it.
    ///
    /// - Parameter isWhole: whether its client is told that it has all; else the connection breaks off.
    func endStream(_ conversation: HTTPConversation, _ shape: ResponseShape, isWhole: Bool = true) {
        var shape = shape
        if context.isDraining || !isWhole { shape.keepsAlive = false }
        if isWhole { context.outbox.write(to: conversation.id) { ResponseWriter.endBody(shape, into: &$0) } }
        context.outbox.setShares(conversation.id, false)
        conclude(conversation, shape)
        // Requests that came meanwhile are next.
        context.resumable.append(conversation.id)
    }

    // MARK: The end

    /// Ends the request whose answer was written in that form.
    func conclude(_ conversation: HTTPConversation, _ shape: ResponseShape) {
        conversation.request = .none
        conversation.reader = .nobody(isAsked: false)
        conversation.note = nil
        conversation.body = nil
        conversation.number &+= 1
        switch conversation.exchange.responded(shape) {
        case .nextRequest: break
        case .close: close(conversation)
        }
    }

    func close(_ conversation: HTTPConversation) { context.outbox.closeAfterFlush(conversation.id) }
}

extension Outbox {
    /// Writes a text with a user's value in it: the value by reference where it is large.
    func write(_ text: Span<UInt8>, _ splice: Splice?, to id: ConnectionID, spliceBytesMin: Int) {
        // Behind a head, of HTTP or of a frame.
        guard let splice else { return write(to: id, continues: true) { $0.append(text) } }
        if splice.value.count < spliceBytesMin {
            write(to: id, continues: true) { writer in
                writer.append(text.extracting(0..<splice.offset))
                writer.append(splice.value)
                writer.append(text.extracting(splice.offset..<text.count))
            }
        } else {
            write(to: id, continues: true) { $0.append(text.extracting(0..<splice.offset)) }
            append(splice.value, to: id, continues: true)
            write(to: id, continues: true) { $0.append(text.extracting(splice.offset..<text.count)) }
        }
    }
}
