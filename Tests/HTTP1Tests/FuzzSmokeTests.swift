// Chance against the whole floor: requests that are nearly right never trap, and mean the same however they are cut.
import Base
import HTTP1
import Testing
import TestSupport

@Suite struct FuzzSmokeTests {
    static let seeds: [String] = [
        "GET /api/task/7?token=a%20b HTTP/1.1\r\nHost: x:80\r\nConnection: keep-alive\r\nCookie: a=b\r\n\r\n",
        "POST /api/openai HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\nhello world",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n6\r\n world\r\n0\r\nT: v\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n\u{1}\u{2}",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\nHEAD http://a.b:1/c%2Fd HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ]

    static let spices: [[UInt8]] = [
        "\r\n", "\n", "\r", "\0", " ", "\t", ":", ",", ";", "=", "\"", "%", "%00", "%ff", "0", "f", "\r\n\r\n", "\r\n ",
        "HTTP/1.0", "chunked",
        "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Host: y\r\n", "99999999999999999999", "ffffffffffffffff",
    ].map { Array($0.utf8) }

    static let limits = HTTPLimits(
        headerBytesMax: 300, headerCountMax: 8, targetBytesMax: 100, bodyBytesMax: 64, chunkHeaderBytesMax: 24, trailerBytesMax: 24,
        drainBytesMax: 8)

    @Test("mutated requests give the same events whole, byte by byte and in pieces", arguments: 1...4 as ClosedRange<UInt64>)
    func mutations(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        for round in 0..<400 {
            let bytes = Self.mutated(&random)
            let answering = [Answering.atEnd, .atHead, .upgrading, .never].randomElement(using: &random) ?? .atEnd
            let whole = conversation(bytes, .whole, answering: answering, limits: Self.limits)
            for chunking in [Chunking.byteByByte, .seeded(seed ^ UInt64(round))] {
                let cut = conversation(bytes, chunking, answering: answering, limits: Self.limits)
                #expect(cut.seen == whole.seen, "seed \(seed), round \(round), \(chunking): \(String(decoding: bytes, as: UTF8.self))")
                #expect(cut.rest == whole.rest, "seed \(seed), round \(round), \(chunking)")
                #expect(cut.exchange.phase == whole.exchange.phase, "seed \(seed), round \(round), \(chunking)")
            }
        }
    }

    @Test("mutated targets never trap, and what they decode to is UTF-8 without NUL", arguments: 1...2 as ClosedRange<UInt64>)
    func targets(_ seed: UInt64) throws {
        var random = Seeded(seed: seed)
        let pieces = ["/", "a", "%2f", "%e2%82%ac", "%", "%4", "?", "&", "=", "+", "token", "{", "}", "..", "%c3", "http://"]
        for _ in 0..<400 {
            let target = "/" + (0..<Int.random(in: 0...12, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            try? withTarget(target) { target, bytes in
                _ = target.match("/a/{x}/{y...}", in: bytes.span)
                var writer = ByteWriter()
                _ = try RequestTarget.decode(target.path, of: bytes.span, into: &writer)
                _ = try target.parameter("token", in: bytes.span, into: &writer)
                let decoded = writer.seal()
                let isText = UTF8Validator.isValid(decoded.span)
                #expect(isText)
                #expect(!decoded.description.contains("\0"))
            }
        }
    }

    /// A few requests behind one another, with a few faults.
    private static func mutated(_ random: inout Seeded) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...3, using: &random) { bytes += (seeds.randomElement(using: &random) ?? "").utf8 }
        for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: at)
            case 2: bytes.insert(contentsOf: spices.randomElement(using: &random) ?? [], at: at)
            case 3: bytes.removeSubrange(at...)
            default: bytes.insert(contentsOf: bytes[at..<min(at + 12, bytes.count)], at: at)
            }
        }
        return bytes
    }
}
