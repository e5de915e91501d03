// Goal: what connections share is used again and never mixed up.
import Base
import Testing

@testable import WebSockets

@Test("what is given back is used again, empty")
func spares() throws {
    let workspace = WebSocketWorkspace()
    let assembler = workspace.takeAssembler()
    try assembler.append([1, 2, 3].span, .binary, isASCII: false)
    workspace.giveBack(assembler)
    let again = workspace.takeAssembler()
    #expect(again === assembler)
    #expect(again.count == 0)
    let inflater = try #require(workspace.takeInflater())
    workspace.giveBack(inflater)
    #expect(workspace.takeInflater() === inflater)
    #expect(workspace.takeInflater() !== inflater)
}

@Test("compressors of different windows are kept apart")
func deflatersByWindow() throws {
    let workspace = WebSocketWorkspace()
    // A window of 13 bits finds it again, one of 12 does not.
    let message = farRepeats(5000, times: 4, seed: 2)
    for bits: UInt8 in [15, 9, 12, 15, 9, 10, 11, 13, 14, 9] {
        var writer = ByteWriter()
        #expect(workspace.appendCompressed(.binary, message.span, agreed(serverBits: bits), to: &writer))
        let frame = try #require(serverFrame(writer.span.indices.map { writer.span[$0] }))
        #expect(RawInflate(windowBits: Int32(bits)).message(frame.payload) == message)
    }
}
