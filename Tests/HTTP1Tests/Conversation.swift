// Conversation: a test's caller of ServerExchange. Keeps the bytes as the gateway would, feeds them in pieces, and notes what happened.
import Base
import HTTP1
import TestSupport

/// What one run saw; content in neighbouring ranges is one entry, so that every way to cut the input gives the same.
enum Seen: Equatable, CustomStringConvertible {
    case head(String)
    case body(String)
    case end
    case answered(ServerExchange.Next)
    case failed(HTTPError)
    case upgraded(String)

    var description: String {
        switch self {
        case .head(let text): "head \(text)"
        case .body(let text): "body \(text)"
        case .end: "end"
        case .answered(let next): "answered \(next)"
        case .failed(let error): "failed \(error)"
        case .upgraded(let rest): "upgraded \(rest)"
        }
    }
}

/// When the test answers a request.
enum Answering {
    case atHead
    case atEnd
    case upgrading
    case never
}

/// How the bytes stand in the caller's buffer between two reads.
enum Buffering: CaseIterable {
    /// What was taken is removed, as a queue that compacts does.
    case compacted
    /// Everything stays, so that the position grows.
    case kept
}

struct Conversation {
    var seen: [Seen] = []
    var exchange = ServerExchange()
    /// What was not taken.
    var rest: [UInt8] = []

    init(
        _ pieces: [[UInt8]], answering: Answering = .atEnd, limits: HTTPLimits = HTTPLimits(), buffering: Buffering = .compacted
    ) {
        var head = RequestHead()
        var buffer: [UInt8] = []
        var position = 0
        for piece in pieces {
            buffer += piece
            turn(buffer, &position, &head, answering, limits)
            switch buffering {
            case .compacted:
                buffer.removeFirst(position)
                position = 0
            case .kept: break
            }
        }
        rest = Array(buffer[position...])
    }

    private mutating func turn(
        _ buffer: [UInt8], _ position: inout Int, _ head: inout RequestHead, _ answering: Answering, _ limits: HTTPLimits
    ) {
        while true {
            do throws(HTTPError) {
                switch try exchange.next(buffer.span, &position, head: &head, limits: limits) {
                case .needMore, .paused, .closed:
                    return
                case .head:
                    seen.append(.head(describe(head, buffer)))
                    if answering == .atHead { seen.append(.answered(exchange.responded(exchange.shape))) }
                case .body(let range):
                    note(String(decoding: buffer[range], as: UTF8.self))
                case .end:
                    seen.append(.end)
                    if answering == .upgrading, exchange.offersUpgrade { exchange.upgraded() }
                    if answering == .atEnd { seen.append(.answered(exchange.responded(exchange.shape))) }
                case .upgraded:
                    note(upgraded: String(decoding: buffer[position...], as: UTF8.self))
                    position = buffer.count
                    return
                }
            } catch {
                seen.append(.failed(error))
            }
        }
    }

    private mutating func note(_ content: String) {
        if case .body(let before)? = seen.last {
            seen[seen.count - 1] = .body(before + content)
        } else {
            seen.append(.body(content))
        }
    }

    private mutating func note(upgraded bytes: String) {
        if case .upgraded(let before)? = seen.last {
            seen[seen.count - 1] = .upgraded(before + bytes)
        } else {
            seen.append(.upgraded(bytes))
        }
    }

    private func describe(_ head: borrowing RequestHead, _ buffer: [UInt8]) -> String {
        func text(_ range: Range<Int>) -> String { String(decoding: buffer[range], as: UTF8.self) }
        var line = "\(text(head.methodName)) \(text(head.target.path))"
        if let query = head.target.query { line += "?\(text(query))" }
        line += head.version == .http10 ? " 1.0" : " 1.1"
        for index in 0..<head.count { line += " | \(text(head[index].name))=\(text(head[index].value))" }
        return line
    }
}

/// What `text` leads to when it is cut that way; the same whether the buffer is compacted or kept.
func conversation(
    _ text: String, _ chunking: Chunking, answering: Answering = .atEnd, limits: HTTPLimits = HTTPLimits()
) -> Conversation {
    conversation(Array(text.utf8), chunking, answering: answering, limits: limits)
}

func conversation(
    _ bytes: [UInt8], _ chunking: Chunking, answering: Answering = .atEnd, limits: HTTPLimits = HTTPLimits()
) -> Conversation {
    let buffering: Buffering = chunking == .seeded(1) || chunking == .whole ? .kept : .compacted
    return Conversation(chunking.split(bytes), answering: answering, limits: limits, buffering: buffering)
}

/// The error that `text` ends in, if it does.
func refusal(of text: String, _ chunking: Chunking, limits: HTTPLimits = HTTPLimits()) -> HTTPError? {
    guard case .failed(let error)? = conversation(text, chunking, limits: limits).seen.last else { return nil }
    return error
}

/// Parses a head that is known to be right.
func withHead<Result>(_ text: String, _ body: (borrowing RequestHead, [UInt8]) throws -> Result) throws -> Result {
    var head = RequestHead()
    var exchange = ServerExchange()
    let bytes = Array(text.utf8)
    var position = 0
    _ = try exchange.next(bytes.span, &position, head: &head, limits: HTTPLimits())
    return try body(head, bytes)
}
