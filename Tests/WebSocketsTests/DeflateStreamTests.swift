// Goal: the zlib streams agree with raw zlib as the peer, and keep their limits against bombs and garbage.
import Base
import CZlib
import TestSupport
import Testing

@testable import WebSockets

private struct Inflated: Equatable {
    var bytes: [UInt8]
    var outcome: InflateStream.Outcome
}

/// Inflates whole messages, cut as told, with one stream.
private func inflated(
    _ messages: [[UInt8]], _ chunking: Chunking = .whole, windowBits: Int = 15, outputMax: Int = 1 << 20
) throws -> [Inflated] {
    let context = try #require(InflateContext(windowBits: windowBits))
    let chunk = Chunk()
    return messages.map { message in
        var output = ByteWriter()
        var outcome = InflateStream.Outcome.fine
        for piece in chunking.split(message) where outcome == .fine {
            outcome = context.stream.inflate(piece.span, chunk, into: &output, outputMax: outputMax)
        }
        if outcome == .fine { outcome = context.stream.finish(chunk, into: &output, outputMax: outputMax) }
        return Inflated(bytes: output.span.indices.map { output.span[$0] }, outcome: outcome)
    }
}

private func fine(_ text: String) -> Inflated { Inflated(bytes: Array(text.utf8), outcome: .fine) }

@Test("RFC 7692 §7.2.3: the examples", arguments: Chunking.all)
func examples(_ chunking: Chunking) throws {
    let compressed: [UInt8] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]
    let shared: [UInt8] = [0xf2, 0x00, 0x11, 0x00, 0x00]
    let stored: [UInt8] = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]
    let ended: [UInt8] = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]
    let twoBlocks: [UInt8] = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00]
    let hellos = Array(repeating: fine("Hello"), count: 4)
    #expect(try inflated([compressed, shared, stored, twoBlocks, [0x00]], chunking) == hellos + [fine("")])
    // §7.2.3.4: a last block ends its stream, and the next message begins a new one.
    #expect(try inflated([ended, compressed, Array(ended.dropLast()), stored], chunking) == hellos)
}

@Test("what follows a last block is refused, whatever it is", arguments: Chunking.all)
func trailingGarbage(_ chunking: Chunking) throws {
    let ended: [UInt8] = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]
    for garbage: [UInt8] in [[0x01], [0x00, 0x00], [0x00, 0x01], [0xf2, 0x48, 0xcd], [UInt8](repeating: 0, count: 1000)] {
        #expect(try inflated([ended + garbage], chunking) == [Inflated(bytes: Array("Hello".utf8), outcome: .invalid)])
    }
}

@Test("messages cut short or broken are invalid", arguments: Chunking.all)
func brokenMessages(_ chunking: Chunking) throws {
    let whole = RawDeflate().message(sampleText(400, seed: 5))
    for count in [1, 2, whole.count / 2, whole.count - 3] {
        #expect(try inflated([Array(whole.prefix(count))], chunking)[0].outcome == .invalid, "the first \(count) bytes")
    }
    for bad: [UInt8] in [[0x07], [0xff, 0xff, 0xff, 0xff], [0x00, 0x05, 0x00, 0x00, 0x00], [0xf2, 0x00, 0x11, 0x00, 0x00]] {
        #expect(try inflated([bad], chunking)[0].outcome == .invalid, "\(bad)")
    }
}

@Test("a bomb stops at the limit, a message of exactly the limit does not", arguments: Chunking.all)
func bombs(_ chunking: Chunking) throws {
    let zeros = [UInt8](repeating: 0, count: 200_000)
    let bomb = RawDeflate().message(zeros)
    #expect(bomb.count < 400)
    for limit in [1, 100, 16 << 10, 100_000, 199_999] {
        #expect(try inflated([bomb], chunking, outputMax: limit) == [Inflated(bytes: Array(zeros.prefix(limit)), outcome: .full)])
    }
    #expect(try inflated([bomb], chunking, outputMax: 200_000) == [Inflated(bytes: zeros, outcome: .fine)])
}

@Test("RFC 7692 §7.1.2: every window from 9 to 15 bits, both ways, with context", arguments: 9...15)
func windows(_ bits: Int) throws {
    let texts = [5, 300, 40_000, 1, 17_000, 90_000].map { sampleText($0, seed: UInt64($0)) }
    let messages = texts + [[], farRepeats(700, times: 3, seed: 1), farRepeats(20_000, times: 3, seed: 1)]
    let peer = RawDeflate(windowBits: Int32(bits))
    #expect(try inflated(messages.map(peer.message), windowBits: bits) == messages.map { Inflated(bytes: $0, outcome: .fine) })

    let context = try #require(DeflateContext(agreed(serverBits: UInt8(bits))))
    let reader = RawInflate(windowBits: Int32(bits))
    let chunk = Chunk()
    for message in messages {
        var output = ByteWriter()
        context.stream.compress(message.span, chunk, into: &output)
        #expect(reader.message(output.span.indices.map { output.span[$0] }) == message)
    }
}

@Test("incompressible messages of every size around the chunk come through")
func incompressible() throws {
    var random = Seeded(seed: 11)
    let context = try #require(DeflateContext(agreed()))
    let chunk = Chunk()
    let reader = RawInflate()
    for count in [16_000, 16_370, 16_374, 16_379, 16_380, 16_384, 16_400, 32_768, 100_000] {
        let message = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        var output = ByteWriter()
        context.stream.compress(message.span, chunk, into: &output)
        let bytes = output.span.indices.map { output.span[$0] }
        #expect(reader.message(bytes) == message)
        #expect(try inflated([RawDeflate().message(message)]) == [Inflated(bytes: message, outcome: .fine)])
    }
}

@Test("a reset compressor owes nothing to earlier messages")
func resetCompressor() throws {
    let context = try #require(DeflateContext(agreed()))
    let chunk = Chunk()
    let message = sampleText(2000, seed: 1)
    func next() -> [UInt8] { written { context.stream.compress(message.span, chunk, into: &$0) } }
    let first = next()
    let second = next()
    #expect(second.count < first.count / 4)
    context.stream.reset()
    #expect(next() == first)
}
