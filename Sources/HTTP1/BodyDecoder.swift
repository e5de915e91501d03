// BodyDecoder: how the content of a request is framed, and the ranges of it as they arrive. Holds no bytes: content is answered where it
// stands, chunk headers and trailers are checked and dropped. RFC 9112 §6 and §7; §11.2 (smuggling) is why nothing is guessed.
//
// Cost: content is not looked at at all; a chunk costs its header line.
import Base

/// How long the content of a request is (RFC 9112 §6.3).
enum Framing: Hashable {
    case length(Int)
    case chunked

    /// What the head says about the content; refuses every head about which two readers might differ.
    init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, limits: HTTPLimits) throws(HTTPError) {
        let length = head.value(.contentLength)
        guard let encoding = head.value(.transferEncoding) else {
            guard let length else {
                // §6.3.7: a request that says nothing has no content.
                self = .length(0)
                return
            }
            self = .length(try Self.length(length, isOnly: !head.repeats(.contentLength), bytes, limits: limits))
            return
        }
        // §6.1: a message with both fields is an attempt at smuggling, until the contrary is shown.
        guard length == nil else { throw .lengthAndEncoding }
        // §6.1: in a message of HTTP/1.0 the framing is faulty.
        guard head.version == .http11 else { throw .encodingInHTTP10 }
        // §6.1 and §7: 501 to a coding that is not understood; chunked may be applied only once.
        guard !head.repeats(.transferEncoding), bytes.equals("chunked", ignoringASCIICaseAt: encoding) else { throw .unsupportedEncoding }
        self = .chunked
    }

    private static func length(
        _ value: Range<Int>, isOnly: Bool, _ bytes: Span<UInt8>, limits: HTTPLimits
    ) throws(HTTPError) -> Int {
        // §6.3.5: differing lengths are refused, and equal ones too: nobody honest sends them.
        guard isOnly else { throw .repeatedLength }
        guard !value.isEmpty else { throw .invalidLength }
        var length = 0
        var overflow = false
        for index in value {
            guard bytes[index].isASCIIDigit else { throw bytes[index] == UInt8(ascii: ",") ? .repeatedLength : .invalidLength }
            let (tens, first) = length.multipliedReportingOverflow(by: 10)
            let (sum, second) = tens.addingReportingOverflow(Int(bytes[index] &- UInt8(ascii: "0")))
            overflow = overflow || first || second
            length = sum
        }
        guard !overflow, length <= limits.bodyBytesMax else { throw .contentTooLarge }
        return length
    }
}

/// The content of one request.
struct BodyDecoder {
    enum Event: Equatable {
        case needMore
        /// Content, where it stands in the bytes.
        case content(Range<Int>)
        case end
    }

    private enum State {
        case length(remaining: Int)
        /// In a chunk size line, of which so many bytes were searched for its end.
        case chunkHeader(searched: Int)
        case chunkData(remaining: Int)
        /// Before the CRLF that ends a chunk.
        case chunkEnd
        /// In a trailer line; `used` bytes of trailers lie before it.
        case trailers(used: UInt32, searched: UInt32)
        case end
    }

    private var state: State
    /// Bytes of content that the chunks so far announced.
    private var announced = 0

    init(_ framing: Framing) {
        switch framing {
        case .length(let length): state = .length(remaining: length)
        case .chunked: state = .chunkHeader(searched: 0)
        }
    }

    /// Takes what it can from `bytes` behind `position`, which moves behind what was taken.
    mutating func next(_ bytes: Span<UInt8>, _ position: inout Int, limits: HTTPLimits) throws(HTTPError) -> Event {
        while true {
            switch state {
            case .length(let remaining):
                guard remaining > 0 else {
                    state = .end
                    continue
                }
                guard let range = take(bytes, &position, remaining) else { return .needMore }
                state = .length(remaining: remaining &- range.count)
                return .content(range)

            case .chunkHeader(let searched):
                let line = try Self.line(bytes, position, searched: searched, max: limits.chunkHeaderBytesMax, tooLong: .chunkHeaderTooLong)
                guard let line else {
                    state = .chunkHeader(searched: bytes.count &- position)
                    return .needMore
                }
                let size = try ChunkHeader.size(line, of: bytes)
                // What a chunk may have is known before it is believed: no sum can overflow.
                guard size <= limits.bodyBytesMax &- announced else { throw .contentTooLarge }
                announced &+= size
                position = line.upperBound &+ 2
                state = size == 0 ? .trailers(used: 0, searched: 0) : .chunkData(remaining: size)

            case .chunkData(let remaining):
                guard let range = take(bytes, &position, remaining) else { return .needMore }
                state = range.count == remaining ? .chunkEnd : .chunkData(remaining: remaining &- range.count)
                return .content(range)

            case .chunkEnd:
                guard position < bytes.count else { return .needMore }
                // §7.1: chunk-data is followed by CRLF and nothing else.
                guard bytes[position] == .carriageReturn else { throw .missingChunkEnd }
                guard position &+ 1 < bytes.count else { return .needMore }
                guard bytes[position &+ 1] == .lineFeed else { throw .missingChunkEnd }
                position &+= 2
                state = .chunkHeader(searched: 0)

            case .trailers(let used, let searched):
                let room = limits.trailerBytesMax &- Int(used)
                let line = try Self.line(bytes, position, searched: Int(searched), max: room, tooLong: .trailersTooLarge)
                guard let line else {
                    state = .trailers(used: used, searched: UInt32(truncatingIfNeeded: bytes.count &- position))
                    return .needMore
                }
                position = line.upperBound &+ 2
                if line.isEmpty {
                    state = .end
                } else {
                    // §7.1.2: trailers may be discarded; a server that merges them lets them overrule what was checked.
                    try ChunkHeader.checkTrailer(line, of: bytes)
                    state = .trailers(used: used &+ UInt32(truncatingIfNeeded: line.count &+ 2), searched: 0)
                }

            case .end:
                return .end
            }
        }
    }

    private func take(_ bytes: Span<UInt8>, _ position: inout Int, _ remaining: Int) -> Range<Int>? {
        guard position < bytes.count else { return nil }
        let start = position
        position &+= min(remaining, bytes.count &- start)
        return start..<position
    }

    /// The line that begins at `start`, without its CRLF; nil where it has not ended yet.
    ///
    /// Looks at no byte twice, and at none behind the `max`th.
    private static func line(
        _ bytes: Span<UInt8>, _ start: Int, searched: Int, max: Int, tooLong: HTTPError
    ) throws(HTTPError) -> Range<Int>? {
        let end = start &+ min(bytes.count &- start, max)
        guard let lineFeed = bytes.extracting(0..<end).find(.lineFeed, from: min(start &+ searched, end)) else {
            if end &- start == max { throw tooLong }
            return nil
        }
        guard lineFeed > start, bytes[lineFeed &- 1] == .carriageReturn else { throw .bareLineFeed }
        return start..<lineFeed &- 1
    }
}
