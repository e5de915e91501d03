// HTTPCheck: no bytes make the exchange trap; every range lies inside the bytes; and the requests, their content and the error are the
// same whichever way the bytes were cut into reads.
import HTTP1

private let limits = HTTPLimits(
    headerBytesMax: 1 << 10, headerCountMax: 20, targetBytesMax: 256, bodyBytesMax: 1 << 12, chunkHeaderBytesMax: 64,
    trailerBytesMax: 256, drainBytesMax: 256)

func checkHTTP(_ input: FuzzInput) {
    let whole = Conversation.said(input, ends: [input.bytes.count])
    let cut = Conversation.said(input, ends: input.ends)
    require(whole == cut, "whole: \(whole)\ncut: \(cut)")
}

/// One connection's life.
private struct Conversation: ~Copyable {
    enum Line: Equatable {
        case head(HTTPMethod, target: [UInt8], fields: [[UInt8]])
        case content([UInt8])
        case end
        case upgraded
        case closed
        case refused(HTTPError)
    }

    private let input: FuzzInput
    private var exchange = ServerExchange()
    private var head = RequestHead()
    private var lines: [Line] = []

    /// What the exchange made of the input when the reads ended at `ends`.
    static func said(_ input: FuzzInput, ends: [Int]) -> [Line] {
        var conversation = Conversation(input: input)
        var position = 0
        for end in ends where !conversation.read(upTo: end, &position) { break }
        return conversation.lines
    }

    private init(input: FuzzInput) { self.input = input }

    /// Whether the connection goes on.
    private mutating func read(upTo end: Int, _ position: inout Int) -> Bool {
        let bytes = input.bytes
        do {
            while true {
                let event = try exchange.next(bytes.span.extracting(0..<end), &position, head: &head, limits: limits)
                require(position >= 0 && position <= end, "position \(position) of \(end)")
                switch event {
                case .needMore: return true
                case .head:
                    noteHead(end)
                    if input.choice & 0x80 != 0, !respond() { return false }
                case .body(let range):
                    noteContent(taken(range, end))
                case .end:
                    lines.append(.end)
                    if input.choice & 0x40 != 0, exchange.offersUpgrade {
                        exchange.upgraded()
                    } else if !respond() {
                        return false
                    }
                case .paused: fatalError("a request was answered, and the next one waits")
                case .upgraded:
                    lines.append(.upgraded)
                    return false
                case .closed:
                    lines.append(.closed)
                    return false
                }
            }
        } catch {
            lines.append(.refused(error))
            if exchange.owesResponse { require(exchange.responded(exchange.shape) == .close, "went on after an error") }
            return false
        }
    }

    /// Gives the answer where one is owed; whether the connection goes on.
    private mutating func respond() -> Bool {
        guard exchange.owesResponse else { return true }
        switch exchange.responded(exchange.shape) {
        case .nextRequest: return true
        case .close: return false
        }
    }

    private mutating func noteHead(_ end: Int) {
        var fields: [[UInt8]] = []
        for index in 0..<head.count {
            let field = head[index]
            fields.append(taken(field.name, end) + [0] + taken(field.value, end))
        }
        _ = head.lists(.connection, "close", in: input.bytes.span)
        let target = taken(head.target.path, end) + taken(head.target.query ?? 0..<0, end)
        lines.append(.head(head.method, target: target, fields: fields))
        guard let query = head.target.query else { return }
        var parameters = QueryParameters(query)
        while let parameter = try? parameters.next(in: input.bytes.span) { _ = taken(parameter.name, end) + taken(parameter.value, end) }
    }

    /// Content comes in other pieces when it is cut: what lies side by side is one line.
    private mutating func noteContent(_ content: [UInt8]) {
        if case .content(let before) = lines.last {
            lines[lines.count - 1] = .content(before + content)
        } else {
            lines.append(.content(content))
        }
    }

    private func taken(_ range: Range<Int>, _ end: Int) -> [UInt8] {
        require(range.lowerBound >= 0 && range.upperBound <= end, "\(range) lies outside of \(end) bytes")
        return Array(input.bytes[range])
    }
}
