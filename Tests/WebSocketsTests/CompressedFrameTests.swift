// Goal: frames compressed by themselves are read by raw zlib.
import Base
import TestSupport
import Testing

@testable import WebSockets

@Test("RFC 7692 §7.2.1: a frame compressed by itself is read without any context", arguments: [0, 1, 64, 1000, 100_000, 300_000])
func compressedFrames(_ count: Int) throws {
    for bits: UInt8 in [9, 15] {
        let message = sampleText(count, seed: 9)
        let block = CompressedFrame.make(.text, message.span, agreed(serverBits: bits))
        let frame = try #require(serverFrame(block.span.indices.map { block.span[$0] }))
        #expect(frame.first == 0xc1)
        #expect(RawInflate(windowBits: Int32(bits)).message(frame.payload) == message)
    }
}
