// Goal: opcodes and header sizes.
import Testing

@testable import WebSockets

@Test("§5.2: six opcodes are known, the others reserved; the top bit marks control frames")
func opcodes() {
    let known: [UInt8: Bool] = [0: false, 1: false, 2: false, 8: true, 9: true, 10: true]
    for raw in UInt8(0)...15 { #expect(Opcode(rawValue: raw)?.isControl == known[raw]) }
    #expect(MessageKind.text.opcode == .text)
    #expect(MessageKind.binary.opcode == .binary)
}

@Test("§5.2: a masked header is 6, 8 or 14 bytes", arguments: [(0x80, 6), (0xfd, 6), (0xfe, 8), (0xff, 14)])
func headerSizes(_ second: Int, _ size: Int) { #expect(FrameHeader.size(second: UInt8(second)) == size) }
