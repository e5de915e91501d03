// ServerExchange: the conversation of one server connection, request after request: what may come next, and what follows a response.
// Holds no bytes and no clock, writes nothing (ResponseWriter does). RFC 9112 §2.2, §6, §9; RFC 9110 §7.8, §10.1.1.
//
// Cost: the search for the end of the head at memory speed, one parse of it, and nothing per byte of content; no allocation.
// What dominates is the parse of the head. The whole state is smaller than a cache line.
import Base

// Theory of operation, after h11's. Two things happen on a connection and only together do they say where it stands: the request is
// *read* and the answer is *given*. Each is an automaton; the table has every pair that can be. "–" is a bug of the caller.
//
//   reading \ answer  none              owed                    given
//   between           idle: await head  –                       –
//   head              reading the head  –                       –
//   body              –                 content is delivered    content is dropped (drained), then `between`
//   done              –                 `paused`: later bytes wait  – (answering makes it `between` at once)
//   closed            –                 refused: the answer to the error is owed   over
//   upgraded          the bytes belong to another protocol
//
// Moves of reading:   between → head      the first byte that is no empty line
//                     head → body         the head is whole and valid: event `head`, answer becomes owed
//                     body → done         the last byte of content: event `end`
//                     any → closed        an error, or `stopReading`; the answer becomes owed unless it was given
// Moves of the answer: owed → none        `responded` in `done`: `between`, if the connection persists, else `closed`
//                     owed → given        `responded` in `body`: the rest is drained, if little and surely on its way, else `closed`
//                     owed → upgraded     `upgraded` in `done`, after 101 was written
//
// An early answer: the rest of a short content (Content-Length up to `drainBytesMax`) is read and dropped, so that the connection may
// go on; of a long or chunked one, or of one for which the client awaits 100, nothing more is read and the connection closes. The
// caller then closes its sending side first and lingers (RFC 9112 §9.6), lest a reset destroys the answer on its way.

/// The server's half of one HTTP/1 connection.
///
/// The caller keeps the bytes: what ``next(_:_:head:limits:)`` left behind `position` it offers again, with more behind it.
public struct ServerExchange: Sendable {
    /// What happened next.
    public enum Event: Hashable, Sendable {
        /// All bytes were looked at; offer what is left again when there are more.
        case needMore
        /// A request begins; `head` was filled, and the response is owed.
        case head
        /// Content of the request, where it stands in the bytes; chunked content comes in several.
        case body(Range<Int>)
        /// The request is whole.
        case end
        /// The request is whole and its response is not: bytes behind it wait with the caller.
        case paused
        /// Every byte left belongs to the new protocol.
        case upgraded
        /// No more requests are read; what came behind the last one was passed over.
        case closed
    }

    /// Where the connection stands, for the caller's clocks.
    public enum Phase: Hashable, Sendable {
        /// Between requests; nothing of the next one has come.
        case idle
        case readingHead
        /// Content is expected, to be delivered or to be dropped.
        case readingBody
        /// The request is whole, or refused, and the response is owed.
        case awaitingResponse
        case upgraded
        case closed
    }

    /// What follows a response.
    public enum Next: Hashable, Sendable {
        /// The connection persists: go on with the bytes that wait.
        case nextRequest
        /// Send what is queued, then close.
        case close
    }

    private enum Reading {
        case between(EmptyLine)
        case head(HeadSearch)
        case body(BodyDecoder)
        case done
        case closed
        case upgraded
    }

    private enum EmptyLine { case none, skipped }

    private enum Answer {
        case none
        case owed
        /// Owed, and the client holds its content back until 100 (Continue).
        case owedContinue
        case given
    }

    /// What becomes of content that is still to come when the answer is early.
    private enum Rest { case drained, closes }

    private enum Upgrade { case none, offered }

    private var reading: Reading = .between(.none)
    private var answer: Answer = .none
    private var request = ResponseShape()
    private var rest: Rest = .drained
    private var upgrade: Upgrade = .none

    public init() {}

    // MARK: Asking

    public var phase: Phase {
        switch reading {
        case .between: .idle
        case .head: .readingHead
        case .body: .readingBody
        case .done: .awaitingResponse
        case .closed: owesResponse ? .awaitingResponse : .closed
        case .upgraded: .upgraded
        }
    }

    /// Whether a response must still be written; after an error, the one to the error.
    public var owesResponse: Bool {
        switch answer {
        case .owed, .owedContinue: true
        case .none, .given: false
        }
    }

    /// Whether the client waits for `100 Continue` before it sends its content.
    public var expectsContinue: Bool {
        switch (reading, answer) {
        case (.body, .owedContinue): true
        case (.between, _), (.head, _), (.body, _), (.done, _), (.closed, _), (.upgraded, _): false
        }
    }

    /// Whether the request offers another protocol and could be followed by it: HTTP/1.1, `Connection: upgrade`, no content.
    public var offersUpgrade: Bool {
        switch upgrade {
        case .none: false
        case .offered: true
        }
    }

    /// The form that a response written now must have.
    public var shape: ResponseShape {
        var shape = request
        switch (reading, answer, rest) {
        case (.closed, _, _), (.body, .owedContinue, _), (.body, _, .closes): shape.keepsAlive = false
        case (.between, _, _), (.head, _, _), (.body, _, .drained), (.done, _, _), (.upgraded, _, _): break
        }
        return shape
    }

    // MARK: Reading

    /// Takes the next step through `bytes` behind `position`, which moves behind what was taken.
    ///
    /// - Parameters:
    ///   - bytes: what has come and was not taken yet, and whatever lies before it.
    ///   - position: the first byte that was not taken.
    ///   - head: filled when the event is ``Event/head``; its ranges point into `bytes`.
    /// - Throws: ``HTTPError`` once; then a response is owed if ``owesResponse`` says so, and the connection closes behind it.
    public mutating func next(
        _ bytes: Span<UInt8>, _ position: inout Int, head: inout RequestHead, limits: HTTPLimits
    ) throws(HTTPError) -> Event {
        precondition(position >= 0 && position <= bytes.count, "began at \(position) of \(bytes.count) bytes")
        do {
            return try step(bytes, &position, &head, limits)
        } catch {
            stopReading()
            throw error
        }
    }

    private mutating func step(
        _ bytes: Span<UInt8>, _ position: inout Int, _ head: inout RequestHead, _ limits: HTTPLimits
    ) throws(HTTPError) -> Event {
        while true {
            switch reading {
            case .between(let emptyLine):
                guard position < bytes.count else { return .needMore }
                guard bytes[position] == .carriageReturn, emptyLine == .none else {
                    try begin(with: bytes[position])
                    continue
                }
                // RFC 9112 §2.2: a server SHOULD ignore at least one empty line before the request line; this one ignores one.
                guard position &+ 1 < bytes.count else { return .needMore }
                guard bytes[position &+ 1] == .lineFeed else { throw .bareCarriageReturn }
                position &+= 2
                reading = .between(.skipped)

            case .head(var search):
                let end = try search.end(bytes, position, limits: limits)
                guard let end else {
                    reading = .head(search)
                    return .needMore
                }
                try take(bytes, position..<end, &head, limits)
                position = end
                return .head

            case .body(var decoder):
                let event = try decoder.next(bytes, &position, limits: limits)
                reading = .body(decoder)
                switch (event, answer) {
                case (.needMore, _):
                    return .needMore
                case (.content, .given):
                    continue
                case (.content(let range), .none), (.content(let range), .owed), (.content(let range), .owedContinue):
                    // RFC 9110 §10.1.1: 100 may be omitted once content has come.
                    answer = .owed
                    return .body(range)
                case (.end, .given):
                    startOver()
                case (.end, .none), (.end, .owed), (.end, .owedContinue):
                    answer = .owed
                    reading = .done
                    return .end
                }

            case .done:
                return .paused
            case .upgraded:
                return .upgraded
            case .closed:
                position = bytes.count
                return .closed
            }
        }
    }

    private mutating func begin(with byte: UInt8) throws(HTTPError) {
        // What cannot begin a method is refused at its first byte: a TLS handshake need not wait for a line end.
        guard byte.isToken else {
            switch byte {
            case .lineFeed: throw .bareLineFeed
            case .carriageReturn: throw .malformedRequestLine
            default: throw .invalidMethod
            }
        }
        reading = .head(HeadSearch())
    }

    private mutating func take(
        _ bytes: Span<UInt8>, _ range: Range<Int>, _ head: inout RequestHead, _ limits: HTTPLimits
    ) throws(HTTPError) {
        do {
            try head.parse(bytes, range, limits: limits)
        } catch {
            request.isHead = head.method == .head
            throw error
        }
        request = ResponseShape(version: head.version, keepsAlive: Self.persists(head, bytes), isHead: head.method == .head)
        let framing = try Framing(head, bytes, limits: limits)
        let awaits = try Self.awaitsContinue(head, bytes)
        switch framing {
        case .length(let length):
            answer = awaits && length > 0 ? .owedContinue : .owed
            rest = length <= limits.drainBytesMax ? .drained : .closes
            // RFC 9110 §7.8: the protocol changes behind the request; who sends content with the offer has it ignored.
            upgrade = length == 0 && Self.offersUpgrade(head, bytes) ? .offered : .none
        case .chunked:
            answer = awaits ? .owedContinue : .owed
            rest = .closes
            upgrade = .none
        }
        reading = .body(BodyDecoder(framing))
    }

    private static func persists(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
        // RFC 9112 §9.3: close wins; 1.1 persists by itself, 1.0 where it asks to.
        if head.lists(.connection, "close", in: bytes) { return false }
        switch head.version {
        case .http11: return true
        case .http10: return head.lists(.connection, "keep-alive", in: bytes)
        }
    }

    private static func awaitsContinue(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) throws(HTTPError) -> Bool {
        // RFC 9110 §10.1.1: in a request of HTTP/1.0 the expectation is ignored.
        guard head.version == .http11 else { return false }
        var awaits = false
        var index = head.first(.expect)
        while let at = index {
            var members = ListMembers(head[at].value)
            while let member = members.next(in: bytes) {
                guard bytes.equals("100-continue", ignoringASCIICaseAt: member) else { throw .unknownExpectation }
                awaits = true
            }
            index = head.next(at)
        }
        return awaits
    }

    private static func offersUpgrade(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
        // RFC 9110 §7.8: ignored in HTTP/1.0, and without the connection option.
        head.version == .http11 && head.first(.upgrade) != nil && head.lists(.connection, "upgrade", in: bytes)
    }

    // MARK: Answering

    /// `100 Continue` was written.
    public mutating func continued() {
        precondition(expectsContinue, "nobody waits for 100")
        answer = .owed
    }

    /// The final response was written, or at least its last byte is queued; no more events of its request come.
    ///
    /// - Parameter written: the form that it was written in. The caller may have lowered `keepsAlive`, never raised it.
    public mutating func responded(_ written: ResponseShape) -> Next {
        let persists = written.keepsAlive && shape.keepsAlive
        switch (reading, answer) {
        case (.done, .owed), (.done, .owedContinue):
            guard persists else { return close() }
            startOver()
            return .nextRequest
        case (.body, .owed), (.body, .owedContinue):
            guard persists else { return close() }
            answer = .given
            upgrade = .none
            return .nextRequest
        case (.closed, .owed), (.closed, .owedContinue):
            return close()
        case (.between, _), (.head, _), (.upgraded, _), (_, .none), (_, .given):
            preconditionFailure("answered a request that is not there, or twice")
        }
    }

    /// `101 Switching Protocols` was written: the bytes that were not taken belong to the new protocol.
    ///
    /// - Precondition: ``offersUpgrade``, and ``Event/end`` was answered.
    public mutating func upgraded() {
        switch (reading, upgrade) {
        case (.done, .offered):
            reading = .upgraded
            answer = .given
            upgrade = .none
        case (.between, _), (.head, _), (.body, _), (.done, .none), (.closed, _), (.upgraded, _):
            preconditionFailure("changed the protocol where nobody offered to")
        }
    }

    /// No more is read: time ran out, the server stops, or the peer went away. A response is then owed where none was given and the
    /// request had begun, or the connection sat idle and is to be told why it closes.
    public mutating func stopReading() {
        switch answer {
        case .none, .owedContinue: answer = .owed
        case .owed, .given: break
        }
        upgrade = .none
        reading = .closed
    }

    private mutating func close() -> Next {
        reading = .closed
        answer = .given
        upgrade = .none
        return .close
    }

    private mutating func startOver() {
        self = ServerExchange()
    }
}
