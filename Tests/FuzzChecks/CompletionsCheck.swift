// CompletionsCheck: whatever OpenAI's client asks for, it is an order or a problem in words; the worker is given the request byte for byte;
// and whatever a worker sends, as a piece or as the whole, is told in one event that says the same.
import Base
import Dialects
import Domain
import JSON

private let limits = Limits()

func checkCompletions(_ input: FuzzInput) {
    switch input.choice & 3 {
    case 0: checkRequest(.chat, input)
    case 1: checkRequest(.text, input)
    case 2: checkRequest(.embeddings, input)
    default: checkPieces(input.bytes)
    }
}

// MARK: Requests

private func checkRequest(_ endpoint: CompletionEndpoint, _ input: FuzzInput) {
    let body = input.bytes
    var index = JSONIndex()
    guard (try? index.build(from: body.span)) != nil else { return }
    var scratch = ByteWriter()
    scratch.append("scratch")
    let (key, group) = (input.choice & 4 == 0 ? nil : SharedBytes("k"), input.choice & 8 == 0 ? nil : SharedBytes("g"))
    do throws(RequestProblem) {
        let order = try CompletionAPI.readOrder(
            endpoint, body.span, index, key: key, group: group, limits: limits, scratch: &scratch)
        check(order, endpoint, body, index)
        require(key == nil || order.submission.idempotencyKey != nil, "the key of the head is lost")
        require(group == nil || order.submission.group != nil, "the group of the head is lost")
    } catch {
        var writer = ByteWriter()
        CompletionAPI.writeError(error, to: &writer)
        require(error.sentence.isEmpty == false && isJSON(array(writer.span)), "a problem is told as \(array(writer.span))")
    }
    require(array(scratch.span) == Array("scratch".utf8), "the scratch is left as \(array(scratch.span))")
}

private func check(_ order: Order, _ endpoint: CompletionEndpoint, _ body: [UInt8], _ index: JSONIndex) {
    let submission = order.submission
    let payload = array(submission.payload.span)
    var told = JSONIndex()
    require((try? told.build(from: payload.span)) != nil, "a payload that is no JSON: \(payload)")
    guard let request = told.member("request", of: told.root, in: payload.span) else { fatalError("a payload without the request") }
    require(payload[told.range(of: request)] == body[index.range(of: index.root)], "the request is changed on its way to the worker")
    require(submission.model?.isEmpty == false, "a completion without a model")
    require(submission.timeout.map { $0 > .zero } ?? true, "a timeout of \(submission.timeout as Any)")
    require((0...limits.retriesMax).contains(submission.retries), "\(submission.retries) retries")
    require(!order.isStreamed || submission.retries == 0, "a stream that begins anew")
    require(!order.isStreamed || endpoint != .embeddings, "embeddings in pieces")
    require(!order.isAsync, "a completion that nobody waits for")
}

// MARK: Pieces

private func checkPieces(_ text: [UInt8]) {
    var index = JSONIndex()
    guard (try? index.build(from: text.span)) != nil else { return }
    let value = Array(text[index.range(of: index.root)])
    checkEvent(of: value, isSame: true) { CompletionStream.writePiece(SharedBytes(value), to: &$0) }
    for endpoint in CompletionEndpoint.allCases {
        // A chat's answer becomes a piece of one, in which two words are others.
        checkEvent(of: value, isSame: endpoint != .chat || !contains(value, "choices") && !contains(value, "object")) {
            var index = JSONIndex()
            CompletionStream.writeWhole(SharedBytes(value), of: endpoint, &index, to: &$0)
        }
    }
    checkEvent(of: value, isSame: true) { writer in CompletionStream.writeError(to: &writer) { $0.append(SharedBytes(value)) } }
}

/// What is written must be one event of one line, whose data is JSON.
private func checkEvent(of value: [UInt8], isSame: Bool, _ write: (inout ByteWriter) -> Void) {
    var writer = ByteWriter()
    write(&writer)
    let event = array(writer.span)
    require(event.starts(with: "data: ".utf8) && event.suffix(2) == [0x0a, 0x0a], "no event: \(event)")
    let data = Array(event.dropFirst(6).dropLast(2))
    // HTML, "Server-sent events": each of them would end the line.
    require(!data.contains(0x0a) && !data.contains(0x0d), "an event of several lines: \(event)")
    require(isJSON(data), "an event whose data is no JSON: \(data)")
    if isSame { require(pressed(data) == pressed(value), "\(value) is told as \(data)") }
}

/// Without the spaces between values.
private func pressed(_ text: [UInt8]) -> [UInt8] {
    var pressed: [UInt8] = []
    var (isWithin, isEscaped) = (false, false)
    for byte in text {
        if isWithin {
            if isEscaped { isEscaped = false } else if byte == 0x5c { isEscaped = true } else if byte == 0x22 { isWithin = false }
        } else if byte == 0x22 {
            isWithin = true
        } else if [0x20, 0x09, 0x0a, 0x0d].contains(byte) {
            continue
        }
        pressed.append(byte)
    }
    return pressed
}

/// Whether the word may stand somewhere: as it is, or with escapes.
private func contains(_ text: [UInt8], _ word: String) -> Bool {
    String(decoding: text, as: UTF8.self).contains(word) || text.contains(0x5c)
}

private func isJSON(_ text: [UInt8]) -> Bool {
    var index = JSONIndex()
    return (try? index.build(from: text.span)) != nil
}
