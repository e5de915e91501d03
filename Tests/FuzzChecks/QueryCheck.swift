// QueryCheck: no request target makes its path, its query or its escapes trap; they are the same however the head was cut into reads, and
// the same as a reference that splits and decodes the whole text at once (RFC 3986 §2.1, the URL standard's forms); what is escaped is
// read back.
import Base
import HTTP1

private let limits = HTTPLimits(
    headerBytesMax: 12 << 10, headerCountMax: 20, targetBytesMax: 8 << 10, bodyBytesMax: 1 << 10, chunkHeaderBytesMax: 64,
    trailerBytesMax: 256, drainBytesMax: 256)

func checkQuery(_ input: FuzzInput) {
    let head = Array("GET \(input.choice & 0x10 == 0 ? "/" : "")".utf8) + input.bytes + Array(" HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    let whole = Target.read(head, ends: [head.count])
    let cut = Target.read(head, ends: FuzzInput(choice: input.choice, bytes: head).ends)
    require(whole == cut, "whole: \(whole as Any)\ncut: \(cut as Any)")
    if let whole { compare(whole, head) }
    if input.choice & 0x20 != 0 { checkRoundTrip(input.bytes) }
}

/// What is read of a target.
private struct Target: Equatable {
    var form = RequestTarget.Form.origin
    var path: [UInt8] = []
    var query: [UInt8]?
    var authority: [UInt8]?
    /// Decoded; nil where the text has escapes that mean nothing.
    var decodedPath: [UInt8]?
    var parameters: [Parameter]?
    var token: [UInt8]?
    var isTokenRefused = false
    var tokenLater: [UInt8]?
    var isOrdered = false
    var captures: [[UInt8]?] = []

    struct Parameter: Equatable {
        var name: [UInt8]
        var value: [UInt8]
    }

    /// Nil where the head is refused, or not read to its end.
    static func read(_ bytes: [UInt8], ends: [Int]) -> Target? {
        var exchange = ServerExchange()
        var head = RequestHead()
        var position = 0
        for end in ends {
            let seen = Array(bytes[..<end])
            do {
                guard case .head = try exchange.next(seen.span, &position, head: &head, limits: limits) else { continue }
            } catch {
                return nil
            }
            return Target(head.target, seen)
        }
        return nil
    }

    private init(_ target: RequestTarget, _ bytes: [UInt8]) {
        form = target.form
        path = Array(bytes[target.path])
        query = target.query.map { Array(bytes[$0]) }
        authority = target.authority.map { Array(bytes[$0]) }
        var writer = ByteWriter()
        if let place = try? RequestTarget.decode(target.path, of: bytes.span, into: &writer) {
            decodedPath = array(writer.span.extracting(place))
        }
        require(RequestTarget.isPlain(target.path, of: bytes.span) == !path.contains(UInt8(ascii: "%")), "plain or not")
        var all = QueryParameters(target.query ?? 0..<0)
        var found: [Parameter] = []
        do {
            while let parameter = try all.next(in: bytes.span) {
                found.append(Parameter(name: Array(bytes[parameter.name]), value: Array(bytes[parameter.value])))
            }
            parameters = found
        } catch {
            require(found.count == QueryParameters.max, "\(error) behind \(found.count) parameters")
        }
        let before = writer.count
        do {
            token = try target.parameter("token", in: bytes.span, into: &writer).map { array(writer.span.extracting($0)) }
        } catch {
            isTokenRefused = true
            require(writer.count == before, "something was appended")
        }
        let kept = QueryText(of: target, in: bytes.span)
        tokenLater = (try? kept.value(of: "token")).map { array($0.span) }
        isOrdered = kept.names("a", before: "b")
        for pattern in ["/api/task/{id}/cancel", "/{first}/{rest...}", "/api/{x}", "/"] as [StaticString] {
            let captures = target.match(pattern, in: bytes.span)
            self.captures.append(captures.map { captures in (0..<captures.count).flatMap { [0x2f] + bytes[captures[$0]] } })
        }
    }
}

private func compare(_ target: Target, _ head: [UInt8]) {
    // The text between the two spaces, taken apart from scratch.
    guard let text = head.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false).dropFirst().first else { return }
    var rest = Array(text)
    if let authority = target.authority {
        let scheme = Array(rest.prefix { $0 != 0x2f }) + [0x2f, 0x2f]
        require(rest.starts(with: scheme + authority) && !authority.contains { $0 == 0x2f || $0 == 0x3f }, "another authority")
        rest.removeFirst(scheme.count + authority.count)
    }
    if target.form == .asterisk { return require(target.path.isEmpty && target.query == nil, "an asterisk with a path") }
    let parts = rest.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
    require(target.path == Array(parts.first ?? []) && target.query == (parts.count > 1 ? Array(parts[1]) : nil), "\(target) of \(rest)")
    // The path of a head that is taken has no escape without meaning.
    require(
        target.decodedPath != nil && target.decodedPath == Reference.decoded(target.path, plusIsSpace: false), "a path decodes otherwise")

    let all = (target.query ?? []).split(separator: UInt8(ascii: "&")).map { part -> Target.Parameter in
        let equals = part.firstIndex(of: UInt8(ascii: "=")) ?? part.endIndex
        return Target.Parameter(name: Array(part[..<equals]), value: Array(part[equals...].dropFirst()))
    }
    require(target.parameters == (all.count <= QueryParameters.max ? all : nil), "\(target.parameters as Any) of \(all)")
    require(target.tokenLater == target.token, "what is kept of a query says otherwise")

    // The first of that name; a name on the way whose beginning has an escape without meaning ends the search, and may not.
    guard let found = all.prefix(QueryParameters.max).first(where: { Reference.decoded($0.name, plusIsSpace: true) == Array("token".utf8) })
    else { return require(target.token == nil, "a token where there is none") }
    if target.isTokenRefused { return }
    require(target.token != nil && target.token == Reference.decoded(found.value, plusIsSpace: true), "\(target.token as Any) of \(found)")
}

private enum Reference {
    /// Nil for a text with an escape that is none, that means NUL, or that is not UTF-8.
    static func decoded(_ text: [UInt8], plusIsSpace: Bool) -> [UInt8]? {
        var decoded: [UInt8] = []
        let parts = text.split(separator: UInt8(ascii: "%"), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            var plain = part
            if index > 0 {
                let digits = String(decoding: part.prefix(2), as: UTF8.self)
                guard part.count >= 2, digits.allSatisfy(\.isHexDigit), let byte = UInt8(digits, radix: 16), byte != 0 else { return nil }
                decoded.append(byte)
                plain = part.dropFirst(2)
            }
            decoded += plain.map { plusIsSpace && $0 == UInt8(ascii: "+") ? 0x20 : $0 }
        }
        return String(validating: decoded, as: UTF8.self) == nil ? nil : decoded
    }
}

/// Any text without NUL, escaped as it may be, is the value of its parameter.
private func checkRoundTrip(_ bytes: [UInt8]) {
    let text = Array(String(decoding: bytes.filter { $0 != 0 }.prefix(512), as: UTF8.self).utf8)
    let digits = Array("0123456789abcdef".utf8)
    let escaped = text.flatMap { [UInt8(ascii: "%"), digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    let head = Array("GET /?b=%2b&token=".utf8) + escaped + Array("&token=no&c HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    guard let target = Target.read(head, ends: [head.count]) else { fatalError("\(head) is refused") }
    require(target.token == text && target.parameters?.count == 4, "\(text) is read as \(target.token as Any)")
}
