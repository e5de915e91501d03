// ExchangeLog: requests and their answers, for the dashboard: what was asked, and the beginnings of both bodies. Kept while somebody
// looks at one, and only so many of a tick. Holds no query and no header, because tokens travel there.
//
// Cost: while nobody looks, one comparison a request and two an answer; else two copies of at most 2 KiB.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1

/// A request that is to be told of, until it is answered.
final class ExchangeNote {
    fileprivate let method: StaticString
    fileprivate let path: SharedBytes
    fileprivate let began: Moment
    fileprivate var request = SharedBytes.empty
    fileprivate var requestBytes = 0

    fileprivate init(method: StaticString, path: SharedBytes, began: Moment) {
        self.method = method
        self.path = path
        self.began = began
    }

    /// Notes the request's content.
    func took(_ body: Span<UInt8>) {
        request = SharedBytes(copying: body.extracting(0..<Excerpt.end(of: body, bytesMax: ExchangeLog.excerptBytesMax)))
        requestBytes = body.count
    }
}

struct ExchangeLog {
    /// Bytes of each body.
    static let excerptBytesMax = 2 << 10
    private static let pathBytesMax = 512
    /// Lines of the past with which a picture begins, and those of one tick.
    private static let linesMax = 200
    private static let newLinesMax = 50

    /// Whether somebody looks.
    var isOpen = false {
        didSet { if !isOpen { self = ExchangeLog() } }
    }
    /// The last lines, oldest first.
    private(set) var lines: [ExchangeLine] = []
    private var number: UInt64 = 0
    /// The number of the last line that was told.
    private var toldNumber: UInt64 = 0
    private var begun = 0
    private var leftOut = 0

    /// Begins to note a request, if there is still room for one in this tick.
    mutating func begin(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Moment
    ) -> ExchangeNote? {
        guard begun < ExchangeLog.newLinesMax else {
            leftOut += 1
            return nil
        }
        begun += 1
        let path = bytes.extracting(head.target.path)
        return ExchangeNote(
            method: head.method.word, path: SharedBytes(copying: path.extracting(0..<min(path.count, ExchangeLog.pathBytesMax))),
            began: now)
    }

    /// A noted request is answered.
    mutating func end(_ note: ExchangeNote, _ status: HTTPStatus, _ text: Span<UInt8>, _ splice: Splice?, at now: Instant) {
        guard isOpen else { return }
        number += 1
        let size = text.count + (splice?.value.count ?? 0)
        let before = splice?.offset ?? text.count
        var response = ByteWriter(capacity: min(size, ExchangeLog.excerptBytesMax) + 1)
        response.append(text.extracting(0..<min(before, ExchangeLog.excerptBytesMax)))
        if let value = splice?.value.span {
            response.append(value.extracting(0..<min(value.count, max(ExchangeLog.excerptBytesMax - response.count, 0))))
            let after = text.extracting(before..<text.count)
            response.append(after.extracting(0..<min(after.count, max(ExchangeLog.excerptBytesMax - response.count, 0))))
        }
        let isCut = response.count < size
        let excerpt = response.withSpan { span in
            SharedBytes(copying: span.extracting(0..<(isCut ? Excerpt.end(of: span, bytesMax: max(span.count - 1, 0)) : span.count)))
        }
        if lines.count == ExchangeLog.linesMax { lines.removeFirst() }
        let line = ExchangeLine(
            number: number, at: note.began.wall, method: note.method, path: note.path, status: Int(status.rawValue),
            elapsed: now - note.began.instant, request: note.request, response: excerpt, requestBytes: note.requestBytes,
            responseBytes: size)
        lines.append(line)
    }

    /// A tick is over: its lines, and how many requests there were besides.
    mutating func takeNew() -> (lines: [ExchangeLine], leftOut: Int) {
        defer {
            begun = 0
            leftOut = 0
            toldNumber = number
        }
        return (Array(lines.suffix { [toldNumber] in $0.number > toldNumber }), leftOut)
    }
}

extension Array {
    /// The elements behind the last one that does not match.
    fileprivate func suffix(_ matches: (Element) -> Bool) -> ArraySlice<Element> {
        self[(lastIndex { !matches($0) }.map { $0 + 1 } ?? startIndex)...]
    }
}

extension HTTPMethod {
    fileprivate var word: StaticString {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .patch: "PATCH"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .other: "?"
        }
    }
}
