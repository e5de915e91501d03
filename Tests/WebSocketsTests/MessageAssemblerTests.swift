// Goal: the limits and the UTF-8 of a message in pieces.
import Base
import Testing

@testable import WebSockets

@Test("lengths are judged before their bytes, and sums cannot overflow")
func lengthsBeforeBytes() throws {
    let limits = WebSocketLimits(messageBytesMax: 100)
    let assembler = MessageAssembler()
    #expect(throws: FrameError.messageTooBig) { try assembler.beginFrame(101, isCompressed: false, limits) }
    try assembler.beginFrame(60, isCompressed: false, limits)
    #expect(throws: FrameError.messageTooBig) { try assembler.beginFrame(.max, isCompressed: false, limits) }
    #expect(throws: FrameError.messageTooBig) { try assembler.beginFrame(41, isCompressed: false, limits) }
    try assembler.beginFrame(40, isCompressed: false, limits)
    #expect(assembler.count == 0)
}

@Test("fragments are counted, empty ones too")
func fragmentsAreCounted() throws {
    let limits = WebSocketLimits(messageBytesMax: 100, fragmentsMax: 3)
    let assembler = MessageAssembler()
    for _ in 0..<3 { try assembler.beginFrame(0, isCompressed: false, limits) }
    #expect(throws: FrameError.tooManyFragments) { try assembler.beginFrame(0, isCompressed: false, limits) }
    assembler.reset()
    try assembler.beginFrame(100, isCompressed: false, limits)
}

@Test("§8.1: a character may be cut by fragments, but not by the message's end")
func charactersAcrossPieces() throws {
    let assembler = MessageAssembler()
    for byte in Array("€".utf8) { try assembler.append([byte].span, .text, isASCII: false) }
    #expect(try assembler.finish() == 3)
    // Pieces that are all ASCII are no continuation.
    try assembler.append([0xe2].span, .text, isASCII: false)
    #expect(throws: FrameError.invalidUTF8) { try assembler.finish() }
    #expect(throws: FrameError.invalidUTF8) { try assembler.append([0x61].span, .text, isASCII: true) }
    assembler.reset()
    try assembler.append([0xff].span, .binary, isASCII: false)
    #expect(try assembler.finish() == 1)
}
