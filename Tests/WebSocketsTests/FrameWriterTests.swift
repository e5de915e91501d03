// Goal: the bytes of the server's frames, given one by one.
import Base
import TestSupport
import Testing

@testable import WebSockets

@Test("§5.2: a server's headers are in the shortest form and not masked")
func serverHeaders() {
    let table: [(Int, [UInt8])] = [
        (0, [0x81, 0]), (125, [0x81, 125]), (126, [0x81, 126, 0, 126]), (0xffff, [0x81, 126, 0xff, 0xff]),
        (0x10000, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]), (0x1_0203_0405, [0x81, 127, 0, 0, 0, 1, 2, 3, 4, 5]),
    ]
    for (length, bytes) in table {
        #expect(written { FrameWriter.appendHeader(.text, length: length, to: &$0) } == bytes)
        #expect(FrameWriter.headerSize(length) == bytes.count)
    }
    #expect(written { FrameWriter.appendHeader(.binary, length: 1, isFinal: false, isCompressed: true, to: &$0) } == [0x42, 1])
    #expect(written { FrameWriter.appendHeader(.continuation, length: 200, to: &$0) } == [0x80, 126, 0, 200])
}

@Test("a frame whose body was written first is the frame written in order", arguments: [0, 1, 125, 126, 65_535, 65_536])
func headerInFront(_ length: Int) {
    let body = [UInt8](repeating: 0x61, count: length)
    var writer = ByteWriter()
    writer.append("before")
    let start = FrameWriter.beginFrame(in: &writer)
    writer.append(body.span)
    let first = FrameWriter.finishFrame(.binary, start: start, in: &writer)
    let frame = (first..<writer.count).map { writer.span[$0] }
    #expect(frame == written { FrameWriter.append(.binary, body.span, to: &$0) })
    #expect((6..<first).allSatisfy { writer.span[$0] == 0 })
}

@Test("§5.5.1: close frames carry code and reason, cut between characters at 123 bytes, or nothing")
func closeFrames() {
    #expect(written { FrameWriter.appendClose(.normal, to: &$0) } == [0x88, 2, 0x03, 0xe8])
    #expect(written { FrameWriter.appendClose(.messageTooBig, reason: "big", to: &$0) } == [0x88, 5, 0x03, 0xf1, 0x62, 0x69, 0x67])
    #expect(written { FrameWriter.appendClose(nil, reason: [1, 2].span, to: &$0) } == [0x88, 0])
    // A code that must not be on the wire is ours to replace.
    #expect(written { FrameWriter.appendClose(CloseCode(rawValue: 1006), to: &$0) } == [0x88, 2, 0x03, 0xf3])
    let long = [UInt8]("a".utf8) + Array(String(repeating: "é", count: 100).utf8)
    let cut = written { FrameWriter.appendClose(.normal, reason: long.span, to: &$0) }
    #expect(cut == [0x88, 125, 0x03, 0xe8] + long.prefix(123))
    let euros = Array(String(repeating: "€", count: 50).utf8)
    let shorter = written { FrameWriter.appendClose(.normal, reason: Array([0x61] + euros).span, to: &$0) }
    #expect(shorter == [0x88, 2 + 121, 0x03, 0xe8, 0x61] + euros.prefix(120))
}

@Test("§5.5.2, §5.5.3: ping and pong carry what they are given")
func pingAndPong() {
    let payload = [UInt8](0..<125)
    #expect(written { FrameWriter.appendPing(payload.span, to: &$0) } == [0x89, 125] + payload)
    #expect(written { FrameWriter.appendPong(payload.span, to: &$0) } == [0x8a, 125] + payload)
    #expect(written { FrameWriter.appendPong([UInt8]().span, to: &$0) } == [0x8a, 0])
}
